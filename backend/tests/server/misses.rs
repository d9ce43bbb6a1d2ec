//! Paths that the index lacks: a look into the bucket, shared and remembered.

use snowbank::bucket::Operation;
use snowbank::config::Misses;

use crate::harness::{TestServer, header};

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_another_wrote_is_found_and_its_archive_too() {
    let server = TestServer::start(|_| {}, |config| config.caches[0].misses = Misses::Bucket).await;
    let shelf = server.shelf();
    let made = shelf.put("late-1.0", &[]);
    let before = server.sent(Operation::Get);
    let path = format!("/main/{}.narinfo", made.hash);
    let answers = futures_util::future::join_all((0..40).map(|_| server.text(&path))).await;
    assert!(answers.iter().all(|answer| *answer == made.narinfo));
    assert_eq!(
        server.sent(Operation::Get),
        before + 1,
        "forty clients, one look"
    );
    let nar = server.get(&format!("/main/{}", made.url)).await;
    assert_eq!(nar.bytes().await.expect("bytes"), made.nar);
    let row = server
        .json(&format!("/api/v1/caches/main/paths/{}", made.hash))
        .await;
    assert_eq!(row["signature"], "valid");
    let gets = server.sent(Operation::Get);
    server
        .server
        .sync("main")
        .expect("a sync")
        .sweep_now()
        .await
        .expect("a sweep");
    assert_eq!(
        server.sent(Operation::Get),
        gets,
        "the sweep knows it already"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_is_remembered_for_seconds() {
    let server = TestServer::start(|_| {}, |config| config.caches[0].misses = Misses::Bucket).await;
    let made = server.shelf().make("later-1.0", &[], true);
    let path = format!("/main/{}.narinfo", made.hash);
    let before = server.sent(Operation::Get);
    for _ in 0..5 {
        assert_eq!(server.get(&path).await.status(), 404);
    }
    assert_eq!(server.sent(Operation::Get), before + 1);
    server.shelf().write(&made);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(8);
    while server.get(&path).await.status() != 200 {
        assert!(
            std::time::Instant::now() < deadline,
            "it appears within seconds"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_narinfos_are_absent_for_clients_and_findings_for_us() {
    let server = TestServer::start(|_| {}, |config| config.caches[0].misses = Misses::Bucket).await;
    let shelf = server.shelf();
    let (one, other) = (
        shelf.make("one-1.0", &[], true),
        shelf.make("other-1.0", &[], true),
    );
    shelf.file(
        &format!("{}.narinfo", one.hash),
        b"<html>not a narinfo</html>",
    );
    shelf.file(&format!("{}.narinfo", other.hash), one.narinfo.as_bytes());
    for hash in [&one.hash, &other.hash] {
        assert_eq!(
            server.get(&format!("/main/{hash}.narinfo")).await.status(),
            404
        );
        let health = server.json("/api/v1/caches/main/health").await;
        let found = health["items"]
            .as_array()
            .expect("items")
            .iter()
            .any(|item| {
                item["object"]
                    .as_str()
                    .is_some_and(|object| object.contains(hash.as_str()))
            });
        assert!(found, "{hash}: {health}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_is_a_503_that_says_when_to_try_again() {
    use snowbank::bucket::{CredentialSource, Credentials};
    use snowbank::config::Source;
    let server = TestServer::start(
        |_| {},
        |config| {
            config.caches[0].misses = Misses::Bucket;
            config.caches[0].source = Source::Bucket {
                bucket: "nowhere".into(),
                prefix: String::new(),
                // A port that nobody listens on.
                endpoint: Some("http://127.0.0.1:1".into()),
                region: None,
                path_style: Some(true),
                credentials: Credentials {
                    read: CredentialSource::Anonymous,
                    ..Credentials::default()
                },
            };
        },
    )
    .await;
    let response = server
        .get("/main/00000000000000000000000000000000.narinfo")
        .await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "retry-after")),
        (503, "5")
    );
    assert_eq!(
        server.get("/main/nix-cache-info").await.status(),
        200,
        "which needs no bucket"
    );
    let cache = server.json("/api/v1/caches/main").await;
    assert_eq!(cache["index"]["state"], "failed");
    assert!(
        cache["index"]["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty()),
        "{cache}"
    );
    assert_eq!(server.get("/healthz").await.status(), 200);
}
