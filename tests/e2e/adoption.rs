//! Caches that were there before us are adopted as they lie, and left as they were.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::Value;
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

/// What the server says of a cache, as far as it must not depend on when it was asked.
async fn answers(server: &Server, cache: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut answers = BTreeMap::new();
    for row in server
        .items(&format!("/api/v1/caches/{cache}/paths?sort=name"))
        .await?
    {
        let hash = row["hash"].as_str().unwrap_or_default().to_owned();
        let mut detail = server
            .json(&format!("/api/v1/caches/{cache}/paths/{hash}"))
            .await?;
        let mut closure = server
            .json(&format!("/api/v1/caches/{cache}/paths/{hash}/closure"))
            .await?;
        for answer in [&mut detail, &mut closure] {
            if let Some(fields) = answer.as_object_mut() {
                fields.remove("revision");
            }
        }
        answers.insert(format!("{hash} closure"), closure);
        answers.insert(hash, detail);
    }
    for finding in server
        .items(&format!("/api/v1/caches/{cache}/health"))
        .await?
    {
        answers.insert(format!("finding {finding}"), Value::Null);
    }
    Ok(answers)
}

/// Adopts the folder, compares, deletes the index, compares again.
async fn adopted(setup: Setup, bucket: &std::path::Path, paths: usize) -> anyhow::Result<()> {
    let before = folder::objects(bucket)?;
    let mut server = setup.start().await?;
    let cache = server.indexed("main").await?;
    ensure!(
        cache["paths"] == paths,
        "{} paths are indexed, {paths} lie there",
        cache["paths"]
    );
    for (name, bytes) in folder::narinfos(bucket)? {
        ensure!(
            server.bytes(&format!("/main/{name}")).await? == bytes,
            "{name} came back changed"
        );
    }
    for (name, bytes) in &before {
        if name.starts_with("nar/") {
            ensure!(
                server.bytes(&format!("/main/{name}")).await? == *bytes,
                "{name} came back changed"
            );
        }
    }
    let first = answers(&server, "main").await?;
    ensure!(first.len() >= 2 * paths);

    // The index is a cache: without it everything is the same.
    server.terminate().await?;
    let index = server.data().join("index");
    ensure!(index.is_dir(), "there is no {} to delete", index.display());
    std::fs::remove_dir_all(&index)?;
    server.restart().await?;
    server.indexed("main").await?;
    let second = answers(&server, "main").await?;
    for (key, answer) in &first {
        ensure!(
            second.get(key) == Some(answer),
            "{key} differs after a rebuild:\n{answer}\n{:?}",
            second.get(key)
        );
    }
    ensure!(first.len() == second.len());

    let after = folder::objects(bucket)?;
    ensure!(
        before.keys().eq(after.keys()),
        "objects came or went: {:?}",
        after.keys()
    );
    for (key, bytes) in &before {
        ensure!(after[key] == *bytes, "{key} was changed");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_filled_by_nix_copy_is_adopted_as_it_lies() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    // Copied by Nix itself, into a folder nobody prepared.
    let bucket = nix.home().join("bucket");
    nix.run(
        "nix",
        &[
            "copy",
            "--store",
            &closure.store().display().to_string(),
            "--to",
            &format!("file://{}", bucket.display()),
            &closure.app,
            &closure.doc,
        ],
    )?
    .ok()?;
    let setup = Setup::new().folder(
        "main",
        &bucket,
        &[format!("public_keys = [{:?}]", closure.public_key)],
    );
    adopted(setup, &bucket, closure.paths.len()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_bucket_broken_entries_and_all_is_adopted_as_it_lies() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let demo = snowbank::demo::prepare(home.path())?;
    // 37 narinfos, of which one cannot be read.
    let setup = Setup::new().folder(
        "main",
        &demo.bucket,
        &[format!("public_keys = [{:?}]", demo.public_key)],
    );
    adopted_with_broken(setup, &demo.bucket).await
}

async fn adopted_with_broken(setup: Setup, bucket: &std::path::Path) -> anyhow::Result<()> {
    let before = folder::objects(bucket)?;
    let mut server = setup.start().await?;
    let cache = server.indexed("main").await?;
    ensure!(cache["paths"] == 36, "{} paths are indexed", cache["paths"]);
    ensure!(
        cache["findings"].as_u64() > Some(6),
        "{} findings",
        cache["findings"]
    );
    let first = answers(&server, "main").await?;
    server.terminate().await?;
    std::fs::remove_dir_all(server.data().join("index"))?;
    server.restart().await?;
    server.indexed("main").await?;
    ensure!(
        answers(&server, "main").await? == first,
        "the rebuilt index answers otherwise"
    );
    ensure!(folder::objects(bucket)? == before, "the bucket was changed");
    Ok(())
}
