//! `kill -9` at the worst moments: nothing published is lost, nothing half is seen.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank_shared::hash::nix32;
use snowbank_tests::folder;
use snowbank_tests::server::Setup;

/// Fills `bucket` with `count` unsigned narinfos without NARs, all different.
pub(crate) fn fill(bucket: &Path, count: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(bucket)?;
    std::fs::write(bucket.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    for number in 0..count {
        let mut seed = [0_u8; 32];
        // Spread over the whole key space, as real hashes are.
        seed[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes());
        seed[16..20].copy_from_slice(&number.wrapping_mul(2_246_822_519).to_be_bytes());
        let (hash, nar) = (nix32::encode(&seed[..20]), nix32::encode(&seed));
        let mut narinfo = String::new();
        writeln!(narinfo, "StorePath: /nix/store/{hash}-package-{number}")?;
        writeln!(
            narinfo,
            "URL: nar/{nar}.nar.xz\nCompression: xz\nFileHash: sha256:{nar}\nFileSize: {}",
            100 + number
        )?;
        writeln!(
            narinfo,
            "NarHash: sha256:{nar}\nNarSize: {}\nReferences: ",
            1000 + number
        )?;
        std::fs::write(bucket.join(format!("{hash}.narinfo")), narinfo)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_sweeps_the_index_still_becomes_complete() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fill(&bucket, 8000)?;
    let before = folder::objects(&bucket)?;
    let mut server = Setup::new().folder("main", &bucket, &[]).start().await?;
    for milliseconds in [0, 30, 100, 250, 500] {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        server.kill();
        server.restart().await?;
    }
    let cache = server.indexed("main").await?;
    ensure!(
        cache["paths"] == 8000,
        "{} paths after the kills",
        cache["paths"]
    );
    // Killed once more when all was well: what was known is known again.
    server.kill();
    server.restart().await?;
    ensure!(server.indexed("main").await?["paths"] == 8000);
    ensure!(
        folder::objects(&bucket)? == before,
        "the bucket was changed"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_put_no_half_object_is_ever_seen() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fill(&bucket, 3)?;
    let mut server = Setup::new()
        .s3()
        .line("s3_anonymous = true")
        .folder("main", &bucket, &[])
        .start()
        .await?;
    server.indexed("main").await?;
    let before = folder::objects(&bucket)?;
    let key = "nar/0000000000000000000000000000000000000000000000000000.nar";

    for sent in [0_usize, 1, 4 << 20] {
        let s3 = server
            .s3
            .clone()
            .context("the server printed no S3 address")?;
        let address = s3.trim_start_matches("http://").to_owned();
        let mut connection = TcpStream::connect(&address)?;
        write!(
            connection,
            "PUT /main/{key} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nContent-Type: application/x-nix-nar\r\n\r\n",
            8 << 20
        )?;
        connection.write_all(&vec![b'x'; sent])?;
        connection.flush()?;
        // Long enough for the server to have written what it was sent.
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.kill();
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest);
        server.restart().await?;
        server.indexed("main").await?;
        ensure!(
            folder::objects(&bucket)? == before,
            "after {sent} bytes something is left in the bucket"
        );
        let s3 = server
            .s3
            .clone()
            .context("the server printed no S3 address")?;
        let listing = reqwest::Client::new()
            .get(format!("{s3}/main?list-type=2"))
            .timeout(Duration::from_secs(10))
            .send()
            .await?;
        ensure!(
            listing.status().is_success(),
            "listing: {}",
            listing.status()
        );
        let listing = listing.text().await?;
        ensure!(
            !listing.contains(key),
            "the half object is listed:\n{listing}"
        );
    }
    Ok(())
}
