//! A refresh fetches what changed, and nothing else.

use crate::world::{World, hash, narinfo, sweep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_no_change_is_no_get() {
    let world = World::with_paths(1200).await;
    let sync = world.sync().await;
    let (gets, lists) = (world.gets(), world.lists());
    let summary = sweep(&sync).await;
    assert_eq!((summary.found, summary.fetched), (1200, 0));
    assert_eq!(world.gets() - gets, 0);
    // 1,200 narinfos, nix-cache-info and the prefix nar/ are two pages.
    assert_eq!(world.lists() - lists, 2);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b2_k_changes_are_exactly_k_gets() {
    let world = World::with_paths(300).await;
    let sync = world.sync().await;
    let gets = world.gets();
    for n in 0..7 {
        world.write(&hash(n).narinfo_key(), narinfo(n, 8));
    }
    for n in 300..305 {
        world.write_path(n);
    }
    for n in 290..300 {
        world.remove(&hash(n).narinfo_key());
    }
    let summary = sweep(&sync).await;
    assert_eq!(world.gets() - gets, 12);
    assert_eq!(
        (summary.fetched, summary.entered, summary.removed),
        (12, 12, 10)
    );
    let expected = (0..7)
        .map(|n| (n, 8))
        .chain((7..290).chain(300..305).map(|n| (n, 0)));
    world.assert_paths(expected);
    // And then there is nothing left to do.
    let gets = world.gets();
    sweep(&sync).await;
    assert_eq!(world.gets(), gets);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_objects_are_not_fetched_again_until_they_change() {
    let world = World::with_paths(5).await;
    let bad = hash(77).narinfo_key();
    world.write(&bad, "no narinfo\n");
    let sync = world.sync().await;
    let found = world.findings("bad-narinfo");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].object, bad);
    let gets = world.gets();
    sweep(&sync).await;
    assert_eq!(world.gets(), gets);
    world.write(&bad, narinfo(77, 0));
    sweep(&sync).await;
    assert_eq!(world.gets(), gets + 1);
    assert_eq!(world.findings("bad-narinfo").len(), 0);
    // A good one that turns bad is no longer served, and one that goes is forgotten.
    world.write(&bad, "StorePath: x\n");
    sweep(&sync).await;
    assert!(world.index.view().served(&hash(77)).is_none());
    assert_eq!(world.findings("bad-narinfo").len(), 1);
    world.remove(&bad);
    sweep(&sync).await;
    assert_eq!(world.findings("bad-narinfo").len(), 0);
    assert_eq!(world.paths(), 5);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nix_cache_info_is_read_once_and_judged() {
    let world = World::with_paths(1).await;
    let sync = world.sync().await;
    assert_eq!(world.findings("cache-info").len(), 0);
    let cases = [
        ("StoreDir: /nix/store\nPriority: high\n", Some("Priority")),
        ("StoreDir: /gnu/store\nPriority: 5\n", Some("/gnu/store")),
        ("StoreDir: /nix/store\nPriority: 41\n", None),
    ];
    for (text, reason) in cases {
        world.write("nix-cache-info", text);
        let gets = world.gets();
        sweep(&sync).await;
        sweep(&sync).await;
        assert_eq!(world.gets() - gets, 1, "{text}");
        let found = world.findings("cache-info");
        match reason {
            Some(reason) => assert!(found[0].reason.contains(reason), "{found:?}"),
            None => assert_eq!(found, []),
        }
    }
    assert_eq!(
        sync.cache_info().borrow().as_ref().expect("read").priority,
        41
    );
    world.remove("nix-cache-info");
    sweep(&sync).await;
    assert_eq!(world.findings("cache-info").len(), 1);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_named_nearly_like_a_narinfo_is_a_finding() {
    let world = World::with_paths(1).await;
    world.write("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.narinfo", narinfo(1, 0));
    let sync = world.sync().await;
    let found = world.findings("narinfo-name");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].object, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.narinfo");
    world.remove("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.narinfo");
    sweep(&sync).await;
    assert_eq!(world.findings("narinfo-name").len(), 0);
    sync.shutdown().await;
}
