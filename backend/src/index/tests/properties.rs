//! Any sequence of changes, merges and restarts gives what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use snowbank_shared::api::PathRow;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::StoreDir;

use super::model::{Model, Name};
use super::support::{Path, hash, name};
use crate::index::chunk::Mark;
use crate::index::graph::Graph;
use crate::index::layout::{LayoutPool, push_nar_key};
use crate::index::op::{Notes, Op, Touched};
use crate::index::query::{PathQuery, Sort, SortField};
use crate::index::traverse::Seen;
use crate::index::view::View;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Put(Path),
    Remove(u32),
    Merge,
    Compact,
    Measure,
}

/// Paths there may be; references go a little beyond, to what never comes.
const NUMBERS: u32 = 14;

fn path() -> impl Strategy<Value = Path> {
    let reference = (0..NUMBERS + 3, prop::bool::weighted(0.1));
    let references = prop::collection::vec(reference, 0..5);
    let signers = prop::sample::subsequence(vec!["one-1", "two-1"], 0..=2);
    let words = prop::sample::select(vec!["xz", "zstd", "none"]);
    let shared = prop::option::weighted(0.2, 0..3u32);
    (
        0..NUMBERS,
        references,
        1..5u64,
        any::<bool>(),
        signers,
        words,
        0..9i64,
        shared,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(number, references, size, sized, signers, compression, added, shared, renamed)| {
                let mut names = BTreeSet::new();
                let mut path = Path::new(number, &[]);
                path.references = references
                    .into_iter()
                    .map(|(to, other)| {
                        (
                            to,
                            if other {
                                format!("{}-other", name(to))
                            } else {
                                name(to)
                            },
                        )
                    })
                    .filter(|name: &Name| names.insert(name.clone()))
                    .collect();
                if renamed {
                    path.name.push_str("-other");
                }
                path.nar_size = size * 100;
                path.file_size = sized.then_some(size * 10);
                path.signers = signers;
                path.compression = compression;
                path.added_at = added;
                path.url = shared.map(|shared| format!("nar/shared-{shared}.nar?x={number}"));
                path
            },
        )
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => path().prop_map(Step::Put),
        4 => (0..NUMBERS).prop_map(Step::Remove),
        2 => Just(Step::Merge),
        1 => Just(Step::Compact),
        2 => Just(Step::Measure),
    ];
    prop::collection::vec(step, 0..50)
}

/// Carries a step out on a graph and in the model.
pub(super) fn carry_out(step: &Step, graph: &mut Graph, model: &mut Model) {
    let mut touched = Touched::default();
    match step {
        Step::Put(path) => {
            Op::of(path.put(), "/nix/store", &LayoutPool::default()).apply_to(graph, &mut touched);
            let mut path = path.clone();
            if let Some(known) = model.paths.get(&path.number) {
                path.added_at = path.added_at.min(known.added_at);
            }
            model.paths.insert(path.number, path);
        }
        Step::Remove(number) => {
            Op::Remove(hash(*number)).apply_to(graph, &mut touched);
            model.paths.remove(number);
        }
        Step::Merge => *graph = graph.merged(),
        Step::Compact => *graph = graph.compacted(),
        Step::Measure => measure(graph),
    }
    graph.settle(&touched);
}

/// Computes the closures that are missing.
pub(super) fn measure(graph: &mut Graph) {
    let rows: Vec<u32> = graph
        .all_live()
        .filter(|&row| graph.sum(row).is_none())
        .collect();
    for row in rows {
        let sum = graph.measure(row, &mut Seen::default(), &mut Vec::new());
        graph.set_sum(row, Some(sum));
    }
}

/// A view of a graph.
pub(super) fn view(graph: &Graph) -> View {
    View::new(
        graph.clone(),
        Notes::default(),
        Arc::new(KeyRing::default()),
        StoreDir::default(),
        "r".to_owned(),
        Arc::default(),
        Arc::default(),
    )
}

