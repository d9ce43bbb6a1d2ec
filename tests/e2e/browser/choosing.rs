//! The path browser's tools: choosing rows, exports, keys, columns, links; and the look-up.

use anyhow::{Context as _, ensure};
use serde_json::json;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::fx1;

/// The first element's text, with every run of space made one.
async fn text_of(browser: &Browser, css: &str) -> anyhow::Result<String> {
    browser.find(css).await?;
    let text = browser
        .script(
            "return document.querySelector(arguments[0]).innerText.replace(/\\s+/g, ' ').trim()",
            vec![css.into()],
        )
        .await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// The store paths of the rows, from top to bottom.
async fn rows(browser: &Browser) -> anyhow::Result<Vec<String>> {
    browser.find("#paths-table tbody tr").await?;
    let rows = browser
        .script("return [...document.querySelectorAll('#paths-table tbody tr')].map(r => r.dataset.path)", vec![])
        .await?;
    Ok(serde_json::from_value(rows)?)
}

fn hash(path: &str) -> &str {
    &path["/nix/store/".len()..][..32]
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_three_chosen_rows_show_their_size_with_what_they_share_counted_once()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // The chain of FX1: each needs the one before, so apart they would be 480 + 304 + 128.
    browser.open("/c/main/paths?sort=name").await?;
    browser.find("#paths-table tbody tr").await?;
    for path in [fx1::TOP, fx1::MID, fx1::LEAF] {
        browser
            .find(&format!("tr[data-path={path:?}] input[type=checkbox]"))
            .await?
            .click()
            .await?;
    }
    browser
        .until(
            "the sum of three",
            "return document.querySelector('#selection-count')?.innerText === '3 paths' && document.querySelector('#selection-apart')",
        )
        .await?;
    let exact = |css: &str| format!("return document.querySelector('{css} data').value");
    let together = browser
        .script(&exact("#selection-together"), vec![])
        .await?;
    let apart = browser.script(&exact("#selection-apart"), vec![]).await?;
    ensure!(together == "480", "together they are {together}");
    let apart: u64 = apart.as_str().unwrap_or_default().parse()?;
    ensure!(apart > 480, "apart they would be {apart}");
    // It is the API's figure.
    let sums = server
        .json(&format!(
            "/api/v1/caches/main/selection?p={}&p={}&p={}",
            hash(fx1::TOP),
            hash(fx1::MID),
            hash(fx1::LEAF)
        ))
        .await?;
    ensure!(
        sums["closure_size"] == 480 && sums["closure_size_apart"] == apart,
        "{sums}"
    );
    // The choice outlives another order and another page of the list.
    browser
        .script("[...document.querySelectorAll('#paths-table thead a')].find(a => a.innerText.includes('NAR size')).click()", vec![])
        .await?;
    browser
        .until(
            "the other order with the rows still chosen",
            "return location.search.includes('nar_size') && document.querySelectorAll('#paths-table tr.is-selected').length === 3",
        )
        .await?;
    browser.find("#selection-clear").await?.click().await?;
    browser
        .until(
            "nothing chosen",
            "return !document.querySelector('.selection-bar') && !document.querySelector('#paths-table tr.is-selected')",
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_the_export_holds_the_filtered_rows_and_the_shown_columns() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .open("/c/main/paths?q=avalanche&sort=-nar_size")
        .await?;
    let shown = rows(&browser).await?;
    ensure!(shown.len() >= 3, "{shown:?}");
    let fetched = browser
        .script_async(
            "const done = arguments[arguments.length - 1];
             const link = [...document.querySelectorAll('.export-menu a[download]')].find(a => a.innerText.includes('CSV') || a.textContent.includes('CSV'));
             fetch(link.href).then(async r => done([r.headers.get('content-disposition'), r.headers.get('content-type'), await r.text()]), e => done(String(e)))",
            vec![],
        )
        .await?;
    let fetched: Vec<String> = serde_json::from_value(fetched)?;
    ensure!(
        fetched[0].contains("main-paths-20") && fetched[0].ends_with("Z.csv\""),
        "{fetched:?}"
    );
    ensure!(fetched[1].starts_with("text/csv"), "{fetched:?}");
    let mut lines = fetched[2].split("\r\n");
    ensure!(
        lines.next()
            == Some("path,hash,name,nar_size,file_size,closure_size,added_at,signature,content"),
        "{}",
        fetched[2]
    );
    let paths: Vec<&str> = lines
        .filter(|line| !line.is_empty())
        .filter_map(|line| line.split(',').next())
        .collect();
    ensure!(paths == shown, "the file has {paths:?}, the page {shown:?}");
    // Hiding a column takes it out of the file, and the choice outlives a reload.
    browser
        .script("[...document.querySelectorAll('.menu-group label')].find(l => l.textContent.includes('Download')).querySelector('input').click()", vec![])
        .await?;
    browser.script("location.reload()", vec![]).await?;
    browser.drawn().await?;
    rows(&browser).await?;
    let columns = browser
        .script("return [[...document.querySelectorAll('#paths-table thead th')].map(h => h.innerText.trim()), [...document.querySelectorAll('.export-menu a')].map(a => a.getAttribute('href'))]", vec![])
        .await?;
    let text = columns.to_string();
    ensure!(
        !text.contains("Download") && !text.contains("file_size"),
        "{text}"
    );
    ensure!(
        text.contains("closure_size") && text.contains("format=ndjson"),
        "{text}"
    );
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_choose_sort_filter_export_and_copy() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/c/main/paths?sort=name").await?;
    let shown = rows(&browser).await?;
    let chosen = "return [...document.querySelectorAll('#paths-table tr.is-selected')].map(r => r.dataset.path)";
    for key in ["j", "j", "x", "j", "j"] {
        browser.press(key).await?;
    }
    ensure!(browser.script(chosen, vec![]).await? == json!([shown[1]]));
    browser.press("X").await?;
    ensure!(browser.script(chosen, vec![]).await? == json!(shown[1..4]));
    browser.press("y").await?;
    browser
        .until(
            "the announcement",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.startsWith('Copied'))",
        )
        .await?;
    let copied = browser.clipboard().await?;
    ensure!(copied == shown[3], "the clipboard holds {copied}");
    // From the name to the first column.
    browser
        .script("document.activeElement.blur()", vec![])
        .await?;
    browser.press("s").await?;
    browser
        .until(
            "the next order",
            "return location.search.includes('sort=-nar_size')",
        )
        .await?;
    browser.press("f").await?;
    browser
        .until(
            "the focus in the filters",
            "return !!document.activeElement.closest('#facets')",
        )
        .await?;
    browser.press("f").await?;
    browser
        .until(
            "the focus back in the list",
            "return !!document.activeElement.closest('#paths-table')",
        )
        .await?;
    browser.press("e").await?;
    browser
        .until(
            "the export menu",
            "return !!document.activeElement.closest('.export-menu details[open]')",
        )
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn facets_count_and_turn_a_filter_on_and_off() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths").await?;
    let find = |word: &str| {
        format!(
            "[...document.querySelectorAll('#facets a.facet')].find(a => a.innerText.includes({word:?}))"
        )
    };
    browser
        .until("a facet", &format!("return !!{}", find("Unsigned")))
        .await?;
    let facets = server.json("/api/v1/caches/main/facets").await?;
    let unsigned = facets["signature"]
        .as_array()
        .context("signature")?
        .iter()
        .find(|count| count["value"] == "unsigned")
        .context("the demo has an unsigned path")?["paths"]
        .as_u64()
        .context("a number")?;
    let shown = browser
        .script(
            &format!(
                "return {}.querySelector('.count').innerText.trim()",
                find("Unsigned")
            ),
            vec![],
        )
        .await?;
    ensure!(
        shown.as_str() == Some(unsigned.to_string().as_str()),
        "the facet says {shown}"
    );
    browser
        .script(&format!("{}.click()", find("Unsigned")), vec![])
        .await?;
    browser
        .until(
            "the filtered rows",
            &format!("return location.search.includes('sig=unsigned') && document.querySelectorAll('#paths-table tbody tr').length === {unsigned}"),
        )
        .await?;
    // Other values of the facet still say what they would show.
    browser
        .until(
            "the chosen value among the others",
            &format!(
                "return {}?.getAttribute('aria-current') === 'true' && !!{}",
                find("Unsigned"),
                find("Valid")
            ),
        )
        .await?;
    browser
        .script(&format!("{}.click()", find("Unsigned")), vec![])
        .await?;
    browser
        .until("all rows", "return !location.search.includes('sig=')")
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_says_when_it_was_made_and_what_came_since() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/c/main/paths?q=avalanche").await?;
    rows(&browser).await?;
    browser.press("Y").await?;
    browser
        .until(
            "the announcement",
            "return [...document.querySelectorAll('[role=status]')].some(e => e.textContent.startsWith('Copied'))",
        )
        .await?;
    let link = browser.clipboard().await?;
    let query = link.split_once('?').context("a query")?.1;
    ensure!(query.starts_with("q=avalanche&at=20"), "the link is {link}");
    browser.open(&format!("/c/main/paths?{query}")).await?;
    let note = text_of(&browser, "#link-made").await?;
    ensure!(note.contains("This link was made"), "{note}");
    // One from before the demo shows what came since.
    browser
        .open("/c/main/paths?q=avalanche&at=2000-01-01T00:00:00Z")
        .await?;
    let total = server.json("/api/v1/caches/main/paths?q=avalanche").await?["total"].clone();
    browser
        .shows(&format!("{total} matching paths were added since"))
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_reads_what_a_command_printed() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/lookup").await?;
    let absent = "0".repeat(32);
    let text = format!(
        "this derivation will be built:\n  /nix/store/{absent}-new-1.0.drv\nthese 2 paths will be fetched (1.00 MiB download):\n  {}\n  {}\n",
        fx1::TOP,
        fx1::MID
    );
    let area = browser.find("#lookup-text").await?;
    area.send_keys(&text).await?;
    browser
        .find(".lookup-form button[type=submit]")
        .await?
        .click()
        .await?;
    browser.shows("2 of 3 paths can be had here").await?;
    let shown = browser
        .script("return [...document.querySelectorAll('#lookup-table tbody tr')].map(r => r.innerText.replace(/\\s+/g, ' '))", vec![])
        .await?;
    let shown: Vec<String> = serde_json::from_value(shown)?;
    ensure!(shown.len() == 3, "{shown:?}");
    ensure!(
        shown[0].contains("will be built") && shown[0].contains("not here"),
        "{shown:?}"
    );
    ensure!(
        shown[1].contains("here") && !shown[1].contains("not here"),
        "{shown:?}"
    );
    // The address can be shared: it shows the same.
    let location = browser.location().await?;
    ensure!(
        location.contains(&format!("p={absent}")) && location.contains(hash(fx1::TOP)),
        "the URL is {location}"
    );
    browser.open(&location).await?;
    browser.shows("2 of 3 paths can be had here").await?;
    // What is no path is said beside the field, and nothing is asked.
    browser.open("/lookup").await?;
    let wrong = fx1::TOP.replacen("/xyn", "/eyn", 1);
    browser
        .find("#lookup-text")
        .await?
        .send_keys(&wrong)
        .await?;
    browser
        .find(".lookup-form button[type=submit]")
        .await?
        .click()
        .await?;
    let problem = text_of(&browser, "#lookup-problem").await?;
    ensure!(problem.contains("e o t u"), "{problem}");
    browser.finish().await
}
