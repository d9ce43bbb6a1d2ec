//! What other caches have: asked for paths that are not here, within the rules of outbound calls.

use snowbank::config::{AddressBlock, Upstream, UpstreamMode};
use snowbank::outbound::{Outbound, Policy};
use snowbank::site::tie;
use snowbank::upstream::{Holding, Upstreams};
use snowbank_shared::api::Presence;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Shelf, TestServer};

fn fill(shelf: &Shelf) {
    shelf.put("theirs-1.0", &[]);
}

fn hash(server: &TestServer, name: &str) -> StorePathHash {
    let made = server.shelf().make(name, &[], true);
    made.hash.parse().expect("a hash")
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_an_upstream_says_what_it_has_and_what_it_has_not() {
    let theirs = TestServer::start(fill, |_| {}).await;
    let loopback = ["127.0.0.0/8".parse().expect("a block")];
    let ask = |url: String| {
        let outbound = Outbound::new(Policy::new(&loopback));
        let upstream = snowbank::upstream::Upstream {
            url,
            keys: Vec::new(),
            mode: UpstreamMode::Check,
        };
        Upstreams::new(vec![upstream], StoreDir::default(), outbound)
    };
    let upstreams = ask(theirs.url("/main/"));
    let there = &upstreams.ask(hash(&theirs, "theirs-1.0")).await[0];
    assert_eq!(there.presence, Presence::Present, "{there:?}");
    assert_eq!(
        (there.name.as_deref(), there.nar_size, there.file_size),
        (Some("theirs-1.0"), Some(1010), Some(1010))
    );
    assert_eq!(there.url, theirs.url("/main/"));
    assert!(there.checked_at.ends_with('Z'), "{there:?}");
    let absent = hash(&theirs, "nobodys-1.0");
    let not_there = &upstreams.ask(absent).await[0];
    assert_eq!(
        (not_there.presence, &not_there.reason),
        (Presence::Absent, &None)
    );
    // It comes, and the miss is still remembered: nobody can make us ask all the time.
    theirs.shelf().put("nobodys-1.0", &[]);
    assert_eq!(&upstreams.ask(absent).await[0], not_there);
    // Nobody listens there: that says nothing of the path.
    let dead = &ask("http://127.0.0.1:9/main".to_owned()).ask(absent).await[0];
    assert_eq!(dead.presence, Presence::Unknown);
    assert!(
        dead.reason
            .as_ref()
            .is_some_and(|reason| reason.contains("127.0.0.1")),
        "{dead:?}"
    );
    // Another page's HTML is no narinfo.
    let wrong = &ask(theirs.url("/c/main")).ask(absent).await[0];
    assert_ne!(wrong.presence, Presence::Present, "{wrong:?}");
}

/// A server that has `own-1.0` and this upstream, and may call these private addresses.
async fn downstream(url: &str, allowed: &[&str]) -> TestServer {
    let upstream = Upstream {
        url: url.to_owned(),
        keys: vec![],
        mode: UpstreamMode::Check,
    };
    let allowed: Vec<AddressBlock> = allowed
        .iter()
        .map(|block| block.parse().expect("a block"))
        .collect();
    TestServer::start(
        |shelf| {
            shelf.put("own-1.0", &[]);
        },
        move |config| {
            config.outbound_allow = allowed;
            config.caches[0].upstreams = vec![upstream];
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_a_look_up_asks_the_upstreams_of_what_is_missing_only() {
    let theirs = TestServer::start(fill, |_| {}).await;
    let url = theirs.url("/main");
    let ours = downstream(&url, &["127.0.0.1"]).await;
    let lookup = ours
        .json(&format!(
            "/api/v1/lookup?cache=main&p={}&p={}",
            hash(&ours, "own-1.0"),
            hash(&ours, "theirs-1.0")
        ))
        .await;
    assert_eq!(lookup["items"][0]["upstreams"], serde_json::json!([]));
    let answer = &lookup["items"][1]["upstreams"][0];
    assert_eq!(
        (&answer["url"], &answer["presence"], &answer["name"]),
        (
            &url.as_str().into(),
            &"present".into(),
            &"theirs-1.0".into()
        )
    );
    // A private address that the owner did not list is not called, and the answer says so.
    let careful = downstream(&url, &[]).await;
    let lookup = careful
        .json(&format!("/api/v1/lookup?p={}", hash(&ours, "theirs-1.0")))
        .await;
    let answer = &lookup["items"][0]["upstreams"][0];
    assert_eq!(answer["presence"], "unknown");
    assert!(
        answer["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("outbound_allow")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_does_not_keep_uploads_waiting() {
    // It never answers the first two, and has nothing for the others.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (came, mut coming) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = came.send(()).await;
            if silent.len() < 2 {
                silent.push(stream);
                continue;
            }
            let _ = stream.read(&mut [0; 4096]).await;
            let absent =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(absent).await;
        }
    });
    let loopback = ["127.0.0.0/8".parse().expect("a block")];
    let upstream = snowbank::upstream::Upstream {
        url,
        keys: vec![
            SecretKey::generate("theirs-1", [3; 32])
                .expect("a key")
                .public_key(),
        ],
        mode: UpstreamMode::Check,
    };
    let outbound = Outbound::new(Policy::new(&loopback));
    let upstreams = Upstreams::new(vec![upstream], StoreDir::default(), outbound);
    let upstreams = std::sync::Arc::new(upstreams);
    let path = |number: u8| StorePathHash::from_bytes([number; 20]);
    for number in 0..10 {
        let upstreams = std::sync::Arc::clone(&upstreams);
        let hash = path(number);
        tokio::spawn(async move { upstreams.ask(hash).await });
        if number < 2 {
            coming.recv().await.expect("it is asked");
        }
    }
    // Those behind the two wait; an upload does not, nor for one that a visitor asked about first.
    for number in [100, 0] {
        let held = upstreams.holdings(path(number)).await;
        assert!(matches!(held[0].holding, Holding::Absent), "{held:?}");
    }
    assert_eq!(
        upstreams.ask(path(100)).await[0].presence,
        Presence::Absent,
        "an upload's answer is everybody's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_of_the_same_priority_is_found_until_one_of_them_has_another() {
    let theirs = TestServer::start(fill, |_| {}).await;
    let url = theirs.url("/main");
    let ours = downstream(&url, &["127.0.0.1"]).await;
    let ties = async |server: &TestServer| {
        let cache = server.server.site().cache("main").expect("main");
        tie::look(cache).await;
        let health = server
            .json("/api/v1/caches/main/health?check=priority-tie")
            .await;
        health["items"].clone()
    };
    let found = ties(&ours).await;
    assert_eq!(found[0]["object"], "nix-cache-info", "{found}");
    let reason = found[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains(&url) && reason.contains("50"), "{reason}");
    assert_eq!(ties(&ours).await, found, "once");
    // It does not answer: that says nothing.
    theirs.server.shutdown().await;
    assert_eq!(ties(&ours).await, found);

    let theirs = TestServer::start(fill, |config| config.caches[0].priority = 40).await;
    let ours = downstream(&theirs.url("/main"), &["127.0.0.1"]).await;
    assert_eq!(ties(&ours).await, serde_json::json!([]));
}
