//! What is chosen on the generator's page beside the target: another cache, the system that is
//! guessed, the action that installs Nix, the priority. And a live check that cannot be made.

use anyhow::{Context as _, ensure};
use serde_json::json;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::{Server, Setup};

use super::connect::{cache, choose, copied, fill, paste, press};

/// The texts of the files that are shown.
const TEXTS: &str = "return [...document.querySelectorAll('.output .code pre')].map(e => e.textContent).join('\\n')";

async fn texts(browser: &Browser) -> anyhow::Result<String> {
    let texts = browser.script(TEXTS, vec![]).await?;
    Ok(texts.as_str().unwrap_or_default().to_owned())
}

/// Which place is chosen.
async fn place(browser: &Browser) -> anyhow::Result<String> {
    browser.find("#connect-target").await?;
    let value = "return document.getElementById('connect-target').value";
    let value = browser.script(value, vec![]).await?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

async fn apply(browser: &Browser) -> anyhow::Result<String> {
    browser.find(".steps .step").await?;
    let text = "return document.querySelector('.steps .step').innerText";
    let text = browser.script(text, vec![]).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_are_guessed_and_written_and_a_check_without_a_key_says_so() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let (url, _) = cache(&server).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // The system is the browser's; what the address names comes first.
    for (agent, target, command) in [
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140.0",
            "nix-conf",
            "launchctl",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15",
            "command",
            "",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0",
            "nix-conf",
            "systemctl",
        ),
    ] {
        browser
            .cdp(
                "Emulation.setUserAgentOverride",
                json!({"userAgent": agent}),
            )
            .await?;
        browser.open("/connect?caches=main").await?;
        ensure!(place(&browser).await? == target, "{agent}");
        let apply = apply(&browser).await?;
        ensure!(apply.contains(command), "{agent}: {apply}");
        let both = apply.contains("launchctl") && apply.contains("systemctl");
        ensure!(!both, "{agent}: {apply}");
        browser
            .open("/connect?caches=main&target=gitlab-ci")
            .await?;
        ensure!(place(&browser).await? == "gitlab-ci", "{agent}");
    }

    // What was chosen is remembered in this browser, and stands in the address.
    browser.open("/connect?caches=main").await?;
    choose(&browser, "Where", "GitHub Actions").await?;
    browser.shows("cachix/install-nix-action@").await?;
    choose(
        &browser,
        "What installs Nix there",
        "DeterminateSystems/nix-installer-action",
    )
    .await?;
    browser.shows("extra-conf: |").await?;
    fill(&browser, "Priority", "30").await?;
    let with = format!("extra-substituters = {url}?priority=30");
    browser.shows(&with).await?;
    let address = browser.location().await?;
    ensure!(
        address == "/connect?caches=main&target=github-actions&installer=determinate&priority=30",
        "{address}"
    );
    browser.accessible("the choices of a workflow").await?;
    browser.open("/connect?caches=main").await?;
    ensure!(place(&browser).await? == "github-actions", "not remembered");
    browser.shows("As chosen last in this browser.").await?;
    // A normal user still gets two cards, whatever was guessed.
    browser
        .open("/connect?caches=main&target=nix-conf&scope=user")
        .await?;
    browser.shows("For the admin").await?;

    // The demo has no secret key: the page says so before anybody tries.
    browser.open("/connect/live?cache=main").await?;
    browser.shows("No check can be made for this cache").await?;
    browser
        .until(
            "the refused button",
            "const it = [...document.querySelectorAll('main button')].find(e => e.innerText.trim() === 'Begin the check');
             const why = it && document.getElementById(it.getAttribute('aria-describedby'));
             return !!why && it.getAttribute('aria-disabled') === 'true' && why.innerText.includes('secret key')",
        )
        .await?;
    browser.accessible("a check that cannot be made").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cache_is_tested_before_its_lines_are_written_and_never_taken_from_a_link()
-> anyhow::Result<()> {
    let theirs = Server::demo().await?;
    let (their_url, their_key) = cache(&theirs).await?;
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("bucket"))?;
    let server = Setup::new()
        .line("outbound_allow = [\"127.0.0.0/8\"]")
        .folder("team", &home.path().join("bucket"), &[])
        .start()
        .await?;
    server.indexed("team").await?;
    let olga = server.owner("olga").await?;
    let rows = theirs
        .items("/api/v1/caches/main/paths?sort=-closure_size")
        .await?;
    let path = rows[0]["path"].as_str().context("a path")?.to_owned();
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;

    // A link cannot bring one along, and a stranger cannot add one.
    let link = format!("/connect?caches=team&target=nix-conf&url={their_url}&key={their_key}");
    browser.open(&link).await?;
    browser.find(".connect-output .output pre").await?;
    ensure!(
        !texts(&browser).await?.contains(&their_url),
        "taken from a link"
    );
    press(&browser, "Add a cache that is not of this server").await?;
    browser.shows("Needs a login.").await?;

    olga.sit_down(&browser, &server).await?;
    browser.open("/connect?caches=team&target=nix-conf").await?;
    press(&browser, "Add a cache that is not of this server").await?;
    let name = their_key.split(':').next().unwrap_or_default();
    let twin = SecretKey::generate(name, [9; 32])?;
    // A secret key is not sent.
    fill(&browser, "Its URL", &their_url).await?;
    fill(&browser, "Its public key", &twin.to_secret_text()).await?;
    press(&browser, "Test and add").await?;
    browser.find(".other-cache .field-error").await?;
    let asked = browser.requests().await?;
    ensure!(
        !asked.iter().any(|url| url.ends_with("/connect/test")),
        "a secret key was sent: {asked:?}"
    );
    // The same name with other bytes.
    fill(&browser, "Its public key", &twin.public_key().to_string()).await?;
    fill(&browser, "A store path that it has", &path).await?;
    press(&browser, "Test and add").await?;
    browser.shows("The key does not verify it").await?;
    ensure!(
        !texts(&browser).await?.contains(&their_url),
        "added all the same"
    );
    browser.accessible("a key that does not verify").await?;

    fill(&browser, "Its public key", &their_key).await?;
    press(&browser, "Test and add").await?;
    browser.shows("Tested and added").await?;
    browser
        .until(
            "its lines",
            &format!(
                "const text = (() => {{ {TEXTS} }})(); return text.includes({}) && text.includes({})",
                json!(format!("extra-substituters = {their_url}")),
                json!(their_key)
            ),
        )
        .await?;
    let address = browser.url().await?;
    ensure!(
        !address.contains(&their_url) && !address.contains(name),
        "it is in the address: {address}"
    );
    browser.accessible("a cache that was added").await?;
    // Not in what this server hands out.
    choose(&browser, "Where", "Install script").await?;
    browser.shows("The other cache is not in it").await?;
    ensure!(
        !texts(&browser).await?.contains(&their_url),
        "it is in the install script"
    );

    // Merge has it too, until the page is loaded anew.
    press(&browser, "Merge").await?;
    browser.find("#merge-text").await?;
    paste(&browser, "merge-text", "max-jobs = 4\n").await?;
    browser.shows("Take it along").await?;
    let merged = copied(&browser, "Copy the whole file").await?;
    for word in [&their_url, &their_key, &server.url("/team")] {
        ensure!(merged.contains(word.as_str()), "{merged}");
    }
    browser.open("/connect/merge?caches=team").await?;
    browser.find("#merge-text").await?;
    paste(&browser, "merge-text", "max-jobs = 4\n").await?;
    browser.shows("Take it along").await?;
    let merged = copied(&browser, "Copy the whole file").await?;
    ensure!(!merged.contains(&their_url), "{merged}");
    browser.finish().await
}
