//! A cache's own keys, and the change from one to the next without a client losing access.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::KeyState;
use super::access::Act;
use super::signing::{ContentRule, Job};

/// The act on a cache that changing its keys needs.
pub const ROTATION_NEEDS: Act = Act::Manage;
/// Days for which clients may remember a narinfo with its signatures (Nix's `narinfo-cache-positive-ttl`).
pub const OVERLAP_DAYS: i64 = 30;
/// Paths that are named where a step is blocked by them.
pub const MOST_NAMED: usize = 50;

/// Where a secret key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// A file that this server makes in its data folder.
    Server,
    /// A file that the configuration names.
    Config,
    /// On another machine, which signs batches.
    Offline,
}

impl KeyPlace {
    /// In a few words, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Server => "a file in the server's data folder",
            Self::Config => "a file that the configuration names",
            Self::Offline => "another machine",
        }
    }
}

/// A key of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct OwnKey {
    /// Its name.
    pub name: String,
    /// `name:base64`.
    pub public_key: String,
    /// SHA-256 of the 32 raw bytes, hex.
    pub fingerprint: String,
    /// Whether it is believed.
    pub state: KeyState,
    /// Whether clients are told to trust it.
    pub published: bool,
    /// Whether it signs what is published.
    pub signs: bool,
    /// Where its secret is.
    pub place: KeyPlace,
    /// Whether this server holds its secret.
    pub at_hand: bool,
    /// Paths with a valid signature of it.
    pub paths: u64,
}

/// A step of a rotation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RotationStep {
    /// The new key exists.
    Create,
    /// Clients are told to trust it beside the old one, and what is published is signed by both.
    Distribute,
    /// What is here already gets its signature.
    Resign,
    /// Clients forget the narinfos that they remember without it.
    Overlap,
    /// The old key signs no more.
    Switch,
    /// Clients are told to trust the new key alone.
    Retire,
}

impl RotationStep {
    /// All, in their order.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Distribute,
        Self::Resign,
        Self::Overlap,
        Self::Switch,
        Self::Retire,
    ];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Distribute => "distribute",
            Self::Resign => "resign",
            Self::Overlap => "overlap",
            Self::Switch => "switch",
            Self::Retire => "retire",
        }
    }

    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Create => "Create the new key",
            Self::Distribute => "Distribute both keys",
            Self::Resign => "Counter-sign what is here",
            Self::Overlap => "Wait until clients forget old answers",
            Self::Switch => "Stop signing with the old key",
            Self::Retire => "Retire the old key",
        }
    }
}

/// A step and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RotationStepState {
    /// Which.
    pub step: RotationStep,
    /// When it was done; `null`: not yet.
    pub done_at: Option<String>,
    /// Why it cannot be done now; `null`: it can, or it is done.
    pub blocked: Option<String>,
}

/// A path that is in the way of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct InTheWay {
    /// Hash part.
    pub hash: String,
    /// Name.
    pub name: String,
}

/// How far the new key's signatures reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RotationCoverage {
    /// Paths with a valid signature of the old key.
    pub old: u64,
    /// Paths with a valid signature of the new key.
    pub new: u64,
    /// Paths that clients would refuse without the old key: nothing else that they trust has signed them.
    pub only_old: u64,
    /// The NAR sizes of these, bytes.
    pub only_old_bytes: u64,
    /// Some of these, up to 50.
    pub examples: Vec<InTheWay>,
}

/// A rotation under way, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RotationState {
    /// Name of the old key.
    pub old: String,
    /// Name of the new key.
    pub new: String,
    /// Where the new key's secret is.
    pub place: KeyPlace,
    /// Who began it.
    pub by: String,
    /// Its steps.
    pub steps: Vec<RotationStepState>,
    /// The step that comes next; `null` where all are done.
    pub next: Option<RotationStep>,
    /// How far the new key's signatures reach.
    pub coverage: RotationCoverage,
    /// The job that counter-signs, where one was begun.
    pub job: Option<Job>,
    /// Until when clients may remember narinfos without the new signature.
    pub overlap_until: Option<String>,
    /// Why somebody did not wait so long.
    pub shortened: Option<String>,
}

/// The keys of a cache, and its rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Rotation {
    /// The cache's own keys.
    pub keys: Vec<OwnKey>,
    /// The rotation under way, or the last one; `null` where there was none.
    pub rotation: Option<RotationState>,
    /// A name for the next key.
    pub suggested_name: String,
}

/// Begins a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BeginRotation {
    /// Name of the key that goes.
    pub old: String,
    /// Name of the new key: never one that was used.
    pub name: String,
    /// Where its secret is.
    pub place: KeyPlace,
    /// `name:base64` of a key on another machine.
    #[serde(default)]
    pub public_key: Option<String>,
}

/// Goes a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct GoStep {
    /// Which.
    pub step: RotationStep,
    /// For `resign`: what has to hold before a path is signed.
    #[serde(default)]
    pub content: ContentRule,
    /// For `overlap`: ends the waiting before its time, and why.
    #[serde(default)]
    pub shorten: Option<String>,
    /// For `switch` to a key on another machine: uploads are refused from then on, and that is meant.
    #[serde(default)]
    pub accept: bool,
}

/// What becomes of the paths that were accepted on the word of a key that is revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RevokeThen {
    /// They stay as they are.
    #[default]
    Keep,
    /// Those that nothing else vouches for are put into quarantine: clients get 404.
    Hide,
    /// The key's signatures are removed from all narinfos, by a job.
    Strip,
}

/// Revokes a key of the cache at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RevokeOwnKey {
    /// Name of the key.
    pub key: String,
    /// The same again, so that nobody does it by accident.
    pub confirm: String,
    /// When somebody else may have had it: a date or RFC 3339; `null`: from the beginning.
    #[serde(default)]
    pub since: Option<String>,
    /// What becomes of the paths.
    #[serde(default)]
    pub then: RevokeThen,
    /// Why, 1 to 200 characters.
    pub reason: String,
}

/// What revoking a key of the cache would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Revocation {
    /// Name of the key.
    pub key: String,
    /// Paths with a good signature by it, first seen since then.
    pub paths: u64,
    /// Their NAR sizes, bytes.
    pub nar_size: u64,
    /// Those for which nothing else vouches.
    pub only: u64,
    /// Some of these, up to 50.
    pub examples: Vec<InTheWay>,
    /// Why it cannot be revoked now; `null`: it can.
    pub blocked: Option<String>,
    /// The notice to send, with what to remove on each platform.
    pub notice: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Revoked {
    /// Paths that were put into quarantine.
    pub hidden: u64,
    /// The job that removes the signatures.
    pub job: Option<Job>,
    /// The notice to send.
    pub notice: String,
}
