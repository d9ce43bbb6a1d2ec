//! Stock Nix clients against the server: they fetch with the cache's key and refuse without.

use anyhow::{Context as _, ensure};
use snowbank_shared::contents::{FileEntry, address_of};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Listing, ListingLimits};
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

/// Whether the cache counted that one client fetched each of these paths once, and nothing else.
async fn counted(
    server: &Server,
    cache: &str,
    paths: &[String],
    rows: &[serde_json::Value],
) -> anyhow::Result<()> {
    let fetched = |row: &&serde_json::Value| paths.iter().any(|path| row["path"] == **path);
    let sizes = rows
        .iter()
        .filter(fetched)
        .map(|row| row["file_size"].as_u64());
    let bytes: u64 = sizes.sum::<Option<u64>>().context("a size is unknown")?;
    let address = format!("/api/v1/caches/{cache}/usage");
    // Bytes are counted when they are sent, which the client may know first.
    let total = server
        .eventually(
            std::time::Duration::from_secs(10),
            "the bytes",
            async || {
                let total = server.json(&address).await?["total"].take();
                Ok((total["nar_bytes"] == bytes).then_some(total))
            },
        )
        .await?;
    let figures = [
        "hits",
        "misses",
        "nar_requests",
        "client_errors",
        "server_errors",
    ];
    let found = figures.map(|figure| total[figure].as_u64());
    let count = paths.len() as u64;
    ensure!(
        found == [count, 0, count, 0, 0].map(Some),
        "{cache}: {count} paths were fetched, and counted is {total}"
    );
    Ok(())
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
        counted(&server, codec, &expected, &rows).await?;
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

/// The tree of a path as this Nix lists it.
fn listed(nix: &Nix, store: &str, path: &str) -> anyhow::Result<Listing> {
    let arguments = ["store", "ls", "--json", "-R", "--store", store, path];
    let arguments = [
        &["--extra-experimental-features", "nix-command"],
        &arguments[..],
    ]
    .concat();
    let tree = nix.run("nix", &arguments)?.ok()?;
    let text = format!("{{\"version\":1,\"root\":{tree}}}");
    Ok(Listing::from_json(
        text.as_bytes(),
        ListingLimits::default(),
    )?)
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_those_of_nix_store_ls_and_each_file_is_the_one_in_the_store()
-> anyhow::Result<()> {
    let Some(system) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&system)?;
    let (server, buckets) = serve(&closure, &["xz", "none"]).await?;
    // One cache keeps the listings that Nix left in it, the other has to do without.
    for entry in std::fs::read_dir(buckets.path().join("none"))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "ls") {
            std::fs::remove_file(file)?;
        }
    }
    let mut files = 0;
    for path in &closure.paths {
        let hash = &path["/nix/store/".len()..][..32];
        let mut ours = Vec::new();
        for codec in ["xz", "none"] {
            let below = format!("/api/v1/caches/{codec}/paths/{hash}");
            let text = server.text(&format!("{below}/listing")).await?;
            let listing = Listing::from_json(text.as_bytes(), ListingLimits::default())?;
            let files_of = server.json(&format!("{below}/files")).await?;
            let source = if codec == "xz" { "ls" } else { "nar" };
            ensure!(files_of["listed_by"] == source, "{path}: {files_of}");
            let contents = server.json(&format!("{below}/contents")).await?;
            for entry in contents["items"].as_array().context("items")? {
                if entry["type"] != "regular" {
                    continue;
                }
                let entry: FileEntry = serde_json::from_value(entry.clone())?;
                let address = address_of(&entry.path());
                let bytes = server.bytes(&format!("{below}/files/{address}")).await?;
                let hash = format!("sha256:{}", Sha256::digest(&bytes).to_nix32());
                ensure!(entry.sha256 == Some(hash), "{path}: {entry:?}");
                files += 1;
            }
            ours.push(listing);
        }
        ensure!(ours[0] == ours[1], "{path} is listed in two ways");
        for nix in Nix::each()? {
            let store = format!("file://{}", closure.cache("xz").display());
            let theirs = listed(&nix, &store, path)?;
            ensure!(
                theirs == ours[0],
                "{} lists {path} as {theirs:?}, and we as {:?}",
                nix.version,
                ours[0]
            );
        }
    }
    ensure!(files > 50, "only {files} files were looked at");
    Ok(())
}
