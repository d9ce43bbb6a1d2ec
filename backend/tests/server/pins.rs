//! Pins: made, moved on, rolled back, ended; what only one of them keeps; and their plain address.

use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::api::Visibility;

use crate::harness::{Shelf, Shelved, TestServer, header};
use crate::people::{Actor, owner, read};

/// Status and code, or the number of the newest revision.
async fn said(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    if status == 204 {
        return (204, String::new());
    }
    let json: Value = answer.json().await.expect("JSON");
    match status {
        200 => (200, json["pin"]["revision"].to_string()),
        _ => (status, json["code"].as_str().unwrap_or_default().to_owned()),
    }
}

async fn set(server: &TestServer, who: &Actor, pin: &str, path: &str, seen: u64) -> (u16, String) {
    let wish = json!({"path": path, "expected": seen, "note": "by a test"});
    let path = format!("/caches/main/pins/{pin}");
    said(who.send(server, Method::PUT, &path, Some(wish)).await).await
}

async fn remove(server: &TestServer, who: &Actor, pin: &str, seen: u64) -> (u16, String) {
    let path = format!("/caches/main/pins/{pin}?expected={seen}");
    said(who.send(server, Method::DELETE, &path, None).await).await
}

/// A closure of `libc`, `lib`, and two versions of an application; the newer lacks nothing.
fn versions(shelf: &Shelf) -> (Shelved, Shelved, Shelved) {
    let libc = shelf.put("libc-1", &[]);
    let lib = shelf.put("lib-1", &[&libc]);
    let one = shelf.put("app-1", &[&lib]);
    let two = shelf.put("app-2", &[&libc]);
    (one, two, lib)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_goes_from_path_to_path_and_back_and_ends() {
    let mut shelved = None;
    let server = TestServer::start(
        |shelf| {
            shelved = Some(versions(shelf));
            let absent = shelf.make("absent-1", &[], true);
            shelf.put("broken-1", &[&absent]);
        },
        |_| {},
    )
    .await;
    let (one, two, _) = shelved.expect("shelved");
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let empty = server.json("/api/v1/caches/main/pins").await;
    assert_eq!(empty["total"], 0);
    // Whatever form the path has; a contributor may not.
    assert_eq!(
        set(&server, &mary, "prod", &one.path.to_string(), 0).await,
        (200, "1".into())
    );
    let grants = json!([{"role": "contributor", "cache": "main"}]);
    let carl = olga.invite(&server, "carl", grants).await;
    assert_eq!(
        set(&server, &carl, "prod", &two.hash, 1).await,
        (403, "not-allowed".into())
    );
    // Two people: the second did not see the first's.
    let full = format!("/nix/store/{}", two.path);
    assert_eq!(
        set(&server, &olga, "prod", &full, 1).await,
        (200, "2".into())
    );
    assert_eq!(
        set(&server, &mary, "prod", &one.hash, 1).await,
        (409, "changed-meanwhile".into())
    );
    assert_eq!(
        set(&server, &mary, "prod", &one.hash, 0).await,
        (409, "changed-meanwhile".into())
    );
    // The same again is no new revision.
    assert_eq!(
        set(&server, &mary, "prod", &two.hash, 2).await,
        (200, "2".into())
    );

    let stranger = server.json("/api/v1/caches/main/pins/prod").await;
    assert_eq!(
        stranger["pin"]["created_by"], "",
        "strangers learn no names"
    );
    let pin = carl.json(&server, "/caches/main/pins/prod").await;
    assert_eq!(pin["pin"]["path"], full);
    assert_eq!(pin["pin"]["created_by"], "mary");
    assert_eq!(pin["pin"]["changed_by"], "olga");
    assert_eq!(pin["pin"]["closure_paths"], 2);
    assert_eq!(pin["revisions"].as_array().expect("a list").len(), 2);
    assert_eq!(
        pin["revisions"][1]["path"],
        format!("/nix/store/{}", one.path)
    );
    assert_eq!(pin["revisions"][1]["note"], "by a test");

    let plain = server.get("/c/main/pins/prod/path").await;
    assert_eq!(header(&plain, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(header(&plain, "cache-control"), "no-cache");
    assert_eq!(plain.text().await.expect("text"), format!("{full}\n"));
    assert_eq!(
        server.text("/c/main/pins/prod@1/path").await,
        format!("/nix/store/{}\n", one.path)
    );
    for absent in [
        "/c/main/pins/prod@3/path",
        "/c/main/pins/other/path",
        "/c/none/pins/prod/path",
    ] {
        assert_eq!(server.get(absent).await.status(), 404, "{absent}");
    }
    // The pages of it are there, and what is no name is none.
    for (page, status) in [
        ("/c/main/pins", 200),
        ("/c/main/pins/prod@2", 200),
        ("/c/main/pins/PROD", 404),
    ] {
        assert_eq!(server.get(page).await.status(), status, "{page}");
    }

    let roll = |to: u64, seen: u64| json!({"to": to, "expected": seen});
    let path = "/caches/main/pins/prod/roll-back";
    assert_eq!(
        said(mary.post(&server, path, roll(1, 1)).await).await,
        (409, "changed-meanwhile".into())
    );
    assert_eq!(
        said(mary.post(&server, path, roll(9, 2)).await).await,
        (404, "not-found".into())
    );
    assert_eq!(
        said(mary.post(&server, path, roll(1, 2)).await).await,
        (200, "3".into())
    );
    let detail = server
        .json(&format!("/api/v1/caches/main/paths/{}", one.hash))
        .await;
    assert_eq!(
        detail["pins"],
        json!([{"name": "prod", "revision": 3, "current": true}])
    );
    let detail = server
        .json(&format!("/api/v1/caches/main/paths/{}", two.hash))
        .await;
    assert_eq!(
        detail["pins"],
        json!([{"name": "prod", "revision": 2, "current": false}])
    );

    // What is not here cannot be pinned, and the answer says what is missing.
    let broken = server.shelf().make("broken-1", &[], true).hash;
    let wish = json!({"path": broken, "expected": 0});
    let answer = mary
        .send(&server, Method::PUT, "/caches/main/pins/x", Some(wish))
        .await;
    assert_eq!(answer.status(), 409);
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["code"], "closure-incomplete");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("absent-1"),
        "{problem}"
    );
    let nowhere = server.shelf().make("nowhere-1", &[], true).hash;
    assert_eq!(
        set(&server, &mary, "x", &nowhere, 0).await,
        (404, "not-found".into())
    );
    assert_eq!(
        set(&server, &mary, "Prod", &one.hash, 0).await,
        (422, "not-acceptable".into())
    );
    let long = json!({"path": one.hash, "expected": 3, "keep": 51});
    let answer = mary
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(long))
        .await;
    assert_eq!(said(answer).await, (422, "not-acceptable".into()));

    assert_eq!(
        remove(&server, &mary, "prod", 2).await,
        (409, "changed-meanwhile".into())
    );
    assert_eq!(
        remove(&server, &mary, "prod", 3).await,
        (204, String::new())
    );
    assert_eq!(server.get("/c/main/pins/prod/path").await.status(), 404);
    assert_eq!(
        remove(&server, &mary, "prod", 3).await,
        (404, "not-found".into())
    );
    // Its numbers go on: `prod@1` never means another path.
    assert_eq!(
        set(&server, &olga, "prod", &two.hash, 0).await,
        (200, "4".into())
    );
    let audit = olga.json(&server, "/caches/main/audit?action=pin").await;
    let acts: Vec<(&str, &str)> = audit["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().expect("act"),
                entry["actor"].as_str().expect("actor"),
            )
        })
        .collect();
    assert!(
        acts.contains(&("pin.roll-back", "mary")) && acts.contains(&("pin.remove", "mary")),
        "{acts:?}"
    );
    assert!(acts.contains(&("pin.set", "olga")), "{acts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_pin_keeps_is_counted_and_the_browser_filters_by_it() {
    let mut shelved = None;
    let server = TestServer::start(|shelf| shelved = Some(versions(shelf)), |_| {}).await;
    let (one, two, lib) = shelved.expect("shelved");
    let olga = owner(&server).await;
    assert_eq!(set(&server, &olga, "old", &one.hash, 0).await.0, 200);
    let alone = server.json("/api/v1/caches/main/pins/old").await;
    assert_eq!(alone["pin"]["exclusive"]["paths"], 3, "all of it");
    assert_eq!(set(&server, &olga, "new", &two.hash, 0).await.0, 200);
    let page = server.json("/api/v1/caches/main/pins").await;
    let of = |name: &str| {
        let items = page["items"].as_array().expect("a list");
        items
            .iter()
            .find(|pin| pin["name"] == name)
            .expect("the pin")
            .clone()
    };
    let size = |made: &Shelved| made.nar.len();
    assert_eq!(
        of("old")["exclusive"]["paths"],
        2,
        "app-1 and lib-1, and not libc-1"
    );
    assert_eq!(of("old")["exclusive"]["nar_size"], size(&one) + size(&lib));
    assert_eq!(of("old")["exclusive"]["file_size"], size(&one) + size(&lib));
    assert_eq!(of("new")["exclusive"]["paths"], 1);
    // Pages by name.
    let first = server.json("/api/v1/caches/main/pins?limit=1").await;
    assert_eq!(
        (&first["items"][0]["name"], &first["total"]),
        (&json!("new"), &json!(2))
    );
    let cursor = first["next"].as_str().expect("more");
    let second = server
        .json(&format!("/api/v1/caches/main/pins?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(
        (&second["items"][0]["name"], &second["next"]),
        (&json!("old"), &Value::Null)
    );

    for (pin, names) in [
        ("old", vec!["app-1", "lib-1", "libc-1"]),
        ("new", vec!["app-2", "libc-1"]),
        ("*", vec!["app-1", "app-2", "lib-1", "libc-1"]),
    ] {
        let path = format!("/api/v1/caches/main/paths?sort=name&pin={pin}");
        let found = server.json(&path).await;
        let found: Vec<&str> = found["items"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(found, names, "{pin}");
    }
    let facets = server
        .json("/api/v1/caches/main/facets?pin=new&q=lib-1")
        .await;
    assert_eq!(facets["total"], 0);
    let without = facets["without"].as_array().expect("a list");
    assert!(
        without.contains(&json!({"value": "pin", "paths": 1})),
        "{without:?}"
    );
    for bad in ["nosuch", "No Such"] {
        let answer = server
            .get(&format!("/api/v1/caches/main/paths?pin={bad}"))
            .await;
        assert_eq!(answer.status(), 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_private_cache_strangers_learn_no_pin() {
    let mut shelved = None;
    let server = TestServer::start(
        |shelf| shelved = Some(versions(shelf)),
        |config| config.caches[0].visibility = Visibility::Private,
    )
    .await;
    let (one, ..) = shelved.expect("shelved");
    let olga = owner(&server).await;
    assert_eq!(set(&server, &olga, "prod", &one.hash, 0).await.0, 200);
    for pin in ["prod", "nosuch"] {
        let answer = server.get(&format!("/c/main/pins/{pin}/path")).await;
        assert_eq!(answer.status(), 401, "{pin}");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    let token = olga.token(&server, json!(["main"]), &["read"]).await;
    let token = token["secret"].as_str().expect("a token");
    let answer = server
        .client
        .get(server.url("/c/main/pins/prod/path"))
        .basic_auth("nix", Some(token))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.text().await.expect("text"),
        format!("/nix/store/{}\n", one.path)
    );
    // A token of a maintaining machine may pin; a reading one may not.
    let maintains = olga.token(&server, json!(["main"]), &["maintain"]).await;
    let maintains = Actor::with_token(maintains["secret"].as_str().expect("a token"));
    assert_eq!(
        set(&server, &maintains, "ci", &one.hash, 0).await,
        (200, "1".into())
    );
    assert_eq!(
        set(&server, &Actor::with_token(token), "ci", &one.hash, 1)
            .await
            .0,
        403
    );
    let pins = read(olga.get(&server, "/caches/main/pins").await).await;
    assert_eq!(pins["total"], 2);
}
