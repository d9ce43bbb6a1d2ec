//! The bad inputs of the protocol's notes, each given to the form in a browser.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use snowbank_shared::signature::SecretKey;

use super::upload::Desk;
use expected::{expected, ids, vectors};

#[path = "../../../shared/tests/bad_inputs/expected.rs"]
mod expected;

/// How long the form may take for one.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts how often something was chosen.
const COUNT: &str = "
window.chosen = 0;
document.addEventListener('change', event => { if (event.target.type === 'file') window.chosen += 1; }, true);
return true";

/// What the form says, once it has looked at everything; nothing before.
const SAID: &str = "
const main = document.querySelector('main'), text = node => node.innerText.replace(/\\s+/g, ' ').trim();
const of = (node, css) => [...node.querySelectorAll(css)].map(text);
const rows = [...main.querySelectorAll('tbody tr')].map(row => of(row, '.upload-word').concat(of(row, '.trouble-code')).join(' '));
const unreadable = rows.length === 0 ? of(main, '.trouble-code') : [];
const ready = /Send [0-9,]+ paths?,/.test(text(main));
if (window.chosen !== arguments[0] || !(ready || unreadable.length > 0)) return null;
const send = [...main.querySelectorAll('button')].filter(button => text(button) === 'Send');
return {said: rows.concat(unreadable), can_send: send.some(button => !button.disabled && button.getAttribute('aria-disabled') !== 'true')}";

/// What the form says of what was chosen.
#[derive(Deserialize)]
struct Said {
    /// Of each path: what happens with it, and the code of what is in the way.
    said: BTreeSet<String>,
    can_send: bool,
}

async fn said(desk: &Desk, chosen: usize) -> anyhow::Result<Said> {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = desk.browser.script(SAID, vec![chosen.into()]).await?;
        if !said.is_null() {
            return Ok(serde_json::from_value(said)?);
        }
        if Instant::now() > end {
            bail!("the form goes on: {}", desk.browser.page_text().await?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_is_refused_in_the_tab_and_nothing_of_it_is_sent() -> anyhow::Result<()> {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let key: SecretKey = std::fs::read_to_string(vectors.join("keys/test.example.org-1.sec"))?
        .trim()
        .parse()?;
    let Some(desk) = Desk::with(&[], key).await? else {
        return Ok(());
    };
    desk.browser.script(COUNT, vec![]).await?;
    let folder = |id: &str| vectors.join("bad").join(id);
    let (mut wrong, mut chosen) = (Vec::new(), 0);
    for id in ids(&vectors) {
        chosen += 1;
        desk.choose(&folder(&id)).await?;
        let found = said(&desk, chosen).await.with_context(|| id.clone())?;
        let (_, expected) = expected(&id);
        let said: Vec<&str> = found.said.iter().map(String::as_str).collect();
        if said != [expected] || found.can_send != (expected == "New") {
            wrong.push(format!(
                "{id}: {expected} expected, {said:?} said, can be sent: {}",
                found.can_send
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(desk.sent().await?.is_empty(), "something was sent");
    let objects = snowbank_tests::folder::objects(&desk.at("bucket"))?;
    ensure!(
        !objects.keys().any(|key| key.starts_with("nar/")),
        "{:?}",
        objects.keys()
    );
    desk.browser.finish().await
}
