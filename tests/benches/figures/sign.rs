//! sign: counter-signing in bulk, against a GET and a PUT of each of the same narinfos.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank::auth::By;
use snowbank::bucket::{Bucket, PutOptions};
use snowbank::config::{CacheConfig, Config, Slug};
use snowbank::server::{self, RunningServer};
use snowbank::signing::{Order, Signing};
use snowbank_shared::api::signing::{ContentRule, Job, JobAct, JobState, JobWish};
use snowbank_shared::narinfo::MAX_BYTES;
use snowbank_shared::signature::SecretKey;

use snowbank_tests::folder::narinfo_alone;

use crate::measure::{Figure, Figures};
use crate::{Options, part};

/// Requests of the anchor at once: as many as a job has.
const AT_ONCE: usize = 32;
/// How often the end of a job is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Measures the figure.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let paths = options.paths_or(100_000, 5_000);
    let folder = part::folder()?;
    let bucket_folder = folder.path().join("cache");
    let theirs = SecretKey::generate("theirs-1", [51; 32])?;
    let team = SecretKey::generate("team-1", [52; 32])?;
    let keys = fill(&bucket_folder, paths, &theirs)?;
    let key_file = folder.path().join("team-1.secret");
    fs::write(&key_file, team.to_secret_text())?;
    let cache = CacheConfig {
        make_key: false,
        signing_key_files: vec![key_file],
        public_keys: vec![theirs.public_key()],
        ..CacheConfig::embedded(Slug::main(), bucket_folder)
    };
    let mut config = Config {
        caches: vec![cache],
        ..Config::in_folder(folder.path().join("data"))
    };
    config.listen = ([127, 0, 0, 1], 0).into();
    let running = server::start(config).await?;
    let sync = running.sync("main").context("a cache")?;
    sync.sweep_now().await?;
    let cache = running.site().cache("main").context("a cache")?;
    let bucket = cache.bucket.bulk();
    println!("counter-signing of {paths} narinfos in the embedded bucket");
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let begin = Instant::now();
        put_again(&bucket, &keys).await?;
        let raw = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let done = job(&running, JobAct::CounterSign).await?;
        let took = begin.elapsed().as_secs_f64();
        ensure!(done.changed == paths, "{done:?}");
        let removed = job(&running, JobAct::Strip).await?;
        ensure!(removed.changed == paths, "{removed:?}");
        rounds.push((took, raw));
    }
    let what = format!("counter-signing of {paths} narinfos");
    let anchor = format!("{paths} GETs and PUTs of the same");
    let figure = Figure {
        id: "sign",
        what: &what,
        anchor: &anchor,
        unit: "s",
        // At least 0.8 of the throughput.
        target: Some(1.25),
    };
    figures.ratio(figure, &rounds)?;
    running.shutdown().await;
    Ok(())
}

/// Writes narinfos as others would; their keys, in the order of the bucket.
fn fill(folder: &Path, paths: u64, key: &SecretKey) -> anyhow::Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut keys = Vec::new();
    for n in 0..paths {
        let (object, text) = narinfo_alone(&format!("package-{n}"), key)?;
        fs::write(folder.join(&object), text)?;
        keys.push(object);
    }
    keys.sort();
    Ok(keys)
}

/// A GET and a conditional PUT of each, with nothing done to it.
async fn put_again(bucket: &Bucket, keys: &[String]) -> anyhow::Result<()> {
    let options = PutOptions::of_type("text/x-nix-narinfo");
    let options = &options;
    let again = stream::iter(keys).map(|key| async move {
        let object = bucket.get_small(key, MAX_BYTES).await?;
        let etag = object.meta.etag.context("a tag")?;
        bucket
            .put_if_match(key, object.bytes, options, &etag)
            .await?;
        anyhow::Ok(())
    });
    again.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// Runs a job over the whole cache to its end.
async fn job(running: &RunningServer, act: JobAct) -> anyhow::Result<Job> {
    let site = running.site();
    let cache = site.cache("main").context("a cache")?;
    // The server runs what is begun by whomever.
    let signing = Signing::new(site, std::path::PathBuf::new());
    let wish = JobWish {
        act,
        key: Some("team-1".to_owned()),
        paths: Vec::new(),
        filter: Some(String::new()),
        content: ContentRule::AcceptSignature,
        leave_unsigned: false,
        reason: "a measurement".to_owned(),
    };
    let order = Order::of(site, cache, &wish)?;
    let by = By {
        actor: "bench".to_owned(),
        via: "cli",
        request: String::new(),
        address: None,
    };
    let begun = signing.begin(cache, order, 0, &by).await?;
    loop {
        let job = signing.job(cache, &begun.id)?;
        if job.state == JobState::Done {
            return Ok(job);
        }
        ensure!(job.state == JobState::Running, "{job:?}");
        tokio::time::sleep(LOOK).await;
    }
}
