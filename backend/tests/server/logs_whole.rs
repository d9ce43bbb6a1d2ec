//! How far access logs can be relied on: nobody hides what they fetch from them, fetches count as measured
//! only where they are whole, and what they miss is of use only where no upstream has it.

use serde_json::json;
use snowbank::ledger::{LedgerError, Scope};
use snowbank::usage::{DAY, Fetched, HOUR, LogError, UsageRecord};
use time::OffsetDateTime;

use crate::harness::TestServer;
use crate::logs::{Asked, US, counts, get, hours_ago, name, put, read, s3, shown, source, total};
use crate::people::settled;

/// Somebody else with keys.
const THEM: &str = "arn:aws:iam::123456789012:user/curious";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hides_what_they_fetch_from_the_logs() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            made = (0..4)
                .map(|n| shelf.put(&format!("app-{n}"), &[]))
                .collect();
        },
        s3,
    )
    .await;
    settled(&server).await;
    let shown = shown(&server).await;
    let one = "192.0.2.7";
    let ours = "snowbank/0.1.0";
    let trick = format!("{} \"GET /{}?a\" HTTP/1.1\"", made[3].url, made[3].url);
    let asked = [
        Asked {
            agent: ours,
            authentication: "AuthHeader",
            requester: US,
            ..get(one, &shown, 404, 243)
        },
        // A name, a name with keys of their own, a link signed with those.
        Asked {
            agent: ours,
            ..get(one, &made[0].url, 200, 10)
        },
        Asked {
            agent: ours,
            authentication: "AuthHeader",
            requester: THEM,
            ..get(one, &made[1].url, 200, 10)
        },
        Asked {
            authentication: "QueryString",
            requester: THEM,
            ..get(one, &made[2].url, 200, 10)
        },
    ];
    let at = hours_ago(3);
    let mut text: String = asked.iter().map(|asked| asked.line(at)).collect();
    // An address with a quote in it.
    let plain = format!("{} \"GET /{} HTTP/1.1\"", made[3].url, made[3].url);
    text += &get(one, &made[3].url, 200, 10)
        .line(at)
        .replacen(&plain, &trick, 1);
    assert!(text.contains(&trick));
    put(&server, &name(at, "A1"), text.as_bytes());
    read(&server).await;
    let site = server.server.site();
    let usage = &site.cache("main").expect("main").usage;
    for path in &made {
        let hash = path.hash.parse().expect("a hash");
        let fetched = usage.fetched(&site.ledger, "main", &hash);
        assert!(matches!(fetched, Fetched::At { .. }), "{}", path.path);
    }
    assert_eq!(total(&server, "logs").await, counts(0, 0, 4, 40));
}

