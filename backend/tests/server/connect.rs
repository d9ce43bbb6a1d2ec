//! What the pages of Connect ask: facts of the caches, keys that were used once, and caches that are
//! not of this server.

use serde_json::{Value, json};
use snowbank::config::PublicUrl;
use snowbank_shared::api::Visibility;
use snowbank_shared::hash::Sha256;
use snowbank_shared::signature::SecretKey;

use crate::harness::{Shelf, TestServer, config, give_key};
use crate::people::{Actor, owner, read};

/// A server that may call other servers of this machine.
async fn ours(fill: impl FnOnce(&Shelf), loopback: bool) -> TestServer {
    TestServer::start(fill, move |config| {
        if loopback {
            config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        }
    })
    .await
}

async fn refused(server: &TestServer, who: &Actor, wish: Value) -> (u16, String) {
    let answer = who.post(server, "/connect/test", wish).await;
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cache_is_believed_once_a_signature_of_it_was_verified() {
    let theirs = TestServer::start(
        |shelf| {
            shelf.put("theirs-1.0", &[]);
        },
        |config| config.caches[0].priority = 33,
    )
    .await;
    let url = theirs.url("/main");
    let key = theirs.shelf().key.public_key();
    let made = theirs.shelf().make("theirs-1.0", &[], true);
    let path = format!("/nix/store/{}", made.path);
    let ours = ours(
        |shelf| {
            shelf.put("own-1.0", &[]);
        },
        true,
    )
    .await;
    let wish = |key: &str, path: Option<&str>| json!({"url": url, "key": key, "path": path});

    // Strangers do not make the server call anybody, nor do programs.
    let stranger = Actor::stranger();
    let answer = refused(&ours, &stranger, wish(&key.to_string(), Some(&path))).await;
    assert_eq!(answer.0, 401, "{}", answer.1);
    let olga = owner(&ours).await;
    let token = olga.token(&ours, Value::Null, &["read"]).await;
    let token = Actor::with_token(token["secret"].as_str().expect("a secret"));
    let answer = refused(&ours, &token, wish(&key.to_string(), Some(&path))).await;
    assert_eq!(answer.0, 403, "{}", answer.1);

    let reader = olga
        .invite(&ours, "rita", json!([{"role": "reader", "cache": "main"}]))
        .await;
    // What the owner has listed is meant for what owners configure.
    let answer = refused(&ours, &reader, wish(&key.to_string(), Some(&path))).await;
    assert_eq!(answer.0, 422, "{}", answer.1);
    assert!(answer.1.contains("only an owner"), "{}", answer.1);
    let tested = olga
        .post(&ours, "/connect/test", wish(&key.to_string(), Some(&path)))
        .await;
    let tested = read(tested).await;
    assert_eq!(
        tested,
        json!({
            "url": url, "key": key.to_string(), "fingerprint": key.fingerprint(),
            "store_dir": "/nix/store", "priority": 33, "want_mass_query": true,
            "signature": "valid", "path": path,
        })
    );

    // The same name with other bytes, another name, and a path that is not there.
    let twin = SecretKey::generate(key.name(), [9; 32]).expect("a key");
    let other = SecretKey::generate("other-1", [9; 32]).expect("a key");
    let absent = format!("{}-absent", "0".repeat(32));
    for (key, path, word) in [
        (twin.public_key(), Some(path.as_str()), "invalid"),
        (other.public_key(), Some(made.hash.as_str()), "unsigned"),
        (key.clone(), Some(absent.as_str()), "untested"),
        // Nothing here is signed by both, and the cache is not asked for all that there is.
        (other.public_key(), None, "untested"),
    ] {
        let tested = read(
            olga.post(&ours, "/connect/test", wish(&key.to_string(), path))
                .await,
        );
        let tested = tested.await;
        assert_eq!(tested["signature"], word, "{tested}");
    }

    // What is no cache, no key, or not asked.
    for (wish, status, says) in [
        (
            json!({"url": theirs.url("/c/main"), "key": key, "path": path}),
            422,
            "",
        ),
        (json!({"url": "s3://bucket", "key": key}), 400, "https://"),
        (json!({"url": "https://a b", "key": key}), 400, "`url`"),
        (json!({"url": url, "key": "secret-word"}), 400, "`key`"),
        (
            json!({"url": url, "key": key, "path": "/nix/store/x"}),
            400,
            "store path",
        ),
        (
            json!({"url": "http://127.0.0.1:9/x", "key": key}),
            422,
            "127.0.0.1",
        ),
        (json!({"url": url}), 400, ""),
    ] {
        let (answered, text) = refused(&ours, &olga, wish.clone()).await;
        assert_eq!(answered, status, "{wish}: {text}");
        assert!(
            text.contains(says) && !text.contains("secret-word"),
            "{text}"
        );
    }

    // A few at a time from one address.
    let mut last = 0;
    for _ in 0..20 {
        last = refused(&ours, &olga, wish(&key.to_string(), Some(&path)))
            .await
            .0;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429, "it may be asked for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_public_caches_that_the_key_signed_are_tried_on_another_cache() {
    let theirs = TestServer::start(
        |shelf| {
            shelf.put("both-1.0", &[]);
        },
        |_| {},
    )
    .await;
    let key = theirs.shelf().key.public_key();
    let wish = json!({"url": theirs.url("/main"), "key": key});
    let both = ours(
        |shelf| {
            shelf.put("both-1.0", &[]);
        },
        true,
    )
    .await;
    let tested = read(
        owner(&both)
            .await
            .post(&both, "/connect/test", wish.clone())
            .await,
    )
    .await;
    assert_eq!(tested["signature"], "valid", "{tested}");
    let path = tested["path"].as_str().expect("a path");
    assert!(path.ends_with("-both-1.0"), "{path}");

    // Private addresses are not called unless the owner of this server lists them.
    let careful = ours(|_| {}, false).await;
    let (status, text) = refused(&careful, &owner(&careful).await, wish.clone()).await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("outbound_allow"), "{text}");

    // Of a private cache no path is named to anybody else.
    let private = TestServer::start(
        |shelf| {
            shelf.put("both-1.0", &[]);
        },
        |config| {
            config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
            config.caches[0].visibility = Visibility::Private;
        },
    )
    .await;
    let olga = owner(&private).await;
    let tested = read(olga.post(&private, "/connect/test", wish).await).await;
    assert_eq!(tested["signature"], "untested", "{tested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_knows_the_public_address_and_the_keys_that_were_used_once() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(dir.path().join("cache")).expect("a folder");
    let mut first = config(dir.path());
    give_key(&mut first);
    let public: PublicUrl = "https://console.example.org/nix".parse().expect("a URL");
    first.public_url = Some(public);
    let old = Shelf::new("").key.public_key();
    let server = TestServer::run(first.clone(), dir).await;
    crate::people::settled(&server).await;
    // Below the path of the public address, as a proxy hands it on.
    let base = server.server.site().public_url.base().to_owned();
    let base = base.trim_end_matches('/');
    let connect = server.json(&format!("{base}/api/v1/connect")).await;
    assert_eq!(
        connect,
        json!({"caches": [{
            "slug": "main", "page": "https://console.example.org/nix/c/main", "bucket": null,
            "former_keys": [], "signs": true,
        }]})
    );
    let script = server.text(&format!("{base}/c/main/install.sh")).await;
    let twin = format!(
        "{base}/c/main/install-{}.sh",
        Sha256::digest(script.as_bytes()).to_base16()
    );

    // Another key, and no secret one.
    let TestServer { server, dir, .. } = server;
    server.shutdown().await;
    let next = SecretKey::generate("test-2", [8; 32])
        .expect("a key")
        .public_key();
    let mut second = first;
    second.caches[0].signing_key_files.clear();
    second.caches[0].public_keys = vec![next.clone()];
    let server = TestServer::run(second, dir).await;
    crate::people::settled(&server).await;
    let connect = server.json(&format!("{base}/api/v1/connect")).await;
    let cache = &connect["caches"][0];
    assert_eq!(
        (&cache["former_keys"], &cache["signs"]),
        (&json!([old]), &json!(false))
    );
    let today = server.text(&format!("{base}/c/main/install.sh")).await;
    assert!(today.contains(&format!(
        "  keys='{next}'\n  # Keys that the cache used once.\n  former='{old}'\n"
    )));
    assert_eq!(
        server.text(&twin).await,
        script,
        "an old address finds other bytes"
    );

    // Strangers are told of public caches only.
    let private = TestServer::start(
        |_| {},
        |config| config.caches[0].visibility = Visibility::Private,
    )
    .await;
    assert_eq!(private.json("/api/v1/connect").await, json!({"caches": []}));
    let seen = owner(&private).await.json(&private, "/connect").await;
    assert_eq!(seen["caches"][0]["slug"], "main");
}
