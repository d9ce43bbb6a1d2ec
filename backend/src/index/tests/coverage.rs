//! Coverage, what rests on a key and what a machine accepts, against slow and obvious answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use snowbank_shared::api::vouching::CoverageSum;
use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::package;
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey, SecretKey, TrustSet};
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use super::support::{Path, hash, put};
use crate::index::accept::{MOST_CHECKS, Question};
use crate::index::coverage::Cut;
use crate::index::graph::Graph;
use crate::index::layout::LayoutPool;
use crate::index::op::{Notes, Op, Touched};
use crate::index::query::PathQuery;
use crate::index::view::View;
use crate::index::vouch::Vouch;

/// Paths there are; references go a little beyond.
const NUMBERS: u32 = 12;
/// Known keys, one of them retired, one revoked; the fourth is known to nobody.
const NAMES: [&str; 4] = ["team-1", "alice-1", "old-1", "stranger-1"];

fn key(place: usize) -> SecretKey {
    SecretKey::generate(NAMES[place], [place as u8 + 1; 32]).expect("a key")
}

fn ring() -> KeyRing {
    let state = [KeyState::Active, KeyState::Retired, KeyState::Revoked];
    let purpose = [
        KeyPurpose::Cache,
        KeyPurpose::Contributor,
        KeyPurpose::Contributor,
    ];
    KeyRing::new((0..3).map(|place| KnownKey {
        key: key(place).public_key(),
        purpose: purpose[place],
        state: state[place],
    }))
}

/// What a signature line is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Absent,
    Good,
    Bad,
}

#[derive(Debug, Clone)]
struct Made {
    path: Path,
    lines: [Line; 4],
}

impl Made {
    fn text(&self) -> String {
        let bare = self.path.text();
        let narinfo = NarInfo::parse(bare.as_bytes(), &StoreDir::default()).expect("a narinfo");
        let mut text = bare;
        for (place, line) in self.lines.iter().enumerate() {
            let signed = match line {
                Line::Absent => continue,
                Line::Good => narinfo.fingerprint(),
                Line::Bad => "something else".to_owned(),
            };
            text.push_str(&format!("Sig: {}\n", key(place).sign(signed.as_bytes())));
        }
        text
    }

    fn passes(&self, place: usize) -> bool {
        self.lines[place] == Line::Good
    }
}

fn made() -> impl Strategy<Value = BTreeMap<u32, Made>> {
    let line = || {
        prop_oneof![
            4 => Just(Line::Absent),
            5 => Just(Line::Good),
            1 => Just(Line::Bad),
        ]
    };
    let one = (
        prop::collection::btree_set(0..NUMBERS + 2, 0..4),
        [line(), line(), line(), line()],
        0..4_i64,
        1..9_u64,
    );
    prop::collection::btree_map(0..NUMBERS, one, 0..NUMBERS as usize).prop_map(|paths| {
        let made = paths
            .into_iter()
            .map(|(number, (refers, lines, month, size))| {
                let refers: Vec<u32> = refers.into_iter().collect();
                let mut path = Path::new(number, &refers);
                path.signers = Vec::new();
                path.nar_size = size * 100;
                path.added_at = 1_700_000_000 + month * 31 * 86_400;
                (number, Made { path, lines })
            });
        made.collect()
    })
}

/// A view of them, half in columns and half in the overlay.
fn view(paths: &BTreeMap<u32, Made>) -> View {
    let ring = ring();
    let mut graph = Graph::new("/nix/store");
    for (at, made) in paths.values().enumerate() {
        let mut touched = Touched::default();
        let change = put(&made.text(), made.path.added_at, &ring);
        Op::of(change, "/nix/store", &LayoutPool::default()).apply_to(&mut graph, &mut touched);
        graph.settle(&touched);
        if at == paths.len() / 2 {
            graph = graph.merged();
        }
    }
    View::new(
        graph,
        Notes::default(),
        Arc::new(ring),
        StoreDir::default(),
        "r".to_owned(),
        Arc::default(),
        Arc::default(),
    )
}

