//! Facets, selections and whole lists are what the model says.

use std::collections::BTreeSet;

use proptest::prelude::*;
use snowbank_shared::api::{ContentStatus, FacetCount, SignatureStatus};
use snowbank_shared::store_path::StorePathHash;

use super::model::Model;
use super::properties::{carry_out, measure, query, steps, view};
use super::support::hash;
use crate::index::graph::Graph;
use crate::index::query::PathQuery;

/// When facets are asked for: the paths of the model were first seen a little before.
const NOW: i64 = 3_603;

fn built(steps: &[super::properties::Step]) -> (Graph, Model) {
    let (mut graph, mut model) = (Graph::new("/nix/store"), Model::default());
    for step in steps {
        carry_out(step, &mut graph, &mut model);
    }
    (graph, model)
}

/// How often a value was counted.
fn of(counts: &[FacetCount], value: &str) -> usize {
    let found = counts.iter().find(|count| count.value == value);
    found.map_or(0, |count| count.paths as usize)
}

fn number(hash: &StorePathHash) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&hash.as_bytes()[16..]);
    u32::from_be_bytes(number)
}

/// What goes if these go: as long as there is a path all of whose referrers go, it goes too.
fn goes_with(model: &Model, roots: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut going = roots.clone();
    loop {
        let next = model.paths.keys().find(|number| {
            let referrers = model.referrers(**number);
            !going.contains(*number) && !referrers.is_empty() && referrers.is_subset(&going)
        });
        match next {
            Some(&next) => going.insert(next),
            None => return going,
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_facet_counts_what_choosing_its_value_would_show(
        steps in steps(), queries in prop::collection::vec(query(), 1..4),
    ) {
        let (graph, model) = built(&steps);
        let view = view(&graph);
        for query in &queries {
            let shown = |change: &dyn Fn(&mut PathQuery)| {
                let mut query = query.clone();
                change(&mut query);
                model.query(&query).len()
            };
            let facets = view.facets(query, NOW);
            prop_assert_eq!(facets.total as usize, shown(&|_| {}));
            for word in SignatureStatus::ALL {
                prop_assert_eq!(of(&facets.signature, word.as_str()), shown(&|query| query.sig = vec![word]));
            }
            for word in ContentStatus::ALL {
                prop_assert_eq!(of(&facets.content, word.as_str()), shown(&|query| query.content = vec![word]));
            }
            for key in ["one-1", "two-1", "three-1"] {
                prop_assert_eq!(of(&facets.key, key), shown(&|query| query.key = Some(key.to_owned())));
            }
            for word in ["xz", "zstd", "none", "bzip2"] {
                prop_assert_eq!(
                    of(&facets.compression, word),
                    shown(&|query| query.compression = Some(word.to_owned()))
                );
            }
            prop_assert_eq!(
                of(&facets.size, "-1048575"),
                shown(&|query| (query.min, query.max) = (None, Some(1_048_575)))
            );
            prop_assert_eq!(
                of(&facets.added, "3600"),
                shown(&|query| (query.since, query.until) = (Some(NOW - 3_600), None))
            );
            prop_assert_eq!(facets.unreferenced as usize, shown(&|query| query.unreferenced = true));
            prop_assert_eq!(facets.reproduced as usize, shown(&|query| query.reproduced = true));
            type Change = fn(&mut PathQuery);
            let without: [(&str, bool, Change); 10] = [
                ("q", !query.q.is_empty(), |query| query.q.clear()),
                ("sig", !query.sig.is_empty(), |query| query.sig.clear()),
                ("content", !query.content.is_empty(), |query| query.content.clear()),
                ("key", query.key.is_some(), |query| query.key = None),
                ("compression", query.compression.is_some(), |query| query.compression = None),
                ("unreferenced", query.unreferenced, |query| query.unreferenced = false),
                ("size", query.min.is_some(), |query| (query.min, query.max) = (None, None)),
                ("added", query.since.is_some(), |query| (query.since, query.until) = (None, None)),
                ("pin", query.roots.is_some(), |query| query.roots = None),
                ("reproduced", query.reproduced, |query| query.reproduced = false),
            ];
            for (parameter, used, drop) in without {
                let found = facets.without.iter().find(|count| count.value == parameter);
                prop_assert_eq!(found.is_some(), used, "{}", parameter);
                prop_assert_eq!(of(&facets.without, parameter), if used { shown(&drop) } else { 0 });
            }
        }
    }

    #[test]
    fn a_whole_list_is_all_of_its_pages(steps in steps(), query in query()) {
        let (mut graph, model) = built(&steps);
        measure(&mut graph);
        let view = view(&graph);
        let all = view.query_all(&query);
        let numbers: Vec<u32> = all.iter().map(|&id| number(&view.hash(id))).collect();
        prop_assert_eq!(numbers, model.query(&query));
    }

    #[test]
    fn a_selection_weighs_what_is_shared_once(
        steps in steps(), chosen in prop::collection::vec(0..17u32, 0..6),
    ) {
        let (graph, model) = built(&steps);
        let view = view(&graph);
        let hashes: Vec<StorePathHash> = chosen.iter().map(|&number| hash(number)).collect();
        let selection = view.selection(&hashes);
        let (here, gone): (BTreeSet<u32>, BTreeSet<u32>) =
            chosen.iter().partition(|number| model.paths.contains_key(number));
        let size = |numbers: &BTreeSet<u32>| -> u64 {
            numbers.iter().map(|number| model.paths[number].nar_size).sum()
        };
        let file = |numbers: &BTreeSet<u32>| -> Option<u64> {
            numbers.iter().map(|number| model.paths[number].file_size).sum()
        };
        let mut closure = BTreeSet::new();
        let mut missing = BTreeSet::new();
        for &number in &here {
            let (present, lacking) = model.closure(number);
            closure.extend(present.into_keys());
            missing.extend(lacking.into_keys());
        }
        let apart: u64 = here.iter().map(|&number| model.measure(number).0).sum();
        let going = goes_with(&model, &here);
        prop_assert_eq!(
            (selection.paths, selection.nar_size, selection.file_size),
            (here.len() as u64, size(&here), file(&here))
        );
        prop_assert_eq!(
            (selection.closure_paths, selection.closure_size, selection.closure_file_size),
            (closure.len() as u64, size(&closure), file(&closure))
        );
        prop_assert_eq!((selection.closure_size_apart, selection.missing), (apart, missing.len() as u64));
        prop_assert_eq!((selection.added_paths, selection.added_size), (going.len() as u64, size(&going)));
        prop_assert_eq!(selection.absent.len(), gone.len());
    }

    #[test]
    fn what_only_one_pin_keeps_is_what_no_other_reaches(
        steps in steps(), sets in prop::collection::vec(prop::collection::vec(0..17u32, 0..4), 0..4),
    ) {
        let (graph, model) = built(&steps);
        let view = view(&graph);
        let sets: Vec<Vec<StorePathHash>> = sets
            .iter()
            .map(|numbers| numbers.iter().map(|&number| hash(number)).collect())
            .collect();
        let held: Vec<BTreeSet<u32>> = sets.iter().map(|roots| model.held(roots)).collect();
        let nar = |number: &u32| {
            let path = &model.paths[number];
            let url = path.url.clone().unwrap_or_else(|| path.file_hash().to_nix32());
            url.split('?').next().expect("a URL").to_owned()
        };
        for (at, weight) in view.exclusive(&sets).into_iter().enumerate() {
            let others: BTreeSet<u32> = held
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .flat_map(|(_, held)| held.iter().copied())
                .collect();
            let alone: BTreeSet<u32> = held[at].difference(&others).copied().collect();
            let foreign: BTreeSet<String> = others.iter().map(nar).collect();
            let archives: BTreeSet<String> = alone.iter().map(nar).collect();
            let file = archives.difference(&foreign).map(|archive| {
                let sharing = alone.iter().filter(|number| nar(number) == *archive);
                sharing.filter_map(|number| model.paths[number].file_size).max()
            });
            prop_assert_eq!(weight.paths, alone.len() as u64);
            let size: u64 = alone.iter().map(|number| model.paths[number].nar_size).sum();
            prop_assert_eq!(weight.nar_size, size);
            prop_assert_eq!(weight.file_size, file.sum::<Option<u64>>());
        }
    }
}
