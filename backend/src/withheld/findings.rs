//! Held back paths in Health: for people, and so that a start without the ledger still knows them.

use std::collections::{BTreeMap, HashSet};

use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::api::{Finding, Severity};
use snowbank_shared::store_path::StorePathHash;

use super::Held;
use crate::index::{Change, Index, View};

/// The checks: paths in quarantine, and purged content that lies in the bucket again.
const CHECKS: [&str; 2] = ["quarantined", "purged"];

const fn check(state: HeldBack) -> &'static str {
    state.as_str()
}

/// The findings of a check, by object, with their reasons.
fn shown(view: &View, check: &str) -> BTreeMap<String, String> {
    view.noted(check)
        .map(|finding| (finding.object.clone(), finding.reason.clone()))
        .collect()
}

/// The paths that an index shows as held back.
pub(super) fn remembered(view: &View) -> HashSet<StorePathHash> {
    CHECKS
        .iter()
        .flat_map(|check| shown(view, check).into_keys())
        .filter_map(|object| StorePathHash::from_narinfo_key(&object))
        .collect()
}

/// Holds what an index shows against what is so.
pub(super) fn show(held: &Held, index: &Index) {
    let view = index.view();
    let mut over: BTreeMap<&str, BTreeMap<String, String>> = CHECKS
        .iter()
        .map(|check| (*check, shown(&view, check)))
        .collect();
    let mut changes = Vec::new();
    for (hash, holding) in held.iter() {
        let Some(id) = view.find(hash) else { continue };
        if view.nar_hash(id) != holding.nar_hash {
            continue;
        }
        let check = check(holding.state);
        let object = hash.narinfo_key();
        let reason = format!("clients are not served it: {}", holding.nameless_line());
        let before = over.get_mut(check).and_then(|shown| shown.remove(&object));
        if before.as_ref() != Some(&reason) {
            changes.push(Change::Finding(Finding {
                check: check.to_owned(),
                severity: Severity::Warning,
                object,
                line: None,
                reason,
                hash: Some(hash.to_string()),
            }));
        }
    }
    for (check, objects) in over {
        changes.extend(
            objects
                .into_keys()
                .map(|object| Change::Settled(check.to_owned(), object)),
        );
    }
    if !changes.is_empty() {
        index.apply(changes);
    }
}
