//! What a cache holds back: hidden, listed, lifted; purged for ever; and revocation with its blast radius.

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::auth::By;
use snowbank::intake::{SigningMode, UploadPolicy};
use snowbank::withheld::Pair;
use snowbank_shared::signature::SecretKey;

use crate::harness::TestServer;
use crate::people::{Actor, read};
use crate::upload_site::{Made, Site, Uploader};

fn hash(made: &Made) -> String {
    made.parts.store_path.hash().to_string()
}

async fn status(server: &TestServer, path: &str) -> u16 {
    server.get(path).await.status().as_u16()
}

async fn hide(site: &Site, who: &Actor, made: &Made, reason: &str) -> (u16, Value) {
    let wish = json!({"paths": [hash(made)], "reason": reason});
    let answer = who
        .post(&site.server, "/caches/main/quarantine", wish)
        .await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn lift(site: &Site, who: &Actor, wish: Value) -> (u16, Value) {
    let answer = who
        .post(&site.server, "/caches/main/quarantine/lift", wish)
        .await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The first finding of a check.
async fn finding(site: &Site, check: &str) -> Value {
    let health = site
        .server
        .json(&format!("/api/v1/caches/main/health?check={check}"))
        .await;
    health["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_path_is_404_everywhere_and_comes_back_when_it_is_lifted() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let server = &site.server;
    let app = Made::file("app-1", "app", &[], &alice.key);
    // Another path with the same archive.
    let twin = Made::file("twin-1", "app", &[], &alice.key);
    for made in [&app, &twin] {
        assert_eq!(site.upload(&alice, made).await.0, 200);
    }
    let narinfo = format!("/main/{}", app.key());
    let listing = format!("/main/{}.ls", hash(&app));
    let archive = format!("/main/{}", app.url());
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = site.owner.invite(server, "mary", grants).await;
    assert_eq!(
        hide(&site, &mary, &app, "a try").await.0,
        403,
        "needs Owner"
    );
    assert_eq!(
        hide(&site, &site.owner, &app, " ").await.0,
        422,
        "needs a reason"
    );
    let (done, said) = hide(&site, &site.owner, &app, "it phones home").await;
    assert_eq!((done, &said["paths"]), (200, &json!(1)), "{said}");
    assert_eq!(hide(&site, &site.owner, &app, "again").await.1["paths"], 0);

    let answer = server.get(&narinfo).await;
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.expect("text").contains("in quarantine"));
    assert_eq!(server.head(&narinfo).await.status(), 404);
    assert_eq!(status(server, &listing).await, 404);
    assert_eq!(
        status(server, &archive).await,
        200,
        "the twin's narinfo names it"
    );
    // What is in it is not told either.
    for inside in ["files", "files/", "files/x", "listing", "contents"] {
        let address = format!("/api/v1/caches/main/paths/{}/{inside}", hash(&app));
        assert_eq!(status(server, &address).await, 404, "{address}");
    }
    let contents = format!("/api/v1/caches/main/paths/{}/contents", hash(&twin));
    assert_eq!(status(server, &contents).await, 200);
    assert_eq!(hide(&site, &site.owner, &twin, "its twin too").await.0, 200);
    assert_eq!(status(server, &archive).await, 404);

    // On its page, in lists, in Health.
    let detail = server
        .json(&format!("/api/v1/caches/main/paths/{}", hash(&app)))
        .await;
    assert_eq!(detail["quarantined"], true);
    assert_eq!(detail["held"]["reason"], "it phones home");
    assert_eq!(detail["held"]["by"], "", "strangers learn no names");
    let path = format!("/caches/main/paths/{}", hash(&app));
    let detail = mary.json(server, &path).await;
    assert_eq!(detail["held"]["by"], "olga");
    assert_eq!(detail["held"]["state"], "quarantined");
    let list = server.json("/api/v1/caches/main/paths?q=app-1").await;
    assert_eq!(list["items"][0]["quarantined"], true);
    let found = finding(&site, "quarantined").await;
    let reason = found["reason"].as_str().expect("text");
    assert!(
        reason.contains("put into quarantine on 20") && !reason.contains("olga"),
        "{found}"
    );

    // It cannot be pinned, nor uploaded again, by whomever.
    let pin = json!({"path": hash(&app), "expected": 0});
    let answer = site
        .owner
        .send(server, Method::PUT, "/caches/main/pins/x", Some(pin))
        .await;
    assert_eq!(
        answer.json::<Value>().await.expect("JSON")["code"],
        "held-back"
    );
    let bob = site.contributor("bob").await;
    for by in [&alice, &bob] {
        let again = Made::file("app-1", "app", &[], &by.key);
        assert_eq!(
            site.put(by, &again.url(), again.stored.clone()).await.0,
            200
        );
        let (status, text) = site.put(by, &again.key(), again.text()).await;
        assert_eq!(status, 403, "{text}");
        assert!(text.starts_with("quarantined: "), "{text}");
        assert!(
            text.contains("by olga on 20") && text.contains("it phones home"),
            "{text}"
        );
        assert!(text.len() < 1024 && text.lines().count() == 1);
    }
    // Nor is its archive published by the name of another path.
    let copy = Made::file("copy-1", "app", &[], &bob.key);
    let (refused, text) = site.put(&bob, &copy.key(), copy.text()).await;
    assert_eq!(
        (refused, text.starts_with("nar-held-back: ")),
        (409, true),
        "{text}"
    );

    // Listed with the acts, and lifted: a path with a reason, an act as a whole within a day.
    let held = server.json("/api/v1/caches/main/quarantine").await;
    assert_eq!(
        (&held["total"], held["acts"].as_array().expect("acts").len()),
        (&json!(2), 2)
    );
    let first = server.json("/api/v1/caches/main/quarantine?limit=1").await;
    let next = first["next"].as_str().expect("more");
    let second = server
        .json(&format!(
            "/api/v1/caches/main/quarantine?limit=1&cursor={next}"
        ))
        .await;
    assert_ne!(first["items"][0]["hash"], second["items"][0]["hash"]);
    assert_eq!(second["next"], Value::Null);
    let one = json!({"hash": hash(&app)});
    assert_eq!(
        lift(&site, &site.owner, one.clone()).await.0,
        422,
        "needs a reason"
    );
    let one = json!({"hash": hash(&app), "reason": "it was the test network"});
    assert_eq!(lift(&site, &mary, one.clone()).await.0, 403);
    assert_eq!(lift(&site, &site.owner, one.clone()).await.1["paths"], 1);
    assert_eq!(lift(&site, &site.owner, one).await.0, 404);
    assert!(site.served(&app).await.is_some());
    assert_eq!(status(server, &archive).await, 200);
    assert_eq!(status(server, &listing).await, 200);
    assert_eq!(site.put(&alice, &app.key(), app.text()).await.0, 200);
    let act = &server.json("/api/v1/caches/main/quarantine").await["acts"][0]["id"];
    let (done, said) = lift(&site, &site.owner, json!({"act": act})).await;
    assert_eq!((done, &said["paths"]), (200, &json!(1)), "{said}");
    assert!(site.served(&twin).await.is_some());
    assert_eq!(
        server.json("/api/v1/caches/main/quarantine").await["total"],
        0
    );
    assert_eq!(finding(&site, "quarantined").await, Value::Null);
    let audit = site
        .owner
        .json(server, "/caches/main/audit?action=quarantine")
        .await;
    assert_eq!(
        audit["items"].as_array().expect("a list").len(),
        4,
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_never_comes_back_and_another_build_may() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let app = Made::file("app-1", "leaked", &[], &alice.key);
    let main = site.server.server.site().caches[0].clone();
    let pair = Pair {
        path: app.parts.store_path.hash(),
        nar_hash: app.parts.nar_hash,
    };
    let by = By {
        actor: "olga".into(),
        via: "web",
        request: "test".into(),
        address: None,
    };
    let access = &site.server.server.site().access;
    let purged = main
        .withheld
        .purged(access, "main", pair, "a secret leaked", &by);
    purged.await.expect("noted");
    assert_eq!(
        site.put(&alice, &app.url(), app.stored.clone()).await.0,
        200
    );
    let (status, text) = site.put(&alice, &app.key(), app.text()).await;
    assert_eq!(status, 403, "{text}");
    assert!(
        text.starts_with("purged: ") && text.contains("purged by olga on 20"),
        "{text}"
    );
    assert!(!text.contains("a secret leaked"), "{text}");
    assert!(site.served(&app).await.is_none());
    // Put past the server it is shown, and not served.
    site.server.shelf().file(&app.url(), &app.stored);
    site.server.shelf().file(&app.key(), app.text().as_bytes());
    let sync = site.server.server.sync("main").expect("a sync");
    sync.sweep_now().await.expect("swept");
    assert!(site.served(&app).await.is_none());
    let detail = site
        .server
        .json(&format!("/api/v1/caches/main/paths/{}", hash(&app)))
        .await;
    assert_eq!(detail["held"]["state"], "purged");
    // It is not lifted like a quarantine.
    let wish = json!({"hash": hash(&app), "reason": "please"});
    assert_eq!(lift(&site, &site.owner, wish).await.0, 404);
    std::fs::remove_file(site.server.shelf().folder.join(app.key())).expect("removed");
    sync.sweep_now().await.expect("swept");
    // Another build of the same path is another content.
    let clean = Made::file("app-1", "clean", &[], &alice.key);
    assert_eq!(site.upload(&alice, &clean).await, (200, String::new()));
    assert!(site.served(&clean).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_holds_over_a_restart() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let app = Made::file("app-1", "app", &[], &alice.key);
    assert_eq!(site.upload(&alice, &app).await.0, 200);
    assert_eq!(hide(&site, &site.owner, &app, "a doubt").await.0, 200);
    let again = site
        .server
        .restarted(|config| config.caches[0].make_key = true);
    let again = again.await;
    assert_eq!(status(&again, &format!("/main/{}", app.key())).await, 404);
    let detail = again
        .json(&format!("/api/v1/caches/main/paths/{}", hash(&app)))
        .await;
    assert_eq!(detail["held"]["reason"], "a doubt");
}

/// Alice's paths: one that bob signed too, one of her own.
async fn two_of_alice(site: &Site) -> (Uploader, Made, Made) {
    let (alice, bob) = site.alice_and_bob().await;
    let (shared, own) = (
        Made::file("shared-1", "shared", &[], &alice.key),
        Made::file("own-1", "own", &[], &alice.key),
    );
    for made in [&shared, &own] {
        assert_eq!(site.upload(&alice, made).await.0, 200);
    }
    let more = shared.clone().signed(&bob.key);
    assert_eq!(site.put(&bob, &more.key(), more.text()).await.0, 200);
    (alice, shared, own)
}

/// Waits until the index has judged by the keys as they are now.
async fn judged(site: &Site, made: &Made, word: &str) {
    let path = format!("/api/v1/caches/main/paths/{}/signatures", hash(made));
    for _ in 0..200 {
        let signatures = site.server.json(&path).await;
        let items = signatures["items"].as_array().expect("a list").clone();
        let alices = items
            .iter()
            .find(|item| item["key"] == "alice-1")
            .expect("hers");
        if alices["status"] == word {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("alice's signature never became {word}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_counts_first_and_can_hide_what_came_in() {
    // Without a key of the cache some paths have only hers.
    let site = Site::start(|config| config.caches[0].make_key = false).await;
    site.policy(UploadPolicy {
        mode: SigningMode::PassThrough,
        ..UploadPolicy::default()
    })
    .await;
    let (alice, shared, own) = two_of_alice(&site).await;
    judged(&site, &own, "valid").await;
    let server = &site.server;
    let radius = site
        .owner
        .json(server, "/contributors/alice-1/blast-radius")
        .await;
    assert_eq!(
        (&radius["owner"], &radius["keys"]),
        (&json!("alice"), &json!(["alice-1"]))
    );
    let main = &radius["caches"][0];
    let nar_size = shared.parts.nar_size + own.parts.nar_size;
    assert_eq!(
        main,
        &json!({"cache": "main", "paths": 2, "nar_size": nar_size, "signed_by_cache": 0,
            "signed_by_others": 1, "only": 1, "refusal": null})
    );
    assert_eq!(
        (&radius["tokens"], &radius["sessions"]),
        (&json!(1), &json!(1))
    );
    let later = site
        .owner
        .json(
            server,
            "/contributors/alice-1/blast-radius?since=2999-01-01",
        )
        .await;
    assert_eq!(later["caches"], json!([]));
    let bad = site
        .owner
        .get(server, "/contributors/alice-1/blast-radius?since=soon")
        .await;
    assert_eq!(bad.status(), 400);
    // Who may not hide is told so before anything is done, and can still revoke.
    let grants = json!([{"role": "maintainer", "cache": null}]);
    let mary = site.owner.invite(server, "mary", grants).await;
    let answer = mary.get(server, "/contributors/alice-1/blast-radius").await;
    assert_eq!(
        answer.status(),
        403,
        "a key for all caches is an owner's to end"
    );

    let wish = json!({"reason": "compromised", "then": "hide"});
    let revoked = site
        .owner
        .post(server, "/contributors/alice-1/revoke", wish)
        .await;
    assert_eq!(read(revoked).await["state"], "revoked");
    for made in [&shared, &own] {
        assert!(site.served(made).await.is_none());
    }
    let (status, text) = site.put(&alice, &own.key(), own.text()).await;
    assert_eq!(
        (status, text.starts_with("quarantined: ")),
        (403, true),
        "{text}"
    );
    let fresh = Made::file("fresh-1", "fresh", &[], &alice.key);
    assert_eq!(
        site.put(&alice, &fresh.url(), fresh.stored.clone()).await.0,
        200
    );
    let (status, text) = site.put(&alice, &fresh.key(), fresh.text()).await;
    assert_eq!(
        (status, text.contains("was revoked")),
        (403, true),
        "{text}"
    );
    let held = server.json("/api/v1/caches/main/quarantine").await;
    assert_eq!(
        held["acts"][0]["reason"],
        "key alice-1 was revoked: compromised"
    );
    assert_eq!(held["acts"][0]["left"], 2);
    // Path by path, then the rest as a whole.
    let one = json!({"hash": hash(&shared), "reason": "bob built the same"});
    assert_eq!(lift(&site, &site.owner, one).await.1["paths"], 1);
    assert!(site.served(&shared).await.is_some() && site.served(&own).await.is_none());
    let act = json!({"act": held["acts"][0]["id"]});
    assert_eq!(lift(&site, &site.owner, act).await.1["paths"], 1);
    assert!(site.served(&own).await.is_some());
    judged(&site, &own, "valid-revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_signed_stays_and_a_member_goes_with_all_keys() {
    let site = Site::start(|_| {}).await;
    let (_, shared, own) = two_of_alice(&site).await;
    judged(&site, &own, "valid").await;
    let server = &site.server;
    let second = SecretKey::generate("alice-2", [77; 32]).expect("a key");
    site.register("alice", &second.public_key(), |record| {
        record.proven_at = None;
    })
    .await;
    let radius = site.owner.json(server, "/members/alice/blast-radius").await;
    assert_eq!(radius["keys"], json!(["alice-1", "alice-2"]));
    assert_eq!(radius["waiting_keys"], 1);
    assert_eq!(radius["caches"][0]["signed_by_cache"], 2, "{radius}");
    assert_eq!(radius["caches"][0]["only"], 0);
    assert_eq!(
        site.owner
            .get(server, "/members/nobody/blast-radius")
            .await
            .status(),
        404
    );
    let bad = site
        .owner
        .send(server, Method::DELETE, "/members/alice?then=burn", None)
        .await;
    assert_eq!(bad.status(), 400);
    let gone = site
        .owner
        .send(server, Method::DELETE, "/members/alice?then=keep", None)
        .await;
    assert_eq!(gone.status(), 204);
    judged(&site, &own, "valid-revoked").await;
    for made in [&shared, &own] {
        assert!(
            site.served(made).await.is_some(),
            "clients keep accepting it"
        );
    }
    // The other one's paths are hidden with them, from a day on that is not over yet.
    let gone = site
        .owner
        .send(
            server,
            Method::DELETE,
            "/members/bob?then=hide&since=2020-01-01",
            None,
        )
        .await;
    assert_eq!(gone.status(), 204);
    assert!(site.served(&shared).await.is_none() && site.served(&own).await.is_some());
}
