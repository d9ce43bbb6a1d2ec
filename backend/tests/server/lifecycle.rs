//! Starting, restarting, ending; probes and counters.

use snowbank::config::{CacheConfig, Config, Misses};
use snowbank::server;

use crate::harness::{Shelf, TestServer, config};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_a_key_and_a_secret_and_the_second_keeps_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = || Config::in_folder(dir.path());
    let first = server::start(start()).await.expect("a server");
    let key = first.site().cache("main").expect("main").nix_conf();
    let url = first.url();
    first.shutdown().await;
    let secret = std::fs::read(dir.path().join("state.secret")).expect("a secret");
    let made = dir.path().join("keys/main.secret");
    #[cfg(unix)]
    for file in [&made, &dir.path().join("state.secret")] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(file)
                .expect("a file")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    let second = server::start(start()).await.expect("a server");
    let keys = |conf: &str| conf.lines().nth(1).map(str::to_owned);
    assert_eq!(
        keys(&second.site().cache("main").expect("main").nix_conf()),
        keys(&key)
    );
    assert!(
        key.contains(&format!("extra-substituters = {url}/main\n")),
        "{key}"
    );
    assert_eq!(
        std::fs::read(dir.path().join("state.secret")).expect("a secret"),
        secret
    );
    // Nothing secret lies where the cache's objects lie.
    let bucket = dir.path().join("buckets/main");
    assert!(!made.starts_with(&bucket));
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_narinfos_gets_no_key_that_signed_none_of_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(dir.path().join("cache"));
    shelf.put("app-1.0", &[]);
    let start = || {
        let mut config = config(dir.path());
        config.caches[0].make_key = true;
        config.caches[0].public_keys.clear();
        config
    };
    let made = dir.path().join("data/keys/main.secret");
    let server = server::start(start()).await.expect("a server");
    let lines = server.site().cache("main").expect("main").nix_conf();
    assert!(!lines.contains("trusted-public-keys"), "{lines}");
    assert!(!made.exists());
    server.shutdown().await;

    // One that was made while the folder was empty stays.
    std::fs::create_dir_all(made.parent().expect("a folder")).expect("a folder");
    std::fs::write(&made, shelf.key.to_secret_text()).expect("a file");
    let server = server::start(start()).await.expect("a server");
    let lines = server.site().cache("main").expect("main").nix_conf();
    assert!(
        lines.contains(&shelf.key.public_key().to_string()),
        "{lines}"
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_deleted_is_built_again_with_the_same_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(dir.path().join("cache"));
    let base = shelf.put("base-1.0", &[]);
    shelf.put("app-1.0", &[&base]);
    let before = std::fs::read_dir(&shelf.folder).expect("a folder").count();
    let first = TestServer::run(config(dir.path()), dir).await;
    let rows = |page: serde_json::Value| page["items"].clone();
    let answer = rows(first.json("/api/v1/caches/main/paths?sort=name").await);
    let TestServer { server, dir, .. } = first;
    server.shutdown().await;
    std::fs::remove_dir_all(dir.path().join("data/index")).expect("deleted");
    let second = TestServer::run(config(dir.path()), dir).await;
    assert_eq!(
        rows(second.json("/api/v1/caches/main/paths?sort=name").await),
        answer
    );
    let now: Vec<_> = std::fs::read_dir(second.shelf().folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != ".s3" && name != ".snowbank")
        .collect();
    assert_eq!(
        now.len(),
        before,
        "nothing in the bucket was changed: {now:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_folder_does_not_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = server::start(Config::in_folder(dir.path()))
        .await
        .expect("a server");
    let second = server::start(Config::in_folder(dir.path())).await;
    let error = second.err().expect("refused").to_string();
    assert!(
        error.contains("another process") || error.contains("in use") || error.contains("held"),
        "{error}"
    );
    first.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named_with_its_setting() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a listener");
    let listen = taken.local_addr().expect("an address");
    let error = server::start(Config {
        listen,
        ..Config::in_folder(dir.path())
    })
    .await
    .err()
    .expect("refused");
    assert!(
        error
            .to_string()
            .contains(&format!("cannot listen on {listen} (`listen`)")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_means_that_every_cache_can_be_answered_for() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    let server = TestServer::start(
        |_| {},
        |config| {
            use snowbank::bucket::Credentials;
            use snowbank::config::Source;
            let unreachable = CacheConfig {
                slug: "far".parse().expect("a slug"),
                source: Source::Bucket {
                    bucket: "far".into(),
                    prefix: String::new(),
                    endpoint: Some("http://127.0.0.1:1".into()),
                    region: None,
                    path_style: None,
                    credentials: Credentials {
                        read: snowbank::bucket::CredentialSource::Anonymous,
                        ..Credentials::default()
                    },
                },
                misses: Misses::Index,
                ..config.caches[0].clone()
            };
            config.caches.push(unreachable);
        },
    )
    .await;
    let response = server.get("/readyz").await;
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.text().await.expect("text"),
        "not ready: no complete index yet of `far`\n"
    );
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_waits_until_every_bucket_has_answered_or_failed() {
    let dir = tempfile::tempdir().expect("a folder");
    // It takes connections and says nothing, until it is dropped.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a listener");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let mut sources = snowbank::config::Sources::default();
    let data = dir.path().join("data");
    for assignment in [
        "listen=127.0.0.1:0".to_owned(),
        format!("data_dir={}", data.display()),
        format!("state.folder={}", data.join("state").display()),
        "caches.far.bucket=far".to_owned(),
        format!("caches.far.endpoint={endpoint}"),
        "caches.far.credentials.read.anonymous=true".to_owned(),
        "caches.inner.bucket=inner".to_owned(),
        format!("caches.inner.endpoint={endpoint}"),
        "caches.inner.credentials.read.anonymous=true".to_owned(),
        "caches.inner.visibility=private".to_owned(),
        format!("caches.near.folder={}", data.join("near").display()),
    ] {
        sources.set(&assignment).expect("a setting");
    }
    let config = Config::load(&sources).expect("a configuration");
    let server = server::start(config).await.expect("a server");
    server
        .sync("near")
        .expect("a sync")
        .sweep_now()
        .await
        .expect("a sweep");
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client");
    let ready = async || {
        let url = format!("http://{}/readyz", server.addr);
        let answer = client.get(url).send().await;
        let answer = answer.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    };
    let (status, text) = ready().await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(
        text,
        "not ready: no answer yet from the bucket of `far`, a cache that is not public\n"
    );
    // Connections are refused now: the buckets are seen failing.
    drop(silent);
    let mut last = String::new();
    for _ in 0..600 {
        let (status, text) = ready().await;
        if status == 200 {
            return server.shutdown().await;
        }
        last = text;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_have_a_listener_of_their_own_where_asked() {
    let fill = |shelf: &Shelf| {
        shelf.put("base-1.0", &[]);
    };
    let server = TestServer::start(fill, |config| {
        config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    let base = server.shelf().make("base-1.0", &[], true);
    server.get(&format!("/main/{}.narinfo", base.hash)).await;
    server
        .get(&format!("/main/{}", base.url))
        .await
        .bytes()
        .await
        .expect("bytes");
    assert_eq!(
        server.get("/metrics").await.status(),
        404,
        "not beside the pages"
    );
    let address = server.server.metrics_addr.expect("an address");
    let scraped = server
        .client
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .expect("an answer");
    let text = scraped.text().await.expect("text");
    for line in [
        "snowbank_narinfos_total{cache=\"main\",outcome=\"Hit\"} 1".to_owned(),
        format!(
            "snowbank_nar_sent_bytes_total{{cache=\"main\"}} {}",
            base.nar.len()
        ),
        "snowbank_index_paths{cache=\"main\"} 1".to_owned(),
        "snowbank_index_signatures{cache=\"main\",signature=\"valid\"} 1".to_owned(),
        "snowbank_index_failed{cache=\"main\"} 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(
        text.contains("snowbank_bucket_requests_total{cache=\"main\""),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
    let other = server
        .client
        .get(format!("http://{address}/api/v1/caches"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(other.status(), 404);
}
