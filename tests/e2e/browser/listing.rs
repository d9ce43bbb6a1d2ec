//! The path browser over a large cache: searching while typing, sorting, paging, filters.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;
use snowbank_tests::browser::Browser;
use snowbank_tests::component;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;
use thirtyfour::prelude::*;

/// Paths of the synthetic cache. `SNOWBANK_FX5_PATHS=1000000` makes it the acceptance list's
/// FX5; what is shown here does not depend on the number, so that every run need not wait for it.
const PATHS: u64 = 5000;
/// Rows of a plain page.
const PAGE: usize = 200;

/// `snowbank bench-data` into a new folder.
pub(super) fn bench_data(folder: &Path, paths: u64, options: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(component::binary())
        .args(["bench-data", "--fake-signatures", "--paths"])
        .arg(paths.to_string())
        .args(options)
        .arg("--out")
        .arg(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "bench-data: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

pub(super) async fn large_cache() -> anyhow::Result<(Server, TempDir, u64)> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    let paths = match std::env::var("SNOWBANK_FX5_PATHS") {
        Ok(count) => count.parse().context("SNOWBANK_FX5_PATHS is no number")?,
        Err(_) => PATHS,
    };
    bench_data(&bucket, paths, &[])?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    // About a minute for a million on two quiet cores.
    let patience = Duration::from_secs(60 + paths / 4_000);
    server.indexed_within(patience, "main").await?;
    Ok((server, home, paths))
}

/// The store paths of the rows, from top to bottom.
async fn rows(browser: &Browser) -> anyhow::Result<Vec<String>> {
    let rows = browser
        .script("return [...document.querySelectorAll('#paths-table tbody tr[data-path]')].map(r => r.dataset.path)", vec![])
        .await?;
    Ok(serde_json::from_value(rows)?)
}

/// NarSizes of a path and of everything that it needs, by hash, as its narinfos say it.
async fn closure(server: &Server, root: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(hash) = open.pop() {
        if found.contains_key(&hash) {
            continue;
        }
        let answer = server
            .request(reqwest::Method::GET, &format!("/main/{hash}.narinfo"))
            .send()
            .await?;
        let text = answer.error_for_status()?.bytes().await?;
        let narinfo = NarInfo::parse(&text, &StoreDir::default())?;
        open.extend(narinfo.references().map(|it| it.hash().to_string()));
        found.insert(hash, narinfo.nar_size());
    }
    Ok(found)
}

/// Waits until the rows are those of the API for this query.
async fn shows_rows(
    server: &Server,
    browser: &Browser,
    query: &str,
) -> anyhow::Result<Vec<String>> {
    let page = server
        .json(&format!("/api/v1/caches/main/paths?{query}&limit={PAGE}"))
        .await?;
    let expected: Vec<String> = page["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|row| row["path"].as_str().map(str::to_owned))
        .collect();
    browser
        .until(
            &format!("the rows of {query}"),
            &format!(
                "return JSON.stringify([...document.querySelectorAll('#paths-table tbody tr[data-path]')].map(r => r.dataset.path)) === {}",
                serde_json::json!(serde_json::to_string(&expected)?)
            ),
        )
        .await?;
    Ok(expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn a09_typing_finds_and_the_url_keeps_it() -> anyhow::Result<()> {
    let (server, _home, paths) = large_cache().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // In the field of the page, letter by letter.
    browser.open("/c/main/paths").await?;
    browser.find("#paths-table tbody tr").await?;
    browser.find("#paths-search").await?.click().await?;
    for letter in "python3".chars() {
        browser.press(letter.to_string()).await?;
    }
    let found = shows_rows(&server, &browser, "q=python3").await?;
    ensure!(
        found.len() > 3 && found.iter().all(|path| path.contains("python3")),
        "{found:?}"
    );
    let total = server.json("/api/v1/caches/main/paths?q=python3").await?["total"]
        .as_u64()
        .context("a total")?;
    ensure!(total < paths, "everything matches");
    browser.shows("match “python3”").await?;
    let location = browser.location().await?;
    ensure!(
        location == "/c/main/paths?q=python3",
        "the URL is {location}"
    );
    // The same rows after a reload, in a new tab as it were.
    browser.script("location.reload()", vec![]).await?;
    browser.drawn().await?;
    shows_rows(&server, &browser, "q=python3").await?;
    let field = browser
        .script(
            "return document.querySelector('#paths-search').value",
            vec![],
        )
        .await?;
    ensure!(
        field == "python3",
        "the field holds {field} after the reload"
    );
    // In the field of the top bar: suggestions, and Enter opens the same list.
    browser.open("/c/main").await?;
    browser.press("/").await?;
    for letter in "python3".chars() {
        browser.press(letter.to_string()).await?;
    }
    browser
        .until(
            "suggested paths",
            "return [...document.querySelectorAll('[role=option] .store-path')].some(o => o.textContent.includes('python3'))",
        )
        .await?;
    browser.press(Key::Enter).await?;
    shows_rows(&server, &browser, "q=python3").await?;
    let location = browser.location().await?;
    ensure!(
        location == "/c/main/paths?q=python3",
        "the URL is {location}"
    );
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_an_order_survives_paging_to_page_3_and_back() -> anyhow::Result<()> {
    let (server, _home, _) = large_cache().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths").await?;
    browser.find("#paths-table tbody tr").await?;
    browser
        .script("[...document.querySelectorAll('#paths-table thead a')].find(a => a.textContent.includes('Closure')).click()", vec![])
        .await?;
    browser
        .until(
            "the order in the address",
            "return location.search.includes('sort=-closure_size')",
        )
        .await?;
    let (mut sizes, mut expected, mut cursor) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..3 {
        let page = server
            .json(&format!(
                "/api/v1/caches/main/paths?sort=-closure_size&limit={PAGE}{cursor}"
            ))
            .await?;
        for row in page["items"].as_array().context("items")? {
            sizes.push(row["closure_size"].as_u64().context("a closure size")?);
            expected.push(row["path"].as_str().context("a path")?.to_owned());
        }
        cursor = format!("&cursor={}", page["next"].as_str().context("a next page")?);
    }
    ensure!(
        sizes.len() == 3 * PAGE
            && sizes.is_sorted_by(|a, b| a >= b)
            && sizes[0] > sizes[3 * PAGE - 1],
        "the API's order: {sizes:?}"
    );
    let settled = async |number: usize| -> anyhow::Result<()> {
        let wanted = &expected[(number - 1) * PAGE..number * PAGE];
        browser
            .until(
                &format!("page {number}"),
                &format!(
                    "const rows = [...document.querySelectorAll('#paths-table tbody tr[data-path]')].map(r => r.dataset.path);
                     return rows.length === {PAGE} && rows[0] === {} && rows[{PAGE} - 1] === {}",
                    serde_json::json!(wanted[0]),
                    serde_json::json!(wanted[PAGE - 1])
                ),
            )
            .await?;
        ensure!(
            rows(&browser).await? == wanted,
            "page {number} has other rows"
        );
        let sorted = browser
            .script("return document.querySelector('#paths-table th[aria-sort=descending]')?.textContent.trim()", vec![])
            .await?;
        ensure!(
            sorted.as_str().is_some_and(|head| head.contains("Closure")),
            "the head that says it sorts is {sorted}"
        );
        Ok(())
    };
    settled(1).await?;
    for number in [2, 3] {
        browser.find("a[rel=next]").await?.click().await?;
        settled(number).await?;
    }
    for number in [2, 1] {
        browser.script("history.back()", vec![]).await?;
        settled(number).await?;
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_three_chosen_rows_count_what_they_share_once_as_their_narinfos_say()
-> anyhow::Result<()> {
    let (server, _home, _) = large_cache().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths?sort=-closure_size").await?;
    browser.find("#paths-table tbody tr").await?;
    // The widest closure and two paths of it, found by their hashes.
    let widest = rows(&browser).await?;
    let widest = widest.first().context("a row")?;
    let widest = &widest["/nix/store/".len()..][..32];
    let needed = closure(&server, widest).await?;
    let others = needed.keys().filter(|hash| *hash != widest).take(2);
    let (mut together, mut apart) = (BTreeMap::new(), 0);
    for hash in others.map(String::as_str).chain([widest]) {
        let closure = closure(&server, hash).await?;
        apart += closure.values().sum::<u64>();
        together.extend(closure);
        let field = browser.find("#paths-search").await?;
        field.clear().await?;
        field.click().await?;
        browser.press(hash.to_owned()).await?;
        let row = format!("tr[data-path^='/nix/store/{hash}'] input[type=checkbox]");
        browser.find(&row).await?.click().await?;
    }
    let together: u64 = together.values().sum();
    ensure!(together < apart, "they share nothing");
    browser
        .until(
            "the sums of three",
            &format!(
                "const exact = id => document.querySelector(id + ' data')?.value;
                 return exact('#selection-together') === '{together}' && exact('#selection-apart') === '{apart}'"
            ),
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_where_nothing_matches_the_filter_that_removes_the_last_rows_is_named_and_cleared()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // Valid signatures and this name go together; with this size they do not.
    let query = "q=top-1.0&sig=valid&min=1000000000";
    let page = server
        .json(&format!("/api/v1/caches/main/paths?{query}"))
        .await?;
    ensure!(page["total"] == 0, "something matches: {page}");
    browser.open(&format!("/c/main/paths?{query}")).await?;
    browser.shows("No path matches these filters").await?;
    browser
        .until(
            "what each filter removes",
            "const lines = [...document.querySelectorAll('main .relaxations li')].map(l => l.innerText);
             return lines.length === 3 && !lines.some(l => l.includes('counting'))",
        )
        .await?;
    browser.shows("removes the last rows: without it").await?;
    let named = browser
        .script(
            "return document.querySelector('#no-match').innerText",
            vec![],
        )
        .await?;
    ensure!(
        named.as_str().is_some_and(|named| named.contains("size")),
        "another filter is named: {named}"
    );
    let lines = browser
        .script("return [...document.querySelectorAll('main .relaxations li')].map(l => l.innerText.replace(/\\s+/g, ' '))", vec![])
        .await?;
    let lines: Vec<String> = serde_json::from_value(lines)?;
    for line in &lines {
        let is_size = line.contains("size");
        ensure!(
            is_size != line.contains("still none"),
            "only the size removes the last rows: {lines:?}"
        );
    }
    // Its link drops that filter alone.
    browser
        .script("[...document.querySelectorAll('main .relaxations a')].find(a => a.innerText.includes('size')).click()", vec![])
        .await?;
    browser.find("#paths-table tbody tr").await?;
    let location = browser.location().await?;
    ensure!(
        location.contains("q=top-1.0")
            && location.contains("sig=valid")
            && !location.contains("min="),
        "the URL is {location}"
    );
    // And all can be cleared at once.
    browser.open(&format!("/c/main/paths?{query}")).await?;
    browser.shows("No path matches these filters").await?;
    browser
        .script("[...document.querySelectorAll('main a, main button')].find(a => /clear all/i.test(a.innerText)).click()", vec![])
        .await?;
    browser.find("#paths-table tbody tr").await?;
    ensure!(
        !browser.location().await?.contains("q="),
        "the URL is {}",
        browser.location().await?
    );
    browser.finish().await
}
