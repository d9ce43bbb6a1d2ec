//! Uploading through the form: what it says before anything is sent, and what comes of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank_shared::hash::{Hash, HashAlgorithm, Sha256};
use snowbank_shared::nar::NarWriter;
use snowbank_shared::narinfo::{Compression, NarInfo, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};
use snowbank_tests::browser::Browser;
use snowbank_tests::closure::Closure;
use snowbank_tests::nix::Nix;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};

use super::access::click;
use super::{pictures, scene};

/// Notes what is sent to the cache, and by which method.
const WATCH: &str = "
window.put = [];
const open = XMLHttpRequest.prototype.open, send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.open = function (method, address, ...rest) { this.what = [method, address]; return open.call(this, method, address, ...rest); };
XMLHttpRequest.prototype.send = function (body) { if (this.what[0] === 'PUT') { const note = {address: this.what[1], text: ''}; window.put.push(note); if (this.what[1].includes('.narinfo')) body.text().then(text => { note.text = text; }); } return send.call(this, body); };
return true";

/// A path with its archive, as `nix copy --to file://…` writes both.
pub(super) struct Made {
    pub(super) narinfo: NarInfo,
    pub(super) stored: Vec<u8>,
}

impl Made {
    /// A file of these contents, which names and refers to `references`.
    pub(super) fn new(
        name: &str,
        contents: &[u8],
        references: &[&Self],
        key: Option<&SecretKey>,
    ) -> anyhow::Result<Self> {
        let mut contents = contents.to_vec();
        for other in references {
            contents.extend_from_slice(other.path().to_string().as_bytes());
        }
        let mut nar = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| nar.extend_from_slice(bytes));
        writer.file(&contents, false)?;
        writer.finish()?;
        let stored = zstd::encode_all(&nar[..], 3)?;
        let file_hash = Sha256::digest(&stored);
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let parts = NarInfoParts {
            store_path: StorePath::new(StorePathHash::from_bytes(digest), name)?,
            url: format!("nar/{}.nar.zst", file_hash.to_nix32()),
            compression: Compression::Zstd,
            file_hash: Hash::new(HashAlgorithm::Sha256, &file_hash.0),
            file_size: Some(stored.len() as u64),
            nar_hash: Sha256::digest(&nar),
            nar_size: nar.len() as u64,
            references: references.iter().map(|other| other.path()).collect(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        let narinfo = parts.to_narinfo(&StoreDir::default())?;
        let narinfo = match key {
            Some(key) => narinfo.add_signature(&key.sign(narinfo.fingerprint().as_bytes()))?,
            None => narinfo,
        };
        Ok(Self { narinfo, stored })
    }

    pub(super) fn path(&self) -> StorePath {
        self.narinfo.store_path().to_store_path()
    }

    pub(super) fn narinfo_key(&self) -> String {
        self.narinfo.store_path().hash().narinfo_key()
    }
}

/// So many times 32 bytes that do not pack.
pub(super) fn noise(blocks: u64) -> Vec<u8> {
    (0..blocks)
        .flat_map(|at| Sha256::digest(&at.to_le_bytes()).0)
        .collect()
}

/// Writes paths into a folder.
pub(super) fn folder(at: PathBuf, paths: &[&Made]) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(at.join("nar"))?;
    fs::write(at.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    for made in paths {
        fs::write(at.join(made.narinfo_key()), made.narinfo.to_bytes())?;
        fs::write(at.join(made.narinfo.url()), &made.stored)?;
    }
    Ok(at)
}

/// top → mid → leaf.
fn fx1(key: Option<&SecretKey>) -> anyhow::Result<[Made; 3]> {
    let leaf = Made::new("leaf-1.0", b"leaf", &[], key)?;
    let mid = Made::new("mid-1.0", b"mid", &[&leaf], key)?;
    let top = Made::new("top-1.0", b"top", &[&mid], key)?;
    Ok([leaf, mid, top])
}

/// A server, its owner with a key, and a browser on the page.
pub(super) struct Desk {
    pub(super) server: Server,
    pub(super) browser: Browser,
    pub(super) olga: Person,
    pub(super) key: SecretKey,
    home: tempfile::TempDir,
}

impl Desk {
    pub(super) async fn new(lines: &[String]) -> anyhow::Result<Option<Self>> {
        Self::with(lines, SecretKey::generate("alice-1", [7; 32])?).await
    }

