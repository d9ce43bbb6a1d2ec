//! e5, e7, e8: archives that the server hands through from its bucket, against the bucket itself by
//! the same client: their speed, the time to their first byte, and what slow clients cost in memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank::bucket::{Bucket, BucketConfig, CredentialSource, Credentials};
use snowbank_shared::narinfo::Compression;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use crate::Options;
use crate::archive::{self, Sent};
use crate::measure::{Figure, Figures, cpu_seconds, memory};
use crate::million::{middle, rest};
use crate::part::{self, Part};
use crate::plain::{self, Connection};

/// Bytes a second that a slow client takes.
const SLOW: f64 = 1e6;

/// A server over a bucket in the embedded S3, which runs in a process of its own.
pub struct Shelf {
    pub server: Server,
    bucket: Bucket,
    _store: Part,
    _folder: TempDir,
}

impl Shelf {
    /// Of these archives.
    async fn over(folder: TempDir) -> anyhow::Result<Self> {
        let at = folder.path().join("bucket");
        let at = at.to_str().context("an odd temporary folder")?;
        let store = Part::start("s3", &[at], |line| line.starts_with("http://"))?;
        let words: Vec<&str> = store.line.split(' ').collect();
        let [endpoint, access_key, secret_key] = words[..] else {
            anyhow::bail!("the S3 server says who it is")
        };
        let (server, bucket) =
            serve(folder.path(), endpoint, "bench", access_key, secret_key).await?;
        Ok(Self {
            server,
            bucket,
            _store: store,
            _folder: folder,
        })
    }

    /// Where the server and the bucket have these objects.
    async fn urls(&self, keys: &[String]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let ours = keys
            .iter()
            .map(|key| self.server.url(&format!("/main/{key}")));
        Ok((ours.collect(), presigned(&self.bucket, keys).await?))
    }
}

/// A server over a bucket, indexed, and a client of the bucket.
pub async fn serve(
    home: &Path,
    endpoint: &str,
    bucket: &str,
    access_key: &str,
    secret_key: &str,
) -> anyhow::Result<(Server, Bucket)> {
    let region = match bucket {
        // What a Garage of the tests calls itself.
        "garage" => snowbank_tests::garage::REGION,
        _ => "us-east-1",
    };
    let state = home.join(format!("state-{bucket}"));
    fs::create_dir_all(&state)?;
    let server = Setup::new()
        .line(&format!(
            "[state]\nfolder = {:?}",
            state.display().to_string()
        ))
        .env("AWS_ACCESS_KEY_ID", access_key)
        .env("AWS_SECRET_ACCESS_KEY", secret_key)
        .cache(
            "main",
            &[
                format!("bucket = {bucket:?}"),
                format!("endpoint = {endpoint:?}"),
                format!("region = {region:?}"),
                "sweep = \"1h\"".to_owned(),
            ],
        )
        .start()
        .await?;
    server.indexed("main").await?;
    let read = CredentialSource::Static {
        access_key_id: access_key.to_owned(),
        secret_access_key: secret_key.to_owned(),
        session_token: None,
    };
    let config = BucketConfig {
        bucket: bucket.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: Some(region.to_owned()),
        credentials: Credentials {
            read,
            ..Credentials::default()
        },
        ..BucketConfig::default()
    };
    Ok((server, Bucket::connect(&config).await?))
}

/// URLs that read objects from the bucket itself.
pub async fn presigned(bucket: &Bucket, keys: &[String]) -> anyhow::Result<Vec<String>> {
    let mut urls = Vec::new();
    for key in keys {
        urls.push(
            bucket
                .presign_get(key, Duration::from_secs(3600))
                .await?
                .url,
        );
    }
    Ok(urls)
}

/// Writes a path with an archive of about `size` bytes into a cache's folder. The archive's key.
pub fn write_path(
    cache: &Path,
    name: &str,
    size: u64,
    seed: u64,
    packing: Option<&[&str]>,
) -> anyhow::Result<Sent> {
    fs::create_dir_all(cache.join("nar"))?;
    let nar = cache.join("nar/making");
    archive::nar(&nar, size, seed)?;
    let key = SecretKey::generate("bench-1", [1; 32])?;
    let sent = match packing {
        None => Sent::new(name, &nar, Compression::None, &nar, &key)?,
        Some(command) => {
            let file = archive::packed(&nar, ".zst", command)?;
            Sent::new(name, &file, Compression::Zstd, &nar, &key)?
        }
    };
    fs::rename(&sent.file, cache.join(&sent.parts.url))?;
    if packing.is_some() {
        fs::remove_file(&nar)?;
    }
    let narinfo = sent.parts.store_path.hash().narinfo_key();
    fs::write(cache.join(narinfo), sent.text())?;
    Ok(sent)
}

