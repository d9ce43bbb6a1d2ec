//! The closure's views: columns by keyboard, and tree, treemap and table of a closure of 5,000 paths.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank_shared::store_path::split_name;
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;
use thirtyfour::Key;

use super::fx1;
use super::listing::bench_data;

/// Paths of FX7.
const PATHS: u64 = 5_000;

#[tokio::test(flavor = "multi_thread")]
async fn a18_columns_by_keyboard_and_one_selection_in_every_view() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.resize(Width::Wide).await?;
    browser.allow_clipboard().await?;
    let leaf = fx1::LEAF_HASH;
    let page = format!("/c/main/p/{}/closure", fx1::TOP_HASH);
    browser.open(&page).await?;
    let selected = async |name: &str| {
        browser
            .until(
                &format!("{name} selected"),
                &format!(
                    "return document.querySelector('#closure-now [aria-selected=true]')?.textContent.includes({0})
                       && document.querySelector('#closure-selected').textContent.includes({0})",
                    json!(name)
                ),
            )
            .await
    };
    selected("top-1.0").await?;
    for (key, name) in [
        ("l", "mid-1.0"),
        ("l", "leaf-1.0"),
        ("h", "mid-1.0"),
        ("l", "leaf-1.0"),
    ] {
        browser.press(key).await?;
        selected(name).await?;
    }
    browser.press("y").await?;
    browser
        .until(
            "that it was copied",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.includes('Copied'))",
        )
        .await?;
    ensure!(browser.clipboard().await? == fx1::LEAF);
    let why = browser
        .script(
            "return document.querySelector('#closure-why').getAttribute('href')",
            vec![],
        )
        .await?;
    ensure!(
        why == format!("/c/main/why/{}...{leaf}", fx1::TOP_HASH),
        "{why}"
    );
    // Back and forward in what was selected, and the address keeps it.
    browser.press("[").await?;
    selected("mid-1.0").await?;
    browser.press("]").await?;
    selected("leaf-1.0").await?;
    browser
        .until(
            "the address of leaf",
            &format!("return location.search.includes('focus={leaf}')"),
        )
        .await?;
    browser.open(&browser.location().await?).await?;
    selected("leaf-1.0").await?;
    // The same path is selected in every view, and Back leads to the view before.
    for (key, view, active) in [
        ("2", "tree", "#closure-tree .is-active"),
        ("3", "treemap", "#closure-treemap .is-active"),
        ("4", "table", "#closure-table tr.is-selected"),
    ] {
        browser.press(key).await?;
        browser
            .until(
                &format!("leaf active in the {view}"),
                &format!(
                    "const e = document.querySelector({}); return location.search.includes('view={view}') && !!e
                       && (e.textContent + e.getAttribute('aria-label')).includes('leaf')",
                    json!(active)
                ),
            )
            .await?;
    }
    browser.script("history.back()", vec![]).await?;
    browser.find("#closure-treemap").await?;
    browser.press("1").await?;
    browser.find("#closure-now").await?;
    // What is chosen in the table is added up.
    browser.press("4").await?;
    browser
        .find("#closure-table thead input")
        .await?
        .click()
        .await?;
    browser
        .until(
            "the sum of the chosen rows",
            "return document.querySelector('#closure-chosen')?.textContent === '3 paths'
               && document.querySelector('#closure-chosen-nar data').value === '480'",
        )
        .await?;
    // The size shown, and Enter.
    browser.press("v").await?;
    browser
        .until(
            "download",
            "return location.search.includes('size=download')",
        )
        .await?;
    browser.press("1").await?;
    browser.find("#closure-now").await?;
    browser
        .script("document.querySelector('#closure-now').focus()", vec![])
        .await?;
    browser.press(Key::Enter).await?;
    browser
        .until(
            "the page of leaf",
            &format!("return location.pathname.endsWith('/p/{leaf}')"),
        )
        .await?;
    browser.finish().await
}

/// FX7: a closure of 5,000 paths, most of them needed by several.
struct Fx7 {
    server: Server,
    graph: Value,
    /// The closure's page.
    page: String,
    _home: TempDir,
}

impl Fx7 {
    async fn start() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let bucket = home.path().join("bucket");
        bench_data(&bucket, PATHS, &["--one-closure"])?;
        let server = Setup::new().folder("main", &bucket, &[]).start().await?;
        server.indexed("main").await?;
        let tops = server
            .items("/api/v1/caches/main/paths?unreferenced=true")
            .await?;
        ensure!(tops.len() == 1, "{} paths that nothing needs", tops.len());
        let root = tops[0]["hash"].as_str().context("a hash")?;
        let graph = server
            .json(&format!("/api/v1/caches/main/paths/{root}/graph"))
            .await?;
        ensure!(graph["paths"] == PATHS, "{} paths", graph["paths"]);
        let mut referrers = BTreeMap::new();
        for node in nodes(&graph)? {
            for to in node["references"].as_array().context("references")? {
                *referrers.entry(to.as_u64()).or_insert(0) += 1;
            }
        }
        let shared = referrers.values().filter(|&&by| by > 1).count();
        ensure!(shared > 1_000, "only {shared} are shared");
        Ok(Self {
            page: format!("/c/main/p/{root}/closure"),
            server,
            graph,
            _home: home,
        })
    }
}

