//! All rows of a list in one window: any row is reached and exact, however many there are.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;
use thirtyfour::prelude::*;

use super::listing::large_cache;

/// Row elements at most.
const MOST: usize = 60;

/// Every row of the window has arrived.
const ARRIVED: &str =
    "const rows = [...document.querySelectorAll('#paths-table tbody tr[data-row]:not([hidden])')];
     if (!rows.length || rows.some(r => !r.dataset.path)) return false;";

/// The rows of the window from top to bottom, once all are there and `condition` holds of
/// `rows`; each is the one that the server has at its number.
async fn seen(
    server: &Server,
    browser: &Browser,
    what: &str,
    condition: &str,
) -> anyhow::Result<BTreeMap<u64, String>> {
    browser
        .until(what, &format!("{ARRIVED} return {condition}"))
        .await?;
    let drawn = browser
        .script(
            "return [...document.querySelectorAll('#paths-table tbody tr[data-row]:not([hidden])')]
               .map(r => [Number(r.dataset.row), r.dataset.path, Number(r.ariaRowIndex)])",
            vec![],
        )
        .await?;
    let drawn: Vec<(u64, Option<String>, u64)> = serde_json::from_value(drawn)?;
    ensure!(drawn.len() <= MOST, "{what}: {} rows", drawn.len());
    let first = drawn.first().context("a row")?.0;
    let page = server
        .json(&format!(
            "/api/v1/caches/main/paths?sort=name&offset={}&limit={}",
            first - 1,
            drawn.len()
        ))
        .await?;
    let items = page["items"].as_array().context("items")?;
    ensure!(items.len() == drawn.len(), "{what}: rows that do not exist");
    for ((expected, item), (row, path, index)) in (first..).zip(items).zip(&drawn) {
        ensure!(
            *row == expected && *index == row + 1,
            "{what}: out of order: {drawn:?}"
        );
        ensure!(
            item["path"].as_str() == path.as_deref(),
            "{what}: row {row} is {path:?}, not {item}"
        );
    }
    Ok(drawn
        .into_iter()
        .filter_map(|(row, path, _)| Some((row, path?)))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_all_rows_are_in_one_window_and_the_last_is_reached_and_exact() -> anyhow::Result<()> {
    let (server, _home, paths) = large_cache().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.window(1280, 800).await?;
    let shows_row = |row: u64| format!("rows.some(r => r.dataset.row === '{row}')");
    let at_top = |row: u64| format!("rows[0].dataset.row === '{row}'");
    let focus_on =
        |row: u64| format!("return document.activeElement.closest('tr')?.dataset.row === '{row}'");

    // From plain pages to the window, by its link.
    browser.open("/c/main/paths?sort=name").await?;
    browser.find("#as-window").await?.click().await?;
    seen(&server, &browser, "the first rows", &at_top(1)).await?;
    let count = browser
        .script(
            "return Number(document.querySelector('#paths-table').ariaRowCount)",
            vec![],
        )
        .await?;
    ensure!(count == paths + 1, "{count} rows are announced");

    // Downwards by pages: every row once, none twice.
    let focus_window = "document.querySelector('.list-window').focus()";
    browser.script(focus_window, vec![]).await?;
    let mut found = BTreeMap::new();
    for _ in 0..12 {
        let now = seen(&server, &browser, "a page", "true").await?;
        let last = *now.keys().next_back().context("a row")?;
        found.extend(now);
        browser.press(Key::PageDown).await?;
        browser
            .until(
                "the next page",
                &format!("{ARRIVED} return Number(rows[rows.length - 1].dataset.row) > {last}"),
            )
            .await?;
    }
    ensure!(
        found.keys().copied().eq(1..=found.len() as u64),
        "rows are left out: {:?}",
        found.keys()
    );
    let different: std::collections::BTreeSet<&String> = found.values().collect();
    ensure!(different.len() == found.len(), "a path is shown twice");

    // The end by its key, to the last pixel.
    browser.press(Key::End).await?;
    seen(&server, &browser, "the last rows", &shows_row(paths)).await?;
    let whole = "const frame = document.querySelector('.list-window').getBoundingClientRect();
        const row = document.querySelector(`#paths-table tr[data-row='$ROW']`).getBoundingClientRect();
        return row.height > 20 && row.bottom <= frame.bottom + 1 && row.bottom >= frame.bottom - 3";
    browser
        .until(
            "all of the last row",
            &whole.replace("$ROW", &paths.to_string()),
        )
        .await?;
    let first = "return Number(document.querySelector('#paths-table tbody tr[data-row]:not([hidden])').dataset.row)";
    let top = browser.script(first, vec![]).await?;
    let top = top.as_u64().context("a row")?;

    // Back by single rows: by keys, and by as many px as the wheel sends.
    for step in 1..=3 {
        browser.press(Key::Up).await?;
        seen(&server, &browser, "a row up", &at_top(top - step)).await?;
    }
    let scroll = "const row = document.querySelector('#paths-table tbody tr[data-row]:not([hidden])').offsetHeight;
        document.querySelector('.list-window').scrollBy(0, row * $ROWS)";
    // The bar follows the keys in the next frame.
    browser.painted().await?;
    for (rows, wanted) in [("-5", top - 8), ("4", top - 4), ("-1", top - 5)] {
        browser
            .script(&scroll.replace("$ROWS", rows), vec![])
            .await?;
        seen(&server, &browser, "by the wheel", &at_top(wanted)).await?;
        // The bar comes to rest, and the address says where.
        browser
            .until(
                "the row in the address",
                &format!("return new URLSearchParams(location.search).get('row') === '{wanted}'"),
            )
            .await?;
    }
    // Somebody who is given that address sees the same rows.
    browser.script("location.reload()", vec![]).await?;
    browser.drawn().await?;
    seen(
        &server,
        &browser,
        "the rows of the address",
        &at_top(top - 5),
    )
    .await?;

    // By the bar: its ends are the ends, its middle is the middle.
    let bar = "const f = document.querySelector('.list-window'); f.scrollTop = (f.scrollHeight - f.clientHeight) * $PART";
    for (part, condition) in [
        ("0", at_top(1)),
        ("1", shows_row(paths)),
        ("0.5", shows_row(paths / 2)),
    ] {
        browser.script(&bar.replace("$PART", part), vec![]).await?;
        seen(&server, &browser, "where the bar stands", &condition).await?;
    }

    // By number, which is told where it is none.
    browser.find("#row-jump").await?.click().await?;
    browser.press((paths + 1).to_string()).await?;
    browser.press(Key::Enter).await?;
    browser.shows("Type the number of a row, from 1 to").await?;
    browser.find("#row-jump").await?.clear().await?;
    browser.find("#row-jump").await?.click().await?;
    browser.press(paths.to_string()).await?;
    browser.press(Key::Enter).await?;
    seen(&server, &browser, "the row asked for", &shows_row(paths)).await?;
    browser.until("its focus", &focus_on(paths)).await?;
    // From there by letters, and chosen by one.
    browser.press("k").await?;
    browser
        .until("the row before", &focus_on(paths - 1))
        .await?;
    browser.press("x").await?;
    browser.shows("1 path selected").await?;
    browser.press("j").await?;
    browser
        .until("the last row again", &focus_on(paths))
        .await?;
    browser.press(Key::Home).await?;
    seen(&server, &browser, "the first row by Home", &at_top(1)).await?;
    browser.until("its focus", &focus_on(1)).await?;

    // Another order begins at its first row.
    browser.press(Key::End).await?;
    seen(&server, &browser, "the end", &shows_row(paths)).await?;
    browser
        .script("[...document.querySelectorAll('#paths-table thead a')].find(a => a.textContent.includes('NAR size')).click()", vec![])
        .await?;
    let largest = server
        .json("/api/v1/caches/main/paths?sort=-nar_size&limit=1")
        .await?["items"][0]["path"]
        .clone();
    browser
        .until(
            "the largest first",
            &format!(
                "{ARRIVED} return rows[0].dataset.row === '1' && rows[0].dataset.path === {largest}"
            ),
        )
        .await?;

    // It is remembered, until plain pages are asked for.
    browser.open("/c/main/paths").await?;
    browser.find(".list-window tbody tr[data-path]").await?;
    browser.find("#as-pages").await?.click().await?;
    browser
        .until(
            "a plain page",
            "return document.querySelectorAll('#paths-table tbody tr[data-path]').length === 200 && !document.querySelector('.list-window')",
        )
        .await?;
    browser.open("/c/main/paths").await?;
    browser.find("#as-window").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a99_no_row_with_the_focus_is_cut_in_the_window() -> anyhow::Result<()> {
    let (server, _home, _) = large_cache().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    for (width, height) in [(1280, 700), (320, 640)] {
        browser.window(width, height).await?;
        browser.open("/c/main/paths?sort=name&row=1").await?;
        seen(&server, &browser, "the first rows", "true").await?;
        for (key, times) in [("j", 40), ("k", 30)] {
            for step in 0..times {
                browser.press(key).await?;
                browser
                    .until(
                        "a row with the focus, shown whole",
                        "const row = document.activeElement.closest('#paths-table tbody tr');
                         if (!row) return false;
                         const [f, h, r] = [document.querySelector('.list-window'), document.querySelector('#paths-table thead'), row]
                           .map(e => e.getBoundingClientRect());
                         return r.top >= Math.min(h.bottom, f.top + 60) - 1.5 && r.bottom <= f.bottom + 1.5",
                    )
                    .await
                    .with_context(|| format!("{width} px, {key} {step}"))?;
            }
        }
        let row = browser
            .script(
                "return document.activeElement.closest('tr').dataset.row",
                vec![],
            )
            .await?;
        ensure!(
            row == "10",
            "after 40 down and 30 up the focus is in row {row}"
        );
        let wide = browser
            .script(
                "return document.documentElement.scrollWidth - innerWidth",
                vec![],
            )
            .await?;
        ensure!(
            wide.as_f64().is_some_and(|wide| wide <= 0.0),
            "at {width} px the page is {wide} px too wide"
        );
    }
    browser.finish().await
}
