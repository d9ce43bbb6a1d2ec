//! What leaves the page: by the clipboard and by the curl line.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::fx1;

/// Clicks Copy on FX1's row and looks at the clipboard and at what screen readers hear.
async fn copies_a_row(browser: &Browser) -> anyhow::Result<()> {
    browser.open("/c/main/paths?q=top-1.0").await?;
    let row = format!("tr[data-path={:?}] button.copy", fx1::TOP);
    let button = browser.find(&row).await?;
    ensure!(
        button.attr("aria-label").await?.as_deref() == Some("Copy store path"),
        "the button's name"
    );
    button.click().await?;
    browser
        .until(
            "the announcement",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.replace('\\u00a0', '') === 'Copied')",
        )
        .await?;
    ensure!(
        browser
            .find(&row)
            .await?
            .attr("aria-label")
            .await?
            .as_deref()
            == Some("Copied"),
        "the button's name afterwards"
    );
    let pasted = browser.clipboard().await?;
    ensure!(pasted == fx1::TOP, "the clipboard holds {pasted:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_copy_on_a_row_copies_the_full_path_and_says_so() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    copies_a_row(&browser).await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_copy_works_on_a_plain_http_origin_that_is_not_loopback() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let port = server
        .origin
        .rsplit(':')
        .next()
        .context("an origin has a port")?
        .to_owned();
    let origin = format!("http://cache.lan:{port}");
    let rules = "--host-resolver-rules=MAP cache.lan 127.0.0.1".to_owned();
    let Some(browser) = Browser::start_with(&origin, &[rules]).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths").await?;
    let secure = browser
        .script(
            "return [window.isSecureContext, typeof navigator.clipboard]",
            vec![],
        )
        .await?;
    ensure!(
        secure == serde_json::json!([false, "undefined"]),
        "the origin has a clipboard of its own: {secure}"
    );
    copies_a_row(&browser).await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_the_curl_line_gives_the_same_rows() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .open("/c/main/paths?q=avalanche&sort=-nar_size")
        .await?;
    browser.find("#paths-table tbody tr").await?;
    let shown = browser
        .script("return [...document.querySelectorAll('#paths-table tbody tr')].map(r => r.dataset.path)", vec![])
        .await?;
    let shown: Vec<String> = serde_json::from_value(shown)?;
    ensure!(shown.len() >= 3, "only {shown:?}");

    browser
        .script(
            "document.querySelector('.page-actions details summary').click()",
            vec![],
        )
        .await?;
    let line = browser
        .script(
            "return document.querySelector('.page-actions details .api-menu pre').textContent",
            vec![],
        )
        .await?;
    let line = line.as_str().unwrap_or_default().to_owned();
    ensure!(line.starts_with("curl "), "{line}");
    let output = Command::new("sh")
        .args(["-c", &format!("{line} --max-time 20")])
        .output()?;
    ensure!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: Value = serde_json::from_slice(&output.stdout)?;
    let rows: Vec<&str> = rows["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|row| row["path"].as_str())
        .collect();
    ensure!(
        rows == shown,
        "curl gives {rows:?}, the page shows {shown:?}"
    );
    browser.finish().await
}
