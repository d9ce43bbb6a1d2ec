//! What holds on every page: accessible in every theme, alone on its origin, honest in failure.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use snowbank_tests::browser::{Browser, Colours, Width};
use snowbank_tests::server::Server;

use super::{FX2_HASH, fx1};

/// Every page of the dashboard on the demo, with a name for reports and screenshots.
async fn pages(server: &Server) -> anyhow::Result<Vec<(&'static str, String)>> {
    let rows = server
        .items("/api/v1/caches/main/paths?q=nixos-system")
        .await?;
    let system = rows[0]["hash"].as_str().unwrap_or_default().to_owned();
    let rows = server
        .items("/api/v1/caches/main/paths?q=false-address")
        .await?;
    let withheld = rows[0]["hash"].as_str().unwrap_or_default().to_owned();
    Ok(vec![
        ("caches", "/".to_owned()),
        ("cache", "/c/main".to_owned()),
        ("paths", "/c/main/paths".to_owned()),
        (
            "paths-filtered",
            "/c/main/paths?sig=valid&sort=-closure_size".to_owned(),
        ),
        (
            "paths-none",
            "/c/main/paths?q=nothing-has-this-name".to_owned(),
        ),
        ("path", format!("/c/main/p/{system}")),
        ("closure", format!("/c/main/p/{system}/closure")),
        (
            "referrers",
            format!(
                "/c/main/p/{}/referrers",
                &fx1::LEAF["/nix/store/".len()..][..32]
            ),
        ),
        (
            "signatures",
            format!("/c/main/p/{}/signatures", fx1::TOP_HASH),
        ),
        (
            "signatures-upstream",
            format!("/c/main/p/{FX2_HASH}/signatures"),
        ),
        ("raw", format!("/c/main/p/{}/raw", fx1::TOP_HASH)),
        ("withheld", format!("/c/main/p/{withheld}")),
        (
            "absent",
            "/c/main/p/00000000000000000000000000000000".to_owned(),
        ),
        ("health", "/c/main/health".to_owned()),
        ("connect", "/connect?caches=main".to_owned()),
        (
            "connect-nixos",
            "/connect?caches=main&target=nixos".to_owned(),
        ),
        ("help", "/help".to_owned()),
        ("glossary", "/help/glossary".to_owned()),
        ("about", "/about".to_owned()),
        ("not-found", "/c/main/nothing".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a97_axe_finds_nothing_on_any_page_in_any_theme() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut violations = Vec::new();
    for (name, path) in pages(&server).await? {
        // 404 pages outside of the route table are the server's, not the dashboard's.
        if name == "not-found" {
            continue;
        }
        for colours in Colours::ALL {
            browser.colours(colours).await?;
            browser.open(&path).await?;
            if let Err(error) = browser.accessible(&format!("{path} in {colours:?}")).await {
                violations.push(format!("{error:#}"));
            }
        }
        browser.resize(Width::Narrow).await?;
        browser.colours(Colours::Light).await?;
        browser.open(&path).await?;
        if let Err(error) = browser.accessible(&format!("{path} at 320 pixels")).await {
            violations.push(format!("{error:#}"));
        }
        browser.resize(Width::Wide).await?;
    }
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a98_at_320_pixels_no_page_scrolls_sideways() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.resize(Width::Narrow).await?;
    for (name, path) in pages(&server).await? {
        if name == "not-found" {
            continue;
        }
        browser.open(&path).await?;
        let wide = browser
            .script("const e = document.scrollingElement; return e.scrollWidth > e.clientWidth ? [e.scrollWidth, e.clientWidth] : null", vec![])
            .await?;
        ensure!(wide.is_null(), "{path} scrolls sideways: {wide}");
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a105_with_the_outside_blocked_every_page_works_and_nothing_leaves_the_origin()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let blocked = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1".to_owned();
    let Some(browser) = Browser::start_with(&server.origin, &[blocked]).await? else {
        return Ok(());
    };
    for (name, path) in pages(&server).await? {
        if name == "not-found" {
            continue;
        }
        browser.open(&path).await?;
        let failed = browser
            .script(
                "return !!document.querySelector('main .banner-bad [class*=request-id]')",
                vec![],
            )
            .await?;
        ensure!(
            failed == false || name == "withheld",
            "{path} shows a failure: {}",
            browser.page_text().await?
        );
    }
    let requests = browser.requests().await?;
    ensure!(
        requests.len() > 40,
        "only {} requests were seen",
        requests.len()
    );
    let outside: Vec<&String> = requests.iter().filter(|url| !browser.is_own(url)).collect();
    ensure!(outside.is_empty(), "{outside:?}");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a107_an_error_says_what_why_and_what_to_do_with_an_id_that_is_in_the_log()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths?cursor=nonsense").await?;
    browser.find(".banner .request-id").await?;
    let shown = browser
        .script(
            "const b = document.querySelector('.banner .request-id').closest('.banner');
             return {id: b.querySelector('.request-id').innerText.trim(), words: [...b.querySelectorAll('p')].map(p => p.innerText.trim())}",
            vec![],
        )
        .await?;
    let id = shown["id"].as_str().unwrap_or_default();
    ensure!(id.len() >= 8, "{shown}");
    let words = shown["words"].as_array().map(Vec::len).unwrap_or_default();
    ensure!(words >= 3, "what, why and what to do: {shown}");
    ensure!(
        server.log().contains(id),
        "the id {id} is not in the log:\n{}",
        server.log()
    );
    browser.finish().await
}

/// Draws every page at 1440 and 320 pixels, light and dark, where `SNOWBANK_SCREENSHOTS` names a folder.
#[tokio::test(flavor = "multi_thread")]
async fn screenshots_of_every_page() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let folder = std::env::var_os("SNOWBANK_SCREENSHOTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots/new"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder)?;
    for (name, path) in pages(&server).await? {
        if name == "not-found" {
            continue;
        }
        for width in [Width::Wide, Width::Narrow] {
            browser.resize(width).await?;
            for (colours, word) in [(Colours::Light, "light"), (Colours::Dark, "dark")] {
                browser.colours(colours).await?;
                browser.open(&path).await?;
                let file = folder.join(format!("{name}-{}-{word}.webp", width.pixels()));
                browser.screenshot(&file).await?;
                ensure!(
                    std::fs::metadata(&file)?.len() > 1000,
                    "{} is empty",
                    file.display()
                );
            }
        }
    }
    browser.finish().await
}
