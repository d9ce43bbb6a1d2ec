//! What rules would keep and remove. A pure function: nothing is read or written.

use std::cmp::Reverse;
use std::collections::HashSet;

use snowbank_shared::api::retention::{
    ListedPath, PackageWeight, PathGroup, Rules, Simulation, Weight,
};

use super::applied::{Applied, Facts};
use crate::auth::records::spelled;
use crate::index::{Id, Kept, View};
use crate::usage::{DAY, Fetched};

/// Packages that are named.
const MOST_PACKAGES: usize = 20;
/// Paths of a group that are named.
const MOST_LISTED: usize = 100;
/// Days within which a fetch says that somebody will miss a path.
const AT_RISK_DAYS: u32 = 30;

/// Simulates. A suggestion, prices, paths that others wrote and what stops plans are for who asks to add. Looks at
/// every path: run it off the reactor.
pub fn simulate(facts: Facts<'_>, rules: &Rules) -> Simulation {
    let view = facts.view;
    let applied = Applied::new(facts, rules);
    let (kept, grace) = kept(view, &applied);
    let removal = view.removal(&kept);
    let frees = Weight {
        paths: removal.going.len() as u64,
        bytes: removal.freed(),
    };
    let risky: Vec<Id> = removal
        .going
        .iter()
        .copied()
        .filter(|id| applied.fetched_since(*id, AT_RISK_DAYS))
        .collect();
    // What is known to be fetched is told also where not all of the days were measured; that nothing was
    // is said only where they were.
    let measured = facts
        .fetches
        .fully_measured_since()
        .is_some_and(|since| since <= facts.now - i64::from(AT_RISK_DAYS) * DAY);
    let mut pins: Vec<&str> = facts.pins.iter().map(|pinned| &*pinned.pin).collect();
    pins.dedup();
    Simulation {
        rules: rules.clone(),
        now: Weight {
            paths: removal.paths,
            bytes: removal.bytes,
        },
        after: Weight {
            paths: removal.paths - frees.paths,
            bytes: removal.bytes.saturating_sub(frees.bytes),
        },
        frees,
        packages: view
            .going_by_package(&kept, &removal, MOST_PACKAGES)
            .into_iter()
            .map(|(name, paths, bytes)| PackageWeight { name, paths, bytes })
            .collect(),
        at_risk: (measured || !risky.is_empty()).then(|| group(view, &applied, risky)),
        grace: group(view, &applied, grace),
        disabled: applied.disabled().into_iter().collect(),
        no_rules: !applied.is_on(),
        foreign_paths: 0,
        pins: pins.len() as u64,
        refusal: None,
        revision: view.revision().to_owned(),
        as_of: view.swept_at().map(spelled),
        suggested: None,
        saves_monthly: None,
        currency: None,
    }
}

/// What rules keep, with what it needs; and what of it is only new.
pub(super) fn kept(view: &View, applied: &Applied<'_>) -> (Kept, Vec<Id>) {
    let mut kept = view.nothing_kept();
    let mut grace = Vec::new();
    if applied.is_on() {
        view.keep(&mut kept, applied.roots());
        grace = view
            .ids()
            .filter(|id| !kept.has(*id) && applied.is_new(*id))
            .collect();
        view.keep(&mut kept, grace.iter().copied());
    } else {
        view.keep(&mut kept, view.ids());
    }
    (kept, grace)
}

/// Paths, largest first; a NAR that several of them share counts once.
fn group(view: &View, applied: &Applied<'_>, mut ids: Vec<Id>) -> PathGroup {
    let mut archives = HashSet::new();
    let mut all = Weight {
        paths: ids.len() as u64,
        bytes: 0,
    };
    for id in &ids {
        let mut url = view.url(*id);
        url.truncate(url.find('?').unwrap_or(url.len()));
        if archives.insert(url) {
            all.bytes = all.bytes.saturating_add(view.file_size(*id).unwrap_or(0));
        }
    }
    ids.sort_unstable_by_key(|id| (Reverse(view.file_size(*id)), view.hash(*id)));
    ids.truncate(MOST_LISTED);
    let listed = |id: Id| ListedPath {
        hash: view.hash(id).to_string(),
        name: view.name(id).to_owned(),
        bytes: view.file_size(id),
        fetched_at: match applied.fetched(id) {
            Fetched::At { day } => Some(spelled(day)),
            Fetched::Never { .. } | Fetched::NotMeasured => None,
        },
        added_at: Some(view.added_at(id))
            .filter(|added| *added > 0)
            .map(spelled),
    };
    PathGroup {
        all,
        items: ids.into_iter().map(listed).collect(),
    }
}
