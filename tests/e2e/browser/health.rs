//! Health in the dashboard: what a missing NAR concerns, and a repair that is shown before it is done.

use std::fs;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Setup;

use super::access::click;
use super::closure::{demo_bucket, fx1_bucket};
use super::fx1;

#[tokio::test(flavor = "multi_thread")]
async fn a96_a_nar_deleted_by_hand_is_listed_with_closures_and_pins_and_its_path_is_hidden()
-> anyhow::Result<()> {
    let home = demo_bucket()?;
    let bucket = fx1_bucket(&home)?;
    let narinfo = format!("{}.narinfo", fx1::LEAF_HASH);
    let text = fs::read_to_string(bucket.join(&narinfo))?;
    let url = text.lines().find_map(|line| line.strip_prefix("URL: "));
    fs::remove_file(bucket.join(url.context("a URL")?))?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    olga.sit_down(&browser, &server).await?;
    let pin = json!({"path": fx1::TOP_HASH, "expected": 0});
    olga.send(&server, Method::PUT, "/caches/main/pins/prod", pin)
        .await?;

    browser.open("/c/main/health/nar-missing").await?;
    browser.shows("is not in the bucket").await?;
    browser.shows(&narinfo).await?;
    browser.shows("2 closures contain it.").await?;
    browser.shows("prod@1").await?;
    let top = &fx1::TOP["/nix/store/".len()..];
    browser
        .until(
            "the closure's top as a link",
            &format!(
                "return [...document.querySelectorAll('#findings .finding-affected a')].some(link => link.textContent === {top:?})"
            ),
        )
        .await?;
    browser
        .accessible("a missing NAR and whom it concerns")
        .await?;

    // Shown first, then done as shown.
    click(&browser, "Show what a repair would do").await?;
    browser
        .shows("Nothing was done yet. A repair would change 1 object.")
        .await?;
    browser.find("#repair-steps tbody tr").await?;
    browser.accessible("a dry run of a repair").await?;
    ensure!(server.get(&format!("/main/{narinfo}")).await?.status() == 200);
    click(&browser, "Repair as shown").await?;
    browser.shows("1 object was put into quarantine.").await?;
    ensure!(server.get(&format!("/main/{narinfo}")).await?.status() == 404);
    browser.finish().await
}
