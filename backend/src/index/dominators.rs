//! What each path of a closure adds to it: its dominator tree.
//!
//! A path *dominates* another where every chain of references from the root to that one goes
//! through it. What a path dominates leaves the closure when it leaves; the sum of it is the path's
//! *added size*. Dominators form a tree, so the added sizes of a path's children never overlap: a
//! treemap of them adds up to the closure's size although its paths are shared.
//!
//! The tree is computed by Semi-NCA (Georgiadis and Tarjan), which follows Lengauer and Tarjan up to
//! the semidominators: depth first, without recursion, in nearly linear time. Self references and
//! cycles are edges like others; what is missing is no node.

/// No node.
const NONE: u32 = u32::MAX;

/// Arcs of a graph whose nodes are numbered from 0, which is the root.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arcs {
    /// Where each node's arcs begin; one more than there are nodes.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Arcs {
    /// Appends a node with its arcs.
    pub(crate) fn push(&mut self, targets: impl IntoIterator<Item = u32>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.targets.extend(targets);
        self.starts.push(self.targets.len() as u32);
    }

    /// Nodes.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Where a node's arcs lead.
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The arcs turned round.
    fn turned(&self) -> Self {
        let nodes = self.len();
        let mut starts = vec![0u32; nodes + 1];
        for &target in &self.targets {
            starts[target as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut place = starts.clone();
        let mut targets = vec![0u32; self.targets.len()];
        for node in 0..nodes as u32 {
            for &target in self.of(node) {
                targets[place[target as usize] as usize] = node;
                place[target as usize] += 1;
            }
        }
        Self { starts, targets }
    }
}

/// The dominator tree of what can be reached from node 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dominators {
    /// Each node's immediate dominator; that of the root, and of what it does not reach, is [`None`].
    parents: Vec<u32>,
    /// Nodes that are reached, each behind its dominator.
    order: Vec<u32>,
}

impl Dominators {
    /// Computes the tree.
    pub(crate) fn of(arcs: &Arcs) -> Self {
        let nodes = arcs.len();
        if nodes == 0 {
            return Self {
                parents: Vec::new(),
                order: Vec::new(),
            };
        }
        let (order, numbers, spanning) = depth_first(arcs);
        let turned = arcs.turned();
        // From here on nodes are named by their number in `order`.
        let count = order.len();
        let mut forest = Forest {
            ancestors: vec![NONE; count],
            labels: (0..count as u32).collect(),
            semi: (0..count as u32).collect(),
            path: Vec::new(),
        };
        for at in (1..count).rev() {
            let mut semi = spanning[at];
            for &before in turned.of(order[at]) {
                let before = numbers[before as usize];
                if before == NONE {
                    continue;
                }
                let best = forest.best(before, at as u32);
                semi = semi.min(forest.semi[best as usize]);
            }
            forest.semi[at] = semi;
            forest.ancestors[at] = spanning[at];
        }
        let mut idoms = spanning;
        for at in 1..count {
            let mut candidate = idoms[at];
            while candidate > forest.semi[at] {
                candidate = idoms[candidate as usize];
            }
            idoms[at] = candidate;
        }
        let mut parents = vec![NONE; nodes];
        for at in 1..count {
            parents[order[at] as usize] = order[idoms[at] as usize];
        }
        Self { parents, order }
    }

    /// A node's immediate dominator.
    pub(crate) fn parent(&self, node: u32) -> Option<u32> {
        let parent = self.parents[node as usize];
        (parent != NONE).then_some(parent)
    }

    /// For each node the sum of a weight over all that it dominates, itself included.
    pub(crate) fn sums(&self, weight: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut sums = vec![0u64; self.parents.len()];
        for &node in self.order.iter().rev() {
            let own = sums[node as usize].saturating_add(weight(node));
            sums[node as usize] = own;
            if let Some(parent) = self.parent(node) {
                sums[parent as usize] = sums[parent as usize].saturating_add(own);
            }
        }
        sums
    }
}

