//! Contributors' keys in the dashboard: made in the tab, proven there, revoked after a count; and
//! no secret key leaves the browser.

use anyhow::ensure;
use serde_json::{Value, json};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::{Server, Setup};

use super::access::{click, fill};
use super::scene;

/// Notes what is sent and what is saved.
const WATCH: &str = "
window.sent = []; window.saved = '';
const fetching = window.fetch;
window.fetch = (...what) => { const request = new Request(...what); request.clone().text().then(text => window.sent.push(request.url + ' ' + text)); return fetching(request); };
const making = URL.createObjectURL;
URL.createObjectURL = blob => { blob.text?.().then(text => { window.saved = text; }); return making.call(URL, blob); };
return true";

/// A server with one cache, which makes its key.
async fn serve() -> anyhow::Result<(Server, tempfile::TempDir)> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir_all(&bucket)?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    Ok((server, home))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_in_the_tab_is_registered_and_proven_and_never_sent() -> anyhow::Result<()> {
    let (server, _home) = serve().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    olga.sit_down(&browser, &server).await?;
    browser.open("/me/keys").await?;
    browser.shows("You have no key").await?;
    browser.accessible("the page of keys without any").await?;
    browser.script(WATCH, vec![]).await?;
    fill(&browser, "Name of a new key", "olga-laptop-1").await?;
    click(&browser, "Make a key and download it").await?;
    browser.shows("The secret key was downloaded").await?;
    browser
        .until(
            "the saved file",
            "return window.saved.startsWith('olga-laptop-1:')",
        )
        .await?;
    fill(
        &browser,
        "Names of the paths that you build",
        "app-*, lib-*",
    )
    .await?;
    click(&browser, "Register the key").await?;
    browser.shows("Prove that you hold olga-laptop-1").await?;
    browser
        .shows("snowbank key prove --key ~/.config/nix/olga-laptop-1.secret")
        .await?;
    browser.accessible("the proof of a key").await?;
    click(&browser, "Prove with the key made here").await?;
    browser
        .shows("You hold olga-laptop-1: that is proven.")
        .await?;
    // An owner could accept it as well, so it is.
    browser
        .until(
            "an active key",
            "return document.querySelector('main table')?.innerText.includes('active')",
        )
        .await?;
    let told = browser
        .script("return [window.saved, window.sent.join('\\n')]", vec![])
        .await?;
    let secret = told[0].as_str().unwrap_or_default().trim().to_owned();
    let sent = told[1].as_str().unwrap_or_default();
    let half = secret.split(':').nth(1).unwrap_or_default();
    ensure!(half.len() == 88, "no secret was saved: {told}");
    ensure!(
        sent.contains("/contributors") && sent.contains("olga-laptop-1:"),
        "{sent}"
    );
    // The second half of the file is the public key, whose base64 may share letters with what is sent.
    ensure!(!sent.contains(&half[..40]), "the secret was sent");
    let keys = olga
        .send(&server, reqwest::Method::GET, "/contributors", Value::Null)
        .await?;
    ensure!(keys["items"][0]["state"] == "active", "{keys}");
    ensure!(
        keys["items"][0]["scope"]["names"] == json!(["app-*", "lib-*"]),
        "{keys}"
    );
    // Revoking counts first, and wants the name typed.
    click(&browser, "Revoke olga-laptop-1").await?;
    browser.shows("0 paths have").await?;
    browser
        .shows("neither the key nor its name comes back")
        .await?;
    browser
        .until(
            "the field to type into",
            "const field = document.querySelector('dialog[open] input:not([type=date])'); field?.focus(); return document.activeElement === field",
        )
        .await?;
    browser
        .cdp("Input.insertText", json!({"text": "olga-laptop-1"}))
        .await?;
    click(&browser, "Revoke it").await?;
    browser.shows("olga-laptop-1 is revoked.").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contributors_key_waits_until_a_maintainer_says_what_it_may_sign() -> anyhow::Result<()> {
    let (server, _home) = serve().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    let alice = olga
        .invite(
            &server,
            "alice",
            json!([{"role": "contributor", "cache": "main"}]),
        )
        .await?;
    alice.sit_down(&browser, &server).await?;
    browser.open("/me/keys").await?;
    fill(&browser, "Name of a new key", "alice-1").await?;
    click(&browser, "Make a key and download it").await?;
    fill(&browser, "Names of the paths that you build", "app-*").await?;
    click(&browser, "Register the key").await?;
    click(&browser, "Prove with the key made here").await?;
    browser.shows("You hold alice-1").await?;
    browser
        .until(
            "a key that waits",
            "return document.querySelector('main table')?.innerText.includes('waits')",
        )
        .await?;
    ensure!(
        !browser.page_text().await?.contains("Accept…"),
        "alice may accept her own key"
    );
    olga.sit_down(&browser, &server).await?;
    browser.open("/me/keys").await?;
    click(&browser, "Accept alice-1").await?;
    browser
        .shows("can run code on every machine that trusts this cache")
        .await?;
    browser.accessible("accepting a key").await?;
    click(&browser, "Accept it so").await?;
    browser.shows("alice-1 is accepted.").await?;
    browser
        .until(
            "an active key",
            "return document.querySelector('main table')?.innerText.includes('active')",
        )
        .await?;
    browser.finish().await
}

/// A narinfo that only this key has signed.
fn signed_by(key: &SecretKey) -> anyhow::Result<NarInfo> {
    const HASH: &str = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0";
    let text = format!(
        "StorePath: /nix/store/0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-app-1.0\nURL: nar/{HASH}.nar\nCompression: none\nFileHash: sha256:{HASH}\nFileSize: 120\nNarHash: sha256:{HASH}\nNarSize: 120\nReferences: \n"
    );
    let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default())?;
    let signature = key.sign(narinfo.fingerprint().as_bytes());
    Ok(narinfo.add_signature(&signature)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a53_a_registered_key_turns_unknown_into_valid_without_a_reload() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir_all(&bucket)?;
    let key = SecretKey::generate("alice-1", [7; 32])?;
    let narinfo = signed_by(&key)?;
    let hash = narinfo.store_path().hash();
    std::fs::write(bucket.join(hash.narinfo_key()), narinfo.to_bytes())?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    olga.sit_down(&browser, &server).await?;
    browser
        .open(&format!("/c/main/p/{hash}/signatures"))
        .await?;
    browser.shows("Unknown key").await?;
    browser
        .script("window.same = true; return 1", vec![])
        .await?;
    scene::register(&server, &olga, &key, "main", &["prove"]).await?;
    browser
        .until(
            "a valid signature on the same page",
            "const text = document.querySelector('main').innerText; return window.same && text.includes('Valid') && !text.includes('Unknown key') && !text.includes('changed since')",
        )
        .await?;
    browser.finish().await
}
