//! What other systems watch a server by: the rule file is YAML of Prometheus' form.

use std::process::Command;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use snowbank_tests::server::Setup;

use crate::connect::run;

const YAML: &str = "import sys, json, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_are_yaml_with_a_condition_and_words_in_each() -> anyhow::Result<()> {
    let server = Setup::new().start().await?;
    let answer = server
        .request(Method::GET, "/api/v1/monitoring/alerts.yml")
        .send()
        .await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("alerts.yml");
    std::fs::write(&file, answer.error_for_status()?.bytes().await?)?;
    let (read, wrong, code) = run(Command::new("python3").args(["-c", YAML]).arg(&file))?;
    ensure!(code == Some(0), "{wrong}");
    let read: Value = serde_json::from_str(&read)?;
    let rules = read["groups"][0]["rules"].as_array().context("rules")?;
    ensure!(rules.len() > 10, "{read}");
    for rule in rules {
        for field in ["alert", "expr", "for"] {
            ensure!(
                rule[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {rule}"
            );
        }
        let urgency = rule["labels"]["severity"].as_str().context("a severity")?;
        ensure!(["critical", "warning"].contains(&urgency), "{rule}");
        for field in ["summary", "description"] {
            ensure!(
                rule["annotations"][field]
                    .as_str()
                    .is_some_and(|text| text.len() > 10),
                "{rule}"
            );
        }
    }
    Ok(())
}
