//! From one key of a cache to the next, and revoking one at once.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Shelf, TestServer};
use crate::people::{Actor, another_owner, owner, read};
use crate::signing::{over, shelve};
use crate::upload_site::Made;

const ROTATION: &str = "/caches/main/rotation";
const STEP: &str = "/caches/main/rotation/step";

async fn step(server: &TestServer, who: &Actor, wish: Value) -> Value {
    read(who.post(server, STEP, wish).await).await
}

/// The status and the text of a refusal.
async fn refused(server: &TestServer, who: &Actor, path: &str, wish: Value) -> (u16, String) {
    let answer = who.post(server, path, wish).await;
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.expect("JSON");
    (
        status,
        problem["detail"].as_str().unwrap_or_default().to_owned(),
    )
}

async fn conf(server: &TestServer) -> String {
    server.text("/c/main/nix.conf").await
}

/// A cache whose paths were signed by a key of the configuration.
async fn rotated() -> (TestServer, Vec<Made>) {
    let theirs = Shelf::new("").key;
    let made: Vec<Made> = (0..4)
        .map(|n| Made::file(&format!("path-{n}"), &format!("text {n}"), &[], &theirs))
        .collect();
    let server = TestServer::start(
        |shelf| made.iter().for_each(|made| shelve(shelf, made)),
        crate::harness::give_key,
    )
    .await;
    (server, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_goes_step_by_step_and_never_takes_a_path_from_a_client() {
    let (server, made) = rotated().await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    assert_eq!(
        mary.get(&server, ROTATION).await.status(),
        403,
        "needs Owner"
    );
    let page = olga.json(&server, ROTATION).await;
    assert_eq!(
        (&page["rotation"], &page["suggested_name"]),
        (&Value::Null, &json!("test-2"))
    );

    // A59: names are never given twice, whoever has them.
    for name in ["test-1", "TEST-1", "cache.nixos.org-1"] {
        let wish = json!({"old": "test-1", "name": name, "place": "server"});
        let (status, text) = refused(&server, &olga, ROTATION, wish).await;
        assert_eq!(status, 409, "{name}: {text}");
        assert!(
            text.contains("is taken") && text.contains("first one wins"),
            "{text}"
        );
    }
    for name in ["", "../x", "a b", "-x"] {
        let wish = json!({"old": "test-1", "name": name, "place": "server"});
        assert_eq!(
            refused(&server, &olga, ROTATION, wish).await.0,
            422,
            "{name}"
        );
    }
    let wish = json!({"old": "test-1", "name": "test-2", "place": "server"});
    let page = read(olga.post(&server, ROTATION, wish.clone()).await).await;
    assert_eq!(page["rotation"]["next"], "distribute", "{page}");
    let file = server.dir.path().join("data/keys/main/test-2.secret");
    let secret = fs::read_to_string(&file).expect("the new key");
    assert!(!page.to_string().contains(secret.trim()), "never shown");
    assert!(
        !conf(&server).await.contains("test-2:"),
        "clients are not told yet"
    );
    assert_eq!(
        refused(&server, &olga, ROTATION, wish).await.0,
        409,
        "one at a time"
    );
    // No step before its turn.
    for early in ["resign", "overlap", "switch", "retire"] {
        let (status, text) = refused(&server, &olga, STEP, json!({"step": early})).await;
        assert_eq!(status, 409, "{early}: {text}");
    }

    // Both are distributed, and both sign.
    step(&server, &olga, json!({"step": "distribute"})).await;
    let lines = conf(&server).await;
    assert!(
        lines.contains("test-1:") && lines.contains("test-2:"),
        "{lines}"
    );
    let keys = server.text("/c/main/keys.txt").await;
    assert!(
        keys.contains("test-1:") && keys.contains("test-2:"),
        "{keys}"
    );

    // A62: the old key cannot go while a path has only its signature.
    let page = olga.json(&server, ROTATION).await;
    assert_eq!(page["rotation"]["coverage"]["only_old"], 4, "{page}");
    assert_eq!(
        page["rotation"]["coverage"]["examples"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    let (status, text) = refused(&server, &olga, STEP, json!({"step": "overlap"})).await;
    assert_eq!(status, 409);
    assert!(text.contains("4 paths are signed only by test-1"), "{text}");
    let page = step(&server, &olga, json!({"step": "resign"})).await;
    let job = page["rotation"]["job"]["id"]
        .as_str()
        .expect("a job")
        .to_owned();
    assert_eq!(over(&server, &olga, &job).await["changed"], 4);
    let page = step(&server, &olga, json!({"step": "overlap"})).await;
    assert_eq!(page["rotation"]["coverage"]["only_old"], 0);
    assert_eq!(page["rotation"]["next"], "overlap");
    let (status, text) = refused(&server, &olga, STEP, json!({"step": "switch"})).await;
    assert!(
        status == 409 && text.contains("until 20"),
        "{status} {text}"
    );

    // It is all there after a restart.
    let server = server.restarted(crate::harness::give_key).await;
    let olga = another_owner(&server).await;
    let page = olga.json(&server, ROTATION).await;
    assert_eq!(page["rotation"]["next"], "overlap", "{page}");
    assert!(conf(&server).await.contains("test-2:"));

    step(
        &server,
        &olga,
        json!({"step": "overlap", "shorten": "every machine was wiped"}),
    )
    .await;
    let page = step(&server, &olga, json!({"step": "switch"})).await;
    let signs = |page: &Value| -> Vec<String> {
        let keys = page["keys"].as_array().expect("keys").iter();
        let signing = keys.filter(|key| key["signs"] == true);
        signing
            .map(|key| key["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(signs(&page), ["test-2"], "{page}");
    assert!(conf(&server).await.contains("test-1:"), "still trusted");
    // A path that only the old key signed came in meanwhile: it is named, and in the way.
    let shelf = server.shelf();
    let late = Made::file("late-1", "late", &[], &shelf.key);
    shelve(&shelf, &late);
    let sync = server.server.sync("main").expect("a sync");
    sync.sweep_now().await.expect("a sweep");
    let (status, text) = refused(&server, &olga, STEP, json!({"step": "retire"})).await;
    assert!(
        status == 409 && text.contains("1 path is signed only by test-1"),
        "{text}"
    );
    let page = olga.json(&server, ROTATION).await;
    assert_eq!(
        page["rotation"]["coverage"]["examples"][0]["name"], "late-1",
        "{page}"
    );
    let page = step(&server, &olga, json!({"step": "resign"})).await;
    let job = page["rotation"]["job"]["id"]
        .as_str()
        .expect("a job")
        .to_owned();
    over(&server, &olga, &job).await;
    let page = step(&server, &olga, json!({"step": "retire"})).await;
    assert_eq!(page["rotation"]["next"], Value::Null, "{page}");
    let lines = conf(&server).await;
    assert!(
        !lines.contains("test-1:") && lines.contains("test-2:"),
        "{lines}"
    );
    // It is marked in the charts.
    for of in ["usage", "storage"] {
        let answer = server.json(&format!("/api/v1/caches/main/{of}")).await;
        let events = answer["events"].as_array().expect("events");
        let told = |words: &str| events.iter().any(|event| event["words"] == words);
        assert!(
            told("Rotation to test-2 began")
                && told("test-2 signs instead of test-1")
                && told("test-1 was retired"),
            "{of}: {events:?}"
        );
    }
    // Every signature of the old key is still there, and still counts as good.
    for path in &made {
        let text = server.text(&format!("/main/{}", path.key())).await;
        assert!(
            text.contains("Sig: test-1:") && text.contains("Sig: test-2:"),
            "{text}"
        );
        let row = format!("/api/v1/caches/main/paths/{}", path.parts.store_path.hash());
        let row = server.json(&row).await;
        assert_eq!(row["signature"], "valid");
    }
    let wish = json!({"old": "test-2", "name": "test-1", "place": "server"});
    assert_eq!(
        refused(&server, &olga, ROTATION, wish).await.0,
        409,
        "never again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_at_once_but_never_the_last_one() {
    let (server, made) = rotated().await;
    let olga = owner(&server).await;
    let path = "/caches/main/revocation";
    let said = olga.json(&server, &format!("{path}?key=test-1")).await;
    assert!(
        said["blocked"]
            .as_str()
            .expect("a reason")
            .contains("last key"),
        "{said}"
    );
    let wish = |then: &str| json!({"key": "test-1", "confirm": "test-1", "then": then, "reason": "a laptop was stolen"});
    assert_eq!(refused(&server, &olga, path, wish("keep")).await.0, 409);
    // The next key, given up once and begun again under another name.
    let begin = |name: &str| json!({"old": "test-1", "name": name, "place": "server"});
    read(olga.post(&server, ROTATION, begin("test-2")).await).await;
    step(&server, &olga, json!({"step": "distribute"})).await;
    let page = read(
        olga.post(&server, "/caches/main/rotation/abandon", json!({}))
            .await,
    )
    .await;
    assert_eq!(page["rotation"]["next"], Value::Null);
    assert!(!conf(&server).await.contains("test-2:"));
    read(olga.post(&server, ROTATION, begin("test-3")).await).await;
    step(&server, &olga, json!({"step": "distribute"})).await;

    let said = olga.json(&server, &format!("{path}?key=test-1")).await;
    assert_eq!(
        (&said["paths"], &said["only"], &said["blocked"]),
        (&json!(4), &json!(4), &Value::Null)
    );
    let notice = said["notice"].as_str().expect("a notice");
    for word in ["Nix has no revocation", "NixOS", "nix-darwin", "test-3:"] {
        assert!(notice.contains(word), "{word}: {notice}");
    }
    let later = olga
        .json(&server, &format!("{path}?key=test-1&since=2999-01-01"))
        .await;
    assert_eq!(later["paths"], 0, "{later}");
    let mut other = wish("hide");
    other["confirm"] = json!("test-3");
    assert_eq!(refused(&server, &olga, path, other).await.0, 422);
    let done = read(olga.post(&server, path, wish("hide")).await).await;
    assert_eq!(done["hidden"], 4, "{done}");
    let lines = conf(&server).await;
    assert!(
        !lines.contains("test-1:") && lines.contains("test-3:"),
        "{lines}"
    );
    for path in &made {
        let answer = server.get(&format!("/main/{}", path.key())).await;
        assert_eq!(answer.status(), 404, "hidden");
    }
    let audit = olga.json(&server, "/caches/main/audit").await.to_string();
    for act in [
        "key.revoke",
        "rotation.begin",
        "rotation.step",
        "rotation.abandon",
    ] {
        assert!(audit.contains(act), "{act}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_keys_that_are_revoked_at_one_moment_one_stays() {
    let (server, _) = rotated().await;
    let olga = owner(&server).await;
    let wish = json!({"old": "test-1", "name": "test-2", "place": "server"});
    read(olga.post(&server, ROTATION, wish).await).await;
    step(&server, &olga, json!({"step": "distribute"})).await;
    let path = "/caches/main/revocation";
    let wish = |name: &str| json!({"key": name, "confirm": name, "then": "keep", "reason": "both were stolen"});
    let (one, other) = tokio::join!(
        olga.post(&server, path, wish("test-1")),
        olga.post(&server, path, wish("test-2")),
    );
    let mut answers = [one.status().as_u16(), other.status().as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);
    let lines = conf(&server).await;
    let left = ["test-1:", "test-2:"].map(|name| lines.contains(name));
    let refused = [one, other].map(|answer| answer.status() == 409);
    assert_eq!(left, refused, "{lines}");
}
