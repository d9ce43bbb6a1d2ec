//! The install script under several shells, `snowbank connect`, and a client that nothing
//! else has configured (acceptance A51).

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::nix_conf::diff;
use snowbank_shared::nix_conf::merge::{Addition, OnConflict, Outcome, Surroundings, merge};
use snowbank_shared::nix_conf::remove::remove;
use snowbank_tests::component;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

use super::{KEY, PAGE, URL, fixtures, random, run, team};

/// Random files that go through the first shell.
const RANDOM: u64 = 150;

const SHELLS: [&str; 3] = ["sh", "dash", "bash"];

/// A server whose cache is that of the fixtures.
pub async fn console(bucket: &Path) -> anyhow::Result<Server> {
    Setup::new()
        .line("cache_url = \"https://cache.example.com\"")
        .folder(
            "team",
            bucket,
            &[
                format!("public_keys = [{KEY:?}]"),
                "title = \"team\"".to_owned(),
            ],
        )
        .start()
        .await
}

/// What a run with these options prints; it must end with `code`.
pub fn script(
    shell: &str,
    script: &Path,
    file: &Path,
    options: &[&str],
    code: i32,
) -> anyhow::Result<String> {
    let mut command = Command::new(shell);
    // No proxy and no network: the probe at the end must not hold anything up.
    command
        .arg(script)
        .arg("--file")
        .arg(file)
        .args(options)
        .env("http_proxy", "http://127.0.0.1:9")
        .env("https_proxy", "http://127.0.0.1:9");
    let (out, err, ended) = run(&mut command)?;
    ensure!(
        ended == Some(code),
        "{shell} {options:?} ended with {ended:?}:\n{out}\n{err}"
    );
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_install_script_merges_as_the_page_does_under_every_shell() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let server = console(&bucket).await?;
    let text = server.text("/c/team/install.sh").await?;
    let addition = Addition {
        page: server.url("/c/team"),
        ..team()
    };
    let path = home.path().join("install.sh");
    std::fs::write(&path, &text)?;
    let (out, err, code) = run(Command::new("shellcheck").args(["-s", "sh"]).arg(&path))?;
    ensure!(code == Some(0), "shellcheck:\n{out}\n{err}");

    // The address with the hash holds the same bytes, and another hash nothing.
    let hash = snowbank_shared::hash::Sha256::digest(text.as_bytes()).to_base16();
    ensure!(server.text(&format!("/c/team/install-{hash}.sh")).await? == text);
    let other = hash.replace('0', "1").replace('a', "b");
    ensure!(
        server
            .status(&format!("/c/team/install-{other}.sh"))
            .await?
            == 404
    );

    let around = Surroundings::default();
    let mut files: Vec<(String, String, &[&str])> = fixtures()?
        .into_iter()
        .map(|(name, text)| (name, text, &SHELLS[..]))
        .collect();
    files.extend((1..=RANDOM).map(|seed| (format!("random {seed}"), random(seed), &SHELLS[..1])));
    let file = home.path().join("nix.conf");
    let named = file.display().to_string();
    for (name, before, shells) in files {
        let merged = merge(&before, &addition, OnConflict::Ask, &around);
        for shell in shells {
            std::fs::write(&file, &before)?;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640))?;
            let shown = script(shell, &path, &file, &["--dry-run"], 0)?;
            let expected = match merged.outcome {
                Outcome::Changed => diff::unified(&named, &before, &merged.text),
                _ => format!("{named}: no change\n"),
            };
            ensure!(
                shown == expected,
                "{name} under {shell}: it shows\n{shown}\nand not\n{expected}"
            );
            ensure!(
                std::fs::read_to_string(&file)? == before,
                "{name}: a dry run wrote"
            );
            // Random files only show it: the same text is printed and written.
            if shells.len() == 1 {
                continue;
            }
            script(shell, &path, &file, &["--yes"], 0)?;
            ensure!(
                std::fs::read_to_string(&file)? == merged.text,
                "{name} under {shell}"
            );
            let mode = std::fs::metadata(&file)?.permissions().mode() & 0o777;
            ensure!(mode == 0o640, "{name}: the mode is {mode:o}");
            let again = script(shell, &path, &file, &["--yes"], 0)?;
            ensure!(again.ends_with("no change\n"), "{name}, again: {again}");
            script(shell, &path, &file, &["--yes", "--undo"], 0)?;
            let after = remove(&merged.text, &addition, &around);
            ensure!(
                std::fs::read_to_string(&file)? == after.text,
                "{name}, undone"
            );
            if merged.outcome == Outcome::Changed {
                ensure!(
                    after.text == before,
                    "{name}: {before:?} came back as {:?}",
                    after.text
                );
            }
        }
    }
    blocks(&path, &file, &addition)?;
    refusals(&path, &file)?;
    Ok(())
}

