//! Who fetches what: counted exactly, over a restart and several processes, and not told to everybody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::config::{Config, Misses};
use snowbank::ledger::{LedgerError, Scope};
use snowbank::usage::{Asker, Counts, DAY, Fetched, Usage, UsageRecord, Who};
use snowbank_shared::api::Visibility;
use snowbank_shared::store_path::StorePathHash;

use crate::harness::{TestServer, header};
use crate::people::{Actor, another_owner, owner, settled};

const NIX: &str = "curl/8.5.0 Nix/2.18.1";

/// Tests speak for clients at other addresses.
fn proxied(config: &mut Config) {
    config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a block")];
    config.caches[0].misses = Misses::Index;
}

async fn get_as(server: &TestServer, client: &str, path: &str, range: Option<&str>) -> u16 {
    let mut headers = vec![("x-forwarded-for", client), ("user-agent", NIX)];
    headers.extend(range.map(|range| ("range", range)));
    let answer = server.get_with(path, &headers).await;
    let status = answer.status().as_u16();
    answer.bytes().await.expect("a body");
    status
}

async fn usage(server: &TestServer) -> Value {
    server.json("/api/v1/caches/main/usage").await
}

/// The sums, once so many bytes are counted: that is when a body has been sent, not when it was read.
async fn total(server: &TestServer, bytes: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut total = usage(server).await["total"].take();
        if total["nar_bytes"] == bytes {
            let fields = total.as_object_mut().expect("counts");
            for percentile in ["narinfo_p50", "narinfo_p95", "nar_p50", "nar_p95"] {
                let micros = fields.remove(percentile).expect("a percentile");
                assert!(
                    micros.as_u64().is_some_and(|micros| micros > 0),
                    "{percentile}"
                );
            }
            return total;
        }
        assert!(Instant::now() < deadline, "{total}");
        tokio::task::yield_now().await;
    }
}

