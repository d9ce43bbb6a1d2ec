//! The audit: written before it is answered, read back, and what was done to it shows.

use snowbank::ledger::{Event, Ledger};

use super::world::World;

async fn some_events(ledger: &Ledger, from: usize, count: usize) {
    for number in from..from + count {
        let event = Event::new("member:ada", "token.create", format!("tokens/t{number}"))
            .in_cache("main")
            .at_address("192.0.2.7".parse().expect("an address"))
            .with("scope", "read");
        ledger.audit(&event).await.expect("written");
    }
}

/// Segments of the audit, in order.
async fn segments(world: &World) -> Vec<String> {
    let mut keys = world.keys().await;
    keys.retain(|key| key.starts_with("audit/"));
    keys
}

#[tokio::test]
async fn events_are_in_the_bucket_when_the_act_returns_and_other_servers_read_them() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    some_events(&one, 0, 3).await;
    some_events(&two, 3, 2).await;
    let days = two.audit_days().await.expect("days");
    assert_eq!(days.len(), 1);
    let day = two.audit_day(&days[0]).await.expect("a day");
    assert_eq!(day.breaks, []);
    let mut objects: Vec<_> = day
        .entries
        .iter()
        .map(|it| it.event.object.clone())
        .collect();
    objects.sort();
    assert_eq!(
        objects,
        [
            "tokens/t0",
            "tokens/t1",
            "tokens/t2",
            "tokens/t3",
            "tokens/t4"
        ]
    );
    let first = &day.entries[0].event;
    assert_eq!(first.client, Some("192.0.2.7".parse().expect("an address")));
    assert_eq!(
        (first.cache.as_deref(), first.detail["scope"].as_str()),
        (Some("main"), "read")
    );
    let report = one.check_audit().await.expect("a report");
    assert_eq!((report.chains, report.events, report.whole), (2, 5, true));
    assert_eq!(report.breaks, []);
    // Addresses lie apart, so that they can go first.
    for key in segments(&world).await {
        assert!(!String::from_utf8_lossy(&world.read(&key)).contains("192.0.2.7"));
    }
}

#[tokio::test]
async fn many_at_once_share_segments_and_none_is_lost() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    let writes = (0..200).map(|number| {
        let ledger = ledger.clone();
        tokio::spawn(async move { some_events(&ledger, number, 1).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.expect("written");
    }
    let report = ledger.check_audit().await.expect("a report");
    assert_eq!((report.events, report.breaks.len()), (200, 0));
    assert!(report.segments < 200, "{}", report.segments);
}

#[tokio::test]
async fn altered_removed_swapped_and_cut_segments_are_named() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    for number in 0..5 {
        some_events(&ledger, number, 1).await;
    }
    let keys = segments(&world).await;
    let originals: Vec<_> = keys.iter().map(|key| world.read(key)).collect();
    let restore = || {
        for (key, bytes) in keys.iter().zip(&originals) {
            world.write(key, bytes);
        }
    };
    let numbers = || async {
        let report = ledger.check_audit().await.expect("a report");
        report.breaks.iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert!(numbers().await.is_empty());

    let mut altered = originals[2].clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    world.write(&keys[2], &altered);
    assert_eq!(numbers().await, [2]);
    // The day's page says so too, and hides no other row.
    let day = ledger.audit_days().await.expect("days").remove(0);
    let page = ledger.audit_day(&day).await.expect("a day");
    assert_eq!((page.entries.len(), page.breaks.len()), (4, 1));
    assert!(
        page.breaks[0]
            .to_string()
            .starts_with("chain broken at audit/"),
        "{}",
        page.breaks[0]
    );
    restore();

    world.remove(&keys[1]);
    assert_eq!(numbers().await, [1]);
    restore();

    world.write(&keys[1], &originals[3]);
    world.write(&keys[3], &originals[1]);
    assert_eq!(numbers().await, [1, 3]);
    restore();

    world.remove(&keys[4]);
    assert_eq!(numbers().await, [4]);
    restore();
    assert!(numbers().await.is_empty());
}

#[tokio::test]
async fn what_happened_within_a_second_is_read_back_newest_first() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    some_events(&ledger, 0, 12).await;
    let mut objects = Vec::new();
    for day in ledger.audit_days().await.expect("days") {
        let day = ledger.audit_day(&day).await.expect("a day");
        objects.extend(day.entries.into_iter().map(|entry| entry.event.object));
    }
    let newest_first: Vec<_> = (0..12).rev().map(|n| format!("tokens/t{n}")).collect();
    assert_eq!(objects, newest_first);
}
