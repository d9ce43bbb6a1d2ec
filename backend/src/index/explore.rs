//! A closure as a graph with everything that is drawn from it.

use std::collections::HashMap;

use snowbank_shared::api::{ClosureGraph, GraphNode};

use super::dominators::{Arcs, Dominators};
use super::graph::Graph;
use super::traverse::Walk;
use super::view::{Id, View, known};

/// Paths of a closure that is answered whole.
const MOST_WHOLE: usize = 20_000;
/// Nodes of a larger one: those with the largest added size.
const MOST_OF_LARGE: usize = 500;
/// Missing references that are named.
const MOST_MISSING: usize = 1_000;

/// A closure with its dominators; nodes are places in the walk.
struct Measured {
    walk: Walk,
    arcs: Arcs,
    tree: Dominators,
    added: Vec<u64>,
    added_files: Vec<u64>,
    /// Paths of unknown download size among what a node dominates.
    unsized_files: Vec<u64>,
    added_paths: Vec<u64>,
}

impl Measured {
    fn of(graph: &Graph, walk: Walk) -> Self {
        let places: HashMap<u32, u32> = walk.rows.iter().copied().zip(0..).collect();
        let mut arcs = Arcs::default();
        for &row in &walk.rows {
            arcs.push(
                graph
                    .targets(row)
                    .iter()
                    .filter_map(|&code| graph.resolve(code))
                    .filter(|&target| target != row)
                    .map(|target| places[&target]),
            );
        }
        let tree = Dominators::of(&arcs);
        let row = |node: u32| walk.rows[node as usize];
        let file = |node: u32| known(graph.file_size(row(node)));
        Self {
            added: tree.sums(|node| graph.nar_size(row(node))),
            added_files: tree.sums(|node| file(node).unwrap_or(0)),
            unsized_files: tree.sums(|node| u64::from(file(node).is_none())),
            added_paths: tree.sums(|_| 1),
            tree,
            arcs,
            walk,
        }
    }

    /// The nodes that are answered, in the order of the walk. A dominator's added size is at least
    /// that of what it dominates, and it comes first among equals: it is always with them.
    fn chosen(&self) -> Vec<u32> {
        let nodes = self.walk.rows.len();
        let mut chosen: Vec<u32> = (0..nodes as u32).collect();
        if nodes > MOST_WHOLE {
            let place = |&node: &u32| {
                let node = node as usize;
                (
                    std::cmp::Reverse(self.added[node]),
                    std::cmp::Reverse(self.added_paths[node]),
                    node,
                )
            };
            chosen.select_nth_unstable_by_key(MOST_OF_LARGE - 1, place);
            chosen.truncate(MOST_OF_LARGE);
            chosen.sort_unstable();
        }
        chosen
    }
}

impl View {
    /// A path's closure as a graph: references, dominators, added sizes. Walks it: run it off the
    /// reactor.
    pub fn closure_graph(&self, id: Id) -> ClosureGraph {
        let graph = &self.graph;
        let walk = self.pool.with(|seen| graph.walk(id.0, seen));
        let measured = Measured::of(graph, walk);
        let chosen = measured.chosen();
        let complete = chosen.len() == measured.walk.rows.len();
        let places: HashMap<u32, u32> = chosen.iter().copied().zip(0..).collect();
        let mut items: Vec<GraphNode> = chosen
            .iter()
            .map(|&node| self.graph_node(&measured, node, &places))
            .collect();
        if complete {
            self.push_missing(&measured.walk, &mut items);
        }
        ClosureGraph {
            path: self.full_path(id.0),
            paths: measured.walk.rows.len() as u64,
            nar_size: measured.added[0],
            file_size: (measured.unsized_files[0] == 0).then_some(measured.added_files[0]),
            missing: measured.walk.missing.len() as u64,
            items,
            complete,
            revision: self.revision().to_owned(),
        }
    }

    fn graph_node(&self, measured: &Measured, node: u32, places: &HashMap<u32, u32>) -> GraphNode {
        let graph = &self.graph;
        let at = node as usize;
        let row = measured.walk.rows[at];
        let mut references: Vec<u32> = measured
            .arcs
            .of(node)
            .iter()
            .filter_map(|target| places.get(target).copied())
            .collect();
        references.dedup();
        GraphNode {
            hash: graph.key(row).to_string(),
            name: graph.name(row).to_owned(),
            present: true,
            depth: measured.walk.depth(at),
            nar_size: Some(graph.nar_size(row)),
            file_size: known(graph.file_size(row)),
            added_size: Some(measured.added[at]),
            added_file_size: (measured.unsized_files[at] == 0).then_some(measured.added_files[at]),
            added_paths: Some(measured.added_paths[at]),
            dominator: measured
                .tree
                .parent(node)
                .and_then(|parent| places.get(&parent).copied()),
            references,
            signature: Some(graph.judged(row).status),
            content: Some(graph.mark(row).content),
            closure_size: graph.sum(row).map(|sum| sum.size),
        }
    }

    /// What is referred to and not here, each behind all that are, with who refers to it.
    fn push_missing(&self, walk: &Walk, items: &mut Vec<GraphNode>) {
        let graph = &self.graph;
        let mut places = HashMap::new();
        for &(code, depth) in walk.missing.iter().take(MOST_MISSING) {
            let (key, name) = graph.base_name(code);
            places.insert((key, name.to_owned()), items.len() as u32);
            items.push(GraphNode {
                hash: key.to_string(),
                name: name.to_owned(),
                present: false,
                depth,
                nar_size: None,
                file_size: None,
                added_size: None,
                added_file_size: None,
                added_paths: None,
                dominator: None,
                references: Vec::new(),
                signature: None,
                content: None,
                closure_size: None,
            });
        }
        if places.is_empty() {
            return;
        }
        for (at, &row) in walk.rows.iter().enumerate() {
            for &code in graph.targets(row) {
                if graph.resolve(code).is_none() {
                    let (key, name) = graph.base_name(code);
                    if let Some(&place) = places.get(&(key, name.to_owned())) {
                        items[at].references.push(place);
                    }
                }
            }
        }
    }
}
