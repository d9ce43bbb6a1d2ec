//! Why one path needs another, what differs between two closures, and the packages of a cache.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::{Server, Setup};
use thirtyfour::Key;

use super::access::{click, fill};
use super::fx1;
use super::upload::{Made, folder};

/// The names on the chain that is shown first, from the top down.
const CHAIN: &str = "return [...document.querySelectorAll('.why-answer > .chain > li > .chain-step .store-path-name')].map(it => it.textContent)";

async fn at(browser: &Browser, path: &str) -> anyhow::Result<()> {
    let quoted = serde_json::to_string(path)?;
    browser
        .until(
            &format!("the address {path}"),
            &format!("return decodeURIComponent(location.pathname + location.search) === {quoted}"),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a23_a24_w_says_why_and_the_address_says_it_again() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let (mid, leaf) = (fx1::MID_HASH, fx1::LEAF_HASH);
    browser
        .open(&format!("/c/main/p/{}/closure", fx1::TOP_HASH))
        .await?;
    let selected = async |name: &str| {
        browser
            .until(
                &format!("{name} selected"),
                &format!("return document.querySelector('#closure-selected')?.textContent.includes('{name}')"),
            )
            .await
    };
    selected("top-1.0").await?;
    for name in ["mid-1.0", "leaf-1.0"] {
        browser.press("l").await?;
        selected(name).await?;
    }
    browser.press("w").await?;
    let address = format!("/c/main/why/{}...{leaf}", fx1::TOP_HASH);
    at(&browser, &address).await?;
    let shown = async |browser: &Browser| -> anyhow::Result<()> {
        browser.shows("top-1.0 needs leaf-1.0").await?;
        browser
            .shows("One chain of references leads there. The shortest has 2 steps.")
            .await?;
        let chain = browser.script(CHAIN, vec![]).await?;
        ensure!(
            chain == json!(["top-1.0", "mid-1.0", "leaf-1.0"]),
            "{chain}"
        );
        Ok(())
    };
    shown(&browser).await?;
    browser.open(&address).await?;
    shown(&browser).await?;

    // The files behind a reference: top is one file, which names mid.
    click(&browser, "Find the files that mention mid-1.0").await?;
    browser.shows("the path itself").await?;
    browser.shows(&format!("/nix/store/{mid}-mid-1.0")).await?;
    browser
        .accessible("a chain with the files behind it")
        .await?;

    // The other direction, and neither.
    click(&browser, "Swap").await?;
    at(&browser, &format!("/c/main/why/{leaf}...{}", fx1::TOP_HASH)).await?;
    browser.shows("leaf-1.0 does not depend on top-1.0").await?;
    browser
        .shows("It is the other way round: top-1.0 needs leaf-1.0.")
        .await?;
    click(&browser, "Show why").await?;
    shown(&browser).await?;
    let powder = server.items("/api/v1/caches/main/paths?q=powder").await?;
    let powder = powder[0]["hash"].as_str().context("a path")?;
    browser
        .open(&format!("/c/main/why/{}...{powder}", fx1::TOP_HASH))
        .await?;
    browser.shows("top-1.0 does not depend on").await?;
    browser.shows("Nor the other way round").await?;
    let none = "0".repeat(32);
    browser
        .open(&format!("/c/main/why/{}...{none}", fx1::TOP_HASH))
        .await?;
    browser.shows("There is nothing to follow").await?;
    browser.shows("Not in this cache.").await?;

    // From the path itself: what needs it is found by name.
    browser.open(&format!("/c/main/p/{leaf}")).await?;
    browser.shows("Compare with…").await?;
    browser.press("w").await?;
    at(&browser, &format!("/c/main/why/...{leaf}")).await?;
    browser.shows("What needs it?").await?;
    browser
        .accessible("a question for what needs a path")
        .await?;
    fill(&browser, "What needs", "top-1.0").await?;
    browser.find(".end-field [role=option]").await?;
    browser.accessible("suggestions for an end").await?;
    browser.press(Key::Enter).await?;
    at(&browser, &address).await?;
    shown(&browser).await?;
    browser.finish().await
}

/// Two generations of a system in a bucket: a package of each kind of difference.
fn generations(at: std::path::PathBuf) -> anyhow::Result<[String; 2]> {
    let made = |name: &str, contents: &[u8]| Made::new(name, contents, &[], None);
    let common = made("common-1.0", b"common")?;
    let before = [
        made("up-1.9", b"a")?,
        made("down-2.0", b"a")?,
        made("gone-1.0", b"a")?,
        made("same-1.0", b"a")?,
    ];
    let after = [
        made("up-1.10", &[b'b'; 40_000])?,
        made("down-1.5", b"b")?,
        made("fresh-1.0", b"b")?,
        // The same version of the package, and another path.
        made("same-1.0-bin", b"b")?,
    ];
    let system = |name: &str, parts: &[Made]| {
        let references: Vec<&Made> = parts.iter().chain([&common]).collect();
        Made::new(name, b"system", &references, None)
    };
    let (one, two) = (system("system-1", &before)?, system("system-2", &after)?);
    let all: Vec<&Made> = before
        .iter()
        .chain(&after)
        .chain([&common, &one, &two])
        .collect();
    folder(at, &all)?;
    Ok([&one, &two].map(|made| made.path().hash().to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_a27_two_pins_are_compared_copied_and_found_by_their_packages() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    let [one, two] = generations(bucket.clone())?;
    let server = Setup::new().folder("team", &bucket, &[]).start().await?;
    server.indexed("team").await?;
    let olga = server.owner("olga").await?;
    for (path, expected) in [(&one, 0), (&two, 1)] {
        let wish = json!({"path": path, "expected": expected});
        olga.send(&server, Method::PUT, "/caches/team/pins/prod", wish)
            .await?;
    }
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/c/team/pins/prod").await?;
    click(&browser, "Compare revision 1 with 2").await?;
    at(&browser, "/c/team/diff/pin:prod@1...pin:prod@2").await?;
    browser.shows("6 → 6 paths; closure").await?;
    browser
        .shows("to upgrade a machine that has the left:")
        .await?;
    let summary = browser
        .script(
            "return document.getElementById('diff-summary').textContent",
            vec![],
        )
        .await?;
    let summary = summary.as_str().context("a sentence")?;
    ensure!(
        summary.contains("KiB, +") && summary.ends_with(" download."),
        "{summary}"
    );
    let sections = browser
        .script(
            "return [...document.querySelectorAll('.diff-section h2')].map(it => it.textContent.trim())",
            vec![],
        )
        .await?;
    ensure!(
        sections
            == json!([
                "Upgraded 2",
                "Downgraded 1",
                "Added 1",
                "Removed 1",
                "Rebuilt 1"
            ]),
        "{sections}"
    );
    let folded = "return !document.querySelector('#diff-rebuilt details').open";
    ensure!(browser.script(folded, vec![]).await? == true, "it is open");
    browser.accessible("a difference").await?;

    // What is copied is one table of GitHub's Markdown.
    click(&browser, "Copy as Markdown").await?;
    browser
        .until(
            "the announcement",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.replace('\\u00a0', '') === 'Copied')",
        )
        .await?;
    let markdown = browser.clipboard().await?;
    let table: Vec<&str> = markdown
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    ensure!(
        table.len() == 2 + 6 && table.iter().all(|line| line.matches('|').count() == 7),
        "{markdown}"
    );
    ensure!(
        table[0] == "| Change | Package | Left | Right | Δ NAR | Δ download |"
            && table[1] == "| --- | --- | --- | --- | ---: | ---: |"
            && table[2].starts_with("| upgraded | up | 1.9 | 1.10 | +39.1 KiB |"),
        "{markdown}"
    );
    ensure!(
        markdown.contains("/c/team/diff/pin:prod@1...pin:prod@2)"),
        "{markdown}"
    );

    // Filtered, and from a row to the chain behind it.
    fill(&browser, "Filter", "SAME").await?;
    browser
        .until(
            "only what was searched for",
            "return document.querySelectorAll('.diff-section tbody tr').length === 1 && document.querySelector('#diff-rebuilt details').open",
        )
        .await?;
    click(&browser, "Why same").await?;
    browser.shows("system-2 needs same-1.0-bin").await?;
    browser.open("/c/team/diff/pin:prod...pin:prod@2").await?;
    browser.shows("Identical").await?;
    browser.shows("their closures are identical").await?;

    // Pins are found in the fields; what is not there is said.
    browser.open("/c/team/diff").await?;
    browser.shows("Choose two sides").await?;
    fill(&browser, "Left", "prod@1").await?;
    browser.find(".end-field [role=option]").await?;
    browser.press(Key::Enter).await?;
    at(&browser, "/c/team/diff/pin:prod@1...").await?;
    browser.open("/c/team/diff/pin:prod@1...pin:prod@9").await?;
    browser.shows("There is nothing to compare").await?;
    browser.shows("keeps no such revision").await?;

    // Packages: by key, searched, one of them, and two of its versions.
    browser.press("g").await?;
    browser.press("v").await?;
    at(&browser, "/c/team/packages").await?;
    browser.shows("7 packages in this cache.").await?;
    browser
        .find("#packages-search")
        .await?
        .send_keys("sys")
        .await?;
    browser.shows("1 package with “sys” in the name.").await?;
    at(&browser, "/c/team/packages?q=sys").await?;
    browser.accessible("packages").await?;
    click(&browser, "system").await?;
    browser
        .shows("2 versions in 2 paths; the newest is 2;")
        .await?;
    browser.shows("Size over versions").await?;
    browser.shows("Choose two paths below.").await?;
    for version in ["Compare system-2", "Compare system-1"] {
        let tick = format!(
            "const box = document.querySelector('main input[aria-label={version:?}]'); if (!box) return false; box.click(); return box.checked"
        );
        browser.until(version, &tick).await?;
    }
    browser.accessible("a package with two chosen").await?;
    click(&browser, "Compare the two").await?;
    at(&browser, &format!("/c/team/diff/{one}...{two}")).await?;
    browser.shows("6 → 6 paths").await?;
    let absent = server.status("/c/team/packages/nothing").await?;
    ensure!(absent == 404, "{absent}");
    browser.open("/c/team/packages/nothing").await?;
    browser.shows("There is no such package here").await?;
    browser.finish().await
}
