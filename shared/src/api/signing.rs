//! Changing signatures: jobs over many paths, and batches for a machine that holds a key and never
//! meets the server.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::access::Act;

/// The act on a cache that adding and removing signatures needs.
pub const SIGNING_NEEDS: Act = Act::Maintain;
/// Paths that a job may name one by one.
pub const MOST_NAMED: usize = 1_000;
/// Narinfos of one batch for another machine.
pub const MOST_IN_BATCH: usize = 1_000;

/// What a job does to the narinfos of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JobAct {
    /// Adds a signature by a key of the cache.
    CounterSign,
    /// Removes the signatures of a key.
    Strip,
}

/// What has to hold before a path is counter-signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContentRule {
    /// Its archive is read again and has the narinfo's NarHash.
    #[default]
    Verify,
    /// It has a valid signature by a key that is active; its archive is not read.
    AcceptSignature,
}

/// Which paths, and what is to happen to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct JobWish {
    /// What to do.
    pub act: JobAct,
    /// Name of the key: whose signatures are added or removed. For counter-signing it may be left
    /// out: the key that signs what is published.
    #[serde(default)]
    pub key: Option<String>,
    /// Hash parts of paths, 1 to 1,000; or none, and `filter` says which.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The query string of a list of paths, as `pin=prod` or `sig=unknown-key&q=hello`; empty: all.
    #[serde(default)]
    pub filter: Option<String>,
    /// What has to hold before a path is counter-signed.
    #[serde(default)]
    pub content: ContentRule,
    /// Whether signatures are also removed where no other good one is left.
    #[serde(default)]
    pub leave_unsigned: bool,
    /// Why, up to 200 characters; removing needs a reason.
    #[serde(default)]
    pub reason: String,
}

/// Why a path of a job was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// There is no narinfo any more.
    Gone,
    /// Its narinfo cannot be read.
    Unreadable,
    /// Its narinfo would crash clients.
    Unsafe,
    /// It is in quarantine, or was purged.
    HeldBack,
    /// Its archive is missing.
    NarMissing,
    /// Its archive has another hash or size than the narinfo says, or is none.
    ContentDiffers,
    /// Its archive cannot be checked here.
    Unchecked,
    /// It has no valid signature by an active key.
    NotVouched,
    /// It has 16 signatures.
    TooMany,
    /// Without this signature no good one would be left.
    OnlySignature,
    /// Others changed its narinfo again and again.
    Contended,
}

impl SkipReason {
    /// In a few words, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Gone => "the narinfo is gone",
            Self::Unreadable => "the narinfo cannot be read",
            Self::Unsafe => "the narinfo would crash clients",
            Self::HeldBack => "in quarantine",
            Self::NarMissing => "the NAR is missing",
            Self::ContentDiffers => "the NAR differs from the narinfo",
            Self::Unchecked => "the NAR cannot be checked here",
            Self::NotVouched => "no valid signature by an active key",
            Self::TooMany => "16 signatures already",
            Self::OnlySignature => "no other good signature would be left",
            Self::Contended => "others kept changing the narinfo",
        }
    }
}

/// How many paths are left as they are for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SkipCount {
    /// The reason.
    pub reason: SkipReason,
    /// The reason in words.
    pub text: String,
    /// Paths.
    pub paths: u64,
}

/// Requests to the bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Requests {
    /// GETs: of narinfos and archives.
    pub get: u64,
    /// PUTs of narinfos.
    pub put: u64,
}

