//! Graphs, chains, differences and packages, against slow and obvious answers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::model::Model;
use super::properties::{Step, carry_out, measure, steps, view};
use super::support::{Path, hash};
use crate::index::Id;
use crate::index::graph::Graph;
use crate::index::packages::{PackageQuery, PackageSort};

/// A graph and its model after some steps.
fn made(steps: &[Step]) -> (Graph, Model) {
    let mut graph = Graph::new("/nix/store");
    let mut model = Model::default();
    for step in steps {
        carry_out(step, &mut graph, &mut model);
    }
    measure(&mut graph);
    (graph, model)
}

#[test]
fn many_chains_of_one_length_are_found_at_once() {
    // Ten layers of eight paths, each of which refers to all of the next layer.
    const LAYERS: u32 = 10;
    const WIDE: u32 = 8;
    let layer = |at: u32| -> Vec<u32> { (0..WIDE).map(|n| 1 + at * WIDE + n).collect() };
    let last = 1 + LAYERS * WIDE;
    let mut steps = vec![Step::Put(Path::new(last, &[]))];
    for at in (0..LAYERS).rev() {
        let below = if at + 1 == LAYERS {
            vec![last]
        } else {
            layer(at + 1)
        };
        steps.extend(
            layer(at)
                .into_iter()
                .map(|number| Step::Put(Path::new(number, &below))),
        );
    }
    steps.push(Step::Put(Path::new(0, &layer(0))));
    let (graph, _) = made(&steps);
    let id = |number: u32| Id(graph.find(&hash(number)).expect("it is there"));
    let why = view(&graph).why(id(0), id(last), 100);
    assert_eq!(why.chains, Some(u64::from(WIDE).pow(LAYERS)));
    assert_eq!(why.items.len(), 100);
    assert!(
        why.items
            .iter()
            .all(|chain| chain.len() == LAYERS as usize + 2)
    );
}

/// What is in the closure of a path when another one is taken away.
fn closure_without(model: &Model, root: u32, without: u32) -> BTreeSet<u32> {
    if root == without {
        return BTreeSet::new();
    }
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(at) = open.pop() {
        for name in &model.paths[&at].references {
            if model.present(name).is_some() && name.0 != without && seen.insert(name.0) {
                open.push(name.0);
            }
        }
    }
    seen
}

