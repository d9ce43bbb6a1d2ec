//! Adding and removing signatures: jobs, batches for another machine, and what is left as it is.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::bucket::{BucketErrorKind, Operation, PutOptions};
use snowbank::config::Config;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;

use crate::harness::{Shelf, TestServer};
use crate::people::{Actor, another_owner, owner, read};
use crate::upload_site::Made;

/// The key that signs for the cache; that of [`Shelf`] is trusted beside it.
pub fn team() -> SecretKey {
    SecretKey::generate("team-1", [21; 32]).expect("a key")
}

/// Gives the server the key.
pub fn signs(config: &mut Config, key: &SecretKey) {
    let file = config.data_dir.join(format!("{}.secret", key.name()));
    fs::create_dir_all(&config.data_dir).expect("a folder");
    fs::write(&file, key.to_secret_text()).expect("a file");
    config.caches[0].signing_key_files.push(file);
}

/// Puts a path on a shelf as others would.
pub fn shelve(shelf: &Shelf, made: &Made) {
    shelf.file(&made.url(), &made.stored);
    shelf.file(&made.key(), made.text().as_bytes());
}

pub fn hash(made: &Made) -> String {
    made.parts.store_path.hash().to_string()
}

/// Begins a job and waits until it is over.
pub async fn job(server: &TestServer, who: &Actor, wish: Value) -> Value {
    let begun = read(who.post(server, "/caches/main/jobs", wish).await).await;
    over(server, who, begun["id"].as_str().expect("an id")).await
}

