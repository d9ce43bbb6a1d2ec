//! Under a path of its own, behind nginx as the README sets it up.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use snowbank_tests::browser::Browser;
use snowbank_tests::nginx::{self, Nginx};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use super::{fx1, pages};

/// The demo's bucket under `/nixcache/` behind nginx. `None` where nginx is skipped.
async fn behind_nginx() -> anyhow::Result<Option<(Server, Nginx, TempDir)>> {
    let home = tempfile::tempdir()?;
    let bucket = snowbank::demo::prepare(home.path())?.bucket;
    let (outside, inside) = (nginx::free_port()?, nginx::free_port()?);
    let Some(nginx) = Nginx::start(outside, inside).await? else {
        return Ok(None);
    };
    let server = Setup::new()
        .line(&format!("public_url = \"{}/nixcache/\"", nginx.origin))
        .line("trusted_proxies = [\"127.0.0.1\"]")
        .env("SNOWBANK_LISTEN", &format!("127.0.0.1:{inside}"))
        .folder("main", &bucket, &[])
        .start()
        .await?;
    ensure!(
        server.origin == format!("{}/nixcache", nginx.origin),
        "the server says that it is at {}",
        server.origin
    );
    server.indexed("main").await?;
    Ok(Some((server, nginx, home)))
}

/// The hash of the page of a path that is not there.
const ABSENT: &str = "00000000000000000000000000000000";

/// Every address that the page holds: of links, forms, scripts, styles, and in its texts.
const ADDRESSES: &str = r#"
document.querySelectorAll('details').forEach(d => d.open = true);
const attributes = [...document.querySelectorAll('[href], [src], [action], [data-href]')]
  .flatMap(e => ['href', 'src', 'action', 'data-href'].map(a => e.getAttribute(a)).filter(Boolean));
