//! Content is proven without anybody asking: what was never read first, then what was read longest ago.
//!
//! ```text
//!  survey: what is due ──▶ one path after the other, within the budget ──▶ index, proofs
//!        ▲                                                                    │
//!        └────────────── receipts, some hundred at once ◀─────────────────────┘
//! ```
//!
//! **Budget.** Bytes a second as they come from the bucket, `verify_rate` of the cache
//! ([`Budget`], [`Rate`]). One archive at a time; while archives are being sent to clients it stands
//! back before each, for two seconds at most, so that a busy cache is proven too.
//!
//! **One process.** The replicas of a server share the work of a cache by a lease, not by parts: the
//! budget is what the bucket is asked for in all, and a replica that goes leaves nothing undone
//! (`lease.rs`). The others learn from the receipts what was proven.
//!
//! **Going on.** There is no cursor. What is due follows from the receipts, so that after a kill the
//! paths of the last minutes are read again and nothing else. Without a verdict (the bucket fails, an
//! archive is packed with what is not unpacked here) a path is left for a day; where the bucket fails,
//! everything waits for a minute.
//!
//! **The first minutes.** Where no rate is set it begins ten minutes after the start: a server that
//! starts has other things to read, and one that starts again and again would read nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use snowbank_shared::store_path::StorePathHash;

use super::lease::{self, BEAT};
use super::{NoVerdict, path_within};
use crate::archive::{ArchiveError, Budget};
use crate::auth::records::now;
use crate::ledger::{Freshness, Receipt};
use crate::proofs::{Rate, survey};
use crate::site::{Cache, Site};

pub use super::lease::is_running;

/// How often it is said in the midst of something long that this process lives.
const BEATING: Duration = Duration::from_secs(BEAT.unsigned_abs());
/// After the start, where no rate is set.
const BEGIN_AFTER: Duration = Duration::from_secs(600);
/// Between two looks at what is due, where nothing was.
const LOOK: Duration = Duration::from_secs(2);
/// Looking takes at most this part of the time.
const SHARE: u32 = 50;
/// Where nothing changed, what is due is looked for again after this.
const IDLE: Duration = Duration::from_secs(600);
/// Paths that are chosen at once.
const BATCH: usize = 512;
/// Receipts that are written together, and how long the first of them waits.
const RECEIPTS: usize = 256;
const RECEIPTS_WAIT: Duration = Duration::from_secs(120);
/// How long a path is left that had no verdict, seconds.
const LEFT: i64 = 86_400;
/// The same for one whose narinfo in the bucket is not the one of the index.
const UNTIL_SWEPT: i64 = 1_800;
/// Paths that are known to have none, at most; beyond, all are tried again.
const MOST_LEFT: usize = 100_000;
/// How long everything waits where the bucket fails.
const BUCKET_WAIT: Duration = Duration::from_secs(60);
/// While archives are sent: between two looks, and how many there are at most.
const STAND_BACK: Duration = Duration::from_millis(200);
const STAND_BACK_MOST: u32 = 10;

/// Proves the content of all caches, until the server ends.
pub async fn run(site: Arc<Site>) {
    let caches = site.caches.iter();
    join_all(caches.map(|cache| Prover::new(&site, cache).run())).await;
}

/// What proves one cache.
struct Prover {
    site: Arc<Site>,
    cache: Arc<Cache>,
    budget: Arc<Budget>,
    /// Without a verdict, and when they are tried again, seconds since 1970.
    left: HashMap<StorePathHash, i64>,
    /// Not written yet, and since when.
    receipts: Vec<Receipt>,
    waiting_since: Instant,
    /// When it was last said that this process has the lease, seconds since 1970.
    beat: Option<i64>,
    /// Bytes of archives that clients had been sent at the last look.
    sent: u64,
    /// When nothing was due: then, and what the index and the proofs were.
    idle: Option<(Instant, String, u64)>,
}

