//! One cache at a glance, and an address that is none.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn growth_is_told_and_drawn_with_the_same_numbers_as_a_table() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let growth = server.json("/api/v1/caches/main/growth").await?;
    let paths: u64 = growth["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|day| day["paths"].as_u64())
        .sum();
    let cache = server.json("/api/v1/caches/main").await?;
    ensure!(cache["paths"] == paths && paths > 0, "{cache} {growth}");
    let lately = cache["recent"]["paths"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    ensure!(
        lately.len() == 7 && lately[6].as_u64() == Some(paths),
        "{lately:?}"
    );

    // All of the demo was added on one day, and one day is no line.
    browser.open("/c/main").await?;
    browser
        .until(
            "the growth in words",
            &format!("return /{paths} paths, all first seen here on \\d{{4}}-\\d\\d-\\d\\d/.test(document.querySelector('#growth')?.innerText)"),
        )
        .await?;
    // Where there are more days there is a drawing, and the same numbers as a table.
    browser.open("/help/components").await?;
    browser.find("figure.chart svg polyline").await?;
    browser.find("figure.chart summary").await?.click().await?;
    browser
        .until(
            "the table",
            "return document.querySelectorAll('figure.chart tbody tr').length === 10",
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_counted_and_nobody_asked_is_no_zero() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main").await?;
    browser
        .shows("nobody has asked since the server started")
        .await?;
    for _ in 0..4 {
        server
            .text(&format!("/main/{}.narinfo", super::fx1::TOP_HASH))
            .await?;
    }
    let status = server
        .status("/main/00000000000000000000000000000000.narinfo")
        .await?;
    ensure!(status == 404, "{status}");
    browser.open("/c/main").await?;
    browser
        .shows("4 of 5 narinfos asked for since the server started")
        .await?;
    browser.open("/").await?;
    browser.shows("80 %").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_address_is_told_apart_and_leads_on() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let hash = super::fx1::TOP_HASH;
    for (path, title, leads) in [
        (
            "/c/main/nowhere".to_owned(),
            "The cache has no such page",
            "/c/main",
        ),
        (
            format!("/c/main/p/{hash}/nothing"),
            "A path has no such page",
            &*format!("/c/main/p/{hash}"),
        ),
        (
            "/c/main/p/xynxqns12h5f".to_owned(),
            "This is not the hash of a store path",
            "/c/main/paths?q=xynxqns12h5f",
        ),
        (
            "/c/main/paths?sig=good".to_owned(),
            "This address has a filter that means nothing",
            "/c/main/paths",
        ),
    ] {
        browser.open(&path).await?;
        browser.shows(title).await?;
        let link = browser
            .script(
                "return document.querySelector('main .button-primary').getAttribute('href')",
                vec![],
            )
            .await?;
        ensure!(link == leads, "{path} leads to {link}, not {leads}");
    }
    browser.finish().await
}
