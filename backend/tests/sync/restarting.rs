//! Ends and beginnings.

use std::time::{Duration, Instant};

use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::index::Index;
use snowbank_shared::api::IndexState;

use crate::world::{World, hash, index_params, narinfo, sweep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_fetches_nothing_that_is_known() {
    let mut world = World::with_paths(200).await;
    let folder = tempfile::tempdir().expect("a folder");
    world.index = Index::open(folder.path(), &index_params()).expect("an index");
    world.write(&hash(900).narinfo_key(), "bad\n");
    world.write(
        &hash(901).narinfo_key(),
        zstd::encode_all(narinfo(901, 0).as_bytes(), 3).expect("in memory"),
    );
    world.sync().await.shutdown().await;
    let gets = world.gets();
    world.index = crate::world::empty_index();
    world.index = Index::open(folder.path(), &index_params()).expect("an index");
    assert_eq!(world.paths(), 201);
    let sync = world.start_sync(1);
    // Of the last run, or already of the sweep that begins.
    let state = sync.status().borrow().state;
    assert!(
        matches!(state, IndexState::Ready | IndexState::Refreshing),
        "{state:?}"
    );
    assert!(sync.status().borrow().as_of.is_some());
    sweep(&sync).await;
    assert_eq!(world.gets() - gets, 1, "nix-cache-info");
    assert_eq!(world.paths(), 201);
    // Findings of the last run are taken back by this one.
    world.write(&hash(901).narinfo_key(), narinfo(901, 0));
    assert_eq!(world.findings("content-encoding").len(), 1);
    sweep(&sync).await;
    assert_eq!(world.findings("content-encoding").len(), 0);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_cut_off_in_the_middle_is_finished_by_the_next() {
    let mut world = World::with_paths(400).await;
    let folder = tempfile::tempdir().expect("a folder");
    world.index = Index::open(folder.path(), &index_params()).expect("an index");
    let slow = Rule::new(Action::Delay(Duration::from_millis(60))).on(Operation::Get);
    world.server.faults().add(slow);
    let sync = world.start_sync(1);
    let mut status = sync.status();
    let halfway = status.wait_for(|status| {
        let progress = status.progress.as_ref();
        progress.is_some_and(|progress| progress.fetched >= 100)
    });
    halfway.await.expect("the task lives");
    let begun = Instant::now();
    sync.shutdown().await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a shutdown waits for no sweep"
    );
    let known = world.paths();
    assert!(known > 0 && known < 400, "{known}");
    assert!(world.index.view().swept_at().is_none());
    // What a power cut at this very moment would leave.
    let left = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).expect("copied");
    }
    world.index = Index::open(left.path(), &index_params()).expect("an index");
    assert_eq!(world.paths(), known);
    // What the sweep that was cut off had asked for may reach the server only now.
    let mut gets = world.gets();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if world.gets() == gets {
            break;
        }
        gets = world.gets();
    }
    world.server.faults().clear();
    let sync = world.sync().await;
    assert_eq!(
        world.gets() - gets,
        400 - known + 1,
        "the rest, and nix-cache-info"
    );
    world.assert_paths((0..400).map(|n| (n, 0)));
    sync.shutdown().await;
}
