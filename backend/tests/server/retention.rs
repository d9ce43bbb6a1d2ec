//! Retention: what rules would keep and remove, why, and that nothing is touched by asking.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::Operation;

use crate::harness::{Shelf, Shelved, TestServer};
use crate::people::{Actor, owner, read, settled};

const WRITES: [Operation; 7] = [
    Operation::Put,
    Operation::Delete,
    Operation::Copy,
    Operation::MultipartCreate,
    Operation::MultipartPart,
    Operation::MultipartComplete,
    Operation::MultipartAbort,
];

/// Makes a path look as if it had been here for so many days.
pub fn age(shelf: &Shelf, made: &Shelved, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    std::fs::File::options()
        .write(true)
        .open(shelf.folder.join(format!("{}.narinfo", made.hash)))
        .expect("the narinfo")
        .set_modified(then)
        .expect("its time");
}

/// `lib` 100 days old, `app` over it and `old` 60, `twin-one` and `twin-two` on one NAR, 60 and 5.
pub fn filled(shelf: &Shelf) -> Vec<Shelved> {
    let lib = shelf.put("lib-1", &[]);
    let app = shelf.put("app-1", &[&lib]);
    let old = shelf.put("old-1", &[]);
    let one = shelf.put_of("twin-one-1", vec![7; 5_000]);
    let two = shelf.put_of("twin-two-1", vec![7; 5_000]);
    for (made, days) in [(&lib, 100), (&app, 60), (&old, 60), (&one, 60), (&two, 5)] {
        age(shelf, made, days);
    }
    vec![lib, app, old, one, two]
}

async fn simulated(server: &TestServer, who: &Actor, query: &str) -> Value {
    let path = format!("/caches/main/gc/simulate?{query}");
    who.json(server, &path).await
}

pub fn bytes(made: &[&Shelved]) -> u64 {
    made.iter().map(|made| made.nar.len() as u64).sum()
}

