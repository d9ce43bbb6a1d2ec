//! A bucket filled by somebody who means harm: HTML, line breaks, marks that turn the
//! direction of text around, names as long as they may be, bytes that are no text.
//! All of it is shown as what it is, and none of it acts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use snowbank_shared::hash::nix32;
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

/// Acts where it is taken for HTML: by an event handler, which the policy would block and report.
const HTML: &str = "<img src=x onerror=pwned()><b>bold</b>";
/// Turns what follows around: the name of a program is drawn as that of a picture.
const TURNED: &str = "turned\u{202e}gnp.exe\u{2066}";

/// A narinfo of a path with this name; `more` are further lines.
fn put(bucket: &Path, number: u8, name: &str, more: &str) -> anyhow::Result<String> {
    let mut seed = [number; 32];
    seed[7] = 0x5a;
    let (hash, nar) = (nix32::encode(&seed[..20]), nix32::encode(&seed));
    let narinfo = format!(
        "StorePath: /nix/store/{hash}-{name}\nURL: nar/{nar}.nar.xz\nCompression: xz\nFileHash: sha256:{nar}\n\
         FileSize: 3\nNarHash: sha256:{nar}\nNarSize: 120\nReferences: {hash}-{name}\n{more}"
    );
    fs::write(bucket.join(format!("{hash}.narinfo")), narinfo)?;
    fs::write(bucket.join(format!("nar/{nar}.nar.xz")), "abc")?;
    Ok(hash)
}

struct Hostile {
    server: Server,
    hashes: Vec<String>,
    long: String,
    _home: TempDir,
}

async fn hostile() -> anyhow::Result<Hostile> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(bucket.join("nar"))?;
    fs::write(bucket.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    let signature = format!("{}==", "A".repeat(86));
    let long = "l".repeat(211);
    let hashes = vec![
        put(&bucket, 1, &long, "")?,
        put(&bucket, 2, "=HYPERLINK+now?-1.0_x.y", "")?,
        put(
            &bucket,
            3,
            "signed-by-html-1.0",
            &format!("Sig: {HTML}:{signature}\n"),
        )?,
        put(
            &bucket,
            4,
            "signed-by-turned-1.0",
            &format!("Sig: {TURNED}-1:{signature}\n"),
        )?,
        put(&bucket, 5, "deriver-1.0", &format!("Deriver: {HTML}\n"))?,
        put(
            &bucket,
            6,
            "system-1.0",
            &format!("System: {HTML}\nX-Unknown: {TURNED}\n"),
        )?,
        put(&bucket, 7, "address-1.0", &format!("CA: {HTML}\n"))?,
        put(&bucket, 8, "bell-1.0", "Sig: bell\u{7}\u{1b}[31m-1:AAAA\n")?,
    ];
    // What cannot be read at all: the reason quotes it.
    for (number, line) in [
        (20_u8, format!("NarSize: {HTML}")),
        (21, format!("NarSize: {TURNED}")),
        (22, format!("{HTML}: x")),
        (23, "NarSize: 1\u{0}2".to_owned()),
    ] {
        let hash = nix32::encode(&[number; 20]);
        fs::write(
            bucket.join(format!("{hash}.narinfo")),
            format!(
                "StorePath: /nix/store/{hash}-broken-1.0\nURL: nar/x.nar\n{line}\nReferences: \n"
            ),
        )?;
    }
    // Names of objects.
    for name in [
        format!("{HTML}.narinfo").into_bytes(),
        format!("{TURNED}.narinfo").into_bytes(),
        b"line\nbreak\r.narinfo".to_vec(),
        b"odd-\xff\xfe-bytes.narinfo".to_vec(),
        b"nar/odd-\xff\xfe-bytes.nar".to_vec(),
        format!("nar/{TURNED}.nar").into_bytes(),
    ] {
        let name = name.replace_slash();
        fs::write(bucket.join(OsStr::from_bytes(&name)), "not a narinfo\n")?;
    }
    fs::write(
        bucket.join(format!("{}.ls", hashes[1])),
        b"{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"odd-\\udcff\":{\"type\":\"regular\",\"size\":1},\"<img src=x onerror=pwned()>\":{\"type\":\"regular\",\"size\":1}}}}",
    )?;
    let server = Setup::new()
        .folder(
            "main",
            &bucket,
            &[format!("title = {:?}", "<img src=x onerror=pwned()>Team")],
        )
        .start()
        .await?;
    server.indexed("main").await?;
    Ok(Hostile {
        server,
        hashes,
        long,
        _home: home,
    })
}

