//! The live check: a path made for one check, served from memory, and what machines did with it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::Operation;
use snowbank_shared::api::Visibility;
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use crate::harness::{TestServer, give_key, header};
use crate::people::{Actor, owner};

const NIX: (&str, &str) = ("user-agent", "curl/8.14.1 Nix/2.28.3");

async fn serve(visibility: Visibility) -> TestServer {
    TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
        },
        |config| {
            give_key(config);
            config.caches[0].visibility = visibility;
            config.live_check.quiet = Duration::from_secs(1);
            config.live_check.silence = Duration::from_secs(1);
        },
    )
    .await
}

async fn begin(server: &TestServer, who: &Actor) -> Value {
    let answer = who.post(server, "/caches/main/live", json!({})).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

/// The check, once it is as wanted.
async fn until(
    server: &TestServer,
    who: &Actor,
    token: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let begun = Instant::now();
    loop {
        let check = who
            .json(server, &format!("/caches/main/live/{token}"))
            .await;
        if wanted(&check) {
            return check;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {check}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_how_far_a_machine_came() {
    let server = serve(Visibility::Public).await;
    let stranger = Actor::stranger();
    let before = (
        server.json("/api/v1/caches/main").await["paths"].clone(),
        server.sent(Operation::Put),
    );
    let check = begin(&server, &stranger).await;
    let token = check["token"].as_str().expect("a token");
    assert_eq!(
        check["path"],
        format!("/nix/store/{token}-snowbank-live-check")
    );
    assert_eq!(
        (&check["state"], &check["machines"]),
        (&json!("waiting"), &json!([]))
    );
    until(&server, &stranger, token, "nobody asks", |check| {
        check["state"] == "never-asked"
    })
    .await;

    server.get_with("/main/nix-cache-info", &[NIX]).await;
    let seen = until(&server, &stranger, token, "cache info", |check| {
        check["machines"][0]["state"] == "introduced"
    })
    .await;
    assert_eq!(seen["state"], "never-asked", "the path was not asked for");

    let narinfo = server
        .get_with(&format!("/main/{token}.narinfo"), &[NIX])
        .await;
    assert_eq!(
        (narinfo.status().as_u16(), header(&narinfo, "content-type")),
        (200, "text/x-nix-narinfo")
    );
    assert_eq!(header(&narinfo, "cache-control"), "no-store");
    let text = narinfo.text().await.expect("text");
    let parsed = NarInfo::parse(text.as_bytes(), &StoreDir::default()).expect("a narinfo");
    let keys = server.text("/c/main/keys.txt").await;
    let signer = check["key"].as_str().expect("a key");
    assert!(
        keys.lines()
            .any(|line| line.starts_with(&format!("{signer}:"))),
        "{keys}"
    );
    let url = format!("/main/{}", parsed.url());
    let head = server
        .client
        .head(server.url(&url))
        .header(NIX.0, NIX.1)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        header(&head, "content-length"),
        parsed.nar_size().to_string()
    );
    let seen = until(&server, &stranger, token, "refused", |check| {
        check["machines"][0]["state"] == "not-trusted"
    })
    .await;
    assert_eq!(seen["state"], "asked");
    assert_eq!(seen["machines"][0]["client"], "Nix 2.28.3");
    assert_eq!(
        seen["machines"].as_array().map(Vec::len),
        Some(1),
        "one machine, one row"
    );

    let nar = server.get_with(&url, &[NIX]).await;
    assert_eq!(
        Sha256::digest(&nar.bytes().await.expect("bytes")),
        parsed.nar_hash()
    );
    let seen = until(&server, &stranger, token, "works", |check| {
        check["machines"][0]["state"] == "works"
    })
    .await;
    assert_eq!(
        seen["machines"][0]["address"], "127.0.0.1",
        "one's own address is no secret"
    );

    // A second machine is a row of its own.
    server
        .get_with(
            &format!("/main/{token}.narinfo"),
            &[("user-agent", "curl/8 Nix/2.3")],
        )
        .await;
    let seen = until(&server, &stranger, token, "two machines", |check| {
        check["machines"][1]["client"] == "Nix 2.3"
    })
    .await;
    assert_eq!(seen["machines"][1]["state"], "found");

    let after = (
        server.json("/api/v1/caches/main").await["paths"].clone(),
        server.sent(Operation::Put),
    );
    assert_eq!(before, after, "neither in the index nor in the bucket");
    assert_eq!(
        server
            .json(&format!("/api/v1/caches/main/paths?q={token}"))
            .await["total"],
        0
    );
    assert_eq!(
        server
            .get(&format!("/api/v1/caches/main/live/{}", "0".repeat(32)))
            .await
            .status(),
        404
    );
    assert_eq!(
        server
            .get("/api/v1/caches/main/live/nonsense")
            .await
            .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_cache_is_checked_by_members_and_a_missing_token_shows() {
    let server = serve(Visibility::Private).await;
    let olga = owner(&server).await;
    let refused = Actor::stranger()
        .post(&server, "/caches/main/live", json!({}))
        .await;
    assert_eq!(refused.status(), 401);
    let check = begin(&server, &olga).await;
    let token = check["token"].as_str().expect("a token");
    let address = format!("/caches/main/live/{token}");
    assert_eq!(Actor::stranger().get(&server, &address).await.status(), 401);
    let narinfo = format!("/main/{token}.narinfo");
    // Older clients are refused before they name any path.
    let answer = server.get_with("/main/nix-cache-info", &[NIX]).await;
    assert_eq!(answer.status(), 401);
    let seen = olga.json(&server, &address).await;
    assert_eq!(seen["machines"][0]["state"], "no-token");
    assert_eq!(seen["machines"][0]["refused_with"], 401);
    assert_eq!(
        server.get_with(&narinfo, &[NIX]).await.status(),
        401,
        "no way around the token"
    );
    let made = olga.token(&server, json!(["main"]), &["read"]).await;
    let read = server
        .client
        .request(Method::GET, server.url(&narinfo))
        .header(NIX.0, NIX.1);
    let read = read
        .basic_auth("ci", made["secret"].as_str())
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (read.status().as_u16(), header(&read, "cache-control")),
        (200, "private, no-store")
    );
    let seen = olga.json(&server, &address).await;
    assert_eq!(seen["machines"][0]["state"], "found");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_key_there_is_no_check_and_one_address_begins_only_so_many() {
    let unsigned = TestServer::start(|_| {}, |_| {}).await;
    let stranger = Actor::stranger();
    let answer = stranger
        .post(&unsigned, "/caches/main/live", json!({}))
        .await;
    assert_eq!(answer.status(), 422);
    assert_eq!(
        answer.json::<Value>().await.expect("JSON")["code"],
        "no-signing-key"
    );

    let server = serve(Visibility::Public).await;
    for _ in 0..20 {
        begin(&server, &stranger).await;
    }
    let answer = stranger.post(&server, "/caches/main/live", json!({})).await;
    assert_eq!(answer.status(), 429);
    assert!(!header(&answer, "retry-after").is_empty());
}
