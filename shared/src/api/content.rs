//! Whether the bytes behind a path are what its narinfo says, looked at on demand.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::ContentStatus;

/// What a look at a path's archive found, or how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ContentCheck {
    /// Whether the archive is still being read: ask again.
    pub running: bool,
    /// Bytes of the archive read so far, as they lie in the bucket.
    pub read_bytes: u64,
    /// What the path's content is now known to be.
    pub content: ContentStatus,
    /// Why there is no answer, where the archive could not be read to its end: what the content was
    /// known to be before stays.
    pub reason: Option<String>,
}
