//! People: signing in, the empty server's wizard, tokens, members, the audit.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank_tests::browser::Browser;
use snowbank_tests::server::{Server, Setup};
use std::sync::atomic::Ordering;

use super::fx1;
use super::scene::private;
use crate::faults::Bucket;

/// Puts a text into the field with this label.
pub(super) async fn fill(browser: &Browser, label: &str, text: &str) -> anyhow::Result<()> {
    let quoted = serde_json::to_string(label)?;
    browser
        .until(
            &format!("the field {label}"),
            &format!(
                "const label = [...document.querySelectorAll('main label')].find(label => label.textContent.trim() === {quoted}); \
                 if (!label) return false; const field = document.getElementById(label.htmlFor); field.focus(); field.select?.(); return document.activeElement === field"
            ),
        )
        .await?;
    browser
        .cdp("Input.insertText", json!({"text": text}))
        .await?;
    Ok(())
}

/// Clicks the button or link with this text, in the open dialog where there is one.
pub(super) async fn click(browser: &Browser, text: &str) -> anyhow::Result<()> {
    let quoted = serde_json::to_string(text)?;
    browser
        .until(
            &format!("the button {text}"),
            &format!(
                "const place = document.querySelector('dialog[open]') ?? document; \
                 const found = [...place.querySelectorAll('button, a')].filter(it => it.textContent.trim() === {quoted} || it.getAttribute('aria-label') === {quoted}).at(-1); \
                 if (!found || found.getAttribute('aria-disabled') === 'true') return false; found.click(); return true"
            ),
        )
        .await
}

