//! Contributors' keys: registered, proven, accepted, ended; and what that means for a path at once.

use serde_json::{Value, json};
use snowbank_shared::api::KeyState;
use snowbank_shared::signature::SecretKey;

use crate::people::{Actor, read};
use crate::upload_site::{Made, Site};

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::generate(name, [seed; 32]).expect("a key")
}

fn wish(key: &SecretKey, names: &[&str]) -> Value {
    json!({"public_key": key.public_key().to_string(), "scope": {"caches": ["main"], "names": names}})
}

async fn contributor(site: &Site, name: &str) -> Actor {
    let grants = json!([{"role": "contributor", "cache": "main"}]);
    site.owner.invite(&site.server, name, grants).await
}

/// Status and code, or the state of the key.
async fn said(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let json: Value = answer.json().await.expect("JSON");
    let word = if status < 300 {
        &json["state"]
    } else {
        &json["code"]
    };
    (status, word.as_str().unwrap_or_default().to_owned())
}

async fn prove(site: &Site, who: &Actor, name: &str, key: &SecretKey) -> (u16, String) {
    let path = format!("/contributors/{name}");
    let challenge = read(
        who.post(&site.server, &format!("{path}/challenge"), json!({}))
            .await,
    )
    .await;
    let message = challenge["message"].as_str().expect("a message").to_owned();
    assert!(message.starts_with("snowbank-key-proof-v1\n"), "{message}");
    let signature = key.sign(message.as_bytes()).to_string();
    let proof = json!({"message": message, "signature": signature});
    said(
        who.post(&site.server, &format!("{path}/prove"), proof)
            .await,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_registered_proven_accepted_and_then_publishes() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let alice = contributor(&site, "alice").await;
    let secret = key("alice-laptop-1", 1);
    let made = alice
        .post(server, "/contributors", wish(&secret, &["app-*"]))
        .await;
    assert_eq!(said(made).await, (201, "pending".into()));
    // Another's key proves nothing, nor does a message that we did not make.
    assert_eq!(
        prove(&site, &alice, "alice-laptop-1", &key("alice-laptop-1", 2))
            .await
            .0,
        422
    );
    let made_up = format!(
        "snowbank-key-proof-v1\norigin: {}\nkey: {}\nnonce: 9999999999-0\n",
        server.server.site().public_url.origin(),
        secret.public_key()
    );
    let proof =
        json!({"message": made_up, "signature": secret.sign(made_up.as_bytes()).to_string()});
    assert_eq!(
        said(
            alice
                .post(server, "/contributors/alice-laptop-1/prove", proof)
                .await
        )
        .await
        .0,
        422
    );
    assert_eq!(
        prove(&site, &alice, "alice-laptop-1", &secret).await,
        (200, "pending".into())
    );
    let token = read(
        alice
            .post(
                server,
                "/tokens",
                json!({"name": "t", "caches": ["main"], "verbs": ["push"], "days": 1}),
            )
            .await,
    )
    .await;
    let token = token["secret"].as_str().expect("a token").to_owned();
    let app = Made::file("app-1", "app", &[], &secret);
    assert_eq!(
        site.put_with(&token, &app.url(), app.stored.clone(), &[])
            .await
            .0,
        200
    );
    let (status, text) = site.put_with(&token, &app.key(), app.text(), &[]).await;
    assert_eq!((status, text.contains("waits")), (403, true), "{text}");
    // Its owner cannot accept it; who maintains the cache can, with another scope.
    let accept = json!({"scope": {"caches": ["main"], "names": ["app-*", "lib-*"]}});
    let own = alice
        .post(
            server,
            "/contributors/alice-laptop-1/accept",
            accept.clone(),
        )
        .await;
    assert_eq!(said(own).await.0, 403);
    let elsewhere = site
        .owner
        .invite(
            server,
            "mallory",
            json!([{"role": "contributor", "cache": null}]),
        )
        .await;
    assert_eq!(
        said(
            elsewhere
                .post(
                    server,
                    "/contributors/alice-laptop-1/accept",
                    accept.clone()
                )
                .await
        )
        .await
        .0,
        403
    );
    let carol = site
        .owner
        .invite(
            server,
            "carol",
            json!([{"role": "maintainer", "cache": "main"}]),
        )
        .await;
    let accepted = carol
        .post(server, "/contributors/alice-laptop-1/accept", accept)
        .await;
    assert_eq!(said(accepted).await, (200, "active".into()));
    assert_eq!(
        site.put_with(&token, &app.key(), app.text(), &[]).await,
        (200, String::new())
    );
    let other = Made::file("other-1", "x", &[], &secret);
    assert_eq!(
        site.put_with(&token, &other.key(), other.text(), &[])
            .await
            .0,
        403
    );
    // Suspended, and in again; then revoked for good.
    let act = async |who: &Actor, act: &str, body: Value| {
        said(
            who.post(server, &format!("/contributors/alice-laptop-1/{act}"), body)
                .await,
        )
        .await
    };
    assert_eq!(
        act(&carol, "suspend", json!({})).await,
        (200, "suspended".into())
    );
    assert_eq!(act(&alice, "resume", json!({})).await.0, 403);
    assert_eq!(
        act(&carol, "resume", json!({})).await,
        (200, "active".into())
    );
    assert_eq!(
        act(&carol, "revoke", json!({"reason": "because"})).await.0,
        422
    );
    assert_eq!(
        act(&alice, "revoke", json!({"reason": "lost"})).await,
        (200, "revoked".into())
    );
    assert_ne!(act(&carol, "resume", json!({})).await.0, 200);
    let lib = Made::file("lib-1", "x", &[], &secret);
    let (status, text) = site.put_with(&token, &lib.key(), lib.text(), &[]).await;
    assert_eq!(
        (status, text.contains("was revoked")),
        (403, true),
        "{text}"
    );
    let audit = site.owner.json(server, "/audit?limit=50").await.to_string();
    for word in [
        "key.register",
        "key.prove",
        "key.accept",
        "key.suspend",
        "key.resume",
        "key.revoke",
    ] {
        assert!(audit.contains(word), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_given_once_and_a_key_is_one_persons() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let (alice, bob) = (
        contributor(&site, "alice").await,
        contributor(&site, "bob").await,
    );
    let register = async |who: &Actor, key: &SecretKey, names: &[&str]| {
        said(who.post(server, "/contributors", wish(key, names)).await).await
    };
    let first = key("Alice-1", 1);
    assert_eq!(register(&alice, &first, &["app-*"]).await.0, 201);
    assert_eq!(prove(&site, &alice, "Alice-1", &first).await.0, 200);
    for (who, secret, why) in [
        (&bob, key("alice-1", 2), "whatever its case"),
        (&bob, key("bob-1", 1), "the same key under another name"),
        (&alice, first.clone(), "twice"),
        (&bob, key("cache.nixos.org-1", 3), "an upstream's name"),
        (&bob, key("Cache.NixOS.org-1", 3), "an upstream's name"),
        (&bob, key(&"a".repeat(65), 4), "too long"),
        (&bob, key("-x", 4), "begins with a dash"),
        (&bob, key("a/b", 4), "a slash"),
    ] {
        let (status, code) = register(who, &secret, &["app-*"]).await;
        assert!(matches!(status, 409 | 422), "{why}: {status} {code}");
    }
    let cache = &server.server.site().caches[0];
    let own = key(cache.signer().expect("a key").name(), 9);
    assert_eq!(
        register(&bob, &own, &["app-*"]).await,
        (409, "name-taken".into())
    );
    for names in [&["*"][..], &["**"], &[], &["a b"]] {
        assert_eq!(
            register(&bob, &key("bob-2", 5), names).await.0,
            422,
            "{names:?}"
        );
    }
    // A key that somebody only claims is nothing: it cannot be buried, and who proves it has it.
    let bobs = key("bobs-1", 8);
    let claim = key("claimed-1", 8);
    assert_eq!(register(&alice, &claim, &["app-*"]).await.0, 201);
    let reason = json!({"reason": "lost"});
    let buried = alice
        .post(server, "/contributors/claimed-1/revoke", reason)
        .await;
    assert_eq!(said(buried).await.0, 422);
    assert_eq!(register(&bob, &bobs, &["app-*"]).await.0, 201);
    assert_eq!(prove(&site, &bob, "bobs-1", &bobs).await.0, 200);
    assert_eq!(
        register(&alice, &key("claimed-2", 8), &["app-*"]).await.0,
        422
    );
    assert_eq!(prove(&site, &alice, "Alice-1", &first).await.0, 200);
    // Buried, neither name nor key come back.
    let reason = json!({"reason": "lost"});
    assert_eq!(
        said(
            alice
                .post(server, "/contributors/Alice-1/revoke", reason)
                .await
        )
        .await
        .0,
        200
    );
    assert_eq!(
        register(&alice, &key("alice-1", 7), &["app-*"]).await.0,
        409
    );
    assert_eq!(register(&alice, &first, &["app-*"]).await.0, 422);
    assert_eq!(
        register(&alice, &key("alice-3", 1), &["app-*"]).await.0,
        422
    );
    // Everybody sees their own; who maintains sees all; a stranger's page gets nothing.
    let listed = async |who: &Actor| {
        who.json(server, "/contributors").await["items"]
            .as_array()
            .expect("keys")
            .len()
    };
    assert_eq!((listed(&alice).await, listed(&site.owner).await), (1, 2));
    assert_eq!(listed(&bob).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_shows_what_its_signatures_are_worth_now() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let secret = key("alice-1", 1);
    let alice = contributor(&site, "alice").await;
    let made = Made::file("app-1", "app", &[], &secret);
    server.shelf().file(&made.url(), &made.stored);
    server.shelf().file(&made.key(), made.text().as_bytes());
    let sync = server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    let status = async || {
        let path = format!("/api/v1/caches/main/paths/{}", made.parts.store_path.hash());
        server.json(&path).await["signature"]
            .as_str()
            .expect("a word")
            .to_owned()
    };
    let becomes = async |word: &str| {
        for _ in 0..200 {
            if status().await == word {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("it is {} and not {word}", status().await);
    };
    becomes("unknown-key").await;
    assert_eq!(
        said(
            alice
                .post(server, "/contributors", wish(&secret, &["app-*"]))
                .await
        )
        .await
        .0,
        201
    );
    assert_eq!(prove(&site, &alice, "alice-1", &secret).await.0, 200);
    assert_eq!(status().await, "unknown-key", "pending");
    let accept = json!({"scope": {"caches": null, "names": ["*"]}});
    assert_eq!(
        said(
            site.owner
                .post(server, "/contributors/alice-1/accept", accept)
                .await
        )
        .await
        .1,
        "active"
    );
    becomes("valid").await;
    let keys = server.json("/api/v1/caches/main/keys").await.to_string();
    assert!(
        keys.contains("alice-1") && keys.contains("\"contributor\""),
        "{keys}"
    );
    // Who is no member signs nothing any more.
    let removed = site
        .owner
        .send(server, reqwest::Method::DELETE, "/members/alice", None)
        .await;
    assert_eq!(removed.status(), 204);
    let known = server
        .server
        .site()
        .access
        .contributor("alice-1")
        .expect("the key");
    assert_eq!(known.state, KeyState::Suspended);
    becomes("valid-revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_accept_a_key_has_it_accepted_with_its_proof() {
    let site = Site::start(|_| {}).await;
    let secret = key("olga-1", 1);
    let made = site
        .owner
        .post(&site.server, "/contributors", wish(&secret, &["app-*"]))
        .await;
    assert_eq!(said(made).await, (201, "pending".into()));
    assert_eq!(
        prove(&site, &site.owner, "olga-1", &secret).await,
        (200, "active".into())
    );
}
