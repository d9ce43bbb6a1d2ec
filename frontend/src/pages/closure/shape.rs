//! A closure as its views need it: who refers to whom, what dominates what, in both directions.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use snowbank_shared::api::{ClosureGraph, GraphNode};

use super::choice::{SizeKind, SortBy};

/// A closure. Nodes are places in the server's list; 0 is the root.
#[derive(Debug)]
pub struct Shape {
    graph: Arc<ClosureGraph>,
    referrers: Vec<Vec<u32>>,
    dominated: Vec<Vec<u32>>,
    /// The referrer nearest to the root.
    via: Vec<Option<u32>>,
    places: HashMap<String, u32>,
    /// Bytes to download for all that a node dominates, as far as known.
    downloads: Vec<u64>,
}

impl Shape {
    /// Turns the references round.
    pub fn new(graph: Arc<ClosureGraph>) -> Self {
        let count = graph.items.len();
        let mut referrers = vec![Vec::new(); count];
        let mut dominated = vec![Vec::new(); count];
        let mut downloads: Vec<u64> = vec![0; count];
        let mut via = vec![None; count];
        for (at, node) in graph.items.iter().enumerate() {
            for &to in &node.references {
                referrers[to as usize].push(at as u32);
                // Nearest first: whoever names a node first is nearest.
                if to != 0 && via[to as usize].is_none() {
                    via[to as usize] = Some(at as u32);
                }
            }
            if let Some(parent) = node.dominator {
                dominated[parent as usize].push(at as u32);
            }
        }
        // A dominator is nearer to the root than what it dominates, so it stands before it.
        for (at, node) in graph.items.iter().enumerate().rev() {
            let below = downloads[at].saturating_add(node.file_size.unwrap_or_default());
            let bytes = node.added_file_size.unwrap_or(below);
            downloads[at] = bytes;
            if let Some(parent) = node.dominator {
                let above = &mut downloads[parent as usize];
                *above = above.saturating_add(bytes);
            }
        }
        let places = graph
            .items
            .iter()
            .zip(0..)
            .map(|(node, at)| (node.hash.clone(), at))
            .collect();
        Self {
            referrers,
            dominated,
            via,
            places,
            downloads,
            graph,
        }
    }

    /// The server's answer.
    pub fn graph(&self) -> &ClosureGraph {
        &self.graph
    }

    /// How many nodes there are; what is missing included.
    pub fn len(&self) -> usize {
        self.graph.items.len()
    }

    /// A node.
    pub fn node(&self, at: u32) -> &GraphNode {
        &self.graph.items[at as usize]
    }

    /// The node with this hash part.
    pub fn find(&self, hash: &str) -> Option<u32> {
        self.places.get(hash).copied()
    }

    /// Its full store path, in the store of the root.
    pub fn path(&self, at: u32) -> String {
        let store = self
            .graph
            .path
            .rsplit_once('/')
            .map_or("", |(store, _)| store);
        let node = self.node(at);
        format!("{store}/{}-{}", node.hash, node.name)
    }

    /// What it refers to.
    pub fn references(&self, at: u32) -> &[u32] {
        &self.node(at).references
    }

    /// What of the closure refers to it.
    pub fn referrers(&self, at: u32) -> &[u32] {
        &self.referrers[at as usize]
    }

    /// What it dominates next.
    pub fn dominated(&self, at: u32) -> &[u32] {
        &self.dominated[at as usize]
    }

    /// The shortest way to a node from the root, both included.
    pub fn way(&self, to: u32) -> Vec<u32> {
        let mut way = vec![to];
        let mut at = to;
        while let Some(before) = self.via[at as usize] {
            // Nearest first, so it ends; a broken answer must not hang the page.
            if before >= at {
                break;
            }
            way.push(before);
            at = before;
        }
        way.reverse();
        way
    }

    /// The dominators of a node from the root to itself.
    pub fn dominators(&self, of: u32) -> Vec<u32> {
        let mut way = vec![of];
        let mut at = of;
        while let Some(above) = self.node(at).dominator.filter(|&above| above < at) {
            way.push(above);
            at = above;
        }
        way.reverse();
        way
    }

    /// Its size of this kind.
    pub fn bytes(&self, at: u32, kind: SizeKind) -> Option<u64> {
        let node = self.node(at);
        match kind {
            SizeKind::Nar => node.nar_size,
            SizeKind::Download => node.file_size,
            SizeKind::Added => node.added_size,
        }
    }

    /// What it takes in the treemap: its own bytes, and those of all it dominates.
    pub fn weight(&self, at: u32, download: bool) -> (u64, u64) {
        let node = self.node(at);
        if download {
            (
                node.file_size.unwrap_or_default(),
                self.downloads[at as usize],
            )
        } else {
            (
                node.nar_size.unwrap_or_default(),
                node.added_size.unwrap_or_default(),
            )
        }
    }

