//! The policy of a cache: rules that are read, changed, tried and kept.

use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{Actor, read};
use crate::upload_site::{Made, Site};

const POLICY: &str = "/caches/main/policy";

async fn put(site: &Site, who: &Actor, policy: Value) -> (u16, Value) {
    let answer = who
        .send(&site.server, Method::PUT, POLICY, Some(policy))
        .await;
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_sentences_and_nobody_overwrites_what_they_did_not_see() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let before = site.owner.json(&site.server, POLICY).await;
    assert_eq!(before["revision"], 0);
    assert_eq!(
        before["sentences"],
        json!(["Everything else is published at once."])
    );
    let mut wish = before.clone();
    wish["rules"] = json!([
        {"who": "members", "members": ["alice"], "names": ["nixos-system-*"], "then": "refuse", "reason": "Systems come from CI"},
        {"who": "anyone", "max_nar_size": 1_048_576, "then": "publish"},
        {"who": "machines", "then": "builders", "builders": 2},
    ]);
    wish["mode"] = json!("counter-sign");
    let (status, saved) = put(&site, &site.owner, wish.clone()).await;
    assert_eq!(status, 200, "{saved}");
    assert_eq!(saved["revision"], 1);
    assert_eq!(saved["changed_by"], "olga");
    assert_eq!(
        saved["sentences"][0],
        "Paths named `nixos-system-*` uploaded by alice are refused: Systems come from CI."
    );
    // Who still has the old one does not write over it.
    let (status, problem) = put(&site, &site.owner, wish.clone()).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("changed-meanwhile"))
    );
    // A Maintainer reads and tries, an owner changes; a token does not.
    let grants = json!([{"role": "maintainer", "cache": null}]);
    let maria = site.owner.invite(&site.server, "maria", grants).await;
    wish["revision"] = json!(1);
    assert_eq!(put(&site, &maria, wish.clone()).await.0, 403);
    assert_eq!(maria.json(&site.server, POLICY).await, saved);
    let token = site
        .owner
        .token(&site.server, json!(null), &["manage"])
        .await;
    let token = Actor::with_token(token["secret"].as_str().expect("a token"));
    assert_eq!(put(&site, &token, wish.clone()).await.0, 403);
    let push = Actor::with_token(&alice.token);
    assert_eq!(push.json(&site.server, POLICY).await["revision"], 1);
    for (bad, says) in [
        (
            json!([{"who": "members", "members": [], "then": "publish"}]),
            "Rule 1: A rule about members names at least one.",
        ),
        (
            json!([{"who": "anyone", "then": "approval", "approvals": 9}]),
            "Rule 1: A rule asks for 1 to 5 approvals.",
        ),
        (
            json!(vec![json!({"who": "anyone", "then": "publish"}); 51]),
            "A policy has at most 50 rules.",
        ),
    ] {
        let mut wish = wish.clone();
        wish["rules"] = bad;
        let (status, problem) = put(&site, &site.owner, wish).await;
        assert_eq!((status, &problem["detail"]), (422, &json!(says)));
    }
    let mut foreign = wish.clone();
    foreign["reference_upstreams"] = json!(["https://elsewhere.example"]);
    assert_eq!(put(&site, &site.owner, foreign).await.0, 422);
    assert_eq!(
        put(&site, &site.owner, json!({"rules": "all"})).await.0,
        400
    );
    assert_eq!(site.owner.json(&site.server, POLICY).await["revision"], 1);
    let lines = site.owner.json(&site.server, "/audit?action=policy").await;
    let lines = lines["items"].as_array().expect("lines");
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0]["detail"]["rules"]
            .as_str()
            .expect("rules")
            .contains("Systems come from CI")
    );

    // U15: what is refused says by which policy, why, and whom to ask.
    let made = Made::file("nixos-system-1", "system", &[], &alice.key);
    let (status, line) = site.upload(&alice, &made).await;
    assert_eq!(status, 403);
    assert_eq!(
        line,
        "policy: you may not upload nixos-system-* here (policy main): Systems come from CI. Ask: maria, olga\n"
    );
    let small = Made::file("small-1", "small", &[], &alice.key);
    assert_eq!(site.upload(&alice, &small).await, (200, String::new()));
    let bob = site.contributor("bob").await;
    let his = Made::file("nixos-system-1", "system", &[], &bob.key);
    assert_eq!(site.upload(&bob, &his).await, (200, String::new()));

    // Tried with what was uploaded; nothing is changed.
    let rules = json!({"rules": [
        {"who": "members", "members": ["bob"], "then": "approval", "approvals": 1},
        {"who": "keys", "keys": ["alice-1"], "names": ["small-*"], "then": "refuse", "reason": "no"},
    ]});
    let trial = read(
        maria
            .post(&site.server, &format!("{POLICY}/try"), rules)
            .await,
    )
    .await;
    assert_eq!(
        (&trial["waiting"], &trial["refused"], &trial["published"]),
        (&json!(1), &json!(1), &json!(0)),
        "{trial}"
    );
    let items = trial["items"].as_array().expect("uploads");
    let of = |name: &str| items.iter().find(|item| item["name"] == name).expect("it");
    assert_eq!(of("small-1")["rule"], 1);
    assert_eq!(of("small-1")["by"], "member:alice");
    assert_eq!(
        of("nixos-system-1")["ruling"],
        json!({"then": "approval", "approvals": 1})
    );
    assert_eq!(site.owner.json(&site.server, POLICY).await["revision"], 1);
    let bad = json!({"rules": [{"who": "keys", "keys": [], "then": "publish"}]});
    let answer = maria
        .post(&site.server, &format!("{POLICY}/try"), bad)
        .await;
    assert_eq!(answer.status(), 422);
}
