//! Why one path needs another: the chains of references between them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use snowbank_shared::api::{Why, WhyStep};

use super::graph::Graph;
use super::traverse::Seen;
use super::view::{Id, View};

/// Chains of one answer at most.
pub const MAX_CHAINS: usize = 100;
/// Beginnings of chains that are looked at for one answer; where references go in circles there
/// may be more of them than anybody has time for.
const MOST_TRIES: usize = 200_000;
/// Parts of beginnings that one answer keeps.
const MOST_PARTS: usize = 1_000_000;

/// The part of a closure through which chains to one path go.
struct Between {
    /// Rows from which the target is reached, with their distance to it.
    distances: HashMap<u32, u32>,
}

impl Between {
    /// Looks back from the target, as far as what the root reaches.
    fn of(graph: &Graph, reached: &Seen, target: u32) -> Self {
        let mut distances = HashMap::from([(target, 0)]);
        let mut rows = vec![target];
        let mut at = 0;
        while at < rows.len() {
            let row = rows[at];
            let distance = distances[&row] + 1;
            graph.each_referrer(row, |referrer| {
                if reached.has(referrer as usize) && !distances.contains_key(&referrer) {
                    distances.insert(referrer, distance);
                    rows.push(referrer);
                }
            });
            at += 1;
        }
        Self { distances }
    }

    /// What a row refers to on the way to the target, in the order of distance and then of the narinfo.
    fn steps(&self, graph: &Graph, row: u32) -> Vec<u32> {
        let mut steps: Vec<u32> = graph
            .targets(row)
            .iter()
            .filter_map(|&code| graph.resolve(code))
            .filter(|&next| next != row && self.distances.contains_key(&next))
            .collect();
        let mut seen = HashSet::new();
        steps.retain(|&next| seen.insert(next));
        steps.sort_by_key(|next| self.distances[next]);
        steps
    }

    /// How many chains lead from the root to the target; `None` where there is a circle on the way.
    fn count(&self, graph: &Graph, root: u32, target: u32) -> Option<u64> {
        // Depth first; a row is counted when all behind it are.
        let mut counts: HashMap<u32, u64> = HashMap::from([(target, 1)]);
        let mut open = Vec::new();
        let mut entered = HashSet::new();
        let enter = |row: u32, open: &mut Vec<Open>| {
            open.push(Open {
                row,
                steps: self.steps(graph, row),
                counted: 0,
            });
        };
        if root != target {
            entered.insert(root);
            enter(root, &mut open);
        }
        while let Some(last) = open.last_mut() {
            match last.next(&counts) {
                Some(next) if !entered.insert(next) => return None,
                Some(next) => enter(next, &mut open),
                None => {
                    let sum = last
                        .steps
                        .iter()
                        .fold(0u64, |sum, next| sum.saturating_add(counts[next]));
                    counts.insert(last.row, sum);
                    open.pop();
                }
            }
        }
        counts.get(&root).copied()
    }

    /// The shortest chains, without circles; at most `most`.
    fn chains(&self, graph: &Graph, root: u32, target: u32, most: usize) -> Vec<Vec<u32>> {
        // The length that a beginning will have at least decides which is continued: the distances are
        // exact, so chains come out by length. Of equally long ones the deepest is continued, so that
        // many ties are no search in breadth. Beginnings share their parts.
        let mut parts: Vec<(u32, usize)> = vec![(root, usize::MAX)];
        let first = (self.distances[&root], Reverse(0u32), 0usize);
        let mut queue = BinaryHeap::from([Reverse(first)]);
        let mut chains = Vec::new();
        let mut tries = 0;
        while let Some(Reverse((_, Reverse(depth), part))) = queue.pop() {
            let (row, _) = parts[part];
            if row == target {
                chains.push(unrolled(&parts, part));
                if chains.len() == most {
                    break;
                }
                continue;
            }
            tries += 1;
            let steps = self.steps(graph, row);
            if tries > MOST_TRIES || parts.len() + steps.len() > MOST_PARTS {
                break;
            }
            let beginning: HashSet<u32> = unrolled(&parts, part).into_iter().collect();
            for next in steps {
                if beginning.contains(&next) {
                    continue;
                }
                parts.push((next, part));
                let length = depth + 1 + self.distances[&next];
                queue.push(Reverse((length, Reverse(depth + 1), parts.len() - 1)));
            }
        }
        chains
    }
}

/// A row whose chains are being counted.
struct Open {
    row: u32,
    steps: Vec<u32>,
    /// So many of the steps are counted.
    counted: usize,
}

impl Open {
    /// The next step that is not counted.
    fn next(&mut self, counts: &HashMap<u32, u64>) -> Option<u32> {
        while let Some(next) = self.steps.get(self.counted) {
            if !counts.contains_key(next) {
                return Some(*next);
            }
            self.counted += 1;
        }
        None
    }
}

/// The rows of a chain from its last part.
fn unrolled(parts: &[(u32, usize)], last: usize) -> Vec<u32> {
    let mut rows = Vec::new();
    let mut at = last;
    while at != usize::MAX {
        let (row, before) = parts[at];
        rows.push(row);
        at = before;
    }
    rows.reverse();
    rows
}

impl View {
    /// Why a path needs another: the shortest chains of references, and how many there are. Walks
    /// both closures: run it off the reactor.
    pub fn why(&self, from: Id, to: Id, most: usize) -> Why {
        let graph = &self.graph;
        let most = most.clamp(1, MAX_CHAINS);
        let (between, reverse) = self.pool.with(|seen| {
            graph.walk(from.0, seen);
            if seen.has(to.0 as usize) {
                return (Some(Between::of(graph, seen, to.0)), false);
            }
            graph.walk(to.0, seen);
            (None, seen.has(from.0 as usize))
        });
        let step = |&row: &u32| WhyStep {
            hash: graph.key(row).to_string(),
            name: graph.name(row).to_owned(),
            nar_size: graph.nar_size(row),
        };
        Why {
            from: self.full_path(from.0),
            to: self.full_path(to.0),
            depends: between.is_some(),
            reverse,
            chains: match &between {
                Some(between) => between.count(graph, from.0, to.0),
                None => Some(0),
            },
            items: between
                .iter()
                .flat_map(|between| between.chains(graph, from.0, to.0, most))
                .map(|chain| chain.iter().map(step).collect())
                .collect(),
            revision: self.revision().to_owned(),
        }
    }
}