impl Prover {
    fn new(site: &Arc<Site>, cache: &Arc<Cache>) -> Self {
        Self {
            site: Arc::clone(site),
            cache: Arc::clone(cache),
            // What the rate is for this cache is known after the first look.
            budget: Arc::new(Budget::new(
                cache.proofs.rate().a_second(0),
                site.closing.clone(),
            )),
            left: HashMap::new(),
            receipts: Vec::new(),
            waiting_since: Instant::now(),
            beat: None,
            sent: 0,
            idle: None,
        }
    }

    async fn run(mut self) {
        let begin = match self.cache.proofs.rate() {
            Rate::Off => return,
            Rate::Period => BEGIN_AFTER,
            Rate::Bytes(_) => Duration::ZERO,
        };
        let mut pause = begin;
        while self.paused(pause).await {
            if !self.is_ready() || self.is_idle() {
                pause = LOOK;
                continue;
            }
            let looking = Instant::now();
            let due = self.due().await;
            pause = LOOK.max(looking.elapsed() * SHARE);
            if due.is_empty() {
                let revision = self.cache.index.view().revision().to_owned();
                self.idle = Some((looking, revision, self.cache.proofs.version()));
                self.leave().await;
                continue;
            }
            self.idle = None;
            for path in due {
                if !self.has_lease().await {
                    break;
                }
                if let Err(wait) = self.prove(path).await {
                    pause = pause.max(wait);
                    break;
                }
                self.write_receipts(false).await;
            }
            self.write_receipts(true).await;
        }
        self.write_receipts(true).await;
        self.leave().await;
    }

