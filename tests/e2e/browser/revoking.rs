//! A81: a revocation shows what it means before anything is done; afterwards uploads are refused with the
//! reason, and clients still accept what the cache has signed. With stock Nix on both sides.

use anyhow::ensure;
use serde_json::json;
use snowbank_tests::browser::Browser;
use snowbank_tests::closure::Closure;
use snowbank_tests::nix::Nix;

use super::access::click;
use crate::uploads::{push, serve, uploader};

#[tokio::test(flavor = "multi_thread")]
async fn a81_revoking_counts_first_and_clients_keep_what_the_cache_signed() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let (server, _home, olga) = serve().await?;
    let alice = uploader(&nix, &server, &olga, "alice").await?;
    push(&nix, &closure.store(), &server, &alice, &closure.app)?.ok()?;
    let whole = nix.closure(&closure.store().display().to_string(), &closure.app)?;
    let signed = whole.len();
    let key = server.trusted_key("main").await?;
    let fetch = |name: &str| {
        // A client that remembers nothing.
        let _ = std::fs::remove_dir_all(nix.home().join("cache"));
        let store = nix.home().join(name);
        nix.substitute(&store, &server.url("/main"), &key, &closure.app)
    };
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    olga.sit_down(&browser, &server).await?;
    browser.open("/me/keys").await?;
    click(&browser, "Revoke alice-1").await?;
    // The index judges by a new key within moments.
    browser
        .until(
            "the count of paths",
            &format!(
                "const text = document.querySelector('dialog[open]')?.innerText ?? ''; return text.includes('{signed} paths have a signature by this key')"
            ),
        )
        .await?;
    browser.shows("clients keep accepting them").await?;
    browser.shows("alice has 1 token").await?;
    browser.shows("The end of a key is for good").await?;
    browser.accessible("revoking a key").await?;
    browser
        .until(
            "the field to type into",
            "const label = [...document.querySelectorAll('dialog[open] label')].find(it => it.textContent.trim() === 'Type it to go on'); \
             const field = label && document.getElementById(label.htmlFor); field?.focus(); return !!field && document.activeElement === field",
        )
        .await?;
    browser
        .cdp("Input.insertText", json!({"text": "alice-1"}))
        .await?;
    click(&browser, "Revoke it").await?;
    browser.shows("alice-1 is revoked.").await?;

    let outcome = push(&nix, &closure.store(), &server, &alice, &closure.doc)?;
    ensure!(
        !outcome.success && outcome.stderr.contains("key alice-1 was revoked"),
        "{outcome:?}"
    );
    fetch("after-revoking")?.ok()?;
    let got = nix.closure(
        &nix.home().join("after-revoking").display().to_string(),
        &closure.app,
    )?;
    ensure!(got == whole, "another closure arrived");

    // Hidden, a path is not there for a client; lifted, it is.
    let wish = json!({"paths": [closure.app], "reason": "a doubt"});
    olga.send(
        &server,
        reqwest::Method::POST,
        "/caches/main/quarantine",
        wish,
    )
    .await?;
    let hidden = fetch("while-hidden")?;
    ensure!(!hidden.success, "it was served: {hidden:?}");
    let hash = closure.app.trim_start_matches("/nix/store/");
    let lift = json!({"hash": hash, "reason": "no doubt any more"});
    olga.send(
        &server,
        reqwest::Method::POST,
        "/caches/main/quarantine/lift",
        lift,
    )
    .await?;
    fetch("after-lifting")?.ok()?;
    browser.finish().await
}
