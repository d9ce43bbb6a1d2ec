//! What became needed since a plan was made, and therefore stays.
//!
//! In this order: what is gone, what has another narinfo, what a pin names that did not name it then, what
//! a client fetched; and whatever any of these, or any path that is not on the list, refers to.
//!
//! Fetches are known by days. One on the day of the plan counts, whether it came before or after.

use std::collections::{BTreeSet, HashMap, HashSet};

use snowbank_shared::api::retention::KeptSince;
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::pinned;
use crate::condemned::{Doomed, Spared, place};
use crate::index::{Kept, View};
use crate::site::{Cache, Site};
use crate::usage::{DAY, FetchLog, Fetched};

/// Paths that are named of those that stay.
pub(super) const MOST_NAMED: usize = 100;

/// What was so when a plan was made.
#[derive(Debug, Clone)]
pub(super) struct Then {
    /// When, seconds since 1970.
    pub(super) at: i64,
    /// How many revisions of each pin its rules keep.
    pub(super) revisions: Option<u16>,
    /// What pins named.
    pub(super) pins: Vec<StorePathHash>,
}

/// What is so now: who keeps a path for which reason.
pub(super) struct Now {
    pins: HashMap<StorePathHash, String>,
    fetches: FetchLog,
    then: i64,
}

impl Now {
    /// Reads pins and fetches. Off the reactor.
    pub(super) fn read(site: &Site, cache: &Cache, then: &Then) -> Self {
        Self {
            pins: Self::pins(site, cache, then),
            fetches: cache.usage.fetch_log(&site.ledger, cache.slug.as_str()),
            then: then.at,
        }
    }

    /// The paths that pins keep by the rules of then, or did not name then.
    pub(super) fn pins(site: &Site, cache: &Cache, then: &Then) -> HashMap<StorePathHash, String> {
        let known: HashSet<&StorePathHash> = then.pins.iter().collect();
        let kept = then.revisions.map_or(0, usize::from);
        pinned(&site.ledger, cache.slug.as_str())
            .into_iter()
            .filter(|pinned| pinned.place < kept || !known.contains(&pinned.path))
            .map(|pinned| (pinned.path, format!("{}@{}", pinned.pin, pinned.revision)))
            .collect()
    }

    /// The paths that pins keep.
    pub(super) fn pinned(&self) -> impl Iterator<Item = &StorePathHash> {
        self.pins.keys()
    }

    /// Why a path itself stays, whatever refers to it.
    pub(super) fn keeps(&self, view: &View, path: &Doomed) -> Option<(KeptSince, String)> {
        let Some(id) = view.find(&path.hash) else {
            return Some((KeptSince::Gone, "it is gone already".to_owned()));
        };
        if let Some(pin) = self.pins.get(&path.hash) {
            return Some((KeptSince::Pinned, format!("pinned since: {pin}")));
        }
        if let Fetched::At { day } = self.fetches.fetched(&path.hash)
            && day + DAY > self.then
        {
            return Some((
                KeptSince::Fetched,
                "a client fetched it on the day of the plan or later".to_owned(),
            ));
        }
        let changed = Sha256::digest(&view.narinfo_bytes(id)).to_base16() != path.narinfo;
        changed.then(|| (KeptSince::Changed, "its narinfo is another one".to_owned()))
    }
}

/// What stays of an index where these paths of a list go: everything else, with what it needs. Looks at
/// every path.
pub(super) fn kept_without<'a>(
    view: &View,
    going: impl Iterator<Item = &'a StorePathHash>,
) -> Kept {
    let going: HashSet<_> = going.filter_map(|hash| view.find(hash)).collect();
    let mut kept = view.nothing_kept();
    view.keep(&mut kept, view.ids().filter(|id| !going.contains(id)));
    kept
}

/// What of a whole list stays, some of it by name, and how many. Off the reactor.
pub(super) fn of_plan(
    site: &Site,
    cache: &Cache,
    list: &[Doomed],
    then: &Then,
) -> (Vec<Spared>, u64) {
    let view = cache.index.view();
    let now = Now::read(site, cache, then);
    let mut reasons: HashMap<u32, (KeptSince, String)> = HashMap::new();
    for (at, path) in list.iter().enumerate() {
        if let Some(reason) = now.keeps(&view, path) {
            reasons.insert(place(at), reason);
        }
    }
    let mut pinned = view.nothing_kept();
    view.keep(&mut pinned, now.pinned().filter_map(|hash| view.find(hash)));
    let mut kept = kept_without(&view, list.iter().map(|path| &path.hash));
    let direct = reasons
        .keys()
        .filter_map(|at| view.find(&list[*at as usize].hash));
    view.keep(&mut kept, direct);
    for (at, path) in list.iter().enumerate() {
        let Some(id) = view.find(&path.hash) else {
            continue;
        };
        let reason = if pinned.has(id) {
            (
                KeptSince::Pinned,
                "something that is pinned needs it".to_owned(),
            )
        } else if kept.has(id) {
            (
                KeptSince::Referenced,
                "a path that stays refers to it".to_owned(),
            )
        } else {
            continue;
        };
        reasons.entry(place(at)).or_insert(reason);
    }
    let places: BTreeSet<u32> = reasons.keys().copied().collect();
    let spared = places
        .iter()
        .take(MOST_NAMED)
        .map(|at| spared(&list[*at as usize], reasons[at].clone()))
        .collect();
    (spared, places.len() as u64)
}

/// A path that stays.
pub(super) fn spared(path: &Doomed, (reason, words): (KeptSince, String)) -> Spared {
    Spared {
        hash: path.hash,
        name: path.name.clone(),
        reason,
        words: words.chars().take(200).collect(),
    }
}
