//! What some paths weigh together, and what would go if they went.

use std::collections::{HashMap, HashSet};

use snowbank_shared::api::Selection;
use snowbank_shared::store_path::StorePathHash;

use super::graph::Graph;
use super::traverse::Seen;
use super::view::{Id, View, known};

/// A number of paths and the sum of their NarSizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) paths: u64,
    pub(crate) nar_size: u64,
}

impl Graph {
    /// The closures of some rows as one set: its rows, and how many references are missing.
    pub(crate) fn walk_together(&self, roots: &[u32], seen: &mut Seen) -> (Vec<u32>, u64) {
        seen.begin(self.nodes());
        let mut rows: Vec<u32> = Vec::with_capacity(roots.len());
        rows.extend(roots.iter().filter(|&&row| seen.insert(row as usize)));
        // An absent path may have several codes; it is one path.
        let mut missing = HashSet::new();
        let mut at = 0;
        while at < rows.len() {
            for &code in self.targets(rows[at]) {
                match self.resolve(code) {
                    Some(row) if seen.insert(row as usize) => rows.push(row),
                    Some(_) => {}
                    None => {
                        missing.insert(self.base_name(code));
                    }
                }
            }
            at += 1;
        }
        (rows, missing.len() as u64)
    }

    /// What goes if these rows go: they themselves, whoever refers to them, and each row all
    /// of whose referrers go. Of a cycle of references nothing goes but by a root within.
    pub(crate) fn goes_with(&self, roots: &[u32]) -> Weight {
        let mut going: HashSet<u32> = roots.iter().copied().collect();
        let mut queue: Vec<u32> = going.iter().copied().collect();
        // Referrers that stay so far, of rows that lose one.
        let mut staying: HashMap<u32, u64> = HashMap::new();
        let mut weight = Weight::default();
        while let Some(row) = queue.pop() {
            weight.paths += 1;
            weight.nar_size = weight.nar_size.saturating_add(self.nar_size(row));
            let mut targets: Vec<u32> = self
                .targets(row)
                .iter()
                .filter_map(|&code| self.resolve(code))
                .filter(|&target| target != row)
                .collect();
            targets.sort_unstable();
            targets.dedup();
            for target in targets {
                if going.contains(&target) {
                    continue;
                }
                let left = staying
                    .entry(target)
                    .or_insert_with(|| self.referrer_count(target));
                *left = left.saturating_sub(1);
                if *left == 0 {
                    going.insert(target);
                    queue.push(target);
                }
            }
        }
        weight
    }
}

impl View {
    /// What some paths weigh together; hashes that come twice count once. Walks their
    /// closures: run it off the reactor.
    pub fn selection(&self, hashes: &[StorePathHash]) -> Selection {
        let graph = &self.graph;
        let mut rows = Vec::new();
        let mut absent = Vec::new();
        let mut asked = HashSet::new();
        for hash in hashes.iter().filter(|hash| asked.insert(**hash)) {
            match graph.find(hash) {
                Some(row) => rows.push(row),
                None => absent.push(hash.to_string()),
            }
        }
        let sizes = |rows: &[u32]| {
            let nar = |sum: u64, &row: &u32| sum.saturating_add(graph.nar_size(row));
            let file = rows.iter().try_fold(0u64, |sum, &row| {
                known(graph.file_size(row)).map(|size| sum.saturating_add(size))
            });
            (rows.iter().fold(0, nar), file)
        };
        let (closure, missing) = self.pool.with(|seen| graph.walk_together(&rows, seen));
        let (nar_size, file_size) = sizes(&rows);
        let (closure_size, closure_file_size) = sizes(&closure);
        let mut stack = Vec::new();
        let closure_size_apart = rows.iter().fold(0u64, |sum, &row| {
            // Not computed yet while the index works: measured now.
            let size = graph.sum(row).map_or_else(
                || {
                    let measure = |seen: &mut Seen| graph.measure(row, seen, &mut stack).size;
                    self.pool.with(measure)
                },
                |sum| sum.size,
            );
            sum.saturating_add(size)
        });
        let added = graph.goes_with(&rows);
        Selection {
            paths: rows.len() as u64,
            absent,
            nar_size,
            file_size,
            closure_paths: closure.len() as u64,
            closure_size,
            closure_file_size,
            closure_size_apart,
            missing,
            added_size: added.nar_size,
            added_paths: added.paths,
            revision: self.revision().to_owned(),
        }
    }

    /// What would go if one path went.
    pub(crate) fn goes_with(&self, id: Id) -> Weight {
        self.graph.goes_with(&[id.0])
    }
}
