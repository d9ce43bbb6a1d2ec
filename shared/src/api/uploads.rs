//! Sessions of uploads, as they cross the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Bytes of a part of an archive that goes up in parts; the last one is what is left.
pub const PART: u64 = 8 << 20;
/// Bytes from which on an archive goes up in parts.
pub const IN_PARTS: u64 = 16 << 20;
/// Paths of one plan at most.
pub const MOST_PATHS: usize = 10_000;

/// The parts of an archive of so many bytes.
pub const fn parts_of(bytes: u64) -> u64 {
    bytes.div_ceil(PART)
}

/// A path that somebody wants to upload, as its narinfo has it. Nothing of this is believed: it is
/// what the server can judge before a byte is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PlannedPath {
    /// Full store path.
    pub path: String,
    /// SHA-256 of the NAR, as `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The key of the archive, `nar/….nar.zst`.
    pub nar_key: String,
    /// Bytes of the archive as it is sent.
    pub file_size: u64,
    /// How it is packed.
    pub compression: String,
    /// Store paths without their directory.
    #[serde(default)]
    pub references: Vec<String>,
    /// Names of the keys that signed it.
    #[serde(default)]
    pub signed_by: Vec<String>,
}

/// What somebody wants to upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UploadPlan {
    /// Where it comes from, for people: a folder's name.
    pub from: String,
    /// Whether to begin a session; otherwise it is only judged.
    #[serde(default)]
    pub begin: bool,
    /// The paths, 10,000 at most.
    pub paths: Vec<PlannedPath>,
}

/// What will happen with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is not here: it will be published.
    New,
    /// It is here, with the same content and these signatures.
    Same,
    /// It is here with the same content: a signature is added.
    AddSignature,
    /// It is here, or on an upstream, with other content: the first stays.
    Conflict,
    /// An upstream of the cache has it, signed, with the same content.
    SkipUpstream,
    /// The key that signed it, or the cache's limits, do not allow it.
    NotAllowed,
    /// It refers to what is neither here nor in the plan.
    Incomplete,
}

impl Fate {
    /// Whether its archive is to be sent.
    pub const fn sends_archive(self) -> bool {
        matches!(self, Self::New)
    }

    /// Whether anything is to be sent.
    pub const fn sends(self) -> bool {
        matches!(self, Self::New | Self::AddSignature)
    }
}

/// What will happen with a path, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PathFate {
    /// Full store path.
    pub path: String,
    /// What will happen.
    pub fate: Fate,
    /// Why, where it will not simply be published. Of a path that is sent: that it will wait, and by
    /// which rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The upstream that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Whether leaving it out keeps nothing else from being published: the policy lets paths refer
    /// to what that upstream has, or nothing in the plan refers to it.
    #[serde(default)]
    pub can_be_skipped: bool,
}

/// How an upload will go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PlanAnswer {
    /// The session, where one was to begin.
    pub session: Option<UploadSession>,
    /// Whether it is one that was begun before with the same plan.
    pub resumed: bool,
    /// Each path of the plan, in its order.
    pub paths: Vec<PathFate>,
    /// Bytes of archives to send.
    pub to_send: u64,
    /// Bytes that the cache's quota leaves; `null`: it has none.
    pub left: Option<u64>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// It can be gone on with.
    Open,
    /// All that could be published is.
    Committed,
    /// Somebody gave it up.
    Cancelled,
}

/// A session of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UploadSession {
    /// Its name in addresses.
    pub id: String,
    /// The cache.
    pub cache: String,
    /// Where it comes from, for people.
    pub from: String,
    /// Who uploads: a member's name, or a machine's.
    pub by: String,
    /// How far it is.
    pub state: SessionState,
    /// When it began.
    pub began_at: String,
    /// When it was committed or given up.
    pub ended_at: Option<String>,
    /// When it is forgotten, and what it left unfinished with it.
    pub expires_at: String,
    /// Paths in it.
    pub paths: u64,
    /// Paths of these that are published.
    pub published: u64,
    /// Paths of these that were refused.
    pub refused: u64,
    /// Paths of these that wait for somebody or something.
    #[serde(default)]
    pub waiting: u64,
    /// Whether nothing more comes by sending: every path is published, refused, left out, or waits.
    #[serde(default)]
    pub is_over: bool,
    /// Bytes of archives to send.
    pub bytes: u64,
    /// Bytes of these that have arrived.
    pub arrived: u64,
}

/// What has come of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing has come yet.
    Planned,
    /// Parts of its archive have come.
    Arriving,
    /// Its archive is here and verified; its narinfo is not.
    Arrived,
    /// It is published.
    Published,
    /// It is here and not published yet: it waits for somebody or something.
    Waiting,
    /// It was refused, or rejected.
    Refused,
    /// Nothing of it was to be sent.
    LeftOut,
}

impl Outcome {
    /// Whether nothing more of it is to be sent.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Published | Self::Waiting | Self::Refused | Self::LeftOut => true,
            Self::Planned | Self::Arriving | Self::Arrived => false,
        }
    }
}

/// A path of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UploadedPath {
    /// Full store path.
    pub path: String,
    /// SHA-256 of the NAR, as `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The key of the archive.
    pub nar_key: String,
    /// Bytes of the archive.
    pub file_size: u64,
    /// What was to happen.
    pub fate: Fate,
    /// What has come of it.
    pub outcome: Outcome,
    /// Why it was refused or left out; for what it waits, or will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The approval's id, where it waits or waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Parts of its archive that have come, one after the other from the first.
    #[serde(default)]
    pub parts: u64,
    /// Names of the keys whose signatures it has here, the cache's own among them.
    #[serde(default)]
    pub signatures: Vec<String>,
}

/// A session with its paths: while it goes on, how far it is; then its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UploadReceipt {
    /// The session.
    pub session: UploadSession,
    /// Whether who asks may go on with it or give it up.
    pub is_own: bool,
    /// Its paths, each behind what it refers to, as planned.
    pub paths: Vec<UploadedPath>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_as_many_parts_as_it_takes() {
        assert_eq!([1, PART, PART + 1, 3 * PART].map(parts_of), [1, 1, 2, 3]);
        assert!(Fate::New.sends_archive() && !Fate::AddSignature.sends_archive());
    }
}
