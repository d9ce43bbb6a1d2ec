//! Who vouches for what: every status made by a real narinfo, judged as both clients judge it; the tab
//! of a path, the keys of a cache, the coverage matrix, and what goes if a key goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::content_address::{self, ContentAddress};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};
use snowbank_tests::browser::Browser;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use super::connect::{paste, press};
use super::scene;

fn key(name: &str, seed: u8) -> anyhow::Result<SecretKey> {
    Ok(SecretKey::generate(name, [seed; 32])?)
}

/// Some narinfos of a cache, by name.
struct Made {
    folder: std::path::PathBuf,
    paths: BTreeMap<&'static str, StorePath>,
}

impl Made {
    /// Writes a path signed by these keys; `edit` changes the text afterwards.
    fn put(
        &mut self,
        name: &'static str,
        references: &[&str],
        keys: &[&SecretKey],
        edit: impl FnOnce(String) -> String,
    ) -> anyhow::Result<()> {
        let dir = StoreDir::default();
        let nar: Vec<u8> = name.bytes().cycle().take(600).collect();
        let nar_hash = Sha256::digest(&nar);
        let by_content = name.starts_with("lib-content");
        let address = by_content.then(|| ContentAddress {
            method: content_address::Method::Recursive,
            hash: nar_hash.into(),
        });
        let store_path = match address {
            Some(address) => address.store_path(&dir, name, [], false)?,
            None => {
                let mut digest = [0; 20];
                digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
                StorePath::new(StorePathHash::from_bytes(digest), name)?
            }
        };
        let references = references
            .iter()
            .map(|name| self.paths.get(name).cloned().context("an earlier path"))
            .collect::<anyhow::Result<Vec<StorePath>>>()?;
        let mut parts = NarInfoParts {
            store_path: store_path.clone(),
            url: format!("nar/{}.nar", nar_hash.to_nix32()),
            compression: Compression::None,
            file_hash: Some(nar_hash.into()),
            file_size: Some(600),
            nar_hash,
            nar_size: 600,
            references,
            deriver: None,
            signatures: Vec::new(),
            ca: address,
        };
        let fingerprint = parts.fingerprint(&dir);
        parts.signatures = keys
            .iter()
            .map(|key| key.sign(fingerprint.as_bytes()))
            .collect();
        std::fs::create_dir_all(self.folder.join("nar"))?;
        std::fs::write(self.folder.join(&parts.url), &nar)?;
        let file = self.folder.join(format!("{}.narinfo", store_path.hash()));
        std::fs::write(file, edit(parts.to_text(&dir)))?;
        self.paths.insert(name, store_path);
        Ok(())
    }

    fn hash(&self, name: &str) -> anyhow::Result<String> {
        let path = self.paths.get(name).context("a path")?;
        Ok(path.hash().to_string())
    }
}

/// One path for each word.
fn fill(folder: &Path) -> anyhow::Result<Made> {
    let (team, alice, bob, ci) = (
        key("team-1", 1)?,
        key("alice-1", 2)?,
        key("bob-1", 3)?,
        key("ci-1", 4)?,
    );
    let mut made = Made {
        folder: folder.to_owned(),
        paths: BTreeMap::new(),
    };
    let as_is = |text: String| text;
    made.put("app-leaf-1", &[], &[&team], as_is)?;
    made.put("app-mid-1", &["app-leaf-1"], &[&team], as_is)?;
    made.put("app-top-1", &["app-mid-1"], &[&team, &ci], as_is)?;
    made.put("lib-retired-1", &[], &[&alice], as_is)?;
    made.put("lib-revoked-1", &[], &[&bob], as_is)?;
    made.put("lib-unknown-1", &[], &[&ci], as_is)?;
    made.put("lib-bare-1", &[], &[], as_is)?;
    made.put("lib-content-1", &[], &[], as_is)?;
    made.put("lib-both-1", &[], &[&alice, &team], as_is)?;
    made.put("lib-edited-1", &[], &[&team], |text| {
        text.replace("NarSize: 600", "NarSize: 601")
    })?;
    made.put("lib-moved-1", &[], &[&team], |text| {
        text.replace("FileSize: 600", "FileSize: 7")
    })?;
    made.put("lib-broken-1", &[], &[], |text| {
        format!("{text}Sig: team-1:AAAA\n")
    })?;
    Ok(made)
}

