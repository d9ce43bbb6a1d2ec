//! The keys by which caches judge: those of the configuration, and the contributors' as the ledger
//! has them now. And whom clients are told to trust, which the policy of a cache decides.

use std::sync::Arc;
use std::time::Duration;

use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::signature::{KeyRing, KnownKey};

use crate::intake::{SigningMode, UploadPolicy};
use crate::site::Site;

/// Between two looks where the ledger does not change: keys expire by themselves.
const LOOK: Duration = Duration::from_secs(30);

/// Gives every index the contributors' keys, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let mut changes = site.ledger.subscribe();
    loop {
        give(&site);
        tokio::select! {
            () = site.closing.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn give(site: &Site) {
    let registered = site.access.contributors();
    let contributors: Vec<KnownKey> = registered
        .iter()
        .map(|contributor| KnownKey {
            key: contributor.key.clone(),
            purpose: KeyPurpose::Contributor,
            state: contributor.state,
        })
        .collect();
    for cache in &site.caches {
        let slug = cache.slug.as_str();
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
        let configured = cache.key_ring.keys();
        // A name of the configuration is nobody else's, whatever the registry says.
        let others = contributors.iter().filter(|known| {
            let name = known.key.name();
            configured
                .iter()
                .all(|own| !own.key.name().eq_ignore_ascii_case(name))
        });
        let ring = KeyRing::new(configured.iter().chain(others).cloned());
        if ring.keys() != cache.index.key_ring().keys() {
            cache.index.set_key_ring(Arc::new(ring));
        }
    }
}
