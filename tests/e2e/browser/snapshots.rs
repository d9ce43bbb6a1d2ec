//! Every page as assistive technology gets it, against a snapshot: a heading that goes,
//! a button that loses its name, a table that is none any more.
//!
//! A page that was changed on purpose: run this test with `INSTA_UPDATE=always` and
//! read what `git diff` says of `snapshots/`.

use std::time::Duration;

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::pages;

#[tokio::test(flavor = "multi_thread")]
async fn aria_snapshots_of_every_page() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let today = time::OffsetDateTime::now_utc().date().to_string();
    let mut changed = Vec::new();
    for (name, path) in pages::all(&server).await? {
        browser.open(&path).await?;
        // What the demo holds was first seen today.
        let tree = at_rest(&browser).await?.replace(&today, "TODAY");
        ensure!(
            tree.contains("- main") && tree.contains("level=1") && tree.contains("- banner"),
            "{path} has no landmarks and no heading:\n{tree}"
        );
        // All differences are wanted, not only the first page's.
        let compared = std::panic::catch_unwind(|| insta::assert_snapshot!(name, tree));
        if compared.is_err() {
            changed.push(name);
        }
    }
    ensure!(
        changed.is_empty(),
        "these pages read otherwise than their snapshots (INSTA_UPDATE=always accepts): {changed:?}"
    );
    browser.finish().await
}

/// The tree once nothing comes any more: pages ask for what they show.
async fn at_rest(browser: &Browser) -> anyhow::Result<String> {
    const PAUSE: Duration = Duration::from_millis(200);
    let mut tree = browser.aria().await?;
    let mut same = 0;
    for _ in 0..50 {
        tokio::time::sleep(PAUSE).await;
        let now = browser.aria().await?;
        same = if now == tree { same + 1 } else { 0 };
        tree = now;
        if same == 2 {
            return Ok(tree);
        }
    }
    anyhow::bail!("the page does not come to rest:\n{tree}")
}
