//! The keys by which caches judge: those of the configuration, and the contributors' as the ledger
//! has them now. And whom clients are told to trust, which the policy of a cache decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use snowbank_shared::api::KeyState;

use crate::intake::{SigningMode, UploadPolicy};
use crate::signing::follow_keys;
use crate::site::Site;

/// Between two looks where the ledger does not change: keys expire by themselves.
const LOOK: Duration = Duration::from_secs(30);

/// Gives every index the caches' and contributors' keys, until the server ends.
pub(super) async fn follow(site: Arc<Site>, keys_dir: PathBuf) {
    let mut changes = site.ledger.subscribe();
    loop {
        give(&site, &keys_dir);
        tokio::select! {
            () = site.closing.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// The same, once.
pub(super) fn give(site: &Site, keys_dir: &Path) {
    let registered = site.access.contributors();
    for cache in &site.caches {
        let slug = cache.slug.as_str();
        follow_keys(site, cache, keys_dir);
        match UploadPolicy::of(&site.ledger, slug).mode {
            SigningMode::CounterSign => cache.trust.counter_signs(),
            SigningMode::PassThrough => cache.trust.passes_through(
                registered
                    .iter()
                    .filter(|contributor| contributor.state == KeyState::Active)
                    .filter(|contributor| contributor.is_for(slug))
                    .map(|contributor| contributor.key.clone()),
            ),
        }
    }
}
