//! The page of a path: sizes, closure, narinfo, signatures.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::{FX2_HASH, fx1};

async fn text_of(browser: &Browser, css: &str) -> anyhow::Result<String> {
    browser.find(css).await?;
    let text = browser
        .script(
            "return document.querySelector(arguments[0]).innerText.trim()",
            vec![css.into()],
        )
        .await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_the_sizes_and_counts_of_fx1() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .open(&format!("/c/main/p/{}", fx1::TOP_HASH))
        .await?;
    browser.shows("480 B").await?;
    ensure!(text_of(&browser, "#nar-size").await? == "176 B");
    ensure!(text_of(&browser, "#closure-size").await? == "480 B");
    ensure!(text_of(&browser, "#closure-paths").await? == "in 3 paths");
    ensure!(text_of(&browser, "#reference-count").await? == "1");
    ensure!(text_of(&browser, "#referrer-count").await? == "0");
    // The closure's table names the three.
    browser
        .open(&format!("/c/main/p/{}/closure?view=table", fx1::TOP_HASH))
        .await?;
    for name in ["top-1.0", "mid-1.0", "leaf-1.0"] {
        browser.shows(name).await?;
    }
    let found = browser.script("return window.find('leaf')", vec![]).await?;
    ensure!(found == true, "find on the page does not find the leaf");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_each_size_says_its_kind_in_words_and_explains_it_on_focus() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .open(&format!("/c/main/p/{}", fx1::TOP_HASH))
        .await?;
    browser.find(".sizes dt").await?;
    let terms = browser
        .script(
            "return [...document.querySelectorAll('.sizes dt')].map(t => t.innerText.trim())",
            vec![],
        )
        .await?;
    let terms: Vec<String> = serde_json::from_value(terms)?;
    for kind in [
        "NAR size",
        "unpacked",
        "Download size",
        "compressed",
        "Closure size",
    ] {
        ensure!(
            terms
                .iter()
                .any(|term| term.to_lowercase().contains(&kind.to_lowercase())),
            "no size is called {kind}: {terms:?}"
        );
    }
    // Every one of them, by keyboard: explained on focus, closed by Escape.
    for (at, term) in terms.iter().enumerate() {
        browser
            .script(
                "document.querySelectorAll('.sizes dt button')[arguments[0]].focus()",
                vec![at.into()],
            )
            .await?;
        let explained = browser
            .script(
                "const b = document.activeElement, tip = document.getElementById(b.getAttribute('aria-describedby'));
                 return [tip?.getAttribute('role'), tip?.checkVisibility() ? tip.innerText : '']",
                vec![],
            )
            .await?;
        ensure!(
            explained[0] == "tooltip" && explained[1].as_str().unwrap_or_default().len() > 30,
            "{term} is explained by {explained}"
        );
        browser.press(thirtyfour::Key::Escape).await?;
        browser
            .until(
                "the explanation closed",
                "return !document.getElementById(document.activeElement.getAttribute('aria-describedby')).checkVisibility()",
            )
            .await?;
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a31_raw_shows_the_narinfo_byte_for_byte_and_says_what_is_signed() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let narinfo = server
        .text(&format!("/main/{}.narinfo", fx1::TOP_HASH))
        .await?;
    browser
        .open(&format!("/c/main/p/{}/raw", fx1::TOP_HASH))
        .await?;
    browser.shows("NarHash:").await?;
    let shown = browser
        .script(
            "return document.querySelector('#narinfo').textContent",
            vec![],
        )
        .await?;
    ensure!(
        shown == narinfo.as_str(),
        "the page shows {shown}\ninstead of {narinfo}"
    );
    // Told apart by words, not only by colour.
    let words = browser
        .script(
            "return [...document.querySelectorAll('.raw-marks li')].map(l => l.innerText.replace(/\\s+/g, ' ').trim())",
            vec![],
        )
        .await?;
    let words: Vec<String> = serde_json::from_value(words)?;
    ensure!(
        words.len() == narinfo.lines().count(),
        "one mark a line: {words:?}"
    );
    for (line, word) in narinfo.lines().zip(&words) {
        let field = line.split(':').next().unwrap_or_default();
        let covered = ["StorePath", "NarHash", "NarSize", "References"].contains(&field);
        let says = word.ends_with("signed") && !word.contains("not signed");
        ensure!(covered == says, "{field} is marked {word:?}");
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a54_fx2_is_valid_verified_in_the_browser_with_the_network_off() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open(&format!("/c/main/p/{FX2_HASH}")).await?;
    browser.shows("openapv").await?;
    // What the tab needs has been fetched with the page.
    browser
        .until(
            "an idle page",
            "return performance.getEntriesByType('resource').every(e => e.responseEnd > 0)",
        )
        .await?;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    browser.offline(true).await?;
    let dead = browser
        .script_async(
            "const done = arguments[arguments.length - 1]; fetch('/healthz', {cache: 'no-store'}).then(() => done('alive'), () => done('dead'))",
            vec![],
        )
        .await?;
    ensure!(dead == "dead", "the network is still there");
    browser
        .script("[...document.querySelectorAll('nav.tabs a')].find(a => a.innerText.startsWith('Signatures')).click()", vec![])
        .await?;
    browser.shows("cache.nixos.org-1").await?;
    browser
        .until(
            "the verdict of the browser itself",
            "const row = [...document.querySelectorAll('main tr, main li, main section')].filter(e => e.innerText.includes('cache.nixos.org-1'));
             return row.some(e => /valid/i.test(e.innerText) && /in (this|the|your) browser/i.test(document.querySelector('main').innerText))",
        )
        .await?;
    let text = browser.page_text().await?;
    ensure!(!text.to_lowercase().contains("invalid"), "{text}");
    browser.offline(false).await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a55_the_twin_of_fx2_is_a_finding_that_names_both() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let findings = server.items("/api/v1/caches/main/health").await?;
    let about = |hash: &str| {
        findings.iter().any(|finding| {
            let all = finding.to_string();
            finding["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("URL") || reason.contains("NAR"))
                && all.contains(hash)
        })
    };
    ensure!(
        about(FX2_HASH) && about("5gf7jvhvncp4c0lxjws5cyz33s3fdghj"),
        "{findings:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a57_the_signed_fingerprint_of_fx1_is_shown() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let expected = format!(
        "1;{};sha256:1m2nrqa6niw33gqf4dpk59niispxpn91xl2w081n7az5g2d13axr;176;{}",
        fx1::TOP,
        fx1::MID
    );
    let path: Value = server
        .json(&format!("/api/v1/caches/main/paths/{}", fx1::TOP_HASH))
        .await?;
    ensure!(
        path["fingerprint"] == expected.as_str(),
        "the API says {}",
        path["fingerprint"]
    );
    browser
        .open(&format!("/c/main/p/{}/signatures", fx1::TOP_HASH))
        .await?;
    browser
        .until(
            "the fingerprint",
            &format!(
                "return document.querySelector('main').textContent.replace(/\\s+/g, '').includes({})",
                serde_json::to_string(&expected).context("a text is JSON")?
            ),
        )
        .await?;
    let text = browser.page_text().await?;
    ensure!(
        text.contains("snowbank-demo-1") && text.contains("alice-1"),
        "both signers are shown: {text}"
    );
    ensure!(
        text.contains("Unknown key"),
        "a key that nobody knows is unknown, not wrong: {text}"
    );
    let _ = fx1::LEAF;
    browser.finish().await
}
