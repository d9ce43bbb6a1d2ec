//! Content is checked on demand: each verdict, what it changes, what stays after a restart.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{TestServer, archive};
use crate::people::{Actor, owner};

async fn content(server: &TestServer, hash: &str) -> Value {
    let path = format!("/api/v1/caches/main/paths/{hash}");
    server.json(&path).await["content"].clone()
}

async fn check(server: &TestServer, by: &Actor, hash: &str) -> Value {
    let path = format!("/caches/main/paths/{hash}/check");
    let answer = by.post(server, &path, json!({})).await;
    assert_eq!(answer.status(), 200);
    let found: Value = answer.json().await.expect("JSON");
    assert_eq!(found["running"], false, "{found}");
    found
}

async fn mismatches(server: &TestServer) -> u64 {
    let health = server.json("/api/v1/caches/main/health").await;
    let checks = health["checks"].as_array().expect("checks");
    let ours = checks
        .iter()
        .find(|check| check["check"] == "nar-hash-mismatch");
    ours.map_or(0, |check| check["count"].as_u64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verdict_is_reached_and_left_again() {
    let server = TestServer::start(
        |shelf| {
            for name in ["good-1.0", "other-1.0", "gone-1.0"] {
                shelf.put_of(name, archive(&[(b"bin", name.as_bytes())]));
            }
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let shelf = server.shelf();
    let made = |name: &str| shelf.make_with(name, archive(&[(b"bin", name.as_bytes())]));
    let (good, other, gone) = (made("good-1.0"), made("other-1.0"), made("gone-1.0"));
    // As long as it was, and with other bytes.
    let mut wrong = other.nar.clone();
    let at = wrong.len() / 2;
    wrong[at] ^= 1;
    shelf.file(&other.url, &wrong);
    fs::remove_file(shelf.folder.join(&gone.url)).expect("deleted");
    for made in [&good, &other, &gone] {
        let now = content(&server, &made.hash).await;
        assert_eq!(now, "not-checked", "{}", made.path);
    }
    let read = check(&server, &olga, &good.hash).await;
    assert_eq!(read["content"], "verified", "{read}");
    assert_eq!(read["read_bytes"], good.nar.len() as u64, "{read}");
    assert_eq!(
        check(&server, &olga, &other.hash).await["content"],
        "mismatch"
    );
    assert_eq!(
        check(&server, &olga, &gone.hash).await["content"],
        "nar-missing"
    );
    assert_eq!(mismatches(&server).await, 1);
    let audit = olga
        .json(&server, "/caches/main/audit?action=content.check")
        .await;
    assert_eq!(
        audit["items"].as_array().expect("a list").len(),
        3,
        "{audit}"
    );

    // Put right, it is right.
    shelf.file(&other.url, &other.nar);
    shelf.file(&gone.url, &gone.nar);
    for made in [&other, &gone] {
        assert_eq!(
            check(&server, &olga, &made.hash).await["content"],
            "verified"
        );
    }
    assert_eq!(mismatches(&server).await, 0);

    // What was proven is in receipts: another index learns of it.
    let data = server.dir.path().join("data/index");
    let server = server
        .restarted(|_| fs::remove_dir_all(&data).expect("deleted"))
        .await;
    for made in [&good, &other, &gone] {
        let mut now = Value::Null;
        for _ in 0..100 {
            now = content(&server, &made.hash).await;
            if now == "verified" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(now, "verified", "{}", made.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_here_is_not_checked() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    let olga = owner(&server).await;
    let path = "/caches/main/paths/00000000000000000000000000000000/check";
    assert_eq!(olga.post(&server, path, json!({})).await.status(), 404);
    let path = "/caches/main/paths/nothing/check";
    assert_eq!(olga.post(&server, path, json!({})).await.status(), 400);
}
