//! Connect's generator, and what the tests of its other pages do: paste, press, choose, copy.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank_shared::route::ConnectTarget;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

/// Pastes a text over all that stands in a field.
const PASTE: &str = "
const area = document.getElementById(arguments[0]);
area.focus();
area.select();
const data = new DataTransfer();
data.setData('text/plain', arguments[1]);
area.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
";

pub(super) async fn paste(browser: &Browser, field: &str, text: &str) -> anyhow::Result<()> {
    browser.find(&format!("#{field}")).await?;
    browser
        .script(PASTE, vec![json!(field), json!(text)])
        .await?;
    Ok(())
}

/// Presses the button, radio or link with this word, once it is there.
pub(super) async fn press(browser: &Browser, word: &str) -> anyhow::Result<()> {
    let find = format!(
        "const it = [...document.querySelectorAll('main button, main a, main summary, dialog[open] button, main .segments label')].find(e => (e.getAttribute('aria-label') || e.innerText).trim() === {});
         if (!it) return false; (it.querySelector('input') || it).click(); return true",
        json!(word)
    );
    browser.until(word, &find).await
}

/// Chooses in a list of the browser.
pub(super) async fn choose(browser: &Browser, label: &str, word: &str) -> anyhow::Result<()> {
    let act = format!(
        "const label = [...document.querySelectorAll('main label')].find(e => e.innerText.trim() === {});
         const list = label && document.getElementById(label.htmlFor);
         const option = list && [...list.options].find(o => o.innerText.trim() === {});
         if (!option) return false;
         list.value = option.value; list.dispatchEvent(new Event('change', {{bubbles: true}})); return true",
        json!(label),
        json!(word)
    );
    browser.until(&format!("{label}: {word}"), &act).await
}

/// Types over all that stands in a field.
pub(super) async fn fill(browser: &Browser, label: &str, text: &str) -> anyhow::Result<()> {
    let act = format!(
        "const label = [...document.querySelectorAll('main label')].find(e => e.innerText.trim() === {});
         const field = label && document.getElementById(label.htmlFor);
         if (!field) return false;
         field.value = {};
         for (const what of ['input', 'change']) field.dispatchEvent(new Event(what, {{bubbles: true}}));
         return true",
        json!(label),
        json!(text)
    );
    browser.until(label, &act).await
}

/// What the button with this name copies.
pub(super) async fn copied(browser: &Browser, name: &str) -> anyhow::Result<String> {
    // So that an older copy is not taken for this one.
    browser
        .script_async(
            "const done = arguments[arguments.length - 1]; navigator.clipboard.writeText('nothing yet').then(() => done(true), () => done(false))",
            vec![],
        )
        .await?;
    press(browser, name).await?;
    // By the API, not by pasting into a field, which would change the line ends.
    for _ in 0..200 {
        let text = browser
            .script_async(
                "const done = arguments[arguments.length - 1]; navigator.clipboard.readText().then(done, e => done('refused: ' + e))",
                vec![],
            )
            .await?;
        if text != "nothing yet" {
            return Ok(text.as_str().unwrap_or_default().to_owned());
        }
    }
    anyhow::bail!("“{name}” copied nothing")
}

/// The cache of the demo: its URL and its key.
pub(super) async fn cache(server: &Server) -> anyhow::Result<(String, String)> {
    let cache = server.json("/api/v1/caches/main").await?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok((
        text(&cache["url"]).context("a URL")?,
        text(&cache["keys"][0]["public_key"]).context("a key")?,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a32_a34_a35_a36_the_generator_writes_every_target_from_its_address() -> anyhow::Result<()>
{
    let server = Server::demo().await?;
    let (url, key) = cache(&server).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/connect?caches=main&target=nixos").await?;
    browser.shows("nix.settings").await?;
    let module = copied(&browser, "Copy the text").await?;
    ensure!(
        module.contains(&format!("extra-substituters = [ \"{url}\" ]")) && module.contains(&key),
        "{module}"
    );
    browser.accessible("the generator").await?;

    for target in ConnectTarget::ALL {
        browser
            .open(&format!(
                "/connect?caches=main&target={}&extras=fallback,timeout,misses",
                target.as_str()
            ))
            .await?;
        browser.find(".connect-output .output pre").await?;
        let texts = browser
            .script(
                "return [...document.querySelectorAll('.connect-output pre')].map(e => e.textContent)",
                vec![],
            )
            .await?;
        let texts: Vec<String> = serde_json::from_value(texts)?;
        for line in texts.iter().flat_map(|text| text.lines()) {
            let start = line.trim_start().trim_start_matches('\'');
            let plain = ["substituters =", "trusted-public-keys =", "trusted-users ="];
            ensure!(
                !plain.iter().any(|setting| start.starts_with(setting)),
                "{} writes {line:?}",
                target.as_str()
            );
        }
        // The others name the cache by its page, or hold only a token.
        let names = matches!(
            target,
            ConnectTarget::NixConf
                | ConnectTarget::HomeManager
                | ConnectTarget::Flake
                | ConnectTarget::GitHub
                | ConnectTarget::GitLab
                | ConnectTarget::Docker
                | ConnectTarget::Direnv
                | ConnectTarget::Command
        );
        ensure!(
            !names
                || texts
                    .iter()
                    .any(|text| text.contains(&url) && text.contains(&key)),
            "{}: {texts:?}",
            target.as_str()
        );
    }

    browser.open("/connect?caches=main").await?;
    choose(&browser, "Who are you there", "Normal user").await?;
    browser.shows("For the admin").await?;
    let cards = browser
        .script(
            "return [...document.querySelectorAll('.output-card')].map(e => e.innerText)",
            vec![],
        )
        .await?;
    let cards: Vec<String> = serde_json::from_value(cards)?;
    ensure!(cards.len() == 2, "{cards:?}");
    ensure!(
        cards[0].contains("extra-trusted-substituters") && cards[0].contains(&key),
        "the admin's: {}",
        cards[0]
    );
    ensure!(
        cards[1].contains(&format!("extra-substituters = {url}")) && !cards[1].contains(&key),
        "the user's: {}",
        cards[1]
    );
    ensure!(
        browser.location().await?.contains("scope=user"),
        "not in the address"
    );
    browser.shows("That user can become root").await?;

    choose(&browser, "Who are you there", "Admin or root").await?;
    choose(&browser, "Which Nix", "Determinate Nix").await?;
    browser
        .until(
            "the file's name",
            "return document.querySelector('.output .code-head-title')?.textContent === '/etc/nix/nix.custom.conf'",
        )
        .await?;
    ensure!(
        browser.location().await? == "/connect?caches=main&scope=admin&flavour=determinate",
        "{}",
        browser.location().await?
    );
    browser.finish().await
}