/// All chains without circles from one path to another, as numbers.
fn chains(model: &Model, chain: &mut Vec<u32>, to: u32, found: &mut Vec<Vec<u32>>) {
    let at = *chain.last().expect("a chain begins");
    if at == to {
        found.push(chain.clone());
        return;
    }
    let next: BTreeSet<u32> = model.paths[&at]
        .references
        .iter()
        .filter(|name| model.present(name).is_some())
        .map(|name| name.0)
        .collect();
    for next in next {
        if !chain.contains(&next) {
            chain.push(next);
            chains(model, chain, to, found);
            chain.pop();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn closures_as_graphs_and_chains(steps in steps()) {
        let (graph, model) = made(&steps);
        let view = view(&graph);
        let id = |number: u32| Id(graph.find(&hash(number)).expect("it is there"));
        let numbers: BTreeMap<String, u32> =
            model.paths.keys().map(|&number| (hash(number).to_string(), number)).collect();
        for &root in model.paths.keys() {
            let (present, missing) = model.closure(root);
            let answer = view.closure_graph(id(root));
            prop_assert!(answer.complete);
            prop_assert_eq!(answer.paths, present.len() as u64);
            prop_assert_eq!(answer.missing, missing.len() as u64);
            prop_assert_eq!(answer.items.len(), present.len() + missing.len());
            let size: u64 = present.keys().map(|number| model.paths[number].nar_size).sum();
            prop_assert_eq!(answer.nar_size, size);
            for node in answer.items.iter().filter(|node| node.present) {
                let number = numbers[&node.hash];
                let path = &model.paths[&number];
                prop_assert_eq!(node.depth, present[&number]);
                let stays = closure_without(&model, root, number);
                let gone: Vec<u32> = present.keys().copied().filter(|other| !stays.contains(other)).collect();
                let added: u64 = gone.iter().map(|number| model.paths[number].nar_size).sum();
                prop_assert_eq!(node.added_size, Some(added));
                prop_assert_eq!(node.added_paths, Some(gone.len() as u64));
                let files: Option<u64> = gone.iter().map(|number| model.paths[number].file_size).sum();
                prop_assert_eq!(node.added_file_size, files);
                prop_assert_eq!(node.dominator.is_none(), number == root);
                if let Some(dominator) = node.dominator {
                    let above = numbers[&answer.items[dominator as usize].hash];
                    prop_assert!(!closure_without(&model, root, above).contains(&number));
                }
                let refers: BTreeSet<&str> =
                    node.references.iter().map(|&to| &*answer.items[to as usize].hash).collect();
                let expected: BTreeSet<String> = path.references.iter()
                    .filter(|name| name.0 != number || name.1 != path.name)
                    .map(|name| hash(name.0).to_string())
                    .collect();
                prop_assert_eq!(refers, expected.iter().map(String::as_str).collect());
            }
            for &to in model.paths.keys() {
                let mut expected = Vec::new();
                if present.contains_key(&to) {
                    chains(&model, &mut vec![root], to, &mut expected);
                }
                let why = view.why(id(root), id(to), 100);
                prop_assert_eq!(why.depends, present.contains_key(&to));
                prop_assert_eq!(why.reverse, !why.depends && model.closure(to).0.contains_key(&root));
                if let Some(count) = why.chains {
                    prop_assert_eq!(count, expected.len() as u64, "{} to {}", root, to);
                } else {
                    prop_assert!(!model.cycles().is_empty());
                }
                let found: Vec<Vec<u32>> = why.items.iter()
                    .map(|chain| chain.iter().map(|step| numbers[&step.hash]).collect())
                    .collect();
                prop_assert!(found.is_sorted_by_key(Vec::len));
                prop_assert_eq!(found.len(), expected.len().min(100));
                let distinct: BTreeSet<&Vec<u32>> = found.iter().collect();
                prop_assert_eq!(distinct.len(), found.len());
                prop_assert!(found.iter().all(|chain| expected.contains(chain)));
                if let (Some(first), Some(shortest)) = (found.first(), expected.iter().map(Vec::len).min()) {
                    prop_assert_eq!(first.len(), shortest);
                }
                let diff = view.diff(id(root), id(to));
                let other = model.closure(to).0;
                let new: Vec<u32> = other.keys().copied().filter(|number| !present.contains_key(number)).collect();
                prop_assert_eq!(diff.common, (other.len() - new.len()) as u64);
                prop_assert_eq!(diff.new_nar_size, new.iter().map(|number| model.paths[number].nar_size).sum::<u64>());
                let download: Option<u64> = new.iter().map(|number| model.paths[number].file_size).sum();
                prop_assert_eq!(diff.download, download);
                let named: usize = diff.items.iter().map(|row| row.to_hashes.len()).sum();
                prop_assert_eq!(named, new.len());
                let delta: i64 = diff.items.iter().map(|row| row.nar_delta).sum();
                prop_assert_eq!(delta, diff.to.nar_size as i64 - diff.from.nar_size as i64);
                if let (Some(to), Some(from)) = (diff.to.file_size, diff.from.file_size) {
                    let delta: Option<i64> = diff.items.iter().map(|row| row.file_delta).sum();
                    prop_assert_eq!(delta, Some(to as i64 - from as i64));
                }
                prop_assert!(root != to || diff.items.is_empty());
            }
        }
    }

    #[test]
    fn packages_page_like_one_list(steps in steps(), limit in 1usize..5) {
        let (graph, model) = made(&steps);
        let view = view(&graph);
        for sort in [PackageSort::Name, PackageSort::Paths, PackageSort::NarSize, PackageSort::AddedAt] {
            let mut query = PackageQuery { limit, sort, ..PackageQuery::default() };
            let mut rows = Vec::new();
            loop {
                let page = view.packages(&query).expect("a page");
                prop_assert!(page.items.len() <= limit);
                rows.extend(page.items);
                query.cursor = page.next;
                if query.cursor.is_none() {
                    prop_assert_eq!(page.total, rows.len() as u64);
                    break;
                }
            }
            let paths: u64 = rows.iter().map(|row| row.paths).sum();
            prop_assert_eq!(paths, model.paths.len() as u64);
            let size: u64 = rows.iter().map(|row| row.nar_size).sum();
            prop_assert_eq!(size, model.paths.values().map(|path| path.nar_size).sum::<u64>());
            let names: BTreeSet<&str> = rows.iter().map(|row| &*row.name).collect();
            prop_assert_eq!(names.len(), rows.len());
            match sort {
                PackageSort::Name => prop_assert!(rows.is_sorted_by_key(|row| row.name.clone())),
                PackageSort::Paths => prop_assert!(rows.is_sorted_by(|a, b| a.paths >= b.paths)),
                PackageSort::NarSize => prop_assert!(rows.is_sorted_by(|a, b| a.nar_size >= b.nar_size)),
                PackageSort::AddedAt => prop_assert!(rows.is_sorted_by(|a, b| a.added_at >= b.added_at)),
            }
            for row in &rows {
                let (paths, total) = view.package(&row.name).expect("a package");
                prop_assert_eq!(total, row.paths);
                prop_assert_eq!(paths.first().map(|path| &path.version), Some(&row.newest));
            }
        }
        prop_assert!(view.package("no such package").is_none());
    }
}
