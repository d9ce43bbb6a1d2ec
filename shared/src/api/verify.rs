//! Checks of what archives contain, as they cross the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::ContentStatus;

/// What an archive has otherwise than its narinfo says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContentFault {
    /// The bytes as stored have another SHA-256 than FileHash.
    FileHash,
    /// They are more or fewer than FileSize.
    FileSize,
    /// The bytes unpacked have another SHA-256 than NarHash.
    NarHash,
    /// They are more or fewer than NarSize.
    NarSize,
    /// It cannot be unpacked, or is no NAR.
    NarForm,
}

impl ContentFault {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileHash => "file-hash",
            Self::FileSize => "file-size",
            Self::NarHash => "nar-hash",
            Self::NarSize => "nar-size",
            Self::NarForm => "nar-form",
        }
    }
}

/// What a check of a path's archive found: every byte of it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ContentCheck {
    /// The path's hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// The verdict.
    pub content: ContentStatus,
    /// What differs. Empty where the archive is the narinfo's, and where it is missing.
    pub faults: Vec<ContentFault>,
    /// The same in words; empty where it is the narinfo's.
    pub reason: String,
    /// Bytes of the archive as stored; 0 where it could not be read to its end.
    pub file_size: u64,
    /// Paths of this cache that the archive names and the narinfo does not declare: the first 20. They do
    /// not change the verdict.
    pub undeclared: Vec<String>,
    /// References that the narinfo declares and the archive does not name: the first 20. They do not
    /// change the verdict.
    pub unnamed: Vec<String>,
}

/// How far the content of a cache is proven, and how it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Verification {
    /// Bytes a second that are read for it, as stored; 0: it is off.
    pub rate: u64,
    /// Store paths that were counted.
    pub paths: u64,
    /// Those whose archive was read and is the one of its narinfo.
    pub proven_paths: u64,
    /// Bytes of the archives that were counted, as stored, for each path.
    pub bytes: u64,
    /// Those of the paths that are proven.
    pub proven_bytes: u64,
    /// When the path was read whose proof is oldest; `null`: none is proven.
    pub oldest: Option<String>,
    /// Paths that are to be read by now: never read, or longest ago.
    pub due: u64,
    /// Whether a process is reading.
    pub running: bool,
    /// Whether proofs are older than they should be.
    pub behind: bool,
    /// When this was counted.
    pub as_of: String,
}