/// A91 and A93.
#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_counts_shared_archives_once_and_touches_nothing() {
    let mut made = Vec::new();
    let server = TestServer::start(|shelf| made = filled(shelf), |_| {}).await;
    let [lib, app, old, one, two] = &made[..] else {
        panic!("five paths");
    };
    assert_eq!(one.url, two.url);
    let olga = owner(&server).await;
    let writes = || WRITES.map(|operation| server.sent(operation));
    settled(&server).await;
    let before = writes();

    // What is younger than 30 days stays; the archive of a twin is the other's.
    let by_age = simulated(&server, &olga, "uploaded_days=30&grace_hours=0").await;
    assert_eq!(by_age["now"]["paths"], 5);
    assert_eq!(by_age["now"]["bytes"], bytes(&[lib, app, old, one]));
    assert_eq!(
        by_age["frees"],
        json!({"paths": 4, "bytes": bytes(&[lib, app, old])})
    );
    assert_eq!(by_age["after"], json!({"paths": 1, "bytes": bytes(&[two])}));
    // A91: of two narinfos on one NAR one alone frees nothing, both free it once.
    let names = "names=lib-*&names=app-*&names=old-*&grace_hours=0";
    let alone = simulated(&server, &olga, &format!("{names}&names=twin-two-*")).await;
    assert_eq!(alone["frees"], json!({"paths": 1, "bytes": 0}));
    let both = simulated(&server, &olga, names).await;
    assert_eq!(both["frees"], json!({"paths": 2, "bytes": 5_000}));
    let packages = both["packages"].as_array().expect("packages");
    let sum: u64 = packages
        .iter()
        .filter_map(|one| one["bytes"].as_u64())
        .sum();
    assert_eq!((packages.len(), sum), (2, 5_000));

    // What a rule keeps keeps what it needs, whatever its age.
    let closure = simulated(&server, &olga, "names=app-*&grace_hours=0").await;
    assert_eq!(closure["after"]["bytes"], bytes(&[lib, app]));
    // What is new is neither counted nor removed.
    let grace = simulated(&server, &olga, "names=app-*&grace_hours=240").await;
    assert_eq!(grace["after"]["paths"], 3);
    assert_eq!(grace["grace"]["all"], json!({"paths": 1, "bytes": 5_000}));
    assert_eq!(grace["grace"]["items"][0]["hash"], two.hash);

    // Without a rule that applies, everything stays: fetches are not measured for long enough.
    for none in ["grace_hours=0", "fetched_days=30&grace_hours=0"] {
        let nothing = simulated(&server, &olga, none).await;
        assert_eq!(nothing["frees"], json!({"paths": 0, "bytes": 0}), "{none}");
        assert_eq!(nothing["no_rules"], true);
        assert_eq!(nothing["disabled"][0]["rule"], "fetched_days");
    }
    let lacking = simulated(&server, &olga, "fetched_days=30&uploaded_days=30").await;
    let refusal = lacking["refusal"].as_str().expect("a refusal");
    assert!(refusal.contains("without it more would go"), "{refusal}");
    // All of it was put there past the server.
    assert_eq!(by_age["foreign_paths"], 5);
    assert!(by_age["at_risk"].is_null(), "nobody measured");

    // Rules that come down to a size keep as many days as fit in.
    let target = bytes(&[two]);
    let asked = async |days: u64, target: u64| {
        let query = format!("uploaded_days={days}&grace_hours=0&target_size={target}");
        simulated(&server, &olga, &query).await
    };
    let days = asked(90, target).await["suggested"]["uploaded_days"].clone();
    let days = days.as_u64().expect("days");
    assert_eq!(asked(days, target).await["after"]["bytes"], target);
    assert!(asked(days, target).await["suggested"].is_null(), "it fits");
    let more = asked(days + 2, target).await;
    assert!(more["after"]["bytes"].as_u64() > Some(target), "{more}");
    // Names are meant.
    let names = simulated(&server, &olga, "names=app-*&grace_hours=0&target_size=1").await;
    assert!(names["suggested"].is_null(), "{names}");

    // A93.
    assert_eq!(writes(), before, "a simulation wrote or deleted");
    for made in &made {
        let answer = server.get(&format!("/main/{}.narinfo", made.hash)).await;
        assert_eq!(answer.status(), 200);
    }
    for bad in ["pins=0", "pins=x", "names=", "grace_hours=721", "days=3"] {
        let path = format!("/caches/main/gc/simulate?{bad}");
        assert_eq!(olga.get(&server, &path).await.status(), 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_the_owners_and_say_why_a_path_stays() {
    let mut made = Vec::new();
    let server = TestServer::start(|shelf| made = filled(shelf), |_| {}).await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let mary = olga.invite(&server, "mary", grants).await;
    let path = "/caches/main/gc/rules";
    let mut rules = mary.json(&server, path).await;
    assert_eq!(
        (&rules["revision"], &rules["by"]),
        (&json!(0), &Value::Null)
    );
    rules["rules"] = json!({"pins": 1, "uploaded_days": 30, "grace_hours": 0});
    let put = |who: Actor, wish: Value| {
        let server = &server;
        async move { who.send(server, Method::PUT, path, Some(wish)).await }
    };
    assert_eq!(put(mary.clone(), rules.clone()).await.status(), 403);
    let changed = read(put(olga.clone(), rules.clone()).await).await;
    assert_eq!(changed["revision"], 1);
    // Who did not see it overwrites nothing; what cannot be is refused.
    assert_eq!(put(olga.clone(), rules.clone()).await.status(), 409);
    rules["revision"] = json!(1);
    rules["rules"]["pins"] = json!(51);
    assert_eq!(put(olga.clone(), rules).await.status(), 422);
    let lines = olga.json(&server, "/audit?action=retention").await;
    assert_eq!(lines["items"].as_array().map(Vec::len), Some(1), "{lines}");

    let [lib, app, old, _, two] = &made[..] else {
        panic!("five paths");
    };
    let why = async |made: &Shelved| {
        let path = format!("/caches/main/gc/why/{}", made.hash);
        mary.json(&server, &path).await
    };
    let gone = why(lib).await;
    assert_eq!((&gone["kept"], &gone["chain"]), (&json!(false), &json!([])));
    let said = gone["trace"].as_array().expect("a trace");
    assert!(said.iter().all(|rule| rule["keeps"] == false), "{gone}");
    assert_eq!(why(two).await["by"], "uploaded within 30 days");

    let wish = json!({"path": app.hash, "expected": 0});
    let pinned = mary
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(wish))
        .await;
    assert_eq!(pinned.status(), 200);
    let kept = why(lib).await;
    assert_eq!(
        (&kept["kept"], &kept["by"], &kept["pin"]),
        (&json!(true), &json!("pin prod@1"), &json!(["prod", 1]))
    );
    let chain = kept["chain"].as_array().expect("a chain");
    let hashes: Vec<&Value> = chain.iter().map(|step| &step["hash"]).collect();
    assert_eq!(hashes, [&json!(app.hash), &json!(lib.hash)]);

    // Without parameters a simulation goes by the rules of the cache.
    let simulation = mary.json(&server, "/caches/main/gc/simulate").await;
    assert_eq!(simulation["rules"]["pins"], 1);
    assert_eq!(simulation["pins"], 1);
    assert_eq!(
        simulation["frees"],
        json!({"paths": 2, "bytes": bytes(&[old])})
    );
    let stranger = Actor::stranger();
    for path in ["simulate", "rules", &format!("why/{}", lib.hash)] {
        let path = format!("/caches/main/gc/{path}");
        assert_eq!(stranger.get(&server, &path).await.status(), 401, "{path}");
    }
    let gone = format!("/caches/main/gc/gone/{}", lib.hash);
    assert_eq!(stranger.get(&server, &gone).await.status(), 404);
}
