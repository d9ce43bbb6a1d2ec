//! A cache that is being read for the first time, and what it shows when it is done.

use std::path::Path;

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Setup;

use crate::{crash, faults};

/// FX6 of the acceptance list: 2,600 objects of every kind. Returns the sum of their bytes.
fn fx6(bucket: &Path) -> anyhow::Result<u64> {
    // 1,500 narinfos and nix-cache-info; the rest are NARs, listings and a log.
    crash::fill(bucket, 1500)?;
    for folder in ["nar", "log"] {
        std::fs::create_dir_all(bucket.join(folder))?;
    }
    for number in 0..1000_usize {
        std::fs::write(
            bucket.join(format!("nar/{number:052}.nar.xz")),
            vec![b'x'; number * 7],
        )?;
    }
    for number in 0..98_usize {
        std::fs::write(
            bucket.join(format!("{number:032}.ls")),
            vec![b'{'; 10 + number],
        )?;
    }
    std::fs::write(bucket.join("log/some.drv"), "a build log")?;
    let objects = snowbank_tests::folder::objects(bucket)?;
    ensure!(objects.len() == 2600, "{} objects", objects.len());
    Ok(objects.values().map(|bytes| bytes.len() as u64).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a_cache_of_2600_objects_shows_all_of_them_and_their_exact_bytes() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let bytes = fx6(home.path())?;
    let server = Setup::new()
        .folder("team", home.path(), &[])
        .start()
        .await?;
    server.indexed("team").await?;
    let cache = server
        .eventually(
            std::time::Duration::from_secs(60),
            "the sweep of the whole bucket",
            async || {
                let cache = server.json("/api/v1/caches/team").await?;
                Ok(cache["objects"].is_u64().then_some(cache))
            },
        )
        .await?;
    ensure!(cache["objects"] == 2600, "{}", cache["objects"]);
    ensure!(
        cache["object_bytes"] == bytes,
        "{} instead of {bytes}",
        cache["object_bytes"]
    );
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/team").await?;
    browser.shows("2,600").await?;
    browser.find(&format!("main data[value='{bytes}']")).await?;
    browser.open("/c/team/paths").await?;
    browser.shows("1,500 paths in this cache").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_while_indexing_a_banner_shows_the_share_and_goes_without_a_reload()
-> anyhow::Result<()> {
    let bucket = faults::Bucket::with(3000).await?;
    // Slow enough to be seen, whatever the concurrency.
    bucket
        .proxy
        .trouble
        .delay
        .store(1000, std::sync::atomic::Ordering::SeqCst);
    let server = bucket.setup().start().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/team/paths").await?;
    browser
        .until(
            "the banner with a share of the whole",
            "return /\\d+ % indexed/.test(document.querySelector('#index-banner')?.innerText || '')",
        )
        .await?;
    browser
        .until(
            "numbers marked as approximate",
            "return document.querySelector('main').innerText.includes('≈')",
        )
        .await?;
    browser.script("window.notReloaded = true", vec![]).await?;
    bucket
        .proxy
        .trouble
        .delay
        .store(0, std::sync::atomic::Ordering::SeqCst);
    browser
        .until(
            "the banner gone",
            "return !document.querySelector('#index-banner')",
        )
        .await?;
    browser.shows("3,000 paths in this cache.").await?;
    let text = browser.page_text().await?;
    ensure!(!text.contains('≈'), "still approximate: {text}");
    ensure!(
        browser
            .script("return window.notReloaded === true", vec![])
            .await?
            == true,
        "the page was reloaded"
    );
    browser.finish().await
}
