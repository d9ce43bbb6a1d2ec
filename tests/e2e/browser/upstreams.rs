//! Upstreams: what the pages say of paths that lie elsewhere, and of what was not uploaded.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::Setup;

use super::pictures;

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_what_lies_on_a_virtual_upstream_and_who_did_not_send_it() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let upstream = Setup::new()
        .folder("main", &closure.cache("zstd"), &[])
        .start()
        .await?;
    upstream.indexed("main").await?;
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    let lines = [
        "[[caches.main.upstreams]]".to_owned(),
        format!("url = {:?}", upstream.url("/main")),
        format!("keys = [{:?}]", closure.public_key),
        "mode = \"virtual\"".to_owned(),
    ];
    let server = Setup::new()
        .line("outbound_allow = [\"127.0.0.0/8\"]")
        .folder("main", &bucket, &lines)
        .start()
        .await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    let wish = json!({"name": "laptop", "caches": ["main"], "verbs": ["push"], "days": 1});
    let token = olga.send(&server, Method::POST, "/tokens", wish).await?;
    let token = token["secret"].as_str().context("a token")?;
    let narinfos = folder::narinfos(&closure.cache("zstd"))?;
    // As nix copy asks before it sends.
    for key in narinfos.keys() {
        let asked = server
            .request(Method::GET, &format!("/main/{key}"))
            .basic_auth("nix", Some(token));
        ensure!(asked.send().await?.status() == 200, "{key}");
    }
    let noted = async || {
        let page = olga.send(&server, Method::GET, "/caches/main/skipped", Value::Null);
        let page = page.await?;
        let all = page["items"][0]["paths"] == narinfos.len();
        Ok(all.then_some(()))
    };
    let patience = Duration::from_secs(20);
    server
        .eventually(patience, "what was skipped", noted)
        .await?;

    let host = upstream.url("/main");
    browser.open("/c/main/upstreams").await?;
    for text in [
        &host,
        "virtual",
        "Nothing of it is kept or signed here",
        "Who skipped what is shown to those who may upload",
    ] {
        browser.shows(text).await?;
    }
    let text = browser.page_text().await?;
    let key = closure.public_key.split(':').next().context("a name")?;
    ensure!(text.contains(key), "{text}");
    ensure!(!text.contains("olga"), "a visitor sees who uploads: {text}");
    // A path that only the upstream has: its page says why it is not here.
    let hash = &closure.doc["/nix/store/".len()..][..32];
    browser.open(&format!("/c/main/p/{hash}")).await?;
    browser
        .shows("It is not kept here, because a virtual upstream has it")
        .await?;
    browser.open("/connect?caches=main").await?;
    browser.shows("With its upstreams").await?;
    browser.shows(&host).await?;

    olga.sit_down(&browser, &server).await?;
    browser.open("/c/main/upstreams").await?;
    browser.shows("olga").await?;
    browser.find("#skipped summary").await?.click().await?;
    browser.shows(&closure.doc["/nix/store/".len()..]).await?;
    browser.accessible("the upstreams").await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.accessible("the upstreams on a phone").await?;
    pictures::take(&browser, &pictures::folder()?, "upstreams-skipped").await?;
    browser.finish().await
}