/// Everything that can be asked of single paths.
pub(super) fn check(graph: &Graph, model: &Model) {
    let view = view(graph);
    assert_eq!(graph.live, model.paths.len() as u64);
    assert_eq!(graph.all_live().count(), model.paths.len());
    let rows: BTreeMap<u32, u32> = (0..NUMBERS + 3)
        .filter_map(|number| Some((number, graph.find(&hash(number))?)))
        .collect();
    assert!(rows.keys().eq(model.paths.keys()));
    let numbers: BTreeMap<u32, u32> = rows.iter().map(|(&number, &row)| (row, number)).collect();
    let cycles = model.cycles();
    for (number, path) in &model.paths {
        let row = rows[number];
        let id = crate::index::Id(row);
        assert_eq!(view.narinfo_bytes(id), path.text());
        let referrers: BTreeSet<u32> = graph
            .referrers(row)
            .iter()
            .map(|row| numbers[row])
            .collect();
        assert_eq!(referrers, model.referrers(*number));
        assert_eq!(graph.referrer_count(row), referrers.len() as u64);
        let (present, missing) = model.closure(*number);
        let mut seen = Seen::default();
        let walk = graph.walk(row, &mut seen);
        let mut depths = BTreeMap::new();
        for (depth, &start) in walk.levels.iter().enumerate() {
            let end = walk
                .levels
                .get(depth + 1)
                .copied()
                .unwrap_or(walk.rows.len());
            for row in &walk.rows[start..end] {
                assert_eq!(depths.insert(numbers[row], depth as u32), None);
            }
        }
        assert_eq!(depths, present);
        let found: Vec<(String, u32)> = walk
            .missing
            .iter()
            .map(|&(code, depth)| {
                let (key, name) = graph.base_name(code);
                (format!("{key}-{name}"), depth)
            })
            .collect();
        let expected: BTreeMap<String, u32> = missing
            .iter()
            .map(|((number, name), &depth)| (format!("{}-{name}", hash(*number)), depth))
            .collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected);
        let (size, paths) = model.measure(*number);
        if let Some(sum) = graph.sum(row) {
            assert_eq!(
                (sum.size, sum.paths),
                (size, paths),
                "a closure that is out of date"
            );
        }
        let sum = graph.measure(row, &mut seen, &mut Vec::new());
        assert_eq!((sum.size, sum.paths), (size, paths));
        let mark = graph.mark(row);
        assert_eq!(
            mark.flags & Mark::CYCLE != 0,
            cycles.contains(number),
            "{number}"
        );
        assert_eq!(
            view.served(&hash(*number)).is_some(),
            !cycles.contains(number)
        );
        assert_eq!(i64::from(graph.added_at(row)), path.added_at);
        let mut key = Vec::new();
        let found = graph.row(row);
        push_nar_key(found.layout, &found.fields, &mut key);
        let sharing: BTreeSet<u32> = graph
            .rows_of_nar(&key)
            .iter()
            .map(|row| numbers[row])
            .collect();
        let file = |path: &Path| {
            let url = path
                .url
                .clone()
                .unwrap_or_else(|| format!("nar/{}", path.number));
            url.split('?').next().unwrap_or_default().to_owned()
        };
        let expected: BTreeSet<u32> = model
            .paths
            .values()
            .filter(|other| file(other) == file(path))
            .map(|other| other.number)
            .collect();
        assert_eq!(sharing, expected);
    }
}

/// The numbers of all pages of a query.
pub(super) fn pages(view: &View, query: &PathQuery) -> Vec<u32> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = view.query(&query).unwrap();
        assert!(page.items.len() <= query.limit);
        found.extend(page.items.iter().map(number));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => {
                assert_eq!(page.total, found.len() as u64);
                return found;
            }
        }
    }
}

/// The number that a row's hash was made of.
fn number(row: &PathRow) -> u32 {
    let hash: snowbank_shared::store_path::StorePathHash = row.hash.parse().unwrap();
    let mut number = [0; 4];
    number.copy_from_slice(&hash.as_bytes()[16..]);
    u32::from_be_bytes(number)
}

