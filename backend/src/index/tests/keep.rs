//! What roots keep and what goes without them, against slow and obvious answers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::model::Model;
use super::properties::{Step, carry_out, steps, view};
use super::support::{Path, hash};
use crate::index::Id;
use crate::index::graph::Graph;
use crate::index::view::View;

fn made(steps: &[Step]) -> (Graph, Model) {
    let mut graph = Graph::new("/nix/store");
    let mut model = Model::default();
    for step in steps {
        carry_out(step, &mut graph, &mut model);
    }
    (graph, model)
}

fn id(view: &View, number: u32) -> Id {
    view.find(&hash(number)).expect("it is there")
}

/// The key of a path's NAR: two URLs of one key differ by their query only.
fn archive(path: &Path) -> String {
    let url = path.url.clone();
    let url = url.unwrap_or_else(|| format!("nar/{}", path.file_hash().to_nix32()));
    url.split('?').next().expect("a key").to_owned()
}

/// What stays: a reference keeps whatever has its hash.
fn kept(model: &Model, roots: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut kept = BTreeSet::new();
    let mut open: Vec<u32> = roots.iter().copied().collect();
    while let Some(number) = open.pop() {
        if let Some(path) = model.paths.get(&number)
            && kept.insert(number)
        {
            open.extend(path.references.iter().map(|(to, _)| *to));
        }
    }
    kept
}

/// Bytes of NARs by key.
fn archives<'a>(paths: impl Iterator<Item = &'a Path>) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    for path in paths {
        let size = sizes.entry(archive(path)).or_insert(0);
        *size = path.file_size.unwrap_or(0).max(*size);
    }
    sizes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_that_stays_lacks_anything_that_was_here(
        steps in steps(),
        chosen in prop::collection::btree_set(0..14u32, 0..4),
    ) {
        let (graph, model) = made(&steps);
        let view = view(&graph);
        let roots: BTreeSet<u32> = chosen
            .into_iter()
            .filter(|number| model.paths.contains_key(number))
            .collect();
        let stays = kept(&model, &roots);
        let mut found = view.nothing_kept();
        view.keep(&mut found, roots.iter().map(|&number| id(&view, number)));
        for &number in model.paths.keys() {
            prop_assert_eq!(found.has(id(&view, number)), stays.contains(&number));
        }

        let removal = view.removal(&found);
        let all = archives(model.paths.values());
        let left = archives(model.paths.values().filter(|path| stays.contains(&path.number)));
        prop_assert_eq!(removal.paths, model.paths.len() as u64);
        prop_assert_eq!(removal.bytes, all.values().sum::<u64>());
        let freed: u64 = all
            .iter()
            .filter(|(key, _)| !left.contains_key(*key))
            .map(|(_, size)| *size)
            .sum();
        prop_assert_eq!(removal.freed(), freed);
        let going: BTreeSet<Id> = removal.going.iter().copied().collect();
        prop_assert_eq!(going.len(), removal.going.len());
        prop_assert_eq!(going.len(), model.paths.len() - stays.len());
        let by_package = view.going_by_package(&found, &removal, usize::MAX);
        let (mut paths, mut bytes) = (0u64, 0u64);
        for (_, some, size) in &by_package {
            prop_assert!(*some > 0);
            paths += some;
            bytes += size;
        }
        prop_assert_eq!((paths, bytes), (going.len() as u64, freed));

        // What goes first refers to what goes later; where there is a cycle, of what is not behind it.
        let order = view.referrers_first(&removal.going);
        prop_assert_eq!(order.iter().copied().collect::<BTreeSet<Id>>(), going.clone());
        prop_assert_eq!(order.len(), going.len());
        let place = |id: Id| order.iter().position(|other| *other == id);
        let refers = |number: u32| -> BTreeSet<u32> {
            let references = model.paths[&number].references.iter().map(|(to, _)| *to);
            references.filter(|to| *to != number && model.paths.contains_key(to)).collect()
        };
        for &number in model.paths.keys() {
            let found: BTreeSet<Id> = view.reference_ids(id(&view, number)).into_iter().collect();
            let wanted: BTreeSet<Id> = refers(number).into_iter().map(|to| id(&view, to)).collect();
            prop_assert_eq!(&found, &wanted);
            let behind = kept(&model, &refers(number));
            let cyclic = model.paths.keys().any(|&other| {
                let beyond = kept(&model, &refers(other));
                beyond.contains(&other) && (other == number || beyond.contains(&number))
            });
            for to in behind.into_iter().filter(|_| !cyclic) {
                let (from, to) = (place(id(&view, number)), place(id(&view, to)));
                prop_assert!(from.is_none() || to.is_none() || from < to);
            }
        }
        let lacking: BTreeSet<_> = model
            .paths
            .values()
            .flat_map(|path| path.references.iter().map(|(to, _)| *to))
            .filter(|to| !model.paths.contains_key(to))
            .map(hash)
            .collect();
        let absent: BTreeSet<_> = view.absent_references().into_iter().collect();
        prop_assert_eq!(absent, lacking);

        // Chains are real, begin at a root, and are there for all that the index's references reach.
        let places: BTreeSet<Id> = roots.iter().map(|&number| id(&view, number)).collect();
        for &number in model.paths.keys() {
            let chain = view.chain_to(id(&view, number), |root| places.contains(&root));
            let distance = roots
                .iter()
                .filter_map(|&root| model.closure(root).0.get(&number).copied())
                .min();
            prop_assert_eq!(chain.as_ref().map(|chain| chain.len() as u32 - 1), distance);
            let chain = chain.unwrap_or_default();
            for pair in chain.windows(2) {
                let step = view.closure_ids(pair[0]);
                prop_assert!(step.contains(&pair[1]));
            }
        }
    }
}
