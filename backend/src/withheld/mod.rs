//! What a cache holds back: paths in quarantine, and paths that were purged.
//!
//! Held back is a pair: a path's hash and the NarHash of its content. Another build of the same path
//! is another pair, and is not held back by it.
//!
//! - *Quarantined*: clients get 404 for the narinfo, and for the NAR unless another served narinfo
//!   names it; nobody may upload it again. An owner lifts it, path by path or as a whole. Nothing is
//!   deleted. Records: `withheld/ACT.PART`, each up to [`MOST_PAIRS`] pairs of one act.
//! - *Purged*: taken out, and refused for ever. Tombstones: `purged/HASH-NARHASH`. Deleting the bytes
//!   is not done here.
//!
//! [`Withheld`] is what the hot paths ask: a map in memory, which follows the ledger. Before the ledger
//! could be read, it holds back what the index remembers of the last time ([`Withheld::remembering`]).

mod acts;
mod findings;
mod record;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

pub use acts::{Lift, UNDO};
pub use record::{Pair, WithheldRecord};

use crate::index::View as IndexView;
use crate::ledger::kind::PURGED;
use crate::ledger::{Freshness, Ledger, RecordId, Scope};

/// Pairs of one record at most: with their texts they stay below the largest record.
pub const MOST_PAIRS: usize = 2_000;
/// Paths in quarantine in one cache at most.
pub const MOST_QUARANTINED: usize = 100_000;
/// Purged paths of one cache at most: each is an object that every replica lists.
pub const MOST_PURGED: usize = 10_000;

/// Why a path is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The content that is held back.
    pub nar_hash: Sha256,
    /// Whether it may come back.
    pub state: HeldBack,
    /// Why.
    pub reason: Arc<str>,
    /// Who did it.
    pub by: Arc<str>,
    /// When, seconds since 1970.
    pub at: i64,
    /// The act that it was part of.
    pub act: Option<Arc<str>>,
}

impl Holding {
    const fn done(&self) -> &'static str {
        match self.state {
            HeldBack::Quarantined => "put into quarantine",
            HeldBack::Purged => "purged",
        }
    }

    /// Why, for somebody who may read the audit or not: why a path was purged may say what leaked.
    pub fn why(&self, may_audit: bool) -> &str {
        match self.state {
            HeldBack::Purged if !may_audit => "",
            HeldBack::Purged | HeldBack::Quarantined => &self.reason,
        }
    }

    /// Who, when and, as far as everybody may know, why, on one line.
    pub fn line(&self) -> String {
        self.told(&format!(" by {}", self.by))
    }

    /// When and, as far as everybody may know, why, for everybody who reads the cache.
    pub fn nameless_line(&self) -> String {
        self.told("")
    }

    fn told(&self, by: &str) -> String {
        let when = crate::auth::records::spelled(self.at);
        let done = format!("{}{by} on {when}", self.done());
        match self.why(false) {
            "" => done,
            why => format!("{done}: {why}"),
        }
    }
}

/// What is held back at one moment.
#[derive(Debug, Default)]
pub struct Held {
    /// By path.
    paths: BTreeMap<StorePathHash, Vec<Holding>>,
    /// Paths that the index remembers as held back, as long as the ledger was not read.
    remembered: HashSet<StorePathHash>,
    /// What of the ledger it was made of; `None` before it was read.
    of: Option<Versions>,
}

/// The records by name and version, and how many tombstones: these only become more.
type Versions = (Vec<(RecordId, u64)>, usize);

impl Held {
    /// The holdings, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&StorePathHash, &Holding)> {
        self.paths
            .iter()
            .flat_map(|(hash, holdings)| holdings.iter().map(move |holding| (hash, holding)))
    }

    /// Those of paths after this one.
    pub fn after(
        &self,
        hash: Option<StorePathHash>,
    ) -> impl Iterator<Item = (&StorePathHash, &Vec<Holding>)> {
        use std::ops::Bound;
        let from = hash.map_or(Bound::Unbounded, Bound::Excluded);
        self.paths.range((from, Bound::Unbounded))
    }

    /// Paths that are held back, and of these those in quarantine.
    pub fn counts(&self) -> (u64, u64) {
        let quarantined = |holding: &&Holding| holding.state == HeldBack::Quarantined;
        let all = self.iter().map(|(_, holding)| holding);
        let quarantined = all.filter(quarantined).count() as u64;
        (self.paths.len() as u64, quarantined)
    }

    /// Why this content of a path is held back.
    pub fn find(&self, hash: &StorePathHash, nar_hash: &Sha256) -> Option<&Holding> {
        let holdings = self.paths.get(hash)?;
        holdings
            .iter()
            .find(|holding| holding.nar_hash == *nar_hash)
    }
}

