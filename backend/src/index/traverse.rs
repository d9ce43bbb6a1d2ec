//! Walking the graph: closures, who is affected by a change, cycles.

use std::sync::Mutex;

use super::chunk::{ABSENT, Sum};
use super::graph::Graph;

/// Which nodes a walk has seen, reusable without being cleared.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    epoch: u32,
    marks: Vec<u32>,
}

impl Seen {
    /// Forgets everything and makes room for this many nodes.
    pub(crate) fn begin(&mut self, nodes: usize) {
        if self.marks.len() < nodes {
            self.marks = vec![0; nodes];
            self.epoch = 0;
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }

    /// Whether a node was marked.
    pub(crate) fn has(&self, node: usize) -> bool {
        self.marks.get(node) == Some(&self.epoch)
    }

    /// Marks a node. True if it was not seen before.
    pub(crate) fn insert(&mut self, node: usize) -> bool {
        let fresh = self.marks[node] != self.epoch;
        self.marks[node] = self.epoch;
        fresh
    }
}

/// Keeps the large arrays of walks for the next one.
#[derive(Debug, Default)]
pub(crate) struct SeenPool(Mutex<Vec<Seen>>);

impl SeenPool {
    /// Lends an array for a walk.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.0.lock().map_or_else(
            |_| Seen::default(),
            |mut pool| pool.pop().unwrap_or_default(),
        );
        let result = work(&mut seen);
        if let Ok(mut pool) = self.0.lock()
            && pool.len() < 4
        {
            pool.push(seen);
        }
        result
    }
}

/// A closure: the rows nearest first, with their distance, and what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Live rows, the root first.
    pub(crate) rows: Vec<u32>,
    /// Where in `rows` each distance begins.
    pub(crate) levels: Vec<usize>,
    /// Codes of absent paths and the distance at which each is first named.
    pub(crate) missing: Vec<(u32, u32)>,
}

impl Walk {
    /// The distance of the row at this place from the root.
    pub(crate) fn depth(&self, place: usize) -> u32 {
        (self.levels.partition_point(|&start| start <= place) - 1) as u32
    }
}

impl Graph {
    /// How many nodes a walk can meet: rows and absent paths.
    pub(crate) fn nodes(&self) -> usize {
        self.rows() as usize + self.base.links.absent.len() + self.overlay.absent.len()
    }

    /// The node of a code that means no live row.
    fn missing_node(&self, code: u32) -> usize {
        if code & ABSENT == 0 {
            code as usize
        } else {
            self.rows() as usize + (code & !ABSENT) as usize
        }
    }

    /// The closure of a row, by distance.
    pub(crate) fn walk(&self, root: u32, seen: &mut Seen) -> Walk {
        seen.begin(self.nodes());
        seen.insert(root as usize);
        let mut walk = Walk {
            rows: vec![root],
            levels: vec![0],
            missing: Vec::new(),
        };
        let mut at = 0;
        while at < walk.rows.len() {
            let end = walk.rows.len();
            let depth = walk.levels.len() as u32;
            while at < end {
                for &code in self.targets(walk.rows[at]) {
                    match self.resolve(code) {
                        Some(row) => {
                            if seen.insert(row as usize) {
                                walk.rows.push(row);
                            }
                        }
                        None => {
                            if seen.insert(self.missing_node(code)) {
                                walk.missing.push((code, depth));
                            }
                        }
                    }
                }
                at += 1;
            }
            if walk.rows.len() > end {
                walk.levels.push(end);
            }
        }
        if !self.overlay.names.is_empty() && !walk.missing.is_empty() {
            // An absent path may have several codes; it is one path.
            let mut names = std::collections::HashSet::new();
            walk.missing
                .retain(|&(code, _)| names.insert(self.base_name(code)));
        }
        walk
    }

    /// Size and number of the closure of a row. `stack` is only scratch space.
    pub(crate) fn measure(&self, root: u32, seen: &mut Seen, stack: &mut Vec<u32>) -> Sum {
        seen.begin(self.rows() as usize);
        seen.insert(root as usize);
        stack.clear();
        stack.push(root);
        let mut sum = Sum::default();
        while let Some(row) = stack.pop() {
            sum.paths += 1;
            sum.size = sum.size.saturating_add(self.nar_size(row));
            for &code in self.targets(row) {
                if let Some(target) = self.resolve(code)
                    && seen.insert(target as usize)
                {
                    stack.push(target);
                }
            }
        }
        sum
    }

    /// The live rows whose closure holds what one of these codes names, themselves included.
    pub(crate) fn affected(&self, codes: &[u32], seen: &mut Seen) -> Vec<u32> {
        seen.begin(self.nodes());
        let mut rows = Vec::new();
        for &code in codes {
            match self.resolve(code) {
                Some(row) => {
                    if seen.insert(row as usize) {
                        rows.push(row);
                    }
                }
                None => self.each_referrer(code, |row| {
                    if seen.insert(row as usize) {
                        rows.push(row);
                    }
                }),
            }
        }
        let mut at = 0;
        while at < rows.len() {
            let row = rows[at];
            let mut next = Vec::new();
            self.each_referrer(row, |referrer| {
                if seen.insert(referrer as usize) {
                    next.push(referrer);
                }
            });
            rows.append(&mut next);
            at += 1;
        }
        rows
    }

    /// The rows that lie on a cycle of two or more paths, among those reachable from
    /// `roots` (Tarjan's strongly connected components, without recursion).
    pub(crate) fn cyclic(&self, roots: &[u32]) -> Vec<u32> {
        const NEW: u32 = 0;
        let rows = self.rows() as usize;
        let mut index = vec![NEW; rows];
        let mut low = vec![0u32; rows];
        let mut next = 1u32;
        // Finished nodes get the largest index, so that they never lower another's.
        const DONE: u32 = u32::MAX;
        let mut open: Vec<u32> = Vec::new();
        let mut calls: Vec<(u32, usize)> = Vec::new();
        let mut cyclic = Vec::new();
        for &root in roots {
            if index[root as usize] != NEW {
                continue;
            }
            calls.push((root, 0));
            while let Some((row, edge)) = calls.pop() {
                let at = row as usize;
                if edge == 0 {
                    index[at] = next;
                    low[at] = next;
                    next += 1;
                    open.push(row);
                }
                let targets = self.targets(row);
                let mut position = edge;
                let mut descended = false;
                while position < targets.len() {
                    let target = self.resolve(targets[position]);
                    position += 1;
                    let Some(target) = target.filter(|&target| target != row) else {
                        continue;
                    };
                    let to = target as usize;
                    if index[to] == NEW {
                        calls.push((row, position));
                        calls.push((target, 0));
                        descended = true;
                        break;
                    }
                    if index[to] != DONE {
                        low[at] = low[at].min(index[to]);
                    }
                }
                if descended {
                    continue;
                }
                if low[at] == index[at] {
                    let start = open.iter().rposition(|&other| other == row).unwrap_or(0);
                    let members = open.split_off(start);
                    for &member in &members {
                        index[member as usize] = DONE;
                    }
                    if members.len() > 1 {
                        cyclic.extend(members);
                    }
                }
                if let Some(&(parent, _)) = calls.last() {
                    let parent = parent as usize;
                    low[parent] = low[parent].min(low[at]);
                }
            }
        }
        cyclic.sort_unstable();
        cyclic
    }
}