/// Blocks that somebody wrote into, or of former keys: script and page do the same with them.
fn blocks(path: &Path, file: &Path, addition: &Addition) -> anyhow::Result<()> {
    let around = Surroundings::default();
    let urls = format!("{URL} https://theirs.example S3://bucket https://CACHE.example.com/old");
    let inside = merge("", addition, OnConflict::Ask, &around)
        .text
        .replace(URL, &urls)
        .replace("# <<<", "fallback = true\nconnect-timeout = 9\n# <<<");
    let stale = inside.replace(KEY, "team-0:AAAA x-1:AAAA");
    for text in [
        format!("{stale}substituters = B\n"),
        format!("x = y\n{}", stale.trim_end()),
        stale.replace('\n', "\r\n"),
        inside,
        stale,
    ] {
        for (options, after) in [
            (
                &["--yes"][..],
                merge(&text, addition, OnConflict::Ask, &around).text,
            ),
            (&["--yes", "--undo"], remove(&text, addition, &around).text),
        ] {
            std::fs::write(file, &text)?;
            script("sh", path, file, options, 0)?;
            let written = std::fs::read_to_string(file)?;
            ensure!(
                written == after && after.contains("https://theirs.example"),
                "{options:?} made of {text:?} {written:?} and not {after:?}"
            );
        }
    }
    // A mode without write bits stays.
    std::fs::write(file, "x = y\n")?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o444))?;
    script("sh", path, file, &["--yes"], 0)?;
    let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o444, "the mode is {mode:o}");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// Keys that the cache used once: script and page leave them in lines of others, and take them
/// out where they are told to.
pub fn former(path: &Path, file: &Path, addition: &Addition) -> anyhow::Result<()> {
    let around = Surroundings::default();
    let (old, now) = (&addition.former[0], &addition.settings.keys()[0]);
    let url = &addition.settings.urls()[0];
    let other = snowbank_shared::signature::SecretKey::generate("other-1", [4; 32])?.public_key();
    let mut texts = vec![
        format!("extra-trusted-public-keys = {old}\nmax-jobs = 1\n"),
        format!("max-jobs = 1\nextra-trusted-public-keys = {old}"),
        format!("trusted-public-keys = {old}\nextra-substituters = {url}\n"),
        format!("extra-trusted-public-keys = {old} {other}  {old} # mine\n"),
        format!(
            "extra-substituters = https://a.example\nextra-trusted-public-keys = {other} {old} {now}\n"
        ),
        format!("extra-trusted-public-keys = {old} # mine\n"),
    ];
    let block = merge("", addition, OnConflict::Ask, &around).text;
    texts.push(block.replace(&now.to_string(), &old.to_string()));
    texts.push(
        block
            .replace("/c/team)", "/c/their)")
            .replace(&now.to_string(), &old.to_string()),
    );
    let windows: Vec<String> = texts
        .iter()
        .map(|text| text.replace('\n', "\r\n"))
        .collect();
    texts.extend(windows);
    for text in &texts {
        for takes_former in [false, true] {
            let addition = Addition {
                takes_former,
                ..addition.clone()
            };
            let merged = merge(text, &addition, OnConflict::Ask, &around).text;
            let removed = remove(text, &addition, &around).text;
            ensure!(
                !takes_former || text.contains("/c/their)") || !merged.contains(&old.to_string())
            );
            for (undo, after) in [(false, merged), (true, removed)] {
                for shell in SHELLS {
                    let mut options = vec!["--yes"];
                    options.extend(undo.then_some("--undo"));
                    options.extend(takes_former.then_some("--drop-old-keys"));
                    std::fs::write(file, text)?;
                    script(shell, path, file, &options, 0)?;
                    let written = std::fs::read_to_string(file)?;
                    ensure!(
                        written == after,
                        "{shell} {options:?} made of {text:?} {written:?} and not {after:?}"
                    );
                }
                // The command does the same.
                std::fs::write(file, text)?;
                let mut command = Command::new(component::binary());
                command.args(["connect", url.as_str(), "--title", "team"]);
                command.arg("--key").arg(now.to_string());
                command.arg("--former-key").arg(old.to_string());
                command
                    .arg("--page")
                    .arg(&addition.page)
                    .arg("--file")
                    .arg(file);
                if undo {
                    command.arg("--remove");
                }
                if takes_former {
                    command.arg("--drop-old-keys");
                }
                let (out, err, code) = run(&mut command)?;
                ensure!(code == Some(0), "{out}{err}");
                let written = std::fs::read_to_string(file)?;
                ensure!(
                    written == after,
                    "{command:?} made of {text:?} {written:?} and not {after:?}"
                );
            }
        }
    }
    Ok(())
}

