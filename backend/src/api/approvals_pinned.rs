//! What an upload that waits would change of what is pinned.

use std::cmp::Reverse;
use std::collections::HashSet;

use snowbank_shared::api::approvals::{ChangedPaths, ComparedPath, PinnedChange};
use snowbank_shared::store_path::{StorePathHash, split_name};

use crate::index::{Id, View};
use crate::intake::waiting::Waiting;
use crate::pins;
use crate::site::{Cache, Site};

/// Pins that are compared at most.
const MOST_PINS: usize = 5;
/// Paths that are named on either side at most, the largest.
const MOST_NAMED: usize = 100;

/// The closure that an upload would have, as far as it is here, and what of it is not.
pub(super) struct Coming<'a> {
    /// Itself and what waits with it.
    pub(super) new: &'a [ComparedPath],
    /// Paths that these refer to and that are here.
    pub(super) here: Vec<StorePathHash>,
}

/// Compares an upload with the pins of its name: those that point to another path of its package, or
/// are called as its package is. Walks closures: run it off the reactor.
pub(super) fn pinned(
    site: &Site,
    cache: &Cache,
    entry: &Waiting,
    coming: &Coming<'_>,
) -> Vec<PinnedChange> {
    let (package, _) = split_name(entry.name());
    let mut of_name: Vec<_> = pins::all(&site.ledger, cache.slug.as_str())
        .into_iter()
        .filter_map(|pin| {
            let newest = pin.newest()?;
            let is_other = newest.path.hash().to_string() != entry.hash();
            let is_same = split_name(newest.path.name()).0 == package || pin.id.as_str() == package;
            (is_other && is_same).then(|| {
                let (number, path) = (newest.number, newest.path.hash());
                (pin.id.to_string(), number, path)
            })
        })
        .collect();
    of_name.sort();
    of_name.truncate(MOST_PINS);
    if of_name.is_empty() {
        return Vec::new();
    }
    let view = cache.index.view();
    let after: HashSet<Id> = view.closure_together(&coming.here).into_iter().collect();
    // What waited and is here by now is in the closure already.
    let new: Vec<&ComparedPath> = coming
        .new
        .iter()
        .filter(|path| {
            let hash = path.hash.parse::<StorePathHash>();
            hash.is_ok_and(|hash| view.find(&hash).is_none())
        })
        .collect();
    of_name
        .into_iter()
        .filter_map(|(pin, revision, path)| {
            let root = view.find(&path)?;
            let before: HashSet<Id> = view.closure_ids(root).into_iter().collect();
            let mut added = changed(&view, after.difference(&before).copied().collect());
            let news = new.iter().map(|path| (*path).clone());
            added.paths += new.len() as u64;
            let new_size = sum(new.iter().map(|path| path.nar_size));
            added.nar_size = added.nar_size.saturating_add(new_size);
            added.items = news.chain(added.items).take(MOST_NAMED).collect();
            Some(PinnedChange {
                pin,
                revision,
                path: view.row(root).into(),
                closure_paths: after.len() as u64 + new.len() as u64,
                closure_size: total(&view, &after).saturating_add(new_size),
                pinned_closure_paths: before.len() as u64,
                pinned_closure_size: total(&view, &before),
                added,
                removed: changed(&view, before.difference(&after).copied().collect()),
            })
        })
        .collect()
}

fn total(view: &View, ids: &HashSet<Id>) -> u64 {
    sum(ids.iter().map(|&id| view.nar_size(id)))
}

/// What others wrote into the bucket says any number.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// These paths, the largest of them by name.
fn changed(view: &View, mut ids: Vec<Id>) -> ChangedPaths {
    let (paths, nar_size) = (
        ids.len() as u64,
        sum(ids.iter().map(|&id| view.nar_size(id))),
    );
    ids.sort_by_key(|&id| (Reverse(view.nar_size(id)), view.hash(id)));
    ids.truncate(MOST_NAMED);
    ChangedPaths {
        paths,
        nar_size,
        items: ids.into_iter().map(|id| view.row(id).into()).collect(),
    }
}