const WORDS: [(&str, &str); 12] = [
    ("app-leaf-1", "valid"),
    ("app-mid-1", "valid"),
    ("app-top-1", "valid"),
    ("lib-retired-1", "valid-retired"),
    ("lib-revoked-1", "valid-revoked"),
    ("lib-unknown-1", "unknown-key"),
    ("lib-bare-1", "unsigned"),
    ("lib-content-1", "not-needed"),
    ("lib-both-1", "valid"),
    ("lib-edited-1", "invalid"),
    ("lib-moved-1", "valid"),
    ("lib-broken-1", "malformed"),
];

/// A server over these, with alice's key retired and bob's revoked.
async fn serve() -> anyhow::Result<(Server, Made, TempDir)> {
    let home = tempfile::tempdir()?;
    let folder = home.path().join("bucket");
    std::fs::create_dir_all(&folder)?;
    let made = fill(&folder)?;
    let team = format!(
        "public_keys = [{:?}]",
        key("team-1", 1)?.public_key().to_string()
    );
    let server = Setup::new()
        .folder("main", &folder, &[team])
        .start()
        .await?;
    let olga = server.owner("olga").await?;
    scene::register(
        &server,
        &olga,
        &key("alice-1", 2)?,
        "main",
        &["prove", "retire"],
    )
    .await?;
    scene::register(
        &server,
        &olga,
        &key("bob-1", 3)?,
        "main",
        &["prove", "revoke"],
    )
    .await?;
    server.indexed("main").await?;
    let wish = json!({"path": made.hash("app-top-1")?, "expected": 0, "note": ""});
    olga.send(&server, Method::PUT, "/caches/main/pins/prod", wish)
        .await?;
    let patience = std::time::Duration::from_secs(30);
    server
        .eventually(patience, "the words of all paths", async || {
            let rows = server.items("/api/v1/caches/main/paths").await?;
            let words: BTreeSet<(&str, &str)> = rows
                .iter()
                .filter_map(|row| Some((row["name"].as_str()?, row["signature"].as_str()?)))
                .collect();
            Ok((words == BTreeSet::from(WORDS)).then_some(()))
        })
        .await?;
    Ok((server, made, home))
}

/// Keys as the parameters of a question.
fn as_query(keys: &[String]) -> String {
    let pairs = keys
        .iter()
        .map(|key| format!("key={}", key.replace('+', "%2B")));
    pairs.collect::<Vec<_>>().join("&")
}

#[tokio::test(flavor = "multi_thread")]
async fn a58_every_status_is_accepted_or_refused_as_both_clients_do() -> anyhow::Result<()> {
    let (server, made, _home) = serve().await?;
    let public = |name: &str, seed: u8| anyhow::Ok(key(name, seed)?.public_key().to_string());
    let (team, alice, bob) = (
        public("team-1", 1)?,
        public("alice-1", 2)?,
        public("bob-1", 3)?,
    );
    let (ci, imposter) = (public("ci-1", 4)?, public("team-1", 9)?);
    let sets = [
        vec![team.clone()],
        vec![alice, bob, ci.clone()],
        vec![imposter.clone(), team.clone()],
        vec![ci, team, imposter],
    ];
    for keys in sets {
        let address = format!("/api/v1/caches/main/acceptance?{}", as_query(&keys));
        let answer = server.json(&address).await?;
        let refused: BTreeSet<&str> = answer["items"]
            .as_array()
            .context("items")?
            .iter()
            .filter_map(|item| item["hash"].as_str())
            .collect();
        ensure!(
            answer["unchecked"] == 0 && answer["paths"] == 12,
            "{answer}"
        );
        for nix in Nix::each()? {
            for (name, path) in &made.paths {
                let outcome = nix.run(
                    "nix",
                    &[
                        "store",
                        "verify",
                        "--store",
                        &server.url("/main"),
                        "--no-contents",
                        "--sigs-needed",
                        "1",
                        "--option",
                        "trusted-public-keys",
                        &keys.join(" "),
                        &format!("/nix/store/{path}"),
                    ],
                )?;
                let here = !refused.contains(path.hash().to_string().as_str());
                ensure!(
                    here == outcome.success,
                    "{name} by {keys:?}: {here} here, Nix {} says\n{}",
                    nix.version,
                    outcome.stderr
                );
            }
        }
    }
    Ok(())
}

