//! What is on disk after a crash, and after damage.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path as Folder;

use proptest::prelude::*;

use super::model::Model;
use super::properties::{Step, check, measure, steps};
use super::support::{Path, hash, params};
use crate::index::graph::Graph;
use crate::index::layout::LayoutPool;
use crate::index::op::{Notes, Op};
use crate::index::{Change, Index, OpenError, View, log, snapshot, state};

/// What an index knows, in a form to compare.
fn contents(index: &Index) -> BTreeSet<String> {
    narinfos(&index.view())
}

/// The narinfos of a view.
fn narinfos(view: &View) -> BTreeSet<String> {
    view.hashes()
        .map(|hash| {
            let id = view.find(&hash).unwrap();
            String::from_utf8(view.narinfo_bytes(id).to_vec()).unwrap()
        })
        .collect()
}

fn copy(from: &Folder, to: &Folder) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_folder_has_one_index() {
    let dir = tempfile::tempdir().unwrap();
    let first = Index::open(dir.path(), &params()).unwrap();
    assert!(matches!(
        Index::open(dir.path(), &params()),
        Err(OpenError::Locked(_))
    ));
    drop(first);
    Index::open(dir.path(), &params()).unwrap();
}

#[test]
fn a_log_that_is_cut_anywhere_gives_a_beginning_of_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let mut states = vec![BTreeSet::new()];
    {
        let index = Index::open(dir.path(), &params()).unwrap();
        for number in 0..12 {
            let change = if number % 4 == 3 {
                Change::Remove(hash(number - 1))
            } else {
                Path::new(number, &[number / 2, number + 1]).put()
            };
            index.apply(vec![change]);
            states.push(contents(&index));
        }
    }
    let bytes = fs::read(dir.path().join("log-1")).unwrap();
    let whole = states.len() - 1;
    let mut found = BTreeSet::new();
    for length in 0..=bytes.len() {
        let state = replayed(&bytes[..length]);
        let state = states.iter().position(|known| *known == state);
        assert!(state.is_some(), "{length} of {}", bytes.len());
        found.extend(state);
    }
    // Removing what came just before makes some states equal.
    assert_eq!(found.len(), 10);
    // A flipped bit ends it as a cut does.
    for position in (0..bytes.len()).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        let state = replayed(&flipped);
        assert!(states[..whole].contains(&state), "{position}");
    }
    // It goes on from where it is whole.
    for length in (0..=bytes.len()).step_by(bytes.len() / 9) {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join("log-1"), &bytes[..length]).unwrap();
        let index = Index::open(torn.path(), &params()).unwrap();
        assert!(states.contains(&contents(&index)));
        index.apply(vec![Path::new(77, &[]).put()]);
        let now = contents(&index);
        drop(index);
        assert_eq!(contents(&Index::open(torn.path(), &params()).unwrap()), now);
    }
}

/// What the bytes of a log file give.
fn replayed(bytes: &[u8]) -> BTreeSet<String> {
    let mut ops = Vec::new();
    log::read_file(bytes, &mut ops);
    let graph = state::replay(Graph::new("/nix/store"), &mut Notes::default(), &ops);
    narinfos(&super::properties::view(&graph))
}

