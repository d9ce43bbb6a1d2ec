//! Is it here? And is it upstream?

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::PathRow;

/// What was found for some texts, in every cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Lookup {
    /// One entry per text, in the order asked.
    pub items: Vec<LookupItem>,
}

/// What was found for one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LookupItem {
    /// The text.
    pub q: String,
    /// Why it cannot be looked up: a `p` that is no store path.
    #[serde(default)]
    pub problem: Option<String>,
    /// One entry per cache that may be read.
    pub caches: Vec<LookupCache>,
    /// For a `p` that none of these caches has: what their upstreams say; none where none is
    /// configured.
    #[serde(default)]
    pub upstreams: Vec<UpstreamAnswer>,
}

/// What was found for one text in one cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LookupCache {
    /// The cache's slug.
    pub cache: String,
    /// The first ten paths, by name.
    pub paths: Vec<PathRow>,
    /// How many there are.
    pub total: u64,
    /// False while the first index is being built: what is not found may still be there.
    pub complete: bool,
}

/// Whether a path lies in another cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It has a narinfo there.
    Present,
    /// It said that it has none.
    Absent,
    /// It could not be asked, or did not say.
    Unknown,
}

/// What an upstream says of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UpstreamAnswer {
    /// The upstream's substituter URL, as configured.
    pub url: String,
    /// Whether it has the path.
    pub presence: Presence,
    /// Why that is unknown.
    pub reason: Option<String>,
    /// The path's name, as its narinfo says.
    pub name: Option<String>,
    /// Its NarSize there, bytes.
    pub nar_size: Option<u64>,
    /// Its download size there, bytes.
    pub file_size: Option<u64>,
    /// When it was asked.
    pub checked_at: String,
}
