//! What the search field takes besides paths, and what it offers.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;
use thirtyfour::prelude::*;

use super::fx1;

/// Puts a text into the search field at once, as a paste of one line does.
async fn type_into(browser: &Browser, text: &str) -> anyhow::Result<()> {
    browser.press("/").await?;
    browser
        .until(
            "the focus in the search field",
            "return document.activeElement.id === 'omnibox'",
        )
        .await?;
    browser
        .cdp("Input.insertText", serde_json::json!({"text": text}))
        .await?;
    Ok(())
}

/// Waits for an option whose group and text are these, as regular expressions.
async fn offers(browser: &Browser, group: &str, text: &str) -> anyhow::Result<()> {
    browser
        .until(
            &format!("{text} among {group}"),
            &format!(
                "return [...document.querySelectorAll('#omnibox-list [role=group]')].some(g => /{group}/.test(g.getAttribute('aria-label')) \
                 && [...g.querySelectorAll('[role=option]')].some(o => /{text}/.test(o.textContent)))"
            ),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_or_the_hash_of_a_nar_leads_to_its_path() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let path = server
        .json(&format!("/api/v1/caches/main/paths/{}", fx1::TOP_HASH))
        .await?;
    let url = path["url"].as_str().unwrap_or_default().to_owned();
    let file_hash = path["file_hash"].as_str().unwrap_or_default().to_owned();
    ensure!(
        url.starts_with("nar/") && file_hash.starts_with("sha256:"),
        "{path}"
    );
    for text in [url.clone(), server.url(&format!("/main/{url}")), file_hash] {
        browser.open("/c/main").await?;
        type_into(&browser, &text).await?;
        offers(&browser, "Paths", "top").await?;
        browser
            .find("#omnibox")
            .await?
            .send_keys(Key::Enter)
            .await?;
        browser
            .until(
                &format!("the page of {text}"),
                &format!("return location.pathname === '/c/main/p/{}'", fx1::TOP_HASH),
            )
            .await?;
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_are_typed_and_grouped_and_at_most_ten() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main").await?;
    type_into(&browser, "snowbank-demo").await?;
    offers(&browser, "Search", "Search for").await?;
    offers(&browser, "Keys", "snowbank-demo-1").await?;
    // A key's entry leads to what it signed.
    browser
        .script(
            "const o = [...document.querySelectorAll('[role=option]')].find(o => /paths that it signed/.test(o.textContent)); \
             o.dispatchEvent(new MouseEvent('mousedown', {bubbles: true, cancelable: true}))",
            vec![],
        )
        .await?;
    browser
        .until(
            "the paths signed by it",
            "return location.search === '?key=snowbank-demo-1'",
        )
        .await?;
    browser.drawn().await?;

    // Words find paths, with an icon and a size each; the count is announced.
    type_into(&browser, "avalanche").await?;
    offers(&browser, "Paths", "avalanche").await?;
    let count = browser
        .script(
            "return document.querySelectorAll('[role=option]').length",
            vec![],
        )
        .await?;
    ensure!(
        count
            .as_u64()
            .is_some_and(|count| (2..=10).contains(&count)),
        "{count}"
    );
    browser
        .until(
            "the number of suggestions, said",
            "return /\\d+ suggestions/.test(document.querySelector('[role=status][aria-live=polite]').textContent)",
        )
        .await?;
    browser.accessible("the list of suggestions").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_k_lists_places_and_acts_and_does_them() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths").await?;
    browser
        .find("body")
        .await?
        .send_keys(Key::Control + "k")
        .await?;
    offers(&browser, "Go to", "Health").await?;
    offers(&browser, "Actions", "Copy the link").await?;
    browser
        .find("#omnibox")
        .await?
        .send_keys("theme dark")
        .await?;
    offers(&browser, "Actions", "Theme: dark").await?;
    browser
        .until(
            "the act on its own line",
            "return [...document.querySelectorAll('[role=option]')].findIndex(o => o.textContent.includes('Theme: dark')) > 0",
        )
        .await?;
    let at = browser
        .script(
            "return [...document.querySelectorAll('[role=option]')].findIndex(o => o.textContent.includes('Theme: dark'))",
            vec![],
        )
        .await?
        .as_u64()
        .unwrap_or_default();
    for _ in 0..=at {
        browser.find("#omnibox").await?.send_keys(Key::Down).await?;
    }
    browser
        .find("#omnibox")
        .await?
        .send_keys(Key::Enter)
        .await?;
    browser
        .until(
            "the dark theme",
            "return document.documentElement.dataset.theme === 'dark'",
        )
        .await?;
    ensure!(
        browser.location().await? == "/c/main/paths",
        "it left the page"
    );
    browser.finish().await
}
