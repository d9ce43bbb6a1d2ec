//! The made-up month of `snowbank demo --month`: plausible, the same every time, and called made up.

use std::collections::BTreeMap;

use serde_json::Value;
use snowbank::bench_data::month;
use snowbank::config::Config;
use time::{Duration, OffsetDateTime};

use crate::harness::{Shelf, TestServer};
use crate::people::{owner, settled};

/// Two versions, and what one refers to and nobody has.
fn fill(shelf: &Shelf) {
    let lost = shelf.make("lost-1.0", &[], true);
    let lib = shelf.put("lib-1.0", &[]);
    shelf.put("avalanche-2.8.4", &[&lib]);
    shelf.put("avalanche-2.9.0", &[&lib, &lost]);
    for number in 0..8 {
        shelf.put(&format!("package-{number}"), &[&lib]);
    }
}

async fn with_a_month() -> TestServer {
    let server = TestServer::start(fill, |_: &mut Config| {}).await;
    settled(&server).await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    cache.usage.set_generated_until(now);
    let folder = server.shelf().folder;
    month::write(&site.ledger, "main", &folder, now)
        .await
        .expect("a month");
    server
}

/// The requests of each day.
fn asked(usage: &Value) -> BTreeMap<String, u64> {
    let items = usage["items"].as_array().expect("steps");
    let day = |item: &Value| {
        let counts = &item["counts"];
        let asked = counts["hits"].as_u64()? + counts["misses"].as_u64()?;
        Some((item["from"].as_str()?[..10].to_owned(), asked))
    };
    items.iter().filter_map(day).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_made_up_as_if_it_had_been_counted() {
    let server = with_a_month().await;
    let now = OffsetDateTime::now_utc();
    let day = |ago: i64| (now - Duration::days(ago)).date();
    let range = format!("from={}&to={}", day(month::DAYS), day(-1));
    let base = "/api/v1/caches/main";
    let cache = server.json(base).await;
    assert!(cache["generated_until"].is_string(), "{cache}");

    // Each day has figures, working days more than weekends, the release the most.
    let usage = server.json(&format!("{base}/usage?{range}&step=day")).await;
    assert!(usage["not_measured"].is_null(), "{usage}");
    let days = asked(&usage);
    assert_eq!(days.len() as i64, month::DAYS + 1, "{days:?}");
    let of = |wanted: &dyn Fn(time::Date) -> bool| {
        let found: Vec<u64> = (1..=month::DAYS)
            .map(day)
            .filter(|day| wanted(*day))
            .map(|day| days[&day.to_string()])
            .collect();
        found.iter().sum::<u64>() / found.len() as u64
    };
    let weekend = |day: time::Date| day.weekday().number_days_from_monday() >= 5;
    let (work, rest) = (of(&|day| !weekend(day)), of(&weekend));
    assert!(work > 2 * rest && rest > 50, "{work} and {rest}");
    let total = &usage["total"];
    let figure = |name: &str| total[name].as_u64().unwrap_or_default();
    assert!(
        figure("nar_bytes") > 0 && figure("server_errors") > 0,
        "{total}"
    );
    assert!(
        figure("useful_misses") > 0 && figure("useful_misses") < figure("misses"),
        "{total}"
    );
    // One night nobody measured, and real counting goes on without a gap.
    let gaps = usage["sources"][0]["gaps"].as_array().expect("gaps");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let dark = gaps[0]["from"].as_str().unwrap_or_default();
    assert!(dark.ends_with("T01:00:00Z"), "{dark}");

    // What an upstream has is not worth caching; what a path here refers to has a name.
    let misses = server.json(&format!("{base}/usage/misses?{range}")).await;
    let rows = misses["items"].as_array().expect("misses");
    assert_eq!(rows.len(), 6, "{misses}");
    assert!(rows.iter().any(|row| row["name"] == "lost-1.0"), "{misses}");
    let paths = server.json(&format!("{base}/usage/paths?{range}")).await;
    let newest = |row: &&Value| row["name"] == "avalanche-2.9.0";
    let paths = paths["items"].as_array().expect("paths");
    let newest = paths.iter().find(newest).expect("the release");
    assert!(newest["fetches"].as_u64() > Some(10), "{newest}");

    // Three groups of clients, each with its Nix: the laptops with the newer one.
    let olga = owner(&server).await;
    let clients = olga
        .json(&server, &format!("/caches/main/usage/clients?{range}"))
        .await;
    let versions: BTreeMap<&str, &str> = clients["items"]
        .as_array()
        .expect("clients")
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            (text("name"), text("nix_version"))
        })
        .collect();
    let expected = BTreeMap::from([
        ("machine build-farm", "2.31.2"),
        ("192.0.2.0/24", "2.31.2"),
        ("2001:db8:7::/48", "2.18.9"),
    ]);
    assert_eq!(versions, expected);

    // The bucket grew, and something was found wrong with it.
    let storage = server.json(&format!("{base}/storage")).await;
    let sizes = storage["days"].as_array().expect("days");
    assert!(sizes.len() as i64 >= month::DAYS, "{}", sizes.len());
    let nars = |day: &Value| day["classes"][0]["bytes"].as_u64().unwrap_or_default();
    let (first, last) = (&sizes[0], &sizes[sizes.len() - 1]);
    assert!(
        nars(first) > 0 && nars(first) < nars(last),
        "{first} {last}"
    );
    assert!(storage["forecast"]["fast"].as_u64() > Some(0), "{storage}");
    let health = server.json(&format!("{base}/health")).await;
    assert!(
        health["days"]
            .as_array()
            .is_some_and(|days| days.len() > 25),
        "{health}"
    );

    // The same moment and bucket give the same month.
    let other = with_a_month().await;
    let again = other.json(&format!("{base}/usage?{range}&step=day")).await;
    let before_today = |days: BTreeMap<String, u64>| {
        let mut days = days;
        days.pop_last();
        days
    };
    assert_eq!(before_today(asked(&again)), before_today(days));
}