/// What a job would do, by what the index knows: nothing is asked of the bucket, and nothing written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct JobEstimate {
    /// Name of the key.
    pub key: String,
    /// Paths of the selection.
    pub total: u64,
    /// Those whose narinfo would be written.
    pub change: u64,
    /// Those that are already as wanted.
    pub same: u64,
    /// Those left as they are, by reason.
    pub skipped: Vec<SkipCount>,
    /// Bytes of archives to read; a lower bound where sizes are unknown.
    pub read_bytes: u64,
    /// Bytes of narinfos to write.
    pub write_bytes: u64,
    /// Requests to the bucket, about.
    pub requests: Requests,
    /// State of the index that answered.
    pub revision: String,
    /// False while the first index is being built.
    pub complete: bool,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It runs, or waits for its turn.
    Running,
    /// It stands still until somebody resumes it.
    Paused,
    /// Somebody ended it; what was done stays.
    Cancelled,
    /// Every path was looked at.
    Done,
}

impl JobState {
    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done)
    }

    /// The word for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }
}

/// A path that a job left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SkippedBy {
    /// Hash part of the path.
    pub hash: String,
    /// Why.
    pub reason: SkipReason,
}

/// A job that adds or removes signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does.
    pub act: JobAct,
    /// Name of the key.
    pub key: String,
    /// What has to hold before a path is counter-signed.
    pub content: ContentRule,
    /// Which paths, in words.
    pub selection: String,
    /// Why.
    pub reason: String,
    /// Who began it.
    pub by: String,
    /// When.
    pub at: String,
    /// Where it stands.
    pub state: JobState,
    /// Why it stands still, where the server stopped it.
    pub trouble: Option<String>,
    /// Paths of the selection, as counted when it began.
    pub total: u64,
    /// Those that were looked at.
    pub looked_at: u64,
    /// Narinfos that were written.
    pub changed: u64,
    /// Those that were already as wanted.
    pub same: u64,
    /// Those left as they are, by reason.
    pub skipped: Vec<SkipCount>,
    /// Some of these.
    pub examples: Vec<SkippedBy>,
    /// Narinfos that others changed at the same moment, and that were read and judged again.
    pub read_again: u64,
    /// Bytes of archives that were read.
    pub read_bytes: u64,
    /// Requests to the bucket.
    pub requests: Requests,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// What to do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JobCommand {
    /// Stand still after the paths in hand.
    Pause,
    /// Go on where it stood still.
    Resume,
    /// End it. What was done stays.
    Cancel,
}

/// What to do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ControlJob {
    /// What.
    pub command: JobCommand,
}

/// The first line of a batch, and of what comes back.
pub const BATCH_FORMAT: &str = "snowbank-signing-batch-1";

/// Narinfos for a machine that holds a key and never meets the server, with whose signatures they
/// come. Nothing in it is believed there: each is judged again by the keys of that machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SigningBatch {
    /// [`BATCH_FORMAT`].
    pub format: String,
    /// The cache's address, for people.
    pub cache: String,
    /// Store directory of the paths.
    pub store_dir: String,
    /// The public key that is to sign, `name:base64`.
    pub key: String,
    /// The keys by which the server judges, `name:base64`: to compare with, not to believe.
    pub known_keys: Vec<String>,
    /// The narinfos, whole, signatures included.
    pub narinfos: Vec<String>,
    /// Opaque cursor of the next batch; `null` on the last one.
    pub next: Option<String>,
    /// Paths left out of this batch, by reason.
    pub skipped: Vec<SkipCount>,
}

/// What comes back: signatures and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SignedBatch {
    /// [`BATCH_FORMAT`].
    pub format: String,
    /// The public key that signed, `name:base64`.
    pub key: String,
    /// The signatures.
    pub signatures: Vec<BatchSignature>,
}

/// A signature of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BatchSignature {
    /// Hash part of the path.
    pub hash: String,
    /// The text of the `Sig` line.
    pub signature: String,
}

/// What became of signatures that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BatchTaken {
    /// Narinfos that were written.
    pub changed: u64,
    /// Those that had the signature already.
    pub same: u64,
    /// Signatures that do not verify over the narinfo as it is now.
    pub refused: u64,
    /// Paths left as they are, by reason.
    pub skipped: Vec<SkipCount>,
}
