//! Usage in a browser: charts, what was not measured, misses, sizes, links (A84–A89).

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;
use thirtyfour::Key;

use super::access::click;
use super::fx1;
use super::upload::{Made, folder};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The demo's bucket in a cache `main`, swept every second.
pub(super) async fn demo_in_a_folder() -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    fs::write(filled.bucket.join("odd name %41 ü.txt"), [b'x'; 12_345])?;
    let lines = [
        format!("public_keys = [{:?}]", filled.public_key),
        "sweep = \"1s\"".to_owned(),
    ];
    let server = Setup::new()
        .folder("main", &filled.bucket, &lines)
        .start()
        .await?;
    server.indexed("main").await?;
    Ok((server, home))
}

/// 80 narinfos that are there and 20 that are not.
async fn ask_a_hundred_times(server: &Server) -> anyhow::Result<()> {
    for _ in 0..80 {
        let here = format!("/main/{}.narinfo", fx1::TOP_HASH);
        ensure!(server.status(&here).await? == 200);
    }
    for number in 10..30 {
        let absent = format!("/main/{}{number}.narinfo", "0".repeat(30));
        ensure!(server.status(&absent).await? == 404);
    }
    Ok(())
}

/// What the chart says below its drawing.
async fn reading(browser: &Browser, chart: &str) -> anyhow::Result<String> {
    let script = format!(
        "return document.querySelector('#{chart} .plot-reading').innerText.replace(/\\s+/g, ' ')"
    );
    let text = browser.script(&script, vec![]).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// Puts the focus on a chart's drawing.
async fn focus(browser: &Browser, chart: &str) -> anyhow::Result<()> {
    let script = format!(
        "const area = document.querySelector('#{chart} .plot-area'); if (!area) return false; area.focus(); return document.activeElement === area"
    );
    browser.until("the focus on the chart", &script).await
}

/// What the live region said last.
const SAID: &str = "return document.querySelector('p[role=status][aria-live=polite].visually-hidden')?.textContent ?? ''";

/// Whether the live region said this.
fn said(words: &str) -> String {
    format!("{{ const said = (() => {{ {SAID} }})(); return said.includes('{words}'); }}")
}

/// Keeps what the page hands to the browser as files.
const KEEP_FILES: &str = "window.taken = []; const make = URL.createObjectURL; \
    URL.createObjectURL = blob => { blob.text().then(text => window.taken.push(text)); return make.call(URL, blob); }";

#[tokio::test(flavor = "multi_thread")]
async fn a84_a85_a88_what_was_asked_is_a_ratio_with_its_counts_and_what_was_not_is_no_zero()
-> anyhow::Result<()> {
    let (server, _home) = demo_in_a_folder().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // A84: long before this server began to count, there is no source for anything.
    browser
        .open("/c/main/usage?tab=traffic&from=2020-01-01&to=2020-01-08")
        .await?;
    browser.shows("Not measured").await?;
    browser.shows("Connect a machine").await?;
    browser.shows("Set up access logs").await?;
    let text = browser.page_text().await?;
    ensure!(
        !text.contains("0 %") && !text.contains("0.0 %"),
        "a zero that nobody measured: {text}"
    );
    browser.accessible("usage that was not measured").await?;

    // A85, by the day: a test that begins before the hour ends would see two steps.
    ask_a_hundred_times(&server).await?;
    server
        .eventually(PATIENCE, "the hundred requests", async || {
            let found = server.json("/api/v1/caches/main/usage").await?["total"].clone();
            Ok((found["hits"] == 80 && found["misses"] == 20).then_some(()))
        })
        .await?;
    browser.open("/c/main/usage?tab=traffic&range=30d").await?;
    browser.shows("80 of 100 narinfos found").await?;
    focus(&browser, "hit-ratio").await?;
    let shown = reading(&browser, "hit-ratio").await?;
    for part in ["Hit ratio 80.0 %", "Found 80", "Missing 20"] {
        ensure!(shown.contains(part), "{part} is not in {shown}");
    }
    let heard = browser.script(SAID, vec![]).await?;
    let heard = heard.as_str().unwrap_or_default();
    for part in ["Hit ratio 80.0 %", "Found 80", "Missing 20"] {
        ensure!(heard.contains(part), "{part} is not in {heard}");
    }
    // A88: the arrow keys move the point; what it says is said.
    browser.press(Key::Left).await?;
    browser
        .until("another point", &said("not measured"))
        .await?;
    let before = reading(&browser, "hit-ratio").await?;
    ensure!(before != shown, "the point did not move: {before}");
    browser.press(Key::Right).await?;
    browser.until("the point again", &said("Found 80")).await?;

    browser.script(KEEP_FILES, vec![]).await?;
    for (chart, title) in [
        ("hit-ratio", "Hit ratio"),
        ("egress", "Egress"),
        ("latency", "Time to answer"),
        ("errors", "Errors"),
    ] {
        table_and_file(&browser, chart, title).await?;
    }
    browser.accessible("usage with its tables").await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.accessible("usage on a phone").await?;
    browser.finish().await
}

/// The chart's table and its CSV have the same steps and the same numbers.
async fn table_and_file(browser: &Browser, chart: &str, title: &str) -> anyhow::Result<()> {
    browser.script("window.taken = []", vec![]).await?;
    click(browser, &format!("CSV of {title}")).await?;
    click(browser, &format!("Table of {title}")).await?;
    browser
        .until("the file", "return window.taken.length === 1")
        .await?;
    browser
        .until(
            "the table",
            &format!("return !!document.querySelector('#{chart} table tbody tr')"),
        )
        .await?;
    // Of each row what it shows, and behind it the exact numbers, which stand in the titles.
    let rows = browser
        .script(
            &format!(
                "return [...document.querySelectorAll('#{chart} table tbody tr')].map(row => \
                 [row.cells[0].innerText.trim(), ...[...row.cells].slice(1).map(cell => cell.title)])"
            ),
            vec![],
        )
        .await?;
    let mut rows: Vec<Vec<String>> = serde_json::from_value(rows)?;
    rows.reverse();
    let file = browser.script("return window.taken[0]", vec![]).await?;
    let file = file.as_str().context("no file")?;
    let lines: Vec<Vec<&str>> = file
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    ensure!(rows.len() == lines.len(), "{title}: {rows:?} and {file}");
    for (row, line) in rows.iter().zip(&lines) {
        let day = line[0].split('T').next().unwrap_or_default();
        ensure!(row[0].starts_with(day), "{row:?} and {line:?}");
        // from, to, measured, the numbers, events; a table without events has no such column.
        let numbers = &line[3..line.len() - 1];
        ensure!(
            row[1..1 + numbers.len()] == *numbers,
            "{row:?} and {line:?}"
        );
    }
    ensure!(
        lines.iter().any(|line| line[2] == "yes") && lines.iter().any(|line| line[2] == "no"),
        "{file}"
    );
    browser.script("window.taken = []", vec![]).await?;
    click(browser, &format!("SVG of {title}")).await?;
    browser
        .until(
            "the drawing",
            "return window.taken.length === 1 && window.taken[0].startsWith('<svg') \
             && !new DOMParser().parseFromString(window.taken[0], 'image/svg+xml').querySelector('parsererror')",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a86_what_an_upstream_has_is_not_worth_caching() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    let upstream = Setup::new()
        .folder("main", &filled.bucket, &[])
        .start()
        .await?;
    upstream.indexed("main").await?;
    let bucket = home.path().join("empty");
    fs::create_dir_all(&bucket)?;
    let lines = [
        "[[caches.main.upstreams]]".to_owned(),
        format!("url = {:?}", upstream.url("/main")),
        format!("keys = [{:?}]", filled.public_key),
        "mode = \"check\"".to_owned(),
    ];
    let server = Setup::new()
        .line("outbound_allow = [\"127.0.0.0/8\"]")
        .folder("main", &bucket, &lines)
        .start()
        .await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let nowhere = "1".repeat(32);
    for hash in [fx1::TOP_HASH, &nowhere] {
        let narinfo = format!("/main/{hash}.narinfo");
        ensure!(server.status(&narinfo).await? == 404, "{hash} is here");
    }
    server
        .eventually(PATIENCE, "the misses", async || {
            let misses = server.json("/api/v1/caches/main/usage/misses").await?;
            let rows = misses["items"].as_array().cloned().unwrap_or_default();
            let hashes: Vec<Value> = rows.iter().map(|row| row["hash"].clone()).collect();
            Ok((hashes == [Value::from(&*nowhere)]).then_some(()))
        })
        .await?;
    browser.open("/c/main/usage?tab=misses&range=24h").await?;
    browser.shows(&nowhere).await?;
    browser.shows("name unknown").await?;
    let text = browser.page_text().await?;
    ensure!(!text.contains(fx1::TOP_HASH), "{text}");
    browser.accessible("the misses").await?;
    browser.finish().await
}

/// Bytes of all objects of a folder that is a bucket.
fn bytes_in(at: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(at)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        // The server's own areas.
        if [".s3", ".snowbank"]
            .iter()
            .any(|own| entry.file_name() == *own)
        {
            continue;
        }
        bytes += if kind.is_dir() {
            bytes_in(&entry.path())?
        } else {
            kind.len()
        };
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a87_stored_is_the_sum_of_all_objects_to_the_byte() -> anyhow::Result<()> {
    let (server, home) = demo_in_a_folder().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let bucket = home.path().join("bucket");
    // Of the state, which goes on growing, the sweep saw what there was then.
    let (stored, state) = server
        .eventually(PATIENCE, "the sizes", async || {
            let storage = server.json("/api/v1/caches/main/storage").await?;
            let classes = storage["classes"].as_array().cloned().unwrap_or_default();
            let state = classes.iter().find(|class| class["class"] == "state");
            let state = state.and_then(|class| class["bytes"].as_u64());
            Ok(storage["stored"].as_u64().zip(state))
        })
        .await?;
    ensure!(
        stored - state == bytes_in(&bucket)?,
        "{stored} bytes, {state} of them state"
    );
    browser.open("/c/main/usage").await?;
    let digits = stored.to_string();
    browser
        .until(
            "the exact bytes",
            &format!(
                "return document.querySelector('.usage-figures')?.innerText.replaceAll(',', '').includes('{digits} bytes in ')"
            ),
        )
        .await?;
    browser.accessible("the storage").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a89_a_copied_link_has_both_ends_and_says_what_changed_since() -> anyhow::Result<()> {
    let (server, home) = demo_in_a_folder().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/c/main/usage?tab=traffic&range=30d").await?;
    browser
        .script(
            "[...document.querySelectorAll('.usage-range label')].find(it => it.innerText.trim() === '7 days').click()",
            vec![],
        )
        .await?;
    browser
        .until(
            "seven days in the address",
            "return !location.search.includes('range=30d')",
        )
        .await?;
    let span = browser.find("#usage-span").await?.text().await?;
    click(&browser, "Copy link").await?;
    browser
        .until(
            "the announcement",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.startsWith('Copied'))",
        )
        .await?;
    let link = browser.clipboard().await?;
    let query = link.split_once('?').context("a query")?.1.to_owned();
    for part in ["tab=traffic", "from=20", "to=20", "at=20"] {
        ensure!(query.contains(part), "{part} is not in {link}");
    }
    ensure!(!query.contains("range="), "{link}");
    browser.finish().await?;

    let Some(other) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let page = format!("/c/main/usage?{query}");
    other.open(&page).await?;
    let same = other.find("#usage-span").await?.text().await?;
    ensure!(same == span, "{same} is not {span}");
    other.shows("No path was added since.").await?;
    let key = SecretKey::generate("late-1", [9; 32])?;
    let made = Made::new("late-1.0", b"late", &[], Some(&key))?;
    folder(home.path().join("bucket"), &[&made])?;
    server
        .eventually(PATIENCE, "the path that came", async || {
            let rows = server.items("/api/v1/caches/main/paths?q=late").await?;
            Ok((!rows.is_empty()).then_some(()))
        })
        .await?;
    other.open(&page).await?;
    other
        .shows("The cache has changed: 1 path was added since.")
        .await?;
    ensure!(other.find("#usage-span").await?.text().await? == span);
    other.accessible("a link with a note").await?;
    other.finish().await
}
