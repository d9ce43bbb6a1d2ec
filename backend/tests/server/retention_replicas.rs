//! Runs of retention by two replicas over one bucket: one takes over from the other, and what the other
//! began to delete does not arrive when nobody expects it any more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{CredentialSource, Credentials};
use snowbank::config::{CacheConfig, Config, Slug, Source};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;
use tokio::runtime::Runtime;

use crate::harness::{Shelf, TestServer, give_key};
use crate::people::{another_owner, owner, read};
use crate::retention_runs::{planned, started, until};
use crate::upload_site::{Made, Site};

/// A bucket that several servers use.
struct Shared {
    store: EmbeddedS3,
    folder: tempfile::TempDir,
}

impl Shared {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = EmbeddedConfig::new().bucket("team", folder.path().join("team"));
        config.durable = false;
        let store = EmbeddedS3::start(config).await.expect("a store");
        Self { store, folder }
    }

    fn lies(&self, key: &str) -> PathBuf {
        self.folder.path().join("team").join(key)
    }

    fn delays(&self, keys: &str, by: Duration, times: u64) {
        let slow = Rule::new(Action::Delay(by)).on(Operation::Delete);
        self.store
            .faults()
            .add(slow.key_contains(keys).times(times));
    }

    /// A server over it. All have the same secret.
    async fn replica(&self, silence: Duration) -> TestServer {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = self.store.credentials();
        let cache = CacheConfig {
            make_key: false,
            public_keys: vec![Shelf::new("").key.public_key()],
            source: Source::Bucket {
                bucket: "team".to_owned(),
                prefix: String::new(),
                endpoint: Some(self.store.endpoint()),
                region: Some("us-east-1".to_owned()),
                path_style: Some(true),
                credentials: Credentials {
                    read: CredentialSource::Static {
                        access_key_id: keys.access_key.clone(),
                        secret_access_key: keys.secret_key.clone(),
                        session_token: None,
                    },
                    ..Credentials::default()
                },
            },
            ..CacheConfig::embedded(Slug::main(), PathBuf::new())
        };
        let mut config = Config {
            caches: vec![cache],
            secret_file: Some(self.folder.path().join("secret")),
            ..Config::in_folder(dir.path().join("data"))
        };
        config.retention.wait = Duration::ZERO;
        config.retention.silence = silence;
        give_key(&mut config);
        TestServer::run(config, dir).await
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// All but what such a name has.
fn wish(grace_days: u32) -> serde_json::Value {
    json!({
        "rules": {"names": ["none-*"], "grace_hours": 0},
        "foreign": true,
        "grace_days": grace_days,
    })
}

#[test]
fn a_replica_follows_one_that_was_killed_while_it_took_paths_out() {
    let (first, second) = (runtime(), runtime());
    let shared = second.block_on(Shared::start());
    let silence = Duration::from_secs(4);
    let (run, before, made) = first.block_on(async {
        let server = shared.replica(silence).await;
        let olga = owner(&server).await;
        let site = Site {
            server,
            owner: olga,
        };
        let alice = site.contributor("alice").await;
        let lib = Made::file("lib-1", "lib", &[], &alice.key);
        let app = Made::file("app-1", "app", &[&lib], &alice.key);
        let top = Made::file("top-1", "top", &[&app], &alice.key);
        let made = [lib, app, top];
        let mut before = BTreeMap::new();
        for one in &made {
            assert_eq!(site.upload(&alice, one).await, (200, String::new()));
            let narinfo = std::fs::read(shared.lies(&one.key())).expect("a narinfo");
            before.insert(one.key(), narinfo);
        }
        // They go one after the other.
        shared.delays(".narinfo", Duration::from_millis(1_500), u64::MAX);
        let plan = planned(&site.server, &site.owner, wish(30)).await;
        let run = started(&site.server, &site.owner, &plan).await;
        let begun = Instant::now();
        while shared.lies(&made[2].key()).exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing goes");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (run, before, made)
    });
    // As a power cut ends it: in the middle of the next.
    first.shutdown_timeout(Duration::from_millis(1));
    shared.store.faults().clear();
    second.block_on(async {
        let server = shared.replica(silence).await;
        let olga = another_owner(&server).await;
        let grace = until(&server, &olga, &run, "grace").await;
        assert_eq!(
            (&grace["trashed"], &grace["left_out_paths"]),
            (&json!(3), &json!(0)),
            "{grace}"
        );
        for one in &made {
            assert!(!shared.lies(&one.key()).exists(), "{}", one.key());
            assert!(shared.lies(&one.url()).exists(), "NARs stay");
        }
        let undo = format!("/caches/main/gc/runs/{run}/undo");
        read(olga.post(&server, &undo, json!({})).await).await;
        until(&server, &olga, &run, "undone").await;
        for (key, bytes) in &before {
            let back = std::fs::read(shared.lies(key)).expect("back");
            assert_eq!(back, *bytes, "{key}");
            NarInfo::parse(&back, &StoreDir::default()).expect("a narinfo");
        }
        server.server.shutdown().await;
    });
}

/// One replica's deletion of a NAR hangs; the other takes over and ends the run; the path is uploaded again;
/// and only then would the deletion arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_hung_does_not_arrive_after_another_replica_took_over() {
    let shared = Shared::start().await;
    // Longer than the 15 s within which a replica believes that a run is its own.
    let silence = Duration::from_secs(17);
    let server = shared.replica(silence).await;
    let olga = owner(&server).await;
    let site = Site {
        server,
        owner: olga,
    };
    let alice = site.contributor("alice").await;
    let made = Made::file("lib-1", "lib", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await, (200, String::new()));
    let other = shared.replica(silence).await;
    shared.delays(&made.url(), Duration::from_secs(26), 1);
    let plan = planned(&site.server, &site.owner, wish(0)).await;
    let run = started(&site.server, &site.owner, &plan).await;
    until(&site.server, &site.owner, &run, "deleting").await;
    let begun = Instant::now();
    let done = until(&site.server, &site.owner, &run, "done").await;
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "the other takes over: {done}"
    );
    assert!(!shared.lies(&made.url()).exists());
    let uploaded = site.upload(&alice, &made).await;
    assert_eq!(uploaded, (200, String::new()));
    let rest = Duration::from_secs(29).saturating_sub(begun.elapsed());
    tokio::time::sleep(rest).await;
    assert!(shared.lies(&made.key()).exists());
    assert!(
        shared.lies(&made.url()).exists(),
        "what hung was given up when nobody had to expect it any more"
    );
    other.server.shutdown().await;
    site.server.server.shutdown().await;
}
