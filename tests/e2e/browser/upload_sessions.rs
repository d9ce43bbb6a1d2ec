//! Sessions of uploads: large archives in parts, what upstreams have, the receipt.

use std::fs;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;
use snowbank_tests::server::Setup;

use super::access::click;
use super::pictures;
use super::upload::{Desk, Made, folder, noise};

/// The name of the folder that the browser remembers.
const KEPT: &str = "
const done = arguments[arguments.length - 1];
const open = indexedDB.open('snowbank');
open.onerror = () => done('no database');
open.onsuccess = () => {
    try {
        const found = open.result.transaction('folders').objectStore('folders').get('main');
        found.onsuccess = () => done(found.result?.name ?? 'nothing');
        found.onerror = () => done('an error');
    } catch (error) { done(String(error)); }
}";

/// Stands in for the dialog that no test can answer: a folder of the browser's own.
const FOLDER: &str = "
const done = arguments[arguments.length - 1];
(async () => {
    const root = await navigator.storage.getDirectory();
    window.showDirectoryPicker = async () => root.getDirectoryHandle('out');
    const write = async (path, bytes) => {
        let folder = await root.getDirectoryHandle('out', {create: true});
        const parts = path.split('/');
        for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, {create: true});
        const file = await (await folder.getFileHandle(parts.at(-1), {create: true})).createWritable();
        await file.write(bytes);
        await file.close();
    };
    for (const [path, text] of arguments[0]) await write(path, Uint8Array.from(text.match(/../g), byte => parseInt(byte, 16)));
    return true;
})().then(done, error => done(String(error)))";