/// Measures e5, e7 and e8.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["openssl"]) {
        figures.skip("e5, e7, e8", &reason);
        return Ok(());
    }
    let folder = part::folder()?;
    let cache = folder.path().join("bucket");
    let (count, size, large) = match options.small {
        true => (6, 2 << 20, 24 << 20),
        false => (24, 8 << 20, 150 << 20),
    };
    let mut keys = Vec::new();
    for number in 0..count {
        let sent = write_path(&cache, &format!("part-{number}"), size, number, None)?;
        keys.push(sent.parts.url);
    }
    let small = write_path(&cache, "small", 100_000, 1_000, None)?.parts.url;
    let large = write_path(&cache, "large", large, 2_000, None)?.parts.url;
    let shelf = Shelf::over(folder).await?;
    rest(shelf.server.id()).await?;
    if options.wants(&["e5"]) {
        speed(options, figures, &shelf, &keys).await?;
    }
    if options.wants(&["e7"]) {
        first_byte(options, figures, &shelf, small).await?;
    }
    if options.wants(&["e8"]) {
        slow_clients(options, figures, &shelf, &large).await?;
    }
    Ok(())
}

/// e5: all archives, once.
async fn speed(
    options: &Options,
    figures: &mut Figures,
    shelf: &Shelf,
    keys: &[String],
) -> anyhow::Result<()> {
    let (ours, direct) = shelf.urls(keys).await?;
    let process = [shelf.server.id()];
    // A first touch of each, not counted.
    plain::get_all(&ours, 1).await?;
    let expected = plain::get_all(&direct, 1).await?.1;
    let mut cpu = Vec::new();
    for (id, connections, target) in [("e5-c1", 1, 1.25), ("e5-c4", 4, 1.111)] {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let (anchor, bytes) = plain::get_all(&direct, connections).await?;
            let before = cpu_seconds(&process)?;
            let (took, came) = plain::get_all(&ours, connections).await?;
            cpu.push((cpu_seconds(&process)? - before) * 1e9 / came as f64);
            ensure!(
                came == expected && bytes == expected,
                "{came} and {bytes} of {expected} bytes came"
            );
            rounds.push((took, anchor));
        }
        let what = format!(
            "{} archives, {} MB, through the server, {connections} at once",
            keys.len(),
            expected / 1_000_000
        );
        figures.ratio(
            Figure {
                id,
                what: &what,
                anchor: "from the embedded S3 itself, presigned",
                unit: "s",
                target: Some(target),
            },
            &rounds,
        )?;
    }
    let margin = if options.small { 4.0 } else { 2.0 };
    let what = "CPU of the server for a megabyte of archive";
    figures.numbers("e5-cpu", what, &cpu, "ms", 0.5, 0.5 * margin)
}

/// e7: from asking to the first byte.
async fn first_byte(
    options: &Options,
    figures: &mut Figures,
    shelf: &Shelf,
    key: String,
) -> anyhow::Result<()> {
    let (ours, direct) = shelf.urls(&[key]).await?;
    let (mut to_us, mut to_bucket) = (
        Connection::to(&ours[0]).await?,
        Connection::to(&direct[0]).await?,
    );
    let times = if options.small { 50 } else { 200 };
    let mut more = Vec::new();
    for _ in 0..options.rounds {
        let (mut own, mut anchor) = (Vec::new(), Vec::new());
        for _ in 0..times {
            own.push(to_us.get(&ours[0], None).await?.first_byte * 1000.0);
            anchor.push(to_bucket.get(&direct[0], None).await?.first_byte * 1000.0);
        }
        let (own, anchor) = (middle(&mut own), middle(&mut anchor));
        println!("    first byte after {own:.3} ms, of the bucket {anchor:.3} ms");
        more.push(own - anchor);
    }
    let what = "first byte of an archive later than from the bucket, p50";
    figures.numbers("e7", what, &more, "ms", 0.3, 1.2)
}

/// e8: many who take an archive slowly.
async fn slow_clients(
    options: &Options,
    figures: &mut Figures,
    shelf: &Shelf,
    key: &str,
) -> anyhow::Result<()> {
    let (clients, half) = match options.small {
        true => (16, Duration::from_secs(4)),
        false => (64, Duration::from_secs(45)),
    };
    let process = shelf.server.id();
    let before = memory(process)?;
    let url = shelf.server.url(&format!("/main/{key}"));
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let url = url.clone();
        slow.spawn(async move {
            let mut connection = Connection::to(&url).await?;
            connection.get(&url, Some(SLOW)).await
        });
    }
    tokio::time::sleep(half).await;
    let first = memory(process)?;
    tokio::time::sleep(half).await;
    let second = memory(process)?;
    // They are in the middle of it, or this measured nothing.
    if let Some(ended) = slow.try_join_next() {
        ended??;
        anyhow::bail!("a slow client was through already");
    }
    slow.abort_all();
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let what = format!("memory for {clients} slow clients of one archive after {half:?}");
    let target = clients as f64 + 32.0;
    figures.number(
        "e8",
        &what,
        mebibytes(first.saturating_sub(before)),
        "MiB",
        target,
        target * 1.5,
    )?;
    let what = format!("what it grew by in the next {half:?}");
    figures.number(
        "e8-later",
        &what,
        mebibytes(second.saturating_sub(first)),
        "MiB",
        8.0,
        32.0,
    )
}
