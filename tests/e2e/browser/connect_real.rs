//! What the pages of Connect write and say, against the real thing: the parsers of the languages,
//! both generations of Nix, the install script under a shell, and a cache whose key has changed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use snowbank_shared::nix_conf::effective::LISTED;
use snowbank_shared::nix_conf::merge::{OnConflict, Outcome, Surroundings, merge};
use snowbank_shared::route::ConnectTarget;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::snippets::{Audience, File, Language, Line};
use snowbank_tests::browser::Browser;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

use super::connect::{choose, copied, paste, press};
use crate::connect::configurations::{Machine, parameters_sorted, shown};
use crate::connect::installing::{console, script};
use crate::connect::templates::passes;
use crate::connect::{KEY, URL, fixtures};

/// Every file that is shown, its path before its text; those in tabs one after the other.
async fn files(browser: &Browser) -> anyhow::Result<Vec<(String, String)>> {
    const READ: &str = "return [...document.querySelectorAll('.output .code')].map(e => [e.querySelector('.code-head-title').textContent, e.querySelector('pre').textContent])";
    browser.find(".connect-output .output pre").await?;
    let tabs = "return document.querySelectorAll('.output .file-tab').length";
    let tabs = browser.script(tabs, vec![]).await?.as_u64().unwrap_or(0);
    let mut files = Vec::new();
    for at in 0..tabs.max(1) {
        if tabs > 0 {
            let open = format!(
                "const tab = document.querySelectorAll('.output .file-tab')[{at}]; tab.click();
                 return document.querySelector('.output .code-head-title').textContent === tab.textContent"
            );
            browser.until("the file of a tab", &open).await?;
        }
        let read: Vec<(String, String)> =
            serde_json::from_value(browser.script(READ, vec![]).await?)?;
        files.extend(read);
    }
    Ok(files)
}

