//! Two builds of one path: the first stays, the other leaves a report; and one build by two people.

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::intake::UploadPolicy;
use snowbank_shared::api::policy::{PolicyRule, Ruling};

use crate::harness::archive;
use crate::people::{Actor, read};
use crate::upload_site::{Made, Site};

async fn compared(site: &Site, who: &Actor, path: &str) -> Value {
    for _ in 0..200 {
        let found = who.json(&site.server, path).await;
        let items = found["items"].as_array().expect("items");
        if items
            .iter()
            .all(|item| item["comparison"]["state"] != "pending")
        {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing was compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_differs_leaves_a_report_with_the_files_in_which_it_does() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let first = archive(&[(b"date", b"Monday"), (b"gone", b"x"), (b"sh*", b"same")]);
    let second = archive(&[(b"date", b"Friday"), (b"new", b"y"), (b"sh*", b"same")]);
    let kept = Made::of("app-1.0", &first, &[], &alice.key);
    let other = Made::of("app-1.0", &second, &[], &bob.key);
    assert_eq!(site.upload(&alice, &kept).await.0, 200);
    // Nobody's report: not signed by who may, and an archive that is not what the narinfo says.
    let hash = kept.parts.store_path.hash().to_string();
    let (status, _) = site.upload(&bob, &other.clone().unsigned()).await;
    assert_eq!(status, 409);
    let page = format!("/caches/main/conflicts/{hash}");
    let owner = &site.owner;
    assert_eq!(owner.json(&site.server, &page).await["total"], 0);
    for _ in 0..2 {
        let (status, text) = site.put(&bob, &other.key(), other.text()).await;
        assert_eq!(status, 409, "{text}");
        assert!(
            text.contains(&format!("/c/main/conflicts/{hash}")),
            "{text}"
        );
        assert!(text.len() < 1024, "{text}");
    }
    let found = compared(&site, owner, &page).await;
    assert_eq!(found["total"], 1, "{found}");
    let report = &found["items"][0];
    assert_eq!(report["times"], 2);
    assert_eq!(
        report["path"],
        format!("/nix/store/{}", kept.parts.store_path)
    );
    for (side, who, made) in [("kept", "alice", &kept), ("newcomer", "bob", &other)] {
        let build = &report[side];
        assert_eq!(build["by"], json!([who]));
        assert_eq!(build["keys"], json!([format!("{who}-1")]));
        assert_eq!(
            build["nar_hash"],
            format!("sha256:{}", made.parts.nar_hash.to_nix32())
        );
    }
    let difference = &report["comparison"]["difference"];
    for (what, count) in [("added", 1), ("removed", 1), ("changed", 1), ("same", 2)] {
        assert_eq!(difference[what], count, "{difference}");
    }
    let told: Vec<(&str, &str)> = difference["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let entry = item
                .get("first")
                .filter(|e| !e.is_null())
                .unwrap_or(&item["second"]);
            let name = entry["name"].as_str().expect("a name");
            (name, item["change"].as_str().expect("a word"))
        })
        .collect();
    assert_eq!(
        told,
        [("date", "changed"), ("gone", "removed"), ("new", "added")]
    );
    assert_eq!(difference["items"][0]["aspects"], json!(["content"]));
    // The first stays, and its page says that there is another build.
    let detail = format!("/caches/main/paths/{hash}");
    assert_eq!(owner.json(&site.server, &detail).await["conflicts"], 1);
    assert_eq!(
        site.served(&kept).await.expect("there").nar_hash(),
        kept.parts.nar_hash
    );
    // Strangers learn what was built and not by whom.
    let stranger = Actor::stranger();
    let seen = stranger.json(&site.server, "/caches/main/conflicts").await;
    assert_eq!(seen["items"][0]["newcomer"]["by"], json!([]));
    assert_eq!(
        seen["items"][0]["comparison"]["difference"]["items"],
        json!([])
    );
    assert_eq!(seen["items"][0]["comparison"]["difference"]["changed"], 1);
    // A Maintainer puts it aside, once there is a reason.
    let dismiss = format!("{page}/dismiss");
    let wish = json!({"nar_hash": report["newcomer"]["nar_hash"], "reason": "a date in the build"});
    let grants = json!([{"role": "contributor", "cache": null}]);
    let carl = owner.invite(&site.server, "carl", grants).await;
    let answer = carl.post(&site.server, &dismiss, wish.clone()).await;
    assert_eq!(answer.status(), 403);
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = owner.invite(&site.server, "mary", grants).await;
    for (body, status) in [
        (json!({"nar_hash": "sha256:x", "reason": "x"}), 404),
        (
            json!({"nar_hash": report["newcomer"]["nar_hash"], "reason": " "}),
            422,
        ),
    ] {
        let answer = mary.post(&site.server, &dismiss, body).await;
        assert_eq!(answer.status(), status);
    }
    let done = read(mary.post(&site.server, &dismiss, wish).await).await;
    assert_eq!(done["dismissed"]["reason"], "a date in the build");
    assert_eq!(owner.json(&site.server, &detail).await["conflicts"], 0);
    let audit = owner
        .json(&site.server, "/caches/main/audit?action=conflict.dismiss")
        .await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1), "{audit}");
    // The same build again does not open it again.
    assert_eq!(site.put(&bob, &other.key(), other.text()).await.0, 409);
    let again = compared(&site, owner, &page).await;
    assert_eq!(again["items"][0]["times"], 3);
    assert!(again["items"][0]["dismissed"].is_object());
    // While the path is held back nobody is told what is in it.
    let wish = json!({"paths": [hash], "reason": "a doubt"});
    let answer = owner
        .post(&site.server, "/caches/main/quarantine", wish)
        .await;
    assert_eq!(answer.status(), 200);
    let held = owner.json(&site.server, &page).await;
    let difference = &held["items"][0]["comparison"]["difference"];
    assert_eq!(difference["items"], json!([]));
    assert_eq!(difference["changed"], 1, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_bounded_and_the_newest_stay() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let kept = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &kept).await.0, 200);
    let mut last = String::new();
    for at in 0..10 {
        let other = Made::file("x-1", &format!("other {at}"), &[], &bob.key);
        assert_eq!(site.upload(&bob, &other).await.0, 409);
        last = format!("sha256:{}", other.parts.nar_hash.to_nix32());
    }
    let page = format!("/caches/main/conflicts/{}", kept.parts.store_path.hash());
    let found = site.owner.json(&site.server, &page).await;
    assert_eq!(found["total"], 8, "{found}");
    let hashes: Vec<&str> = found["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["newcomer"]["nar_hash"].as_str())
        .collect();
    assert!(hashes.contains(&last.as_str()), "{hashes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_content_by_two_people_is_reproduced() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await.0, 200);
    let detail = format!("/caches/main/paths/{}", made.parts.store_path.hash());
    let owner = &site.owner;
    // The index hears of a key a moment after the registry.
    let reproduced = async |who: &Actor, expected: Value| {
        let mut found = Value::Null;
        for _ in 0..100 {
            let path = who.json(&site.server, &detail).await;
            found = path["reproduced_by"].clone();
            if found == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{found}, and not {expected}");
    };
    let by = |owner: Option<&str>, keys: &[&str]| json!({"owner": owner, "keys": keys});
    reproduced(owner, json!([by(Some("alice"), &["alice-1"])])).await;
    // A second key of the same person is no second person.
    let more = snowbank_shared::signature::SecretKey::generate("alice-2", [5; 32]).expect("a key");
    site.register("alice", &more.public_key(), |_| {}).await;
    let again = made.clone().signed(&more);
    assert_eq!(site.put(&alice, &made.key(), again.text()).await.0, 200);
    let alice_keys = ["alice-1", "alice-2"];
    reproduced(owner, json!([by(Some("alice"), &alice_keys)])).await;
    let by_bob = Made::file("x-1", "x", &[], &bob.key);
    assert_eq!(site.put(&bob, &made.key(), by_bob.text()).await.0, 200);
    let both = json!([by(Some("alice"), &alice_keys), by(Some("bob"), &["bob-1"])]);
    reproduced(owner, both).await;
    let unnamed = json!([by(None, &alice_keys), by(None, &["bob-1"])]);
    reproduced(&Actor::stranger(), unnamed).await;
    // The list and its facet say of all paths what each says of itself.
    for (name, by) in [("only-1", &alice), ("his-1", &bob)] {
        let alone = Made::file(name, name, &[], &by.key);
        assert_eq!(site.upload(by, &alone).await.0, 200);
    }
    let listed = async || {
        let naive = {
            let page = owner.json(&site.server, "/caches/main/paths").await;
            let mut hashes = Vec::new();
            for row in page["items"].as_array().expect("rows") {
                let hash = row["hash"].as_str().expect("a hash").to_owned();
                let path = format!("/caches/main/paths/{hash}");
                let detail = owner.json(&site.server, &path).await;
                if detail["reproduced_by"]
                    .as_array()
                    .is_some_and(|by| by.len() > 1)
                {
                    hashes.push(hash);
                }
            }
            hashes
        };
        let page = owner
            .json(&site.server, "/caches/main/paths?reproduced=yes")
            .await;
        let rows = page["items"].as_array().expect("rows");
        let found: Vec<&str> = rows.iter().filter_map(|row| row["hash"].as_str()).collect();
        assert_eq!(found, naive);
        assert_eq!(page["total"], naive.len());
        let facets = owner.json(&site.server, "/caches/main/facets?q=1").await;
        assert_eq!(facets["reproduced"], naive.len(), "{facets}");
        let none = "/caches/main/facets?q=only&reproduced=yes";
        let facets = owner.json(&site.server, none).await;
        assert_eq!(
            (&facets["total"], &facets["reproduced"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(
            facets["without"][1],
            json!({"value": "reproduced", "paths": 1})
        );
        naive
    };
    assert_eq!(listed().await, [made.parts.store_path.hash().to_string()]);
    let bad = owner
        .get(&site.server, "/caches/main/paths?reproduced=maybe")
        .await;
    assert_eq!(bad.status(), 400);
    // Who is kept out vouches for nothing any more.
    let out = site
        .owner
        .send(
            &site.server,
            Method::PATCH,
            "/members/bob",
            Some(json!({"suspended": true})),
        )
        .await;
    assert!(out.status().is_success());
    reproduced(owner, json!([by(Some("alice"), &alice_keys)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_would_have_waited_leaves_no_report() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let kept = Made::file("app-1.0", "one", &[], &alice.key);
    let other = Made::file("app-1.0", "two", &[], &bob.key);
    assert_eq!(site.upload(&alice, &kept).await.0, 200);
    site.policy(UploadPolicy {
        rules: vec![PolicyRule {
            names: vec!["app-*".to_owned()],
            ruling: Ruling::Approval { approvals: 1 },
            ..PolicyRule::default()
        }],
        ..UploadPolicy::default()
    })
    .await;
    assert_eq!(site.upload(&bob, &other).await.0, 409);
    let page = format!("/caches/main/conflicts/{}", kept.parts.store_path.hash());
    assert_eq!(site.owner.json(&site.server, &page).await["total"], 0);
    site.policy(UploadPolicy::default()).await;
    assert_eq!(site.put(&bob, &other.key(), other.text()).await.0, 409);
    assert_eq!(site.owner.json(&site.server, &page).await["total"], 1);
}