fn parsed(hash: &str) -> StorePathHash {
    hash.parse().expect("a hash")
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_gives_exactly_these_figures_also_after_a_restart_and_with_another_process() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            let dep = shelf.make("dep-1.0", &[], true);
            let lib = shelf.put("lib-1.0", &[]);
            let app = shelf.put("app-1.0", &[&lib, &dep]);
            made = vec![app, lib, dep];
        },
        proxied,
    )
    .await;
    settled(&server).await;
    let [app, lib, dep] = &made[..] else {
        panic!("three paths");
    };
    let (one, two) = ("192.0.2.7", "2001:db8:1:2::3");
    let narinfo = |hash: &str| format!("/main/{hash}.narinfo");
    let nar = format!("/main/{}", app.url);
    let unknown = "0".repeat(32);
    for (client, path, range, status) in [
        (one, narinfo(&app.hash), None, 200),
        (one, narinfo(&app.hash), None, 200),
        (two, narinfo(&lib.hash), None, 200),
        (one, narinfo(&dep.hash), None, 404),
        (two, narinfo(&dep.hash), None, 404),
        (one, narinfo(&unknown), None, 404),
        (one, nar.clone(), None, 200),
        (two, nar.clone(), Some("bytes=0-9"), 206),
        // It goes on: no second fetch.
        (two, nar.clone(), Some("bytes=10-"), 206),
        (two, "/main/nar/nothing.nar".to_owned(), None, 404),
        // These are not counted.
        (one, "/main/nix-cache-info".to_owned(), None, 200),
        (one, format!("/main/{unknown}.ls"), None, 404),
        (one, "/api/v1/caches/main/paths".to_owned(), None, 200),
    ] {
        assert_eq!(
            get_as(&server, client, &path, range).await,
            status,
            "{path}"
        );
    }
    let head = server.head(&narinfo(&app.hash)).await;
    assert_eq!(head.status(), 200);
    assert_eq!(
        server.head(&nar).await.status(),
        200,
        "no request for a NAR"
    );
    let bytes = 2 * app.nar.len() as u64;
    let expected = json!({
        "hits": 4, "misses": 3, "useful_misses": 3, "nar_requests": 3, "nar_bytes": bytes,
        "client_errors": 1, "server_errors": 0,
    });
    assert_eq!(total(&server, bytes).await, expected);
    let shown = usage(&server).await;
    assert_eq!(shown["step"], "hour");
    let measured = |shown: &Value| {
        let items = shown["items"].as_array().expect("items").clone();
        items
            .iter()
            .filter(|item| !item["counts"].is_null())
            .count()
    };
    assert!((1..=2).contains(&measured(&shown)), "the others are gaps");
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(7 * 24));
    assert_eq!(shown["never_fetched"], Value::Null);
    let sources = shown["sources"].as_array().expect("sources");
    let state: Vec<_> = sources
        .iter()
        .map(|source| (source["source"].as_str(), source["connected"].as_bool()))
        .collect();
    assert_eq!(
        state,
        [
            (Some("own"), Some(true)),
            (Some("s3-logs"), Some(false)),
            (Some("cdn-logs"), Some(false)),
        ]
    );

    let check_lists = async |server: &TestServer| {
        let paths = server.json("/api/v1/caches/main/usage/paths").await;
        let expected = json!([{
            "hash": app.hash, "name": "app-1.0", "fetches": 2, "bytes": bytes, "clients": 2, "root": true,
        }]);
        assert_eq!((&paths["items"], &paths["total"]), (&expected, &json!(1)));
        let misses = server.json("/api/v1/caches/main/usage/misses").await;
        let rows: Vec<_> = misses["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|row| {
                (
                    row["hash"].clone(),
                    row["name"].clone(),
                    row["clients"].clone(),
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                // What refers to it knows its name.
                (json!(dep.hash), json!("dep-1.0"), json!(2)),
                (json!(unknown), Value::Null, json!(1)),
            ]
        );
        let site = server.server.site();
        let usage = &site.cache("main").expect("main").usage;
        let fetched = |hash: &str| usage.fetched(&site.ledger, "main", &parsed(hash));
        assert!(matches!(fetched(&app.hash), Fetched::At { .. }));
        assert!(matches!(fetched(&lib.hash), Fetched::Never { .. }));
    };
    check_lists(&server).await;

    let server = server.restarted(proxied).await;
    settled(&server).await;
    assert_eq!(total(&server, bytes).await, expected);
    check_lists(&server).await;
    // Another process writes its own record, which is added.
    let ledger = server.server.site().ledger.clone();
    let other = Usage::new(true, false).expect("random bytes");
    let asker = Asker {
        who: Who::at("203.0.113.1".parse().expect("an address")),
        agent: Some("curl/8 Nix/2.31.0"),
        took: Duration::from_millis(1),
    };
    other.narinfo(parsed(&app.hash), true, &asker);
    other.narinfo(parsed(&dep.hash), false, &asker);
    other.write(&ledger, "main", true).await;
    other.write(&ledger, "main", true).await;
    assert_eq!(get_as(&server, one, &narinfo(&app.hash), None).await, 200);
    let both = total(&server, bytes).await;
    assert_eq!((&both["hits"], &both["misses"]), (&json!(6), &json!(4)));
    // What was missed comes later.
    server.shelf().write(dep);
    let sync = server.server.sync("main").expect("a sync");
    sync.sweep_now().await.expect("a sweep");
    let misses = server.json("/api/v1/caches/main/usage/misses").await;
    let row = &misses["items"][0];
    assert_eq!(
        (&row["name"], &row["clients"], &row["requests"]),
        (&json!("dep-1.0"), &json!(3), &json!(3))
    );
    assert!(row["uploaded_at"].is_string(), "{row}");

    let oscar = another_owner(&server).await;
    let clients = oscar.json(&server, "/caches/main/usage/clients").await;
    let mut seen: Vec<_> = clients["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            (
                text("name"),
                text("nix_version"),
                row["hits"].clone(),
                row["bytes"].clone(),
            )
        })
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let length = app.nar.len();
    let client = |name: &str, nix: &str, hits: u64, bytes: usize| {
        (name.to_owned(), nix.to_owned(), json!(hits), json!(bytes))
    };
    assert_eq!(
        seen,
        [
            client("127.0.0.0/24", "", 1, 0),
            client("192.0.2.0/24", "2.18.1", 3, length),
            client("2001:db8:1::/48", "2.18.1", 1, length),
            client("203.0.113.0/24", "2.31.0", 1, 0),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_becomes_one_record_and_says_the_same() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    settled(&server).await;
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let today = now.div_euclid(DAY) * DAY;
    let of = |day: i64, instance: &str, hits: u64| UsageRecord {
        day,
        instances: vec![instance.to_owned()],
        spans: vec![(day, day + DAY)],
        hours: vec![(
            3,
            Counts {
                hits,
                ..Counts::default()
            },
        )],
        total: Counts::default(),
        clients: Vec::new(),
        paths: Vec::new(),
        misses: Vec::new(),
        others: snowbank::usage::Others::default(),
        overflow: false,
        ends: None,
    };
    let (recent, old) = (today - 3 * DAY, today - 50 * DAY);
    for (day, instance, hits) in [(recent, "one", 5), (recent, "two", 7), (old, "one", 11)] {
        let id = format!("{day}-{instance}").parse().expect("a name");
        let record = of(day, instance, hits);
        let put = |_: Option<&UsageRecord>| Ok::<_, LedgerError>(record.clone());
        let scope = Scope::Cache("main");
        site.ledger
            .put(scope, &id, "test", put)
            .await
            .expect("written");
    }
    let spelled = |day: i64| {
        let time = time::OffsetDateTime::from_unix_timestamp(day).expect("a time");
        time.date().to_string()
    };
    let asked = async |day: i64, step: &str| {
        let range = format!(
            "from={}&to={}&step={step}",
            spelled(day),
            spelled(day + DAY)
        );
        server
            .json(&format!("/api/v1/caches/main/usage?{range}"))
            .await
    };
    let records = || {
        let view = site.ledger.view();
        let records: Vec<_> = view.list::<UsageRecord>(Scope::Cache("main")).collect();
        let old_days = records.iter().filter(|entry| entry.day < today);
        old_days
            .map(|entry| (entry.day, entry.instances.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(records().len(), 3);
    assert_eq!(asked(recent, "day").await["total"]["hits"], 12);
    assert_eq!(asked(old, "hour").await["total"]["hits"], 11);
    for _ in 0..3 {
        cache.usage.write(&site.ledger, "main", false).await;
    }
    let mut joined = records();
    joined.sort_unstable();
    assert_eq!(joined, [(old, 1), (recent, 2)]);
    assert_eq!(
        asked(recent, "hour").await["items"][3]["counts"]["hits"],
        12
    );
    assert_eq!(asked(old, "day").await["total"]["hits"], 11);
    // Its hours are gone, and no hour is said to have had nothing.
    let hours = asked(old, "hour").await;
    assert!(hours["items"].as_array().is_some_and(|items| {
        items.len() == 24 && items.iter().all(|item| item["counts"].is_null())
    }));
    // A gap of weeks is one.
    let range = format!("from={}&to={}&step=day", spelled(old), spelled(today));
    let shown = server
        .json(&format!("/api/v1/caches/main/usage?{range}"))
        .await;
    assert_eq!(
        shown["sources"][0]["gaps"].as_array().map(Vec::len),
        Some(2),
        "{shown}"
    );
    assert_eq!(shown["items"][1]["counts"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_of_a_private_cache_and_readers_no_names() {
    let mut hash = String::new();
    let server = TestServer::start(
        |shelf| hash = shelf.put("app-1.0", &[]).hash,
        |config| config.caches[0].visibility = Visibility::Private,
    )
    .await;
    let olga = owner(&server).await;
    let token = olga.token(&server, json!(["main"]), &["read"]).await;
    let secret = token["secret"].as_str().expect("a secret");
    let reader = Actor::with_token(secret);
    let narinfo = format!("/main/{hash}.narinfo");
    let bearer = format!("Bearer {secret}");
    let answer = server
        .get_with(&narinfo, &[("authorization", bearer.as_str())])
        .await;
    assert_eq!(answer.status(), 200);
    // A refusal is no miss.
    assert_eq!(server.get(&narinfo).await.status(), 401);
    let stranger = Actor::stranger();
    for part in ["", "/paths", "/misses", "/clients"] {
        let path = format!("/caches/main/usage{part}");
        assert_eq!(stranger.get(&server, &path).await.status(), 401, "{part}");
        let expected = if part == "/clients" { 403 } else { 200 };
        assert_eq!(
            reader.get(&server, &path).await.status(),
            expected,
            "{part}"
        );
        assert_eq!(olga.get(&server, &path).await.status(), 200, "{part}");
    }
    let total = reader.json(&server, "/caches/main/usage").await["total"].take();
    assert_eq!((&total["hits"], &total["misses"]), (&json!(1), &json!(0)));
    assert_eq!(total["nar_p50"], Value::Null, "no NAR was asked for");
    let clients = olga.json(&server, "/caches/main/usage/clients").await;
    assert_eq!(clients["items"][0]["name"], "test of olga");
    assert!(!clients.to_string().contains(secret));

    let before = olga
        .json(&server, "/caches/main/usage?from=2020-01-01&to=2020-01-03")
        .await;
    assert_eq!(before["total"], Value::Null);
    let reason = before["not_measured"].as_str().expect("a reason");
    assert!(reason.contains("did not count in this time"), "{reason}");
    for list in ["paths", "misses", "clients"] {
        let path = format!("/caches/main/usage/{list}?from=2020-01-01&to=2020-01-03");
        let list = olga.json(&server, &path).await;
        assert_eq!((&list["items"], &list["total"]), (&json!([]), &json!(0)));
        assert!(list["not_measured"].is_string());
    }
    for odd in [
        "from=yesterday",
        "step=minute",
        "from=2026-01-02&to=2026-01-01",
        "from=2020-01-01&to=2026-01-01",
        "from=2026-01-01&to=2026-03-01&step=hour",
        "q=x",
    ] {
        let answer = olga
            .get(&server, &format!("/caches/main/usage?{odd}"))
            .await;
        assert_eq!(answer.status(), 400, "{odd}");
    }
    let csv = olga
        .get(&server, "/caches/main/usage?format=csv&columns=from,hits&from=2020-01-01&to=2020-01-02&step=day")
        .await;
    assert!(header(&csv, "content-type").starts_with("text/csv"));
    assert_eq!(
        csv.text().await.expect("text"),
        "from,hits\r\n2020-01-01T00:00:00Z,\r\n"
    );
    let csv = olga
        .get(&server, "/caches/main/usage/clients?format=csv")
        .await;
    let text = csv.text().await.expect("text");
    assert!(
        text.starts_with("name,nix_version,last_seen,hits,misses,bytes\r\ntest of olga,"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_counted_is_called_not_measured() {
    let mut hash = String::new();
    let server = TestServer::start(
        |shelf| hash = shelf.put("app-1.0", &[]).hash,
        |config| config.caches[0].usage = false,
    )
    .await;
    settled(&server).await;
    assert_eq!(
        server.get(&format!("/main/{hash}.narinfo")).await.status(),
        200
    );
    let shown = usage(&server).await;
    assert_eq!(
        (&shown["total"], &shown["never_fetched"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        shown["not_measured"]
            .as_str()
            .is_some_and(|why| why.contains("does not count"))
    );
    assert_eq!(shown["sources"][0]["connected"], false);
    let site = server.server.site();
    let usage = &site.cache("main").expect("main").usage;
    let fetched = usage.fetched(&site.ledger, "main", &parsed(&hash));
    assert_eq!(fetched, Fetched::NotMeasured);
    usage.write(&site.ledger, "main", true).await;
    assert_eq!(
        site.ledger
            .view()
            .list::<UsageRecord>(Scope::Cache("main"))
            .count(),
        0
    );
}
