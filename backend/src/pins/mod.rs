//! Pins: names for paths that must stay, with their history.
//!
//! A pin is one record of the ledger, under its name. Each change adds a revision, numbered from 1 for
//! ever: `prod@14` means one path and never another. It keeps its newest revisions, as many as its
//! rule says, and with them everything that their paths need; older ones are forgotten. Unpinning
//! keeps the record, without revisions and with its count, for the same reason.
//!
//! Who changes a pin says which revision they saw, so that two people do not overwrite each other.
//! A path is pinned only where its closure is complete: a pin that cannot be fetched is no pin.
//!
//! A pin that cannot be believed stops plans, runs and purges ([`crate::ledger::kind::PINS`]).
//!
//! Whether the caller may (Act `maintain`) is asked by who calls.

mod change;
mod describe;
mod record;

use std::collections::BTreeMap;

use snowbank_shared::api::pins::PinnedAs;
use snowbank_shared::store_path::StorePathHash;

pub use change::{PinError, Wish, pin, roll_back, unpin};
pub use describe::{MOST_LISTED, detail, list};
pub use record::{PinRecord, Revision};

use crate::ledger::{Entry, Ledger, Scope};

/// Pins of a cache at most.
pub const MOST_PINS: usize = 1_000;
/// Names of pins of a cache at most, those included that were unpinned.
pub const MOST_NAMES: usize = 10_000;
/// Revisions that a pin may keep at most.
pub const MOST_KEPT: u16 = 50;
/// Revisions that a pin keeps where nobody says.
pub const KEPT: u16 = 5;

/// The pins of a cache, by name.
pub fn all(ledger: &Ledger, cache: &str) -> Vec<Entry<PinRecord>> {
    let view = ledger.view();
    view.list::<PinRecord>(Scope::Cache(cache))
        .filter(|pin| pin.newest().is_some())
        .collect()
}

/// A pin of a cache.
pub fn one(ledger: &Ledger, cache: &str, name: &str) -> Option<Entry<PinRecord>> {
    let id = name.parse().ok()?;
    let entry = ledger.view().get::<PinRecord>(Scope::Cache(cache), &id)?;
    entry.newest().is_some().then_some(entry)
}

/// The paths whose closures a pin keeps, or with `*` any pin; `None` where there is no such pin.
pub fn roots(ledger: &Ledger, cache: &str, name: &str) -> Option<Vec<StorePathHash>> {
    let pins = match name {
        "*" => all(ledger, cache),
        name => vec![one(ledger, cache, name)?],
    };
    Some(pins.iter().flat_map(|pin| pin.roots()).collect())
}

/// The pins that name a path, by name.
pub fn naming(ledger: &Ledger, cache: &str, path: StorePathHash) -> Vec<PinnedAs> {
    let mut naming = BTreeMap::new();
    for pin in all(ledger, cache) {
        let revisions = pin.revisions.iter().rev();
        let found = revisions.filter(|revision| revision.path.hash() == path);
        if let Some(revision) = found.map(|revision| revision.number).next() {
            naming.insert(pin.id.to_string(), (revision, revision == pin.last));
        }
    }
    naming
        .into_iter()
        .map(|(name, (revision, current))| PinnedAs {
            name,
            revision,
            current,
        })
        .collect()
}
