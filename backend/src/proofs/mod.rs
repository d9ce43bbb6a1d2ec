//! When the content of each path was read and proven last.
//!
//! ```text
//!  receipts (bucket) ──▶ read once, then what is new ──┐
//!  checks of this process ─────────────────────────────┴─▶ Proofs ──▶ path, Health, /metrics
//!                                                             │
//!                                   survey: what is due next ◀┘
//! ```
//!
//! **What counts.** A proof is of what a narinfo claimed of its archive at that time
//! ([`claims_of`](crate::ledger::claims_of)): of another narinfo it says nothing. The newest look at a
//! path counts, whatever it found: an old proof does not lift a mismatch that was found later.
//!
//! **Memory.** 32 bytes a path, sorted; what is new lies beside in a map until it is worth merging.

mod figures;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use snowbank_shared::api::ContentStatus;
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use crate::index::View;
use crate::ledger::{Receipt, claims_of};

pub use figures::{Figures, PERIOD, Rate, Survey, survey};

/// What is new is merged once it is more than this, and a sixteenth of the rest.
const FEW: usize = 4_096;

/// A cache of so many paths at most is counted anew where somebody asks: some milliseconds.
const COUNTED_WHEN_ASKED: u64 = 20_000;

/// A look at an archive, every byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// When, seconds since 1970.
    pub at: i64,
    /// What it was found to be.
    pub content: ContentStatus,
}

/// As it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    at: u32,
    /// The beginning of the hash of what the narinfo claimed.
    of: [u8; 7],
    /// The place of the word in [`ContentStatus::ALL`].
    content: u8,
}

impl Kept {
    fn new(at: i64, of: Sha256, content: ContentStatus) -> Self {
        let place = ContentStatus::ALL.iter().position(|word| *word == content);
        Self {
            at: u32::try_from(at.max(0)).unwrap_or(u32::MAX),
            of: beginning(of),
            content: place
                .and_then(|place| u8::try_from(place).ok())
                .unwrap_or(u8::MAX),
        }
    }

    fn proof(self) -> Proof {
        let content = ContentStatus::ALL.get(usize::from(self.content));
        Proof {
            at: i64::from(self.at),
            content: content.copied().unwrap_or(ContentStatus::NotChecked),
        }
    }
}

fn beginning(of: Sha256) -> [u8; 7] {
    let mut begin = [0; 7];
    begin.copy_from_slice(&of.0[..7]);
    begin
}

/// What receipts of versions before this one say of the archive.
fn old_claims(nar_hash: &str, nar_key: &str) -> Sha256 {
    Sha256::digest(format!("before\n{nar_hash}\n{nar_key}").as_bytes())
}

/// One version of what is known.
#[derive(Debug, Clone, Default)]
struct Known {
    /// By path.
    sorted: Arc<Vec<(StorePathHash, Kept)>>,
    fresh: HashMap<StorePathHash, Kept>,
}

impl Known {
    fn get(&self, path: &StorePathHash) -> Option<Kept> {
        if let Some(kept) = self.fresh.get(path) {
            return Some(*kept);
        }
        let at = self.sorted.binary_search_by_key(path, |(path, _)| *path);
        at.ok().map(|at| self.sorted[at].1)
    }

    fn add(&mut self, path: StorePathHash, kept: Kept) {
        if self.get(&path).is_none_or(|known| known.at <= kept.at) {
            self.fresh.insert(path, kept);
        }
    }

    fn merge(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        let mut all = Vec::with_capacity(self.sorted.len() + fresh.len());
        let old = self.sorted.iter().copied();
        all.extend(old.filter(|(path, _)| !fresh.contains_key(path)));
        all.extend(fresh);
        all.sort_unstable_by_key(|(path, _)| *path);
        self.sorted = Arc::new(all);
    }
}

/// What is known of the proofs of a cache, in this process.
#[derive(Debug)]
pub struct Proofs {
    rate: Rate,
    known: Mutex<Known>,
    version: AtomicU64,
    figures: Mutex<Option<Arc<Figures>>>,
    /// Whether the receipts were read once.
    read: AtomicBool,
    /// Whether the index began empty, so that what checks had found is not in it.
    rebuilt: AtomicBool,
}

/// All proofs at one moment.
pub struct Moment {
    known: Known,
    version: u64,
}