/// Since when fetches were measured without a gap, in days before today.
fn whole_for(server: &TestServer) -> Option<i64> {
    let site = server.server.site();
    let usage = &site.cache("main").expect("main").usage;
    let since = usage.fetch_log(&site.ledger, "main").fully_measured_since();
    let today = OffsetDateTime::now_utc().unix_timestamp().div_euclid(DAY) * DAY;
    since.map(|since| (today - since) / DAY)
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_are_wholly_measured_only_where_the_logs_are_whole() {
    let server = TestServer::start(|shelf| drop(shelf.put("app-1.0", &[])), s3).await;
    settled(&server).await;
    let site = server.server.site();
    // The server itself has counted all the time.
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let counted = UsageRecord {
        day: (now - 50 * DAY).div_euclid(DAY) * DAY,
        instances: vec!["another".to_owned()],
        spans: vec![(now - 50 * DAY, now + DAY)],
        hours: Vec::new(),
        total: snowbank::usage::Counts::default(),
        clients: Vec::new(),
        paths: Vec::new(),
        misses: Vec::new(),
        others: snowbank::usage::Others::default(),
        overflow: false,
        ends: None,
    };
    let same = |_: Option<&UsageRecord>| Ok::<_, LedgerError>(counted.clone());
    let id = "by-another".parse().expect("a name");
    let written = site.ledger.put(Scope::Cache("main"), &id, "test", same);
    written.await.expect("written");
    assert_eq!(whole_for(&server), None, "no log was read");
    let log = |at: OffsetDateTime| {
        let line = get("192.0.2.7", "nix-cache-info", 200, 40).line(at);
        put(&server, &name(at, "A1"), line.as_bytes());
    };
    // They end four days ago.
    for hours in (96..20 * 24).step_by(12) {
        log(hours_ago(hours));
    }
    read(&server).await;
    assert_eq!(whole_for(&server), None, "the newest is days old");
    let note = source(&server, "s3-logs").await["note"].take();
    let note = note.as_str().expect("a note");
    assert!(note.contains("Retention cannot tell by them what nobody fetches: the newest line of the access logs is of "), "{note}");
    // A day and a half without any.
    for hours in (2..60).step_by(12) {
        log(hours_ago(hours));
    }
    read(&server).await;
    let resumed = (now - now.rem_euclid(DAY)) - (now - 50 * HOUR).div_euclid(DAY) * DAY;
    assert_eq!(whole_for(&server), Some(resumed / DAY - 1), "after the gap");
    // Where the missing ones come late, there is no gap, and the first day is not whole.
    let late = |hours: i64| {
        let line = get("192.0.2.7", "nix-cache-info", 200, 40).line(hours_ago(hours));
        put(
            &server,
            &name(hours_ago(1), &format!("L{hours}")),
            line.as_bytes(),
        );
    };
    for hours in [60, 72, 84] {
        late(hours);
    }
    read(&server).await;
    let first = (now - now.rem_euclid(DAY)) - (now - 468 * HOUR).div_euclid(DAY) * DAY;
    assert_eq!(
        whole_for(&server),
        Some(first / DAY - 1),
        "but the first day"
    );
    // One that cannot be read is a loss.
    put(
        &server,
        &name(hours_ago(0), "B2.gz"),
        &[0x1f, 0x8b, 8, 0, 0, 0],
    );
    read(&server).await;
    assert_eq!(whole_for(&server), None, "one is lost today");
    assert_eq!(total(&server, "logs").await, counts(0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_do_not_count_as_measured_while_logs_cannot_be_read() {
    let server = TestServer::start(|shelf| drop(shelf.put("app-1.0", &[])), s3).await;
    settled(&server).await;
    for hours in (2..100).step_by(12) {
        let at = hours_ago(hours);
        let line = get("192.0.2.7", "nix-cache-info", 200, 40).line(at);
        put(&server, &name(at, "A1"), line.as_bytes());
    }
    read(&server).await;
    assert_eq!(whole_for(&server), Some(0), "since the server began");
    for kind in 0..70 {
        put(
            &server,
            &name(hours_ago(1), "A1").replacen("eu-", &format!("eu-{kind}-"), 1),
            b"",
        );
    }
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    let logs = cache.usage.logs().expect("logs");
    let failed = logs
        .read(&site.ledger, "main", &cache.index, &cache.upstreams)
        .await;
    assert!(matches!(failed, Err(LogError::TooManyStems)), "{failed:?}");
    assert_eq!(whole_for(&server), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_has_is_no_useful_miss_in_the_logs_either() {
    let theirs = TestServer::start(|shelf| drop(shelf.put("theirs-1.0", &[])), |_| {}).await;
    let made = theirs.shelf().make("theirs-1.0", &[], true);
    let server = TestServer::start(
        |_| {},
        |config| {
            s3(config);
            config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
            config.caches[0].upstreams = vec![snowbank::config::Upstream {
                url: theirs.url("/main"),
                keys: vec![],
                mode: snowbank::config::UpstreamMode::Check,
            }];
        },
    )
    .await;
    settled(&server).await;
    let theirs = format!("{}.narinfo", made.hash);
    let nobodys = format!("{}.narinfo", "0".repeat(32));
    let at = hours_ago(3);
    let text: String = [&theirs, &theirs, &nobodys]
        .iter()
        .map(|key| get("192.0.2.7", key, 404, 0).line(at))
        .collect();
    put(&server, &name(at, "A1"), text.as_bytes());
    // Of what was missed weeks ago nobody can tell.
    let old = hours_ago(24 * 20);
    let line = get("192.0.2.7", &theirs, 404, 0).line(old);
    put(&server, &name(old, "A1"), line.as_bytes());
    read(&server).await;
    let mut expected = counts(0, 3, 0, 0);
    expected["useful_misses"] = json!(1);
    assert_eq!(total(&server, "logs").await, expected);
    let misses = server
        .json("/api/v1/caches/main/usage/misses?source=logs")
        .await;
    let items = misses["items"].as_array().expect("items");
    let hashes: Vec<_> = items.iter().map(|item| &item["hash"]).collect();
    assert_eq!(hashes, [&json!("0".repeat(32))], "{misses}");
}
