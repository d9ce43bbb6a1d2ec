//! i3: does content that is proven in the background keep its budget of bytes?

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use snowbank::config::{CacheConfig, Config, Slug};
use snowbank::server;
use snowbank_shared::narinfo::Compression;
use snowbank_shared::signature::SecretKey;

use crate::archive::{self, Sent};
use crate::measure::{Figure, Figures};
use crate::{Options, part};

/// The budget, bytes a second.
const RATE: u64 = 8_000_000;
/// Bytes of an archive, not packed.
const ARCHIVE: u64 = 6_000_000;
/// Between two looks at the counter.
const LOOK: Duration = Duration::from_millis(5);
/// How long the first byte is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures the figure: what came from the bucket in ten seconds, one round after the other.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["openssl"]) {
        figures.skip("i3", &reason);
        return Ok(());
    }
    let seconds: u64 = if options.small { 4 } else { 10 };
    let rounds = options.rounds as u64;
    let folder = part::folder()?;
    let bucket = folder.path().join("cache");
    fs::create_dir_all(bucket.join("nar"))?;
    let key = SecretKey::generate("team-1", [53; 32])?;
    // A second before the first round, and some to spare.
    let archives = (RATE * (seconds * rounds + 5)).div_ceil(ARCHIVE);
    for number in 0..archives {
        let nar = folder.path().join("one");
        archive::nar(&nar, ARCHIVE, number)?;
        let name = format!("package-{number}");
        let sent = Sent::new(&name, &nar, Compression::None, &nar, &key)?;
        fs::rename(&nar, bucket.join(&sent.parts.url))?;
        let narinfo = sent.parts.store_path.hash().narinfo_key();
        fs::write(bucket.join(narinfo), sent.text())?;
    }
    let cache = CacheConfig {
        make_key: false,
        public_keys: vec![key.public_key()],
        verify_rate: Some(RATE),
        ..CacheConfig::embedded(Slug::main(), bucket)
    };
    let mut config = Config {
        caches: vec![cache],
        ..Config::in_folder(folder.path().join("data"))
    };
    config.listen = ([127, 0, 0, 1], 0).into();
    let running = server::start(config).await?;
    running.sync("main").context("a cache")?.sweep_now().await?;
    let cache = running.site().cache("main").context("a cache")?;
    let received = || cache.bucket.counts().received_bytes();
    let (before, began) = (received(), Instant::now());
    while received() < before + RATE {
        ensure!(began.elapsed() < PATIENCE, "nothing is read");
        tokio::time::sleep(LOOK).await;
    }
    println!("proving {archives} archives of {ARCHIVE} bytes at {RATE} bytes a second");
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let (before, begin) = (received(), Instant::now());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let read = (received() - before) as f64 / begin.elapsed().as_secs_f64();
        let budget = RATE as f64;
        println!("    {:.3} MB/s", read / 1e6);
        // Too few are as far from it as too many.
        let apart = (read / budget).max(budget / read);
        rounds.push((budget * apart / 1e6, budget / 1e6));
    }
    let left = cache.proofs.figures().map_or(archives, |counted| {
        archives - counted.proven_paths.min(archives)
    });
    ensure!(
        left > 0,
        "all archives were read before the last round ended"
    );
    let figure = Figure {
        id: "i3",
        what: "bytes read to prove content, the farther side",
        anchor: "the budget",
        unit: "MB/s",
        target: Some(1.1),
    };
    figures.ratio(figure, &rounds)?;
    running.shutdown().await;
    Ok(())
}
