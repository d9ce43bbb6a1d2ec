//! Changing signatures and keys in a browser: A59, A62, A63.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Setup;

use super::access::{click, fill};
use super::upload::{Made, folder};

/// Puts a path into a bucket as others do, signed by a key; the narinfo's name.
fn put(bucket: &Path, name: &str, key: &SecretKey) -> anyhow::Result<String> {
    let made = Made::new(name, name.as_bytes(), &[], Some(key))?;
    folder(bucket.to_owned(), &[&made])?;
    Ok(made.path().hash().narinfo_key())
}

/// Chooses an option of the select with this label.
async fn choose(browser: &Browser, label: &str, value: &str) -> anyhow::Result<()> {
    let label = serde_json::to_string(label)?;
    browser
        .until(
            "the choice",
            &format!(
                "const label = [...document.querySelectorAll('main label')].find(it => it.textContent.trim() === {label}); \
                 const select = label && document.getElementById(label.htmlFor); if (!select) return false; \
                 select.value = {value:?}; select.dispatchEvent(new Event('change', {{bubbles: true}})); return select.value === {value:?}"
            ),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a59_a62_a63_paths_are_counter_signed_and_the_key_is_rotated_with_its_guards()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    let old = SecretKey::generate("team-1", [41; 32])?;
    let theirs = SecretKey::generate("theirs-1", [42; 32])?;
    let objects = ["first-1.0", "second-1.0", "third-1.0", "other-1.0"]
        .map(|name| put(&bucket, name, &theirs));
    let objects = objects.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let key_file = home.path().join("team-1.secret");
    fs::write(&key_file, old.to_secret_text())?;
    let lines = [
        format!("signing_key_files = [{:?}]", key_file.display().to_string()),
        format!("public_keys = [{:?}]", theirs.public_key().to_string()),
        "sweep = \"1s\"".to_owned(),
    ];
    let server = Setup::new().folder("main", &bucket, &lines).start().await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    olga.sit_down(&browser, &server).await?;
    let text = |object: &String| fs::read_to_string(bucket.join(object));
    let before = objects.iter().map(&text).collect::<Result<Vec<_>, _>>()?;

    // A63: three paths, chosen in the list.
    browser.open("/c/main/paths?sort=name").await?;
    for name in ["first-1.0", "second-1.0", "third-1.0"] {
        browser
            .until(
                "the row's box",
                &format!(
                    "const row = [...document.querySelectorAll('#paths-table tbody tr')].find(row => row.innerText.includes({name:?})); \
                     const box = row?.querySelector('input[type=checkbox]'); if (!box) return false; if (!box.checked) box.click(); return box.checked"
                ),
            )
            .await?;
    }
    browser.find("#selection-sign").await?.click().await?;
    browser.shows("3 paths selected.").await?;
    browser.accessible("the form of a job").await?;
    click(&browser, "What would it do?").await?;
    browser.shows("about 6 GET and 3 PUT").await?;
    click(&browser, "Begin").await?;
    browser
        .until(
            "the end of the job",
            "return document.querySelector('#job-state')?.innerText === 'done' && document.querySelector('#job-changed')?.innerText === '3'",
        )
        .await?;
    browser.accessible("a job").await?;
    for (object, before) in objects.iter().zip(&before).take(3) {
        let now = text(object)?;
        let ours: Vec<&str> = now
            .lines()
            .filter(|line| line.starts_with("Sig: team-1:"))
            .collect();
        ensure!(ours.len() == 1, "{now}");
        ensure!(
            now.replace(&format!("{}\n", ours[0]), "") == *before,
            "{now}"
        );
    }
    ensure!(text(&objects[3])? == before[3], "it was not chosen");

    // A59: a name that is taken.
    browser.open("/c/main/rotation").await?;
    browser.shows("Begin a rotation").await?;
    choose(&browser, "The key that goes", "team-1").await?;
    fill(&browser, "Name of the new key", "theirs-1").await?;
    click(&browser, "Create the key").await?;
    browser.shows("the first one wins").await?;
    fill(&browser, "Name of the new key", "team-2").await?;
    click(&browser, "Create the key").await?;
    browser.shows("Clients are not told of it yet").await?;
    browser.accessible("a rotation that has begun").await?;
    click(&browser, "Distribute both keys").await?;
    browser.shows("Both keys are distributed").await?;
    let conf = server.text("/c/main/nix.conf").await?;
    ensure!(
        conf.contains("team-1:") && conf.contains("team-2:"),
        "{conf}"
    );
    // What others trust beside it keeps the three acceptable, so one that only the old key signed is put there.
    let late = put(&bucket, "late-1.0", &old)?;
    let within = Duration::from_secs(30);
    server
        .eventually(within, "the late path", async || {
            let rows = server.items("/api/v1/caches/main/paths?q=late").await?;
            Ok((rows.len() == 1).then_some(()))
        })
        .await?;
    // A62: the page says what is in the way, and leads there.
    browser.open("/c/main/rotation").await?;
    browser
        .until(
            "the path in the way",
            "return document.querySelector('#step-retire .only-old a')?.innerText.includes('late-1.0')",
        )
        .await?;
    browser
        .until(
            "a step that is refused with its reason",
            "return document.querySelector('#step-overlap')?.innerText.includes('1 path is signed only by team-1') \
             && document.querySelector('#step-overlap .page-actions button')?.getAttribute('aria-disabled') === 'true'",
        )
        .await?;
    click(&browser, "late-1.0").await?;
    let hash = late.trim_end_matches(".narinfo");
    browser
        .until(
            "the page of the path",
            &format!("return location.pathname.includes({hash:?})"),
        )
        .await?;
    // The steps up to the last; then a path comes that only the old key signed.
    let step = async |wish: Value| {
        olga.send(&server, Method::POST, "/caches/main/rotation/step", wish)
            .await
    };
    let page = step(json!({"step": "resign"})).await?;
    let job = page["rotation"]["job"]["id"].as_str().context("a job")?;
    let job = format!("/caches/main/jobs/{job}");
    let job = job.as_str();
    server
        .eventually(within, "the end of the job", async || {
            let job = olga.send(&server, Method::GET, job, Value::Null).await?;
            Ok((job["state"] == "done").then_some(()))
        })
        .await?;
    step(json!({"step": "overlap"})).await?;
    step(json!({"step": "overlap", "shorten": "a test"})).await?;
    step(json!({"step": "switch"})).await?;
    put(&bucket, "later-1.0", &old)?;
    server
        .eventually(within, "the later path", async || {
            let rows = server.items("/api/v1/caches/main/paths?q=later").await?;
            Ok((rows.len() == 1).then_some(()))
        })
        .await?;
    browser.open("/c/main/rotation").await?;
    browser
        .until(
            "step 6 refused with its reason and the path",
            "const step = document.querySelector('#step-retire'); return step?.innerText.includes('1 path is signed only by team-1') \
             && step.querySelector('.page-actions button')?.getAttribute('aria-disabled') === 'true' \
             && step.querySelector('.only-old a')?.innerText.includes('later-1.0')",
        )
        .await?;
    browser.accessible("a step that is blocked").await?;
    browser.finish().await
}
