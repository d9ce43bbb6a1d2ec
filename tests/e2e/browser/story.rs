//! What is told of a path besides what it is: its build log, its history, and the files in all
//! that it needs.

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Setup;
use thirtyfour::prelude::*;

use super::fx1;

#[tokio::test(flavor = "multi_thread")]
async fn a30_log_history_and_names_in_the_closure_are_tabs_of_the_path() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    // A log as a builder leaves one: colours, a bar that wrote over itself, and a trap.
    let hash = fx1::TOP_HASH;
    let narinfo = filled.bucket.join(format!("{hash}.narinfo"));
    let text = std::fs::read_to_string(&narinfo)?;
    let deriver = match text.lines().find_map(|line| line.strip_prefix("Deriver: ")) {
        Some(deriver) => deriver.to_owned(),
        None => {
            let deriver = format!("{hash}-top-1.0.drv");
            let lines = text.replacen("Sig: ", &format!("Deriver: {deriver}\nSig: "), 1);
            std::fs::write(&narinfo, lines)?;
            deriver
        }
    };
    let mut log = String::from("10 %\r50 %\rbuilding\n<script>document.title = 'ran'</script>\n");
    for number in 3..=2500 {
        log.push_str(&format!("step {number}\n"));
    }
    log.push_str("\u{1b}[31;1merror:\u{1b}[0m builder failed\n");
    std::fs::create_dir_all(filled.bucket.join("log"))?;
    std::fs::write(filled.bucket.join(format!("log/{deriver}")), &log)?;
    let keys = format!("public_keys = [{:?}]", filled.public_key);
    let server = Setup::new()
        .folder("main", &filled.bucket, &[keys])
        .start()
        .await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };

    browser.open(&format!("/c/main/p/{hash}/log")).await?;
    browser.shows("2,501 lines").await?;
    browser.accessible("log").await?;
    let first = browser
        .script(
            "return [...document.querySelectorAll('.log-text li')].slice(0, 2).map(l => l.innerText.replace(/\\s+/g, ' ').trim())",
            vec![],
        )
        .await?;
    ensure!(
        first == serde_json::json!(["1 building", "2 <script>document.title = 'ran'</script>"]),
        "the first lines are {first}"
    );
    ensure!(
        browser.script("return document.title", vec![]).await? != "ran",
        "a log was run"
    );
    // What is looked for is found in another part, and is an address.
    browser
        .find("[aria-label='Text in the log']")
        .await?
        .click()
        .await?;
    browser.press("builder failed").await?;
    browser.press(Key::Enter).await?;
    browser.find(".log-found a").await?.click().await?;
    let there = "const line = document.getElementById('L2501');
        return !!line && line.classList.contains('is-here') && line.querySelector('.log-red')?.textContent === 'error:' && location.hash === '#L2501'";
    browser.until("the line", there).await?;
    browser.open(&format!("/c/main/p/{hash}/log#L1500")).await?;
    browser
        .until(
            "the line of the address",
            "return !!document.querySelector('#L1500.is-here')",
        )
        .await?;
    let raw = browser
        .script(
            "return document.querySelector('.log a[download]').getAttribute('href')",
            vec![],
        )
        .await?;
    let raw = server.bytes(raw.as_str().context("an address")?).await?;
    ensure!(raw == log.as_bytes(), "the download is another log");

    // The history of the same path.
    browser.open(&format!("/c/main/p/{hash}/history")).await?;
    browser.find("#history li").await?;
    browser.shows("First seen in the bucket").await?;
    browser.accessible("history").await?;

    // Where there is none, that is said, and why.
    let leaf = fx1::LEAF_HASH;
    browser.open(&format!("/c/main/p/{leaf}/log")).await?;
    browser.shows("There is no build log here").await?;

    // Files by name in all that a path needs.
    browser.open(&format!("/c/main/p/{hash}/files")).await?;
    browser
        .find("[aria-label='Part of a file name']")
        .await?
        .click()
        .await?;
    browser.press("x").await?;
    browser.press(Key::Enter).await?;
    browser.shows("Type at least two characters").await?;
    browser.press("yz-nowhere").await?;
    browser.press(Key::Enter).await?;
    browser.shows("Looked at 3 of 3 paths").await?;
    browser.shows("0 names with").await?;
    browser.finish().await
}
