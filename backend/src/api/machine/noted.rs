//! Records of what a cache offers: whoever asks for a file of these makes the server write it down.
//!
//! A stranger may ask as often as they like, and the ledger writes one record after the other. So of
//! a cache one is written at a time, and none right after one could not be.

use std::time::{Duration, Instant};

use crate::ledger::{Ledger, LedgerError, Record, RecordId, Scope};
use crate::site::Cache;

/// How long nothing is tried after a record could not be written.
const REST: Duration = Duration::from_secs(10);

/// Writes a record, where it is not there and the cache has fewer than `most` of its kind; whether
/// it is kept now. `lost` says in the log what it means where it is not.
pub(super) async fn note<R: Record>(
    ledger: &Ledger,
    cache: &Cache,
    id: &RecordId,
    most: usize,
    record: impl FnOnce() -> R + Send,
    lost: &'static str,
) -> bool {
    let scope = Scope::Cache(cache.slug.as_str());
    let view = ledger.view();
    if view.get::<R>(scope, id).is_some() {
        return true;
    }
    if view.list::<R>(scope).count() >= most {
        return false;
    }
    drop(view);
    let mut failed = cache.noting.lock().await;
    if failed.is_some_and(|at| at.elapsed() < REST) {
        return false;
    }
    match ledger.create(scope, id, "server", record()).await {
        Ok(_) | Err(LedgerError::Exists(_)) => true,
        // It is known without asking the bucket, and Health says so.
        Err(error @ LedgerError::Closed(_)) => {
            tracing::debug!(cache = cache.slug.as_str(), %error, "{lost}");
            false
        }
        Err(error) => {
            *failed = Some(Instant::now());
            tracing::warn!(cache = cache.slug.as_str(), %error, "{lost}");
            false
        }
    }
}
