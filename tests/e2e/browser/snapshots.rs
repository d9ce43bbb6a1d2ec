//! Every page as assistive technology gets it, against a snapshot: a heading that goes,
//! a button that loses its name, a table that is none any more.
//!
//! On the way it is seen that a page needs nothing but its own origin (A105).
//!
//! A page that was changed on purpose: run this test with `INSTA_UPDATE=always` and
//! read what `git diff` says of `snapshots/`.

use std::time::Duration;

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::pages;

#[tokio::test(flavor = "multi_thread")]
async fn a105_aria_snapshots_of_every_page_with_the_outside_blocked() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let blocked = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1".to_owned();
    let Some(browser) = Browser::start_with(&server.origin, &[blocked]).await? else {
        return Ok(());
    };
    let today = time::OffsetDateTime::now_utc().date().to_string();
    let mut changed = Vec::new();
    for (name, path) in pages::all(&server).await? {
        browser.open(&path).await?;
        // What the demo holds was first seen today, this month.
        let month = &today[..7];
        let tree = at_rest(&browser)
            .await?
            .replace(&today, "TODAY")
            .replace(&format!("\"{month}\""), "\"MONTH\"")
            .replace(&format!("month {month}"), "month MONTH");
        ensure!(
            tree.contains("- main") && tree.contains("level=1") && tree.contains("- banner"),
            "{path} has no landmarks and no heading:\n{tree}"
        );
        let failed = browser
            .script(
                "return !!document.querySelector('main .banner-bad [class*=request-id]')",
                vec![],
            )
            .await?;
        ensure!(
            failed == false || name == "withheld",
            "{path} shows a failure: {}",
            browser.page_text().await?
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
    let requests = browser.requests().await?;
    ensure!(
        requests.len() > 40,
        "only {} requests were seen",
        requests.len()
    );
    let outside: Vec<&String> = requests.iter().filter(|url| !browser.is_own(url)).collect();
    ensure!(outside.is_empty(), "{outside:?}");
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
        let asking = browser.script("return window.asking", vec![]).await?;
        same = if now == tree && asking == 0 {
            same + 1
        } else {
            0
        };
        tree = now;
        if same == 2 {
            return Ok(tree);
        }
    }
    anyhow::bail!("the page does not come to rest:\n{tree}")
}
