//! What caches hold back, as the ledger has it now: in memory for the hot paths, in Health for people.

use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Freshness;
use crate::site::Site;

/// Between two looks where the ledger does not change: paths come and go.
const LOOK: Duration = Duration::from_secs(30);

/// Takes over what is held back, before anybody is answered.
pub(super) fn refresh(site: &Site) {
    for cache in &site.caches {
        cache.withheld.refresh(&site.ledger, cache.slug.as_str());
    }
}

/// Follows the ledger, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let mut changes = site.ledger.subscribe();
    loop {
        refresh(&site);
        if site.ledger.freshness() != Freshness::Never {
            let shown = Arc::clone(&site);
            let shown = tokio::task::spawn_blocking(move || {
                for cache in &shown.caches {
                    cache.withheld.show(&cache.index);
                }
            });
            if let Err(error) = shown.await {
                tracing::error!(%error, "showing what is held back failed");
            }
        }
        tokio::select! {
            () = site.closing.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
