//! Every bad input of the vectors, each in a cache of its own in one bucket.

use std::path::{Path, PathBuf};

use snowbank::sync::{Sync, SyncParams};
use snowbank_shared::api::KeyState;
use snowbank_shared::store_path::StorePathHash;

use crate::world::{World, connect, empty_index, first_sweep, key_ring};

fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    folder.join("bad/manifest.json").exists().then_some(folder)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let bytes = std::fs::read(entry.path()).expect("read");
            std::fs::write(target, bytes).expect("written");
        }
    }
}

/// Cases that can be read, one way or another: listed with their status. The rest of the
/// `ni-` cases is not a narinfo.
const READABLE: &[&str] = &[
    "ni-no-space",
    "ni-narsize-huge",
    "ni-wrong-name",
    "ni-comp-unknown",
    "ni-comp-case",
    "ni-comp-mismatch",
    "ni-comp-none-but-xz",
    "ni-comp-xz-but-none",
];

/// Cases that are listed and a finding all the same: some client fails on them.
const ODD: &[&str] = &[
    "ni-no-space",
    "sig-no-colon",
    "sig-noname",
    "sig-badb64",
    "sig-badb64-trusted",
    "sig-short-other",
    "sig-65",
    "sig-trailing",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_input_is_listed_or_a_finding() {
    let Some(vectors) = vectors() else {
        println!("SKIPPED: the folder of vectors not found");
        return;
    };
    let manifest = std::fs::read_to_string(vectors.join("bad/manifest.json")).expect("read");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let cases = manifest.as_array().expect("a list");
    assert!(cases.len() >= 140);
    let world = World::new().await;
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        copy(&vectors.join("bad").join(id), &world.root().join(id));
    }
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let index = empty_index();
        let bucket = connect(&world.server, id).await;
        let ring = key_ring(KeyState::Active);
        let sync = Sync::spawn(&bucket, index.clone(), ring, SyncParams::embedded());
        first_sweep(&sync).await;
        assert_eq!(sync.status().borrow().error, None, "{id}");
        let view = index.view();
        let found = |check| {
            view.health(Some(check), 100, None)
                .expect("no cursor")
                .items
        };
        for entry in std::fs::read_dir(vectors.join("bad").join(id)).expect("a folder") {
            let name = entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("ASCII");
            let Some(hash) = StorePathHash::from_narinfo_key(&name) else {
                continue;
            };
            let listed = view.find(&hash).is_some();
            let noted: Vec<_> = ["bad-narinfo", "bad-url", "key-mismatch"]
                .into_iter()
                .flat_map(found)
                .filter(|finding| finding.object == name)
                .collect();
            assert!(listed || !noted.is_empty(), "{id} was dropped silently");
            assert!(
                noted.iter().all(|finding| !finding.reason.is_empty()),
                "{id}"
            );
            if listed {
                assert_eq!(!noted.is_empty(), ODD.contains(&id), "{id}: {noted:?}");
                let lines = noted.iter().all(|finding| finding.line.is_some());
                assert!(lines, "{id}: {noted:?}");
            }
            if id.starts_with("ni-") {
                assert_eq!(listed, READABLE.contains(&id), "{id}: {noted:?}");
            }
            if listed {
                let bytes = std::fs::read(world.root().join(id).join(&name)).expect("read");
                let known = view.narinfo_bytes(view.find(&hash).expect("listed"));
                assert_eq!(known, bytes, "{id}: every byte");
            }
        }
        sync.shutdown().await;
    }
}
