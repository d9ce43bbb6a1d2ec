//! The closure of a path, whole and with holes, and paths that are not there.

use std::fs;

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::Browser;
use snowbank_tests::folder;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use super::{fx1, pages};

/// The demo's bucket in a folder of its own, to be changed before it is served.
pub(super) fn demo_bucket() -> anyhow::Result<TempDir> {
    let home = tempfile::tempdir()?;
    snowbank::demo::prepare(home.path())?;
    Ok(home)
}

/// FX1 alone, as a bucket.
pub(super) fn fx1_bucket(home: &TempDir) -> anyhow::Result<std::path::PathBuf> {
    let demo = home.path().join("bucket");
    let bucket = home.path().join("fx1");
    fs::create_dir_all(bucket.join("nar"))?;
    fs::copy(demo.join("nix-cache-info"), bucket.join("nix-cache-info"))?;
    for path in [fx1::TOP, fx1::MID, fx1::LEAF] {
        let name = format!("{}.narinfo", &path["/nix/store/".len()..][..32]);
        let narinfo = fs::read_to_string(demo.join(&name))?;
        let url = narinfo
            .lines()
            .find_map(|line| line.strip_prefix("URL: "))
            .context("a narinfo has a URL")?;
        fs::copy(demo.join(url), bucket.join(url))?;
        fs::write(bucket.join(name), narinfo)?;
    }
    Ok(bucket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a22_find_on_the_page_finds_a_package_of_the_closure() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let page = pages::one(&server, "closure-table").await?;
    let hash = page.split('/').nth(4).context("the address has a hash")?;
    let closure = server
        .json(&format!("/api/v1/caches/main/paths/{hash}/closure"))
        .await?;
    let names: Vec<&str> = closure["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    ensure!(names.len() > 10 && closure["next"].is_null(), "{names:?}");
    browser.open(&page).await?;
    browser.find("#closure-table tbody tr").await?;
    // The package at the end is as findable as the first: nothing is drawn on demand.
    for name in names {
        let package = name.split_once("-1").map_or(name, |(package, _)| package);
        let found = browser
            .script(
                "getSelection().removeAllRanges();
                 if (!window.find(arguments[0], false, false, true)) return 'not found';
                 const at = getSelection().anchorNode;
                 return at.parentElement.closest('#closure-table') ? 'in the table' : at.parentElement.outerHTML.slice(0, 200)",
                vec![package.into()],
            )
            .await?;
        // The page's own name stands in its heading first.
        let own = name.starts_with("nixos-system");
        ensure!(
            found == "in the table" || (own && found != "not found"),
            "{package}: {found}"
        );
    }
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_a_closure_names_what_is_referenced_and_not_in_this_cache() -> anyhow::Result<()> {
    let home = demo_bucket()?;
    let bucket = fx1_bucket(&home)?;
    // FX3a: leaf.narinfo removed.
    fs::remove_file(bucket.join(format!("{}.narinfo", fx1::LEAF_HASH)))?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .open(&format!("/c/main/p/{}/closure?view=table", fx1::TOP_HASH))
        .await?;
    browser.find("#closure-table tbody tr").await?;
    let missing = browser
        .script(
            "return [...document.querySelectorAll('#closure-table tbody tr')].filter(r => r.textContent.includes('not in this cache')).map(r => r.innerText.replace(/\\s+/g, ' '))",
            vec![],
        )
        .await?;
    let missing: Vec<String> = serde_json::from_value(missing)?;
    ensure!(
        missing.len() == 1
            && missing[0].replace(' ', "").contains("leaf-1.0")
            && missing[0].contains("referenced, not in this cache"),
        "{missing:?}"
    );
    // The other views name it too: the column of what mid refers to, and the tree.
    let mid = fx1::MID_HASH;
    let at = |view: &str| {
        format!(
            "/c/main/p/{}/closure?view={view}&focus={mid}",
            fx1::TOP_HASH
        )
    };
    browser.open(&at("columns")).await?;
    browser
        .until(
            "leaf in the column of references",
            "return /leaf-1.0.*not in this cache/s.test(document.querySelector('#closure-right .is-missing')?.textContent)",
        )
        .await?;
    browser.open(&at("tree")).await?;
    browser
        .until(
            "mid as the active row",
            "return document.querySelector('#closure-tree .is-active')?.textContent.includes('mid-1.0')",
        )
        .await?;
    browser.press("l").await?;
    browser
        .until(
            "leaf in the tree",
            "return /leaf-1.0.*referenced, not in this cache/s.test(document.querySelector('#closure-tree .is-missing')?.textContent)",
        )
        .await?;
    // The pages of what refers to it say so too.
    browser
        .open(&format!("/c/main/p/{}", fx1::MID_HASH))
        .await?;
    browser.shows("referenced, not in this cache").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_a_hash_that_is_not_in_the_cache_gets_its_own_page_with_status_404()
-> anyhow::Result<()> {
    let home = demo_bucket()?;
    let bucket = fx1_bucket(&home)?;
    let other = tempfile::tempdir()?;
    folder::copy(&bucket, other.path())?;
    fs::remove_file(bucket.join(format!("{}.narinfo", fx1::TOP_HASH)))?;
    // The other cache of this console has it.
    let server = Setup::new()
        .folder("team", &bucket, &["title = \"Team\"".to_owned()])
        .folder("other", other.path(), &[])
        .start()
        .await?;
    server.indexed("team").await?;
    server.indexed("other").await?;
    let page = format!("/c/team/p/{}", fx1::TOP_HASH);
    let status = server.status(&page).await?;
    ensure!(status == 404, "{page} is answered {status}");
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open(&page).await?;
    browser.shows("Not in Team").await?;
    let title = browser
        .script("return document.querySelector('main h1').innerText", vec![])
        .await?;
    ensure!(title == "Not in Team", "the heading is {title}");
    browser.shows("up to an hour").await?;
    browser.shows("narinfo-cache-negative-ttl 0").await?;
    browser
        .until(
            "the other cache's answer",
            "return [...document.querySelectorAll('main li')].some(l => l.innerText.includes('other') && /\\byes\\b/.test(l.innerText))",
        )
        .await?;
    browser.finish().await
}
