//! Plans and runs of retention: what goes, what stays, what comes back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Shelf, Shelved, TestServer};
use crate::people::{Actor, owner, read};
use crate::retention::{age, bytes, filled};

/// A server with the five paths of [`filled`], and its owner.
pub async fn opened(wait: Duration) -> (TestServer, Vec<Shelved>, Actor) {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| made = filled(shelf),
        |config| config.retention.wait = wait,
    )
    .await;
    let olga = owner(&server).await;
    (server, made, olga)
}

pub fn wish(grace_days: u32) -> Value {
    json!({
        "rules": {"uploaded_days": 30, "grace_hours": 0},
        "foreign": true,
        "grace_days": grace_days,
    })
}

pub async fn planned(server: &TestServer, who: &Actor, wish: Value) -> String {
    let plan = read(who.post(server, "/caches/main/gc/plans", wish).await).await;
    plan["id"].as_str().expect("an id").to_owned()
}

pub async fn started(server: &TestServer, who: &Actor, plan: &str) -> String {
    let path = format!("/caches/main/gc/plans/{plan}/run");
    let run = read(who.post(server, &path, json!({})).await).await;
    run["id"].as_str().expect("an id").to_owned()
}

/// Waits until a run is in this state.
pub async fn until(server: &TestServer, who: &Actor, run: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let shown = who
            .json(server, &format!("/caches/main/gc/runs/{run}"))
            .await;
        if shown["state"] == state {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn narinfo(shelf: &Shelf, made: &Shelved) -> PathBuf {
    shelf.folder.join(format!("{}.narinfo", made.hash))
}

pub async fn code(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.expect("a problem");
    (
        status,
        problem["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_run_into_the_trash_and_undone_byte_for_byte() {
    let (server, made, olga) = opened(Duration::ZERO).await;
    let [lib, app, old, one, two] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let plans = "/caches/main/gc/plans";
    assert_eq!(
        Actor::stranger()
            .post(&server, plans, wish(30))
            .await
            .status(),
        401
    );
    assert_eq!(mary.post(&server, plans, wish(30)).await.status(), 403);
    // Others wrote all of it: that needs a yes, also once somebody looked into the archives.
    for path in &made {
        let check = format!("/caches/main/paths/{}/verify", path.hash);
        assert_eq!(olga.post(&server, &check, json!({})).await.status(), 200);
    }
    let mut unasked = wish(30);
    unasked["foreign"] = json!(false);
    let refused = code(olga.post(&server, plans, unasked).await).await;
    assert_eq!(refused, (409, "foreign-paths".to_owned()));
    for (bad, what) in [
        (
            json!({"rules": {"grace_hours": 0}, "foreign": true}),
            "no rule",
        ),
        (
            json!({"rules": {"names": ["*"], "grace_hours": 0}, "foreign": true}),
            "nothing goes",
        ),
        (
            json!({"rules": {"pins": 51, "grace_hours": 0}, "foreign": true}),
            "too many",
        ),
    ] {
        assert_eq!(olga.post(&server, plans, bad).await.status(), 422, "{what}");
    }

    let plan = planned(&server, &olga, wish(30)).await;
    let path = format!("{plans}/{plan}");
    let shown = mary.json(&server, &path).await;
    assert_eq!(
        shown["frees"],
        json!({"paths": 4, "bytes": bytes(&[lib, app, old])})
    );
    assert_eq!(
        (&shown["since_paths"], &shown["refusal"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(shown["foreign_paths"], 5);
    // The frozen list, who refers first, in pages and as a file.
    let mut hashes = Vec::new();
    let mut next = String::new();
    loop {
        let page = mary
            .json(&server, &format!("{path}/paths?limit=3{next}"))
            .await;
        assert_eq!(page["total"], 4);
        let items = page["items"].as_array().expect("items");
        hashes.extend(
            items
                .iter()
                .map(|item| item["hash"].as_str().expect("a hash").to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let place = |made: &Shelved| hashes.iter().position(|hash| *hash == made.hash);
    assert!(
        place(app) < place(lib) && place(app).is_some(),
        "{hashes:?}"
    );
    assert_eq!((hashes.len(), place(two)), (4, None));
    let csv = mary.get(&server, &format!("{path}/export")).await;
    let csv = csv.text().await.expect("text");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(
        csv.contains(&format!("{}-lib-1,{},", lib.hash, lib.nar.len())),
        "{csv}"
    );

    // What is pinned since stays, and the plan says so before it is started.
    let pin = json!({"path": old.hash, "expected": 0});
    let pinned = mary
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(pin))
        .await;
    assert_eq!(pinned.status(), 200);
    let shown = mary.json(&server, &path).await;
    assert_eq!(shown["since_paths"], 1);
    assert_eq!(shown["since"][0]["reason"], "pinned");
    assert_eq!(shown["since"][0]["hash"], old.hash);
    let run_path = format!("{path}/run");
    assert_eq!(mary.post(&server, &run_path, json!({})).await.status(), 403);

    let before = std::fs::read(narinfo(&shelf, app)).expect("a narinfo");
    let run = started(&server, &olga, &plan).await;
    let grace = until(&server, &olga, &run, "grace").await;
    assert_eq!(
        (&grace["trashed"], &grace["left_out_paths"]),
        (&json!(3), &json!(1)),
        "{grace}"
    );
    assert_eq!(grace["left_out"][0]["hash"], old.hash);
    assert_eq!(grace["left_out_bytes"], bytes(&[old]));
    assert!(grace["undo_until"].is_string());
    for (made, stays) in [
        (lib, false),
        (app, false),
        (old, true),
        (one, false),
        (two, true),
    ] {
        assert_eq!(narinfo(&shelf, made).exists(), stays, "{}", made.path);
        assert!(shelf.folder.join(&made.url).exists(), "NARs stay");
    }
    let answer = server.get(&format!("/main/{}.narinfo", app.hash)).await;
    assert_eq!(answer.status(), 404);
    // Who remembers the narinfo gets the NAR; who is about to upload it is told that it is not here.
    let nar = format!("/main/{}", app.url);
    let begun = Instant::now();
    while server.get(&nar).await.status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{nar}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.head(&nar).await.status(), 404);
    let gone = format!("/caches/main/gc/gone/{}", app.hash);
    let taken = mary.json(&server, &gone).await;
    assert_eq!(
        (&taken["run"], &taken["name"]),
        (&json!(run), &json!("app-1"))
    );
    assert_eq!(Actor::stranger().get(&server, &gone).await.status(), 404);
    assert_eq!(olga.post(&server, &run_path, json!({})).await.status(), 409);
    let history = mary.json(&server, plans).await;
    assert_eq!(history["plans"], json!([]));
    assert_eq!(history["runs"][0]["id"], run);
    // What is left is what the rules keep.
    let again = mary
        .json(
            &server,
            "/caches/main/gc/simulate?pins=1&uploaded_days=30&grace_hours=0",
        )
        .await;
    assert_eq!(again["frees"]["paths"], 0);

    let undo = format!("/caches/main/gc/runs/{run}/undo");
    assert_eq!(mary.post(&server, &undo, json!({})).await.status(), 403);
    read(olga.post(&server, &undo, json!({})).await).await;
    let undone = until(&server, &olga, &run, "undone").await;
    assert_eq!(undone["left_out_paths"], 0, "{undone}");
    assert_eq!(std::fs::read(narinfo(&shelf, app)).expect("back"), before);
    for made in &made {
        let answer = server.get(&format!("/main/{}.narinfo", made.hash)).await;
        assert_eq!(answer.status(), 200, "{}", made.path);
    }
    assert_eq!(olga.post(&server, &undo, json!({})).await.status(), 409);
    // It is marked in the charts.
    for of in ["usage", "storage"] {
        let answer = olga.json(&server, &format!("/caches/main/{of}")).await;
        let events = answer["events"].as_array().expect("events");
        for did in ["began", "took paths out", "was undone"] {
            let words = format!("A run of retention {did}");
            assert!(
                events.iter().any(|event| event["words"] == words),
                "{of}: {events:?}"
            );
        }
    }
    // The age of a path is not moved by that.
    let row = olga
        .json(&server, &format!("/caches/main/paths/{}", app.hash))
        .await;
    let added = row["added_at"].as_str().expect("a time");
    let month = snowbank::auth::records::spelled(snowbank::auth::records::now() - 30 * 86_400);
    assert!(added < month.as_str(), "{added}");
    // The last line is written after the last word of the run.
    let begun = Instant::now();
    for act in ["plan", "run", "trashed", "undo", "undone"] {
        let act = format!("retention.{act}");
        loop {
            let audit = olga.json(&server, "/audit?action=retention").await;
            let lines = audit["items"].as_array().expect("lines");
            if lines.iter().any(|line| line["action"] == act) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{act}: {audit}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nars_go_after_the_grace_time_where_nothing_names_them() {
    let (server, made, olga) = opened(Duration::ZERO).await;
    let [lib, app, old, one, two] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    shelf.file(&format!("{}.ls", app.hash), b"{}");
    // Somebody fetched one of them after the plan.
    let plan = planned(&server, &olga, wish(0)).await;
    let fetched = server.get(&format!("/main/{}", old.url)).await;
    assert_eq!(fetched.bytes().await.expect("a NAR"), old.nar);
    let begun = Instant::now();
    let path = format!("/caches/main/gc/plans/{plan}");
    while olga.json(&server, &path).await["since"][0]["reason"] != "fetched" {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "nobody counted it"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let run = started(&server, &olga, &plan).await;
    let done = until(&server, &olga, &run, "done").await;
    assert_eq!(done["left_out"][0]["reason"], "fetched", "{done}");
    assert_eq!(done["trashed"], 3);
    // The NAR of the twins is still named by one of them.
    assert_eq!(done["deleted"], 2, "{done}");
    assert_eq!(done["freed"], bytes(&[lib, app]));
    assert!(done["undo_until"].is_null());
    for (made, stays) in [
        (lib, false),
        (app, false),
        (old, true),
        (one, true),
        (two, true),
    ] {
        assert_eq!(
            shelf.folder.join(&made.url).exists(),
            stays,
            "{}",
            made.path
        );
    }
    assert!(!shelf.folder.join(format!("{}.ls", app.hash)).exists());
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    assert_eq!(olga.post(&server, &undo, json!({})).await.status(), 409);
    let trash = shelf.folder.join(".snowbank/caches/main/trash").join(&run);
    let left = std::fs::read_dir(trash).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the trash is emptied");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time_and_what_is_needed_meanwhile_stays() {
    let (server, made, olga) = opened(Duration::from_secs(3)).await;
    let [lib, app, ..] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    let first = planned(&server, &olga, wish(30)).await;
    let second = planned(&server, &olga, wish(30)).await;
    let run = started(&server, &olga, &first).await;
    until(&server, &olga, &run, "waiting").await;
    let path = format!("/caches/main/gc/plans/{second}/run");
    let refused = code(olga.post(&server, &path, json!({})).await).await;
    assert_eq!(refused, (409, "blocked".to_owned()));
    // A pin that comes while the run waits holds its path back, with what it needs.
    let pin = json!({"path": app.hash, "expected": 0});
    let pinned = olga
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(pin))
        .await;
    assert_eq!(pinned.status(), 200);
    let grace = until(&server, &olga, &run, "grace").await;
    assert_eq!(
        (&grace["trashed"], &grace["left_out_paths"]),
        (&json!(2), &json!(2)),
        "{grace}"
    );
    assert!(narinfo(&shelf, app).exists() && narinfo(&shelf, lib).exists());

    // Stopped while it waits, a run took nothing out.
    let run = started(&server, &olga, &second).await;
    until(&server, &olga, &run, "waiting").await;
    let stop = format!("/caches/main/gc/runs/{run}/stop");
    let stopped = read(olga.post(&server, &stop, json!({})).await).await;
    assert_eq!(
        (&stopped["state"], &stopped["trashed"]),
        (&json!("stopped"), &json!(0))
    );
    assert_eq!(olga.post(&server, &stop, json!({})).await.status(), 409);
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    assert_eq!(olga.post(&server, &undo, json!({})).await.status(), 409);

    // A pin that vanishes stops plans and runs.
    let before = planned(
        &server,
        &olga,
        json!({
            "rules": {"names": ["twin-*"], "grace_hours": 0}, "foreign": true,
        }),
    )
    .await;
    std::fs::remove_file(shelf.folder.join(".snowbank/records/caches/main/pins/prod"))
        .expect("a pin");
    let begun = Instant::now();
    let path = format!("/caches/main/gc/plans/{before}");
    loop {
        let plan = olga.json(&server, &path).await;
        let refusal = plan["refusal"].as_str().unwrap_or_default();
        if refusal.contains("cannot be believed") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{plan}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let start = olga.post(&server, &format!("{path}/run"), json!({})).await;
    assert_eq!(start.status(), 409);
    let another = olga.post(&server, "/caches/main/gc/plans", wish(30)).await;
    assert_eq!(another.status(), 409);
}

/// Others write past the server while a run goes on: what they rely on comes back.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_refer_to_is_put_back_and_what_they_changed_stays() {
    let (server, made, olga) = opened(Duration::from_secs(1)).await;
    let [lib, app, old, ..] = &made[..] else {
        panic!("five paths");
    };
    let shelf = server.shelf();
    let plan = planned(&server, &olga, wish(30)).await;
    // Another narinfo for the same path: signed again.
    let text = format!("{}Sig: other-1:{}\n", old.narinfo, "A".repeat(86) + "==");
    shelf.file(&format!("{}.narinfo", old.hash), text.as_bytes());
    age(&shelf, old, 60);
    let run = started(&server, &olga, &plan).await;
    // It is there before the sweep, and the index does not know.
    let user = shelf.put("user-1", &[lib]);
    let grace = until(&server, &olga, &run, "grace").await;
    let reasons: Vec<(&str, &str)> = grace["left_out"]
        .as_array()
        .expect("paths")
        .iter()
        .map(|path| {
            (
                path["name"].as_str().expect("a name"),
                path["reason"].as_str().expect("a reason"),
            )
        })
        .collect();
    assert!(reasons.contains(&("lib-1", "referenced")), "{grace}");
    assert!(reasons.contains(&("old-1", "changed")), "{grace}");
    assert!(narinfo(&shelf, lib).exists() && !narinfo(&shelf, app).exists());

    // What came after the run had looked is found by the sweep before NARs are deleted: here, an undo
    // finds the place taken and leaves it.
    shelf.write(app);
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    read(olga.post(&server, &undo, json!({})).await).await;
    let undone = until(&server, &olga, &run, "undone").await;
    assert_eq!(undone["left_out_paths"], 0, "{undone}");
    for made in [lib, app, old, &user] {
        assert!(narinfo(&shelf, made).exists(), "{}", made.path);
    }
}
