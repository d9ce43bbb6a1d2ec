//! Content that is proven without anybody asking: what differs is found, what was proven outlives the
//! process, an old proof lifts nothing, and no more bytes are read than the budget has.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::config::Config;
use snowbank_shared::signature::SecretKey;

use crate::harness::{Shelf, TestServer, archive, config};
use crate::people::{another_owner, owner, read};
use crate::signing::{hash, shelve};
use crate::upload_site::Made;

/// How long something is waited for that takes some seconds.
const PATIENCE: Duration = Duration::from_secs(40);

fn rate(bytes: u64) -> impl FnOnce(&mut Config) {
    move |config| config.caches[0].verify_rate = Some(bytes)
}

async fn path(server: &TestServer, made: &Made) -> Value {
    let address = format!("/api/v1/caches/main/paths/{}", hash(made));
    server.json(&address).await
}

async fn health(server: &TestServer) -> Value {
    server.json("/api/v1/caches/main/health?limit=200").await
}

fn has(health: &Value, check: &str, made: &Made) -> bool {
    let findings = health["items"].as_array().expect("findings");
    findings
        .iter()
        .any(|finding| finding["check"] == check && finding["hash"] == hash(made))
}

/// Asks until the answer is the wanted one.
async fn until(server: &TestServer, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let found = health(server).await;
        if wanted(&found) {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: {found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same archive of other content, as long as the narinfo says.
fn swapped(key: &SecretKey) -> (Made, Vec<u8>) {
    let mut made = Made::file("swapped-1", "what was meant", &[], key);
    let meant = made.stored.clone();
    made.stored = Made::file("swapped-1", "what was maent", &[], key).stored;
    assert_eq!(made.stored.len(), meant.len(), "only reading it tells");
    (made, meant)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_found_without_asking_and_proofs_outlive_the_process_and_the_index() {
    let key = Shelf::new("").key;
    let good = Made::file("good-1", "good", &[], &key);
    let fine = Made::file("fine-1", "fine", &[], &key);
    let (swapped, meant) = swapped(&key);
    let server = TestServer::start(
        |shelf| {
            for made in [&good, &fine, &swapped] {
                shelve(shelf, made);
            }
        },
        rate(50_000_000),
    )
    .await;
    let olga = owner(&server).await;
    let found = until(&server, "all is read", |health| {
        health["verification"]["due"] == 0 && health["verification"]["running"] == false
    })
    .await;
    let verification = &found["verification"];
    for (field, value) in [
        ("rate", json!(50_000_000)),
        ("paths", json!(3)),
        ("proven_paths", json!(2)),
        ("behind", json!(false)),
    ] {
        assert_eq!(verification[field], value, "{verification}");
    }
    let bytes = |made: &Made| made.stored.len() as u64;
    assert_eq!(verification["proven_bytes"], bytes(&good) + bytes(&fine));
    assert!(has(&found, "nar-hash-mismatch", &swapped), "{found}");
    let shown = path(&server, &good).await;
    let proven = shown["proven_at"].as_str().expect("a time").to_owned();
    assert_eq!(shown["content"], "verified");
    assert!(verification["oldest"].as_str() <= Some(proven.as_str()));
    let shown = path(&server, &swapped).await;
    assert_eq!(
        (&shown["content"], &shown["proven_at"]),
        (&json!("mismatch"), &Value::Null)
    );
    // The history of a path has who looked, and that nobody put it.
    let history = format!("/caches/main/paths/{}/history", hash(&swapped));
    let history = olga.json(&server, &history).await.to_string();
    assert!(
        history.contains("Content checked (background): mismatch"),
        "{history}"
    );

    // Another process knows it from the receipts, and reads nothing.
    let server = server.restarted(rate(0)).await;
    let found = until(&server, "the receipts are read", |health| {
        health["verification"]["proven_paths"] == 2
    })
    .await;
    assert_eq!(found["verification"]["rate"], 0);
    assert_eq!(found["verification"]["running"], false);
    assert_eq!(path(&server, &good).await["proven_at"], proven);
    assert_eq!(path(&server, &swapped).await["content"], "mismatch");

    // The archive that was meant is put there, and somebody asks: the finding goes.
    server.shelf().file(&swapped.url(), &meant);
    let olga = another_owner(&server).await;
    let check = format!("/caches/main/paths/{}/verify", hash(&swapped));
    let checked = read(olga.post(&server, &check, json!({})).await).await;
    assert_eq!(checked["content"], "verified", "{checked}");
    let found = until(&server, "it is proven", |health| {
        health["verification"]["proven_paths"] == 3
    })
    .await;
    assert!(!has(&found, "nar-hash-mismatch", &swapped), "{found}");
    assert!(path(&server, &swapped).await["proven_at"].is_string());

    // It is swapped once more and found. Then the index is lost: what was proven before that does not
    // lift it, and what was proven of others is known.
    server.shelf().file(&swapped.url(), &swapped.stored);
    let checked = read(olga.post(&server, &check, json!({})).await).await;
    assert_eq!(checked["content"], "mismatch", "{checked}");
    let TestServer { server, dir, .. } = server;
    server.shutdown().await;
    let mut again = config(dir.path());
    rate(0)(&mut again);
    fs::remove_dir_all(again.data_dir.join("index")).expect("an index");
    let server = TestServer::run(again, dir).await;
    let begin = Instant::now();
    loop {
        let content = path(&server, &swapped).await["content"].clone();
        assert_ne!(content, "verified");
        if content == "mismatch" {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{content}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let shown = path(&server, &good).await;
    assert_eq!(
        (&shown["content"], &shown["proven_at"]),
        (&json!("verified"), &json!(proven))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_bytes_are_read_than_the_budget_has_and_the_end_of_the_server_is_not_waited_for() {
    const RATE: u64 = 2 << 20;
    const EACH: usize = 2 << 20;
    let server = TestServer::start(
        |shelf| {
            for number in 0..12_u8 {
                // Not packed: what is read is what is stored.
                let content = vec![number; EACH];
                let nar = archive(&[(b"file", &content)]);
                shelf.put_of(&format!("large-{number}.0"), nar);
            }
        },
        rate(RATE),
    )
    .await;
    let received = || {
        let site = server.server.site();
        let cache = site.cache("main").expect("main");
        cache.bucket.counts().received_bytes()
    };
    let before = received();
    let patience = Instant::now();
    while received() == before {
        assert!(patience.elapsed() < PATIENCE, "nothing is read");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begin = Instant::now();
    let first = received();
    // A quarter of it, in about three seconds.
    while received() < first + 3 * EACH as u64 {
        assert!(patience.elapsed() < PATIENCE, "it is read too slowly");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (read, passed) = (received() - first, begin.elapsed().as_secs_f64());
    // What was not used for half a second, and what lies ready on the way.
    let most = RATE as f64 * 1.1 * (passed + 0.5) + 512_000.0;
    assert!((read as f64) < most, "{read} bytes in {passed} s");

    // In the midst of an archive.
    let begin = Instant::now();
    let server = server.restarted(rate(0)).await;
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "it was waited for"
    );
    // What was read whole is known by its receipt.
    let found = until(&server, "the receipts are read", |health| {
        health["verification"]["proven_paths"].as_u64() >= Some(2)
    })
    .await;
    assert_eq!(found["verification"]["paths"], 12);
}
