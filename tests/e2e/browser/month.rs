//! The demo with a month of made-up traffic: the pages show it, and say that it is made up.

use anyhow::ensure;

use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_the_demo_is_drawn_and_called_made_up() -> anyhow::Result<()> {
    let scene = Scene::month().await?;
    let Some(browser) = scene.browser().await? else {
        return Ok(());
    };
    browser.open("/c/main/usage?tab=traffic&range=30d").await?;
    browser.shows("These figures are made up").await?;
    browser
        .until(
            "four charts with a line or bars",
            "return ['hit-ratio', 'egress', 'latency', 'errors'].every(id => document.querySelector(`#${id} svg`))",
        )
        .await?;
    browser.shows("root of a closure").await?;
    browser.accessible("the traffic of a month").await?;
    browser.open("/c/main/usage?tab=misses&range=30d").await?;
    browser.shows("These figures are made up").await?;
    browser.shows("name unknown").await?;
    browser.open("/c/main/usage?range=30d").await?;
    browser.shows("These figures are made up").await?;
    browser
        .until(
            "the sizes of the month",
            "return document.querySelector('#stored svg') && document.querySelector('#growth svg') && true",
        )
        .await?;
    browser.accessible("the storage of a month").await?;
    browser.open("/c/main/health").await?;
    browser
        .shows("are made up: this server is a demonstration.")
        .await?;
    let text = browser.page_text().await?;
    ensure!(
        text.contains("findings on") || text.contains("finding on"),
        "{text}"
    );
    browser.accessible("the health of a month").await?;
    browser.finish().await
}
