//! What receipts prove is shown: content that was verified when it was uploaded stays verified where the
//! index does not know of it, because it was lost, because the server was killed between the narinfo
//! and the index, or because another replica took the upload. An index that was lost learns as well what
//! was found not to be what its narinfo says.
//!
//! Receipts are read once, and then what other processes write: where paths came that nobody has
//! checked, and every few minutes while one of them proves the cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowbank_shared::api::ContentStatus;
use snowbank_shared::narinfo::NarInfo;
use xxhash_rust::xxh3::xxh3_64;

use crate::auth::records::now;
use crate::index::Change;
use crate::ledger::{Freshness, ReadReceipts};
use crate::proofs::{Proof, survey};
use crate::site::{Cache, Site};
use crate::verify::background;

/// Between two looks at whether an index has something new that is not known to be verified.
const LOOK: Duration = Duration::from_secs(2);
/// Looking and reading receipts takes at most this part of the time.
const SHARE: u32 = 50;
/// While another process proves the cache, its receipts are read so often.
const OTHERS: Duration = Duration::from_secs(300);

/// What was found at the last look at a cache.
#[derive(Default)]
struct Looked {
    revision: String,
    version: u64,
    read: ReadReceipts,
    read_at: Option<Instant>,
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
            let looked = looked.entry(cache.slug.to_string()).or_default();
            if looked.next.is_some_and(|next| Instant::now() < next) {
                continue;
            }
            let begin = Instant::now();
            look(&site, cache, looked).await;
            looked.next = Some(Instant::now() + begin.elapsed() * SHARE);
        }
    }
}

async fn look(site: &Site, cache: &Arc<Cache>, looked: &mut Looked) {
    let revision = cache.index.view().revision().to_owned();
    let version = cache.proofs.version();
    let others = looked.read_at.is_none_or(|at| at.elapsed() > OTHERS)
        && background::is_running(&site.ledger, cache.slug.as_str());
    let first = looked.read_at.is_none();
    if !first && !others && looked.revision == revision && looked.version == version {
        return;
    }
    let of = Arc::clone(cache);
    let counting = tokio::task::spawn_blocking(move || {
        let view = of.index.view();
        view.ids()
            .filter(|id| view.content(*id) == ContentStatus::NotChecked)
            .fold((0_u64, 0_u64), |(count, sum), id| {
                let hash = xxh3_64(view.hash(id).as_bytes());
                (count + 1, sum.wrapping_add(hash))
            })
    });
    let Ok(unchecked) = counting.await else {
        return;
    };
    if first || others || (unchecked.0 > 0 && unchecked != looked.unchecked) {
        let slug = cache.slug.as_str();
        match site.ledger.new_receipts(slug, &mut looked.read).await {
            Ok(receipts) => {
                cache.proofs.note(&receipts);
                cache.proofs.have_been_read();
                looked.read_at = Some(Instant::now());
            }
            Err(error) => {
                tracing::info!(cache = slug, %error, "the receipts cannot be read, and are tried again");
                return;
            }
        }
    }
    let of = Arc::clone(cache);
    let shown = tokio::task::spawn_blocking(move || {
        apply(&of);
        count(&of);
    });
    if let Err(error) = shown.await {
        tracing::error!(cache = %cache.slug, %error, "showing what receipts prove failed");
        return;
    }
    looked.unchecked = unchecked;
    // What was applied makes another version, which is looked at once more.
    looked.revision = revision;
    looked.version = version;
}

/// Tells the index what was proven of paths of which it knows nothing. Not for the reactor.
fn apply(cache: &Cache) {
    // Of an index that has all: what it does not know was never found, or may have been mended since.
    let rebuilt = cache.proofs.is_rebuilt();
    let complete = cache.is_complete();
    let (view, moment) = (cache.index.view(), cache.proofs.moment());
    let changes: Vec<Change> = view
        .ids()
        .filter(|id| view.content(*id) == ContentStatus::NotChecked)
        .filter_map(|id| {
            let hash = view.hash(id);
            moment.of(&hash)?;
            // Another narinfo may have been put there since, or another archive named in it.
            let narinfo = NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).ok()?;
            let Proof { content, .. } = cache.proofs.of(&narinfo)?;
            let counts = match content {
                ContentStatus::Verified => true,
                // What is missing or has another size is seen by every listing.
                ContentStatus::Mismatch => rebuilt,
                _ => false,
            };
            counts.then_some(Change::Content(hash, content))
        })
        .collect();
    if !changes.is_empty() {
        cache.index.apply(changes);
    }
    if rebuilt && complete {
        cache.proofs.was_told();
    }
    cache
        .proofs
        .forget_unless(view.len(), |hash| view.find(hash).is_some());
}

/// Counts what is proven. Not for the reactor.
fn count(cache: &Cache) {
    let (view, moment) = (cache.index.view(), cache.proofs.moment());
    let found = survey(&view, &moment, cache.proofs.rate(), now(), 0, |_| false);
    cache.proofs.show(found.figures);
}
