//! What happened to a path, for strangers and for those who may know more.

use reqwest::Method;
use serde_json::{Value, json};

use crate::upload_site::{Made, Site};

fn words(history: &Value) -> Vec<String> {
    let items = history["items"].as_array().expect("a list");
    items
        .iter()
        .map(|item| {
            format!(
                "{}: {}",
                item["what"].as_str().unwrap_or_default(),
                item["words"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_path_is_put_together_from_what_is_kept() {
    let site = Site::start(|_| {}).await;
    let server = &site.server;
    let alice = site.contributor("alice").await;
    let app = Made::file("app-1", "app", &[], &alice.key);
    assert_eq!(site.upload(&alice, &app).await.0, 200);
    let hash = app.parts.store_path.hash().to_string();
    // Whose key it is, members are told beside each signature.
    let detail = format!("/caches/main/paths/{hash}");
    let members = site.owner.json(server, &detail).await;
    let strangers = server.json(&format!("/api/v1{detail}")).await;
    for (detail, owner) in [(&members, json!("alice")), (&strangers, Value::Null)] {
        let mut signatures = detail["signatures"].as_array().expect("a list").iter();
        let hers = signatures.find(|one| one["key"] == alice.key.name());
        assert_eq!(hers.expect("her signature")["owner"], owner, "{detail}");
    }
    let wish = json!({"path": hash, "expected": 0, "note": "first light"});
    let pinned = site
        .owner
        .send(server, Method::PUT, "/caches/main/pins/prod", Some(wish))
        .await;
    assert_eq!(pinned.status(), 200);
    let wish = json!({"paths": [hash], "reason": "it phones home"});
    let hidden = site
        .owner
        .post(server, "/caches/main/quarantine", wish)
        .await;
    assert_eq!(hidden.status(), 200);

    let address = format!("/caches/main/paths/{hash}/history");
    let owners = site.owner.json(server, &address).await;
    assert_eq!(owners["present"], true);
    assert_eq!(owners["as_published"], true, "{owners}");
    assert_eq!(owners["all_receipts"], true);
    assert!(owners["audit_since"].is_string(), "{owners}");
    let said = words(&owners);
    for wanted in [
        "seen: First seen",
        "received: Received with NarHash sha256:",
        "pinned: Pinned as prod@1",
        "held-back: Put into quarantine",
        "act: quarantine.set",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(wanted)),
            "no {wanted}: {said:?}"
        );
    }
    let items = owners["items"].as_array().expect("a list");
    let one = |what: &str| -> &Value {
        let found = items.iter().find(|item| item["what"] == what);
        found.unwrap_or_else(|| panic!("no {what}"))
    };
    assert_eq!(one("received")["by"], "alice");
    assert_eq!(one("pinned")["detail"], "first light");
    assert_eq!(one("pinned")["pin"], "prod");
    assert_eq!(one("held-back")["detail"], "it phones home");
    let times: Vec<&str> = items
        .iter()
        .filter_map(|item| item["at"].as_str())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");

    // Strangers learn what, not who, and nothing of the audit.
    let strangers = server.json(&format!("/api/v1{address}")).await;
    let items = strangers["items"].as_array().expect("a list");
    assert!(items.iter().all(|item| item["by"].is_null()), "{strangers}");
    assert!(!items.is_empty() && items.iter().all(|item| item["what"] != "act"));
    assert_eq!(strangers["audit_since"], Value::Null);

    // Nothing is known of what never was.
    let nowhere = "/api/v1/caches/main/paths/00000000000000000000000000000000/history";
    assert_eq!(server.get(nowhere).await.status(), 404);
    assert_eq!(
        server
            .get("/api/v1/caches/main/paths/short/history")
            .await
            .status(),
        400
    );
}
