//! The doctor, and what explains messages of Nix.

use anyhow::{Context as _, ensure};
use serde_json::json;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::connect::{cache, choose, paste, press};

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
    let secret = SecretKey::generate("alice-1", [7; 32])?.to_secret_text();
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
