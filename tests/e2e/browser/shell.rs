//! The static shell: what there is without the program, and the theme before the first paint.

use anyhow::ensure;
use serde_json::{Value, json};
use snowbank_tests::browser::{Browser, Colours};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

/// Two public caches and a private one.
async fn three_caches() -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut setup = Setup::new();
    for (slug, visibility) in [
        ("team", "public"),
        ("tools", "public"),
        ("secret", "private"),
    ] {
        let bucket = home.path().join(slug);
        crate::crash::fill(&bucket, 3)?;
        setup = setup.folder(slug, &bucket, &[format!("visibility = {visibility:?}")]);
    }
    Ok((setup.start().await?, home))
}

/// What the page has to say and to show of the caches.
async fn explains(server: &Server, shown: &str, heading: &str) -> anyhow::Result<()> {
    ensure!(shown.contains(heading), "{heading:?} is not said: {shown}");
    for cache in ["team", "tools"] {
        let lines = server.text(&format!("/c/{cache}/nix.conf")).await?;
        for line in lines.lines().filter(|line| line.starts_with("extra-")) {
            ensure!(
                shown.contains(line.trim()),
                "{line:?} is not shown: {shown}"
            );
        }
    }
    ensure!(
        !shown.contains("/secret"),
        "a private cache is shown: {shown}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a103_without_javascript_the_page_says_so_and_shows_the_lines_of_public_caches()
-> anyhow::Result<()> {
    let (server, _buckets) = three_caches().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .cdp(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await?;
    for path in ["/", "/c/team/paths"] {
        let url = server.url(path);
        browser.cdp("Page.navigate", json!({"url": url})).await?;
        // No script can be asked what there is: the accessibility tree is what a reader gets.
        let text = server
            .eventually(std::time::Duration::from_secs(10), "the page", async || {
                let text = browser.aria_text().await?;
                Ok(text.contains("JavaScript").then_some(text))
            })
            .await?;
        explains(&server, &text, "This page needs JavaScript").await?;
    }
    browser
        .cdp(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": false}),
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a103_without_webassembly_or_with_the_program_blocked_the_page_says_so()
-> anyhow::Result<()> {
    let (server, _buckets) = three_caches().await?;
    for block in ["program", "webassembly"] {
        let Some(browser) = Browser::start(&server.origin).await? else {
            return Ok(());
        };
        if block == "program" {
            browser.cdp("Network.enable", json!({})).await?;
            browser
                .cdp("Network.setBlockedURLs", json!({"urls": ["*.wasm"]}))
                .await?;
        } else {
            browser
                .cdp(
                    "Page.addScriptToEvaluateOnNewDocument",
                    json!({"source": "delete globalThis.WebAssembly"}),
                )
                .await?;
        }
        browser
            .cdp("Page.navigate", json!({"url": server.url("/")}))
            .await?;
        browser.shows("The dashboard did not start").await?;
        let text = browser.page_text().await?;
        explains(&server, &text, "The dashboard did not start").await?;
        ensure!(
            text.contains("What the browser said"),
            "the reason is not said: {text}"
        );
        browser
            .accessible(&format!("the page without its {block}"))
            .await?;
        browser.finish().await?;
    }
    Ok(())
}

/// Keeps every background that the page had at a frame, from the first one on.
const FRAMES: &str = "
if (window === top) {
  window.frames_seen = [];
  const look = () => {
    if (document.body) {
      const colour = getComputedStyle(document.body).backgroundColor;
      const last = window.frames_seen[window.frames_seen.length - 1];
      if (colour !== last) window.frames_seen.push(colour);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}";

async fn background(browser: &Browser) -> anyhow::Result<String> {
    let colour = browser
        .script(
            "return getComputedStyle(document.body).backgroundColor",
            vec![],
        )
        .await?;
    Ok(colour.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a106_the_theme_follows_the_system_can_be_overridden_and_does_not_flash()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .cdp(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({"source": FRAMES}),
        )
        .await?;
    // As the system is, also while it changes.
    browser.colours(Colours::Light).await?;
    browser.open("/c/main/paths").await?;
    let light = background(&browser).await?;
    browser.colours(Colours::Dark).await?;
    let dark = background(&browser).await?;
    ensure!(light != dark, "light and dark are both {light}");
    // By the key, round: system, light, dark, system.
    for (after, colour) in [("light", &light), ("dark", &dark), ("system", &dark)] {
        browser.press("t").await?;
        browser
            .until(
                &format!("the theme {after}"),
                &format!(
                    "return (document.documentElement.dataset.theme ?? 'system') === '{after}'"
                ),
            )
            .await?;
        browser.painted().await?;
        let shown = background(&browser).await?;
        ensure!(shown == **colour, "{after} gives {shown}, not {colour}");
    }
    // An override against the system holds from the first frame of a slow start on.
    browser
        .cdp("Emulation.setCPUThrottlingRate", json!({"rate": 6}))
        .await?;
    for (system, chosen, colour, presses) in [
        (Colours::Dark, "light", &light, 1),
        (Colours::Light, "dark", &dark, 1),
    ] {
        browser.colours(system).await?;
        for _ in 0..presses {
            browser.press("t").await?;
        }
        browser
            .until(
                "the choice",
                &format!("return document.documentElement.dataset.theme === '{chosen}'"),
            )
            .await?;
        for _ in 0..3 {
            browser.open("/c/main/paths").await?;
            let seen = browser.script("return window.frames_seen", vec![]).await?;
            let seen: Vec<String> = match seen {
                Value::Array(seen) => seen
                    .iter()
                    .map(|c| c.as_str().unwrap_or_default().to_owned())
                    .collect(),
                other => anyhow::bail!("no frame was seen: {other}"),
            };
            ensure!(
                seen == [colour.clone()],
                "{chosen} on a {system:?} system shows one after the other {seen:?}"
            );
        }
    }
    browser.finish().await
}