/// A slash in an object's name is a folder; in the HTML above it is one too many.
trait ReplaceSlash {
    fn replace_slash(self) -> Self;
}

impl ReplaceSlash for Vec<u8> {
    fn replace_slash(mut self) -> Self {
        let keep = usize::from(self.starts_with(b"nar/")) * 4;
        for byte in &mut self[keep..] {
            if *byte == b'/' {
                *byte = b'|';
            }
        }
        self
    }
}

/// What acted or was taken for something else than text, and texts that turn around what follows them.
const HARM: &str = r"
const harm = [];
if (window.pwned_by) harm.push('a script ran');
for (const e of document.querySelectorAll('img, iframe, object, embed, [onerror], [onclick], [onload], main script'))
  harm.push('became an element: ' + e.outerHTML.slice(0, 120));
const turning = /[\u202a-\u202e\u2066-\u2069\u200e\u200f]/;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const text = walk.currentNode, parent = text.parentElement;
  if (!turning.test(text.data) || !parent.checkVisibility()) continue;
  // The narinfo byte for byte: each of its lines is a paragraph, and a mark ends with its paragraph.
  if (parent.closest('#narinfo')) continue;
  harm.push('turns the text around: ' + parent.outerHTML.slice(0, 160));
}
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
if (control.test(document.querySelector('main').innerText)) harm.push('a bare control character');
if (/[\u202a-\u202e\u2066-\u2069]/.test(document.title)) harm.push('the title turns around');
return harm;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_bucket_is_shown_correctly_and_harmlessly_on_every_page() -> anyhow::Result<()> {
    let Hostile {
        server,
        hashes,
        long,
        _home,
    } = hostile().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser
        .cdp(
            "Page.addScriptToEvaluateOnNewDocument",
            serde_json::json!({"source": "window.pwned = () => { window.pwned_by = 1; }"}),
        )
        .await?;
    let mut pages = vec![
        "/".to_owned(),
        "/c/main".to_owned(),
        "/c/main/paths".to_owned(),
        "/c/main/paths?q=%3Cimg%20src%3Dx%20onerror%3Dpwned()%3E".to_owned(),
        "/c/main/paths?key=%3Cimg%20src%3Dx%20onerror%3Dpwned()%3E&compression=%E2%80%AEzx"
            .to_owned(),
        "/c/main/paths?q=%E2%80%AEgnp.exe".to_owned(),
        "/c/main/health".to_owned(),
        "/connect?caches=main".to_owned(),
        "/connect?caches=%3Cimg%20src%3Dx%20onerror%3Dpwned()%3E".to_owned(),
        "/c/main/p/00000000000000000000000000000000".to_owned(),
        "/c/%3Cimg%20src%3Dx%20onerror%3Dpwned()%3E".to_owned(),
        "/c/main/health/%3Cimg%20src%3Dx%20onerror%3Dpwned()%3E".to_owned(),
    ];
    for hash in &hashes {
        for tab in ["", "/closure", "/referrers", "/signatures", "/raw"] {
            pages.push(format!("/c/main/p/{hash}{tab}"));
        }
    }
    let mut harm = Vec::new();
    for page in &pages {
        // An address that names no page is answered without the dashboard: nothing is drawn from it.
        let answer = server.get(page).await?;
        if !answer.headers()["content-type"]
            .to_str()?
            .starts_with("text/html")
        {
            continue;
        }
        browser.resize(Width::Wide).await?;
        browser.open(page).await?;
        for width in [Width::Wide, Width::Narrow] {
            browser.resize(width).await?;
            browser.drawn().await?;
            let found = browser.script(HARM, vec![]).await?;
            for line in found.as_array().into_iter().flatten() {
                harm.push(format!("{page} at {width:?}: {line}"));
            }
            if width == Width::Narrow {
                for line in browser.sideways().await? {
                    harm.push(format!("{page} sticks out: {line}"));
                }
            }
        }
    }
    ensure!(harm.is_empty(), "{}", harm.join("\n"));
    browser.resize(Width::Wide).await?;

    // Shown, and as what it is.
    browser
        .open(&format!("/c/main/p/{}/signatures", hashes[2]))
        .await?;
    browser.shows("<img src=x onerror=pwned()>").await?;
    browser
        .open(&format!("/c/main/p/{}/signatures", hashes[3]))
        .await?;
    browser.shows("gnp.exe").await?;
    browser.open("/").await?;
    browser.shows("<img src=x onerror=pwned()>Team").await?;
    browser.open("/c/main/health").await?;
    browser.shows("<img src=x onerror=pwned()>").await?;
    browser.open(&format!("/c/main/p/{}", hashes[0])).await?;
    let heading = browser
        .script(
            "return document.querySelector('main h1').textContent",
            vec![],
        )
        .await?;
    ensure!(
        heading
            .as_str()
            .is_some_and(|heading| heading.contains(&long)),
        "211 characters are shown as {heading}"
    );
    let raw = server
        .bytes(&format!("/api/v1/caches/main/paths/{}/raw", hashes[3]))
        .await?;
    let raw = String::from_utf8(raw)?;
    browser
        .open(&format!("/c/main/p/{}/raw", hashes[3]))
        .await?;
    let shown = browser
        .script(
            "return document.querySelector('#narinfo').textContent",
            vec![],
        )
        .await?;
    ensure!(shown == raw.as_str(), "the narinfo is shown as {shown}");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_bucket_writes_no_lines_of_its_own_into_the_log() -> anyhow::Result<()> {
    let Hostile { server, hashes, .. } = hostile().await?;
    for path in [
        "/c/main/health".to_owned(),
        format!("/api/v1/caches/main/paths/{}", hashes[3]),
        "/api/v1/caches/main/paths?q=%E2%80%AEgnp%0Aexe%1B%5B31m".to_owned(),
        "/main/%E2%80%AE%0Ax.narinfo".to_owned(),
    ] {
        server.get(&path).await?;
    }
    let log = server.log();
    ensure!(log.lines().count() > 3, "nothing was logged: {log}");
    let strange: Vec<&str> = log
        .lines()
        .filter(|line| {
            line.chars().any(|c| {
                c.is_control()
                    || ('\u{202a}'..='\u{202e}').contains(&c)
                    || ('\u{2066}'..='\u{2069}').contains(&c)
            })
        })
        .collect();
    ensure!(strange.is_empty(), "{strange:#?}");
    let findings = server.items("/api/v1/caches/main/health").await?;
    ensure!(
        findings
            .iter()
            .any(|finding| finding.to_string().contains("onerror")),
        "nothing was found: {findings:#?}"
    );
    // The API is data: what lies in the bucket comes back as it is, and never as a page.
    let path = server
        .get(&format!("/api/v1/caches/main/paths/{}", hashes[2]))
        .await?;
    let kind = path.headers()["content-type"].to_str()?.to_owned();
    ensure!(kind.starts_with("application/json"), "{kind}");
    ensure!(path.headers()["x-content-type-options"] == "nosniff");
    let path: serde_json::Value = path.json().await?;
    let signed = path["signatures"].as_array().context("signatures")?;
    ensure!(
        signed
            .iter()
            .any(|signature| signature.to_string().contains("onerror")),
        "{signed:#?}"
    );
    Ok(())
}
