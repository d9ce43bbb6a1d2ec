//! Merge in the browser. What is pasted stays in the tab: requests are recorded, with what they
//! carry.

use anyhow::ensure;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Server;

use super::connect::{cache, copied, paste, press};

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
    let secret = SecretKey::generate("alice-1", [7; 32])?.to_secret_text();
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
