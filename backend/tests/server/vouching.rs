//! Who vouches for what: keys and what rests on them, coverage cell by cell, what a machine accepts.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;

use crate::harness::{Shelf, Shelved, TestServer, give_key};
use crate::people::owner;

fn stranger() -> SecretKey {
    SecretKey::generate("ci-1", [9; 32]).expect("a key")
}

/// The same path with the signatures of these keys, and of no others.
fn signed(made: &Shelved, keys: &[&SecretKey]) -> Shelved {
    let bare: String = made
        .narinfo
        .lines()
        .filter(|line| !line.starts_with("Sig:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let narinfo = NarInfo::parse(bare.as_bytes(), &StoreDir::default()).expect("a narinfo");
    let lines = keys
        .iter()
        .map(|key| format!("Sig: {}\n", key.sign(narinfo.fingerprint().as_bytes())));
    Shelved {
        narinfo: format!("{bare}{}", lines.collect::<String>()),
        ..made.clone()
    }
}

/// `app` needs `lib`, which only a stranger signed; `tool` is signed by both, `raw` by nobody, and
/// the signature of `bad` was made for something else.
fn fill(shelf: &Shelf) {
    let stranger = stranger();
    let lib = shelf.make("lib-1.0", &[], true);
    shelf.write(&signed(&lib, &[&stranger]));
    shelf.put("app-1.0", &[&lib]);
    let tool = shelf.make("tool-1.0", &[], true);
    shelf.write(&signed(&tool, &[&shelf.key, &stranger]));
    shelf.write(&shelf.make("raw-1.0", &[], false));
    let mut bad = shelf.put("bad-1.0", &[]);
    let size = bad.nar.len();
    let narinfo = bad.narinfo.replace(
        &format!("NarSize: {size}"),
        &format!("NarSize: {}", size + 1),
    );
    bad.narinfo = narinfo;
    shelf.write(&bad);
}

fn at(rest: &str) -> String {
    format!("/api/v1/caches/main/{rest}")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn names(answer: &Value) -> BTreeSet<&str> {
    let items = answer["items"].as_array().expect("items");
    items
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a58_a60_a61_keys_coverage_and_what_a_machine_accepts() {
    let server = TestServer::start(fill, give_key).await;
    let signers = server.json(&at("signers")).await;
    let of = |name: &str| {
        let items = signers["items"].as_array().expect("items");
        let found = items.iter().find(|signer| signer["name"] == name);
        found.expect(name).clone()
    };
    let (ours, theirs) = (of("test-1"), of("ci-1"));
    assert_eq!(
        (
            number(&ours["paths"]),
            number(&ours["only_paths"]),
            number(&ours["invalid"])
        ),
        (2, 2, 1),
        "an unknown key's line on tool vouches for nothing"
    );
    assert_eq!(ours["keys"][0]["purpose"], "cache");
    assert_eq!((number(&theirs["lines"]), number(&theirs["paths"])), (2, 0));
    assert_eq!(theirs["keys"], json!([]));
    assert_eq!(
        number(&of("cache.nixos.org-1")["paths"]),
        0,
        "built in, and listed"
    );

    // A cell is what its filter lists, and the file has the numbers of the answer.
    let coverage = server.json(&at("coverage?by=package")).await;
    assert_eq!(number(&coverage["total"]["all"]["paths"]), 5);
    let place = coverage["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .position(|key| key["name"] == "test-1")
        .expect("our key");
    for row in coverage["items"].as_array().expect("rows") {
        let package = row["name"].as_str().expect("a name");
        for (vouch, field) in [
            ("valid", "paths"),
            ("closure", "closures"),
            ("invalid", "invalid"),
        ] {
            let list = at(&format!("paths?package={package}&vouch={vouch}:test-1"));
            let listed = server.json(&list).await;
            assert_eq!(
                listed["total"], row["keys"][place][field],
                "{package} {vouch}"
            );
        }
    }
    let total = &coverage["total"]["keys"][place];
    assert_eq!(
        (number(&total["paths"]), number(&total["closures"])),
        (2, 1),
        "app lacks lib's"
    );
    let only = server.json(&at("paths?vouch=only:test-1")).await;
    assert_eq!(names(&only), BTreeSet::from(["app-1.0", "tool-1.0"]));
    let facets = server.json(&at("facets?vouch=only:test-1&q=nothing")).await;
    let without = facets["without"].to_string();
    assert!(without.contains("vouch"), "{without}");
    let csv = server.text(&at("coverage?by=month&format=csv")).await;
    let line = format!(",key,test-1,2,{},1,1", total["nar_size"]);
    assert!(csv.lines().any(|row| row == line), "{csv}");

    // The cache's own keys, none at all, another machine's, and a closure.
    let accepted = async |query: &str| server.json(&at(&format!("acceptance?{query}"))).await;
    let told = accepted("").await;
    assert_eq!(told["keys"][0]["name"], "test-1");
    assert_eq!(
        names(&told),
        BTreeSet::from(["bad-1.0", "lib-1.0", "raw-1.0"])
    );
    assert_eq!(
        (number(&told["accepted"]), number(&told["broken_closures"])),
        (2, 4)
    );
    let both = format!("key=test-1&key={}", stranger().public_key());
    let both = both.replace('+', "%2B");
    let wider = accepted(&both).await;
    assert_eq!(names(&wider), BTreeSet::from(["bad-1.0", "raw-1.0"]));
    let app = server.shelf().make("app-1.0", &[], true).hash;
    let closure = accepted(&format!("path={app}")).await;
    assert_eq!(
        (number(&closure["paths"]), number(&closure["accepted"])),
        (2, 1)
    );
    let whole = accepted(&format!("path={app}&{both}")).await;
    assert_eq!(
        (number(&whole["refused"]), &whole["items"]),
        (0, &json!([]))
    );

    // What goes with our key: app alone, for a stranger signed the tool too. A pin breaks, and
    // nothing is changed.
    let olga = owner(&server).await;
    let wish = json!({"path": app, "expected": 0, "note": ""});
    let pinned = olga
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(wish))
        .await;
    assert_eq!(pinned.status(), 200);
    let before = server.json(&at("signers")).await;
    let lost = accepted(&format!("{both}&drop=test-1")).await;
    assert_eq!(names(&lost), BTreeSet::from(["app-1.0"]));
    assert_eq!(
        lost["pins"][0],
        json!({"name": "prod", "revision": 1, "refused": 1, "paths": 2})
    );
    assert_eq!(
        (
            number(&lost["refused_anyway"]),
            number(&lost["broken_closures"])
        ),
        (2, 1)
    );
    assert_eq!(server.json(&at("signers")).await["items"], before["items"]);
    let file = server
        .text(&at(&format!("acceptance?{both}&drop=test-1&format=ndjson")))
        .await;
    assert_eq!(file.lines().count(), 1, "{file}");

    // The first key of a name counts.
    let imposter = SecretKey::generate("test-1", [3; 32])
        .expect("a key")
        .public_key();
    let imposter = imposter.to_string().replace('+', "%2B");
    let shadowed = accepted(&format!("key={imposter}&key=test-1")).await;
    assert_eq!(number(&shadowed["accepted"]), 0);
    assert_eq!(shadowed["keys"][1]["passed_over"], true);

    for (path, status) in [
        ("coverage?by=prefix", 400),
        ("coverage?by=uploader", 401),
        ("paths?by=member:olga", 401),
        ("paths?vouch=good:test-1", 400),
        ("acceptance?key=nobody-1", 400),
        ("acceptance?key=test-1:AAAA", 400),
        ("acceptance?drop=nobody-1", 400),
        ("acceptance?path=0c0dixlhq54yv4v0kws1bsmbnrz7m6p7", 404),
        ("acceptance?keys=test-1", 400),
    ] {
        assert_eq!(server.get(&at(path)).await.status(), status, "{path}");
    }
    // Members learn who put what: nothing here has a receipt.
    let mine = olga
        .json(&server, "/caches/main/coverage?by=uploader")
        .await;
    assert_eq!(
        (&mine["rows"], &mine["items"][0]["name"]),
        (&json!(1), &json!("-"))
    );
    let none = olga.json(&server, "/caches/main/paths?by=-").await;
    assert_eq!(none["total"], 5);
}