    pub(super) async fn with(lines: &[String], key: SecretKey) -> anyhow::Result<Option<Self>> {
        let home = tempfile::tempdir()?;
        let bucket = home.path().join("bucket");
        fs::create_dir_all(&bucket)?;
        let server = Setup::new()
            .line("outbound_allow = [\"127.0.0.0/8\"]")
            .folder("main", &bucket, lines)
            .start()
            .await?;
        let Some(browser) = Browser::start(&server.origin).await? else {
            return Ok(None);
        };
        server.indexed("main").await?;
        let olga = server.owner("olga").await?;
        scene::accepted(&server, &olga, &olga, &key).await?;
        olga.sit_down(&browser, &server).await?;
        let desk = Self {
            server,
            browser,
            olga,
            key,
            home,
        };
        desk.open().await?;
        Ok(Some(desk))
    }

    pub(super) async fn open(&self) -> anyhow::Result<()> {
        self.browser.open("/c/main/upload").await?;
        self.browser.script(WATCH, vec![]).await?;
        Ok(())
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Chooses a folder.
    pub(super) async fn choose(&self, folder: &Path) -> anyhow::Result<()> {
        let field = self.browser.find("#upload-folder").await?;
        field.send_keys(folder.to_str().context("a name")?).await?;
        Ok(())
    }

    /// The words of the table, row by row.
    pub(super) async fn rows(&self) -> anyhow::Result<Vec<String>> {
        let rows = self
            .browser
            .script("return [...document.querySelectorAll('main tbody tr')].map(row => row.innerText.replace(/\\s+/g, ' '))", vec![])
            .await?;
        Ok(serde_json::from_value(rows)?)
    }

    /// What was sent to the cache.
    pub(super) async fn sent(&self) -> anyhow::Result<Vec<String>> {
        let sent = self
            .browser
            .script("return window.put.map(put => put.address)", vec![])
            .await?;
        Ok(serde_json::from_value(sent)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a65_a66_a74_a75_a_folder_is_judged_sent_and_known_again() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&[]).await? else {
        return Ok(());
    };
    let made = fx1(Some(&desk.key))?;
    let out = folder(desk.at("out"), &[&made[2], &made[0], &made[1]])?;
    desk.choose(&out).await?;
    desk.browser.shows("Send 3 paths").await?;
    let rows = desk.rows().await?;
    ensure!(rows.len() == 3, "{rows:?}");
    for (row, name) in rows.iter().zip(["leaf", "mid", "top"]) {
        for word in [name, "New", "alice-1", "verified"] {
            ensure!(row.contains(word), "{word} is not in {row}");
        }
    }
    ensure!(desk.sent().await?.is_empty(), "something was sent");
    desk.browser.accessible("an upload that waits").await?;
    // A74: whoever sees a narinfo can fetch its archive.
    let (origin, paths) = (
        desk.server.origin.clone(),
        made.each_ref()
            .map(|made| (made.narinfo_key(), made.narinfo.url().to_owned())),
    );
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(20))
        .build()?;
    let watching = tokio::spawn(async move {
        let mut seen = [false; 3];
        while seen.contains(&false) {
            for (at, (narinfo, nar)) in paths.iter().enumerate() {
                let status = async |key: &str| {
                    anyhow::Ok(
                        client
                            .get(format!("{origin}/main/{key}"))
                            .send()
                            .await?
                            .status(),
                    )
                };
                if status(narinfo).await? == 200 {
                    ensure!(
                        status(nar).await? == 200,
                        "{narinfo} was shown before {nar}"
                    );
                    ensure!(
                        at == 0 || seen[at - 1],
                        "{narinfo} was shown before what it refers to"
                    );
                    seen[at] = true;
                }
            }
        }
        anyhow::Ok(())
    });
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 3 paths").await?;
    watching.await??;
    ensure!(desk.sent().await?.len() == 6, "{:?}", desk.sent().await?);
    desk.browser.accessible("an upload that is done").await?;
    // A75: the same again is nothing; another's signature is added.
    desk.choose(&out).await?;
    desk.browser.shows("All of it is there already").await?;
    ensure!(desk.sent().await?.len() == 6, "it was sent again");
    let bob = SecretKey::generate("bob-1", [9; 32])?;
    scene::accepted(&desk.server, &desk.olga, &desk.olga, &bob).await?;
    let by_bob = fx1(Some(&bob))?;
    let all: Vec<&Made> = by_bob.iter().collect();
    desk.choose(&folder(desk.at("of-bob"), &all)?).await?;
    desk.browser.shows("Add signature").await?;
    desk.browser.shows("Send 3 paths, 0 B").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 3 paths").await?;
    let text = desk
        .server
        .text(&format!("/main/{}", made[0].narinfo_key()))
        .await?;
    let signed = |name: &str| text.matches(&format!("Sig: {name}:")).count() == 1;
    ensure!(signed("alice-1") && signed("bob-1"), "{text}");
    // Both keys are olga's: one person has made it.
    let page = format!("/c/main/p/{}", made[0].narinfo.store_path().hash());
    desk.browser.open(&page).await?;
    desk.browser.find("#nar-size").await?;
    ensure!(!desk.browser.page_text().await?.contains("reproduced by"));
    // With another contributor's, two have.
    let grants = json!([{"role": "contributor"}]);
    let carl = desk.olga.invite(&desk.server, "carl", grants).await?;
    let carls = SecretKey::generate("carl-1", [11; 32])?;
    scene::accepted(&desk.server, &desk.olga, &carl, &carls).await?;
    carl.sit_down(&desk.browser, &desk.server).await?;
    desk.open().await?;
    let by_carl = fx1(Some(&carls))?;
    let all: Vec<&Made> = by_carl.iter().collect();
    desk.choose(&folder(desk.at("of-carl"), &all)?).await?;
    desk.browser.shows("Add signature").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 3 paths").await?;
    desk.browser.shows("reproduced by 2").await?;
    desk.browser.open(&page).await?;
    desk.browser.shows("reproduced by 2").await?;
    desk.browser.shows("carl, olga").await?;
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a67_a68_a69_a76_a77_what_is_wrong_is_said_before_anything_is_sent() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&[]).await? else {
        return Ok(());
    };
    let [leaf, mid, top] = fx1(Some(&desk.key))?;
    // A68: a reference that is nowhere.
    let lacking = folder(desk.at("lacking"), &[&mid, &top])?;
    desk.choose(&lacking).await?;
    desk.browser.shows("U10").await?;
    desk.browser.shows("mid-1.0 needs leaf-1.0").await?;
    desk.browser
        .shows("nix copy --to 'file:///tmp/out?compression=zstd' /nix/store/")
        .await?;
    // A69: a NAR alone, a store directory.
    let bare = desk.at("bare");
    fs::create_dir_all(&bare)?;
    fs::write(bare.join("x.nar.zst"), &leaf.stored)?;
    desk.choose(&bare).await?;
    desk.browser
        .shows("A NAR alone has no name and no references")
        .await?;
    let store = desk.at(&leaf.path().to_string());
    fs::create_dir_all(store.join("bin"))?;
    fs::write(store.join("bin/x"), "x")?;
    desk.choose(&store).await?;
    desk.browser.shows("This is a store directory").await?;
    desk.browser
        .shows(&format!("/nix/store/{}", leaf.path()))
        .await?;
    desk.browser.accessible("what cannot be uploaded").await?;
    // U01, U02.
    let foreign = folder(desk.at("foreign"), &[&leaf])?;
    fs::write(foreign.join("nix-cache-info"), "StoreDir: /gnu/store\n")?;
    desk.choose(&foreign).await?;
    desk.browser
        .shows("U01 This folder is for /gnu/store, this cache for /nix/store.")
        .await?;
    let corrupt = folder(desk.at("corrupt"), &[&leaf, &top])?;
    fs::write(corrupt.join(top.narinfo_key()), "StorePath: /nix/store/x\n")?;
    desk.choose(&corrupt).await?;
    desk.browser.shows("U02").await?;
    // A77: a private key in a text file.
    let pem = format!(
        "-----BEGIN {}PRIVATE KEY-----\n{}\n",
        "",
        "MIIEvQ0123456789".repeat(4)
    );
    let leaky = Made::new("leaky-1.0", pem.as_bytes(), &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("leaky"), &[&leaky])?).await?;
    desk.browser
        .shows("U14 Looks like a private key in leaky-1.0")
        .await?;
    desk.browser
        .shows("Say first that nothing in it is secret.")
        .await?;
    desk.browser.accessible("an upload with a secret").await?;
    // U05, U08, U03.
    let spoilt = folder(desk.at("spoilt"), &[&leaf])?;
    let other = Made::new("other-1.0", b"loaf", &[], None)?;
    let text = leaf
        .narinfo
        .text()
        .replace(leaf.narinfo.url(), other.narinfo.url());
    fs::write(
        spoilt.join(leaf.narinfo_key()),
        text.replace(
            &format!("FileSize: {}", leaf.stored.len()),
            &format!("FileSize: {}", other.stored.len()),
        ),
    )?;
    fs::write(spoilt.join(other.narinfo.url()), &other.stored)?;
    desk.choose(&spoilt).await?;
    desk.browser.shows("U05").await?;
    let stranger = SecretKey::generate("bob-laptop", [3; 32])?;
    let theirs = Made::new("theirs-1.0", b"x", &[], Some(&stranger))?;
    let alone = folder(desk.at("alone"), &[&theirs])?;
    desk.choose(&alone).await?;
    desk.browser
        .shows("U08 Nobody registered key bob-laptop.")
        .await?;
    fs::remove_file(alone.join(theirs.narinfo.url()))?;
    desk.choose(&alone).await?;
    desk.browser.shows("U03").await?;
    ensure!(desk.sent().await?.is_empty(), "something was sent");
    // A67: a file that broke off; what does not need it can be sent.
    let short = folder(desk.at("short"), &[&leaf, &mid, &top])?;
    fs::write(short.join(top.narinfo.url()), &top.stored[..60])?;
    desk.choose(&short).await?;
    desk.browser
        .shows(&format!(
            "U04 File is shorter than its narinfo says (60 of {} bytes)",
            top.stored.len()
        ))
        .await?;
    desk.browser
        .shows("1 problem must be solved or left out")
        .await?;
    click(&desk.browser, "Leave the problems out").await?;
    desk.browser.shows("Send 2 paths").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 2 paths").await?;
    // A76: another content for the same path.
    let other = Made::new("leaf-1.0", b"loaf", &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("other"), &[&other])?).await?;
    desk.browser.shows("Conflict").await?;
    desk.browser.shows("Other content is here already").await?;
    click(&desk.browser, "Compare").await?;
    desk.browser
        .shows("First differing file: the path itself")
        .await?;
    desk.browser.accessible("a comparison").await?;
    let sent = desk.sent().await?.len();
    click(&desk.browser, "Send mine as a report").await?;
    desk.browser.shows("The report is there").await?;
    ensure!(desk.sent().await?.len() == sent + 2, "archive and narinfo");
    // The first stays, and both pages say that there is another build.
    let served = desk
        .server
        .text(&format!("/main/{}", leaf.narinfo_key()))
        .await?;
    ensure!(
        served.contains(&leaf.narinfo.nar_hash().to_nix32()),
        "{served}"
    );
    let hash = leaf.narinfo.store_path().hash();
    desk.browser.open(&format!("/c/main/p/{hash}")).await?;
    desk.browser.shows("came later with other content").await?;
    click(&desk.browser, "Compare the files").await?;
    desk.browser.shows("Builds of leaf-1.0 that differ").await?;
    desk.browser
        .shows("First differing file: the path itself")
        .await?;
    desk.browser.accessible("a conflict").await?;
    pictures::take(&desk.browser, &pictures::folder()?, "conflict").await?;
    let field = desk.browser.find(".conflict-settle input").await?;
    field.send_keys("a typo").await?;
    click(&desk.browser, "Dismiss").await?;
    desk.browser.shows("Dismissed").await?;
    desk.browser.open("/c/main/conflicts").await?;
    desk.browser.shows("Dismissed").await?;
    desk.browser.accessible("the conflicts").await?;
    pictures::take(&desk.browser, &pictures::folder()?, "conflicts-some").await?;
    desk.open().await?;
    // All of it on one page, for people to look at.
    let lib = Made::new("lib-2.1", b"lib", &[&mid], Some(&desk.key))?;
    let app = Made::new("app-3.0", &noise(3_000), &[&lib], Some(&desk.key))?;
    let needy = Made::new("needy-1.0", b"needy", &[&leaky], Some(&desk.key))?;
    let unsigned = Made::new("unsigned-1.0", b"unsigned", &[], None)?;
    let mixed = [&other, &mid, &lib, &app, &top, &needy, &theirs, &unsigned];
    let mixed = folder(desk.at("mixed"), &mixed)?;
    fs::write(mixed.join(top.narinfo.url()), &top.stored[..60])?;
    desk.choose(&mixed).await?;
    desk.browser.shows("Send 2 paths").await?;
    desk.browser
        .shows("5 problems must be solved or left out")
        .await?;
    desk.browser.accessible("an upload with problems").await?;
    pictures::take(&desk.browser, &pictures::folder()?, "upload-problems").await?;
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a71_what_exceeds_the_quota_is_refused_at_once() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&["max_bytes = 1024".to_owned()]).await? else {
        return Ok(());
    };
    let made = Made::new("large-1.0", &noise(200), &[], Some(&desk.key))?;
    desk.choose(&folder(desk.at("out"), &[&made])?).await?;
    desk.browser.shows("U11 Not enough quota: need 6.").await?;
    desk.browser
        .shows("1.00 KiB left. Nothing was sent.")
        .await?;
    ensure!(desk.sent().await?.is_empty(), "something was sent");
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_signed_in_the_tab_and_the_key_stays_there() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&[]).await? else {
        return Ok(());
    };
    let made = fx1(None)?;
    let all: Vec<&Made> = made.iter().collect();
    desk.choose(&folder(desk.at("out"), &all)?).await?;
    desk.browser.shows("Nobody has signed it.").await?;
    let secret = desk.at("alice.secret");
    fs::write(&secret, desk.key.to_secret_text())?;
    let field = desk.browser.find("#upload-key").await?;
    field.send_keys(secret.to_str().context("a name")?).await?;
    desk.browser.shows("Send 3 paths").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 3 paths").await?;
    let sent = desk
        .browser
        .script("return window.put.map(put => put.text).join('')", vec![])
        .await?;
    let sent = sent.as_str().unwrap_or_default();
    let text = desk.key.to_secret_text();
    let half = text.split(':').nth(1).unwrap_or_default();
    ensure!(sent.matches("Sig: alice-1:").count() == 3, "{sent}");
    ensure!(!sent.contains(&half[..40]), "the secret was sent");
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a72_a73_an_upload_goes_on_after_the_network_and_the_tab_were_gone() -> anyhow::Result<()> {
    let Some(desk) = Desk::new(&[]).await? else {
        return Ok(());
    };
    let throttle = async |bytes: i64| {
        let conditions = json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes});
        desk.browser
            .cdp("Network.emulateNetworkConditions", conditions)
            .await
    };
    let small = Made::new("small-1.0", b"small", &[], Some(&desk.key))?;
    let large = Made::new("large-1.0", &noise(60_000), &[&small], Some(&desk.key))?;
    let out = folder(desk.at("out"), &[&small, &large])?;
    desk.choose(&out).await?;
    desk.browser.shows("Send 2 paths").await?;
    // A73.
    desk.browser.offline(true).await?;
    click(&desk.browser, "Send").await?;
    desk.browser
        .shows("U13 Connection lost: waiting for network")
        .await?;
    throttle(100_000).await?;
    desk.browser
        .shows("Sending: 1 of 2 paths published")
        .await?;
    // A72: the page is gone in the middle of the large one.
    desk.browser
        .script("window.addEventListener('beforeunload', event => event.stopImmediatePropagation(), true); return true", vec![])
        .await?;
    click(&desk.browser, "Pause").await?;
    desk.browser.shows("Paused: 1 of 2").await?;
    throttle(-1).await?;
    desk.open().await?;
    desk.browser.shows("An upload is not finished").await?;
    desk.browser.shows("1 of 2 paths are done").await?;
    desk.browser.accessible("an upload that was left").await?;
    desk.choose(&out).await?;
    desk.browser.shows("Send 1 path").await?;
    click(&desk.browser, "Send").await?;
    desk.browser.shows("Published: 1 path").await?;
    let sent = desk.sent().await?;
    ensure!(
        sent.len() == 2 && sent[0].contains(large.narinfo.url()),
        "{sent:?}"
    );
    desk.open().await?;
    ensure!(
        !desk.browser.page_text().await?.contains("not finished"),
        "it is still listed"
    );
    // No object came twice.
    let objects = snowbank_tests::folder::objects(&desk.at("bucket"))?;
    let nars = objects.keys().filter(|key| key.starts_with("nar/")).count();
    ensure!(nars == 2, "{:?}", objects.keys());
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a78_what_nix_wrote_is_uploaded_and_fetched_by_the_caches_key_alone() -> anyhow::Result<()>
{
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let key: SecretKey = fs::read_to_string(closure.secret_key_file())?
        .trim()
        .parse()?;
    let Some(desk) = Desk::with(&[], key).await? else {
        return Ok(());
    };
    // A66: by the keyboard alone, as far as the browser's own dialog.
    desk.browser
        .until(
            "the field in the order of the Tab key",
            "const field = document.querySelector('#upload-folder'); field.focus(); return document.activeElement === field && field.tabIndex === 0",
        )
        .await?;
    // What is not unpacked in a browser is the server's to check.
    desk.choose(&closure.cache("br")).await?;
    desk.browser
        .shows("U06 This browser cannot unpack it; the server will check it instead.")
        .await?;
    for codec in ["zstd", "xz", "bzip2", "gzip", "br"] {
        desk.choose(&closure.cache(codec)).await?;
        desk.browser
            .until(
                "every archive looked at",
                "return document.querySelectorAll('main tbody tr').length > 20 && /Send |already/.test(document.querySelector('main').innerText) && !/Looking at/.test(document.querySelector('main').innerText)",
            )
            .await?;
        let rows = desk.rows().await?;
        if codec == "zstd" {
            ensure!(
                rows.iter().all(|row| row.contains("verified")),
                "{codec}: {rows:?}"
            );
            click(&desk.browser, "Send").await?;
            desk.browser.shows("Published: ").await?;
            let shown = desk.browser.page_text().await?;
            ensure!(!shown.contains("Refused"), "{shown}");
        } else {
            // The same content however it is packed.
            ensure!(
                rows.iter().all(|row| row.contains("Same")),
                "{codec}: {rows:?}"
            );
        }
    }
    let key = desk.server.trusted_key("main").await?;
    for client in Nix::each()? {
        let store = client.home().join("store");
        client
            .substitute(&store, &desk.server.url("/main"), &key, &closure.app)?
            .ok()?;
    }
    let rows: Vec<Value> = desk.server.items("/api/v1/caches/main/paths").await?;
    ensure!(
        rows.iter().all(|row| row["content"] == "verified"),
        "{rows:?}"
    );
    desk.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a70_an_export_is_signed_in_the_tab_and_published_like_any_other() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let key: SecretKey = fs::read_to_string(closure.secret_key_file())?
        .trim()
        .parse()?;
    let Some(desk) = Desk::with(&[], key).await? else {
        return Ok(());
    };
    let store = closure.store().display().to_string();
    let paths = nix.closure(&store, &closure.app)?;
    let exported = nix
        .command("nix-store")
        .args(["--store", &store, "--export"])
        .args(&paths)
        .output()?;
    ensure!(
        exported.status.success(),
        "{}",
        String::from_utf8_lossy(&exported.stderr)
    );
    let file = desk.at("app.export");
    fs::write(&file, &exported.stdout)?;
    desk.browser
        .find("#upload-files")
        .await?
        .send_keys(file.to_str().context("a name")?)
        .await?;
    desk.browser.shows("Nobody has signed it.").await?;
    let field = desk.browser.find("#upload-key").await?;
    let secret = closure.secret_key_file();
    field.send_keys(secret.to_str().context("a name")?).await?;
    desk.browser
        .shows(&format!("Send {} paths", paths.len()))
        .await?;
    click(&desk.browser, "Send").await?;
    desk.browser
        .shows(&format!("Published: {} paths", paths.len()))
        .await?;
    let key = desk.server.trusted_key("main").await?;
    let to = nix.home().join("store");
    nix.substitute(&to, &desk.server.url("/main"), &key, &closure.app)?
        .ok()?;
    ensure!(
        nix.closure(&to.display().to_string(), &closure.app)? == paths,
        "another closure arrived"
    );
    desk.browser.finish().await
}
