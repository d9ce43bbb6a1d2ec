//! What pins keep: closures of several roots, and what only one of them holds; and what came in
//! under some keys.

use std::collections::HashSet;

use snowbank_shared::api::SignatureStatus;
use snowbank_shared::api::pins::PinWeight;
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::graph::Graph;
use super::key::base_text;
use super::traverse::Seen;
use super::view::{Id, View, known};

/// Missing references that are named.
const MOST_MISSING: usize = 1_000;
/// No set holds the row.
const NONE: u32 = u32::MAX;
/// Several sets hold it.
const MANY: u32 = u32::MAX - 1;

/// Paths with a good signature by some keys, by what else vouches for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedBy {
    /// The paths.
    pub paths: Vec<Id>,
    /// Their NAR sizes, bytes.
    pub nar_size: u64,
    /// Those that a key of the cache has signed too.
    pub by_cache: u64,
    /// Of the others those that another key or the content address vouches for.
    pub by_others: u64,
    /// Those for which nothing else vouches.
    pub only: u64,
}

/// The closure of some rows, one bit a row.
pub(crate) fn held_rows(graph: &Graph, roots: &[StorePathHash]) -> Vec<u64> {
    let rows: Vec<u32> = roots.iter().filter_map(|hash| graph.find(hash)).collect();
    let (rows, _) = graph.walk_together(&rows, &mut Seen::default());
    let mut bits = vec![0; (graph.rows() as usize).div_ceil(64)];
    for row in rows {
        bits[row as usize / 64] |= 1 << (row % 64);
    }
    bits
}

impl View {
    /// The SHA-256 of a path's NAR, as its narinfo says.
    pub fn nar_hash(&self, id: Id) -> Sha256 {
        Sha256(*self.graph.row(id.0).fields.nar_hash)
    }

    /// When a path was first seen, seconds since 1970.
    pub fn added_at(&self, id: Id) -> i64 {
        i64::from(self.graph.added_at(id.0))
    }

    /// The name of a path.
    pub fn name(&self, id: Id) -> &str {
        self.graph.name(id.0)
    }

    /// Base names of what a path's closure lacks here, at most 1,000. Walks the closure: run it off
    /// the reactor.
    pub fn missing(&self, id: Id) -> Vec<String> {
        let walk = self.pool.with(|seen| self.graph.walk(id.0, seen));
        let named = walk.missing.iter().take(MOST_MISSING).map(|&(code, _)| {
            let (key, name) = self.graph.base_name(code);
            base_text(key, name)
        });
        named.collect()
    }

    /// The paths of a closure, the path itself included. Run it off the reactor.
    pub fn closure_ids(&self, id: Id) -> Vec<Id> {
        let walk = self.pool.with(|seen| self.graph.walk(id.0, seen));
        walk.rows.into_iter().map(Id).collect()
    }

    /// The paths of the closures of several paths together, each once; what is not here is left out.
    /// Run it off the reactor.
    pub fn closure_together(&self, roots: &[StorePathHash]) -> Vec<Id> {
        let graph = &self.graph;
        let rows: Vec<u32> = roots.iter().filter_map(|hash| graph.find(hash)).collect();
        let (rows, _) = graph.walk_together(&rows, &mut Seen::default());
        rows.into_iter().map(Id).collect()
    }

    /// What each of several sets of paths holds alone: of the closures of its paths what no other
    /// set reaches. A NAR that several paths share counts once, and not where a path of another
    /// set has it too. Takes each row in hand twice at most: run it off the reactor.
    pub fn exclusive(&self, sets: &[Vec<StorePathHash>]) -> Vec<PinWeight> {
        let graph = &self.graph;
        let mut holder = vec![NONE; graph.rows() as usize];
        let mut open: Vec<u32> = Vec::new();
        for (set, roots) in (0u32..).zip(sets) {
            let mut reach = |row: u32, open: &mut Vec<u32>| {
                let place = &mut holder[row as usize];
                match *place {
                    NONE => *place = set,
                    // What a set reached before, it reached whole: all below is marked already.
                    held if held == set || held == MANY => return,
                    _ => *place = MANY,
                }
                open.push(row);
            };
            for row in roots.iter().filter_map(|hash| graph.find(hash)) {
                reach(row, &mut open);
            }
            while let Some(row) = open.pop() {
                for row in graph
                    .targets(row)
                    .iter()
                    .filter_map(|&code| graph.resolve(code))
                {
                    reach(row, &mut open);
                }
            }
        }
        let mut weights = vec![
            PinWeight {
                file_size: Some(0),
                ..PinWeight::default()
            };
            sets.len()
        ];
        let mut key = Vec::new();
        for row in graph.all_live() {
            let held = holder[row as usize];
            let Some(weight) = weights.get_mut(held as usize) else {
                continue;
            };
            weight.paths += 1;
            weight.nar_size = weight.nar_size.saturating_add(graph.nar_size(row));
            key.clear();
            graph.push_nar_key(row, &mut key);
            let mut sharing = graph.rows_of_nar(&key);
            sharing.retain(|&other| holder[other as usize] != NONE);
            // The first of those that share it counts it, where all are of this set.
            let counts = sharing
                .iter()
                .all(|&other| other >= row && holder[other as usize] == held);
            if counts {
                let sizes = sharing
                    .iter()
                    .filter_map(|&other| known(graph.file_size(other)));
                weight.file_size = weight
                    .file_size
                    .zip(sizes.max())
                    .map(|(sum, size)| sum.saturating_add(size));
            }
        }
        weights
    }

    /// Paths with a signature that verified under one of these keys, first seen at `since` or later;
    /// `own` are the names of the cache's keys. Looks at every path: run it off the reactor.
    pub fn signed_by(&self, keys: &HashSet<&str>, own: &HashSet<&str>, since: i64) -> SignedBy {
        let graph = &self.graph;
        let layouts: Vec<bool> = graph
            .base
            .layouts
            .values()
            .iter()
            .map(|layout| layout.signers.iter().any(|name| keys.contains(&**name)))
            .collect();
        let mut found = SignedBy::default();
        for row in graph.all_live() {
            let skipped = graph.fresh(row).is_none() && {
                let (chunk, place) = super::chunk::place(row);
                !layouts[graph.base.chunks[chunk].layouts[place] as usize]
            };
            if skipped || i64::from(graph.added_at(row)) < since {
                continue;
            }
            let judged = graph.judged(row);
            let signers = &graph.layout(row).signers;
            let verdicts = || signers.iter().zip(&judged.verdicts);
            let verified = |verdict: SignatureStatus| {
                matches!(
                    verdict,
                    SignatureStatus::Valid
                        | SignatureStatus::ValidRetired
                        | SignatureStatus::ValidRevoked
                )
            };
            if !verdicts().any(|(name, &verdict)| keys.contains(&**name) && verified(verdict)) {
                continue;
            }
            found.paths.push(Id(row));
            found.nar_size = found.nar_size.saturating_add(graph.nar_size(row));
            let good = |name: &str, verdict: SignatureStatus| {
                !keys.contains(name)
                    && matches!(
                        verdict,
                        SignatureStatus::Valid | SignatureStatus::ValidRetired
                    )
            };
            if verdicts().any(|(name, &verdict)| own.contains(&**name) && good(name, verdict)) {
                found.by_cache += 1;
            } else if judged.status == SignatureStatus::NotNeeded
                || verdicts().any(|(name, &verdict)| good(name, verdict))
            {
                found.by_others += 1;
            } else {
                found.only += 1;
            }
        }
        found
    }
}
