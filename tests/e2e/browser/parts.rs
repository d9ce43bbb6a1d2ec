//! The program in parts: what the first pages need, what arrives later, and
//! what a page says whose part does not arrive.

use anyhow::ensure;
use serde_json::json;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

/// The files of parts that the page has asked for, as the browser counts them.
const PARTS_ASKED_FOR: &str = "return performance.getEntriesByType('resource').map(entry => entry.name) \
     .filter(name => /_app\\/(split|chunk)_[^/]*[.]wasm$/.test(name))";

#[tokio::test(flavor = "multi_thread")]
async fn g1_the_first_pages_are_whole_without_any_other_part() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    without_parts(&browser, true).await?;
    browser.open("/").await?;
    browser.drawn().await?;
    browser.shows("Caches").await?;
    browser.open("/c/main").await?;
    browser.drawn().await?;
    browser.shows("extra-trusted-public-keys").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_part_does_not_arrive_says_so_and_tries_again() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    without_parts(&browser, true).await?;
    browser.open("/c/main/paths").await?;
    browser.shows("This page did not arrive").await?;
    browser.shows("reload the page").await?;
    without_parts(&browser, false).await?;
    browser.find("main .banner button").await?.click().await?;
    browser
        .until(
            "the list of paths",
            "return document.querySelector('#paths-table tbody tr') !== null",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_parts_arrive_at_leisure_and_the_next_click_needs_no_network()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/").await?;
    browser.drawn().await?;
    browser
        .until(
            "all parts",
            &format!(
                "const parts = (() => {{ {PARTS_ASKED_FOR} }})(); \
                 return ['browse', 'path', 'people', 'connect', 'guide', 'explore'].every(part => parts.some(name => name.includes(`split_${{part}}-`)))"
            ),
        )
        .await?;
    let asked = browser.script(PARTS_ASKED_FOR, vec![]).await?;
    let names: Vec<String> = serde_json::from_value(asked)?;
    let mut once = names.clone();
    once.sort();
    once.dedup();
    ensure!(
        once.len() == names.len(),
        "a part was fetched twice: {names:?}"
    );

    without_parts(&browser, true).await?;
    browser.find("a[href$='/help']").await?.click().await?;
    browser
        .until(
            "the help page",
            "return location.pathname.endsWith('/help') && document.querySelector('main h1')?.textContent.includes('Help')",
        )
        .await
}

/// Lets no part of the program through, or all of them again.
async fn without_parts(browser: &Browser, blocked: bool) -> anyhow::Result<()> {
    let parts = ["*/_app/split_*", "*/_app/chunk_*"];
    let urls = if blocked { json!(parts) } else { json!([]) };
    browser.cdp("Network.enable", json!({})).await?;
    browser
        .cdp("Network.setBlockedURLs", json!({"urls": urls}))
        .await?;
    Ok(())
}
