//! Builds of one store path that differ, as they cross the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use crate::contents::Difference;

/// One of two builds of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Build {
    /// SHA-256 of the NAR.
    pub nar_hash: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Whose build it is: who uploaded it, or the owners of the keys that signed it. Empty where nobody is
    /// known, and for those who are not members.
    pub by: Vec<String>,
    /// Names of the keys that signed it.
    pub keys: Vec<String>,
    /// When it came.
    pub at: Option<String>,
}

/// How far two builds were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Comparison {
    /// Both are being read, or were when the server ended.
    Pending,
    /// File by file.
    Done {
        /// The first is the one that is kept.
        difference: Difference,
    },
    /// It could not be.
    Failed {
        /// Why not.
        reason: String,
    },
}

/// That somebody put a report aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Dismissal {
    /// Who; `null` for those who are not members.
    pub by: Option<String>,
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// A build that came for a path which has other content. It is not in the cache: this report is what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Conflict {
    /// The full store path.
    pub path: String,
    /// Its 32-character hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// The build that is in the cache.
    pub kept: Build,
    /// The build that came later.
    pub newcomer: Build,
    /// How often it was sent.
    pub times: u32,
    /// In which files they differ; without the files themselves in a list of conflicts.
    pub comparison: Comparison,
    /// Whether it was put aside.
    pub dismissed: Option<Dismissal>,
}

/// Puts a report aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DismissConflict {
    /// The newcomer's NarHash, as the report has it.
    pub nar_hash: String,
    /// Why: up to 500 characters.
    pub reason: String,
}
