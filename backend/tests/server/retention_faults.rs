//! Runs of retention beside a slow bucket, kills, later runs and late writers: nothing is lost, and what is
//! told is true.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::bucket::embedded::faults::{Action, Faults, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::condemned::RunRecord;
use snowbank::ledger::{RecordId, Scope};
use snowbank_shared::api::retention::RunState;

use crate::harness::TestServer;
use crate::people::{another_owner, owner, read};
use crate::retention::filled;
use crate::retention_runs::{code, narinfo, opened, planned, started, until, wish};
use crate::upload_site::{Made, Site};

fn faults(server: &TestServer) -> Faults {
    let embedded = server.server.embedded().expect("an embedded bucket");
    embedded.faults().clone()
}

/// All that these names do not fit goes, and is kept for so many days.
fn all_but(names: &[&str], grace_days: u32) -> Value {
    json!({
        "rules": {"names": names, "grace_hours": 0},
        "foreign": true,
        "grace_days": grace_days,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_in_its_first_batch_is_undone() {
    let (server, made, olga) = opened(Duration::ZERO).await;
    let shelf = server.shelf();
    let before: Vec<_> = made
        .iter()
        .map(|made| std::fs::read(narinfo(&shelf, made)).expect("a narinfo"))
        .collect();
    let plan = planned(&server, &olga, wish(30)).await;
    // Who refers goes first: the batch takes two turns of this.
    let slow = Rule::new(Action::Delay(Duration::from_secs(1))).on(Operation::Delete);
    faults(&server).add(slow.key_contains(".narinfo"));
    let run = started(&server, &olga, &plan).await;
    let trash = shelf.folder.join(".snowbank/caches/main/trash").join(&run);
    let begun = Instant::now();
    while !trash.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "no trash");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/caches/main/gc/runs/{run}");
    read(olga.post(&server, &format!("{path}/stop"), json!({})).await).await;
    let server = server.restarted(|_| {}).await;
    let olga = another_owner(&server).await;
    let shown = olga.json(&server, &path).await;
    assert_eq!(shown["state"], "stopped", "{shown}");
    let gone = made.iter().filter(|made| !narinfo(&shelf, made).exists());
    let gone: Vec<_> = gone.collect();
    assert!(!gone.is_empty(), "it took something out");
    assert_eq!(shown["trashed"], 0, "the batch in hand was not counted");
    assert!(shown["undo_until"].is_string(), "{shown}");
    // Their NARs are needed: who remembers the narinfo is served.
    let begun = Instant::now();
    for made in &gone {
        let nar = format!("/main/{}", made.url);
        while server.get(&nar).await.status() != 200 {
            assert!(begun.elapsed() < Duration::from_secs(10), "{nar}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    read(olga.post(&server, &format!("{path}/undo"), json!({})).await).await;
    let undone = until(&server, &olga, &run, "undone").await;
    assert_eq!(undone["restored"], gone.len(), "{undone}");
    assert_eq!(undone["trashed"], 0, "{undone}");
    for (made, before) in made.iter().zip(&before) {
        let now = std::fs::read(narinfo(&shelf, made)).expect("back");
        assert_eq!(now, *before, "{}", made.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_later_run_stays_in_the_trash_until_that_is_undone() {
    let (server, made, olga) = opened(Duration::ZERO).await;
    let [lib, app, ..] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    let before = std::fs::read(narinfo(&shelf, app)).expect("a narinfo");
    let plan = planned(&server, &olga, all_but(&["lib-*", "old-*", "twin-*"], 30)).await;
    let first = started(&server, &olga, &plan).await;
    until(&server, &olga, &first, "grace").await;
    let plan = planned(&server, &olga, all_but(&["old-*", "twin-*"], 30)).await;
    let second = started(&server, &olga, &plan).await;
    until(&server, &olga, &second, "grace").await;
    assert!(!narinfo(&shelf, app).exists() && !narinfo(&shelf, lib).exists());

    // Without what it refers to, the path does not come back, and is not given up.
    let undo = |run: &str| format!("/caches/main/gc/runs/{run}/undo");
    read(olga.post(&server, &undo(&first), json!({})).await).await;
    let stopped = until(&server, &olga, &first, "stopped").await;
    let trouble = stopped["trouble"].as_str().expect("words");
    assert!(trouble.contains("undo the later runs first"), "{trouble}");
    assert_eq!(
        (&stopped["trashed"], &stopped["restored"]),
        (&json!(1), &json!(0)),
        "{stopped}"
    );
    assert_eq!(stopped["left_out"][0]["reason"], "referenced", "{stopped}");
    assert!(stopped["undo_until"].is_string(), "{stopped}");
    read(olga.post(&server, &undo(&second), json!({})).await).await;
    until(&server, &olga, &second, "undone").await;
    read(olga.post(&server, &undo(&first), json!({})).await).await;
    let undone = until(&server, &olga, &first, "undone").await;
    assert_eq!(
        (&undone["trashed"], &undone["restored"]),
        (&json!(0), &json!(1)),
        "{undone}"
    );
    assert_eq!(undone["left_out_paths"], 0, "{undone}");
    assert_eq!(std::fs::read(narinfo(&shelf, app)).expect("back"), before);
    assert!(narinfo(&shelf, lib).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nars_wait_where_what_others_refer_to_cannot_be_put_back() {
    let (server, made, olga) = opened(Duration::from_secs(2)).await;
    let [lib, app, ..] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    let plan = planned(&server, &olga, all_but(&["lib-*", "old-*", "twin-*"], 0)).await;
    let run = started(&server, &olga, &plan).await;
    // It waits once more before it deletes NARs.
    until(&server, &olga, &run, "deleting").await;
    let kept = std::fs::read(narinfo(&shelf, lib)).expect("a narinfo");
    std::fs::remove_file(narinfo(&shelf, lib)).expect("somebody else removes it");
    shelf.put("user-1", &[app]);
    let begun = Instant::now();
    let path = format!("/caches/main/gc/runs/{run}");
    loop {
        let shown = olga.json(&server, &path).await;
        assert_eq!(shown["state"], "deleting", "{shown}");
        let trouble = shown["trouble"].as_str().unwrap_or_default();
        if trouble.contains("could not be put back") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(shelf.folder.join(&app.url).exists());
    // It is there again, so the run goes on and brings back what is needed.
    std::fs::write(narinfo(&shelf, lib), kept).expect("a narinfo");
    let done = until(&server, &olga, &run, "done").await;
    assert!(narinfo(&shelf, app).exists(), "{done}");
    assert!(shelf.folder.join(&app.url).exists(), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_takes_longer_than_others_wait_is_cut_off_and_made_good() {
    let (server, made, olga) = opened(Duration::ZERO).await;
    let shelf = server.shelf();
    let plan = planned(&server, &olga, wish(30)).await;
    let slow = Rule::new(Action::Delay(Duration::from_secs(70))).on(Operation::Delete);
    let key = format!("{}.narinfo", made[2].hash);
    faults(&server).add(slow.key_contains(&key).times(1));
    let run = started(&server, &olga, &plan).await;
    // Within the 30 s that this waits, which is less than the bucket takes.
    let grace = until(&server, &olga, &run, "grace").await;
    assert_eq!(grace["trashed"], 4, "{grace}");
    assert!(!narinfo(&shelf, &made[2]).exists());
    assert_eq!(grace["errors"], json!([]), "{grace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_slower_than_a_run_is_taken_back() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let lib = Made::file("lib-1", "lib", &[], &alice.key);
    let app = Made::file("app-1", "app", &[&lib], &alice.key);
    for (key, bytes) in [
        (lib.url(), lib.stored.clone()),
        (lib.key(), lib.text().into_bytes()),
        (app.url(), app.stored.clone()),
    ] {
        let (status, line) = site.put(&alice, &key, bytes).await;
        assert_eq!(status, 200, "{line}");
    }
    let plan = planned(&site.server, &site.owner, all_but(&["none-*"], 30)).await;
    let slow = Rule::new(Action::Delay(Duration::from_secs(6))).on(Operation::Put);
    let key = app.key();
    faults(&site.server).add(slow.key_contains(&key).times(1));
    let (answer, ()) = tokio::join!(site.put(&alice, &key, app.text()), async {
        // It asked whether anything is about to go, and nothing was.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let run = started(&site.server, &site.owner, &plan).await;
        until(&site.server, &site.owner, &run, "grace").await;
    });
    assert_eq!(answer.0, 409, "{}", answer.1);
    assert!(answer.1.contains("taken out"), "{}", answer.1);
    let objects = site.objects();
    assert!(!objects.contains(&key), "{objects:?}");
    assert!(site.served(&app).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_protects_its_nars_however_many_came_after_it() {
    let mut made = Vec::new();
    let server = TestServer::start(|shelf| made = filled(shelf), |_| {}).await;
    let olga = owner(&server).await;
    let plan = planned(&server, &olga, wish(30)).await;
    let run = started(&server, &olga, &plan).await;
    until(&server, &olga, &run, "grace").await;
    let ledger = &server.server.site().ledger;
    let scope = Scope::Cache("main");
    let id: RecordId = run.parse().expect("an id");
    let known = ledger.view().get::<RunRecord>(scope, &id).expect("a run");
    for number in 0..101 {
        let mut later = (*known.record).clone();
        later.at += 1 + number;
        later.state = RunState::Stopped;
        (later.trashed, later.claim) = (0, None);
        later.ended_at = Some(later.at);
        let id = RecordId::random().expect("an id");
        let written = ledger.create(scope, &id, "olga", later).await;
        written.expect("a run");
    }
    let server = server.restarted(|_| {}).await;
    let olga = another_owner(&server).await;
    let nar = format!("/main/{}", made[0].url);
    let begun = Instant::now();
    while server.get(&nar).await.status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{nar}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let history = olga.json(&server, "/caches/main/gc/plans").await;
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(100));
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    assert_eq!(
        code(olga.post(&server, &undo, json!({})).await).await.0,
        200
    );
}