/// What the script does not do, and how it ends then.
fn refusals(path: &Path, file: &Path) -> anyhow::Result<()> {
    let other = snowbank_shared::signature::SecretKey::generate("team-1", [3; 32])?;
    let other = other.public_key();
    for (text, options, code, says) in [
        ("# WARNING: this file is generated from the nix.* options in\n# your NixOS configuration\n".to_owned(), &["--yes"][..], 3, "nix.settings"),
        ("# your Home Manager configuration\n".to_owned(), &["--yes"], 3, "nix.settings"),
        (format!("extra-trusted-public-keys = {other}\n"), &["--yes"], 4, ""),
        (String::new(), &["--nonsense"], 2, ""),
        ("x = y\n".to_owned(), &["--dry-run", "--undo"], 0, "no change"),
    ] {
        std::fs::write(file, &text)?;
        let said = script("sh", path, file, options, code)?;
        ensure!(said.contains(says), "{said}");
        ensure!(std::fs::read_to_string(file)? == text, "{text:?} was changed");
    }
    // A script that was cut does nothing, wherever it was cut.
    let whole = std::fs::read_to_string(path)?;
    let cut = path.with_extension("cut");
    std::fs::write(file, "x = y\n")?;
    for length in (0..whole.len() - "main \"$@\"\n".len()).step_by(997) {
        let end = (0..=length)
            .rev()
            .find(|end| whole.is_char_boundary(*end))
            .unwrap_or(0);
        std::fs::write(&cut, &whole[..end])?;
        let _ = run(Command::new("sh")
            .arg(&cut)
            .arg("--file")
            .arg(file)
            .arg("--yes"))?;
        ensure!(
            std::fs::read_to_string(file)? == "x = y\n",
            "cut at {end} it wrote"
        );
    }
    Ok(())
}

