//! A pin and a note in the form of uploads: asked for before anything is sent, made at the end.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;
use snowbank_shared::signature::SecretKey;

use super::access::{click, fill};
use super::scene;
use super::upload::{Desk, Made, folder};

/// Chooses what is to be pinned by its name.
fn choice(name: &str) -> String {
    format!(
        "const field = [...document.querySelectorAll('main select')].find(it => [...it.options].some(option => option.text === '{name}')); \
         if (!field) return false; field.value = [...field.options].find(option => option.text === '{name}').value; \
         field.dispatchEvent(new Event('change', {{bubbles: true}})); return true"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_is_pinned_with_a_note_where_the_uploader_may() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&[]).await? else {
        return Ok(());
    };
    let leaf = Made::new("leaf-1.0", b"leaf", &[], Some(&desk.key))?;
    let top = Made::new("top-1.0", b"top", &[&leaf], Some(&desk.key))?;
    let other = Made::new("other-1.0", b"other", &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("out"), &[&leaf, &top, &other])?)
        .await?;
    desk.browser.shows("Send 3 paths").await?;
    // A note without a pin, and a name that is none, are said before anything is sent.
    fill(&desk.browser, "Note", "the first of many").await?;
    desk.browser
        .shows("The note belongs to a pin: name the pin, or empty the note.")
        .await?;
    fill(&desk.browser, "Name of the pin", "Prod").await?;
    desk.browser
        .shows("A pin's name is 1 to 64 lower-case letters")
        .await?;
    // Of what is offered, nothing else in the upload refers to it.
    desk.browser
        .until("the choice of top", &choice("top-1.0"))
        .await?;
    let offered = desk
        .browser
        .script("return [...document.querySelectorAll('main fieldset option')].map(it => it.text).sort().join()", vec![])
        .await?;
    ensure!(offered == "other-1.0,top-1.0", "{offered}");
    fill(&desk.browser, "Name of the pin", "prod").await?;
    desk.browser
        .shows("prod is a new pin. It will name top-1.0.")
        .await?;
    desk.browser.accessible("an upload with a pin").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 3 paths").await?;
    desk.browser
        .shows("prod@1 names top-1.0: it stays, with everything that it needs.")
        .await?;
    desk.browser.accessible("an upload that is pinned").await?;
    let pin = || desk.server.json("/api/v1/caches/main/pins/prod");
    let first = pin().await?;
    ensure!(first["pin"]["note"] == "the first of many", "{first}");
    ensure!(
        first["pin"]["path"] == format!("/nix/store/{}", top.path()),
        "{first}"
    );

    // The next one is its next revision; the form said where it is, and is empty for the next folder.
    let next = Made::new("top-2.0", b"top", &[&leaf], Some(&desk.key))?;
    desk.choose(&folder(desk.at("next"), &[&leaf, &next])?)
        .await?;
    desk.browser.shows("Send 1 path").await?;
    fill(&desk.browser, "Name of the pin", "prod").await?;
    desk.browser
        .shows("prod is at revision 1 and names top-1.0. Its next revision will name top-2.0.")
        .await?;
    // Somebody else is faster: nothing is overwritten, and it is decided again.
    let faster = json!({"path": other.path().to_string(), "expected": 1});
    desk.olga
        .send(&desk.server, Method::PUT, "/caches/main/pins/prod", faster)
        .await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    desk.browser
        .shows("is at revision 2, and you saw 1")
        .await?;
    desk.browser
        .shows("prod is at revision 2 and names other-1.0.")
        .await?;
    ensure!(pin().await?["pin"]["revision"] == 2, "it was moved on");
    click(&desk.browser, "Pin it").await?;
    desk.browser.shows("prod@3 names top-2.0").await?;
    let last = pin().await?;
    ensure!(
        last["pin"]["path"] == format!("/nix/store/{}", next.path()) && last["pin"]["note"] == "",
        "{last}"
    );

    // A contributor uploads and may not pin: the form says who can, and sends without.
    let grants = json!([{"role": "contributor"}]);
    let carl = desk.olga.invite(&desk.server, "carl", grants).await?;
    let carls = SecretKey::generate("carl-1", [11; 32])?;
    scene::accepted(&desk.server, &desk.olga, &carl, &carls).await?;
    carl.sit_down(&desk.browser, &desk.server).await?;
    desk.open().await?;
    let theirs = Made::new("theirs-1.0", b"theirs", &[], Some(&carls))?;
    desk.choose(&folder(desk.at("theirs"), &[&theirs])?).await?;
    desk.browser.shows("Send 1 path").await?;
    desk.browser.shows("Needs Maintainer of main").await?;
    desk.browser
        .until(
            "fields that cannot be filled",
            "return document.querySelector('main fieldset.upload-pin').disabled",
        )
        .await?;
    desk.browser
        .accessible("an upload that may not be pinned")
        .await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    desk.browser.finish().await
}
