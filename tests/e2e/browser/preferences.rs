//! How this browser shows things: chosen on one page, kept, and seen on every other.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

/// Clicks the input whose label has this text.
async fn choose(browser: &Browser, label: &str) -> anyhow::Result<()> {
    browser
        .until(
            label,
            &format!(
                "const l = [...document.querySelectorAll('main label')].find(l => l.innerText.trim().startsWith('{label}')); \
                 l?.querySelector('input').click(); return !!l"
            ),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn theme_rows_and_times_act_at_once_and_are_kept() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let row =
        "return document.querySelector('#paths-table tbody tr').getBoundingClientRect().height";
    browser.open("/c/main/paths").await?;
    let roomy = browser.script(row, vec![]).await?;

    browser.open("/me/preferences").await?;
    for label in ["Dark", "Compact", "The moment"] {
        choose(&browser, label).await?;
    }
    browser
        .until(
            "the choices on the page itself",
            "return document.documentElement.dataset.theme === 'dark' && /added \\d{4}-\\d\\d-\\d\\d/i.test(document.querySelector('main').innerText)",
        )
        .await?;

    browser.open("/c/main/paths").await?;
    let compact = browser.script(row, vec![]).await?;
    ensure!(
        compact.as_f64() < roomy.as_f64(),
        "a row is {roomy} roomy and {compact} compact"
    );
    browser
        .until(
            "moments in the rows",
            "return /\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d/.test(document.querySelector('#paths-table time').innerText)",
        )
        .await?;

    browser.open("/me/preferences").await?;
    browser
        .until(
            "the way back",
            "[...document.querySelectorAll('.page-actions button')].find(b => b.innerText.includes('As it was')).click(); return true",
        )
        .await?;
    browser
        .until(
            "nothing chosen and nothing kept",
            "return document.documentElement.dataset.theme === undefined && Object.keys(localStorage).filter(k => k.startsWith('snowbank.')).length === 0",
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_shown_and_acts_as_it_says() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/help/components").await?;
    // What is refused stays in the order of Tab, does nothing, and says why.
    let refused = browser
        .script(
            "const b = [...document.querySelectorAll('main button')].find(b => b.innerText.includes('Unpin')); b.focus(); b.click(); \
             return [document.activeElement === b, b.getAttribute('aria-disabled'), document.getElementById(b.getAttribute('aria-describedby'))?.innerText]",
            vec![],
        )
        .await?;
    ensure!(
        refused == serde_json::json!([true, "true", "Needs Maintainer. Owners: alice, bob"]),
        "{refused}"
    );
    // What cannot be undone asks for the name first.
    let press = |word: &str| {
        format!(
            "const b = [...document.querySelectorAll('main button')].find(b => b.innerText.trim() === '{word}'); b?.click(); return !!b"
        )
    };
    browser.until("the danger", &press("Danger")).await?;
    browser
        .until(
            "the question",
            "return !!document.querySelector('dialog[open] input')",
        )
        .await?;
    let disabled = "return document.querySelector('dialog[open] .button-danger').getAttribute('aria-disabled')";
    ensure!(
        browser.script(disabled, vec![]).await? == "true",
        "it may be pressed unasked"
    );
    browser
        .find("dialog[open] input")
        .await?
        .send_keys("top-1.0")
        .await?;
    browser
        .until(
            "the button that may be pressed now",
            "return document.querySelector('dialog[open] .button-danger').getAttribute('aria-disabled') === 'false'",
        )
        .await?;
    browser
        .find("dialog[open] .button-danger")
        .await?
        .click()
        .await?;
    browser.shows("It would be gone now.").await?;
    ensure!(
        browser
            .script("return document.querySelector('dialog[open]')", vec![])
            .await?
            .is_null(),
        "the dialog stays"
    );
    browser.finish().await
}