/// The nodes in the order in which a depth-first walk meets them, each node's number in it, and by
/// number the node from which each was met.
fn depth_first(arcs: &Arcs) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let mut numbers = vec![NONE; arcs.len()];
    let mut order = vec![0u32];
    let mut spanning = vec![0u32];
    numbers[0] = 0;
    let mut open: Vec<(u32, usize)> = vec![(0, 0)];
    while let Some((node, next)) = open.last_mut() {
        let Some(&target) = arcs.of(*node).get(*next) else {
            open.pop();
            continue;
        };
        *next += 1;
        if numbers[target as usize] == NONE {
            spanning.push(numbers[*node as usize]);
            numbers[target as usize] = order.len() as u32;
            order.push(target);
            open.push((target, 0));
        }
    }
    (order, numbers, spanning)
}

/// The part of the spanning tree that was looked at, with shortened ways up.
struct Forest {
    ancestors: Vec<u32>,
    labels: Vec<u32>,
    semi: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    /// The node with the least semidominator on the way up from a node, as far as nodes above
    /// `current` go.
    fn best(&mut self, node: u32, current: u32) -> u32 {
        if node < current || self.ancestors[node as usize] == NONE {
            return node;
        }
        self.path.clear();
        let mut at = node;
        while self.ancestors[at as usize] != NONE
            && self.ancestors[self.ancestors[at as usize] as usize] != NONE
        {
            self.path.push(at);
            at = self.ancestors[at as usize];
        }
        for index in (0..self.path.len()).rev() {
            let at = self.path[index] as usize;
            let above = self.ancestors[at] as usize;
            if self.semi[self.labels[above] as usize] < self.semi[self.labels[at] as usize] {
                self.labels[at] = self.labels[above];
            }
            self.ancestors[at] = self.ancestors[above];
        }
        self.labels[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arcs(lists: &[Vec<u32>]) -> Arcs {
        let mut arcs = Arcs::default();
        for list in lists {
            arcs.push(list.iter().copied());
        }
        arcs
    }

    /// What is reached from the root when one node is taken away.
    fn reached(arcs: &Arcs, without: Option<u32>) -> Vec<bool> {
        let mut seen = vec![false; arcs.len()];
        let mut open = Vec::new();
        if without != Some(0) {
            seen[0] = true;
            open.push(0);
        }
        while let Some(node) = open.pop() {
            for &next in arcs.of(node) {
                if Some(next) != without && !seen[next as usize] {
                    seen[next as usize] = true;
                    open.push(next);
                }
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn a_sum_is_what_cannot_be_reached_without_the_node(
            lists in (1usize..24).prop_flat_map(|nodes| prop::collection::vec(prop::collection::vec(0..nodes as u32, 0..5), nodes)),
        ) {
            let arcs = arcs(&lists);
            let tree = Dominators::of(&arcs);
            let weight = |node: u32| 1u64 << node;
            let sums = tree.sums(weight);
            let all = reached(&arcs, None);
            for node in 0..arcs.len() as u32 {
                if !all[node as usize] {
                    prop_assert_eq!(sums[node as usize], 0);
                    prop_assert_eq!(tree.parent(node), None);
                    continue;
                }
                let without = reached(&arcs, Some(node));
                let gone: u64 = (0..arcs.len() as u32)
                    .filter(|&other| all[other as usize] && !without[other as usize])
                    .map(weight)
                    .sum();
                prop_assert_eq!(sums[node as usize], gone, "node {}", node);
                // The immediate dominator is the nearest: it dominates, and nothing between does.
                if let Some(parent) = tree.parent(node) {
                    prop_assert!(!reached(&arcs, Some(parent))[node as usize]);
                }
            }
        }
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let nodes = 200_000u32;
        let mut arcs = Arcs::default();
        for node in 0..nodes {
            arcs.push((node + 1 < nodes).then_some(node + 1));
        }
        let sums = Dominators::of(&arcs).sums(|_| 1);
        assert_eq!(sums[0], u64::from(nodes));
        assert_eq!(sums[nodes as usize - 1], 1);
    }
}