fn nodes(graph: &Value) -> anyhow::Result<&Vec<Value>> {
    graph["items"].as_array().context("nodes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_a20_a21_a22_the_views_of_five_thousand_paths() -> anyhow::Result<()> {
    let fx7 = Fx7::start().await?;
    let Some(browser) = Browser::start(&fx7.server.origin).await? else {
        return Ok(());
    };
    browser.resize(Width::Wide).await?;
    a19_tree(&fx7, &browser).await?;
    a20_a21_treemap(&fx7, &browser).await?;
    a22_table(&fx7, &browser).await?;
    browser.finish().await
}

/// A shared node is unfolded once and later "shown above"; Enter jumps to it.
async fn a19_tree(fx7: &Fx7, browser: &Browser) -> anyhow::Result<()> {
    browser.open(&format!("{}?view=tree", fx7.page)).await?;
    browser.find("#closure-tree [role=treeitem]").await?;
    browser
        .script("document.querySelector('#closure-tree').focus()", vec![])
        .await?;
    let rows = "[...document.querySelectorAll('#closure-tree [data-node]')].map(r => [Number(r.dataset.node), r.querySelector('.tree-again')?.textContent ?? '', r.getAttribute('aria-expanded')])";
    // Down row by row, unfolding each, until something comes again that was unfolded.
    let mut again = None;
    for _ in 0..120 {
        let shut = browser
            .script(
                "return document.querySelector('#closure-tree .is-active')?.getAttribute('aria-expanded') === 'false'",
                vec![],
            )
            .await?;
        browser
            .press(if shut == true { Key::Right } else { Key::Down })
            .await?;
        let found = browser.script(&format!("return {rows}"), vec![]).await?;
        let found: Vec<(u64, String, Option<String>)> = serde_json::from_value(found)?;
        let open: BTreeSet<u64> = found
            .iter()
            .filter(|(_, _, expanded)| expanded.as_deref() == Some("true"))
            .map(|(node, ..)| *node)
            .collect();
        again = found
            .iter()
            .find(|(node, words, _)| words == "↑ shown above" && open.contains(node))
            .map(|(node, ..)| *node);
        let mut whole = BTreeSet::new();
        for (node, words, _) in &found {
            ensure!(
                !words.is_empty() || whole.insert(*node),
                "node {node} is shown twice"
            );
        }
        if again.is_some() {
            break;
        }
    }
    let again = again.context("nothing came again")?;
    let row = format!(
        "[...document.querySelectorAll('#closure-tree [data-node=\"{again}\"]')].find(r => r.querySelector('.tree-again'))"
    );
    browser.script(&format!("{row}.click()"), vec![]).await?;
    browser
        .until(
            "the row that comes again",
            &format!("return {row}.matches('.is-active')"),
        )
        .await?;
    browser.press(Key::Enter).await?;
    browser
        .until(
            "the row above",
            &format!(
                "const a = document.querySelector('#closure-tree .is-active');
                 const tree = document.querySelector('#closure-tree');
                 return a?.dataset.node === '{again}' && !a.querySelector('.tree-again') && a.getAttribute('aria-expanded') === 'true'
                   && tree.getAttribute('aria-activedescendant') === a.id && document.activeElement === tree"
            ),
        )
        .await?;
    browser
        .accessible_in("the tree of FX7", ".closure-view")
        .await
}

/// Tiles add up exactly; arrows, zoom, search, and the table twin.
async fn a20_a21_treemap(fx7: &Fx7, browser: &Browser) -> anyhow::Result<()> {
    browser.open(&format!("{}?view=treemap", fx7.page)).await?;
    browser.find("#closure-treemap [data-tile]").await?;
    let sums = "const tiles = [...document.querySelectorAll('#closure-treemap [data-tile]')];
        return [tiles.length, String(tiles.reduce((sum, t) => sum + BigInt(t.dataset.bytes), 0n)), document.querySelector('#treemap-sum').value]";
    let whole = fx7.graph["nar_size"].to_string();
    let sum = browser.script(sums, vec![]).await?;
    ensure!(
        sum[1] == whole && sum[2] == whole && sum[0].as_u64() > Some(100),
        "the closure has {whole} bytes, count, tiles and readout say {sum}"
    );
    browser.shows("exactly the closure's size").await?;

    let active = "document.querySelector('#closure-treemap').getAttribute('aria-activedescendant')";
    let left = format!(
        "const t = document.getElementById({active}).querySelector('rect').getBoundingClientRect(); return t.left + t.width / 2"
    );
    browser
        .script("document.querySelector('#closure-treemap').focus()", vec![])
        .await?;
    browser.press(Key::Home).await?;
    browser.press(Key::Right).await?;
    let before = browser.script(&left, vec![]).await?.as_f64();
    browser.press(Key::Right).await?;
    let after = browser.script(&left, vec![]).await?.as_f64();
    ensure!(after > before, "Right led from {before:?} to {after:?}");
    browser.press(Key::Down).await?;

    // Into the area of a path that is drawn open, and out again.
    browser
        .script(
            "const inner = document.querySelector('#closure-treemap [data-tile]:not([aria-level=\"1\"])');
             inner.dispatchEvent(new MouseEvent('click', {bubbles: true}))",
            vec![],
        )
        .await?;
    browser.press(Key::Enter).await?;
    browser
        .until("a zoom", "return new URLSearchParams(location.search).get('zoom')?.length === 32 && document.querySelectorAll('.treemap .crumbs li').length > 1")
        .await?;
    let zoom = browser
        .script(
            "return new URLSearchParams(location.search).get('zoom')",
            vec![],
        )
        .await?;
    let node = nodes(&fx7.graph)?
        .iter()
        .find(|node| node["hash"] == zoom)
        .context("the path that fills the map")?;
    let added = node["added_size"].to_string();
    browser
        .until(
            "the added size of what fills the map",
            &format!("return document.querySelector('#treemap-sum').value === '{added}'"),
        )
        .await?;
    let sum = browser.script(sums, vec![]).await?;
    ensure!(sum[1] == added && sum[2] == added, "{added}: {sum}");
    for _ in 0..4 {
        browser.press(Key::Backspace).await?;
    }
    browser
        .until(
            "the whole map",
            &format!("return !location.search.includes('zoom=') && document.querySelector('#treemap-sum').value === '{whole}'"),
        )
        .await?;

    let named = nodes(&fx7.graph)?
        .iter()
        .filter(|node| {
            node["name"]
                .as_str()
                .is_some_and(|name| name.contains("openssl"))
        })
        .count();
    ensure!(named > 0, "FX7 has no openssl");
    browser
        .find("#closure-find")
        .await?
        .send_keys("openssl")
        .await?;
    let plural = if named == 1 { "path" } else { "paths" };
    browser
        .until(
            "the count, announced, and the tile marked",
            &format!(
                "const said = document.querySelector('#closure-found[role=status]').textContent;
                 return said === '{named} {plural} found' && document.querySelectorAll('#closure-treemap .is-found').length > 0"
            ),
        )
        .await?;
    browser
        .find(".treemap details summary")
        .await?
        .click()
        .await?;
    browser
        .until(
            "the same items as a table",
            "const all = css => JSON.stringify([...document.querySelectorAll(css)].map(e => Number(e.dataset.bytes)).sort((a, b) => a - b));
             return all('#treemap-table tbody tr') === all('#closure-treemap [data-tile]')",
        )
        .await?;
    browser
        .accessible_in("the treemap of FX7", ".treemap-plot")
        .await
}

/// Find on the page finds what is at the end of 5,000 rows, and what is on a plain page.
async fn a22_table(fx7: &Fx7, browser: &Browser) -> anyhow::Result<()> {
    browser.open(&format!("{}?view=table", fx7.page)).await?;
    browser
        .until(
            "all rows",
            &format!("return document.querySelectorAll('#closure-table tr[data-node]').length === {PATHS}"),
        )
        .await?;
    let found = "getSelection().removeAllRanges();
        return window.find(arguments[0], false, false, true) && !!getSelection().anchorNode.parentElement.closest('#closure-table')";
    // The version stands in an element of its own; a long name stands nowhere else.
    let package = |node: &Value| {
        let name = node["name"].as_str().unwrap_or_default();
        split_name(name).0.to_owned()
    };
    let last = nodes(&fx7.graph)?.iter().rev().take(100).map(package);
    let last = last.max_by_key(String::len).context("a node")?;
    ensure!(
        browser.script(found, vec![last.as_str().into()]).await? == true,
        "{last} is not found"
    );
    browser
        .open(&format!("{}?view=table&page=2&sort=-added", fx7.page))
        .await?;
    let mut sizes: Vec<u64> = nodes(&fx7.graph)?
        .iter()
        .map(|node| node["added_size"].as_u64().unwrap_or_default())
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    browser
        .until(
            "a plain page of 200",
            &format!(
                "const rows = [...document.querySelectorAll('#closure-table tr[data-node]')];
                 return rows.length === 200 && rows[0].querySelector('[data-label=\"Added size\"] data').value === '{}'",
                sizes[200]
            ),
        )
        .await?;
    let name = browser
        .script("return [...document.querySelectorAll('#closure-table .store-path-name b')].map(b => b.textContent).reduce((a, b) => b.length > a.length ? b : a)", vec![])
        .await?;
    ensure!(browser.script(found, vec![name]).await? == true);
    Ok(())
}
