//! The live check with real Nix, both clients, in each of its states.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_tests::nix::Nix;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

async fn serve() -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut setup = Setup::new()
        .line("live_check.quiet = \"1s\"")
        .line("live_check.silence = \"1s\"");
    for (slug, lines) in [
        ("open", vec![]),
        ("team", vec!["visibility = \"private\"".to_owned()]),
    ] {
        let bucket = home.path().join(slug);
        fs::create_dir(&bucket)?;
        setup = setup.folder(slug, &bucket, &lines);
    }
    let server = setup.start().await?;
    server.indexed("open").await?;
    Ok((server, home))
}

/// A check, its path and its address.
async fn begin(server: &Server, who: &Person, cache: &str) -> anyhow::Result<(String, String)> {
    let check = who
        .send(
            server,
            Method::POST,
            &format!("/caches/{cache}/live"),
            json!({}),
        )
        .await?;
    let text = |name: &str| check[name].as_str().map(str::to_owned).context("a text");
    let address = format!("/caches/{cache}/live/{}", text("token")?);
    Ok((text("path")?, address))
}

/// The check, once its first machine, or the whole, is in this state.
async fn until(server: &Server, who: &Person, address: &str, state: &str) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    for _ in 0..200 {
        last = who.send(server, Method::GET, address, Value::Null).await?;
        if last["state"] == state || last["machines"][0]["state"] == state {
            return Ok(last);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("never {state}: {last}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_nix_shows_each_state() -> anyhow::Result<()> {
    let (server, _home) = serve().await?;
    let olga = server.owner("olga").await?;
    let (_, secret) = olga.token(&server, &["team"]).await?;
    let (open_key, team_key) = (
        server.trusted_key("open").await?,
        server.trusted_key("team").await?,
    );
    for nix in Nix::each()? {
        let version = nix
            .version
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        let client = format!("Nix {version}");

        let (path, address) = begin(&server, &olga, "open").await?;
        until(&server, &olga, &address, "never-asked").await?;

        let wrong = "other-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let store = nix.home().join("store-wrong");
        let outcome = nix.substitute(&store, &server.url("/open"), wrong, &path)?;
        ensure!(!outcome.success, "{client} took it: {outcome:?}");
        let seen = until(&server, &olga, &address, "not-trusted").await?;
        ensure!(seen["machines"][0]["client"] == client.as_str(), "{seen}");

        let (path, address) = begin(&server, &olga, "open").await?;
        let store = nix.home().join("store-right");
        nix.substitute(&store, &server.url("/open"), &open_key, &path)?
            .ok()?;
        let seen = until(&server, &olga, &address, "works").await?;
        ensure!(seen["machines"][0]["nar_at"].is_string(), "{seen}");

        // A private cache: first without a token, then with one.
        let (path, address) = begin(&server, &olga, "team").await?;
        let outcome = nix.substitute(
            &nix.home().join("store-none"),
            &server.url("/team"),
            &team_key,
            &path,
        )?;
        ensure!(!outcome.success, "{client} needed no token: {outcome:?}");
        let seen = until(&server, &olga, &address, "no-token").await?;
        ensure!(seen["machines"][0]["refused_with"] == 401, "{seen}");

        let _ = fs::remove_dir_all(nix.home().join("cache"));
        let netrc = nix.home().join("netrc");
        fs::write(
            &netrc,
            format!("machine 127.0.0.1\nlogin ci\npassword {secret}\n"),
        )?;
        let store = nix.home().join("store-token").display().to_string();
        let (netrc, url) = (netrc.display().to_string(), server.url("/team"));
        nix.run(
            "nix-store",
            &[
                "--store",
                &store,
                "-r",
                &path,
                "--option",
                "substituters",
                &url,
                "--option",
                "trusted-public-keys",
                &team_key,
                "--option",
                "netrc-file",
                &netrc,
            ],
        )?
        .ok()?;
        until(&server, &olga, &address, "works").await?;
    }
    // Nothing of all this is in a cache.
    for cache in ["open", "team"] {
        let described = olga
            .send(
                &server,
                Method::GET,
                &format!("/caches/{cache}"),
                Value::Null,
            )
            .await?;
        ensure!(described["paths"] == 0, "{described}");
    }
    Ok(())
}