/// The closure of a path, and whether nothing of it is missing.
fn closure(paths: &BTreeMap<u32, Made>, root: u32) -> (BTreeSet<u32>, bool) {
    let (mut seen, mut whole, mut open) = (BTreeSet::from([root]), true, vec![root]);
    while let Some(at) = open.pop() {
        for (to, _) in &paths[&at].path.references {
            if !paths.contains_key(to) {
                whole = false;
            } else if seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    (seen, whole)
}

/// The sums of some paths for a key.
fn sum(paths: &BTreeMap<u32, Made>, of: &[u32], place: usize) -> CoverageSum {
    let signed = of.iter().filter(|number| paths[number].passes(place));
    let covered = |number: &&u32| {
        let (closure, whole) = closure(paths, **number);
        whole && closure.iter().all(|number| paths[number].passes(place))
    };
    CoverageSum {
        paths: signed.clone().count() as u64,
        nar_size: signed.map(|number| paths[number].path.nar_size).sum(),
        closures: of.iter().filter(covered).count() as u64,
        invalid: of
            .iter()
            .filter(|number| paths[number].lines[place] == Line::Bad)
            .count() as u64,
    }
}

fn count(view: &View, query: &PathQuery) -> u64 {
    view.query_all(query).len() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a60_every_cell_is_what_its_filter_lists(paths in made(), root in 0..NUMBERS) {
        let view = view(&paths);
        let pins = vec![("prod".to_owned(), vec![hash(root)])];
        for cut in [Cut::Months, Cut::Packages, Cut::Pins(pins.clone())] {
            let coverage = view.coverage(&cut, 1_000);
            prop_assert_eq!(coverage.rows, coverage.items.len() as u64);
            let all: Vec<u32> = paths.keys().copied().collect();
            for row in std::iter::once(&coverage.total).chain(&coverage.items) {
                let mut base = PathQuery::default();
                let of: Vec<u32> = match &cut {
                    _ if row.name.is_empty() => all.clone(),
                    Cut::Months => {
                        let month = |number: &&u32| {
                            let added = crate::index::rfc3339(paths[number].path.added_at);
                            added.starts_with(&row.name)
                        };
                        all.iter().filter(month).copied().collect()
                    }
                    Cut::Packages => {
                        base.package = Some(row.name.clone());
                        let named = |number: &&u32| package::split(&paths[number].path.name).0 == row.name;
                        all.iter().filter(named).copied().collect()
                    }
                    Cut::Pins(pins) => {
                        base.roots = Some(pins[0].1.clone());
                        match paths.contains_key(&root) {
                            true => closure(&paths, root).0.into_iter().collect(),
                            false => Vec::new(),
                        }
                    }
                    Cut::Uploaders(_) => Vec::new(),
                };
                prop_assert_eq!(row.all.paths, of.len() as u64);
                let whole = of.iter().filter(|number| closure(&paths, **number).1).count();
                prop_assert_eq!(row.all.closures, whole as u64);
                for (column, found) in coverage.keys.iter().zip(&row.keys) {
                    let place = NAMES.iter().position(|name| *name == column.name).expect("a column");
                    prop_assert_eq!(*found, sum(&paths, &of, place), "{} {}", &row.name, &column.name);
                    if cut == Cut::Months && !row.name.is_empty() {
                        continue;
                    }
                    let listed = |vouch: Vouch| count(&view, &PathQuery { vouch: Some(vouch), ..base.clone() });
                    let name = || column.name.clone();
                    prop_assert_eq!(found.paths, listed(Vouch::Valid(name())));
                    prop_assert_eq!(found.closures, listed(Vouch::Closure(name())));
                    prop_assert_eq!(found.invalid, listed(Vouch::Invalid(name())));
                    prop_assert_eq!(row.all.closures, listed(Vouch::Whole));
                }
                for (word, found) in coverage.words.iter().zip(&row.words) {
                    let has = |number: &&u32| view.signature(view.find(&hash(**number)).expect("it is there")) == *word;
                    prop_assert_eq!(found.paths, of.iter().filter(has).count() as u64);
                }
            }
            let months = cut == Cut::Months;
            prop_assert!(!months || coverage.items.is_sorted_by(|a, b| a.name > b.name));
            let parts: u64 = coverage.items.iter().map(|row| row.all.paths).sum();
            prop_assert!(matches!(cut, Cut::Pins(_)) || parts == coverage.total.all.paths);
        }
        let signed = view.signed_with();
        for (place, name) in NAMES.iter().enumerate().take(3) {
            let alone = |made: &&Made| (0..3).all(|other| made.passes(other) == (other == place));
            let only: Vec<&Made> = paths.values().filter(alone).collect();
            let found = signed.get(*name).copied().unwrap_or_default();
            prop_assert_eq!(found.only_paths, only.len() as u64);
            prop_assert_eq!(found.only_nar_size, only.iter().map(|made| made.path.nar_size).sum::<u64>());
            let listed = PathQuery { vouch: Some(Vouch::Only((*name).to_owned())), ..PathQuery::default() };
            prop_assert_eq!(found.only_paths, count(&view, &listed));
            let lines = paths.values().filter(|made| made.lines[place] != Line::Absent).count();
            prop_assert_eq!(found.lines, lines as u64);
        }
    }

    #[test]
    fn a61_what_goes_with_a_key(
        paths in made(),
        trusted in prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4),
        dropped in prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4),
        root in 0..NUMBERS,
    ) {
        let view = view(&paths);
        let keys = |places: &[usize]| -> Vec<PublicKey> {
            places.iter().map(|&place| key(place).public_key()).collect()
        };
        let left: Vec<usize> = trusted.iter().copied().filter(|place| !dropped.contains(place)).collect();
        let accepts = |places: &[usize], number: u32| places.iter().any(|&place| paths[&number].passes(place));
        let pins = vec![("prod".to_owned(), 3, hash(root))];
        for path in [None, view.find(&hash(root))] {
            for drops in [false, true] {
                let question = Question {
                    trust: TrustSet::new(keys(&trusted)),
                    without: drops.then(|| TrustSet::new(keys(&left))),
                    path,
                    pins: pins.clone(),
                };
                let (answer, refused) = view.acceptance(&question, MOST_CHECKS);
                let of: Vec<u32> = match path {
                    None => paths.keys().copied().collect(),
                    Some(_) => closure(&paths, root).0.into_iter().collect(),
                };
                let now = if drops { &left } else { &trusted };
                let lost = |number: u32| {
                    !accepts(now, number) && (!drops || accepts(&trusted, number))
                };
                let expected: BTreeSet<StorePathHash> =
                    of.iter().filter(|number| lost(**number)).map(|number| hash(*number)).collect();
                let found: BTreeSet<StorePathHash> = refused.iter().map(|id| view.hash(*id)).collect();
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(answer.refused, expected.len() as u64);
                prop_assert_eq!(answer.items.len(), expected.len());
                prop_assert_eq!(answer.accepted, of.iter().filter(|number| accepts(now, **number)).count() as u64);
                prop_assert_eq!(answer.accepted + answer.refused + answer.refused_anyway, of.len() as u64);
                prop_assert_eq!(answer.unchecked, 0);
                let breaks = |number: &&u32| {
                    let closure = closure(&paths, **number).0;
                    let before = !drops || closure.iter().all(|number| accepts(&trusted, *number));
                    before && !closure.iter().all(|number| accepts(now, *number))
                };
                prop_assert_eq!(answer.broken_closures, of.iter().filter(breaks).count() as u64);
                let in_pin = match paths.contains_key(&root) {
                    true => closure(&paths, root).0.iter().filter(|number| lost(**number)).count() as u64,
                    false => 0,
                };
                prop_assert_eq!(answer.pins.first().map_or(0, |pin| pin.refused), in_pin);
            }
        }
    }
}

