//! What a bucket holds: every object counted to the byte, written down by day, and priced.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::PutOptions;

use crate::harness::{Shelf, TestServer, header};
use crate::people::{Actor, owner, read};

const STORAGE: &str = "/caches/main/storage";

/// A class and key of many objects each; their sizes differ.
fn fill(shelf: &Shelf) -> BTreeMap<&'static str, (u64, u64)> {
    let mut counted = BTreeMap::<&str, (u64, u64)>::new();
    let mut file = |class: &'static str, key: &str, size: usize| {
        shelf.file(key, &vec![b'x'; size]);
        let (objects, bytes) = counted.entry(class).or_default();
        *objects += 1;
        *bytes += size as u64;
    };
    for number in 0..2_600 {
        file("nar", &format!("nar/stray-{number:05}.nar.xz"), number % 7);
    }
    for (number, key) in [
        "log/a b.drv",
        "log/50%.drv",
        "log/%2F.drv",
        "log/naïve ❄.drv",
        "log/a+b&c=d.drv",
        "log/<tag> \"quoted\".drv",
    ]
    .into_iter()
    .enumerate()
    {
        file("log", key, 100 + number);
    }
    file("debuginfo", "debuginfo/abc.debug", 31);
    file("realisation", "realisations/sha256:ab!out.doi", 17);
    file("realisation", "build-trace-v2/x/out.doi", 5);
    file("listing", "00bgd045z0d4icpbc2yyz4gx48ak44la.ls", 12);
    file("other", "index.html", 999);
    file("other", "nix-cache-info", 0);
    file(
        "other",
        "deep/er/00bgd045z0d4icpbc2yyz4gx48ak44la.narinfo",
        3,
    );
    for name in ["one-1.0", "two-1.0"] {
        // The same archive: a file that two paths share.
        let made = shelf.put_of(name, crate::harness::archive(&[(b"f", b"shared contents")]));
        let (objects, bytes) = counted.entry("narinfo").or_default();
        *objects += 1;
        *bytes += made.narinfo.len() as u64;
        if name == "one-1.0" {
            let (objects, bytes) = counted.entry("nar").or_default();
            *objects += 1;
            *bytes += made.nar.len() as u64;
        }
    }
    counted
}

/// Sweeps the whole bucket and waits until that is measured.
async fn measured(server: &TestServer) {
    let cache = server.server.site().cache("main").expect("main");
    let mut measured = cache.sizes.measured();
    let sync = server.server.sync("main").expect("main");
    sync.sweep_whole_now().await.expect("a sweep");
    tokio::time::timeout(Duration::from_secs(60), measured.changed())
        .await
        .expect("measured in time")
        .expect("measured");
}

