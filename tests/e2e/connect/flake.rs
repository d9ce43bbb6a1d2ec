//! The flake of a cache: modules that evaluate, and an address that outlives the keys.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::nix_conf::merge::Addition;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

use super::{KEY, run};

/// Where a lock file finds today's flake, below the server's address.
async fn lasting(server: &Server) -> anyhow::Result<String> {
    let link = server
        .eventually(
            Duration::from_secs(30),
            "a flake with a lasting address",
            async || {
                let answer = server.get("/c/team/flake.tar.gz").await?;
                let link = answer.headers().get("link");
                Ok(link.map(|link| link.to_str().unwrap_or_default().to_owned()))
            },
        )
        .await?;
    let address = link
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap_or_default();
    let path = address
        .strip_prefix(&server.origin)
        .context("the address is not here")?;
    Ok(path.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flakes_modules_evaluate_and_old_locks_find_its_old_bytes() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    std::fs::create_dir(&bucket)?;
    let mut server = Setup::new()
        .folder("team", &bucket, &[format!("public_keys = [{KEY:?}]")])
        .start()
        .await?;
    let twin = lasting(&server).await?;
    let bytes = server.bytes("/c/team/flake.tar.gz").await?;
    ensure!(
        server.bytes(&twin).await? == bytes,
        "the twin has other bytes"
    );

    // A lock file keeps the lasting address.
    if let Some(newer) = Nix::newer()? {
        let store = newer.home().join("store").display().to_string();
        let mut command = newer.command("nix");
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args(["flake", "metadata", "--json", "--store", &store]);
        command.arg(server.url("/c/team/flake.tar.gz"));
        let (out, err, code) = run(&mut command)?;
        ensure!(code == Some(0), "{out}{err}");
        let metadata: serde_json::Value = serde_json::from_str(&out)?;
        ensure!(
            metadata["locked"]["url"] == server.url(&twin).as_str(),
            "{out}"
        );
    }

    // What Nix makes of it: three modules with the cache's two lines.
    let archive = home.path().join("flake.tar.gz");
    std::fs::write(&archive, &bytes)?;
    let (out, err, code) = run(Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(home.path()))?;
    ensure!(code == Some(0), "{out}{err}");
    let flake = home.path().join("cache/flake.nix").display().to_string();
    for module in [
        "nixosModules.default { }",
        "darwinModules.default { }",
        "homeModules.default { lib.mkDefault = x: x; pkgs.nix = \"nix\"; }",
    ] {
        let expression = format!("((import {flake}).outputs {{ }}).{module}");
        let mut command = nix.command("nix-instantiate");
        command.args(["--eval", "--strict", "--json", "-E", &expression]);
        let (out, err, code) = run(&mut command)?;
        ensure!(code == Some(0), "{expression}: {err}");
        let settings: serde_json::Value = serde_json::from_str(&out)?;
        let settings = &settings["nix"]["settings"];
        ensure!(
            settings["extra-substituters"][0] == server.url("/team").as_str(),
            "{out}"
        );
        ensure!(settings["extra-trusted-public-keys"][0] == KEY, "{out}");
    }

    // The install script has a lasting address too.
    let script = server.text("/c/team/install.sh").await?;
    let hash = snowbank_shared::hash::Sha256::digest(script.as_bytes()).to_base16();
    let script_twin = format!("/c/team/install-{hash}.sh");

    // Another key, another address: the flake is another, and the old one is still there.
    let config = server.home().join("snowbank.toml");
    let next = snowbank_shared::signature::SecretKey::generate("team-2", [8; 32])?.public_key();
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace(KEY, &next.to_string()))?;
    server.restart().await?;
    let newer = lasting(&server).await?;
    ensure!(newer != twin, "the flake is the old one");
    ensure!(server.bytes(&newer).await? != bytes);
    ensure!(
        server.bytes(&twin).await? == bytes,
        "an old lock finds other bytes"
    );
    // So is the script, though today's is another: it knows the old key as a former one.
    ensure!(server.text(&script_twin).await? == script);
    let today = server.text("/c/team/install.sh").await?;
    ensure!(
        today.contains(&format!("  former='{KEY}'\n")) && script.contains("  former=''\n"),
        "{today}"
    );
    let path = home.path().join("install.sh");
    std::fs::write(&path, &today)?;
    let (out, err, code) = run(Command::new("shellcheck").args(["-s", "sh"]).arg(&path))?;
    ensure!(code == Some(0), "shellcheck:\n{out}\n{err}");
    let settings = ClientSettings::new(server.url("/team").parse()?, [next]);
    let addition = Addition::new(settings, "team", &server.url("/c/team"));
    let addition = addition.with_former([KEY.parse()?]);
    super::installing::former(&path, &home.path().join("nix.conf"), &addition)?;
    let absent = twin.replace(|c: char| c.is_ascii_digit(), "0");
    ensure!(server.status(&absent).await? == 404);
    Ok(())
}
