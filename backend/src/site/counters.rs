//! Counters of one cache, held by the cache itself so that counting a hit is one atomic add.

use prometheus_client::metrics::counter::Counter;

use crate::metrics::{Metrics, NarinfoOutcome};

/// What the substituter did.
pub struct CacheCounters {
    /// Narinfos answered from memory.
    pub hits: Counter,
    /// Narinfos that are not there.
    pub misses: Counter,
    /// Narinfos that are there and not served.
    pub held_back: Counter,
    /// Narinfos that the index lacked and the bucket had.
    pub found_in_bucket: Counter,
    /// Bytes of NARs sent.
    pub nar_bytes: Counter,
}

impl CacheCounters {
    /// The counters of the cache with this slug.
    pub fn of(metrics: &Metrics, slug: &str) -> Self {
        Self {
            hits: metrics.narinfo(slug, NarinfoOutcome::Hit),
            misses: metrics.narinfo(slug, NarinfoOutcome::Absent),
            held_back: metrics.narinfo(slug, NarinfoOutcome::HeldBack),
            found_in_bucket: metrics.narinfo(slug, NarinfoOutcome::FoundInBucket),
            nar_bytes: metrics.nar_bytes(slug),
        }
    }
}