async fn text_of(browser: &Browser, css: &str) -> anyhow::Result<String> {
    let script =
        "return document.querySelector(arguments[0])?.innerText.replace(/\\s+/g, ' ').trim() ?? ''";
    let text = browser.script(script, vec![css.into()]).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

async fn says(browser: &Browser, css: &str, words: &str) -> anyhow::Result<()> {
    let script = format!(
        "return (document.querySelector({})?.innerText ?? '').replace(/\\s+/g, ' ').includes({})",
        json!(css),
        json!(words)
    );
    match browser.until(&format!("{words:?} in {css}"), &script).await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(text_of(browser, css).await?)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a56_a58_the_tab_of_a_path_says_what_a_machine_accepts_and_sends_no_file()
-> anyhow::Result<()> {
    let (server, made, _home) = serve().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let tab = |name: &str| anyhow::Ok(format!("/c/main/p/{}/signatures", made.hash(name)?));
    browser.open(&tab("app-top-1")?).await?;
    says(&browser, "#accept-verdict", "Yes because of team-1.").await?;
    says(
        &browser,
        "#accept-closure",
        "3 of 3 paths of its closure accepted.",
    )
    .await?;
    says(&browser, "#accept", "--sigs-needed 1 --recursive").await?;
    press(&browser, "cache.nixos.org").await?;
    says(
        &browser,
        "#accept-verdict",
        "No because the machine trusts none of the keys that signed it",
    )
    .await?;
    says(&browser, "#accept-closure", "0 of 3 paths").await?;
    press(&browser, "nix.conf").await?;
    let secret = "MARKER0123456789";
    let conf =
        |keys: &str| format!("access-tokens = github.com={secret}\ntrusted-public-keys = {keys}\n");
    let public = |name: &str, seed: u8| anyhow::Ok(key(name, seed)?.public_key().to_string());
    paste(&browser, "trust-conf", &conf(&public("ci-1", 4)?)).await?;
    says(&browser, "#accept-verdict", "Yes because of ci-1.").await?;
    says(
        &browser,
        "#accept-closure",
        "1 of 3 paths of its closure accepted.",
    )
    .await?;
    says(&browser, "#accept-closure", "only team-1").await?;
    let shadowed = format!("{} {}", public("team-1", 9)?, public("team-1", 1)?);
    paste(&browser, "trust-conf", &conf(&shadowed)).await?;
    says(&browser, "#accept", "Two keys share a name").await?;
    says(
        &browser,
        "#accept-verdict",
        "No because its signature by team-1 does not pass",
    )
    .await?;
    says(&browser, "#accept-closure", "0 of 3 paths").await?;
    browser.accessible("what a machine accepts").await?;
    let asked = browser.requests().await?;
    ensure!(
        asked.iter().any(|url| url.contains("/acceptance?")),
        "the closure is the server's to judge"
    );
    ensure!(
        asked.iter().all(|url| !url.contains(secret)),
        "the file was sent: {asked:#?}"
    );
    // One field that is signed, and one that is not.
    browser.open(&tab("lib-edited-1")?).await?;
    says(&browser, "#verified", "Invalid").await?;
    says(
        &browser,
        "main",
        "NarSize or References are not what was signed",
    )
    .await?;
    says(&browser, "#not-covered", "URL, FileHash, FileSize").await?;
    browser.open(&tab("lib-moved-1")?).await?;
    says(&browser, "#verified", "Valid").await?;
    says(&browser, "main", "Size differs").await?;
    says(&browser, "main", "No signature covers FileSize").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a60_a61_cells_lead_to_what_they_count_and_a_key_that_goes_breaks_pins()
-> anyhow::Result<()> {
    let (server, made, _home) = serve().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/keys").await?;
    browser.shows("Rests on it alone").await?;
    for words in [
        "team-1",
        "alice-1",
        "bob-1",
        "ci-1",
        "cache.nixos.org-1",
        "retired",
        "revoked",
        "unknown",
    ] {
        says(&browser, "main table", words).await?;
    }
    browser.accessible("the keys of a cache").await?;
    // Each has a page: whose it is, what rests on it, and where its paths are.
    browser.open("/c/main/keys/alice-1").await?;
    for words in [
        "alice-1:",
        "Vouches for",
        "Rests on it alone",
        "Fingerprint",
    ] {
        says(&browser, "main", words).await?;
    }
    browser.find("main a[href*='vouch=valid']").await?;
    browser.find("main a[href*='key=alice-1']").await?;
    let csv = server
        .text("/api/v1/caches/main/coverage?by=pin&format=csv")
        .await?;
    for (measure, field) in [("", 3), ("closures", 5)] {
        browser
            .open(&format!("/c/main/signatures?group=pin&measure={measure}"))
            .await?;
        browser
            .find("#coverage a[aria-label^='team-1, pin prod']")
            .await?;
        browser.accessible("the coverage matrix").await?;
        let cells = browser
            .script(
                "return [...document.querySelectorAll('#coverage a')].map(a => [a.getAttribute('aria-label'), a.getAttribute('href')])",
                vec![],
            )
            .await?;
        let cells: Vec<(String, String)> = serde_json::from_value(cells)?;
        ensure!(cells.len() >= 4, "{cells:?}");
        for (says, address) in &cells {
            // Failing signatures are a count without a whole.
            let part = match says.starts_with("failing") {
                true => says.as_str(),
                false => says.rsplit_once(" of ").context("of a whole")?.0,
            };
            let count: u64 = part.rsplit(' ').next().context("a count")?.parse()?;
            let query = address.split_once('?').map_or("", |(_, query)| query);
            let listed = server
                .json(&format!("/api/v1/caches/main/paths?{query}"))
                .await?;
            ensure!(
                listed["total"] == count,
                "{says} leads to {} paths",
                listed["total"]
            );
        }
        // The file has the numbers of the screen.
        let (_, count) = cells
            .iter()
            .find_map(|(says, _)| says.strip_prefix("team-1, whole cache: ")?.split_once(", "))
            .context("the whole cache")?;
        let line = csv
            .lines()
            .find(|line| line.starts_with(",key,team-1,"))
            .context("its line")?;
        let told = line.split(',').nth(field).context("a number")?;
        ensure!(
            count.split(' ').next() == Some(told),
            "{count} on screen, {line} in the file"
        );
    }
    // One by a click.
    browser
        .until(
            "the cell of the pin",
            "const cell = document.querySelector(\"#coverage a[aria-label^='team-1, pin prod']\"); cell?.click(); return !!cell",
        )
        .await?;
    browser.shows("whole closure signed by team-1").await?;
    browser
        .until(
            "three rows",
            "return document.querySelectorAll('#paths-table tbody tr[data-path]').length === 3",
        )
        .await?;
    // What goes with team-1.
    let before = server.items("/api/v1/caches/main/paths").await?;
    browser.open("/c/main/signatures").await?;
    browser
        .until(
            "the box of team-1",
            "const label = [...document.querySelectorAll('#what-if label')].find(label => label.innerText.trim() === 'team-1');
             label?.querySelector('input').click(); return !!label",
        )
        .await?;
    says(&browser, "#lost", "Without team-1, 5 paths").await?;
    says(&browser, "#broken-pins", "prod@1").await?;
    says(&browser, "#lost", "app-mid-1").await?;
    let place = browser.location().await?;
    ensure!(place.contains("drop=team-1"), "{place}");
    browser.accessible("what goes with a key").await?;
    browser.open(&place).await?;
    says(&browser, "#broken-pins", "3 of 3 paths").await?;
    let after: Vec<Value> = server.items("/api/v1/caches/main/paths").await?;
    ensure!(before == after, "a question changed something");
    let hash = made.hash("app-top-1")?;
    ensure!(
        server.status(&format!("/main/{hash}.narinfo")).await? == 200,
        "it is served as before"
    );
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a55_the_content_of_each_is_checked_on_demand_and_one_is_a_mismatch() -> anyhow::Result<()>
{
    // FX2 as it lies in the demo; behind its URL what its twin is, which somebody signed rightly.
    let demo = Server::demo().await?;
    let object = format!("{}.narinfo", super::FX2_HASH);
    let fx2 = demo.text(&format!("/main/{object}")).await?;
    drop(demo);
    let url = fx2
        .lines()
        .find(|line| line.starts_with("URL: "))
        .context("a URL")?;
    let signer = key("team-1", 55)?;
    let twin = super::upload::Made::new("twin-1.0", b"another build", &[], Some(&signer))?;
    let own = format!("URL: {}", twin.narinfo.url());
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir_all(bucket.join("nar"))?;
    std::fs::write(bucket.join(&object), &fx2)?;
    std::fs::write(
        bucket.join(twin.narinfo_key()),
        twin.narinfo.text().replace(&own, url),
    )?;
    std::fs::write(bucket.join(&url["URL: ".len()..]), &twin.stored)?;
    let lines = [format!(
        "public_keys = [{:?}]",
        signer.public_key().to_string()
    )];
    let server = Setup::new().folder("main", &bucket, &lines).start().await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    // Who may not sees that it can be done, and by whom.
    let page = format!("/c/main/p/{}/signatures", super::FX2_HASH);
    browser.open(&page).await?;
    browser
        .until(
            "the button, disabled",
            "return [...document.querySelectorAll('button')].some(it => it.textContent.trim() === 'Check the content now' && it.getAttribute('aria-disabled') === 'true')",
        )
        .await?;
    server
        .owner("olga")
        .await?
        .sit_down(&browser, &server)
        .await?;
    browser.open(&page).await?;
    super::access::click(&browser, "Check the content now").await?;
    browser.shows("Checked just now: Mismatch").await?;
    browser.accessible("a mismatch").await?;
    let twin_hash = twin.path().hash().to_string();
    browser
        .open(&format!("/c/main/p/{twin_hash}/signatures"))
        .await?;
    super::access::click(&browser, "Check the content now").await?;
    browser.shows("Checked just now: Verified.").await?;
    browser.find("#proven-at time").await?;
    for (hash, word) in [(super::FX2_HASH, "mismatch"), (&twin_hash, "verified")] {
        let row = server
            .json(&format!("/api/v1/caches/main/paths/{hash}"))
            .await?;
        ensure!(row["content"] == word, "{hash}: {}", row["content"]);
    }
    // It is a finding, beside that of the URL.
    browser.open("/c/main/health/nar-hash-mismatch").await?;
    let css = format!("#findings a[href$='/p/{}']", super::FX2_HASH);
    browser.find(&css).await?;
    // And Health says how far the content is proven, and since when.
    browser.find("#verification dl time").await?;
    browser.accessible("how far the content is proven").await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a55_two_narinfos_of_one_nar_lead_to_each_other() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/health/url-disagreement").await?;
    browser.shows("One NAR URL, two different contents").await?;
    let twin = "5gf7jvhvncp4c0lxjws5cyz33s3fdghj";
    for hash in [super::FX2_HASH, twin] {
        let css = format!("#findings .finding-reason a[href$='/p/{hash}']");
        browser.find(&css).await?;
    }
    browser.accessible("two narinfos of one NAR").await?;
    browser.open(&format!("/c/main/p/{twin}")).await?;
    let link = format!("#disputed-by a[href$='/p/{}']", super::FX2_HASH);
    browser.find(&link).await?;
    browser.finish().await
}