/// Signs an owner in, as a person does: opens the machine's link, chooses a name.
async fn sign_in(browser: &Browser, server: &Server, name: &str) -> anyhow::Result<()> {
    // The state may still be opening.
    server.owner(name).await?;
    browser.open(&server.owner_link()?).await?;
    click(browser, "Sign in").await?;
    browser
        .until(
            "the start page",
            "return location.pathname === '/' && document.querySelector('main h1') !== null",
        )
        .await?;
    browser.drawn().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a01_a_server_without_caches_says_so_and_helps_its_owner() -> anyhow::Result<()> {
    let server = Setup::new().start().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/").await?;
    browser.shows("No cache yet").await?;
    browser.shows("An owner of this server connects").await?;
    let text = browser.page_text().await?;
    ensure!(
        !text.contains("0 %") && !text.contains("went wrong"),
        "{text}"
    );
    ensure!(
        !text.contains("Test the connection"),
        "a stranger sees the wizard: {text}"
    );
    sign_in(&browser, &server, "olga").await?;
    browser.shows("No cache yet").await?;
    browser.shows("Test the connection").await?;
    browser.accessible("the wizard").await?;
    let olga = server.owner("olga").await?;
    let rita = olga
        .invite(&server, "rita", json!([{"role": "reader"}]))
        .await?;
    rita.sit_down(&browser, &server).await?;
    browser.open("/").await?;
    browser.shows("Ask an owner: olga").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a02_the_wizard_names_the_missing_permission() -> anyhow::Result<()> {
    let weather = Bucket::with(3).await?;
    let Some((_server, browser)) = founder(&weather).await? else {
        return Ok(());
    };
    click(&browser, "Test the connection").await?;
    browser.shows("List objects").await?;
    browser.shows("It can be listed").await?;
    browser.shows("[caches.team]").await?;
    ensure!(browser.page_text().await?.contains("✔"), "no tick");

    weather
        .proxy
        .trouble
        .refuse_lists
        .store(true, Ordering::Relaxed);
    click(&browser, "Test the connection").await?;
    browser
        .shows("the credentials lack `s3:ListBucket`")
        .await?;
    ensure!(browser.page_text().await?.contains("✘"), "no cross");
    click_summary(&browser).await?;
    browser.shows("\"s3:ListBucket\"").await?;
    browser.accessible("the wizard's checks").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a03_the_wizard_warns_of_rules_that_delete_by_age() -> anyhow::Result<()> {
    const RULES: &str = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Rule><ID>tidy-up</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
        <Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>";
    let weather = Bucket::with(3).await?;
    let Some((_server, browser)) = founder(&weather).await? else {
        return Ok(());
    };
    click(&browser, "Test the connection").await?;
    browser
        .shows("None takes objects of the cache away")
        .await?;
    *weather
        .proxy
        .trouble
        .lifecycle
        .lock()
        .expect("no panic while held") = Some(RULES);
    click(&browser, "Test the connection").await?;
    browser
        .shows("rule `tidy-up` deletes objects 30 days after they came")
        .await?;
    // The warning comes before what is to be saved.
    let order = browser
        .script(
            "const text = document.querySelector('main').innerText; \
             return [text.indexOf('tidy-up'), text.indexOf('[caches.team]')]",
            vec![],
        )
        .await?;
    ensure!(
        order[0].as_i64() < order[1].as_i64() && order[0].as_i64() >= Some(0),
        "{order}"
    );
    browser.finish().await
}

/// A server without caches and its owner, who has filled in where a bucket is.
async fn founder(weather: &Bucket) -> anyhow::Result<Option<(Server, Browser)>> {
    let server = Setup::new()
        .line("outbound_allow = [\"127.0.0.0/8\"]")
        .start()
        .await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(None);
    };
    sign_in(&browser, &server, "olga").await?;
    fill(&browser, "Bucket", "store").await?;
    fill(&browser, "Endpoint", &weather.proxy.endpoint).await?;
    fill(&browser, "Region", "us-east-1").await?;
    browser
        .until(
            "requests without credentials",
            "const box = [...document.querySelectorAll('main label')].find(it => it.textContent.includes('Without credentials')).querySelector('input'); \
             if (!box.checked) box.click(); return box.checked",
        )
        .await?;
    Ok(Some((server, browser)))
}

async fn click_summary(browser: &Browser) -> anyhow::Result<()> {
    browser
        .until(
            "the policy",
            "const it = document.querySelector('main td details'); if (!it) return false; it.open = true; return true",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a37_a_token_is_shown_once_with_its_netrc() -> anyhow::Result<()> {
    let (server, _home) = private().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    sign_in(&browser, &server, "olga").await?;
    browser.open("/me/tokens").await?;
    browser.shows("You have no tokens").await?;
    browser.accessible("the tokens").await?;
    fill(&browser, "Name", "laptop").await?;
    click(&browser, "Make a token").await?;
    browser.shows("The token laptop is made").await?;
    let text = browser.page_text().await?;
    for part in ["machine 127.0.0.1", "login snowbank", "password snb_"] {
        ensure!(text.contains(part), "no `{part}` in: {text}");
    }
    let secret = text
        .split("password ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .context("a token")?
        .to_owned();
    ensure!(
        !browser.url().await?.contains("snb_"),
        "the token is in the address"
    );
    ensure!(
        !browser
            .requests()
            .await?
            .iter()
            .any(|url| url.contains(&secret)),
        "the token is in an address that was asked for"
    );
    // It works as it stands there.
    let answer = server
        .request(reqwest::Method::GET, "/team/nix-cache-info")
        .basic_auth("snowbank", Some(&secret))
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    browser.open("/me/tokens").await?;
    browser.shows("laptop").await?;
    ensure!(
        !browser.page_text().await?.contains(&secret),
        "it is shown twice"
    );
    ensure!(!server.log().contains(&secret), "it is in the log");

    // A82: ended, it stops with the next request.
    click(&browser, "End laptop").await?;
    click(&browser, "End it").await?;
    browser.shows("The token laptop has ended").await?;
    let answer = server
        .request(reqwest::Method::GET, "/team/nix-cache-info")
        .basic_auth("snowbank", Some(&secret))
        .send()
        .await?;
    ensure!(answer.status() == 401, "a82: {}", answer.status());
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a64_the_secret_of_a_cache_key_is_in_no_answer_page_or_log() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    fs::create_dir(home.path().join("bucket"))?;
    let mut server = Setup::new()
        .folder("team", &home.path().join("bucket"), &[])
        .start()
        .await?;
    let key = fs::read_to_string(server.data().join("keys/team.secret"))?;
    let secret = key.trim().split_once(':').context("a key")?.1.to_owned();
    let state = fs::read_to_string(server.data().join("state.secret"))?;
    let state = state
        .trim()
        .split_once(':')
        .context("a secret")?
        .1
        .to_owned();
    let hidden = [&secret[..40], &state[..40]];
    let olga = server.owner("olga").await?;
    let document: Value = server.json("/api/v1/openapi.json").await?;
    let mut looked = 0;
    let paths = document["paths"].as_object().context("paths")?;
    for (path, methods) in paths {
        if methods.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        let path = path
            .replace("{cache}", "team")
            .replace("{hash}", fx1::TOP_HASH)
            .replace("{name}", "team")
            .replace("{id}", "x")
            .replace("{path}", "x");
        let text = server
            .request(reqwest::Method::GET, &format!("/api/v1{path}"))
            .header("cookie", &olga.cookie)
            .send()
            .await?
            .text()
            .await?;
        ensure!(!hidden.iter().any(|secret| text.contains(secret)), "{path}");
        looked += 1;
    }
    ensure!(looked > 10, "only {looked} answers");
    for path in [
        "/c/team/keys.txt",
        "/c/team/keys.json",
        "/c/team/nix.conf",
        "/c/team/module.nix",
        "/metrics",
        "/team/nix-cache-info",
        "/",
    ] {
        let text = server.get(path).await?.text().await?;
        ensure!(!hidden.iter().any(|secret| text.contains(secret)), "{path}");
    }
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    sign_in(&browser, &server, "olga").await?;
    for path in [
        "/",
        "/c/team",
        "/c/team/paths",
        "/connect?caches=team",
        "/members",
        "/me/tokens",
        "/settings",
        "/c/team/settings",
        "/audit",
        "/about",
    ] {
        browser.open(path).await?;
        let html = browser
            .script("return document.documentElement.outerHTML", vec![])
            .await?;
        let html = html.as_str().context("a page")?;
        ensure!(!hidden.iter().any(|secret| html.contains(secret)), "{path}");
    }
    browser.finish().await?;
    server.terminate().await?;
    let log = server.log();
    ensure!(
        !hidden.iter().any(|secret| log.contains(secret)),
        "the log holds a secret"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a83_the_audit_filters_exports_and_shows_a_broken_chain() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir(&bucket)?;
    let server = Setup::new().folder("team", &bucket, &[]).start().await?;
    let olga = server.owner("olga").await?;
    let rita = olga
        .invite(&server, "rita", json!([{"role": "contributor"}]))
        .await?;
    rita.token(&server, &["team"]).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    sign_in(&browser, &server, "olga").await?;
    browser.open("/audit?actor=rita").await?;
    browser.shows("token.create").await?;
    browser.accessible("the audit").await?;
    let rows = "return [...document.querySelectorAll('main tbody tr')].map(row => row.id)";
    let shown: Vec<String> = serde_json::from_value(browser.script(rows, vec![]).await?)?;
    let actors = browser
        .script(
            "return [...document.querySelectorAll('main tbody th')].map(it => it.textContent)",
            vec![],
        )
        .await?;
    ensure!(!shown.is_empty());
    ensure!(
        actors.as_array().context("rows")?.iter().all(|actor| actor
            .as_str()
            .is_some_and(|actor| actor.starts_with("rita"))),
        "{actors}"
    );
    let export = server
        .request(reqwest::Method::GET, "/api/v1/audit?actor=rita&format=csv")
        .header("cookie", &olga.cookie)
        .send()
        .await?
        .text()
        .await?;
    let exported: Vec<&str> = export
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    ensure!(
        exported == shown,
        "{exported:?} are exported, {shown:?} shown"
    );

    browser.open("/audit").await?;
    click(&browser, "Check every chain").await?;
    browser.shows("Everything is as it was written").await?;
    alter_one(&bucket.join(".snowbank/audit"))?;
    browser.open("/audit").await?;
    browser.shows("chain broken at").await?;
    // What other segments hold is still shown.
    let left = browser
        .script(
            "return document.querySelectorAll('main tbody tr').length",
            vec![],
        )
        .await?;
    ensure!(left.as_u64() > Some(0), "the rows are hidden");
    browser.finish().await
}

/// Changes one byte in the middle of the first segment below a folder.
fn alter_one(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let file = files.first().context("no segment")?;
    let mut bytes = fs::read(file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a108_a_button_that_is_refused_says_what_the_api_says() -> anyhow::Result<()> {
    let (server, _home) = private().await?;
    let olga = server.owner("olga").await?;
    let rita = olga
        .invite(&server, "rita", json!([{"role": "reader"}]))
        .await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    rita.sit_down(&browser, &server).await?;
    browser.open("/members").await?;
    browser.shows("Needs Owner. Owner: olga.").await?;
    browser
        .until(
            "a disabled button with its reason",
            "const it = [...document.querySelectorAll('main button')].find(it => it.textContent.includes('Make an invitation link')); \
             return it.getAttribute('aria-disabled') === 'true' && document.getElementById(it.getAttribute('aria-describedby')).textContent === 'Needs Owner. Owner: olga.'",
        )
        .await?;
    browser.accessible("the members as a reader").await?;
    let answer = server
        .request(reqwest::Method::POST, "/api/v1/members")
        .header("cookie", &rita.cookie)
        .header("origin", &server.origin)
        .json(&json!({"name": "sam", "grants": [{"role": "reader"}]}))
        .send()
        .await?;
    ensure!(answer.status() == 403);
    ensure!(answer.json::<Value>().await?["detail"] == "Needs Owner. Owner: olga.");
    // Who is invited to upload reads what that means before accepting.
    let wish = json!({"name": "carl", "grants": [{"role": "contributor"}]});
    let made = olga
        .send(&server, reqwest::Method::POST, "/members", wish)
        .await?;
    let link = made["url"].as_str().context("no link")?;
    browser
        .open(&link[link.find("/invite/").context("no link")?..])
        .await?;
    browser
        .shows("can run code on every machine that trusts the cache")
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a109_a_deep_link_is_where_a_login_returns_to() -> anyhow::Result<()> {
    let (server, _home) = private().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    server.owner("olga").await?;
    let deep = "/c/team/paths?q=top&sort=name";
    browser.open(deep).await?;
    browser.shows("This needs a login").await?;
    ensure!(
        !browser.page_text().await?.contains("top-1.0"),
        "a stranger sees paths"
    );
    click(&browser, "Sign in").await?;
    browser.shows("One-time link").await?;
    browser.accessible("the login").await?;
    let link = server.owner_link()?;
    fill(&browser, "One-time link", &server.url(&link)).await?;
    click(&browser, "Use the link").await?;
    browser.shows("signs you in as olga").await?;
    click(&browser, "Sign in").await?;
    browser
        .until(
            "the deep link",
            &format!("return location.pathname + location.search === '{deep}'"),
        )
        .await?;
    browser.drawn().await?;
    browser.shows("top-1.0").await?;
    browser.finish().await
}