/// Waits until a job is over.
pub async fn over(server: &TestServer, who: &Actor, id: &str) -> Value {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let job = who.json(server, &format!("/caches/main/jobs/{id}")).await;
        if job["state"] != "running" {
            return job;
        }
        assert!(Instant::now() < end, "{job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn skipped(answer: &Value) -> BTreeMap<String, u64> {
    let reasons = answer["skipped"].as_array().expect("reasons");
    let reason = |one: &Value| {
        let word = one["reason"].as_str().expect("a word").to_owned();
        (word, one["paths"].as_u64().expect("a number"))
    };
    reasons.iter().map(reason).collect()
}

async fn refused(server: &TestServer, who: &Actor, path: &str, wish: Value) -> (u16, String) {
    let answer = who.post(server, path, wish).await;
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("text");
    (status, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_signing_adds_one_line_to_each_path_and_changes_no_other_byte() {
    let theirs = Shelf::new("").key;
    let stranger = SecretKey::generate("stranger-1", [22; 32]).expect("a key");
    let good: Vec<Made> = (0..3)
        .map(|n| Made::file(&format!("good-{n}"), &format!("good {n}"), &[], &theirs))
        .collect();
    let unknown = Made::file("unknown-1", "unknown", &[], &stranger);
    let mut broken = Made::file("broken-1", "broken", &[], &theirs);
    broken.stored = zstd::encode_all(&b"something else"[..], 1).expect("packed");
    let lost = Made::file("lost-1", "lost", &[], &theirs);
    let hidden = Made::file("hidden-1", "hidden", &[], &theirs);
    let server = TestServer::start(
        |shelf| {
            for made in good.iter().chain([&unknown, &broken, &hidden]) {
                shelve(shelf, made);
            }
            shelf.file(&lost.key(), lost.text().as_bytes());
            // Carriage returns and a line of the future stay as they are.
            let odd = good[2]
                .text()
                .replace("Compression:", "Future: 1\nCompression:");
            shelf.file(&good[2].key(), odd.as_bytes());
        },
        |config| signs(config, &team()),
    )
    .await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let grants = json!([{"role": "contributor", "cache": "main"}]);
    let carl = olga.invite(&server, "carl", grants).await;
    let hide = json!({"paths": [hash(&hidden)], "reason": "a try"});
    read(olga.post(&server, "/caches/main/quarantine", hide).await).await;

    // Who may not, and what cannot be.
    let wish = json!({"act": "counter-sign", "filter": ""});
    for (who, status) in [(&Actor::stranger(), 401), (&carl, 403)] {
        for path in ["/caches/main/jobs", "/caches/main/jobs/estimate"] {
            assert_eq!(
                refused(&server, who, path, wish.clone()).await.0,
                status,
                "{path}"
            );
        }
        let listed = who.get(&server, "/caches/main/jobs").await;
        assert_eq!(listed.status().as_u16(), status);
    }
    for bad in [
        json!({"act": "counter-sign"}),
        json!({"act": "counter-sign", "filter": "", "paths": [hash(&good[0])]}),
        json!({"act": "counter-sign", "paths": ["nonsense"]}),
        json!({"act": "counter-sign", "filter": "colour=red"}),
        json!({"act": "counter-sign", "filter": "pin=nothing"}),
        json!({"act": "counter-sign", "filter": "", "key": "test-1"}),
        json!({"act": "strip", "filter": "", "key": "test-1"}),
        json!({"act": "strip", "filter": "", "reason": "why"}),
    ] {
        let (status, text) = refused(&server, &mary, "/caches/main/jobs", bad.clone()).await;
        assert_eq!(status, 422, "{bad}: {text}");
    }

    // The dry run asks the bucket nothing.
    let sent = |server: &TestServer| {
        let all = [Operation::Get, Operation::Put, Operation::Head];
        all.map(|operation| server.sent(operation))
    };
    let before = sent(&server);
    let estimate = mary
        .post(&server, "/caches/main/jobs/estimate", wish.clone())
        .await;
    let estimate = read(estimate).await;
    assert_eq!(sent(&server), before);
    assert_eq!(
        (&estimate["total"], &estimate["change"]),
        (&json!(7), &json!(6)),
        "{estimate}"
    );
    assert_eq!(skipped(&estimate)["held-back"], 1);
    assert_eq!(estimate["requests"], json!({"get": 13, "put": 6}));
    assert!(estimate["read_bytes"].as_u64() > Some(0), "{estimate}");
    let accepting = json!({"act": "counter-sign", "filter": "", "content": "accept-signature"});
    let estimate = mary
        .post(&server, "/caches/main/jobs/estimate", accepting)
        .await;
    let estimate = read(estimate).await;
    assert_eq!(skipped(&estimate)["not-vouched"], 1, "{estimate}");
    assert_eq!(estimate["read_bytes"], 0);

    // Three of them, by name: one line more each, and not a byte else.
    let shelf = server.shelf();
    let text = |made: &Made| fs::read_to_string(shelf.folder.join(made.key())).expect("a narinfo");
    let was: Vec<String> = good.iter().map(&text).collect();
    let rows = server.json("/api/v1/caches/main/paths?sort=name").await;
    let added_at = |rows: &Value| -> Vec<(Value, Value)> {
        let rows = rows["items"].as_array().expect("rows").iter();
        rows.map(|row| (row["hash"].clone(), row["added_at"].clone()))
            .collect()
    };
    let seen = added_at(&rows);
    let named: Vec<String> = good.iter().map(hash).collect();
    let done = job(
        &server,
        &mary,
        json!({"act": "counter-sign", "paths": named}),
    )
    .await;
    assert_eq!(
        (&done["state"], &done["changed"]),
        (&json!("done"), &json!(3)),
        "{done}"
    );
    for (made, was) in good.iter().zip(&was) {
        let now = text(made);
        let ours: Vec<&str> = now
            .lines()
            .filter(|line| line.starts_with("Sig: team-1:"))
            .collect();
        assert_eq!(ours.len(), 1, "{now}");
        assert_eq!(now.replace(&format!("{}\n", ours[0]), ""), *was);
        let narinfo = NarInfo::parse(now.as_bytes(), &StoreDir::default()).expect("a narinfo");
        let signature: snowbank_shared::signature::Signature =
            ours[0]["Sig: ".len()..].parse().expect("a signature");
        let key = team().public_key();
        assert!(key.verifies(narinfo.fingerprint().as_bytes(), signature.bytes()));
        // The index knows at once, and clients get it.
        assert_eq!(server.text(&format!("/main/{}", made.key())).await, now);
        let row = server
            .json(&format!("/api/v1/caches/main/paths/{}", hash(made)))
            .await;
        assert_eq!(row["content"], "verified");
    }
    for made in [&unknown, &broken, &hidden] {
        assert_eq!(text(made), made.text(), "not asked for");
    }
    // The next sweep knows what was written by what the bucket answered.
    let gets = server.sent(Operation::Get);
    let sync = server.server.sync("main").expect("a cache");
    sync.sweep_now().await.expect("a sweep");
    assert_eq!(
        server.sent(Operation::Get),
        gets,
        "nothing is fetched again"
    );

    // The rest: what is wrong stays as it is, with its reason.
    let done = job(&server, &mary, wish).await;
    assert_eq!(
        (&done["changed"], &done["same"]),
        (&json!(1), &json!(3)),
        "{done}"
    );
    let reasons = skipped(&done);
    assert_eq!(reasons["content-differs"], 1, "{reasons:?}");
    assert_eq!((reasons["nar-missing"], reasons["held-back"]), (1, 1));
    assert_eq!(done["examples"].as_array().map(Vec::len), Some(3));
    assert_eq!(text(&broken), broken.text());
    let rows = server.json("/api/v1/caches/main/paths?sort=name").await;
    assert_eq!(added_at(&rows), seen, "nothing moved");
    // Taking it back gives the very bytes of before.
    let wish = json!({"act": "strip", "key": "team-1", "filter": "key=team-1", "reason": "a test"});
    let done = job(&server, &mary, wish.clone()).await;
    assert_eq!(done["changed"], 3, "{done}");
    assert_eq!(
        skipped(&done)["only-signature"],
        1,
        "an unknown key is no good one"
    );
    for (made, was) in good.iter().zip(&was) {
        assert_eq!(text(made), *was);
    }
    let mut wish = wish;
    wish["leave_unsigned"] = json!(true);
    assert_eq!(job(&server, &mary, wish).await["changed"], 1);
    assert_eq!(text(&unknown), unknown.text());

    // It is all in the audit, and a job that is over stays as it is.
    let audit = olga.json(&server, "/caches/main/audit").await.to_string();
    for act in ["signatures.add", "signatures.remove", "signatures.done"] {
        assert!(audit.contains(act), "{act}: {audit}");
    }
    let path = format!("/caches/main/jobs/{}", done["id"].as_str().expect("an id"));
    let again = refused(&server, &mary, &path, json!({"command": "resume"})).await;
    assert_eq!(again.0, 409, "{}", again.1);
    let jobs = mary.json(&server, "/caches/main/jobs").await;
    assert_eq!(jobs["total"], 4);
}

/// Adds a line to a narinfo as another writer would; false where somebody was faster.
async fn foreign_put(server: &TestServer, made: &Made, n: usize) -> Option<String> {
    let bucket = &server.server.site().cache("main").expect("main").bucket;
    let object = bucket
        .get_small(&made.key(), 64 << 10)
        .await
        .expect("there");
    let narinfo = NarInfo::parse(&object.bytes, &StoreDir::default()).expect("a narinfo");
    let key = SecretKey::generate(&format!("foreign-{n}"), [23; 32]).expect("a key");
    let signature = key.sign(narinfo.fingerprint().as_bytes());
    let next = narinfo.add_signature(&signature).expect("a line");
    let put = bucket
        .put_if_match(
            &made.key(),
            next.to_bytes().to_vec().into(),
            &PutOptions::of_type("text/x-nix-narinfo"),
            object.meta.etag.as_ref().expect("a tag"),
        )
        .await;
    match put {
        Ok(_) => Some(signature.to_string()),
        Err(error) => {
            assert_eq!(error.kind(), BucketErrorKind::PreconditionFailed, "{error}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_narinfos_are_signed_beside_foreign_writers_over_a_restart() {
    let theirs = Shelf::new("").key;
    let made: Vec<Made> = (0..2_000)
        .map(|n| Made::file(&format!("path-{n}"), &format!("text {n}"), &[], &theirs))
        .collect();
    let server = TestServer::start(
        |shelf| made.iter().for_each(|made| shelve(shelf, made)),
        |config| signs(config, &team()),
    )
    .await;
    let olga = owner(&server).await;
    let rows = |page: &Value| page["items"].clone();
    let before = server
        .json("/api/v1/caches/main/paths?sort=added_at&limit=200")
        .await;
    let wish = json!({"act": "counter-sign", "filter": "", "content": "accept-signature"});
    let begun = read(olga.post(&server, "/caches/main/jobs", wish).await).await;
    let id = begun["id"].as_str().expect("an id").to_owned();
    // Others write all over it at the same time.
    let mut foreign: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for round in 0..400 {
        let at = (round * 7_919) % made.len();
        if let Some(line) = foreign_put(&server, &made[at], round).await {
            foreign.entry(at).or_default().push(line);
        }
    }
    // It ends in the middle of it, whenever that is, and another process goes on.
    let path = format!("/caches/main/jobs/{id}");
    let seen = olga.json(&server, &path).await;
    assert!(seen["looked_at"].as_u64() <= Some(2_000), "{seen}");
    let server = server.restarted(|config| signs(config, &team())).await;
    let olga = another_owner(&server).await;
    for round in 400..500 {
        let at = (round * 7_919) % made.len();
        if let Some(line) = foreign_put(&server, &made[at], round).await {
            foreign.entry(at).or_default().push(line);
        }
    }
    let done = over(&server, &olga, &id).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["looked_at"], 2_000, "{done}");
    assert!(skipped(&done).is_empty(), "{done}");
    let shelf = server.shelf();
    for (at, made) in made.iter().enumerate() {
        let now = fs::read_to_string(shelf.folder.join(made.key())).expect("a narinfo");
        let fingerprint = made.parts.fingerprint(&StoreDir::default());
        let ours = team().sign(fingerprint.as_bytes()).to_string();
        let mut expected: Vec<String> = foreign.get(&at).cloned().unwrap_or_default();
        expected.push(ours);
        let mut rest = now.clone();
        for line in &expected {
            let line = format!("Sig: {line}\n");
            assert_eq!(rest.matches(&line).count(), 1, "{line} in {now}");
            rest = rest.replace(&line, "");
        }
        assert_eq!(rest, made.text(), "nothing else changed");
    }
    let after = server
        .json("/api/v1/caches/main/paths?sort=added_at&limit=200")
        .await;
    let stamps = |rows: &Value| -> Vec<Value> {
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| row["added_at"].clone()).collect()
    };
    assert_eq!(
        stamps(&rows(&before)),
        stamps(&rows(&after)),
        "nothing moved"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_stops_and_ends_when_it_is_told_and_when_the_bucket_fails() {
    use snowbank::bucket::embedded::faults::{Action, Rule};
    let theirs = Shelf::new("").key;
    let made: Vec<Made> = (0..40)
        .map(|n| Made::file(&format!("path-{n}"), &format!("text {n}"), &[], &theirs))
        .collect();
    let server = TestServer::start(
        |shelf| made.iter().for_each(|made| shelve(shelf, made)),
        |config| signs(config, &team()),
    )
    .await;
    let olga = owner(&server).await;
    let faults = server.server.embedded().expect("embedded").faults().clone();
    // Slow enough to be stopped, and 16 at a time.
    faults.add(Rule::new(Action::Delay(Duration::from_millis(200))).key_contains("nar/"));
    let wish = json!({"act": "counter-sign", "filter": ""});
    let begun = read(olga.post(&server, "/caches/main/jobs", wish.clone()).await).await;
    let path = format!("/caches/main/jobs/{}", begun["id"].as_str().expect("an id"));
    let told = |command: &str| olga.post(&server, &path, json!({"command": command}));
    assert_eq!(read(told("pause").await).await["state"], "paused");
    faults.clear();
    assert_eq!(read(told("resume").await).await["state"], "running");
    let done = over(&server, &olga, begun["id"].as_str().expect("an id")).await;
    assert_eq!(
        (&done["state"], &done["looked_at"]),
        (&json!("done"), &json!(40)),
        "{done}"
    );
    // A cancelled one does nothing more.
    let strip = json!({"act": "strip", "key": "team-1", "filter": "", "reason": "a test"});
    let begun = read(olga.post(&server, "/caches/main/jobs", strip).await).await;
    let path = format!("/caches/main/jobs/{}", begun["id"].as_str().expect("an id"));
    let answer = olga
        .post(&server, &path, json!({"command": "cancel"}))
        .await;
    assert!(matches!(answer.status().as_u16(), 200 | 409));
    let ended = over(&server, &olga, begun["id"].as_str().expect("an id")).await;
    assert!(["cancelled", "done"].contains(&ended["state"].as_str().expect("a word")));
    // While narinfos cannot be read, it stands still and says why; then it goes on.
    faults.add(Rule::new(Action::InternalError).key_contains(".narinfo"));
    let begun = read(olga.post(&server, "/caches/main/jobs", wish).await).await;
    let id = begun["id"].as_str().expect("an id");
    let stopped = over(&server, &olga, id).await;
    assert_eq!(stopped["state"], "paused", "{stopped}");
    assert!(
        stopped["trouble"].as_str().expect("why").contains("bucket"),
        "{stopped}"
    );
    faults.clear();
    let path = format!("/caches/main/jobs/{id}");
    read(
        olga.post(&server, &path, json!({"command": "resume"}))
            .await,
    )
    .await;
    assert_eq!(over(&server, &olga, id).await["state"], "done");
}
