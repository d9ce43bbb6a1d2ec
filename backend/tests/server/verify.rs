//! Content that is checked on demand: each defect has its verdict, and a repair its end.

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

/// Codes of findings about these paths' content.
fn about_content(health: &Value) -> Vec<String> {
    let counts = health["items"].as_array().expect("findings").iter();
    let mut codes: Vec<String> = counts
        .map(|finding| finding["check"].as_str().expect("a code").to_owned())
        .filter(|code| matches!(code.as_str(), "nar-hash-mismatch" | "nar-missing" | "file-size-mismatch"))
        .collect();
    codes.sort();
    codes
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
            let path = |made: &Made| json!([format!("{}-{}", hash(made), made.parts.store_path.name())]);
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
    let health = server.json("/api/v1/caches/main/health?limit=200").await;
    let codes = about_content(&health);
    let mismatches = codes.iter().filter(|code| *code == "nar-hash-mismatch");
    assert!(mismatches.count() >= 3, "{codes:?}");
    let detail = server
        .json(&format!("/api/v1/caches/main/paths/{}", hash(&good)))
        .await;
    assert_eq!(detail["content"], "verified", "{detail}");

    // The archive that was meant is put there.
    server.shelf().file(&other.url(), &meant);
    let olga = crate::people::another_owner(&server).await;
    let found = read(olga.post(&server, &address(&other), json!({})).await).await;
    assert_eq!(found["content"], "verified", "{found}");
    let health = server.json("/api/v1/caches/main/health?limit=200").await;
    let still = health["items"].as_array().expect("findings").iter();
    let of_other = still.filter(|finding| {
        finding["hash"] == json!(hash(&other)) && finding["check"] == "nar-hash-mismatch"
    });
    assert_eq!(of_other.count(), 0, "{health}");
}
