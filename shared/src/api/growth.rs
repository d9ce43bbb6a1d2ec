//! How a cache grew, and what it served.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// What was added to a cache lately and is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Recent {
    /// When the newest path was first seen; `null` where there is none.
    pub last_added_at: Option<String>,
    /// Paths added on each of the last seven days (UTC), oldest first; the last is today so far.
    pub paths: Vec<u64>,
    /// Bytes unpacked of these paths together.
    pub nar_bytes: u64,
}

/// What this server answered to Nix clients since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Served {
    /// When it started: nothing before that was counted.
    pub since: String,
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not there, or are held back.
    pub misses: u64,
    /// Bytes of NARs sent.
    pub nar_bytes: u64,
}

/// The age of what is in a cache. What was removed since is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Growth {
    /// The days (UTC) on which something was first seen, oldest first.
    pub items: Vec<GrowthDay>,
    /// State of the index that answered.
    pub revision: String,
    /// False while the first index is being built.
    pub complete: bool,
}

/// What was first seen on one day and is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct GrowthDay {
    /// The day: `2026-11-23`.
    pub day: String,
    /// Store paths.
    pub paths: u64,
    /// Their bytes unpacked.
    pub nar_bytes: u64,
}