#[tokio::test(flavor = "multi_thread")]
async fn a71_a72_only_the_missing_parts_go_up_and_the_receipt_says_what_came() -> anyhow::Result<()>
{
    let Some(desk) = Desk::new(&["max_bytes = 60000000".to_owned()]).await? else {
        return Ok(());
    };
    let small = Made::new("small-1.0", b"small", &[], Some(&desk.key))?;
    // Three parts and a bit.
    let large = Made::new("large-1.0", &noise(830_000), &[&small], Some(&desk.key))?;
    ensure!(large.stored.len() > 25 << 20, "{}", large.stored.len());
    let out = folder(desk.at("out"), &[&small, &large])?;
    // A71: what exceeds the quota is refused with both numbers, before anything is sent.
    let huge = Made::new("huge-1.0", &noise(2_000_000), &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("huge"), &[&huge])?).await?;
    desk.browser
        .shows("U11 Not enough quota: need 61.0 MiB, 57.2 MiB left. Nothing was sent.")
        .await?;
    ensure!(desk.sent().await?.is_empty(), "something was sent");
    desk.choose(&out).await?;
    desk.browser.shows("Send 2 paths").await?;
    let conditions = |bytes: i64| json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes});
    desk.browser
        .cdp("Network.emulateNetworkConditions", conditions(3_000_000))
        .await?;
    click(&desk.browser, "Send").await?;
    desk.browser
        .until(
            "the second part on its way",
            "return window.put.some(put => put.address.endsWith('part=2'))",
        )
        .await?;
    desk.browser
        .script("window.addEventListener('beforeunload', event => event.stopImmediatePropagation(), true); return true", vec![])
        .await?;
    click(&desk.browser, "Pause").await?;
    desk.browser.shows("Paused: 1 of 2").await?;
    // It asks what is to become of it: kept.
    click(&desk.browser, "Cancel").await?;
    desk.browser.shows("can be kept for seven days").await?;
    desk.browser
        .accessible("the question before giving up")
        .await?;
    click(&desk.browser, "Keep for 7 days").await?;
    desk.browser.shows("An upload is not finished").await?;
    desk.browser
        .cdp("Network.emulateNetworkConditions", conditions(-1))
        .await?;
    // Everybody who uploads here sees how far it is.
    desk.browser.open("/c/main/uploads").await?;
    desk.browser.shows("Open").await?;
    desk.browser.shows("1 of 2").await?;
    desk.browser.accessible("the list of uploads").await?;
    pictures::take(&desk.browser, &pictures::folder()?, "uploads").await?;
    desk.browser
        .script(
            "document.querySelector('main tbody th a').click(); return true",
            vec![],
        )
        .await?;
    desk.browser.shows("Arriving").await?;
    desk.browser.shows("1 of 2 paths published").await?;
    desk.browser.accessible("an upload on its way").await?;
    let page = desk
        .browser
        .script("return location.pathname", vec![])
        .await?;
    let page = page.as_str().context("an address")?.to_owned();
    // The tab was gone in between: the first part is not sent again.
    desk.open().await?;
    desk.choose(&out).await?;
    desk.browser.shows("Send 1 path").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    let sent = desk.sent().await?;
    let count = |what: &str| sent.iter().filter(|address| address.contains(what)).count();
    ensure!(
        count("part=1") == 0
            && count("part=2") == 1
            && count("part=3") == 1
            && count("part=4") == 1,
        "{sent:?}"
    );
    ensure!(sent.len() == 4, "{sent:?}");
    ensure!(
        desk.server
            .bytes(&format!("/main/{}", large.narinfo.url()))
            .await?
            == large.stored,
        "another archive arrived"
    );
    // The same folder is the same session, and it has its receipt.
    click(&desk.browser, "The page of this upload").await?;
    desk.browser.shows("Done").await?;
    desk.browser.shows("Published: 2 paths").await?;
    ensure!(
        desk.browser
            .script("return location.pathname", vec![])
            .await?
            == json!(page),
        "it is another session"
    );
    desk.browser.shows("nix-store -r /nix/store/").await?;
    desk.browser
        .shows("rm ~/.cache/nix/binary-cache-v*.sqlite*")
        .await?;
    desk.browser.shows("alice-1").await?;
    desk.browser.accessible("a receipt").await?;
    pictures::take(&desk.browser, &pictures::folder()?, "upload-receipt").await?;
    // One that is open can be given up.
    let plan = json!({"from": "later", "begin": true, "paths": [{
        "path": format!("/nix/store/{}", huge.path()),
        "nar_hash": format!("sha256:{}", huge.narinfo.nar_hash().to_nix32()),
        "nar_size": huge.narinfo.nar_size(),
        "nar_key": huge.narinfo.url(),
        "file_size": 1000,
        "compression": "zstd",
    }]});
    let begun = desk
        .olga
        .send(&desk.server, Method::POST, "/caches/main/uploads", plan)
        .await?;
    let id = begun["session"]["id"].as_str().context("a session")?;
    desk.browser.open(&format!("/c/main/uploads/{id}")).await?;
    desk.browser.shows("later").await?;
    click(&desk.browser, "Cancel").await?;
    desk.browser
        .shows("What has arrived and is not published is discarded.")
        .await?;
    click(&desk.browser, "Cancel it").await?;
    desk.browser.shows("Cancelled").await?;
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_has_is_skipped_and_a_folder_is_opened_again() -> anyhow::Result<()> {
    let theirs = snowbank_shared::signature::SecretKey::generate("theirs-1", [4; 32])?;
    let home = tempfile::tempdir()?;
    let common = Made::new("common-1.0", b"common", &[], Some(&theirs))?;
    let bucket = folder(home.path().join("bucket"), &[&common])?;
    let upstream = Setup::new()
        .folder(
            "main",
            &bucket,
            &[format!("public_keys = [\"{}\"]", theirs.public_key())],
        )
        .start()
        .await?;
    upstream.indexed("main").await?;
    let lines = format!(
        "upstreams = [{{ url = \"{}\", keys = [\"{}\"] }}]",
        upstream.url("/main"),
        theirs.public_key()
    );
    let Some(desk) = Desk::new(&[lines]).await? else {
        return Ok(());
    };
    let common = {
        let text = fs::read(bucket.join(common.narinfo_key()))?;
        let narinfo = NarInfo::parse(&text, &StoreDir::default())?;
        let signature = desk.key.sign(narinfo.fingerprint().as_bytes());
        Made {
            narinfo: narinfo.add_signature(&signature)?,
            ..common
        }
    };
    let own = Made::new("own-1.0", b"own", &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("out"), &[&common, &own])?)
        .await?;
    desk.browser.shows("Send 1 path").await?;
    desk.browser.shows("Skip 1: an upstream has it.").await?;
    let rows = desk.rows().await?;
    ensure!(
        rows.iter()
            .any(|row| row.contains("common") && row.contains("Skip (upstream)")),
        "{rows:?}"
    );
    desk.browser
        .accessible("an upload that skips a path")
        .await?;
    click(&desk.browser, "Take in").await?;
    desk.browser.shows("Send 2 paths").await?;
    desk.browser.shows("verified").await?;
    click(&desk.browser, "Leave out").await?;
    desk.browser.shows("Send 1 path").await?;
    let sent = desk.sent().await?;
    ensure!(sent.is_empty(), "{sent:?}");
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    // A folder of the browser's own dialog is opened again after a reload, without choosing.
    let late = Made::new("late-1.0", &noise(4_000), &[], Some(&desk.key))?;
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let files = json!([
        ["nix-cache-info", hex(b"StoreDir: /nix/store\n")],
        [late.narinfo_key(), hex(late.narinfo.to_bytes())],
        [late.narinfo.url(), hex(&late.stored)],
    ]);
    let written = desk.browser.script_async(FOLDER, vec![files]).await?;
    ensure!(written == json!(true), "{written}");
    let click_field = "document.querySelector('#upload-folder').click(); return true";
    desk.browser.script(click_field, vec![]).await?;
    desk.browser.shows("Send 1 path").await?;
    let conditions = |bytes: i64| json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes});
    desk.browser
        .cdp("Network.emulateNetworkConditions", conditions(20_000))
        .await?;
    click(&desk.browser, "Send").await?;
    desk.browser
        .until(
            "the archive on its way",
            &format!(
                "return window.put.some(put => put.address.includes('{}'))",
                late.narinfo.url()
            ),
        )
        .await?;
    click(&desk.browser, "Pause").await?;
    desk.browser.shows("Paused: 0 of 1").await?;
    let kept = desk.browser.script_async(KEPT, vec![]).await?;
    ensure!(kept == json!("out"), "the browser remembers {kept}");
    desk.browser
        .cdp("Network.emulateNetworkConditions", conditions(-1))
        .await?;
    desk.open().await?;
    desk.browser.shows("An upload is not finished").await?;
    click(&desk.browser, "Go on with it").await?;
    desk.browser.shows("Send 1 path").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    desk.browser.finish().await
}
