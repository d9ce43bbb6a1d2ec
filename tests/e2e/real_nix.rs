//! Stock Nix clients against the server: they fetch with the cache's key and refuse without.

use anyhow::ensure;
use snowbank_tests::closure::{CODECS, Closure};
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

/// A server over copies of the closure's caches, one cache per codec.
async fn serve(closure: &Closure, codecs: &[&str]) -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut setup = Setup::new();
    for codec in codecs {
        let bucket = home.path().join(codec);
        folder::copy(&closure.cache(codec), &bucket)?;
        setup = setup.folder(
            codec,
            &bucket,
            &[format!("public_keys = [{:?}]", closure.public_key)],
        );
    }
    let server = setup.start().await?;
    for codec in codecs {
        server.indexed(codec).await?;
    }
    Ok((server, home))
}

#[tokio::test(flavor = "multi_thread")]
async fn nix_substitutes_the_closure_in_every_codec_with_only_the_caches_key_trusted()
-> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let (server, _buckets) = serve(&closure, &CODECS).await?;
    for codec in CODECS {
        let rows = server
            .items(&format!("/api/v1/caches/{codec}/paths"))
            .await?;
        ensure!(
            rows.len() == closure.paths.len(),
            "{codec}: {} rows for {} paths",
            rows.len(),
            closure.paths.len()
        );
        ensure!(
            rows.iter().all(|row| row["signature"] == "valid"),
            "{codec}: not every path is valid: {rows:?}"
        );
        ensure!(
            rows.iter().all(|row| row["compression"] == codec),
            "{codec}: {rows:?}"
        );
        let store = nix.home().join(codec);
        nix.substitute(
            &store,
            &server.url(&format!("/{codec}")),
            &closure.public_key,
            &closure.app,
        )?
        .ok()?;
        let store = store.display().to_string();
        let expected = nix.closure(&closure.store().display().to_string(), &closure.app)?;
        ensure!(
            nix.closure(&store, &closure.app)? == expected,
            "{codec}: another closure arrived"
        );
        nix.run(
            "nix",
            &[
                "store",
                "verify",
                "--recursive",
                "--no-trust",
                "--store",
                &store,
                &closure.app,
            ],
        )?
        .ok()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_nix_substitutes_the_closure_with_only_the_caches_key_trusted() -> anyhow::Result<()>
{
    let (Some(builder), Some(nix)) = (Nix::system()?, Nix::newer()?) else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let (server, _buckets) = serve(&closure, &["zstd", "xz"]).await?;
    for codec in ["zstd", "xz"] {
        let store = nix.home().join(codec);
        nix.substitute(
            &store,
            &server.url(&format!("/{codec}")),
            &closure.public_key,
            &closure.app,
        )?
        .ok()?;
        let arrived = nix.closure(&store.display().to_string(), &closure.app)?;
        ensure!(
            arrived == builder.closure(&closure.store().display().to_string(), &closure.app)?,
            "{codec}: another closure arrived"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_nix_refuses_the_closure_when_it_trusts_another_key() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let (server, _buckets) = serve(&closure, &["xz"]).await?;
    for nix in Nix::each()? {
        for stranger in ["other", "imposter"] {
            let store = nix.home().join(stranger);
            let outcome = nix.substitute(
                &store,
                &server.url("/xz"),
                &closure.public_key_of(stranger)?,
                &closure.app,
            )?;
            ensure!(
                !outcome.success,
                "{} took a path that {stranger} did not sign",
                nix.version
            );
            ensure!(
                !store
                    .join("nix/store")
                    .join(&closure.app["/nix/store/".len()..])
                    .exists(),
                "{}",
                nix.version
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nix_path_info_reads_the_closure_over_http() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let (server, _buckets) = serve(&closure, &["zstd"]).await?;
    let expected = builder.closure(&closure.store().display().to_string(), &closure.app)?;
    for nix in Nix::each()? {
        let found = nix.closure(&server.url("/zstd"), &closure.app)?;
        ensure!(
            found == expected,
            "{}: path-info says {found:?} instead of {expected:?}",
            nix.version
        );
    }
    // The dashboard's closure is the same one.
    let hash = &closure.app["/nix/store/".len()..][..32];
    let rows = server
        .items(&format!("/api/v1/caches/zstd/paths/{hash}/closure"))
        .await?;
    let mut paths: Vec<&str> = rows.iter().filter_map(|row| row["path"].as_str()).collect();
    paths.sort_unstable();
    ensure!(paths == expected, "the API's closure is {paths:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_closure_is_fetched_by_every_nix() -> anyhow::Result<()> {
    let clients = Nix::each()?;
    if clients.is_empty() {
        return Ok(());
    }
    let server = Server::demo().await?;
    let keys = server.text("/c/main/keys.txt").await?;
    let key = keys
        .lines()
        .find(|line| line.starts_with("snowbank-demo-1:"))
        .unwrap_or_default()
        .to_owned();
    ensure!(!key.is_empty(), "keys.txt lacks the demo's key:\n{keys}");
    let top = "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0";
    for nix in clients {
        let store = nix.home().join("store");
        nix.substitute(&store, &server.url("/main"), &key, top)?
            .ok()?;
        let text = std::fs::read_to_string(store.join(&top[1..]))?;
        ensure!(
            text.starts_with("top-1.0 /nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0"),
            "{text}"
        );
        // A tampered path next to it is refused by the same client.
        let rows = server.items("/api/v1/caches/main/paths?q=tampered").await?;
        let tampered = rows[0]["path"].as_str().unwrap_or_default();
        ensure!(tampered.ends_with("-tampered-1.0"), "{rows:?}");
        let outcome = nix.substitute(&store, &server.url("/main"), &key, tampered)?;
        ensure!(!outcome.success, "{} took a tampered path", nix.version);
    }
    Ok(())
}