#[test]
fn a_key_that_the_index_does_not_judge_by_is_checked_all_the_same() {
    let mut paths = BTreeMap::new();
    let lines = [Line::Good, Line::Absent, Line::Absent, Line::Absent];
    for number in 0..3 {
        let path = Path {
            signers: Vec::new(),
            ..Path::new(number, &[])
        };
        paths.insert(number, Made { path, lines });
    }
    let view = view(&paths);
    let accepted = |keys: Vec<PublicKey>| {
        let question = Question {
            trust: TrustSet::new(keys),
            ..Question::default()
        };
        view.acceptance(&question, MOST_CHECKS).0.accepted
    };
    let imposter = SecretKey::generate("team-1", [99; 32])
        .expect("a key")
        .public_key();
    let ours = key(0).public_key();
    assert_eq!(accepted(vec![ours.clone(), imposter.clone()]), 3);
    assert_eq!(
        accepted(vec![imposter, ours]),
        0,
        "the first of a name counts"
    );
    let status = view.signature(view.find(&hash(0)).expect("it is there"));
    assert_eq!(status, SignatureStatus::Valid);
    // Beyond the limit nothing is said of a path.
    let stranger = SecretKey::generate("team-1", [99; 32]).expect("a key");
    let question = Question {
        trust: TrustSet::new([stranger.public_key()]),
        ..Question::default()
    };
    let (answer, _) = view.acceptance(&question, 2);
    assert_eq!((answer.refused, answer.unchecked), (2, 1));
}