    /// These nodes, the largest first, those that are missing last.
    pub fn by_size(&self, nodes: &[u32], kind: SizeKind) -> Vec<u32> {
        let mut sorted = nodes.to_vec();
        sorted.sort_by_key(|&at| {
            let node = self.node(at);
            (!node.present, Reverse(self.bytes(at, kind)), &node.name, at)
        });
        sorted
    }

    /// All nodes in an order of the table; what is unknown comes last in either direction.
    pub fn sorted(&self, by: SortBy, turned: bool) -> Vec<u32> {
        let mut all: Vec<u32> = (0..self.len() as u32).collect();
        let number = |at: u32| {
            let node = self.node(at);
            match by {
                SortBy::Steps | SortBy::Name => Some(u64::from(node.depth)),
                SortBy::Nar => node.nar_size,
                SortBy::Download => node.file_size,
                SortBy::Added => node.added_size,
                SortBy::Closure => node.closure_size,
                SortBy::References => node.present.then_some(node.references.len() as u64),
            }
        };
        if by == SortBy::Name {
            all.sort_by_key(|&at| (&self.node(at).name, at));
            if turned {
                all.reverse();
            }
            return all;
        }
        all.sort_by_key(|&at| {
            let number = number(at);
            let place = number.map(|number| if turned { u64::MAX - number } else { number });
            (number.is_none(), place, at)
        });
        all
    }

    /// Whether a node is one that is looked for; `words` are in lower case.
    pub fn matches(&self, at: u32, words: &str) -> bool {
        let node = self.node(at);
        words.split_whitespace().all(|word| {
            node.name.to_ascii_lowercase().contains(word) || node.hash.starts_with(word)
        })
    }

    /// All nodes that are looked for; none where nothing is.
    pub fn found(&self, words: &str) -> Vec<u32> {
        let words = words.trim().to_ascii_lowercase();
        if words.is_empty() {
            return Vec::new();
        }
        (0..self.len() as u32)
            .filter(|&at| self.matches(at, &words))
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A closure of nodes of these own sizes, dominators, and references; size 0 is missing.
    pub(in super::super) fn shape(nodes: &[(u64, Option<u32>, &[u32])]) -> Shape {
        let mut added: Vec<u64> = nodes.iter().map(|(size, ..)| *size).collect();
        for (at, (_, dominator, _)) in nodes.iter().enumerate().rev() {
            if let Some(above) = dominator {
                added[*above as usize] += added[at];
            }
        }
        let items: Vec<GraphNode> = nodes
            .iter()
            .enumerate()
            .map(|(at, (size, dominator, references))| GraphNode {
                hash: format!("{at:032}"),
                name: format!("node{at}-1.0"),
                present: *size > 0,
                depth: u32::from(at > 0),
                nar_size: (*size > 0).then_some(*size),
                file_size: (*size > 0).then_some(size / 2),
                added_size: (*size > 0).then_some(added[at]),
                added_file_size: None,
                added_paths: None,
                dominator: *dominator,
                references: references.to_vec(),
                signature: None,
                content: None,
                closure_size: None,
            })
            .collect();
        Shape::new(Arc::new(ClosureGraph {
            path: format!("/nix/store/{:032}-node0-1.0", 0),
            paths: items.len() as u64,
            nar_size: added[0],
            file_size: None,
            missing: 0,
            items,
            complete: true,
            revision: String::new(),
        }))
    }

    /// 0 needs 1, 2 and 4; 1 and 2 share 3, which needs 4 again and the missing 5.
    pub(in super::super) fn shared() -> Shape {
        shape(&[
            (10, None, &[1, 2, 4]),
            (20, Some(0), &[3]),
            (40, Some(0), &[3]),
            (8, Some(0), &[4, 5]),
            (16, Some(0), &[]),
            (0, None, &[]),
        ])
    }

    #[test]
    fn ways_orders_and_sums() {
        let shape = shared();
        assert_eq!(shape.referrers(3), [1, 2]);
        assert_eq!(shape.way(5), [0, 1, 3, 5]);
        assert_eq!(shape.dominators(3), [0, 3]);
        assert_eq!(shape.by_size(&[5, 4, 1, 2], SizeKind::Nar), [2, 1, 4, 5]);
        assert_eq!(shape.weight(0, false), (10, 94));
        assert_eq!(shape.weight(0, true), (5, 47));
        assert_eq!(shape.sorted(SortBy::Nar, true), [2, 1, 4, 0, 3, 5]);
        assert_eq!(shape.sorted(SortBy::Nar, false), [3, 0, 4, 1, 2, 5]);
        assert_eq!(shape.sorted(SortBy::Name, true)[0], 5);
        assert_eq!(shape.found(" NODE4 "), [4]);
        assert_eq!(shape.found("node 3"), [3]);
        assert!(shape.found("").is_empty());
        assert_eq!(shape.path(4), format!("/nix/store/{:032}-node4-1.0", 4));
    }
}