#[test]
fn snowbank_connect_merges_a_file_and_takes_it_back() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("nix.conf");
    let connect = |options: &[&str]| {
        run(Command::new(component::binary())
            .args([
                "connect", URL, "--key", KEY, "--title", "team", "--page", PAGE, "--file",
            ])
            .arg(&file)
            .args(options))
    };
    let around = Surroundings::default();
    for (name, before) in fixtures()? {
        std::fs::write(&file, &before)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604))?;
        let merged = merge(&before, &team(), OnConflict::Ask, &around);
        let (out, err, code) = connect(&["--dry-run"])?;
        ensure!(code == Some(0), "{name}: {out}{err}");
        let shown = diff::unified(&file.display().to_string(), &before, &merged.text);
        ensure!(
            out == shown || merged.text == before && out.contains("no change"),
            "{name}: {out}"
        );
        ensure!(
            std::fs::read_to_string(&file)? == before,
            "{name}: a dry run wrote"
        );
        ensure!(connect(&[])?.2 == Some(0));
        ensure!(std::fs::read_to_string(&file)? == merged.text, "{name}");
        ensure!(std::fs::metadata(&file)?.permissions().mode() & 0o777 == 0o604);
        ensure!(connect(&["--remove"])?.2 == Some(0));
        if merged.outcome == Outcome::Changed {
            ensure!(std::fs::read_to_string(&file)? == before, "{name}, removed");
        }
    }
    let copies = std::fs::read_dir(home.path())?.count() - 1;
    ensure!(copies >= 2 * 15, "{copies} copies were kept");
    let owned = "# WARNING: this file is generated from the nix.* options in\n";
    std::fs::write(&file, owned)?;
    let (out, _, code) = connect(&[])?;
    ensure!(code == Some(3) && out.contains("nix.settings"), "{out}");
    let other = snowbank_shared::signature::SecretKey::generate("team-1", [3; 32])?.public_key();
    std::fs::write(&file, format!("extra-trusted-public-keys = {other}\n"))?;
    let (_, err, code) = connect(&[])?;
    ensure!(
        code == Some(4) && err.contains("nix.conf:1: there is another key team-1"),
        "{err}"
    );
    ensure!(connect(&["--on-conflict", "use-ours"])?.2 == Some(0));
    ensure!(
        std::fs::read_to_string(&file)?
            .starts_with(&format!("extra-trusted-public-keys = {KEY}\n"))
    );
    // A file that does not exist yet, in a folder that does not.
    let new = home.path().join("more/nix.conf");
    let (out, err, code) = run(Command::new(component::binary())
        .args(["connect", URL, "--file"])
        .arg(&new))?;
    ensure!(code == Some(0) && new.is_file(), "{out}{err}");
    std::fs::write(&new, b"\xff\xfe")?;
    let (_, err, code) = run(Command::new(component::binary())
        .args(["connect", URL, "--file"])
        .arg(&new))?;
    ensure!(code == Some(1) && err.contains("no UTF-8"), "{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_the_script_configured_substitutes_from_the_demo() -> anyhow::Result<()>
{
    let clients = Nix::each()?;
    if clients.is_empty() {
        return Ok(());
    }
    let server = Server::demo().await?;
    let text = server.text("/c/main/install.sh").await?;
    let rows = server
        .items("/api/v1/caches/main/paths?sort=-closure_size")
        .await?;
    let path = rows[0]["path"].as_str().context("a path")?.to_owned();
    for nix in clients {
        let folder = nix.home().join("conf");
        std::fs::create_dir_all(&folder)?;
        let (file, install) = (folder.join("nix.conf"), nix.home().join("install.sh"));
        std::fs::write(&install, &text)?;
        // What the client needs to run here at all; cache.nixos.org is out of reach.
        let before =
            Nix::config().replace("trusted-public-keys =\n", "trusted-public-keys =\n# mine\n");
        std::fs::write(&file, &before)?;
        let fetch = |store: &str| {
            let store = nix.home().join(store).display().to_string();
            let mut command = nix.command("nix-store");
            command
                .args(["--store", &store, "-r", &path])
                .env("NIX_CONF_DIR", &folder)
                .env_remove("NIX_CONFIG");
            run(&mut command)
        };
        ensure!(
            fetch("before")?.2 != Some(0),
            "{} found it without a cache",
            nix.version
        );
        script("sh", &install, &file, &["--yes"], 0)?;
        let (out, err, code) = fetch("after")?;
        ensure!(code == Some(0), "{}: {out}\n{err}", nix.version);
        ensure!(nix.home().join("after").join(&path[1..]).exists());
        script("sh", &install, &file, &["--yes", "--undo"], 0)?;
        ensure!(
            std::fs::read_to_string(&file)? == before,
            "the file is not the original"
        );
    }
    // The console's address stands in the script, not the one that it was asked by.
    let addition = Addition::new(
        ClientSettings::new(server.url("/main").parse()?, []),
        "Demo",
        &server.url("/c/main"),
    );
    ensure!(
        text.contains(&format!("page='{}'", addition.page)),
        "another page"
    );
    Ok(())
}
