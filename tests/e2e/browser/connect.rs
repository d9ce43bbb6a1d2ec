//! Connect: the generator, merge, doctor, explain. What is pasted stays in the tab: requests are
//! recorded, with what they carry.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank_shared::route::ConnectTarget;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

/// Notes every request that the page makes from now on, with its method and body.
const RECORD: &str = "
window.sent = [];
const f = window.fetch;
window.fetch = function (input, init) {
  const request = input instanceof Request ? input.clone() : new Request(input, init);
  request.text().then(body => window.sent.push(request.method + ' ' + request.url + ' ' + body));
  return f.apply(this, arguments);
};
const beacon = navigator.sendBeacon;
navigator.sendBeacon = function (url, body) { window.sent.push('BEACON ' + url + ' ' + body); return beacon.apply(this, arguments); };
const open = XMLHttpRequest.prototype.open;
XMLHttpRequest.prototype.open = function (method, url) { window.sent.push(method + ' ' + url); return open.apply(this, arguments); };
";

/// Pastes a text over all that stands in a field.
const PASTE: &str = "
const area = document.getElementById(arguments[0]);
area.focus();
area.select();
const data = new DataTransfer();
data.setData('text/plain', arguments[1]);
area.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
";

async fn paste(browser: &Browser, field: &str, text: &str) -> anyhow::Result<()> {
    browser.find(&format!("#{field}")).await?;
    browser
        .script(PASTE, vec![json!(field), json!(text)])
        .await?;
    Ok(())
}

/// Presses the button, radio or link with this word, once it is there.
async fn press(browser: &Browser, word: &str) -> anyhow::Result<()> {
    let find = format!(
        "const it = [...document.querySelectorAll('main button, main a, main summary, dialog[open] button, main .segments label')].find(e => (e.getAttribute('aria-label') || e.innerText).trim() === {});
         if (!it) return false; (it.querySelector('input') || it).click(); return true",
        json!(word)
    );
    browser.until(word, &find).await
}

