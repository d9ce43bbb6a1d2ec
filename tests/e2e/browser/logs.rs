//! Access logs on the page of usage: beside our own figures, with until when they tell.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::server::Setup;
use time::OffsetDateTime;
use time::macros::format_description;

use super::fx1;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_bucket_stand_beside_our_own_figures_with_until_when_they_tell()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    let logs = home.path().join("logs");
    fs::create_dir_all(logs.join("access"))?;
    let at = OffsetDateTime::now_utc() - time::Duration::hours(30);
    let clock =
        format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    let line = |hash: &str, status: u16| -> anyhow::Result<String> {
        let at = at.format(&clock)?;
        Ok(format!(
            "o bucket [{at}] 192.0.2.7 - R REST.GET.OBJECT {hash}.narinfo \"GET /{hash}.narinfo HTTP/1.1\" {status} - 400 400 9 8 \"-\" \"curl/8.5.0 Nix/2.31.0\" - h= - - - bucket.s3.amazonaws.com -\n"
        ))
    };
    let lines = [
        line(fx1::TOP_HASH, 200)?.repeat(3),
        line(&"0".repeat(32), 404)?,
        "no line of a log\n".to_owned(),
    ];
    let stamp = format_description!("[year]-[month]-[day]-[hour]-[minute]-[second]-A1B2C3");
    fs::write(logs.join("access").join(at.format(&stamp)?), lines.concat())?;
    let lines = [
        format!("public_keys = [{:?}]", filled.public_key),
        format!("access_logs = {{ folder = {logs:?}, prefix = \"access/\", format = \"s3\" }}"),
    ];
    let server = Setup::new()
        .folder("main", &filled.bucket, &lines)
        .start()
        .await?;
    server.indexed("main").await?;
    server
        .eventually(PATIENCE, "the log", async || {
            let found =
                server.json("/api/v1/caches/main/usage?source=logs").await?["total"].clone();
            Ok((found["hits"] == 3 && found["misses"] == 1).then_some(()))
        })
        .await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let here = format!("/main/{}.narinfo", fx1::TOP_HASH);
    ensure!(server.status(&here).await? == 200);
    browser.open("/c/main/usage?tab=traffic&range=7d").await?;
    browser.shows("4 of 5 narinfos found").await?;
    let badge = browser.find("#logs-until").await?.text().await?;
    let until = (at + time::Duration::seconds(1))
        .format(format_description!("[year]-[month]-[day] [hour]:[minute]"))?;
    ensure!(
        badge.contains(&format!("≈, logs until {until} UTC")),
        "{badge}"
    );
    for (word, sum) in [
        ("Access logs", "3 of 4 narinfos found"),
        ("This server", "1 of 1 narinfo found"),
        ("All", "4 of 5 narinfos found"),
    ] {
        browser
            .until(
                word,
                &format!(
                    "const found = [...document.querySelectorAll('.usage-range label')].find(it => it.innerText.trim() === '{word}'); if (!found) return false; found.click(); return true"
                ),
            )
            .await?;
        browser.shows(sum).await?;
    }
    browser.accessible("usage with logs").await?;
    browser.open("/c/main/usage?tab=sources").await?;
    let source = browser.find("[data-source=s3-logs]").await?;
    let text = source.text().await.context("the source")?;
    for part in [
        "connected",
        "Read: 1 log object with 5 lines.",
        "Not understood: 0 log objects and 1 line, the last: line 5 of access",
        "Best effort",
    ] {
        ensure!(text.contains(part), "{part} is not in {text}");
    }
    browser.accessible("sources with logs").await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.finish().await
}
