//! What some paths keep, with everything that they need, and what goes without them: one bit a row.
//!
//! A reference keeps whatever has its hash part, also under another name: that is what clients ask
//! for. A NAR goes only where every narinfo that names it goes. Nothing here changes anything.

use std::collections::{HashMap, HashSet};

use snowbank_shared::api::ContentStatus;
use snowbank_shared::store_path::StorePathHash;

use super::view::{Id, View, known};

/// Paths that stay, of one [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    bits: Vec<u64>,
}

impl Kept {
    /// Whether a path stays.
    pub fn has(&self, id: Id) -> bool {
        self.bits[id.0 as usize / 64] & (1 << (id.0 % 64)) != 0
    }

    /// Marks a row. True if it was not marked before.
    fn insert(&mut self, row: u32) -> bool {
        let word = &mut self.bits[row as usize / 64];
        let bit = 1 << (row % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

/// What is there, and what of it would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Paths that are there.
    pub paths: u64,
    /// Bytes as stored of their NARs, each once; those that are missing count nothing.
    pub bytes: u64,
    /// Paths that would go, in no order that means anything.
    pub going: Vec<Id>,
    /// By row the bytes as stored that go with it.
    freed: Vec<u64>,
}

impl Removal {
    /// Bytes as stored that would go.
    pub fn freed(&self) -> u64 {
        let bytes = self.freed.iter();
        bytes.fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Bytes as stored that would go with a path: those of a NAR that several paths share count with
    /// one of them, and with none where one of them stays.
    pub fn freed_with(&self, id: Id) -> u64 {
        self.freed[id.0 as usize]
    }
}

impl View {
    /// Nothing.
    pub fn nothing_kept(&self) -> Kept {
        let words = (self.graph.rows() as usize).div_ceil(64);
        Kept {
            bits: vec![0; words],
        }
    }

    /// Adds these paths and everything that they need. Run it off the reactor.
    pub fn keep(&self, kept: &mut Kept, roots: impl IntoIterator<Item = Id>) {
        let graph = &self.graph;
        let mut open = Vec::new();
        for Id(root) in roots {
            if kept.insert(root) {
                open.push(root);
            }
            while let Some(row) = open.pop() {
                for &code in graph.targets(row) {
                    let target = graph
                        .resolve(code)
                        .or_else(|| graph.find(&graph.base_name(code).0));
                    if let Some(target) = target
                        && kept.insert(target)
                    {
                        open.push(target);
                    }
                }
            }
        }
    }

    /// The paths of the cache that one refers to, whatever their names; itself left out.
    pub fn reference_ids(&self, id: Id) -> Vec<Id> {
        let graph = &self.graph;
        let targets = graph.targets(id.0).iter().filter_map(|&code| {
            graph
                .resolve(code)
                .or_else(|| graph.find(&graph.base_name(code).0))
        });
        targets.filter(|&row| row != id.0).map(Id).collect()
    }

    /// What is referred to and not here, under any name. Looks at every path: run it off the reactor.
    pub fn absent_references(&self) -> HashSet<StorePathHash> {
        let graph = &self.graph;
        let mut absent = HashSet::new();
        for row in graph.all_live() {
            for &code in graph.targets(row) {
                if graph.resolve(code).is_none() {
                    let hash = graph.base_name(code).0;
                    if graph.find(&hash).is_none() {
                        absent.insert(hash);
                    }
                }
            }
        }
        absent
    }

    /// The same paths so that each comes before what it refers to; those of a cycle come last, with what
    /// only they refer to. Run it off the reactor.
    pub fn referrers_first(&self, ids: &[Id]) -> Vec<Id> {
        let mut referrers: HashMap<Id, usize> = ids.iter().map(|id| (*id, 0)).collect();
        for id in ids {
            for target in self.reference_ids(*id) {
                if let Some(count) = referrers.get_mut(&target) {
                    *count += 1;
                }
            }
        }
        let mut order: Vec<Id> = ids
            .iter()
            .copied()
            .filter(|id| referrers[id] == 0)
            .collect();
        let mut at = 0;
        while at < order.len() {
            for target in self.reference_ids(order[at]) {
                if let Some(count) = referrers.get_mut(&target) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(target);
                    }
                }
            }
            at += 1;
        }
        let cyclic = ids.iter().filter(|id| referrers[id] > 0);
        order.extend(cyclic.copied());
        order
    }

    /// What goes where only this stays. Looks at every path: run it off the reactor.
    pub fn removal(&self, kept: &Kept) -> Removal {
        let graph = &self.graph;
        let mut removal = Removal {
            freed: vec![0; graph.rows() as usize],
            ..Removal::default()
        };
        self.each_nar(|rows| {
            let present = rows
                .iter()
                .filter(|&&row| graph.mark(row).content != ContentStatus::NarMissing);
            let size = present
                .filter_map(|&row| known(graph.file_size(row)))
                .max()
                .unwrap_or(0);
            removal.bytes = removal.bytes.saturating_add(size);
            if rows.iter().all(|&row| !kept.has(Id(row))) {
                removal.freed[rows[0] as usize] = size;
            }
        });
        for row in graph.all_live() {
            removal.paths += 1;
            if !kept.has(Id(row)) {
                removal.going.push(Id(row));
            }
        }
        removal
    }

    /// The shortest chain of references that leads to a path from one that is a root, both included;
    /// `None` where no root needs it. Walks what refers to it: run it off the reactor.
    pub fn chain_to(&self, to: Id, is_root: impl Fn(Id) -> bool) -> Option<Vec<Id>> {
        let mut next: HashMap<u32, u32> = HashMap::from([(to.0, to.0)]);
        let mut rows = vec![to.0];
        let mut at = 0;
        while at < rows.len() {
            let row = rows[at];
            if is_root(Id(row)) {
                let mut chain = vec![Id(row)];
                let mut step = row;
                while step != to.0 {
                    step = next[&step];
                    chain.push(Id(step));
                }
                return Some(chain);
            }
            self.graph.each_referrer(row, |referrer| {
                next.entry(referrer).or_insert_with(|| {
                    rows.push(referrer);
                    row
                });
            });
            at += 1;
        }
        None
    }
}
