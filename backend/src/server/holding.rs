//! What caches hold back, as the ledger has it now: in memory for the hot paths, in Health for people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ledger::Freshness;
use crate::site::Site;

/// Between two looks where the ledger does not change: paths come and go.
const LOOK: Duration = Duration::from_secs(30);

/// Takes over what is held back; says whether anything of it is new.
pub(super) fn refresh(site: &Site) -> bool {
    let mut news = false;
    for cache in &site.caches {
        news |= cache.withheld.refresh(&site.ledger, cache.slug.as_str());
    }
    news
}

/// Follows the ledger, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let mut changes = site.ledger.subscribe();
    let mut shown_at = None::<Instant>;
    loop {
        let news = refresh(&site);
        let due = shown_at.is_none_or(|shown| shown.elapsed() >= LOOK);
        if (news || due) && site.ledger.freshness() != Freshness::Never {
            shown_at = Some(Instant::now());
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