impl Moment {
    /// The last look at a path, whatever narinfo it was of.
    pub fn of(&self, path: &StorePathHash) -> Option<Proof> {
        self.known.get(path).map(Kept::proof)
    }
}

impl Proofs {
    /// Of a cache that is proven at this rate; `rebuilt`: its index begins empty.
    pub fn new(rate: Rate, rebuilt: bool) -> Self {
        Self {
            rate,
            known: Mutex::default(),
            version: AtomicU64::new(0),
            figures: Mutex::default(),
            read: AtomicBool::new(false),
            rebuilt: AtomicBool::new(rebuilt),
        }
    }

    /// How fast it is to be proven.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Grows whenever something is noted.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Whether all receipts that there were at the start have been read.
    pub fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// Notes what receipts say, each over those before it. Those that say nothing of content are left
    /// out. With these, all receipts that there were have been read.
    pub fn note(&self, receipts: &[Receipt]) {
        let looks = receipts.iter().filter_map(look);
        let mut known = self.lock();
        let mut some = false;
        for (path, kept) in looks {
            known.add(path, kept);
            some = true;
        }
        if known.fresh.len() > FEW && known.fresh.len() > known.sorted.len() / 16 {
            known.merge();
        }
        drop(known);
        if some {
            self.version.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From now on [`is_read`](Self::is_read).
    pub fn have_been_read(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Whether the index began empty and was not told yet what checks had found.
    pub fn is_rebuilt(&self) -> bool {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// The whole index was told.
    pub fn was_told(&self) {
        self.rebuilt.store(false, Ordering::Relaxed);
    }

    /// Forgets paths that are gone, where those are most of what is known.
    pub fn forget_unless(&self, paths: u64, is_there: impl Fn(&StorePathHash) -> bool) {
        let mut known = self.lock();
        let most = usize::try_from(paths).unwrap_or(usize::MAX);
        if known.sorted.len() <= most.saturating_mul(2).saturating_add(FEW) {
            return;
        }
        let there = known.sorted.iter().filter(|(path, _)| is_there(path));
        known.sorted = Arc::new(there.copied().collect());
    }

    /// The last look at the archive that this narinfo names, where it was for what that says of it.
    pub fn of(&self, narinfo: &NarInfo) -> Option<Proof> {
        let kept = self.lock().get(&narinfo.store_path().hash())?;
        let fits = kept.of == beginning(claims_of(narinfo)) || {
            let nar_hash = format!("sha256:{}", narinfo.nar_hash().to_nix32());
            kept.of == beginning(old_claims(&nar_hash, &narinfo.nar_key()))
        };
        fits.then(|| kept.proof())
    }

    /// All as it is now.
    pub fn moment(&self) -> Moment {
        // What is noted meanwhile may be in it: then it is counted once more.
        let version = self.version();
        let known = self.lock().clone();
        Moment { known, version }
    }

    /// The figures of this version of the index. Of a small one they are counted now where they are not
    /// of it; of a large one they are those that were counted last. Not for the reactor.
    pub fn figures_of(&self, view: &View, now: i64) -> Option<Arc<Figures>> {
        let known = self.figures();
        let version = self.version();
        let current = known
            .as_ref()
            .is_some_and(|known| known.revision == view.revision() && known.version == version);
        if current || view.len() > COUNTED_WHEN_ASKED {
            return known;
        }
        let found = survey(view, &self.moment(), self.rate, now, 0, |_| false);
        self.show(found.figures);
        self.figures()
    }

    /// The figures that were counted last.
    pub fn figures(&self) -> Option<Arc<Figures>> {
        let figures = self.figures.lock();
        figures.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows new figures.
    pub fn show(&self, figures: Figures) {
        let mut shown = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Some(Arc::new(figures));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The look that a receipt tells of.
fn look(receipt: &Receipt) -> Option<(StorePathHash, Kept)> {
    let (at, content) = match (&receipt.refuted, receipt.verified_at) {
        (Some(refuted), _) => (refuted.at, refuted.content),
        (None, Some(at)) => (at, ContentStatus::Verified),
        (None, None) => return None,
    };
    let claims = match &receipt.claims {
        Some(claims) => claims.parse().ok()?,
        None => old_claims(&receipt.nar_hash, &receipt.nar_key),
    };
    let path = receipt.path.parse().ok()?;
    Some((path, Kept::new(at, claims, content)))
}

#[cfg(test)]
mod tests;
