//! Money: an owner sets prices on the page, and storage, egress and a simulation say what they cost.

use anyhow::ensure;
use snowbank_tests::browser::Browser;

use super::access::{click, fill};
use super::fx1;
use super::usage::{PATIENCE, demo_in_a_folder};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sets_prices_and_every_figure_says_what_it_costs() -> anyhow::Result<()> {
    let (server, _home) = demo_in_a_folder().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // Something is sent: an archive of a path.
    let narinfo = server
        .text(&format!("/main/{}.narinfo", fx1::TOP_HASH))
        .await?;
    let url = narinfo.lines().find_map(|line| line.strip_prefix("URL: "));
    let url = format!("/main/{}", url.unwrap_or_default());
    ensure!(server.status(&url).await? == 200, "{url}");

    server
        .eventually(PATIENCE, "the sizes", async || {
            let storage = server.json("/api/v1/caches/main/storage").await?;
            Ok(storage["as_of"].as_str().map(drop))
        })
        .await?;

    // A visitor is told who can.
    browser.open("/c/main/usage?range=30d").await?;
    browser
        .shows("No prices are set, so nothing is said about money.")
        .await?;
    browser
        .until(
            "the refused button",
            "return [...document.querySelectorAll('main button')].some(it => it.textContent.trim() === 'Set prices…' && it.getAttribute('aria-disabled') === 'true')",
        )
        .await?;
    let olga = server.owner("olga").await?;
    olga.sit_down(&browser, &server).await?;
    browser.open("/c/main/usage?range=30d").await?;
    click(&browser, "Set prices…").await?;
    fill(&browser, "A GB kept for a month", "0,023").await?;
    browser.accessible("setting prices").await?;
    click(&browser, "Save the prices").await?;
    browser.shows("A price is a number such as 0.023").await?;
    fill(&browser, "A GB kept for a month", "23").await?;
    fill(&browser, "A GB sent", "9000").await?;
    // What the server refuses is said beside what was typed, and that is still there.
    fill(&browser, "Currency", "a name that is much too long").await?;
    click(&browser, "Save the prices").await?;
    browser
        .until(
            "the refusal in the dialog",
            "const dialog = document.querySelector('dialog[open]'); \
             return !!dialog?.querySelector('[role=alert]') && [...dialog.querySelectorAll('input')].some(it => it.value === '9000')",
        )
        .await?;
    fill(&browser, "Currency", "$").await?;
    click(&browser, "Save the prices").await?;
    browser.shows("The prices are set.").await?;
    browser
        .until(
            "what everything costs",
            "const row = [...document.querySelectorAll('main tr')].find(it => it.querySelector('th')?.textContent.trim() === 'Everything'); return /\\$ \\d/.test(row?.innerText ?? '')",
        )
        .await?;
    browser.shows("$ 23.00 a GB and month").await?;
    browser.accessible("the costs").await?;

    // What was sent, by package.
    browser.open("/c/main/usage?tab=traffic&range=7d").await?;
    browser
        .until(
            "the cost of a package",
            "const row = [...document.querySelectorAll('main tr')].find(it => it.querySelector('th')?.textContent.trim() === 'top' && it.querySelector('[data-label=Cost]')); return /\\$ \\d/.test(row?.innerText ?? '')",
        )
        .await?;
    browser.accessible("egress by package").await?;
    // And by client.
    browser.open("/c/main/usage?tab=clients&range=7d").await?;
    browser
        .until(
            "the cost of a client",
            "return /\\$ \\d/.test(document.querySelector('main tbody [data-label=Cost]')?.innerText ?? '')",
        )
        .await?;
    // What a simulation would save.
    browser.open("/c/main/gc?keep=uploaded:30&grace=0").await?;
    browser.shows("at your prices, once it is deleted").await?;
    browser.finish().await
}