    /// False: the server ends.
    async fn paused(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.site.closing.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Whether it is known what is there and what was proven.
    fn is_ready(&self) -> bool {
        self.cache.is_complete()
            && self.cache.proofs.is_read()
            && matches!(self.site.ledger.freshness(), Freshness::Fresh(_))
    }

    /// Whether nothing was due a moment ago and nothing has changed since.
    fn is_idle(&self) -> bool {
        let Some((at, revision, version)) = &self.idle else {
            return false;
        };
        at.elapsed() < IDLE
            && self.cache.index.view().revision() == revision
            && self.cache.proofs.version() == *version
    }

    /// What is to be read next.
    async fn due(&mut self) -> Vec<StorePathHash> {
        let at = now();
        if self.left.len() > MOST_LEFT {
            self.left.clear();
        }
        self.left.retain(|_, until| *until > at);
        let (cache, left) = (Arc::clone(&self.cache), std::mem::take(&mut self.left));
        let looking = tokio::task::spawn_blocking(move || {
            let (view, moment) = (cache.index.view(), cache.proofs.moment());
            let rate = cache.proofs.rate();
            let found = survey(&view, &moment, rate, at, BATCH, |path| {
                left.contains_key(path)
            });
            (found, left)
        });
        match looking.await {
            Ok((found, left)) => {
                self.left = left;
                self.budget.set_rate(found.figures.rate);
                self.cache.proofs.show(found.figures);
                found.next
            }
            Err(error) => {
                tracing::error!(cache = %self.cache.slug, %error, "looking for what is to be proven panicked");
                Vec::new()
            }
        }
    }

    /// Whether this process is the one that proves the cache; it says so where that is due.
    async fn has_lease(&mut self) -> bool {
        if self.beat.is_some_and(|beat| now() < beat + BEAT) {
            return true;
        }
        match lease::take(&self.site.ledger, self.cache.slug.as_str()).await {
            Ok(true) => {
                self.beat = Some(now());
                true
            }
            Ok(false) => {
                self.beat = None;
                false
            }
            Err(error) => {
                tracing::debug!(cache = %self.cache.slug, %error, "it cannot be written who proves a cache, so nobody does");
                self.beat = None;
                false
            }
        }
    }

    async fn leave(&mut self) {
        if self.beat.take().is_some() {
            lease::leave(&self.site.ledger, self.cache.slug.as_str()).await;
        }
    }

    /// Reads a path. Fails with how long to wait where nothing more is to be read for now.
    async fn prove(&mut self, path: StorePathHash) -> Result<(), Duration> {
        self.stand_back().await;
        let reading = self.read(path).await;
        if self.budget.is_stopped() {
            return Err(Duration::ZERO);
        }
        match reading {
            Ok(true) => {}
            // The next sweep sees what is there now.
            Ok(false) | Err(NoVerdict::Gone) => self.leave_out(path, UNTIL_SWEPT),
            Err(NoVerdict::Bucket | NoVerdict::Archive(ArchiveError::Bucket)) => {
                // Others first, when it answers again: it may be this object.
                self.leave_out(path, LEFT);
                return Err(BUCKET_WAIT);
            }
            Err(error) => {
                tracing::debug!(cache = %self.cache.slug, %path, %error, "a path has no verdict");
                self.leave_out(path, LEFT);
            }
        }
        match self.settled().await {
            true => Ok(()),
            false => Err(Duration::ZERO),
        }
    }

    /// Waits until what was read is paid for: after a large archive, within a small budget, for hours.
    /// False: the server ends.
    async fn settled(&mut self) -> bool {
        let budget = Arc::clone(&self.budget);
        loop {
            tokio::select! {
                settled = budget.settled() => return settled,
                () = tokio::time::sleep(BEATING) => self.live_on().await,
            }
        }
    }

    /// In the midst of something long: others hear that this process lives, and what it proved so far is
    /// written down.
    async fn live_on(&mut self) {
        if let Ok(true) = lease::take(&self.site.ledger, self.cache.slug.as_str()).await {
            self.beat = Some(now());
        }
        self.write_receipts(false).await;
    }

    fn leave_out(&mut self, path: StorePathHash, seconds: i64) {
        self.left.insert(path, now() + seconds);
    }

    /// Reads a path and shows what was found. False: it has another narinfo by now, of which the index
    /// does not know yet or we do not.
    async fn read(&mut self, path: StorePathHash) -> Result<bool, NoVerdict> {
        let (cache, budget) = (Arc::clone(&self.cache), Arc::clone(&self.budget));
        let reading = path_within(&cache, path, Some(&budget));
        tokio::pin!(reading);
        let checked = loop {
            tokio::select! {
                checked = &mut reading => break checked?,
                () = tokio::time::sleep(BEATING) => self.live_on().await,
            }
        };
        let Some(first_seen) = checked.show(&self.cache).await else {
            return Ok(false);
        };
        if !checked.found.reason.is_empty() {
            tracing::warn!(
                cache = %self.cache.slug,
                path = %checked.narinfo.store_path(),
                content = %checked.found.content,
                reason = checked.found.reason,
                "the content of a path is not what its narinfo says"
            );
        }
        let receipt = checked.receipt("server", "background", first_seen);
        self.cache.proofs.note(std::slice::from_ref(&receipt));
        if self.receipts.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.receipts.push(receipt);
        Ok(true)
    }

    /// While archives are sent to clients, waits a little.
    async fn stand_back(&mut self) {
        let counter = &self.cache.counters.nar_bytes;
        for _ in 0..STAND_BACK_MOST {
            let sent = counter.get();
            if sent == self.sent || self.budget.is_stopped() {
                return;
            }
            self.sent = sent;
            tokio::time::sleep(STAND_BACK).await;
        }
    }

    /// Writes the receipts down, where there are enough of them, or `all`. What cannot be written is
    /// read again by another process.
    async fn write_receipts(&mut self, all: bool) {
        let due = self.receipts.len() >= RECEIPTS || self.waiting_since.elapsed() > RECEIPTS_WAIT;
        if self.receipts.is_empty() || !(all || due) {
            return;
        }
        let receipts = std::mem::take(&mut self.receipts);
        let (ledger, slug) = (&self.site.ledger, self.cache.slug.as_str());
        let writing = stream::iter(receipts)
            .map(|receipt| async move { ledger.receipt(slug, &receipt).await });
        let written: Vec<_> = writing.buffer_unordered(RECEIPTS).collect().await;
        let mut failed = written.into_iter().filter_map(Result::err);
        if let Some(error) = failed.next() {
            tracing::warn!(cache = slug, %error, "receipts of what was proven could not be written");
        }
    }
}
