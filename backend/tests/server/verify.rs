//! Content that is checked on demand: each defect has its verdict, and a repair its end.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use snowbank_shared::hash::Sha256;
use snowbank_shared::signature::SecretKey;

use crate::harness::{Shelf, TestServer};
use crate::people::{owner, read};
use crate::signing::{hash, shelve};
use crate::upload_site::Made;

fn key() -> SecretKey {
    Shelf::new("").key
}

fn address(made: &Made) -> String {
    format!("/caches/main/paths/{}/verify", hash(made))
}

/// The word that a path's page has for its content.
async fn content(server: &TestServer, made: &Made) -> Value {
    let address = format!("/api/v1/caches/main/paths/{}", hash(made));
    server.json(&address).await["content"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_has_its_verdict_which_survives_a_restart_and_ends_with_the_repair() {
    let key = key();
    let good = Made::file("good-1", "good", &[], &key);
    // Whole archives of something else, and none at all.
    let mut other = Made::file("other-1", "what was meant", &[], &key);
    let meant = other.stored.clone();
    other.stored = Made::file("other-1", "what is there", &[], &key).stored;
    let mut broken = Made::file("broken-1", "broken", &[], &key);
    broken.stored = zstd::encode_all(&b"no archive"[..], 1).expect("packed");
    let mut cut = Made::file("cut-1", "cut", &[], &key);
    cut.stored.truncate(cut.stored.len() - 4);
    let mut longer = Made::file("longer-1", "longer", &[], &key);
    longer.stored.extend_from_slice(b"and more");
    let lost = Made::file("lost-1", "lost", &[], &key);
    // It unpacks to what is signed, and FileHash is that of other bytes.
    let mut packed = Made::file("packed-1", "packed", &[], &key);
    packed.parts.file_hash = Some(Sha256::digest(b"otherwise packed").into());
    // It names one path that is here and does not declare it, and declares one that it does not name.
    let text = format!("see {}-good-1", hash(&good));
    let names = Made::file("names-1", &text, &[&packed], &key);
    let server = TestServer::start(
        |shelf| {
            for made in [&good, &other, &broken, &cut, &longer, &packed, &names] {
                shelve(shelf, made);
            }
            shelf.file(&lost.key(), lost.text().as_bytes());
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "reader", "cache": "main"}]);
    let rita = olga.invite(&server, "rita", grants).await;
    let refused = rita.post(&server, &address(&good), json!({})).await;
    assert_eq!(refused.status(), 403);

    for (made, content, faults) in [
        (&good, "verified", json!([])),
        (&names, "verified", json!([])),
        (&broken, "mismatch", json!(["nar-form"])),
        (&cut, "mismatch", json!(["nar-form"])),
        (&longer, "mismatch", json!(["nar-form"])),
        (&lost, "nar-missing", json!([])),
        (&packed, "mismatch", json!(["file-hash"])),
    ] {
        let found = read(olga.post(&server, &address(made), json!({})).await).await;
        assert_eq!(found["content"], content, "{found}");
        assert_eq!(found["faults"], faults, "{found}");
        assert_eq!(found["reason"] == "", content == "verified", "{found}");
        if hash(made) == hash(&names) {
            let path =
                |made: &Made| json!([format!("{}-{}", hash(made), made.parts.store_path.name())]);
            assert_eq!(found["undeclared"], path(&good));
            assert_eq!(found["unnamed"], path(&packed));
        }
    }
    let found = read(olga.post(&server, &address(&other), json!({})).await).await;
    assert_eq!(found["content"], "mismatch", "{found}");
    let faults = found["faults"].as_array().expect("faults");
    for fault in ["file-hash", "nar-hash"] {
        assert!(faults.contains(&json!(fault)), "{found}");
    }
    let none = "/caches/main/paths/00000000000000000000000000000000/verify";
    assert_eq!(olga.post(&server, none, json!({})).await.status(), 404);

    // Everybody who may read sees it, and it outlives the process.
    let server = server.restarted(|_| {}).await;
    for made in [&good, &names] {
        assert_eq!(content(&server, made).await, "verified");
    }
    assert_eq!(content(&server, &lost).await, "nar-missing");
    assert_eq!(content(&server, &packed).await, "mismatch");
    for made in [&other, &broken, &cut, &longer] {
        // A sweep of all objects sees the size, and says that of an archive it differs in.
        let same = made.parts.file_size == Some(made.stored.len() as u64);
        let now = content(&server, made).await;
        let swept = !same && now == "size-differs";
        assert!(now == "mismatch" || swept, "{}: {now}", hash(made));
    }

    // The archive that was meant is put there.
    server.shelf().file(&other.url(), &meant);
    let olga = crate::people::another_owner(&server).await;
    let found = read(olga.post(&server, &address(&other), json!({})).await).await;
    assert_eq!(found["content"], "verified", "{found}");
    assert_eq!(content(&server, &other).await, "verified");
    let health = server.json("/api/v1/caches/main/health?limit=200").await;
    let mut findings = health["items"].as_array().expect("findings").iter();
    let about = |code: &str, made: &Made| {
        let (code, path) = (json!(code), json!(hash(made)));
        move |finding: &Value| finding["check"] == code && finding["hash"] == path
    };
    assert!(
        findings.clone().any(about("nar-hash-mismatch", &packed)),
        "{health}"
    );
    assert!(
        !findings.clone().any(about("file-size-mismatch", &other)),
        "{health}"
    );
    assert!(
        !findings.any(about("nar-hash-mismatch", &other)),
        "{health}"
    );
}

#[test]
fn the_command_says_by_its_exit_code_what_it_found_and_writes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(dir.path().join("cache"));
    let good = Made::file("good-1", "good", &[], &shelf.key);
    let mut broken = Made::file("broken-1", "broken", &[], &shelf.key);
    shelve(&shelf, &good);
    let settings = format!(
        "data_dir = '{0}/data'\n[caches.main]\nfolder = '{0}/cache'\n",
        dir.path().display()
    );
    let file = dir.path().join("s.toml");
    fs::write(&file, settings).expect("a file");
    let verify = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_snowbank"))
            .arg("verify")
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .output()
            .expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let errors = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), text, errors)
    };
    let (code, text, errors) = verify(&["--all"]);
    assert_eq!((code, text.as_str()), (Some(0), ""), "{errors}");
    assert!(errors.contains("1 proven"), "{errors}");

    // The narinfo is signed, and its archive is something else.
    broken.stored = zstd::encode_all(&b"no archive"[..], 1).expect("packed");
    shelve(&shelf, &broken);
    let (code, text, errors) = verify(&["--all"]);
    assert_eq!(code, Some(1), "{text}{errors}");
    assert!(text.contains("broken-1: mismatch"), "{text}");
    assert!(!text.contains("good-1"), "{text}");
    let (code, text, _) = verify(&["--json", "--path", &hash(&good)]);
    let line: Value = serde_json::from_str(&text).expect("a line of JSON");
    assert_eq!((code, &line["content"]), (Some(0), &json!("verified")));
    assert_eq!(line["cache"], "main");
    let (code, text, _) = verify(&["--sample", "1"]);
    assert!(matches!(code, Some(0 | 1)), "{text}");

    // No verdict is neither good nor bad.
    let absent = "0".repeat(32);
    let (code, text, _) = verify(&["--path", &absent]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("could not be checked"), "{text}");
    for wrong in [
        &["--all", "--cache", "nowhere"][..],
        &["--path", "nonsense"],
        &["--all", "--sample", "1"],
        &[],
    ] {
        let (code, text, errors) = verify(wrong);
        assert_eq!(code, Some(2), "{wrong:?}: {text}{errors}");
    }
    let state = dir.path().join("cache/.snowbank");
    assert!(!state.exists(), "a check without a server writes no state");
}
