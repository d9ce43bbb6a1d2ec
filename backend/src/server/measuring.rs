//! Sizes by day: what each whole sweep counted, completed and written down.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::site::{Cache, Site};
use crate::sizes::facts;

/// How long what was measured waits for the state to open.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows the whole sweeps of all caches, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let caches: Vec<_> = site
        .caches
        .iter()
        .map(|cache| one(Arc::clone(&site), Arc::clone(cache)))
        .collect();
    tokio::select! {
        () = site.closing.cancelled() => {}
        _ = join_all(caches) => {}
    }
}

async fn one(site: Arc<Site>, cache: Arc<Cache>) {
    let mut swept = cache.sizes.whole();
    loop {
        let found = swept.borrow_and_update().clone();
        if let Some(found) = found {
            let of = Arc::clone(&cache);
            let figures = tokio::task::spawn_blocking(move || of.index.view().storage(0).unpacked);
            let Ok(unpacked) = figures.await else { return };
            let bucket = cache.bucket.bulk();
            let record = cache.sizes.measure(&bucket, &found, unpacked).await;
            let (of, shown) = (Arc::clone(&cache), Arc::clone(&record));
            let showing = tokio::task::spawn_blocking(move || facts::show(&shown.facts, &of.index));
            if let Err(error) = showing.await {
                tracing::error!(%error, "showing what the bucket does failed");
            }
            // The first sweep may end before the state is open.
            site.ledger.settled(PATIENCE).await;
            if let Err(error) = record.keep(&site.ledger, cache.slug.as_str()).await {
                tracing::warn!(cache = %cache.slug, %error, "the day's sizes could not be written down");
            }
        }
        if swept.changed().await.is_err() {
            return;
        }
    }
}