#[test]
fn a_snapshot_with_any_byte_changed_or_missing_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    {
        let index = Index::open(dir.path(), &params()).unwrap();
        index.apply(
            (0..20)
                .map(|number| Path::new(number, &[number, number + 1]).put())
                .collect(),
        );
        index.settle();
        index.save();
    }
    let bytes = fs::read(dir.path().join("snapshot")).unwrap();
    let read =
        |bytes: &[u8], store_dir: &str| snapshot::read_from(bytes, bytes.len() as u64, store_dir);
    assert_eq!(read(&bytes, "/nix/store").unwrap().graph.live, 20);
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        assert!(read(&flipped, "/nix/store").is_err(), "{position}");
    }
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], "/nix/store").is_err(), "{length}");
    }
    assert!(read(&[&bytes[..], b"x"].concat(), "/nix/store").is_err());
    // Of another version, and of another store directory.
    let mut version = bytes.clone();
    version[8] += 1;
    let error = read(&version, "/nix/store").unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    let error = read(&bytes, "/gnu/store").unwrap_err();
    assert!(error.to_string().contains("/nix/store"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("snapshot");
    // The index opens all the same, empty, and is filled again.
    fs::write(&file, &bytes[..100]).unwrap();
    let index = Index::open(other.path(), &params()).unwrap();
    assert!(index.view().is_empty());
    index.apply(vec![Path::new(1, &[]).put()]);
    drop(index);
    assert_eq!(
        Index::open(other.path(), &params()).unwrap().view().len(),
        1
    );
}

#[test]
fn a_kill_between_any_two_writes_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path(), &params()).unwrap();
    for round in 0..6u32 {
        index.apply(
            (0..30)
                .map(|number| Path::new(round * 20 + number, &[number]).put())
                .collect(),
        );
        // As a kill would leave it: a copy of what is there, without closing anything.
        let killed = tempfile::tempdir().unwrap();
        copy(dir.path(), killed.path());
        let after = Index::open(killed.path(), &params()).unwrap();
        assert_eq!(contents(&after), contents(&index));
        drop(after);
        index.save();
        let killed = tempfile::tempdir().unwrap();
        copy(dir.path(), killed.path());
        assert!(
            fs::metadata(killed.path().join("log-1")).is_err(),
            "the first log file is superfluous"
        );
        assert_eq!(
            contents(&Index::open(killed.path(), &params()).unwrap()),
            contents(&index)
        );
    }
    // A log file left over from before the snapshot is not read again.
    let stale = tempfile::tempdir().unwrap();
    copy(dir.path(), stale.path());
    fs::write(stale.path().join("log-1"), b"SNOWLOG\x01rubbish").unwrap();
    assert_eq!(
        contents(&Index::open(stale.path(), &params()).unwrap()),
        contents(&index)
    );
}

#[test]
fn bulk_and_single_changes_keep_their_order() {
    let index = super::support::index();
    for round in 0..6u32 {
        let mut changed = Path::new(5, &[]);
        changed.nar_size = 1_000 + u64::from(round);
        index.apply_bulk(
            (0..1_200)
                .map(|number| Path::new(number, &[number / 3]).put())
                .collect(),
        );
        index.apply(vec![changed.put()]);
        let view = index.view();
        assert_eq!(
            view.nar_size(view.find(&hash(5)).unwrap()),
            changed.nar_size,
            "shows at once"
        );
        index.flush();
        let view = index.view();
        assert_eq!(view.len(), 1_200);
        assert_eq!(
            view.nar_size(view.find(&hash(5)).unwrap()),
            changed.nar_size,
            "and stays"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_snapshot_and_a_log_give_the_same_graph(steps in steps(), cut in 0..50usize) {
        let dir = tempfile::tempdir().unwrap();
        let (mut graph, mut model) = (Graph::new("/nix/store"), Model::default());
        let cut = cut.min(steps.len());
        for step in &steps[..cut] {
            super::properties::carry_out(step, &mut graph, &mut model);
        }
        let graph = graph.merged();
        snapshot::write(dir.path(), &graph, &Notes::default(), 1).unwrap();
        let loaded = snapshot::read(dir.path(), "/nix/store").unwrap();
        prop_assert_eq!(&loaded.graph.base.links, &graph.base.links);
        check(&loaded.graph, &model);
        let mut log = log::Log::create(dir.path(), 1).unwrap();
        for step in &steps[cut..] {
            match step {
                Step::Put(path) => log.append(&[Op::of(path.put(), "/nix/store", &LayoutPool::default())]).unwrap(),
                Step::Remove(number) => log.append(&[Op::Remove(hash(*number))]).unwrap(),
                Step::Merge | Step::Compact | Step::Measure => {}
            }
            super::properties::carry_out(step, &mut Graph::new("/nix/store"), &mut model);
        }
        let replayed = log::replay(dir.path(), loaded.log).unwrap();
        prop_assert!(replayed.damage.is_none());
        let mut graph = state::replay(loaded.graph, &mut Notes::default(), &replayed.ops);
        check(&graph, &model);
        measure(&mut graph);
        check(&graph, &model);
    }
}