fn language(path: &str) -> anyhow::Result<Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Ok(match name {
        "nix.conf" | "nix.custom.conf" => Language::NixConf,
        "netrc" | "netrc.caches" => Language::Netrc,
        "Dockerfile" => Language::Dockerfile,
        "Terminal" | ".envrc" => Language::Shell,
        name if name.ends_with(".nix") => Language::Nix,
        name if name.ends_with(".yml") => Language::Yaml,
        _ => anyhow::bail!("what is {path} written in?"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_every_target_passes_its_parser_as_the_page_shows_it() -> anyhow::Result<()> {
    let (Some(nix), Some(newer)) = (Nix::system()?, Nix::newer()?) else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let server = console(&bucket).await?;
    server.indexed("team").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut checked = BTreeSet::new();
    let mut judge = |target: ConnectTarget, files: Vec<(String, String)>| -> anyhow::Result<()> {
        ensure!(!files.is_empty(), "{} shows no file", target.as_str());
        for (path, text) in files {
            let line = |text: &str| Line {
                text: text.to_owned(),
                why: String::new(),
            };
            let file = File {
                language: language(&path)?,
                path,
                audience: Audience::You,
                lines: text.lines().map(line).collect(),
                secret: false,
            };
            passes(&nix, &newer, home.path(), &file)
                .with_context(|| format!("{}: {}", target.as_str(), file.path))?;
            checked.insert((target, file.path));
        }
        Ok(())
    };
    for choices in [
        "&extras=fallback,timeout,misses&priority=30",
        "&access=token&flavour=determinate",
        "&access=token&scope=user",
    ] {
        browser
            .open(&format!("/connect?caches=team&target=nix-conf{choices}"))
            .await?;
        for target in ConnectTarget::ALL {
            // A normal user changes what is written for this one.
            if choices.contains("scope=user") && *target != ConnectTarget::NixConf {
                continue;
            }
            let word = format!(
                "return [...document.getElementById('connect-target').options].find(o => o.value === '{}').innerText.trim()",
                target.as_str()
            );
            browser.find("#connect-target").await?;
            let word = browser.script(&word, vec![]).await?;
            choose(&browser, "Where", word.as_str().context("a word")?).await?;
            let here = format!(
                "return location.search.includes('target={}')",
                target.as_str()
            );
            browser.until("the target in the address", &here).await?;
            judge(*target, files(&browser).await?)?;
            if *target == ConnectTarget::GitHub {
                for installer in [
                    "DeterminateSystems/nix-installer-action",
                    "nixbuild/nix-quick-install-action",
                ] {
                    choose(&browser, "What installs Nix there", installer).await?;
                    let written = format!(
                        "return document.querySelector('.output pre')?.textContent.includes({}) ?? false",
                        json!(format!("uses: {installer}@"))
                    );
                    browser.until(installer, &written).await?;
                    judge(*target, files(&browser).await?)?;
                }
            }
        }
    }
    let targets: BTreeSet<ConnectTarget> = checked.iter().map(|(target, _)| *target).collect();
    ensure!(
        targets.len() == 16,
        "only {} targets were read",
        targets.len()
    );
    browser.finish().await
}

/// The values in force after the merge, by the page's own table.
async fn table(browser: &Browser) -> anyhow::Result<Vec<(String, String)>> {
    let rows = browser
        .script(
            "return [...document.querySelectorAll('.effective tbody tr')]
               .filter(row => /^(in force|added)/.test(row.querySelector('[data-label=After]').textContent.trim()))
               .map(row => [row.querySelector('th code').textContent, row.querySelector('[data-label=Value] code').textContent])",
            vec![],
        )
        .await?;
    Ok(serde_json::from_value(rows)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a50_both_clients_make_of_the_merged_file_what_the_page_says() -> anyhow::Result<()> {
    let clients = Nix::each()?;
    if clients.is_empty() {
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let server = console(&bucket).await?;
    server.indexed("team").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    browser.open("/connect/merge?caches=team").await?;
    browser.find("#merge-text").await?;
    let mut compared = 0;
    for (name, text) in fixtures()? {
        paste(&browser, "merge-text", &text).await?;
        // What came of it: something to take along, or the same text.
        browser
            .until(
                &name,
                "return /Take it along|Already set\\. No change\\./.test(document.querySelector('.merge-out').innerText)",
            )
            .await?;
        let changed =
            "return document.querySelector('.merge-out').innerText.includes('Take it along')";
        let merged = match browser.script(changed, vec![]).await?.as_bool() {
            Some(true) => copied(&browser, "Copy the whole file").await?,
            _ => text.clone(),
        };
        let said = table(&browser).await?;
        let fatal = "return document.querySelector('.merge-out').innerText.includes('every Nix command fails')";
        let fatal = browser.script(fatal, vec![]).await? == true;
        let unseen =
            "return document.querySelector('.merge-out').innerText.includes('not pasted here')";
        let unseen = browser.script(unseen, vec![]).await? == true;
        // Quotes: a part of the value for 2.8, the end of every command for later ones.
        let newer = "return document.querySelector('main').innerText.includes('Newer versions of Nix then fail')";
        let newer = browser.script(newer, vec![]).await? == true;
        for nix in &clients {
            let machine = Machine {
                system: &merged,
                user: None,
                environment: None,
            };
            let (real, err) = shown(nix, &machine)?;
            let Some(real) = real else {
                // A file that it includes is missing here, which the page cannot know.
                let late = newer && !nix.version.contains(" 2.8.");
                ensure!(
                    fatal || unseen || late,
                    "{name}: {} fails: {err}",
                    nix.version
                );
                continue;
            };
            ensure!(
                !fatal,
                "{name}: {} reads what the page says is fatal",
                nix.version
            );
            for setting in LISTED {
                let of_page: BTreeSet<String> = said
                    .iter()
                    .filter(|(named, _)| named == setting)
                    .map(|(_, value)| parameters_sorted(value))
                    .collect();
                let of_nix: BTreeSet<String> = real[setting].iter().cloned().collect();
                ensure!(
                    of_page == of_nix,
                    "{name}: {setting} of {} is {of_nix:?}, the page says {of_page:?}\n{merged:?}",
                    nix.version
                );
            }
            compared += 1;
        }
    }
    ensure!(compared >= 20, "only {compared} files were compared");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a51_the_install_script_does_what_the_page_shows_wherever_the_page_was_opened()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let server = console(&bucket).await?;
    server.indexed("team").await?;
    // The browser reaches it by another name than the one that it is configured with.
    let elsewhere = server.origin.replace("127.0.0.1", "elsewhere.localhost");
    let Some(browser) = Browser::start(&elsewhere).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;

    // The command of the page, as it stands there.
    browser
        .open("/connect?caches=team&target=installer")
        .await?;
    browser
        .shows("These lines name the server's public address")
        .await?;
    browser.accessible("an address elsewhere").await?;
    let (_, command) = files(&browser).await?.remove(0);
    let install = format!("{}/c/team/install.sh", server.origin);
    ensure!(command.contains(&install), "{command}");
    let path = home.path().join("install.sh");
    std::fs::write(&path, server.text("/c/team/install.sh").await?)?;

    browser.open("/connect/merge?caches=team").await?;
    browser.find("#merge-text").await?;
    let file = home.path().join("nix.conf");
    let named = file.display().to_string();
    for before in [
        "max-jobs = 4\n# mine\n".to_owned(),
        "extra-substituters = https://a.example.org\nextra-trusted-public-keys = a-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=\nsandbox = true\n".to_owned(),
        format!("substituters = {URL}\r\nmax-jobs = 4\r\n"),
    ] {
        paste(&browser, "merge-text", &before).await?;
        browser.shows("Take it along").await?;
        let merged = copied(&browser, "Copy the whole file").await?;
        let patch = copied(&browser, "Copy as a patch command").await?;
        let drawn = browser
            .script(
                "return [...document.querySelectorAll('.diff tr:not(.diff-head) td')].map(e => e.querySelector('.diff-sign').textContent + e.querySelector('.diff-text').textContent)",
                vec![],
            )
            .await?;
        let drawn: Vec<String> = serde_json::from_value(drawn)?;

        // A dry run prints that difference and changes nothing.
        std::fs::write(&file, &before)?;
        let dry = script("sh", &path, &file, &["--dry-run"], 0)?;
        ensure!(std::fs::read_to_string(&file)? == before, "a dry run wrote");
        let patch = patch.replace("/etc/nix/nix.conf", &named);
        ensure!(patch.contains(&dry), "the page: {patch}\nthe script: {dry}");
        let printed: Vec<String> = dry
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with("@@"))
            .map(|line| line.trim_end_matches('\r').to_owned())
            .collect();
        // The page spells out what cannot be seen.
        let shown: Vec<String> = drawn
            .iter()
            .map(|line| line.replace("\\u{d}", ""))
            .collect();
        ensure!(shown == printed, "the page: {shown:?}\nthe script: {printed:?}");

        // Then it writes what the page has, does nothing the second time, and takes it back.
        script("sh", &path, &file, &["--yes"], 0)?;
        ensure!(std::fs::read_to_string(&file)? == merged, "the script wrote another file");
        let again = script("sh", &path, &file, &["--yes"], 0)?;
        ensure!(again.ends_with("no change\n"), "{again}");
        script("sh", &path, &file, &["--yes", "--undo"], 0)?;
        ensure!(std::fs::read_to_string(&file)? == before, "it did not come back");
    }
    browser.finish().await
}

/// A server whose cache is signed by another key since a while.
async fn rotated(bucket: &std::path::Path) -> anyhow::Result<(Server, String)> {
    let mut server = Setup::new()
        .folder(
            "team",
            bucket,
            &[
                format!("public_keys = [{KEY:?}]"),
                "title = \"team\"".to_owned(),
            ],
        )
        .start()
        .await?;
    // Signing in waits until the state is open, in which the keys are remembered that are told.
    server.owner("olga").await?;
    let before = server.json("/api/v1/connect").await?;
    ensure!(before["caches"][0]["former_keys"] == json!([]), "{before}");
    let next = SecretKey::generate("team-2", [8; 32])?
        .public_key()
        .to_string();
    let config = server.home().join("snowbank.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace(KEY, &next))?;
    server.restart().await?;
    server
        .eventually(Duration::from_secs(30), "the former key", async || {
            let now = server.json("/api/v1/connect").await?;
            Ok((now["caches"][0]["former_keys"] == json!([KEY])).then_some(()))
        })
        .await?;
    server.indexed("team").await?;
    Ok((server, next))
}

#[tokio::test(flavor = "multi_thread")]
async fn a47_d28_a_key_that_the_cache_no_longer_uses_is_found_and_goes_where_that_is_agreed()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let (server, next) = rotated(&bucket).await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.allow_clipboard().await?;
    let url = server.url("/team");
    let theirs = format!(
        "# theirs\nextra-substituters = {url}\nextra-trusted-public-keys = {KEY} {next} # keys\n"
    );

    browser.open("/connect/doctor?caches=team").await?;
    browser.find("#doctor-text").await?;
    paste(&browser, "doctor-text", &theirs).await?;
    browser.find("[data-rule=D28] .diagnosis-place").await?;

    browser.open("/connect/merge?caches=team").await?;
    browser.find("#merge-text").await?;
    paste(&browser, "merge-text", &theirs).await?;
    browser.shows("Already set. No change.").await?;
    browser
        .shows("The file trusts a key that the cache no longer uses")
        .await?;
    browser.shows("team-1 (line 3)").await?;
    browser.accessible("a former key").await?;
    press(&browser, "Take old keys out").await?;
    browser.shows("Take it along").await?;
    let merged = copied(&browser, "Copy the whole file").await?;
    ensure!(merged == theirs.replace(&format!("{KEY} "), ""), "{merged}");
    press(&browser, "Leave old keys in").await?;
    browser.shows("Already set. No change.").await?;

    // In the cache's own block the new key takes the place of the old one without a question.
    let settings = snowbank_shared::nix_conf::ClientSettings::new(url.parse()?, [KEY.parse()?]);
    let old =
        snowbank_shared::nix_conf::merge::Addition::new(settings, "team", &server.url("/c/team"));
    let block = merge(
        "max-jobs = 4\n",
        &old,
        OnConflict::Ask,
        &Surroundings::default(),
    );
    ensure!(block.outcome == Outcome::Changed);
    paste(&browser, "merge-text", &block.text).await?;
    browser.shows("Take it along").await?;
    let merged = copied(&browser, "Copy the whole file").await?;
    ensure!(merged == block.text.replace(KEY, &next), "{merged}");
    browser.finish().await
}
