//! Content that is proven without anybody asking: what differs is found, what was proven outlives the
//! process, an old proof lifts nothing, and no more bytes are read than the budget has.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{CredentialSource, Credentials};
use snowbank::config::{Config, Source};
use snowbank::ledger::{ExportLine, Ledger, RecordPath};
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

/// A runtime that ends in the midst of whatever it does.
struct Killed(Option<tokio::runtime::Runtime>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server of its own data folder on a bucket beside it, in a runtime that can be killed.
struct Replica {
    runtime: Killed,
    server: snowbank::server::RunningServer,
    _dir: tempfile::TempDir,
}

impl Replica {
    async fn start(s3: &EmbeddedS3, secret: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = config(dir.path());
        config.secret_file = Some(secret.to_owned());
        config.caches[0].source = Source::Bucket {
            bucket: "team".into(),
            prefix: String::new(),
            endpoint: Some(s3.endpoint()),
            region: Some("us-east-1".into()),
            path_style: Some(true),
            credentials: Credentials {
                read: CredentialSource::Static {
                    access_key_id: s3.credentials().access_key.clone(),
                    secret_access_key: s3.credentials().secret_key.clone(),
                    session_token: None,
                },
                ..Credentials::default()
            },
        };
        config.caches[0].verify_rate = Some(1 << 20);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.spawn(snowbank::server::start(config)).await;
        Self {
            runtime: Killed(Some(runtime)),
            server: server.expect("it starts").expect("a server"),
            _dir: dir,
        }
    }

    fn received(&self) -> u64 {
        let cache = self.server.site().cache("main").expect("main");
        cache.bucket.counts().received_bytes()
    }

    fn ledger(&self) -> &Ledger {
        &self.server.site().ledger
    }

    /// What the ledger says of who proves the cache, as this replica knows it.
    fn lease(&self) -> Option<(RecordPath, Value)> {
        self.ledger()
            .export()
            .into_iter()
            .find_map(|line| match line {
                ExportLine::Record { path, record, .. }
                    if path.as_str().starts_with("caches/main/proving") =>
                {
                    Some((path, record["runner"].clone()))
                }
                _ => None,
            })
    }

    fn is_told_of(&self, other: &Self) -> bool {
        self.lease()
            .is_some_and(|(_, runner)| runner[0] == other.ledger().instance())
    }

    /// Waits for something within seconds.
    async fn wait(what: &str, done: impl Fn() -> bool) {
        let begin = Instant::now();
        while !done() {
            assert!(begin.elapsed() < PATIENCE, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_on_one_bucket_one_proves_and_the_other_takes_over_after_a_kill() {
    const EACH: usize = 2 << 20;
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(dir.path().join("bucket"));
    for number in 0..30_u8 {
        let nar = archive(&[(b"file", &vec![number; EACH])]);
        shelf.put_of(&format!("large-{number}.0"), nar);
    }
    let s3 = EmbeddedS3::start(EmbeddedConfig::new().bucket("team", &shelf.folder));
    let s3 = s3.await.expect("an S3 server");
    let secret = dir.path().join("state.secret");
    let first = Replica::start(&s3, &secret).await;
    Replica::wait("the first one proves", || {
        first.is_told_of(&first) && first.received() > EACH as u64
    })
    .await;
    let second = Replica::start(&s3, &secret).await;
    Replica::wait("the second one knows", || second.is_told_of(&first)).await;
    // It has all that it needs to begin, and leaves it to the first one.
    let site = second.server.site();
    let cache = site.cache("main").expect("main");
    Replica::wait("its index is complete", || {
        cache.is_complete() && cache.proofs.is_read()
    })
    .await;
    let before = (first.received(), second.received());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let read = (first.received() - before.0, second.received() - before.1);
    assert!(read.0 > EACH as u64, "the first one reads on: {read:?}");
    assert!(
        read.1 < EACH as u64 / 4,
        "the second one does not: {read:?}"
    );

    // Killed, it says nothing any more, and for some minutes it may only be slow.
    let Replica {
        runtime, server, ..
    } = first;
    let killed = server.site().ledger.instance().to_owned();
    drop(runtime);
    let before = second.received();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(second.received() - before < EACH as u64 / 4, "not at once");
    // As if they had passed.
    let (path, runner) = second.lease().expect("a lease");
    assert_eq!(runner[0], killed);
    let beat = runner[1].as_i64().expect("a time") - 300;
    let line = ExportLine::Record {
        path,
        at: beat,
        author: "test".to_owned(),
        expires: None,
        record: json!({"runner": [killed, beat]}),
    };
    let aged = second.ledger().import([line], "test", true);
    aged.await.expect("written");
    Replica::wait("the second one takes over", || {
        second.is_told_of(&second) && second.received() - before > EACH as u64
    })
    .await;
    drop(server);
    let Replica {
        server: second,
        runtime,
        ..
    } = second;
    second.shutdown().await;
    drop(runtime);
}
