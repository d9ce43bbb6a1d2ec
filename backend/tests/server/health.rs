//! Health: real defects are found, named with whom they concern, repaired as the dry run showed it, and
//! gone from the list afterwards.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::PutOptions;
use snowbank::site::surroundings;

use crate::harness::TestServer;
use crate::people::{Actor, owner, read};
use crate::retention::filled;

/// The findings of a check.
async fn found(server: &TestServer, check: &str) -> Value {
    server
        .json(&format!("/api/v1/caches/main/health?check={check}"))
        .await
}

/// What a repair answers.
async fn repair(server: &TestServer, who: &Actor, check: &str, wish: Value) -> (u16, Value) {
    let path = format!("/caches/main/health/{check}/repair");
    let answer = who.post(server, &path, wish).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn dry_run(server: &TestServer, who: &Actor, check: &str) -> Value {
    let (status, plan) = repair(server, who, check, json!({"dry_run": true})).await;
    assert_eq!(status, 200, "{plan}");
    assert_eq!((&plan["dry_run"], &plan["done"]), (&json!(true), &json!(0)));
    plan
}

async fn done(server: &TestServer, who: &Actor, plan: &Value) -> (u16, Value) {
    let check = plan["check"].as_str().expect("a check");
    let wish = json!({"dry_run": false, "plan": plan["plan"]});
    repair(server, who, check, wish).await
}

async fn sweep(server: &TestServer) {
    let sync = server.server.sync("main").expect("main");
    sync.sweep_whole_now().await.expect("a sweep");
}

/// As if the file had been written so many days ago.
fn age(file: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    let file = File::options().write(true).open(file).expect("a file");
    file.set_modified(then).expect("a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_nar_names_closures_and_pins_and_is_hidden_until_it_is_back() {
    let server = TestServer::start(
        |shelf| {
            let base = shelf.put("base-1.0", &[]);
            let library = shelf.put("library-1.0", &[&base]);
            shelf.put("app-1.0", &[&library]);
            shelf.put("other-1.0", &[]);
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let shelf = server.shelf();
    let base = shelf.make("base-1.0", &[], true);
    let app = shelf.make("app-1.0", &[], true);
    let pin = json!({"path": app.hash, "expected": 0});
    let pinned = olga
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(pin))
        .await;
    assert_eq!(pinned.status(), 200);
    sweep(&server).await;
    let health = found(&server, "nar-missing").await;
    assert_eq!(
        (&health["total"], &health["affected"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(health["counted"]["narinfos"], 4);

    fs::remove_file(shelf.folder.join(&base.url)).expect("removed");
    sweep(&server).await;
    let health = found(&server, "nar-missing").await;
    let narinfo = format!("{}.narinfo", base.hash);
    assert_eq!(health["items"][0]["object"], narinfo);
    assert_eq!(
        health["affected"],
        json!([{
            "object": narinfo,
            "closures": 2,
            "roots": [format!("{}-app-1.0", app.hash)],
            "root_count": 1,
            "pins": ["prod@1"],
        }])
    );

    // Hiding is an owner's, and only what a dry run showed is done.
    let dry = json!({"dry_run": true});
    let strange = Actor::stranger();
    for (who, status) in [(&strange, 401), (&mary, 403)] {
        let said = repair(&server, who, "nar-missing", dry.clone()).await;
        assert_eq!(said.0, status, "{said:?}");
    }
    let said = repair(&server, &olga, "unsigned", dry).await;
    assert_eq!((said.0, &said.1["code"]), (422, &json!("no-repair")));
    let plan = dry_run(&server, &olga, "nar-missing").await;
    assert_eq!(plan["steps"][0]["object"], narinfo);
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(1));
    for (plan, status, code) in [
        (json!(null), 422, "no-plan"),
        (json!("another"), 409, "plan-changed"),
    ] {
        let wish = json!({"dry_run": false, "plan": plan});
        let said = repair(&server, &olga, "nar-missing", wish).await;
        assert_eq!((said.0, &said.1["code"]), (status, &json!(code)));
    }
    let address = format!("/main/{narinfo}");
    assert_eq!(server.get(&address).await.status(), 200, "nothing was done");
    let (status, repaired) = done(&server, &olga, &plan).await;
    assert_eq!((status, &repaired["done"]), (200, &json!(1)), "{repaired}");
    assert_eq!(server.get(&address).await.status(), 404);
    assert_eq!(found(&server, "quarantined").await["total"], 1);
    let again = dry_run(&server, &olga, "nar-missing").await;
    assert_eq!((&again["steps"], &again["others"]), (&json!([]), &json!(1)));
    let audit = olga.json(&server, "/caches/main/audit").await;
    let acts = audit["items"].as_array().expect("acts").iter();
    let repairs = acts.filter(|act| act.to_string().contains("health.repair"));
    assert_eq!(repairs.count(), 1, "{audit}");

    // It is there again.
    shelf.file(&base.url, &base.nar);
    sweep(&server).await;
    assert_eq!(found(&server, "nar-missing").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_deleted_unless_somebody_may_want_them() {
    let server = TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
            for (name, days) in [("orphan", 30), ("wanted", 30), ("young", 2)] {
                let made = shelf.make(name, &[], true);
                shelf.file(&made.url, &made.nar);
                age(&shelf.folder.join(&made.url), days);
            }
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let shelf = server.shelf();
    let [orphan, wanted, young] =
        ["orphan", "wanted", "young"].map(|name| shelf.make(name, &[], true));
    sweep(&server).await;
    assert_eq!(found(&server, "orphan-nar").await["total"], 3);
    let plan = dry_run(&server, &olga, "orphan-nar").await;
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(2), "{plan}");
    assert_eq!(plan["others"], 1, "the young one stays");
    assert_eq!(
        plan["steps"][0]["bytes"],
        orphan.nar.len().min(wanted.nar.len())
    );

    // A narinfo comes past the server that names one of them: first it is not known, then it is.
    let narinfo = format!("{}.narinfo", wanted.hash);
    shelf.file(&narinfo, wanted.narinfo.as_bytes());
    let (status, said) = done(&server, &olga, &plan).await;
    assert_eq!((status, &said["code"]), (409, &json!("index-behind")));
    let sync = server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    let (status, said) = done(&server, &olga, &plan).await;
    assert_eq!((status, &said["code"]), (409, &json!("plan-changed")));
    let there = |url: &str| shelf.folder.join(url).exists();
    assert!(there(&orphan.url) && there(&wanted.url), "nothing was done");

    let plan = dry_run(&server, &olga, "orphan-nar").await;
    assert_eq!(plan["steps"][0]["object"], orphan.url);
    let (status, repaired) = done(&server, &olga, &plan).await;
    assert_eq!((status, &repaired["done"]), (200, &json!(1)), "{repaired}");
    assert!(!there(&orphan.url), "deleted");
    assert!(there(&wanted.url) && there(&young.url), "kept");
    sweep(&server).await;
    let left = found(&server, "orphan-nar").await;
    assert_eq!(
        (&left["total"], &left["items"][0]["object"]),
        (&json!(1), &json!(young.url))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_narinfos_are_written_plain_and_unfinished_uploads_are_shown() {
    let server = TestServer::start(
        |shelf| {
            let made = shelf.put("base-1.0", &[]);
            let packed = zstd::encode_all(made.narinfo.as_bytes(), 1).expect("packed");
            shelf.file(&format!("{}.narinfo", made.hash), &packed);
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let shelf = server.shelf();
    let base = shelf.make("base-1.0", &[], true);
    let file = shelf.folder.join(format!("{}.narinfo", base.hash));
    assert_eq!(found(&server, "content-encoding").await["total"], 1);
    let plan = dry_run(&server, &mary, "content-encoding").await;
    let (status, repaired) = done(&server, &mary, &plan).await;
    assert_eq!((status, &repaired["done"]), (200, &json!(1)), "{repaired}");
    assert_eq!(fs::read_to_string(&file).expect("a narinfo"), base.narinfo);
    sweep(&server).await;
    assert_eq!(found(&server, "content-encoding").await["total"], 0);
    let served = server.text(&format!("/main/{}.narinfo", base.hash)).await;
    assert_eq!(served, base.narinfo);

    // What was counted on a day is written down, once.
    let site = server.server.site();
    let cache = &site.caches[0];
    assert_eq!(found(&server, "unsigned").await["days"], json!([]));
    let mut counts = surroundings::counted(&cache.index.view());
    counts.insert("unsigned".to_owned(), 7);
    for _ in 0..2 {
        let noted = surroundings::note(&site.ledger, "main", counts.clone()).await;
        noted.expect("written down");
    }
    let days = found(&server, "unsigned").await["days"].clone();
    assert_eq!(
        (&days[0]["count"], &days[1]),
        (&json!(7), &Value::Null),
        "{days}"
    );

    // An upload in parts is a finding once it is old enough, and is not given up before.
    let options = PutOptions::default();
    let begun = cache
        .bucket
        .multipart_create("nar/half.nar", &options)
        .await;
    let begun = begun.expect("an upload in parts");
    surroundings::look(cache, surroundings::GRACE).await;
    assert_eq!(found(&server, "unfinished-upload").await["total"], 0);
    surroundings::look(cache, 0).await;
    let health = found(&server, "unfinished-upload").await;
    assert_eq!(health["items"][0]["object"], "nar/half.nar", "{health}");
    let plan = dry_run(&server, &mary, "unfinished-upload").await;
    assert_eq!(plan["steps"], json!([]), "it may be under way: {plan}");
    cache
        .bucket
        .multipart_abort(&begun)
        .await
        .expect("given up");
    surroundings::look(cache, 0).await;
    assert_eq!(found(&server, "unfinished-upload").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nars_in_the_trash_of_a_run_are_no_orphans() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            made = filled(shelf);
            shelf.file("nar/left.nar", b"of nobody");
        },
        |_| {},
    )
    .await;
    let shelf = server.shelf();
    for path in &made {
        age(&shelf.folder.join(&path.url), 60);
    }
    age(&shelf.folder.join("nar/left.nar"), 60);
    let olga = owner(&server).await;
    let wish = json!({
        "rules": {"uploaded_days": 30, "grace_hours": 0}, "foreign": true, "grace_days": 30,
    });
    let plan = read(olga.post(&server, "/caches/main/gc/plans", wish).await).await;
    let id = plan["id"].as_str().expect("an id");
    let start = format!("/caches/main/gc/plans/{id}/run");
    let run = read(olga.post(&server, &start, json!({})).await).await;
    let run = format!(
        "/caches/main/gc/runs/{}",
        run["id"].as_str().expect("an id")
    );
    let begun = Instant::now();
    let until = loop {
        let shown = olga.json(&server, &run).await;
        if let (Some("grace"), Some(until)) =
            (shown["state"].as_str(), shown["undo_until"].as_str())
        {
            break until.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    sweep(&server).await;
    // One archive is the other twin's too.
    let trashed: std::collections::BTreeSet<&str> = made[..3].iter().map(|one| &*one.url).collect();
    let begun = Instant::now();
    let noted = loop {
        let noted = found(&server, "nar-in-trash").await;
        let told = |item: &Value| {
            item["reason"]
                .as_str()
                .is_some_and(|text| text.contains(&until))
        };
        let items = noted["items"].as_array().expect("items");
        if items.len() == trashed.len() && items.iter().all(told) {
            break noted;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{noted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let items = noted["items"].as_array().expect("items");
    let named = items
        .iter()
        .map(|item| item["object"].as_str().expect("a key"));
    assert_eq!(named.collect::<std::collections::BTreeSet<_>>(), trashed);
    assert!(
        items.iter().all(|item| item["severity"] == "note"),
        "{noted}"
    );
    let orphans = async || {
        let orphans = found(&server, "orphan-nar").await;
        let items = orphans["items"].as_array().expect("items").clone();
        let bucket = server.server.site().caches[0].index.view().totals().bucket;
        let counted = bucket.expect("a sweep").orphans;
        (items.len(), items[0]["object"].clone(), counted)
    };
    assert_eq!(orphans().await, (1, json!("nar/left.nar"), 1));
    // A sweep that knows of the run finds the same.
    sweep(&server).await;
    assert_eq!(found(&server, "nar-in-trash").await["total"], 3);
    assert_eq!(orphans().await, (1, json!("nar/left.nar"), 1));

    read(olga.post(&server, &format!("{run}/undo"), json!({})).await).await;
    let begun = Instant::now();
    while found(&server, "nar-in-trash").await["total"] != 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(orphans().await, (1, json!("nar/left.nar"), 1));
}
