//! Looking, now and then, at what no listing of a bucket shows ([`surroundings`], [`tie`],
//! [`elsewhere`]).

use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Freshness;
use crate::site::{Cache, Site, elsewhere, surroundings, tie};

/// Before the first look: who starts has other things to ask of the bucket.
const FIRST: Duration = Duration::from_secs(60);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(3600);

/// Looks at every cache, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        for cache in &site.caches {
            tokio::select! {
                () = site.closing.cancelled() => return,
                () = surroundings::look(cache, surroundings::GRACE) => {}
            }
            tokio::select! {
                () = site.closing.cancelled() => return,
                () = tie::look(cache) => {}
            }
            tokio::select! {
                () = site.closing.cancelled() => return,
                () = elsewhere::look(cache) => {}
            }
            note(&site, cache).await;
        }
    }
}

/// Writes down how many findings there are today. While the first index is built, nothing is known.
async fn note(site: &Site, cache: &Cache) {
    let view = cache.index.view();
    if view.swept_at().is_none() || site.ledger.freshness() == Freshness::Never {
        return;
    }
    let counts = tokio::task::spawn_blocking(move || surroundings::counted(&view)).await;
    let Ok(counts) = counts else { return };
    let noted = surroundings::note(&site.ledger, cache.slug.as_str(), counts);
    if let Err(error) = noted.await {
        tracing::warn!(cache = %cache.slug, %error, "the day's findings could not be written down");
    }
}
