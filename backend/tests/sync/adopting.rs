//! A bucket as it lies: taken in whole, and left as it was.

use std::time::{Duration, SystemTime};

use snowbank::bucket::PutOptions;
use snowbank::sync::{ObjectClass, Tally};
use snowbank_shared::api::{ContentStatus, IndexState, KeyState, SignatureStatus};

use crate::world::{World, first_sweep, hash, key_ring, nar, nar_key, narinfo, sweep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_adopted_byte_for_byte_and_nothing_in_it_changes() {
    let world = World::with_paths(300).await;
    world.write("log/x.drv", "log");
    world.write("index.html", "hello");
    let before = world.files();
    let sync = world.sync().await;
    world.assert_paths((0..300).map(|n| (n, 0)));
    let view = world.index.view();
    assert!(view.swept_at().is_some());
    for n in 0..300 {
        let id = view.find(&hash(n)).expect("there");
        assert_eq!(view.signature(id), SignatureStatus::Valid);
    }
    let status = sync.status().borrow().clone();
    assert_eq!((status.state, &status.error), (IndexState::Ready, &None));
    assert!(status.as_of.is_some());
    assert_eq!(
        sync.cache_info().borrow().as_ref().expect("read").priority,
        30
    );
    sync.sweep_whole_now().await.expect("swept");
    assert_eq!(world.files(), before);
    // Deleted and built again, the index says the same.
    let again = World {
        index: crate::world::empty_index(),
        ..world
    };
    sync.shutdown().await;
    let sync = again.sync().await;
    again.assert_paths((0..300).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_listing_cut_into_ranges_is_the_same_listing() {
    let world = World::with_paths(2500).await;
    let sync = world.start_sync(8);
    first_sweep(&sync).await;
    world.assert_paths((0..2500).map(|n| (n, 0)));
    let lists = world.lists();
    let summary = sweep(&sync).await;
    assert_eq!(
        (summary.found, summary.fetched, summary.removed),
        (2500, 0, 0)
    );
    assert!(
        world.lists() - lists <= 1 + 9,
        "one page to see its size, one a range"
    );
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encoded_narinfos_are_decoded() {
    let world = World::new().await;
    let gzip = |text: &str| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).expect("in memory");
    let brotli = |text: &str| {
        use std::io::Write as _;
        let mut out = Vec::new();
        let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
        encoder.write_all(text.as_bytes()).expect("in memory");
        drop(encoder);
        out
    };
    let stored = [
        (zstd(&narinfo(0, 0)), Some("zstd")),
        (gzip(&narinfo(1, 0)), Some("gzip")),
        (brotli(&narinfo(2, 0)), Some("br")),
        (narinfo(3, 0).into_bytes(), Some("aws-chunked")),
        (zstd(&narinfo(4, 0)), None),
        (gzip(&narinfo(5, 0)), None),
        (narinfo(6, 0).into_bytes(), Some("zstd")),
    ];
    for (n, (bytes, encoding)) in (0..).zip(&stored) {
        let options = PutOptions {
            content_encoding: encoding.map(str::to_owned),
            ..PutOptions::default()
        };
        let written = world
            .bucket
            .put(&hash(n).narinfo_key(), bytes.clone().into(), &options)
            .await;
        written.expect("written");
    }
    let sync = world.sync().await;
    world.assert_paths((0..7).map(|n| (n, 0)));
    let mut odd: Vec<_> = world
        .findings("content-encoding")
        .into_iter()
        .map(|finding| finding.object)
        .collect();
    odd.sort();
    let mut expected: Vec<_> = [4, 5, 6].map(|n| hash(n).narinfo_key()).into();
    expected.sort();
    assert_eq!(
        odd, expected,
        "a header that is missing or wrong is a finding"
    );
    // Put right, it is none any more.
    world.write(&hash(4).narinfo_key(), narinfo(4, 0));
    sweep(&sync).await;
    assert_eq!(world.findings("content-encoding").len(), 2);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_sweep_counts_and_compares() {
    let world = World::with_paths(20).await;
    world.write("log/a.drv", "0123456789");
    world.write("nar/orphan.nar", "orphan");
    world.write("nar/young-orphan.nar", "on its way");
    let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
    let orphan = std::fs::File::options()
        .write(true)
        .open(world.root().join("nar/orphan.nar"))
        .expect("there");
    orphan.set_modified(old).expect("dated back");
    world.remove(&nar_key(3));
    world.write(&nar_key(4), "of another size");
    let sync = world.sync().await;
    let summary = sync.sweep_whole_now().await.expect("swept");
    let whole = summary.whole.expect("a whole sweep");
    let class = |class| whole.classes.get(&class).copied().unwrap_or_default();
    let narinfos: u64 = (0..20).map(|n| narinfo(n, 0).len() as u64).sum();
    assert_eq!(
        class(ObjectClass::Narinfo),
        Tally {
            objects: 20,
            bytes: narinfos
        }
    );
    let nars: u64 = (0..20)
        .filter(|n| ![3, 4].contains(n))
        .map(|n| nar(n).len() as u64)
        .sum();
    assert_eq!(
        class(ObjectClass::Nar),
        Tally {
            objects: 18 + 1 + 2,
            bytes: nars + 15 + 6 + 10
        }
    );
    assert_eq!(
        class(ObjectClass::Log),
        Tally {
            objects: 1,
            bytes: 10
        }
    );
    assert_eq!(class(ObjectClass::CacheInfo).objects, 1);
    let files = world.files();
    let bytes: u64 = files
        .values()
        .map(|(content, _)| content.len() as u64)
        .sum();
    assert_eq!(
        whole.total(),
        Tally {
            objects: files.len() as u64,
            bytes
        }
    );
    let content = |n| {
        let view = world.index.view();
        view.content(view.find(&hash(n)).expect("there"))
    };
    assert_eq!(content(3), ContentStatus::NarMissing);
    assert_eq!(content(4), ContentStatus::SizeDiffers);
    assert_eq!(content(5), ContentStatus::NotChecked);
    let orphans = world.findings("orphan-nar");
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].object, "nar/orphan.nar");
    // Put right, all is well.
    world.write(&nar_key(3), nar(3));
    world.write(&nar_key(4), nar(4));
    world.remove("nar/orphan.nar");
    sync.sweep_whole_now().await.expect("swept");
    assert_eq!(
        (content(3), content(4)),
        (ContentStatus::NotChecked, ContentStatus::NotChecked)
    );
    assert_eq!(world.findings("orphan-nar").len(), 0);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_keys_judge_anew() {
    let world = World::with_paths(10).await;
    let sync = world.sync().await;
    let gets = world.gets();
    sync.set_key_ring(key_ring(KeyState::Revoked));
    let index = world.index.clone();
    tokio::task::spawn_blocking(move || index.settle())
        .await
        .expect("no panic");
    let view = world.index.view();
    for n in 0..10 {
        let id = view.find(&hash(n)).expect("there");
        assert_eq!(view.signature(id), SignatureStatus::ValidRevoked);
    }
    // What comes later is judged by them too.
    world.write_path(10);
    sweep(&sync).await;
    let view = world.index.view();
    let id = view.find(&hash(10)).expect("there");
    assert_eq!(view.signature(id), SignatureStatus::ValidRevoked);
    assert_eq!(world.gets() - gets, 1, "nothing was fetched to judge it");
    sync.shutdown().await;
}
