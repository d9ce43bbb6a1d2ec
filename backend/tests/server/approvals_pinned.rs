//! An upload that waits beside what is pinned under its name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::approvals::{approval, approve, entry, rules, waits};
use crate::people::read;
use crate::upload_site::{Made, Site};

/// The names of one side of a comparison.
fn names(side: &Value) -> Vec<&str> {
    let items = side["items"].as_array().expect("paths");
    items
        .iter()
        .filter_map(|path| path["name"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_compared_with_the_closure_that_is_pinned() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let libc = Made::file("libc-1", "libc", &[], &alice.key);
    let old_lib = Made::file("lib-1", "a library", &[&libc], &alice.key);
    let old = Made::file("nixos-system-1", "one", &[&old_lib, &libc], &alice.key);
    let other = Made::file("other-1", "other", &[], &alice.key);
    for made in [&libc, &old_lib, &old, &other] {
        assert_eq!(site.upload(&alice, made).await, (200, String::new()));
    }
    for (pin, made) in [("prod", &old), ("else", &other)] {
        let path = format!("/nix/store/{}", made.parts.store_path);
        let wish = json!({"path": path, "expected": 0, "note": ""});
        let pin = format!("/caches/main/pins/{pin}");
        read(
            site.owner
                .send(&site.server, Method::PUT, &pin, Some(wish))
                .await,
        )
        .await;
    }
    rules(&site, approval(&["nixos-system-*", "lib-2"], 1)).await;
    let new_lib = Made::file("lib-2", "a newer library", &[&libc], &alice.key);
    let new = Made::file("nixos-system-2", "two", &[&new_lib, &libc], &alice.key);
    waits(&site, &alice, &new_lib).await;
    waits(&site, &alice, &new).await;
    let row = entry(&site, "nixos-system-2", "waiting").await;
    let detail = async || {
        let id = row["id"].as_str().expect("an id");
        let path = format!("/caches/main/approvals/{id}");
        site.owner.json(&site.server, &path).await
    };
    let size = |all: &[&Made]| all.iter().map(|made| made.parts.nar_size).sum::<u64>();
    let check = |detail: &Value| {
        let pinned = detail["pinned"].as_array().expect("pins");
        assert_eq!(pinned.len(), 1, "{detail}");
        let change = &pinned[0];
        assert_eq!(
            (&change["pin"], &change["revision"], &change["path"]["name"]),
            (&json!("prod"), &json!(1), &json!("nixos-system-1"))
        );
        assert_eq!(change["pinned_closure_paths"], 3);
        assert_eq!(
            change["pinned_closure_size"],
            size(&[&libc, &old_lib, &old])
        );
        assert_eq!(change["closure_paths"], 3, "{change}");
        assert_eq!(change["closure_size"], size(&[&libc, &new_lib, &new]));
        for (side, made) in [("added", [&new_lib, &new]), ("removed", [&old_lib, &old])] {
            let side = &change[side];
            assert_eq!(
                (&side["paths"], &side["nar_size"]),
                (&json!(2), &json!(size(&made)))
            );
            let mut found = names(side);
            found.sort_unstable();
            let expected = made.map(|made| made.parts.store_path.name());
            assert_eq!(found, expected);
        }
    };
    check(&detail().await);
    // It is the same once it is published: then all of it is in the index.
    for name in ["lib-2", "nixos-system-2"] {
        let row = entry(&site, name, "waiting").await;
        assert_eq!(approve(&site, &site.owner, &row).await.0, 200);
    }
    check(&detail().await);
    // What no pin has under its name is compared with none.
    rules(&site, approval(&["fresh-*"], 1)).await;
    let fresh = Made::file("fresh-1", "fresh", &[], &alice.key);
    waits(&site, &alice, &fresh).await;
    let row = entry(&site, "fresh-1", "waiting").await;
    let path = format!(
        "/caches/main/approvals/{}",
        row["id"].as_str().expect("an id")
    );
    let detail = site.owner.json(&site.server, &path).await;
    assert_eq!(detail["pinned"], json!([]));
}
