//! The live check, seen in a browser while real Nix asks.

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::Browser;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a48_a49_the_page_says_how_far_each_machine_comes() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("bucket"))?;
    let server = Setup::new()
        .line("live_check.quiet = \"1s\"")
        .line("live_check.silence = \"2s\"")
        .folder("team", &home.path().join("bucket"), &[])
        .start()
        .await?;
    server.indexed("team").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/connect/live?cache=team").await?;
    browser.accessible("the start of a live check").await?;
    let begin = "const it = [...document.querySelectorAll('main button')].find(e => e.innerText.trim() === 'Begin the check'); if (!it || it.ariaDisabled === 'true') return false; it.click(); return true";
    browser.until("the button", begin).await?;
    browser.shows("nix-store -r /nix/store/").await?;
    browser.shows("Your Nix never asked us").await?;
    browser.accessible("nobody asked").await?;

    let command = browser.find(".live .code pre").await?.text().await?;
    let path = command
        .split_whitespace()
        .last()
        .context("a path")?
        .to_owned();
    let url = server.url("/team");
    let other = "other-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    let refused = nix.substitute(&nix.home().join("refused"), &url, other, &path)?;
    ensure!(!refused.success, "it took a path that no key vouches for");
    browser.shows("is not trusted on that machine").await?;
    browser.accessible("a refused signature").await?;

    let key = server.trusted_key("team").await?;
    nix.substitute(&nix.home().join("works"), &url, &key, &path)?
        .ok()?;
    browser.shows("This machine uses the cache").await?;
    let version = nix
        .version
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    browser
        .shows(&format!("Works. Nix {version} from 127.0.0.1"))
        .await?;

    // A second machine is a row of its own.
    let answer = server
        .request(
            reqwest::Method::GET,
            &format!("/team/{}.narinfo", &path["/nix/store/".len()..][..32]),
        )
        .header("user-agent", "curl/8.0 Nix/2.3.16")
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    browser.shows("Nix 2.3.16").await?;
    let rows = browser
        .script(
            "return document.querySelectorAll('.live-machines tbody tr').length",
            vec![],
        )
        .await?;
    ensure!(rows == 2, "{rows} rows");
    browser.accessible("two machines").await?;

    browser
        .open(&format!("/connect/live/{}?cache=team", "0".repeat(32)))
        .await?;
    browser.shows("This check is over").await?;
    browser.finish().await
}
