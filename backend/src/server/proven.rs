//! What receipts prove is shown: content that was verified when it was uploaded stays verified where the
//! index does not know of it, because it was lost, because the server was killed between the narinfo
//! and the index, or because another replica took the upload.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowbank_shared::api::ContentStatus;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use xxhash_rust::xxh3::xxh3_64;

use crate::index::{Change, Index};
use crate::ledger::{Freshness, Receipt};
use crate::site::{Cache, Site};

/// Between two looks at whether an index has something new that is not known to be verified.
const LOOK: Duration = Duration::from_secs(2);
/// Reading all receipts takes at most this part of the time.
const SHARE: u32 = 50;

/// What was found at the last look at a cache.
#[derive(Default)]
struct Looked {
    revision: String,
    /// Which paths nobody has checked, as far as the index knows: their number and a sum of their hashes.
    unchecked: (u64, u64),
    /// Not before this moment again.
    next: Option<Instant>,
}

/// Shows it in every index, until the server ends.
pub(super) async fn show(site: Arc<Site>) {
    let mut looked: HashMap<String, Looked> = HashMap::new();
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        // Before the state is open there is nothing to read.
        if site.ledger.freshness() == Freshness::Never {
            continue;
        }
        for cache in &site.caches {
            look(
                &site,
                cache,
                looked.entry(cache.slug.to_string()).or_default(),
            )
            .await;
        }
    }
}

async fn look(site: &Site, cache: &Cache, looked: &mut Looked) {
    let view = cache.index.view();
    let revision = view.revision().to_owned();
    if looked.revision == revision || looked.next.is_some_and(|next| Instant::now() < next) {
        return;
    }
    let counted = tokio::task::spawn_blocking(move || {
        view.ids()
            .filter(|id| view.content(*id) == ContentStatus::NotChecked)
            .fold((0_u64, 0_u64), |(count, sum), id| {
                let hash = xxh3_64(view.hash(id).as_bytes());
                (count + 1, sum.wrapping_add(hash))
            })
    });
    let Ok(unchecked) = counted.await else {
        return;
    };
    let before = std::mem::replace(&mut looked.unchecked, unchecked);
    looked.revision = revision;
    if unchecked.0 == 0 || unchecked == before {
        return;
    }
    let begin = Instant::now();
    match site.ledger.receipts(cache.slug.as_str()).await {
        Ok(known) => {
            let (index, store_dir) = (cache.index.clone(), cache.store_dir.clone());
            let shown = tokio::task::spawn_blocking(move || {
                apply(&index, &store_dir, &known.receipts);
            });
            if let Err(error) = shown.await {
                tracing::error!(cache = %cache.slug, %error, "showing what receipts prove failed");
            }
        }
        Err(error) => {
            tracing::info!(cache = %cache.slug, %error, "the receipts cannot be read, and are tried again");
            looked.unchecked = (0, 0);
            looked.revision.clear();
        }
    }
    looked.next = Some(Instant::now() + begin.elapsed() * SHARE);
}

/// Not for the reactor.
fn apply(index: &Index, store_dir: &StoreDir, receipts: &[Receipt]) {
    let view = index.view();
    let proven = receipts
        .iter()
        .filter(|receipt| receipt.verified_at.is_some());
    let changes: Vec<Change> = proven
        .filter_map(|receipt| {
            let hash: StorePathHash = receipt.path.parse().ok()?;
            let id = view.find(&hash)?;
            if view.content(id) != ContentStatus::NotChecked {
                return None;
            }
            // Another narinfo may have been put there since, or another archive named in it.
            let narinfo = NarInfo::parse(&view.narinfo_bytes(id), store_dir).ok()?;
            let nar_hash = format!("sha256:{}", narinfo.nar_hash().to_nix32());
            let same = nar_hash == receipt.nar_hash && *narinfo.nar_key() == *receipt.nar_key;
            same.then_some(Change::Content(hash, ContentStatus::Verified))
        })
        .collect();
    if !changes.is_empty() {
        index.apply(changes);
    }
}