const texts = document.body.innerText.match(/https?:\/\/[^\s'"<>,;)]+/g) || [];
return [...new Set([...attributes, ...texts])];
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a104_under_a_sub_path_behind_a_proxy_every_link_stays_below_it() -> anyhow::Result<()> {
    let Some((server, nginx, _home)) = behind_nginx().await? else {
        return Ok(());
    };
    // Requests outside of the path are nginx's, so that the session fails over them too.
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut wrong = Vec::new();
    let mut links = BTreeSet::new();
    for (name, path) in pages::all(&server).await? {
        browser.open(&path).await?;
        let addresses: Vec<String> =
            serde_json::from_value(browser.script(ADDRESSES, vec![]).await?)?;
        ensure!(addresses.len() > 5, "{name} has only {addresses:?}");
        for address in addresses {
            let own = address
                .strip_prefix(&nginx.origin)
                .map_or(address.as_str(), |rest| rest);
            let elsewhere = own.contains("://") && !own.contains("127.0.0.1");
            if elsewhere
                || own.starts_with('#')
                || own.starts_with("data:")
                || own.starts_with("blob:")
            {
                continue;
            }
            if own.starts_with("/nixcache/") || own == "/nixcache" {
                links.insert(own.split('#').next().unwrap_or(own).to_owned());
            } else {
                wrong.push(format!("{name} ({path}): {address}"));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "outside of /nixcache/:\n{}",
        wrong.join("\n")
    );
    ensure!(links.len() > 50, "only {} links", links.len());
    // None of them is dead: what they name is there, or says itself that it is not.
    for link in &links {
        let status = server
            .get(link.strip_prefix("/nixcache").unwrap_or(link))
            .await?
            .status();
        // The page of an absent path links to the answer that says so.
        let absent = [ABSENT, "/pins/prod", "/packages/nothing", "/log"]
            .iter()
            .any(|absent| link.contains(absent))
            && status == 404;
        // So does what is about people, to a stranger.
        let of_people = link
            .strip_prefix("/nixcache/api/v1/")
            .and_then(|rest| rest.split(['/', '?']).next())
            .is_some_and(|what| {
                [
                    "audit",
                    "contributors",
                    "members",
                    "tokens",
                    "settings",
                    "me",
                ]
                .contains(&what)
            })
            || [
                "approvals",
                "policy",
                "uploads",
                "skipped",
                "jobs",
                "batches",
                "rotation",
                "revocation",
                "gc/",
                "usage/clients",
                "alerts",
            ]
            .iter()
            .any(|what| link.contains(&format!("/api/v1/caches/main/{what}")));
        let not_for_strangers = of_people && status == 401;
        // An address that CI posts to is shown, not opened.
        let posted_to = link == "/nixcache/api/v1/oidc/exchange" && status == 405;
        let fine = status.is_success() || status.is_redirection();
        ensure!(
            fine || absent || not_for_strangers || posted_to,
            "{link}: {status}"
        );
    }
    browser.finish().await
}

async fn shell(line: &str) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("sh")
        .args(["-c", &format!("{line} --max-time 20")])
        .output()?;
    ensure!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a104_behind_a_proxy_copied_addresses_and_machine_urls_work() -> anyhow::Result<()> {
    let Some((server, nginx, _home)) = behind_nginx().await? else {
        return Ok(());
    };
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    // The curl line of a page.
    browser.open("/c/main/paths?q=top-1.0").await?;
    browser.find("#paths-table tbody tr").await?;
    let line = browser
        .script(
            "return document.querySelector('.page-actions .api-menu pre').textContent",
            vec![],
        )
        .await?;
    let line = line.as_str().context("a curl line")?;
    ensure!(
        line.contains(&format!("{}/nixcache/api/", nginx.origin)),
        "{line}"
    );
    let rows: Value = serde_json::from_slice(&shell(line).await?)?;
    ensure!(rows["items"][0]["path"] == fx1::TOP, "{line} gives {rows}");
    // What the Copy menu of a path puts into the clipboard.
    browser
        .open(&format!("/c/main/p/{}", fx1::TOP_HASH))
        .await?;
    for (word, end) in [
        (
            "Link to this page",
            format!("/nixcache/c/main/p/{}", fx1::TOP_HASH),
        ),
        (
            "narinfo URL",
            format!("/nixcache/main/{}.narinfo", fx1::TOP_HASH),
        ),
    ] {
        browser
            .script(
                "document.querySelectorAll('details').forEach(d => d.open = true);
                 [...document.querySelectorAll('.menu-list button')].find(b => b.innerText.trim().startsWith(arguments[0])).click()",
                vec![word.into()],
            )
            .await?;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let copied = browser.clipboard().await?;
        ensure!(
            copied.starts_with(&format!("{}{end}", nginx.origin)),
            "{word} copies {copied}"
        );
        let status = server
            .get(
                copied
                    .strip_prefix(&server.origin)
                    .context("its own address")?,
            )
            .await?
            .status();
        ensure!(status == 200, "{copied}: {status}");
    }
    // What Nix needs: the lines, the keys, a narinfo and its archive.
    let lines = server.text("/c/main/nix.conf").await?;
    ensure!(
        lines.contains(&format!("{}/nixcache/main", nginx.origin)),
        "{lines}"
    );
    let narinfo = server
        .text(&format!("/main/{}.narinfo", fx1::TOP_HASH))
        .await?;
    let url = narinfo
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .context("a narinfo has a URL")?;
    let nar = server.bytes(&format!("/main/{url}")).await?;
    ensure!(!nar.is_empty());
    // Nothing answers outside of the path, and the path without its slash leads into it.
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(20))
        .build()?;
    let outside = client
        .get(format!("{}/c/main", nginx.origin))
        .send()
        .await?
        .status();
    ensure!(outside == 404, "outside of the path: {outside}");
    let bare = client
        .get(format!("{}/nixcache", nginx.origin))
        .send()
        .await?;
    ensure!(
        bare.status() == 200 && bare.url().path() == "/nixcache/",
        "{}: {}",
        bare.url(),
        bare.status()
    );
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a104_behind_a_proxy_live_updates_arrive() -> anyhow::Result<()> {
    let Some((server, _nginx, home)) = behind_nginx().await? else {
        return Ok(());
    };
    let answer = server.get("/api/v1/caches/main/events").await?;
    let kind = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(kind.starts_with("text/event-stream"), "{kind}");
    // The first event comes through at once, not when a buffer is full.
    let mut answer = answer;
    let first = tokio::time::timeout(std::time::Duration::from_secs(5), answer.chunk()).await;
    let first = first.context("no event came through the proxy in 5 s")??;
    ensure!(
        first.is_some_and(|bytes| !bytes.is_empty()),
        "the stream ended"
    );
    drop(home);
    Ok(())
}

/// What this test runs is what the README tells people to write.
#[test]
fn a104_the_readme_gives_the_lines_of_nginx_that_are_tested() -> anyhow::Result<()> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme)?;
    ensure!(
        readme.contains(nginx::LOCATION),
        "README.md does not hold tests/fixtures/nginx.conf:\n{}",
        nginx::LOCATION
    );
    Ok(())
}
