//! `/metrics`, and what is made of the same table: rules and a dashboard.

use std::collections::BTreeSet;
use std::time::Duration;

use snowbank::metrics::series;

use crate::harness::{TestServer, archive, header};

/// Names that a scrape has, from its `# TYPE` lines.
fn described(scrape: &str) -> BTreeSet<String> {
    scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE snowbank_"))
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_has_every_series_of_the_table_and_no_other() {
    let server = TestServer::start(
        |shelf| {
            shelf.put_of("app-1.0", archive(&[(b"file", b"content")]));
        },
        |config| {
            config.caches[0].max_bytes = Some(1 << 30);
            config.caches[0].verify_rate = Some(1 << 20);
        },
    )
    .await;
    let row = server.json("/api/v1/caches/main/paths").await["items"][0].clone();
    let narinfo = format!("/main/{}.narinfo", row["hash"].as_str().expect("a hash"));
    let text = server.text(&narinfo).await;
    let url = text
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .expect("a URL");
    assert!(!server.text(&format!("/main/{url}")).await.is_empty());

    // The sweep of all objects follows that of the narinfos, and the proof of the archive that.
    let mut scrape = String::new();
    for _ in 0..400 {
        scrape = server.text("/metrics").await;
        let slowest = ["bucket_stored_bytes", "oldest_proof_age_seconds"];
        if slowest
            .iter()
            .all(|name| scrape.contains(&format!("\nsnowbank_{name}{{")))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for series in series::ALL {
        let name = series.scraped();
        let sample = scrape
            .lines()
            .find(|line| {
                line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
            })
            .unwrap_or_else(|| panic!("{name} is not in\n{scrape}"));
        for label in series.labels {
            assert!(sample.contains(&format!("{label}=\"")), "{label}: {sample}");
        }
        let help = format!("# HELP snowbank_{} {}", series.name, series.help);
        assert!(scrape.contains(&help), "{help}\n{scrape}");
    }
    let known: BTreeSet<String> = series::ALL.iter().map(|s| s.name.to_owned()).collect();
    assert_eq!(described(&scrape), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_are_files_for_everybody() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    let rules = server.get("/api/v1/monitoring/alerts.yml").await;
    assert_eq!(header(&rules, "content-type"), "application/yaml");
    assert_eq!(
        header(&rules, "content-disposition"),
        "attachment; filename=\"snowbank-alerts.yml\""
    );
    let rules = rules.text().await.expect("a text");
    assert_eq!(
        rules.matches("- alert: ").count(),
        snowbank::metrics::rules::ALL.len()
    );
    let dashboard = server.json("/api/v1/monitoring/dashboard.json").await;
    assert_eq!(dashboard["title"], "Snowbank");
}
