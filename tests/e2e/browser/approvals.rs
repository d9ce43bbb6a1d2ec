//! The policy, what it holds back, and who decides: in a browser, by two people.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank::auth::records::now;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::component;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};

use super::access::{click, fill};
use super::upload::{Made, folder};
use super::{pictures, scene};

/// `snowbank state` with the configuration of a server that does not run: what it prints.
fn state(server: &Server, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(component::binary())
        .arg("state")
        .args(args)
        .args(["--config", "snowbank.toml"])
        .current_dir(server.home())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output()
        .context("starting snowbank state")?;
    ensure!(
        output.status.success(),
        "state {args:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Yesterday was the last day of a key. No request can say so, since a key is accepted for days to
/// come: an import into the stopped server does. It starts again at another address.
async fn expire(server: &mut Server, key: &SecretKey) -> anyhow::Result<Person> {
    server.terminate().await?;
    state(server, &["export", "--out", "saved.ndjson"])?;
    let saved = fs::read_to_string(server.home().join("saved.ndjson"))?;
    let lines = saved
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let begin = lines.first().context("an export without a line")?;
    let public = key.public_key().to_string();
    let mut line = lines
        .iter()
        .find(|line| {
            let path = line["path"].as_str().unwrap_or_default();
            path.starts_with("contributors/") && line["record"]["public_key"] == public
        })
        .context("the key is not in the export")?
        .clone();
    let end = &mut line["record"]["expires_at"];
    ensure!(end.as_i64() > Some(now()), "it has expired: {end}");
    *end = json!(now() - 86_400);
    // This record alone: the others stay as they are.
    fs::write(
        server.home().join("changed.ndjson"),
        format!("{begin}\n{line}\n"),
    )?;
    let done = state(server, &["import", "--replace", "changed.ndjson"])?;
    ensure!(done.starts_with("0 made, 1 replaced"), "{done}");
    server.restart().await?;
    let server = &*server;
    server.indexed("main").await?;
    // At another address, where nobody has a cookie; the state may still be opening.
    let patience = Duration::from_secs(30);
    let olga = server
        .eventually(patience, "the owner", async || {
            Ok(server.enter(&server.owner_link()?, None).await.ok())
        })
        .await?;
    let made = olga
        .send(server, Method::POST, "/members/alice/link", json!({}))
        .await?;
    let link = made["url"].as_str().context("no link")?;
    let alice = server.enter(link, None).await?;
    let keys = alice
        .send(server, Method::GET, "/contributors", Value::Null)
        .await?;
    ensure!(keys["items"][0]["state"] == "expired", "{keys}");
    Ok(alice)
}

async fn choose(browser: &Browser, folder: &Path) -> anyhow::Result<()> {
    let field = browser.find("#upload-folder").await?;
    field.send_keys(folder.to_str().context("a name")?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a79_a80_a_restricted_name_is_approved_by_a_second_person() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir(&bucket)?;
    let mut server = Setup::new().folder("main", &bucket, &[]).start().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    let grants = json!([{"role": "maintainer", "cache": "main"}]);
    let alice = olga.invite(&server, "alice", grants).await?;
    let key = SecretKey::generate("alice-1", [7; 32])?;
    scene::accepted(&server, &olga, &alice, &key).await?;

    // The owner writes the rule, and reads it as a sentence before it is saved.
    olga.sit_down(&browser, &server).await?;
    browser.open("/c/main/settings/policy").await?;
    browser
        .shows("Everything else is published at once.")
        .await?;
    browser
        .script(
            "document.querySelector('main details.explain').open = true; return 1",
            vec![],
        )
        .await?;
    fill(&browser, "Names of paths", "nixos-system-*").await?;
    browser
        .shows(
            "Paths named nixos-system-* need 1 approval by a Maintainer who is not the uploader.",
        )
        .await?;
    click(&browser, "Add the rule").await?;
    browser.accessible("a policy that is not saved").await?;
    click(&browser, "Save the policy").await?;
    browser.shows("Saved.").await?;
    browser.shows("Changed by olga").await?;
    click(&browser, "Try on the last 100 uploads").await?;
    browser
        .shows("Nothing was uploaded through this server yet.")
        .await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("Nothing waits.").await?;

    // Alice sends it through the form; it waits, and is not hers to approve.
    alice.sit_down(&browser, &server).await?;
    browser.open("/c/main/upload").await?;
    let lib = Made::new("lib-1.0", b"lib", &[], Some(&key))?;
    let system = Made::new("nixos-system-1.0", b"system", &[&lib], Some(&key))?;
    let out = folder(home.path().join("out"), &[&lib, &system])?;
    choose(&browser, &out).await?;
    browser.shows("Send 2 paths").await?;
    click(&browser, "Send").await?;
    browser
        .shows("1 path waits and can be fetched once it is decided")
        .await?;
    let narinfo = format!("/main/{}", system.narinfo_key());
    ensure!(server.status(&narinfo).await? == 404, "readers see it");
    click(&browser, "Approvals").await?;
    browser.shows("1 approval").await?;
    browser.open("/c/main/approvals").await?;
    browser.find("main a.approval-link").await?.click().await?;
    browser
        .shows("This is your own upload: somebody else decides on it.")
        .await?;
    browser.shows("New in the cache with it").await?;
    browser.accessible("an upload that waits").await?;
    let own = browser
        .script("return [...document.querySelectorAll('main button')].find(it => it.textContent.trim() === 'Approve…')?.getAttribute('aria-disabled')", vec![])
        .await?;
    ensure!(own == "true", "her own upload: {own}");

    // Olga finds it in the rail, and approves it by the keyboard.
    olga.sit_down(&browser, &server).await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("nixos-system").await?;
    browser.accessible("a queue").await?;
    let pictures = pictures::folder()?;
    pictures::take(&browser, &pictures, "approvals-waiting").await?;
    browser
        .until(
            "the count in the rail",
            "return [...document.querySelectorAll('.rail a')].some(it => /Approvals/.test(it.textContent) && /1 waiting/.test(it.textContent))",
        )
        .await?;
    browser.find("main a.approval-link").await?.click().await?;
    browser.shows("Held back by the rule").await?;
    pictures::take(&browser, &pictures, "approval").await?;
    browser.press("a").await?;
    browser.shows("Approve this upload?").await?;
    browser
        .accessible("the question before an approval")
        .await?;
    click(&browser, "Approve it").await?;
    browser.shows("nixos-system-1.0 is published.").await?;
    browser.shows("Approved by olga.").await?;
    ensure!(server.status(&narinfo).await? == 200, "it is not live");
    browser.open("/audit?action=approval.approve").await?;
    browser.shows("olga").await?;
    browser.shows("uploader: alice").await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("Decided lately").await?;

    // A79: a key whose time is over, and the way to renew it.
    browser.finish().await?;
    let alice = expire(&mut server, &key).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    alice.sit_down(&browser, &server).await?;
    browser.open("/c/main/upload").await?;
    let late = Made::new("late-1.0", b"late", &[], Some(&key))?;
    choose(&browser, &folder(home.path().join("late"), &[&late])?).await?;
    browser.shows("U09 Key alice-1 expired on").await?;
    click(&browser, "Renew the key").await?;
    browser.shows("Your keys").await?;
    click(&browser, "Renew alice-1").await?;
    browser.shows("It signs again, for another year.").await?;
    click(&browser, "Accept it so").await?;
    browser.shows("alice-1 is accepted.").await?;
    browser.finish().await
}