/// What a cache holds back, as far as this replica knows.
#[derive(Debug, Default)]
pub struct Withheld(ArcSwap<Held>);

impl Withheld {
    /// Holds back what an index remembers, until the ledger says what is so.
    pub fn remembering(view: &IndexView) -> Self {
        Self(ArcSwap::from_pointee(Held {
            paths: BTreeMap::new(),
            remembered: findings::remembered(view),
            of: None,
        }))
    }

    /// What is held back now.
    pub fn held(&self) -> Arc<Held> {
        self.0.load_full()
    }

    /// Whether clients are not served this content of a path. Where nothing at all is held back, that
    /// is all it costs.
    pub fn holds(&self, hash: &StorePathHash, nar_hash: impl FnOnce() -> Option<Sha256>) -> bool {
        let held = self.0.load();
        if held.remembered.contains(hash) {
            return true;
        }
        match held.paths.get(hash) {
            None => false,
            Some(holdings) => nar_hash()
                .is_some_and(|nar_hash| holdings.iter().any(|held| held.nar_hash == nar_hash)),
        }
    }

    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        let held = self.0.load();
        held.paths.is_empty() && held.remembered.is_empty()
    }

    /// Takes over what the ledger says of a cache; says whether that is something new. While it was
    /// never read, nothing changes.
    pub fn refresh(&self, ledger: &Ledger, cache: &str) -> bool {
        if ledger.freshness() == Freshness::Never {
            return false;
        }
        let view = ledger.view();
        let scope = Scope::Cache(cache);
        let records: Vec<_> = view.list::<WithheldRecord>(scope).collect();
        let versions = records
            .iter()
            .map(|record| (record.id.clone(), record.sequence));
        let of = Some((versions.collect(), view.tombstone_count(PURGED, scope)));
        if self.0.load().of == of {
            return false;
        }
        let mut paths: BTreeMap<StorePathHash, Vec<Holding>> = BTreeMap::new();
        // Purged first: it is the stronger word where a pair is both.
        for (id, tombstone) in view.tombstones(PURGED, scope) {
            let Ok(pair) = id.as_str().parse::<Pair>() else {
                continue;
            };
            let unknown = || "unknown".to_owned();
            paths.entry(pair.path).or_default().push(Holding {
                nar_hash: pair.nar_hash,
                state: HeldBack::Purged,
                reason: tombstone.reason.unwrap_or_else(unknown).into(),
                by: tombstone.author.unwrap_or_else(unknown).into(),
                at: tombstone.at.map_or(0, time::OffsetDateTime::unix_timestamp),
                act: None,
            });
        }
        for record in records {
            let (reason, by, act): (Arc<str>, Arc<str>, Arc<str>) = (
                record.reason.as_str().into(),
                record.by.as_str().into(),
                record.act.as_str().into(),
            );
            for pair in record.left() {
                let holdings = paths.entry(pair.path).or_default();
                if holdings.iter().all(|known| known.nar_hash != pair.nar_hash) {
                    holdings.push(Holding {
                        nar_hash: pair.nar_hash,
                        state: HeldBack::Quarantined,
                        reason: Arc::clone(&reason),
                        by: Arc::clone(&by),
                        at: record.at,
                        act: Some(Arc::clone(&act)),
                    });
                }
            }
        }
        self.0.store(Arc::new(Held {
            paths,
            remembered: HashSet::new(),
            of,
        }));
        true
    }

    /// Shows in an index's Health what is held back and lies there. Not for the reactor.
    pub fn show(&self, index: &crate::index::Index) {
        findings::show(&self.held(), index);
    }
}