fn class<'a>(storage: &'a Value, word: &str) -> &'a Value {
    let classes = storage["classes"].as_array().expect("classes");
    let found = classes.iter().find(|class| class["class"] == word);
    found.unwrap_or_else(|| panic!("no {word} in {storage}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_counted_to_the_byte() {
    let mut counted = BTreeMap::new();
    let server = TestServer::start(|shelf| counted = fill(shelf), |_| {}).await;
    let olga = owner(&server).await;
    // Two uploads in parts that nobody ended: one with two parts, one with none.
    let cache = server.server.site().cache("main").expect("main").clone();
    let options = PutOptions::default();
    let begin = async |key: &str| {
        let begun = cache.bucket.multipart_create(key, &options).await;
        begun.expect("an upload in parts")
    };
    let upload = begin("nar/never ended.nar").await;
    for (number, size) in [(1, 5 << 20), (2, 1_234)] {
        cache
            .bucket
            .multipart_part(&upload, number, Bytes::from(vec![0u8; size]))
            .await
            .expect("a part");
    }
    begin("nar/empty.nar").await;
    counted.insert("unfinished", (2, (5 << 20) + 1_234));
    counted.insert("old-versions", (0, 0));
    server
        .shelf()
        .file(".snowbank/of-a-newer-version", &[b's'; 4_321]);
    measured(&server).await;

    let storage = olga.json(&server, STORAGE).await;
    for (word, (objects, bytes)) in &counted {
        let found = class(&storage, word);
        assert_eq!(
            (&found["objects"], &found["bytes"], &found["unknown"]),
            (&json!(objects), &json!(bytes), &Value::Null),
            "{word}"
        );
    }
    // The server's own is counted too; it goes on writing.
    let state = class(&storage, "state");
    assert!(state["objects"].as_u64() >= Some(1), "{state}");
    assert!(state["bytes"].as_u64() >= Some(4_321), "{state}");
    let all = storage["classes"].as_array().expect("classes");
    let sum: u64 = all
        .iter()
        .map(|class| class["bytes"].as_u64().expect("bytes"))
        .sum();
    assert_eq!(storage["stored"], sum);
    // As the cache's own totals, which know neither state nor leftovers.
    let totals = olga.json(&server, "/caches/main").await;
    let listed: u64 = counted
        .iter()
        .filter(|(word, _)| !matches!(**word, "unfinished" | "old-versions"))
        .map(|(_, (_, bytes))| bytes)
        .sum();
    assert_eq!(totals["object_bytes"], listed);

    let nar = crate::harness::archive(&[(b"f", b"shared contents")]).len();
    assert_eq!(storage["unpacked"], nar);
    assert_eq!(storage["saved"], nar);
    assert_eq!(storage["shared"][0]["paths"], 2);
    assert_eq!(
        storage["codecs"],
        json!([{"compression": "none", "nars": 1, "stored": nar, "unpacked": nar}])
    );
    assert_eq!(storage["packages"][0]["paths"], 1);
    assert_eq!(storage["forecast"], Value::Null);
    // A bucket without versions, rules and locks: nothing warns, nothing is a finding.
    let facts = storage["facts"].as_array().expect("facts");
    let names: Vec<&str> = facts
        .iter()
        .filter_map(|fact| fact["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Versioning",
            "Lifecycle rules",
            "Object lock",
            "Storage class",
            "Clock",
            "Listing"
        ]
    );
    assert!(
        facts.iter().all(|fact| fact["state"] != "warn"),
        "{facts:?}"
    );
    let asked = olga.post(&server, "/caches/main/bucket", json!({})).await;
    let asked = read(asked).await;
    assert_eq!(asked.as_array().map(Vec::len), Some(5), "{asked}");
    assert_eq!(asked[1]["state"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_written_down_once_and_read_after_a_restart() {
    let server = TestServer::start(|shelf| drop(shelf.put("one-1.0", &[])), |_| {}).await;
    let olga = owner(&server).await;
    measured(&server).await;
    server.shelf().file("log/more.drv", &[b'x'; 77]);
    measured(&server).await;
    // Written down a moment after it is measured.
    let kept = async {
        loop {
            let storage = olga.json(&server, STORAGE).await;
            if storage["days"][0]["classes"] == storage["classes"] {
                return storage;
            }
            tokio::task::yield_now().await;
        }
    };
    let storage = tokio::time::timeout(Duration::from_secs(60), kept)
        .await
        .expect("written down in time");
    assert_eq!(storage["days"].as_array().map(Vec::len), Some(1));
    assert_eq!(storage["days"][0]["added"], Value::Null);
    assert_eq!(class(&storage, "log")["bytes"], 77);
    let day = storage["days"][0]["day"]
        .as_str()
        .expect("a day")
        .to_owned();

    let csv = olga.get(&server, &format!("{STORAGE}?format=csv")).await;
    assert!(header(&csv, "content-type").starts_with("text/csv"));
    let csv = csv.text().await.expect("text");
    assert!(csv.starts_with("day,class,objects,bytes\r\n"), "{csv}");
    assert!(csv.contains(&format!("{day},log,1,77\r\n")), "{csv}");
    let none = olga
        .json(&server, &format!("{STORAGE}?to=2001-01-01"))
        .await;
    assert_eq!(none["days"], json!([]));
    for bad in [
        "from=yesterday",
        "from=2026-02-02&to=2026-01-01",
        "format=xml",
        "x=1",
    ] {
        let answer = olga.get(&server, &format!("{STORAGE}?{bad}")).await;
        assert_eq!(answer.status(), 400, "{bad}");
    }

    let server = server.restarted(|_| {}).await;
    crate::people::settled(&server).await;
    let again = server.json(&format!("/api/v1{STORAGE}")).await;
    assert_eq!(again["days"], storage["days"]);
    assert_eq!(class(&again, "log"), class(&storage, "log"));
    assert_eq!(again["uploaders"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_an_owners_and_nobody_overwrites_what_they_did_not_see() {
    const PRICES: &str = "/caches/main/prices";
    let server = TestServer::start(|shelf| drop(shelf.put("one-1.0", &[])), |_| {}).await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": null}]);
    let maria = olga.invite(&server, "maria", grants).await;
    let put = async |who: &Actor, wish: &Value| {
        let answer = who
            .send(&server, Method::PUT, PRICES, Some(wish.clone()))
            .await;
        answer.status().as_u16()
    };
    let before = olga.json(&server, PRICES).await;
    assert_eq!(
        (&before["revision"], &before["currency"]),
        (&json!(0), &json!(""))
    );
    let mut wish = json!({
        "currency": "$", "gb_month": 23_000, "get_1000": 400, "put_1000": 5_000, "egress_gb": 90_000,
        "revision": 0,
    });
    // A simulation says what it saves once there is a price.
    let simulated = async || {
        let path = "/caches/main/gc/simulate?names=nothing-*&grace_hours=0";
        maria.json(&server, path).await
    };
    let unpriced = simulated().await;
    assert!(
        unpriced["saves_monthly"].is_null() && unpriced["currency"].is_null(),
        "{unpriced}"
    );
    assert_eq!(put(&maria, &wish).await, 403);
    assert_eq!(put(&olga, &wish).await, 200);
    let priced = simulated().await;
    let frees = priced["frees"]["bytes"].as_u64().expect("bytes");
    assert!(frees > 0, "{priced}");
    let saved = (frees * 23_000).div_ceil(1_000_000_000);
    assert_eq!(
        (&priced["saves_monthly"], &priced["currency"]),
        (&json!(saved), &json!("$"))
    );
    assert_eq!(put(&olga, &wish).await, 409);
    wish["revision"] = json!(1);
    for (name, bad) in [
        ("currency", json!("")),
        ("currency", json!("a b")),
        ("gb_month", json!(10_000_000_001_u64)),
    ] {
        let mut wrong = wish.clone();
        wrong[name] = bad;
        assert_eq!(put(&olga, &wrong).await, 422, "{wrong}");
    }
    assert_eq!(olga.json(&server, PRICES).await, wish);
    measured(&server).await;
    let storage = maria.json(&server, STORAGE).await;
    assert_eq!(storage["prices"], wish);
    let facts = storage["facts"].as_array().expect("facts");
    let listing = facts.last().expect("the listing");
    let words = listing["words"].as_str().expect("words");
    assert!(
        words.contains("1 LIST calls of up to 1,000 keys, $ 0.000005 each time"),
        "{words}"
    );
    let audit = olga
        .json(&server, "/caches/main/audit?action=prices.change")
        .await;
    assert_eq!(
        audit["items"][0]["detail"]["gb_month"], "0.023000",
        "{audit}"
    );
}
