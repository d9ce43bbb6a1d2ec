//! What the path browser asks besides its rows: how many paths each filter
//! would show, and what a selection of paths weighs.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// How many paths each value of each filter would show, the other filters of the
/// request applied. Values without paths are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Facets {
    /// Paths that match the whole request.
    pub total: u64,
    /// By signature word, best first; values for `sig`.
    pub signature: Vec<FacetCount>,
    /// By content word; values for `content`.
    pub content: Vec<FacetCount>,
    /// By name of a key among the signers, most paths first, at most 50; values for `key`.
    pub key: Vec<FacetCount>,
    /// By Compression word, most paths first, at most 50; values for `compression`.
    pub compression: Vec<FacetCount>,
    /// By bands of NarSize, smallest first: `min-max` in bytes, either may be missing.
    pub size: Vec<FacetCount>,
    /// By age, in seconds before now: `3600` is added within the last hour, `>7776000` longer ago.
    pub added: Vec<FacetCount>,
    /// Paths that no other refers to.
    pub unreferenced: u64,
    /// Paths for whose content the keys of two people or more vouch.
    pub reproduced: u64,
    /// For each filter in use, by its parameter, how many paths would match without it;
    /// `min` and `max` count as `size`, `since` and `until` as `added`.
    pub without: Vec<FacetCount>,
    /// State of the index that answered.
    pub revision: String,
    /// False while the first index is being built: numbers are then lower bounds.
    pub complete: bool,
}

/// A value of a filter and how many paths it would show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// Paths.
    pub paths: u64,
}

/// What some paths weigh together. What several of them need is counted once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Selection {
    /// Paths of the request that are in this cache.
    pub paths: u64,
    /// Hash parts of the request that are not.
    pub absent: Vec<String>,
    /// Sum of NarSize over these paths alone.
    pub nar_size: u64,
    /// Sum of their download sizes; `null` where one is unknown.
    pub file_size: Option<u64>,
    /// Paths in all their closures together, each once.
    pub closure_paths: u64,
    /// Sum of NarSize over these, each once.
    pub closure_size: u64,
    /// Sum of download sizes over these, each once; `null` where one is unknown.
    pub closure_file_size: Option<u64>,
    /// Closure sizes of the single paths added up, so that what they share is counted more
    /// than once: what they would weigh apart.
    pub closure_size_apart: u64,
    /// References of these closures that this cache lacks.
    pub missing: u64,
    /// Sum of NarSize of what would go from this cache if exactly these paths went: they, and
    /// all that nothing else here refers to then.
    pub added_size: u64,
    /// Paths that would go, these included.
    pub added_paths: u64,
    /// State of the index that answered.
    pub revision: String,
}
