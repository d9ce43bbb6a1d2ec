//! What goes, when, and what must not.

use std::time::Duration;

use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::index::{Change, ChangeToken, ParsedEntry};
use snowbank_shared::api::KeyState;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use crate::world::{World, hash, key_ring, narinfo, sweep, try_sweep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_removals_wait_for_a_second_sweep() {
    let world = World::with_paths(1500).await;
    let sync = world.sync().await;
    for n in 0..1100 {
        world.remove(&hash(n).narinfo_key());
    }
    let first = sweep(&sync).await;
    assert_eq!((first.removed, first.held_back), (0, 1100));
    assert_eq!(world.paths(), 1500);
    assert_eq!(world.findings("many-removed").len(), 1);
    let second = sweep(&sync).await;
    assert_eq!((second.removed, second.held_back), (1100, 0));
    assert_eq!(world.findings("many-removed").len(), 0);
    world.assert_paths((1100..1500).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_ends_early_by_itself_does_no_harm() {
    let world = World::with_paths(2100).await;
    let sync = world.sync().await;
    let lies = Rule::new(Action::ListEndsEarly)
        .on(Operation::List)
        .times(1);
    world.server.faults().add(lies);
    let summary = sweep(&sync).await;
    assert!(summary.held_back > 1000, "{summary:?}");
    let summary = sweep(&sync).await;
    assert_eq!((summary.removed, summary.held_back), (0, 0));
    assert_eq!(world.paths(), 2100);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_during_a_sweep_stays() {
    let world = World::with_paths(20).await;
    let sync = world.sync().await;
    // Two paths are gone when the sweep lists; one of them and a new one are published by
    // this server while it does, the listing being too old to have them.
    world.remove(&hash(1).narinfo_key());
    world.remove(&hash(2).narinfo_key());
    let slow = Rule::new(Action::Delay(Duration::from_millis(400))).on(Operation::List);
    world.server.faults().add(slow);
    let publish = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        for n in [1, 20] {
            let narinfo = NarInfo::parse(narinfo(n, 0).as_bytes(), &StoreDir::default());
            let narinfo = narinfo.expect("a narinfo");
            world.index.apply(vec![Change::Put(Box::new(ParsedEntry {
                judgement: key_ring(KeyState::Active).judge(&narinfo),
                narinfo,
                token: ChangeToken {
                    size: 1,
                    last_modified: 1,
                    etag: Some("\"of the put\"".to_owned()),
                },
                added_at: 1,
            }))]);
        }
    };
    let (summary, ()) = tokio::join!(sweep(&sync), publish);
    assert_eq!(summary.removed, 2, "asked for, and one of them in vain");
    let view = world.index.view();
    assert!(view.find(&hash(1)).is_some(), "published meanwhile");
    assert!(view.find(&hash(20)).is_some(), "published meanwhile");
    assert!(view.find(&hash(2)).is_none());
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narinfo_that_vanishes_between_list_and_get_is_gone() {
    let world = World::with_paths(30).await;
    let key = hash(3).narinfo_key();
    let vanish = |times| {
        Rule::new(Action::NotFound)
            .on(Operation::Get)
            .key_contains(&hash(3).to_string())
            .times(times)
    };
    world.server.faults().add(vanish(1));
    let sync = world.sync().await;
    assert_eq!(world.paths(), 29);
    assert_eq!(sync.status().borrow().error, None);
    sweep(&sync).await;
    assert_eq!(world.paths(), 30);
    // One that is known, changes, and vanishes before it is fetched: the old one is gone too.
    world.write(&key, narinfo(3, 8));
    world.server.faults().add(vanish(1));
    let summary = sweep(&sync).await;
    assert_eq!((summary.removed, world.paths()), (1, 29));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_listing_removes_nothing() {
    let world = World::with_paths(1200).await;
    let sync = world.sync().await;
    for n in 0..50 {
        world.remove(&hash(n).narinfo_key());
    }
    for action in [
        Action::ListWithoutToken,
        Action::ListCut,
        Action::AccessDenied,
    ] {
        world
            .server
            .faults()
            .add(Rule::new(action.clone()).on(Operation::List));
        let error = try_sweep(&sync).await.expect_err("it cannot be believed");
        println!("{action:?}: {error}");
        assert_eq!(world.paths(), 1200, "{action:?}");
        world.server.faults().clear();
    }
    sweep(&sync).await;
    assert_eq!(world.paths(), 1150);
    sync.shutdown().await;
}
