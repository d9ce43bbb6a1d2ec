//! What a cache holds back from clients, and what ending a key or a member would mean.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::access::Act;

/// Whether a path that is held back may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HeldBack {
    /// Clients get 404 until an owner lifts it.
    Quarantined,
    /// It was taken out, and is refused for ever.
    Purged,
}

impl HeldBack {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Purged => "purged",
        }
    }
}

/// A path with one content that clients are not served, and that nobody may upload again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct HeldPath {
    /// Hash part of the store path.
    pub hash: String,
    /// The path's name, where the cache has it.
    pub name: Option<String>,
    /// SHA-256 of the NAR.
    pub nar_hash: String,
    /// Whether it may come back.
    pub state: HeldBack,
    /// Why.
    pub reason: String,
    /// Who did it; empty for strangers.
    pub by: String,
    /// When.
    pub at: String,
    /// The act that it was part of; `null` where it was purged.
    pub act: Option<String>,
}

/// One act by which paths were put into quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct QuarantineAct {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Who did it; empty for strangers.
    pub by: String,
    /// When.
    pub at: String,
    /// Paths that it put into quarantine.
    pub paths: u64,
    /// Those that are still there.
    pub left: u64,
    /// Until when it is undone without giving a reason.
    pub undo_until: String,
}

/// What a cache holds back: acts newest first, and a page of the paths by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Quarantine {
    /// The acts of which something is left.
    pub acts: Vec<QuarantineAct>,
    /// The paths, by hash.
    pub items: Vec<HeldPath>,
    /// Opaque cursor of the next page; `null` on the last one.
    pub next: Option<String>,
    /// How many paths are held back.
    pub total: u64,
}

/// Puts paths into quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SetQuarantine {
    /// The paths: full, `hash-name` or the hash; 1 to 1,000.
    pub paths: Vec<String>,
    /// Why, 1 to 200 characters.
    pub reason: String,
}

/// Lets paths out of quarantine: one path, or what an act put there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LiftQuarantine {
    /// Hash part of the path.
    #[serde(default)]
    pub hash: Option<String>,
    /// The act.
    #[serde(default)]
    pub act: Option<String>,
    /// Why. May be empty where an act is undone within 24 hours.
    #[serde(default)]
    pub reason: String,
}

/// How many paths it concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Concerned {
    /// Paths.
    pub paths: u64,
}

/// Which paths a revocation is about, and what becomes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are put into quarantine.
    Hide,
}

/// What ending a key, or a member with all their keys, would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BlastRadius {
    /// Names of the keys that would end.
    pub keys: Vec<String>,
    /// The member whose they are.
    pub owner: String,
    /// Per cache, those without any path left out.
    pub caches: Vec<BlastCache>,
    /// Tokens of the member that work now.
    pub tokens: u64,
    /// Browsers in which the member is signed in now.
    pub sessions: u64,
    /// Keys of the member that wait for a proof or for somebody's yes.
    pub waiting_keys: u64,
    /// Invitations that the member made and nobody has used.
    pub open_invitations: u64,
    /// What waits in the caches by the member: uploads and approvals.
    pub waiting_uploads: u64,
}

/// What came into a cache under some keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BlastCache {
    /// Slug of the cache.
    pub cache: String,
    /// Paths with a good signature by one of the keys.
    pub paths: u64,
    /// Their NAR sizes, bytes.
    pub nar_size: u64,
    /// Those that the cache has signed too: clients keep accepting them.
    pub signed_by_cache: u64,
    /// Those that something else vouches for: another contributor, or the content address.
    pub signed_by_others: u64,
    /// Those for which nothing else vouches: clients refuse them from then on.
    pub only: u64,
    /// Why the caller may not hide the paths of this cache; `null` where they may.
    pub refusal: Option<String>,
}

impl BlastRadius {
    /// Paths in all caches.
    pub fn paths(&self) -> u64 {
        self.caches.iter().map(|cache| cache.paths).sum()
    }
}

/// The act on a cache that putting into quarantine and lifting needs.
pub const QUARANTINE_NEEDS: Act = Act::Manage;
