//! What another replica says it has published shows without a sweep.

use std::time::{Duration, Instant};

use crate::world::{World, hash, narinfo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_looked_up_one_by_one_and_nothing_is_listed() {
    let world = World::with_paths(20).await;
    let sync = world.sync().await;
    let (gets, lists) = (world.gets(), world.lists());
    world.write(&hash(3).narinfo_key(), narinfo(3, 8));
    world.write_path(20);
    world.remove(&hash(19).narinfo_key());
    let hints = sync.hints();
    // Changed, new, gone; unchanged; and one that never was.
    for n in [3, 20, 19, 4, 99] {
        hints.changed(hash(n));
    }
    let patience = Instant::now() + Duration::from_secs(20);
    let is_shown = || {
        let view = world.index.view();
        view.find(&hash(20)).is_some() && view.find(&hash(19)).is_none()
    };
    while !is_shown() {
        assert!(Instant::now() < patience, "the hints are not followed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let others = (0..19).filter(|n| *n != 3).chain([20]).map(|n| (n, 0));
    world.assert_paths(others.chain([(3, 8)]));
    assert_eq!((world.gets() - gets, world.lists() - lists), (2, 0));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_missed_something_sweeps() {
    let world = World::with_paths(3).await;
    let sync = world.sync().await;
    world.write_path(3);
    sync.hints().missed();
    let patience = Instant::now() + Duration::from_secs(20);
    while world.paths() < 4 {
        assert!(Instant::now() < patience, "no sweep");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sync.shutdown().await;
}
