//! Uploads that wait: for people, for other builders, for an upstream, for what they refer to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::auth::records::{ContributorRecord, now};
use snowbank::config::{Upstream, UpstreamMode};
use snowbank::intake::waiting::{self, WaitingRecord};
use snowbank::ledger::{LedgerError, RecordId, Scope};
use snowbank_shared::signature::SecretKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::people::{Actor, read};
use crate::upload_site::{Made, Site, Uploader};

const QUEUE: &str = "/caches/main/approvals";

/// Sets the rules of the cache.
pub async fn rules(site: &Site, rules: Value) {
    let mut policy = site.owner.json(&site.server, "/caches/main/policy").await;
    policy["rules"] = rules;
    let answer = site
        .owner
        .send(
            &site.server,
            Method::PUT,
            "/caches/main/policy",
            Some(policy),
        )
        .await;
    read(answer).await;
}

pub fn approval(names: &[&str], approvals: u8) -> Value {
    json!([{"who": "anyone", "names": names, "then": "approval", "approvals": approvals}])
}

/// A Maintainer who may upload too.
async fn maintainer(site: &Site, name: &str) -> (Actor, Uploader) {
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let member = site.owner.invite(&site.server, name, grants).await;
    let made = member.token(&site.server, json!(null), &["push"]).await;
    let mut seed = [1; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let key = SecretKey::generate(&format!("{name}-1"), seed).expect("a key");
    site.register(name, &key.public_key(), |_| {}).await;
    let token = made["secret"].as_str().expect("a token").to_owned();
    (member, Uploader { token, key })
}

/// What waits, or waited, for this path's name.
pub async fn entry(site: &Site, name: &str, state: &str) -> Value {
    let page = site
        .owner
        .json(&site.server, &format!("{QUEUE}?state={state}"))
        .await;
    let items = page["items"].as_array().expect("rows");
    let found: Vec<&Value> = items.iter().filter(|row| row["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name} {state}: {page}");
    found[0].clone()
}

async fn decide(site: &Site, who: &Actor, row: &Value, word: &str, more: Value) -> (u16, Value) {
    let mut body = more;
    body["revision"] = row["revision"].clone();
    let path = format!("{QUEUE}/{}/{word}", row["id"].as_str().expect("an id"));
    let answer = who.post(&site.server, &path, body).await;
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

pub async fn approve(site: &Site, who: &Actor, row: &Value) -> (u16, Value) {
    decide(site, who, row, "approve", json!({})).await
}

/// Uploads, and expects that it waits.
pub async fn waits(site: &Site, by: &Uploader, made: &Made) -> String {
    let (status, line) = site.upload(by, made).await;
    assert_eq!(status, 200, "{line}");
    assert!(line.starts_with("waiting: "), "{line}");
    assert!(line.len() < 1024 && line.lines().count() == 1, "{line:?}");
    assert!(site.served(made).await.is_none(), "readers see it");
    line
}

async fn audit(site: &Site, act: &str) -> Vec<Value> {
    let page = site
        .owner
        .json(&site.server, &format!("/audit?action={act}"))
        .await;
    page["items"].as_array().expect("entries").clone()
}

fn signers(narinfo: &snowbank_shared::narinfo::NarInfo) -> Vec<String> {
    let name = |text: &str| text.split(':').next().expect("a name").to_owned();
    let mut names: Vec<String> = narinfo.signatures().map(name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a79_a80_a_restricted_path_waits_for_somebody_else() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let (maria, marias) = maintainer(&site, "maria").await;
    rules(&site, approval(&["nixos-system-*"], 1)).await;
    // What no rule is about is published at once.
    let lib = Made::file("lib-1.0", "lib", &[], &alice.key);
    assert_eq!(site.upload(&alice, &lib).await, (200, String::new()));
    let made = Made::file("nixos-system-1", "system", &[&lib], &alice.key);
    let line = waits(&site, &alice, &made).await;
    assert!(
        line.contains("1 approval by a Maintainer who is not the uploader"),
        "{line}"
    );
    // The same again is the same, its archive is known to who sent it, and to nobody else.
    let again = site.put(&alice, &made.key(), made.text()).await;
    assert_eq!((again.0, again.1), (200, line));
    let head = async |token: &str| {
        let url = site.server.url(&format!("/main/{}", made.url()));
        let request = site.server.client.head(url).basic_auth("nix", Some(token));
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(head(&alice.token).await, 200);
    assert_eq!(head(&marias.token).await, 404);
    let intake = site.server.server.intake();
    assert!(intake.wants_nar("main", &made.url()));
    let row = entry(&site, "nixos-system-1", "waiting").await;
    assert_eq!(row["uploader"], "alice");
    assert_eq!(row["key"], "alice-1");
    assert_eq!(row["waits"]["for"], "approval");
    assert_eq!(
        row["rule"],
        "Paths named `nixos-system-*` need 1 approval by a Maintainer who is not the uploader."
    );
    // The count in the rail is for who may know.
    let cache = site.owner.json(&site.server, "/caches/main").await;
    assert_eq!(cache["waiting"], 1);
    let cache = Actor::stranger().json(&site.server, "/caches/main").await;
    assert_eq!(cache["waiting"], Value::Null);
    // What helps to decide.
    let path = format!("{QUEUE}/{}", row["id"].as_str().expect("an id"));
    let detail = site.owner.json(&site.server, &path).await;
    assert_eq!(detail["new_paths"].as_array().expect("paths").len(), 1);
    assert_eq!(detail["present_references"], 1);
    assert_eq!(detail["narinfo"], made.text());
    // By a token nobody approves, and a Contributor does not either.
    let token = site
        .owner
        .token(&site.server, json!(null), &["maintain"])
        .await;
    let token = Actor::with_token(token["secret"].as_str().expect("a token"));
    assert_eq!(approve(&site, &token, &row).await.0, 403);
    let push = Actor::with_token(&alice.token);
    assert_eq!(approve(&site, &push, &row).await.0, 403);
    assert_eq!(push.json(&site.server, QUEUE).await["total"], 1, "her own");
    let other = site.contributor("bob").await;
    let other = Actor::with_token(&other.token);
    assert_eq!(other.json(&site.server, QUEUE).await["total"], 0);
    assert_eq!(other.get(&site.server, &path).await.status(), 404);
    // Who looked at another version decides on nothing.
    let mut old = row.clone();
    old["revision"] = json!(0);
    let (status, problem) = approve(&site, &maria, &old).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("changed-meanwhile"))
    );
    let (status, approved) = approve(&site, &maria, &row).await;
    assert_eq!(
        (status, &approved["state"]),
        (200, &json!("published")),
        "{approved}"
    );
    let served = site.served(&made).await.expect("published");
    assert!(signers(&served).contains(&"alice-1".to_owned()));
    assert_eq!(signers(&served).len(), 2, "the cache has signed it");
    assert!(!waiting::wants_nar(
        &site.server.server.site().ledger,
        "main",
        &made.url()
    ));
    let receipts = site.server.server.site().ledger.receipts("main").await;
    let receipts = receipts.expect("receipts").receipts;
    assert_eq!(receipts.last().expect("one").by, "member:alice");
    let lines = audit(&site, "approval.approve").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["actor"], "maria");
    assert_eq!(lines[0]["cache"], "main");
    assert!(
        lines[0]["detail"]["uploader"]
            .as_str()
            .expect("a name")
            .starts_with("alice")
    );
    let lines = audit(&site, "approval.publish").await;
    assert_eq!(lines[0]["detail"]["approved_by"], "maria");
    // Again it is the same, and the uploader is answered as for any path that is there.
    assert_eq!(approve(&site, &maria, &row).await.0, 200);
    assert_eq!(audit(&site, "approval.approve").await.len(), 1);
    assert_eq!(
        site.put(&alice, &made.key(), made.text()).await,
        (200, String::new())
    );

    // A79: a Maintainer does not approve what they sent, nor what they signed.
    let own = Made::file("nixos-system-2", "own", &[], &marias.key);
    waits(&site, &marias, &own).await;
    let row = entry(&site, "nixos-system-2", "waiting").await;
    let (status, problem) = approve(&site, &maria, &row).await;
    assert_eq!(status, 403, "{problem}");
    assert_eq!(
        problem["detail"],
        "This is your own upload: somebody else decides on it."
    );
    // She may take it back, with a reason.
    assert_eq!(
        decide(&site, &maria, &row, "reject", json!({"reason": " "}))
            .await
            .0,
        422
    );
    let reason = json!({"reason": "built from a dirty tree"});
    let (status, rejected) = decide(&site, &maria, &row, "reject", reason).await;
    assert_eq!((status, &rejected["state"]), (200, &json!("rejected")));
    let (status, line) = site.put(&marias, &own.key(), own.text()).await;
    assert_eq!(status, 403, "{line}");
    assert!(
        line.starts_with("rejected: ")
            && line.contains("by maria: built from a dirty tree. Ask: olga"),
        "{line}"
    );
    assert_eq!(approve(&site, &site.owner, &row).await.0, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_are_two_people_also_at_once() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let (maria, _) = maintainer(&site, "maria").await;
    let (nina, _) = maintainer(&site, "nina").await;
    rules(&site, approval(&["app-*"], 2)).await;
    let made = Made::file("app-1", "app", &[], &alice.key);
    waits(&site, &alice, &made).await;
    let row = entry(&site, "app-1", "waiting").await;
    let (one, two) = tokio::join!(approve(&site, &maria, &row), approve(&site, &nina, &row));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 409],
        "the second saw an older version: {one:?} {two:?}"
    );
    assert!(site.served(&made).await.is_none());
    let now = entry(&site, "app-1", "waiting").await;
    assert_eq!(
        now["waits"],
        json!({"for": "approval", "needed": 2, "given": 1})
    );
    let (first, second) = if one.0 == 200 {
        (&maria, &nina)
    } else {
        (&nina, &maria)
    };
    let (status, again) = approve(&site, first, &now).await;
    assert_eq!(
        (status, again["approvals"].as_array().map(Vec::len)),
        (200, Some(1))
    );
    assert!(site.served(&made).await.is_none(), "one person twice");
    let (status, published) = approve(&site, second, &now).await;
    assert_eq!((status, &published["state"]), (200, &json!("published")));
    assert!(site.served(&made).await.is_some());
    assert_eq!(audit(&site, "approval.publish").await.len(), 1);

    // An approval by who maintains the cache no more does not count.
    let made = Made::file("app-2", "app 2", &[], &alice.key);
    waits(&site, &alice, &made).await;
    let row = entry(&site, "app-2", "waiting").await;
    assert_eq!(approve(&site, &maria, &row).await.0, 200);
    let demoted = json!({"grants": [{"role": "reader", "cache": null}]});
    let answer = site
        .owner
        .send(&site.server, Method::PATCH, "/members/maria", Some(demoted))
        .await;
    assert!(answer.status().is_success());
    let row = entry(&site, "app-2", "waiting").await;
    let (status, still) = approve(&site, &nina, &row).await;
    assert_eq!(
        (status, &still["state"]),
        (200, &json!("waiting")),
        "{still}"
    );
    assert!(site.served(&made).await.is_none());
    let row = entry(&site, "app-2", "waiting").await;
    let (_, published) = approve(&site, &site.owner, &row).await;
    assert_eq!(published["state"], "published");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_each_other_is_published_in_order() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    rules(&site, approval(&["lib-*", "top-*"], 1)).await;
    let lib = Made::file("lib-1", "lib", &[], &alice.key);
    let mid = Made::file("mid-1", "mid", &[&lib], &alice.key);
    let top = Made::file("top-1", "top", &[&mid, &lib], &alice.key);
    waits(&site, &alice, &lib).await;
    let line = waits(&site, &alice, &mid).await;
    assert!(
        line.contains("It waits for /nix/store/") && line.contains("-lib-1, which it refers to"),
        "{line}"
    );
    waits(&site, &alice, &top).await;
    // Nobody else can build on what waits.
    let bob = site.contributor("bob").await;
    let foreign = Made::file("foreign-1", "foreign", &[&lib], &bob.key);
    let (status, line) = site.upload(&bob, &foreign).await;
    assert_eq!(
        (status, line.starts_with("reference-missing: ")),
        (409, true),
        "{line}"
    );
    let row = entry(&site, "top-1", "waiting").await;
    let path = format!("{QUEUE}/{}", row["id"].as_str().expect("an id"));
    let detail = site.owner.json(&site.server, &path).await;
    assert_eq!(
        detail["new_paths"].as_array().map(Vec::len),
        Some(3),
        "{detail}"
    );
    // Nobody has to approve what only waits for a reference.
    let row = entry(&site, "mid-1", "waiting").await;
    assert_eq!(approve(&site, &site.owner, &row).await.0, 409);
    // The last one first: it waits on for what it refers to.
    let row = entry(&site, "top-1", "waiting").await;
    let (_, approved) = approve(&site, &site.owner, &row).await;
    assert_eq!(approved["state"], "waiting");
    assert_eq!(approved["waits"]["for"], "reference", "{approved}");
    let row = entry(&site, "lib-1", "waiting").await;
    let (_, approved) = approve(&site, &site.owner, &row).await;
    assert_eq!(approved["state"], "published");
    for made in [&lib, &mid, &top] {
        assert!(site.served(made).await.is_some(), "{}", made.text());
    }
    assert_eq!(site.owner.json(&site.server, QUEUE).await["total"], 0);

    // What is rejected takes what waits for it with it.
    let lib = Made::file("lib-2", "lib 2", &[], &alice.key);
    let mid = Made::file("mid-2", "mid 2", &[&lib], &alice.key);
    waits(&site, &alice, &lib).await;
    waits(&site, &alice, &mid).await;
    let row = entry(&site, "lib-2", "waiting").await;
    let reason = json!({"reason": "not yet"});
    assert_eq!(
        decide(&site, &site.owner, &row, "reject", reason).await.0,
        200
    );
    let row = entry(&site, "mid-2", "refused").await;
    assert!(
        row["decision"]["reason"]
            .as_str()
            .expect("why")
            .starts_with("reference-missing")
    );
    assert_eq!(audit(&site, "approval.reject").await.len(), 1);
    assert_eq!(audit(&site, "approval.refuse").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn builders_agree_by_keys_of_their_own_and_all_of_them_have_signed() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let carl = site.contributor("carl").await;
    rules(
        &site,
        json!([{"who": "anyone", "names": ["lib-*"], "then": "builders", "builders": 2}]),
    )
    .await;
    let made = Made::file("lib-1", "lib", &[], &alice.key);
    let line = waits(&site, &alice, &made).await;
    assert!(
        line.contains("until 2 contributors have sent the same content"),
        "{line}"
    );
    // Her other key is still hers.
    let second = SecretKey::generate("alice-2", [9; 32]).expect("a key");
    site.register("alice", &second.public_key(), |_| {}).await;
    let more = made.clone().signed(&second);
    let (status, line) = site.put(&alice, &made.key(), more.text()).await;
    assert_eq!((status, line.contains("so far 1.")), (200, true), "{line}");
    // Other content is an entry of its own and agrees with nobody.
    let other = Made::file("lib-1", "other", &[], &bob.key);
    waits(&site, &bob, &other).await;
    let page = site.owner.json(&site.server, QUEUE).await;
    assert_eq!(page["total"], 2, "{page}");
    let mine = page["items"].as_array().expect("rows").iter();
    let mine = mine
        .clone()
        .find(|row| row["uploader"] == "alice")
        .expect("hers");
    let path = format!("{QUEUE}/{}", mine["id"].as_str().expect("an id"));
    let detail = site.owner.json(&site.server, &path).await;
    assert_eq!(detail["rivals"].as_array().map(Vec::len), Some(1));
    // The same by another builder, packed in his own way.
    let his = Made::file("lib-1", "lib", &[], &carl.key);
    assert_eq!(site.upload(&carl, &his).await, (200, String::new()));
    let served = site.served(&made).await.expect("published");
    let own = &site.server.server.site().caches[0].signer().expect("a key");
    let mut expected = vec!["alice-1", "alice-2", "carl-1", own.name()];
    expected.sort_unstable();
    assert_eq!(signers(&served), expected);
    let page = site
        .owner
        .json(&site.server, &format!("{QUEUE}?state=published"))
        .await;
    assert_eq!(page["total"], 2, "both who agree: {page}");
    let row = entry(&site, "lib-1", "refused").await;
    assert_eq!(row["uploader"], "bob");
    // A signature of a key that was ended does not count.
    let lib = Made::file("lib-2", "lib 2", &[], &alice.key);
    waits(&site, &alice, &lib).await;
    suspend(&site, &alice.key).await;
    let his = Made::file("lib-2", "lib 2", &[], &carl.key);
    let line = waits(&site, &carl, &his).await;
    assert!(line.contains("so far 1."), "{line}");
}

async fn suspend(site: &Site, key: &SecretKey) {
    let id = RecordId::hash_of(key.public_key().bytes());
    let suspended = |record: &ContributorRecord| {
        Ok::<_, LedgerError>(ContributorRecord {
            suspended: true,
            ..record.clone()
        })
    };
    let ledger = site.server.server.site().access.ledger();
    ledger
        .update(Scope::Server, &id, "olga", suspended)
        .await
        .expect("suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_moment_of_publishing_all_is_judged_again() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    rules(&site, approval(&[], 1)).await;
    let by_key = Made::file("one-1", "one", &[], &alice.key);
    let by_role = Made::file("two-1", "two", &[], &bob.key);
    let gone = Made::file("three-1", "three", &[], &alice.key);
    let late = Made::file("four-1", "four", &[], &bob.key);
    for (who, made) in [
        (&alice, &by_key),
        (&bob, &by_role),
        (&alice, &gone),
        (&bob, &late),
    ] {
        waits(&site, who, made).await;
    }
    let cache = &site.server.server.site().caches[0];
    cache.bucket.delete(&gone.url()).await.expect("gone");
    let (_, still) = approve(
        &site,
        &site.owner,
        &entry(&site, "three-1", "waiting").await,
    )
    .await;
    assert_eq!(still["state"], "refused", "{still}");
    assert!(
        still["decision"]["reason"]
            .as_str()
            .expect("why")
            .starts_with("nar-missing")
    );
    suspend(&site, &alice.key).await;
    let (status, refused) =
        approve(&site, &site.owner, &entry(&site, "one-1", "waiting").await).await;
    assert_eq!((status, &refused["state"]), (200, &json!("refused")));
    let why = refused["decision"]["reason"].as_str().expect("why");
    assert!(why.contains("key alice-1 is suspended"), "{why}");
    // Time is over: nobody can say yes any more, and it is noted by itself.
    let row = entry(&site, "four-1", "waiting").await;
    let id: RecordId = row["id"].as_str().expect("an id").parse().expect("an id");
    let ledger = site.server.server.site().access.ledger();
    ledger
        .update::<WaitingRecord, LedgerError>(Scope::Cache("main"), &id, "test", |record| {
            Ok(WaitingRecord {
                expires_at: now() - 1,
                ..record.clone()
            })
        })
        .await
        .expect("changed");
    let answer = site
        .owner
        .send(
            &site.server,
            Method::PATCH,
            "/members/bob",
            Some(json!({"grants": [{"role": "reader", "cache": null}]})),
        )
        .await;
    assert!(answer.status().is_success());
    let (_, refused) = approve(&site, &site.owner, &entry(&site, "two-1", "waiting").await).await;
    assert_eq!(refused["state"], "refused");
    let why = refused["decision"]["reason"].as_str().expect("why");
    assert!(
        why.contains("may not upload to the cache main any more"),
        "{why}"
    );
    until(async || audit(&site, "approval.expire").await.len() == 1).await;
    let row = entry(&site, "four-1", "expired").await;
    assert_eq!(row["decision"]["by"], "server");
    for made in [&by_key, &by_role, &gone, &late] {
        assert!(site.served(made).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_with_the_token_that_it_came_with() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    rules(&site, approval(&["two-*"], 1)).await;
    let made = Made::file("two-1", "two", &[], &alice.key);
    waits(&site, &alice, &made).await;
    let row = entry(&site, "two-1", "waiting").await;
    let id: RecordId = row["id"].as_str().expect("an id").parse().expect("an id");
    let ledger = site.server.server.site().access.ledger();
    let kept = ledger
        .view()
        .get::<WaitingRecord>(Scope::Cache("main"), &id)
        .expect("an entry");
    let token = kept.token.clone().expect("its token");
    let path = format!("/tokens/{token}");
    let answer = site
        .owner
        .send(&site.server, Method::DELETE, &path, None)
        .await;
    assert!(answer.status().is_success(), "{}", answer.status());
    let (_, refused) = approve(&site, &site.owner, &row).await;
    assert_eq!(refused["state"], "refused");
    let why = refused["decision"]["reason"].as_str().expect("why");
    assert!(why.contains("sent it with was ended"), "{why}");
    assert!(site.served(&made).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_refuses_by_now_is_not_published_by_an_approval() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    rules(&site, approval(&["two-*"], 1)).await;
    let made = Made::file("two-1", "two", &[], &alice.key);
    waits(&site, &alice, &made).await;
    let refuse =
        json!([{"who": "anyone", "names": ["two-*"], "then": "refuse", "reason": "No more"}]);
    rules(&site, refuse).await;
    let row = entry(&site, "two-1", "waiting").await;
    let (_, refused) = approve(&site, &site.owner, &row).await;
    assert_eq!(refused["state"], "refused");
    let why = refused["decision"]["reason"].as_str().expect("why");
    assert!(why.contains("No more"), "{why}");
    assert!(site.served(&made).await.is_none());
}

/// Asks until it is so, half a minute at most.
async fn until(done: impl AsyncFn() -> bool) {
    for _ in 0..150 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it did not come to that");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_asked_again() {
    // It breaks every connection off until it is well; then it knows one path.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let theirs = SecretKey::generate("theirs-1", [5; 32]).expect("a key");
    let squatted = Made::file("squatted-1", "theirs", &[], &theirs);
    let (key, text) = (squatted.key(), squatted.text());
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if !is_well.load(Ordering::Relaxed) {
                continue;
            }
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let (status, body) = if asked.contains(&key) {
                ("200 OK", text.as_str())
            } else {
                ("404 Not Found", "")
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            // Who asked may have left.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let upstream = Upstream {
        url,
        keys: vec![theirs.public_key()],
        mode: UpstreamMode::Check,
    };
    let site = Site::start(|config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].upstreams = vec![upstream];
    })
    .await;
    let alice = site.contributor("alice").await;
    let own = Made::file("own-1", "own", &[], &alice.key);
    let top = Made::file("top-1", "top", &[&own], &alice.key);
    let bad = Made::file("squatted-1", "ours", &[], &alice.key);
    let line = waits(&site, &alice, &own).await;
    assert!(line.contains("until http://127.0.0.1:"), "{line}");
    waits(&site, &alice, &top).await;
    waits(&site, &alice, &bad).await;
    let row = entry(&site, "own-1", "waiting").await;
    assert_eq!(row["waits"]["for"], "upstream");
    well.store(true, Ordering::Relaxed);
    until(async || site.owner.json(&site.server, QUEUE).await["total"] == 0).await;
    assert!(site.served(&own).await.is_some());
    assert!(site.served(&top).await.is_some(), "and what waited for it");
    assert!(site.served(&bad).await.is_none());
    let row = entry(&site, "squatted-1", "refused").await;
    let why = row["decision"]["reason"].as_str().expect("why");
    assert!(why.starts_with("upstream-conflict: "), "{why}");
    serving.abort();
}
