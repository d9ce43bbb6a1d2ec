//! The search field of the top bar.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;
use thirtyfour::prelude::*;

use super::fx1;

/// Puts a text into the search field at once, as pasting does, and presses Enter.
async fn paste_and_enter(browser: &Browser, text: &str) -> anyhow::Result<()> {
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
    browser
        .find("#omnibox")
        .await?
        .send_keys(Key::Enter)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a07_pasting_a_path_a_hash_a_base_name_or_a_narinfo_url_opens_the_path()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let page = format!("/c/main/p/{}", fx1::TOP_HASH);
    for text in [
        fx1::TOP.to_owned(),
        fx1::TOP_HASH.to_owned(),
        fx1::TOP["/nix/store/".len()..].to_owned(),
        server.url(&format!("/main/{}.narinfo", fx1::TOP_HASH)),
    ] {
        for from in ["/c/main/paths", "/"] {
            browser.open(from).await?;
            paste_and_enter(&browser, &text).await?;
            browser
                .until(
                    &format!("the page of {text}"),
                    &format!("return location.pathname.startsWith('{page}')"),
                )
                .await?;
            browser.drawn().await?;
            browser.shows(fx1::TOP).await?;
        }
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a08_a_hash_with_the_letter_e_is_explained() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths").await?;
    let wrong = fx1::TOP_HASH.replacen('x', "e", 1);
    paste_and_enter(&browser, &wrong).await?;
    browser
        .shows("not a Nix hash: letters e o t u do not occur")
        .await?;
    ensure!(
        browser.location().await? == "/c/main/paths",
        "it left the page: {}",
        browser.location().await?
    );
    // Screen readers hear it too.
    browser
        .until(
            "the announcement",
            "return document.querySelector('[role=status][aria-live=polite]').textContent.includes('not a Nix hash')",
        )
        .await?;
    browser.finish().await
}
