//! Purging a path: what leaked is gone and never comes back, what others need stays, and a purge that
//! was broken off is finished by the same call.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::auth::By;
use snowbank::withheld::Pair;
use snowbank_shared::store_path::StorePath;

use crate::people::{Actor, another_owner, read};
use crate::retention_runs::{planned, started, until};
use crate::upload_site::{Made, Site};

fn address(made: &Made) -> String {
    format!("/caches/main/paths/{}/purge", made.parts.store_path.hash())
}

/// What lies in the bucket of paths.
fn objects(site: &Site) -> Vec<String> {
    let mut objects = site.objects();
    objects.retain(|key| key != "nix-cache-info");
    objects
}

async fn preview(site: &Site, made: &Made) -> Value {
    site.owner.json(&site.server, &address(made)).await
}

async fn purge(site: &Site, who: &Actor, made: &Made, nar_hash: &Value) -> (u16, Value) {
    let wish = json!({"reason": "a token leaked", "nar_hash": nar_hash});
    let answer = who.post(&site.server, &address(made), wish).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// Purges what the preview shows.
async fn purged(site: &Site, made: &Made) -> Value {
    let shown = preview(site, made).await;
    assert_eq!(shown["refusal"], Value::Null, "{shown}");
    let (status, done) = purge(site, &site.owner, made, &shown["nar_hash"]).await;
    assert_eq!(status, 200, "{done}");
    done
}

fn deriver(name: &str) -> StorePath {
    let made = Made::addressed(name, name);
    StorePath::new(made.parts.store_path.hash(), name).expect("a name")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_is_gone_whole_and_what_others_need_stays() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let alice = site.contributor("alice").await;
    let mut leaked = Made::file("leaked-1", "the token is 42", &[], &alice.key);
    leaked.parts.deriver = Some(deriver("leaked-1.drv"));
    let top = Made::file("top-1", "top", &[&leaked], &alice.key);
    let over = Made::file("over-1", "over", &[&top], &alice.key);
    // Two paths with one archive.
    let one = Made::file("one-1", "shared", &[], &alice.key);
    let two = Made::file("two-1", "shared", &[], &alice.key);
    for made in [&leaked, &top, &over, &one, &two] {
        assert_eq!(site.upload(&alice, made).await, (200, String::new()));
    }
    let log = format!("log/{}", deriver("leaked-1.drv"));
    site.server.shelf().file(&log, b"token=42");
    let pin = json!({"path": over.parts.store_path.hash().to_string(), "expected": 0});
    let pinned = site
        .owner
        .send(server, Method::PUT, "/caches/main/pins/prod", Some(pin))
        .await;
    assert_eq!(pinned.status(), 200);

    // Who refers to it, what stays, and nothing is touched by asking.
    let before = objects(&site);
    let shown = preview(&site, &leaked).await;
    assert_eq!(shown["name"], "leaked-1");
    assert_eq!(
        (&shown["referrers_total"], &shown["affected"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(shown["referrers"][0]["name"], "top-1");
    assert_eq!(shown["pins"], json!(["prod@1"]));
    assert_eq!(
        (&shown["shared_with"], &shown["versioned"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(shown["bytes"], leaked.stored.len());
    assert_eq!(preview(&site, &one).await["shared_with"], 1);

    // Nobody but an owner, at a browser, and only what was shown.
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = site.owner.invite(server, "mary", grants).await;
    let stranger = Actor::stranger();
    for (who, status) in [(&stranger, 401), (&mary, 403)] {
        assert_eq!(who.get(server, &address(&leaked)).await.status(), status);
        let refused = purge(&site, who, &leaked, &shown["nar_hash"]).await;
        assert_eq!(refused.0, status, "{}", refused.1);
    }
    let other = &preview(&site, &top).await["nar_hash"];
    let (status, said) = purge(&site, &site.owner, &leaked, other).await;
    assert_eq!(
        (status, &said["code"]),
        (409, &json!("changed-meanwhile")),
        "{said}"
    );
    let silent = json!({"reason": " ", "nar_hash": shown["nar_hash"]});
    let answer = site.owner.post(server, &address(&leaked), silent).await;
    assert_eq!(answer.status(), 422, "needs a reason");
    assert_eq!(objects(&site), before);

    let done = purged(&site, &leaked).await;
    // NAR, listing, log, narinfo.
    assert_eq!(
        (&done["objects"], &done["versions"]),
        (&json!(4), &json!(0)),
        "{done}"
    );
    assert!(done["freed"].as_u64() > Some(leaked.stored.len() as u64));
    let left = objects(&site);
    let mut gone = before.clone();
    gone.retain(|key| !left.contains(key));
    let mut wanted = vec![
        leaked.key(),
        format!("{}.ls", leaked.parts.store_path.hash()),
        leaked.url(),
        log,
    ];
    wanted.sort();
    assert_eq!(gone, wanted);
    assert!(site.served(&leaked).await.is_none());
    let archive = format!("/main/{}", leaked.url());
    assert_eq!(server.get(&archive).await.status(), 404);
    let path = format!(
        "/api/v1/caches/main/paths/{}",
        leaked.parts.store_path.hash()
    );
    assert_eq!(server.get(&path).await.status(), 404);
    assert!(site.served(&top).await.is_some(), "only the path went");

    // It is told, and never comes back.
    let gone = format!("/caches/main/gc/gone/{}", leaked.parts.store_path.hash());
    let told = site.owner.json(server, &gone).await;
    assert_eq!(
        (&told["purged"], &told["by"], &told["reason"]),
        (&json!(true), &json!("olga"), &json!("a token leaked"))
    );
    // Why is for those who may read the audit.
    let told = mary.json(server, &gone).await;
    assert_eq!(
        (&told["by"], &told["reason"]),
        (&json!("olga"), &Value::Null)
    );
    let hash = leaked.parts.store_path.hash();
    for (who, knows) in [(&site.owner, true), (&mary, false), (&stranger, false)] {
        let history = format!("/caches/main/paths/{hash}/history");
        let history = who.json(server, &history).await.to_string();
        assert_eq!(history.contains("a token leaked"), knows, "{history}");
    }
    let told = stranger.json(server, &gone).await;
    assert_eq!((&told["by"], &told["reason"]), (&json!(""), &Value::Null));
    site.put(&alice, &leaked.url(), leaked.stored.clone()).await;
    let (status, text) = site.put(&alice, &leaked.key(), leaked.text()).await;
    assert_eq!(
        (status, text.starts_with("purged: ")),
        (403, true),
        "{text}"
    );
    let lines = site
        .owner
        .json(server, "/caches/main/audit?action=path")
        .await;
    let acts: Vec<&Value> = lines["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| &line["action"])
        .collect();
    assert_eq!(acts, ["path.erase", "path.purge"], "{lines}");

    // An archive that another path has stays, and goes with the last of them.
    let archive = format!("/main/{}", one.url());
    let done = purged(&site, &one).await;
    assert_eq!(done["objects"], 2, "narinfo and listing: {done}");
    assert_eq!(server.get(&archive).await.status(), 200);
    assert!(site.served(&two).await.is_some());
    let done = purged(&site, &two).await;
    assert_eq!(done["objects"], 3, "{done}");
    assert_eq!(server.get(&archive).await.status(), 404);
    assert!(!objects(&site).contains(&one.url()));

    // What is not here cannot be purged.
    assert_eq!(site.owner.get(server, &address(&one)).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_broken_off_is_finished_by_the_same_call() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let by = By {
        actor: "olga".into(),
        via: "web",
        request: "test".into(),
        address: None,
    };
    // Each was killed one step later: after the tombstone, the archive, the listing, the narinfo.
    let mut broken = Vec::new();
    for steps in 0..4_usize {
        let name = format!("leaked-{steps}");
        let made = Made::file(&name, &name, &[], &alice.key);
        assert_eq!(site.upload(&alice, &made).await.0, 200);
        let hash = made.parts.store_path.hash();
        let pair = Pair {
            path: hash,
            nar_hash: made.parts.nar_hash,
        };
        let running = site.server.server.site();
        let held = &running.caches[0].withheld;
        let noted = held.purged(&running.access, "main", pair, "a token leaked", &by);
        noted.await.expect("a tombstone");
        let keys = [made.url(), format!("{hash}.ls"), made.key()];
        for key in &keys[..steps] {
            fs::remove_file(site.server.shelf().folder.join(key)).expect("removed");
        }
        broken.push(made);
    }
    let server = site.server;
    let server = server
        .restarted(|config| config.caches[0].make_key = true)
        .await;
    // Sessions ended with the server.
    let owner = another_owner(&server).await;
    let site = Site { server, owner };
    let findings = async || {
        let path = "/api/v1/caches/main/health?check=purged";
        site.server.json(path).await["total"].clone()
    };
    // What still has a narinfo is shown as held back, and served to nobody.
    assert_eq!(findings().await, 3);
    let ends = broken.pop().expect("the last");
    for (left, made) in [3, 2, 1].into_iter().zip(&broken) {
        assert!(site.served(made).await.is_none());
        let done = purged(&site, made).await;
        assert_eq!(done["objects"], left, "{done}");
    }
    assert_eq!(findings().await, 0);
    let answer = site.owner.get(&site.server, &address(&ends)).await;
    assert_eq!(answer.status(), 404, "nothing was left to do");
    assert_eq!(objects(&site), [""; 0]);
}

/// A run that takes out all that these names do not fit, into the trash.
async fn taken(site: &Site, keep: &[&str]) -> String {
    let wish = json!({
        "rules": {"names": keep, "grace_hours": 0},
        "foreign": true,
        "grace_days": 30,
    });
    let plan = planned(&site.server, &site.owner, wish).await;
    let run = started(&site.server, &site.owner, &plan).await;
    until(&site.server, &site.owner, &run, "grace").await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaked_is_purged_in_the_trash_of_a_run_and_no_undo_brings_it_back() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let alice = site.contributor("alice").await;
    let leaked = Made::file("leaked-1", "the token is 42", &[], &alice.key);
    let top = Made::file("top-1", "top", &[&leaked], &alice.key);
    for made in [&leaked, &top] {
        assert_eq!(site.upload(&alice, made).await, (200, String::new()));
        // Clients were served it, and may remember its narinfo.
        assert!(site.served(made).await.is_some());
    }
    let run = taken(&site, &["none-*"]).await;
    let archive = format!("/main/{}", leaked.url());
    let begun = Instant::now();
    while server.get(&archive).await.status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{archive}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let shown = preview(&site, &leaked).await;
    assert_eq!(
        (&shown["in_trash"], &shown["name"]),
        (&json!(run), &json!("leaked-1")),
        "{shown}"
    );
    assert_eq!(
        (&shown["shared_with"], &shown["refusal"]),
        (&json!(0), &Value::Null)
    );
    let (status, said) = purge(&site, &site.owner, &leaked, &json!("sha256:other")).await;
    assert_eq!(
        (status, &said["code"]),
        (409, &json!("changed-meanwhile")),
        "{said}"
    );
    purged(&site, &leaked).await;
    assert_eq!(server.get(&archive).await.status(), 404);
    assert!(!objects(&site).contains(&leaked.url()));
    // What is neither here nor there.
    let never = Made::file("never-1", "never", &[], &alice.key);
    assert_eq!(site.owner.get(server, &address(&never)).await.status(), 404);
    assert_eq!(
        purge(&site, &site.owner, &never, &json!("sha256:x"))
            .await
            .0,
        404
    );

    let undo = format!("/caches/main/gc/runs/{run}/undo");
    read(site.owner.post(server, &undo, json!({})).await).await;
    let undone = until(server, &site.owner, &run, "undone").await;
    assert_eq!(
        undone["left_out"][0]["words"], "it was purged since",
        "{undone}"
    );
    assert!(site.served(&leaked).await.is_none());
    assert!(!objects(&site).contains(&leaked.key()));
    assert!(site.served(&top).await.is_some(), "the others come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_stays_for_paths_that_the_index_does_not_know_and_for_those_in_the_trash() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let one = Made::file("one-1", "shared", &[], &alice.key);
    let two = Made::file("two-1", "shared", &[], &alice.key);
    let three = Made::file("three-1", "shared", &[], &alice.key);
    assert_eq!(one.url(), two.url());
    for made in [&one, &two] {
        assert_eq!(site.upload(&alice, made).await, (200, String::new()));
    }
    let run = taken(&site, &["one-*"]).await;
    assert!(!objects(&site).contains(&two.key()));
    assert_eq!(preview(&site, &one).await["shared_with"], 1);
    purged(&site, &one).await;
    assert!(objects(&site).contains(&one.url()), "the trash needs it");
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    read(site.owner.post(&site.server, &undo, json!({})).await).await;
    until(&site.server, &site.owner, &run, "undone").await;
    assert!(site.served(&two).await.is_some());

    // Somebody writes past the server, and no sweep has seen it.
    let shelf = site.server.shelf();
    shelf.file(&three.key(), three.text().as_bytes());
    assert_eq!(
        preview(&site, &two).await["shared_with"],
        0,
        "not known yet"
    );
    let done = purged(&site, &two).await;
    assert_eq!(done["shared_with"], 1, "whoever asked is told: {done}");
    assert!(objects(&site).contains(&two.url()), "the bucket needs it");
    assert!(!objects(&site).contains(&two.key()));
}