/// All pages by the number of their first row; each goes on with the cursor that the other way
/// of paging gives there.
fn pages_by_offset(view: &View, query: &PathQuery) -> Vec<u32> {
    let mut found = Vec::new();
    let mut by_cursor = query.clone();
    loop {
        let by_offset = PathQuery {
            offset: Some(found.len() as u64),
            ..query.clone()
        };
        let page = view.query(&by_offset).unwrap();
        assert_eq!(page, view.query(&by_cursor).unwrap());
        found.extend(page.items.iter().map(number));
        match page.next {
            Some(next) => by_cursor.cursor = Some(next),
            None => break,
        }
    }
    for beyond in [found.len() as u64, u64::from(u32::MAX)] {
        let beyond = PathQuery {
            offset: Some(beyond),
            ..query.clone()
        };
        let page = view.query(&beyond).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
        assert_eq!(page.total, found.len() as u64);
    }
    found
}

pub(super) fn query() -> impl Strategy<Value = PathQuery> {
    use snowbank_shared::api::{ContentStatus, SignatureStatus};
    let text = prop_oneof![
        4 => Just(String::new()),
        1 => prop::sample::select(vec!["g", "GCC", "python3 other", "xorg", "1.", "zzz", "- -"]).prop_map(str::to_owned),
        1 => (0..NUMBERS, 4..12usize).prop_map(|(number, length)| hash(number).to_string()[..length].to_owned()),
    ];
    let sort = (prop::sample::select(SortField::ALL.to_vec()), any::<bool>())
        .prop_map(|(field, descending)| Sort { field, descending });
    let rare = |chance| prop::bool::weighted(chance);
    (
        text,
        sort,
        1..6usize,
        rare(0.2),
        rare(0.2),
        rare(0.2),
        rare(0.2),
        rare(0.2),
        rare(0.2),
        rare(0.1),
        prop::option::weighted(0.2, prop::collection::vec(0..NUMBERS, 0..4)),
    )
        .prop_map(
            |(q, sort, limit, sig, key, compression, unreferenced, size, time, content, roots)| {
                PathQuery {
                    q,
                    sort,
                    limit,
                    sig: if sig {
                        vec![SignatureStatus::Unsigned]
                    } else {
                        vec![]
                    },
                    content: if content {
                        vec![ContentStatus::NarMissing]
                    } else {
                        vec![]
                    },
                    key: key.then(|| "two-1".to_owned()),
                    compression: compression.then(|| "zstd".to_owned()),
                    pin: None,
                    roots: roots.map(|roots| roots.into_iter().map(hash).collect()),
                    unreferenced,
                    reproduced: false,
                    makers: None,
                    min: size.then_some(200),
                    max: size.then_some(300),
                    since: time.then_some(2),
                    until: time.then_some(6),
                    ..PathQuery::default()
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn paths_are_what_the_model_says(steps in steps()) {
        let (mut graph, mut model) = (Graph::new("/nix/store"), Model::default());
        for step in &steps {
            carry_out(step, &mut graph, &mut model);
        }
        check(&graph, &model);
        measure(&mut graph);
        check(&graph, &model);
        // The overlay says what columns would, and columns what a fresh build would.
        check(&graph.merged(), &model);
        check(&graph.compacted(), &model);
    }

    #[test]
    fn pages_are_what_the_model_says(steps in steps(), queries in prop::collection::vec(query(), 1..6)) {
        let (mut graph, mut model) = (Graph::new("/nix/store"), Model::default());
        for step in &steps {
            carry_out(step, &mut graph, &mut model);
        }
        measure(&mut graph);
        let view = view(&graph);
        for query in &queries {
            prop_assert_eq!(pages(&view, query), model.query(query), "{:?}", query);
            // The same through the permutation of all rows.
            let found = view.pages_by_permutation(query);
            prop_assert_eq!(found, model.query(query), "by permutation: {:?}", query);
            prop_assert_eq!(pages_by_offset(&view, query), model.query(query), "by offset: {:?}", query);
        }
    }
}