/// Chooses in a list of the browser.
async fn choose(browser: &Browser, label: &str, word: &str) -> anyhow::Result<()> {
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

/// What the button with this name copies.
async fn copied(browser: &Browser, name: &str) -> anyhow::Result<String> {
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
async fn cache(server: &Server) -> anyhow::Result<(String, String)> {
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

/// FX4: files as people have them.
fn files(url: &str, key: &str) -> Vec<(&'static str, String)> {
    vec![
        ("nothing", String::new()),
        ("comments", "# mine\n\n# yours\n".to_owned()),
        ("no last line end", "max-jobs = 4".to_owned()),
        ("Windows", "max-jobs = 4\r\n# a\r\nsandbox = true\r\n".to_owned()),
        ("byte order mark", "\u{feff}max-jobs = 4\nsandbox = true\n".to_owned()),
        (
            "an extra line to append to",
            "extra-substituters = https://a.example.org\nextra-trusted-public-keys = a-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=\n".to_owned(),
        ),
        (
            "plain lists",
            "substituters = https://cache.nixos.org/ # ours\ntrusted-public-keys = cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=\n".to_owned(),
        ),
        ("an include", "!include secrets.conf\nbinary-caches = https://cache.nixos.org\n".to_owned()),
        ("only the URL", format!("extra-substituters = {url}/\n# key: {}\n", key.len())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a38_to_a46_merge_edits_a_pasted_file_in_this_tab() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let (url, key) = cache(&server).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/connect/merge?caches=main").await?;
    browser.find("#merge-text").await?;
    browser.script(RECORD, vec![]).await?;
    // A word that no request may carry.
    let marked = |text: &str| format!("{text}# kept-in-the-tab-7f3a\n");

    // A38, with Windows' line ends: nothing changes, byte for byte.
    let set = format!(
        "# mine\r\nextra-substituters = {url}\r\nextra-trusted-public-keys = {key}\r\n# kept-in-the-tab-7f3a\r\n"
    );
    paste(&browser, "merge-text", &set).await?;
    browser.shows("Already set. No change.").await?;
    ensure!(
        copied(&browser, "Copy the text").await? == set,
        "it has changed"
    );

    // A39, A40: twice is once, and removing gives the file back.
    for (name, text) in files(&url, &key) {
        press(&browser, "Add").await?;
        paste(&browser, "merge-text", &text).await?;
        browser.shows("Take it along").await?;
        let merged = copied(&browser, "Copy the whole file").await?;
        ensure!(
            merged != text && merged.contains(&key),
            "{name}: {merged:?}"
        );
        paste(&browser, "merge-text", &merged).await?;
        browser.shows("Already set. No change.").await?;
        press(&browser, "Remove").await?;
        browser.shows("Take it along").await?;
        let back = copied(&browser, "Copy the whole file").await?;
        let wanted = if name == "only the URL" {
            // The URL was the cache's too: without its comment nobody can tell whose it was.
            continue;
        } else {
            text
        };
        ensure!(back == wanted, "{name}: {back:?} is not {wanted:?}");
    }
    press(&browser, "Add").await?;
    browser.accessible("merge").await?;

    // A41: what a later line throws away, seen and put right.
    let lost = format!(
        "extra-substituters = https://lost.example.org {url}\nextra-trusted-public-keys = {key} l-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=\nsubstituters = https://cache.nixos.org {url}\n"
    );
    paste(&browser, "merge-text", &lost).await?;
    browser.find("[data-rule=D08]").await?;
    browser
        .until(
            "the lost cache",
            "return [...document.querySelectorAll('.effective .is-lost')].some(e => e.innerText.includes('lost.example.org'))",
        )
        .await?;
    browser
        .until(
            "the fix",
            "const b = document.querySelector('[data-rule=D08] button'); if (!b) return false; b.click(); return true",
        )
        .await?;
    browser
        .until(
            "the cache in force",
            "return !document.querySelector('[data-rule=D08]') && ![...document.querySelectorAll('.effective .is-lost')].some(e => e.innerText.includes('lost.example.org'))",
        )
        .await?;
    let changed = browser
        .script(
            "return [...document.querySelectorAll('.diff .diff-added, .diff .diff-removed')].map(e => e.innerText)",
            vec![],
        )
        .await?;
    let changed: Vec<String> = serde_json::from_value(changed)?;
    ensure!(
        !changed.is_empty() && changed.iter().all(|line| line.contains("substituters")),
        "the difference shows more than the fix: {changed:?}"
    );

    // A42: two keys with one name.
    let name = key.split(':').next().unwrap_or_default();
    let twin = SecretKey::generate(name, [9; 32])?.public_key();
    paste(
        &browser,
        "merge-text",
        &marked(&format!("extra-trusted-public-keys = {twin}\n")),
    )
    .await?;
    browser.find("dialog[open] .key-pair").await?;
    browser
        .until(
            "both verdicts",
            "const t = document.querySelector('dialog[open]').innerText; return t.includes('Verifies this cache today') && t.includes('Does not verify this cache')",
        )
        .await?;
    let prints = browser
        .script(
            "return [...document.querySelectorAll('dialog[open] .fingerprint')].map(e => e.innerText)",
            vec![],
        )
        .await?;
    let prints: Vec<String> = serde_json::from_value(prints)?;
    ensure!(prints.len() == 2 && prints[0] != prints[1], "{prints:?}");
    browser.accessible("the conflict").await?;
    press(&browser, "Use this cache's key").await?;
    browser.shows("Take it along").await?;
    let merged = copied(&browser, "Copy the whole file").await?;
    ensure!(
        merged.contains(&key) && !merged.contains(&twin.to_string()),
        "{merged}"
    );

    // A45: a file that NixOS writes.
    paste(
        &browser,
        "merge-text",
        "# WARNING: this file is generated from the nix.* options in\n# your NixOS configuration, typically\n# /etc/nixos/configuration.nix.  Do not edit it!\nmax-jobs = auto\n",
    )
    .await?;
    browser.shows("NixOS writes this file").await?;
    browser.shows("nix.settings = {").await?;

    // A46: the line and the column.
    paste(
        &browser,
        "merge-text",
        "max-jobs = 1\nsubstituters=https://x\n",
    )
    .await?;
    let place = browser
        .find("[data-rule=D01] .diagnosis-place")
        .await?
        .text()
        .await?;
    ensure!(place == "line 2, column 13", "{place}");

    // A43: a secret key is stopped, and nothing is asked meanwhile.
    let secret = SecretKey::generate("alice-1", [7; 32])?
        .to_secret_text()
        .to_string();
    let before = sent(&browser).await?;
    paste(
        &browser,
        "merge-text",
        &format!("trusted-public-keys = {secret}\n"),
    )
    .await?;
    browser.shows("D14 Stop: that was a secret key").await?;
    let left = browser
        .script("return document.getElementById('merge-text').value", vec![])
        .await?;
    ensure!(left == "", "the field still holds {left}");
    let after = sent(&browser).await?;
    let new: Vec<&String> = after[before.len()..]
        .iter()
        .filter(|request| !request.contains("/api/v1/caches ") && !request.contains("/_app/"))
        .collect();
    ensure!(
        new.is_empty(),
        "asked while a secret was on the screen: {new:?}"
    );
    ensure!(
        !browser.page_text().await?.contains(&secret[8..60]),
        "the secret is still shown"
    );

    // A44: of all that was pasted nothing left the tab.
    let all = sent(&browser).await?;
    ensure!(!all.is_empty(), "nothing was recorded");
    for request in &all {
        ensure!(request.starts_with("GET "), "something was sent: {request}");
        for word in ["kept-in-the-tab-7f3a", "lost.example.org", &secret[8..60]] {
            ensure!(!request.contains(word), "{word} was sent: {request}");
        }
    }
    let addresses = browser.requests().await?;
    ensure!(
        !addresses
            .iter()
            .any(|url| url.contains("kept-in-the-tab") || url.contains("lost.example.org")),
        "{addresses:?}"
    );
    browser.finish().await
}

/// Requests since [`RECORD`].
async fn sent(browser: &Browser) -> anyhow::Result<Vec<String>> {
    let sent = browser.script("return window.sent", vec![]).await?;
    Ok(serde_json::from_value(sent)?)
}

/// A sample for each rule that a text alone can break.
fn samples(url: &str, key: &str) -> Vec<(&'static str, String)> {
    let name = key.split(':').next().unwrap_or_default();
    let other = |name: &str| {
        SecretKey::generate(name, [5; 32])
            .map(|key| key.public_key().to_string())
            .unwrap_or_default()
    };
    let keys =
        |key: &str| format!("extra-substituters = {url}\nextra-trusted-public-keys = {key}\n");
    vec![
        ("D01", "substituters=https://x".to_owned()),
        ("D02", "\u{feff}max-jobs = 1\n".to_owned()),
        (
            "D03",
            "substituters = [ \"https://a\" 'https://b' ];\n".to_owned(),
        ),
        ("D04", "max-jobs = 4;\n".to_owned()),
        ("D05", "extra-substitutors = https://a\n".to_owned()),
        ("D06", "system-features = a \\\n  b\n".to_owned()),
        (
            "D07",
            "extra-substituters = https://x#frag https://y\n".to_owned(),
        ),
        (
            "D08",
            "extra-substituters = https://a\nsubstituters = https://b\n".to_owned(),
        ),
        ("D09", "max-jobs = 3\nmax-jobs = 4\n".to_owned()),
        (
            "D10",
            format!("substituters = {url}\nextra-trusted-public-keys = {key}\n"),
        ),
        ("D11", "extra-substituters = https://a.example\n".to_owned()),
        ("D12", keys(&format!("{key} {}", other(name)))),
        ("D13", keys(&format!("{key} team-2:abc"))),
        ("D15", "require-sigs = false\n".to_owned()),
        ("D16", "trusted-users = root @wheel\n".to_owned()),
        ("D17", "accept-flake-config = true\n".to_owned()),
        ("D18", "netrc-file = ~/.netrc\n".to_owned()),
        (
            "D19",
            "machine a password b\nmachine c login d password e\n".to_owned(),
        ),
        ("D22", "extra-substituters = http://a.example\n".to_owned()),
        ("D23", "extra-substituters = s3://bucket\n".to_owned()),
        (
            "D24",
            "binary-caches = https://a.example\nextra-substituters = https://cache.nixos.org\n"
                .to_owned(),
        ),
        ("D25", "include nope.conf\n".to_owned()),
        (
            "D26",
            format!("extra-substituters = {url} {url}/\nextra-trusted-public-keys = {key}\n"),
        ),
        (
            "D27",
            format!("extra-substituters = {url}?priority=50\nextra-trusted-public-keys = {key}\n"),
        ),
        (
            "D30",
            keys(&format!("{key} {}", other("cache.nixos.org-1"))),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a47_the_doctor_finds_each_mistake_and_nothing_in_clean_files() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let (url, key) = cache(&server).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/connect/doctor?caches=main").await?;
    browser.shows("Nothing to examine yet").await?;
    for (rule, text) in samples(&url, &key) {
        paste(&browser, "doctor-text", &text).await?;
        browser
            .find(&format!("[data-rule={rule}] .diagnosis-place"))
            .await
            .with_context(|| format!("{rule} in {text:?}"))?;
    }
    browser.accessible("findings").await?;
    for text in [
        "max-jobs = auto\nexperimental-features = nix-command flakes\n".to_owned(),
        "# a comment\r\n\r\nsandbox = true\r\n".to_owned(),
        "machine a login b password c\n".to_owned(),
    ] {
        paste(&browser, "doctor-text", &text).await?;
        browser.shows("Nothing wrong found").await?;
        let found = browser
            .script(
                "return document.querySelectorAll('[data-rule]').length",
                vec![],
            )
            .await?;
        ensure!(found == 0, "{text:?} has {found} findings");
    }
    // D14 stops everything.
    let secret = SecretKey::generate("alice-1", [7; 32])?
        .to_secret_text()
        .to_string();
    paste(&browser, "doctor-text", &secret).await?;
    browser.shows("D14 Stop").await?;
    // What depends on whose file it is, and on the version.
    press(&browser, "A user's or a flake's").await?;
    paste(
        &browser,
        "doctor-text",
        &format!("extra-trusted-public-keys = {key}\n"),
    )
    .await?;
    press(&browser, "More about the machine").await?;
    choose(&browser, "In trusted-users?", "No").await?;
    browser.find("[data-rule=D20]").await?;
    paste(
        &browser,
        "doctor-text",
        &format!("extra-substituters = {url}/\n"),
    )
    .await?;
    paste(
        &browser,
        "doctor-system",
        &format!("extra-trusted-substituters = {url}\n"),
    )
    .await?;
    browser.find("[data-rule=D21]").await?;
    press(&browser, "The system's").await?;
    choose(&browser, "Version of Nix", "2.8").await?;
    paste(&browser, "doctor-text", "always-allow-substitutes = true\n").await?;
    browser.find("[data-rule=D29]").await?;

    // A fix is an edit that is shown, and taken back.
    paste(&browser, "doctor-text", "extra-substitutors = https://a\n").await?;
    press(&browser, "Fix it").await?;
    browser.shows("What was put right").await?;
    press(&browser, "Take the fixes back").await?;
    browser.find("[data-rule=D05]").await?;
    browser.finish().await
}

/// The messages of ux/vectors.md 9.2, as Nix words them.
const MESSAGES: [(&str, &str); 20] = [
    (
        "untrusted-substituter",
        "warning: ignoring untrusted substituter 'https://cache.example.com', you are not a trusted user.",
    ),
    (
        "restricted-setting",
        "warning: ignoring the client-specified setting 'trusted-public-keys', because it is a restricted setting and you are not a trusted user",
    ),
    (
        "not-signed-by-any-key",
        "warning: ignoring substitute for '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' from 'https://cache.example.com', as it's not signed by any of the keys in 'trusted-public-keys'",
    ),
    (
        "lacks-a-signature",
        "error: cannot add path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' because it lacks a signature by a trusted key",
    ),
    (
        "path-untrusted",
        "path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' is untrusted",
    ),
    (
        "flake-asks",
        "do you want to allow configuration setting 'extra-substituters' to be set to 'https://c' (y/N)?",
    ),
    (
        "http-401-403",
        "error: unable to download 'https://cache.example.com/nix-cache-info': HTTP error 401",
    ),
    (
        "not-a-binary-cache",
        "error: 'https://cache.example.com' does not appear to be a binary cache",
    ),
    (
        "nar-missing",
        "error: file 'nar/1q42a29bjw701v658l1wppj4k8hgvv76b4xxj10dk7c2rzjxp4kw.nar.zst' does not exist in binary cache 'https://cache.example.com'",
    ),
    (
        "hash-mismatch",
        "error: hash mismatch importing path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0';",
    ),
    (
        "another-path",
        "error: asked 'https://c' for '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' but got '/nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0'",
    ),
    (
        "narinfo-corrupt",
        "error: NAR info file 'https://c/x.narinfo' is corrupt: expected key at line 1",
    ),
    (
        "other-prefix",
        "error: binary cache 'https://c' is for Nix stores with prefix '/gnu/store', not '/nix/store'",
    ),
    (
        "configuration-line",
        "error: syntax error in configuration line 'substituters=https://x' in '/etc/nix/nix.conf'",
    ),
    (
        "unknown-setting",
        "warning: unknown setting 'extra-substitutors'",
    ),
    ("key-corrupt", "error: secret key is corrupt"),
    (
        "reference-not-valid",
        "error: cannot add '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' to the binary cache because the reference '/nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0' is not valid",
    ),
    (
        "cannot-build",
        "don't know how to build these paths:\n  /nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
    ),
    (
        "cache-disabled",
        "warning: disabling binary cache 'https://cache.example.com' for 60 seconds",
    ),
    (
        "unreachable",
        "warning: error: unable to download 'https://c/nix-cache-info': Couldn't resolve host name (6)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a110_each_message_is_explained_and_the_search_field_hands_it_on() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let (url, key) = cache(&server).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/explain").await?;
    browser.shows("Nothing to explain yet").await?;
    for (id, text) in MESSAGES {
        paste(&browser, "explain-text", text).await?;
        browser
            .find(&format!("[data-message={id}] .causes li"))
            .await
            .with_context(|| text.to_owned())?;
        // The surest comes first.
        let first = browser
            .script(
                "return document.querySelector('[data-message]').dataset.message",
                vec![],
            )
            .await?;
        ensure!(first == id, "{text}: {first} comes first");
    }
    paste(&browser, "explain-text", "error: attribute 'x' missing").await?;
    browser.shows("This message is not recognised").await?;
    browser.accessible("explain").await?;
    // By a link, too.
    browser
        .open("/explain?e=error%3A%20secret%20key%20is%20corrupt")
        .await?;
    browser.find("[data-message=key-corrupt]").await?;
    // From the search field, without the address telling.
    browser.open("/c/main").await?;
    browser.find(".omnibox input").await?;
    browser
        .script(
            "const area = document.querySelector('.omnibox input'); area.focus();
             const data = new DataTransfer(); data.setData('text/plain', arguments[0]);
             area.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}))",
            vec![json!(MESSAGES[0].1)],
        )
        .await?;
    browser.find("[data-message=untrusted-substituter]").await?;
    ensure!(
        browser.location().await? == "/explain",
        "{}",
        browser.location().await?
    );

    // Why is Nix not using this cache?
    let top = super::fx1::TOP;
    browser
        .until(
            "the path's field",
            &format!(
                "const label = [...document.querySelectorAll('main label')].find(e => e.innerText.trim() === 'Store path');
                 const input = label && document.getElementById(label.htmlFor); if (!input) return false;
                 input.value = {}; input.dispatchEvent(new Event('input', {{bubbles: true}})); return true",
                json!(top)
            ),
        )
        .await?;
    paste(&browser, "why-config", "max-jobs = 4\n").await?;
    press(&browser, "Find out").await?;
    browser
        .shows("It is not among the substituters of this configuration")
        .await?;
    browser
        .shows("no key of this configuration verifies that")
        .await?;
    paste(
        &browser,
        "why-config",
        &format!("extra-substituters = {url}\nextra-trusted-public-keys = {key}\n"),
    )
    .await?;
    browser
        .shows("By this configuration Nix takes the path from")
        .await?;
    browser.accessible("why").await?;
    browser.finish().await
}
