//! The keyboard: moving the focus, switching shortcuts off. That `/` searches is seen on every page.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use super::{fx1, pages};
use crate::crash;

/// Enough paths for several windows, without archives.
async fn many_paths() -> anyhow::Result<(Server, TempDir)> {
    let bucket = tempfile::tempdir()?;
    crash::fill(bucket.path(), 250)?;
    let server = Setup::new()
        .folder("main", bucket.path(), &[])
        .start()
        .await?;
    server.indexed("main").await?;
    Ok((server, bucket))
}

#[tokio::test(flavor = "multi_thread")]
async fn a99_the_focus_is_never_under_what_stays_in_place() -> anyhow::Result<()> {
    let (server, _bucket) = many_paths().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut hidden = Vec::new();
    for (width, height) in [(1440, 500), (320, 640)] {
        browser.window(width, height).await?;
        browser.open("/c/main/paths").await?;
        browser.find("#paths-table tbody tr").await?;
        let mut rows = 0;
        // Forwards over the head of the page and forty rows, then half the way back: upwards
        // is where a head that stays in place would hide what has the focus.
        for step in 0..180 {
            let back = step >= 130;
            browser.tab(back).await?;
            if let Some(what) = browser.hidden_focus().await? {
                hidden.push(format!("{width}x{height}, Tab {step}, back {back}: {what}"));
            }
            let in_row = browser
                .script(
                    "return !!document.activeElement.closest('tbody tr')",
                    vec![],
                )
                .await?;
            rows += u32::from(in_row == true);
        }
        ensure!(rows > 60, "the focus was in a row only {rows} times");
        let scrolled = browser.script("return window.scrollY", vec![]).await?;
        ensure!(
            scrolled.as_f64().unwrap_or_default() > 100.0,
            "nothing scrolled: {scrolled}"
        );
    }
    ensure!(hidden.is_empty(), "{}", hidden.join("\n"));
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a99_moving_by_j_and_k_never_hides_the_row() -> anyhow::Result<()> {
    let (server, _bucket) = many_paths().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.window(1440, 500).await?;
    browser.open("/c/main/paths").await?;
    browser.find("#paths-table tbody tr").await?;
    for (key, times) in [("j", 30), ("k", 25)] {
        for step in 0..times {
            browser.press(key).await?;
            let hidden = browser.hidden_focus().await?;
            ensure!(hidden.is_none(), "{key} {step}: {hidden:?}");
        }
    }
    let at = browser
        .script(
            "return document.activeElement.closest('tbody tr')?.rowIndex ?? -1",
            vec![],
        )
        .await?;
    ensure!(at == 5, "after 30 down and 25 up the focus is in row {at}");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a101_single_keys_can_be_switched_off_and_then_j_does_nothing() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let in_row = "return !!document.activeElement.closest('#paths-table tbody tr')";
    browser.open("/c/main/paths").await?;
    browser.find("#paths-table tbody tr").await?;
    browser.press("j").await?;
    browser.until("the focus in the first row", in_row).await?;

    browser.open("/me/preferences").await?;
    let switch = "[...document.querySelectorAll('main label')].find(l => /single keys/i.test(l.innerText)).querySelector('input')";
    browser.script(&format!("{switch}.focus()"), vec![]).await?;
    browser.press(" ").await?;
    browser
        .until("the switch off", &format!("return !{switch}.checked"))
        .await?;
    // It holds for the next page and the next visit.
    browser.open("/c/main/paths").await?;
    browser.find("#paths-table tbody tr").await?;
    for key in ["j", "/", "?", "t"] {
        browser.press(key).await?;
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let acted = browser
        .script(
            "return [!!document.activeElement.closest('#paths-table tbody tr'), document.activeElement.id === 'omnibox',
                     !!document.querySelector('dialog[open]'), document.documentElement.dataset.theme !== undefined]",
            vec![],
        )
        .await?;
    ensure!(
        acted == serde_json::json!([false, false, false, false]),
        "j, /, ? or t acted though switched off: {acted}"
    );
    // What is no single key goes on to act.
    browser.chord(Key::Control, "k").await?;
    browser
        .until("Ctrl-K", "return document.activeElement.id === 'omnibox'")
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a102_a_change_of_page_moves_the_focus_to_the_heading_and_changes_the_title()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/").await?;
    let settled = async |heading: &str, title: &str| {
        browser
            .until(
                &format!("the page {heading:?} with the focus in its heading and the title {title:?}"),
                &format!(
                    "const h = document.querySelector('main h1');
                     return h === document.activeElement && h.innerText.replace(/\\s+/g, '').includes({}) && document.title.includes({})
                       && document.querySelectorAll('h1').length === 1",
                    serde_json::json!(heading),
                    serde_json::json!(title)
                ),
            )
            .await
    };
    // By a link, by keys, by another link, by the search field, and back.
    let click = async |css: &str| -> anyhow::Result<()> {
        browser.find(css).await?.click().await?;
        Ok(())
    };
    click("main tbody a[href$='/c/main']").await?;
    settled("Demo", "Demo").await?;
    browser.press("g").await?;
    browser.press("p").await?;
    settled("Paths", "Paths").await?;
    browser.open("/c/main/paths?q=top-1.0").await?;
    click(&format!("tr[data-path='{}'] a.store-path", fx1::TOP)).await?;
    settled("top-1.0", "top-1.0").await?;
    browser.press("/").await?;
    browser.press("mid-1.0").await?;
    browser
        .until(
            "a suggestion",
            "return [...document.querySelectorAll('[role=option]')].some(o => o.textContent.includes('mid') && o.querySelector('.store-path'))",
        )
        .await?;
    browser
        .script(
            "[...document.querySelectorAll('[role=option]')].find(o => o.querySelector('.store-path')).dispatchEvent(new MouseEvent('mousedown', {bubbles: true, cancelable: true}))",
            vec![],
        )
        .await?;
    settled("mid-1.0", "mid-1.0").await?;
    let announced = browser
        .script("return [...document.querySelectorAll('[role=status][aria-live=polite]')].map(e => e.textContent).join(' ')", vec![])
        .await?;
    ensure!(
        announced.as_str().unwrap_or_default().contains("mid-1.0"),
        "screen readers hear {announced}"
    );
    browser.script("history.back()", vec![]).await?;
    settled("top-1.0", "top-1.0").await?;
    browser.press("g").await?;
    browser.press("h").await?;
    settled("Health", "Health").await?;
    // Titles tell pages apart. That each ends with the console's name is seen on every page.
    let mut titles = std::collections::BTreeMap::new();
    for name in [
        "path", "closure", "caches", "cache", "help", "glossary", "paths", "health",
    ] {
        browser.open(&pages::one(&server, name).await?).await?;
        browser
            .until("a title", "return document.title.endsWith(' – Snowbank')")
            .await?;
        let title = browser.script("return document.title", vec![]).await?;
        titles.insert(name, title.as_str().unwrap_or_default().to_owned());
    }
    for (a, b) in [
        ("path", "closure"),
        ("caches", "cache"),
        ("help", "glossary"),
        ("paths", "health"),
    ] {
        ensure!(
            titles[a] != titles[b],
            "{a} and {b} have one title: {}",
            titles[a]
        );
    }
    browser.finish().await
}
