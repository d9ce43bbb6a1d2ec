//! a1 to a4: from an empty index to "ready": against a client that only asks, against a copy by
//! s5cmd, from a store that is far away, and without verifying.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use snowbank::bench_data::Plan;
use snowbank::bucket::{Bucket, Operation};
use snowbank::index::{Index, IndexParams};
use snowbank::sync::{Sync, SyncParams};
use snowbank_shared::api::{IndexState, KeyPurpose, KeyState};
use snowbank_shared::signature::{KeyRing, KnownKey};
use snowbank_shared::store_path::StoreDir;

use crate::delay::Delay;
use crate::measure::{Figure, Figures};
use crate::store::Store;
use crate::{Options, part};

/// Requests under way, of both.
pub const CONNECTIONS: usize = 64;

/// How the sweeps of all figures are set: as the server sets them for S3, with
/// as many requests under way as the anchor has.
pub fn params() -> SyncParams {
    SyncParams {
        concurrency: CONNECTIONS,
        listings: 1,
        ..SyncParams::embedded()
    }
}

/// The keys of a synthetic cache.
pub fn key_ring(store: &Store) -> Arc<KeyRing> {
    let keys = store.summary.public_keys.iter();
    Arc::new(KeyRing::new(keys.map(|key| KnownKey {
        key: key.clone(),
        purpose: KeyPurpose::Contributor,
        state: KeyState::Active,
    })))
}

/// How long a store that is far away takes for anything.
const DELAY: Duration = Duration::from_millis(30);

/// The longest that s5cmd may take.
const COPY: Duration = Duration::from_secs(300);

/// Measures a1, a2, a3 and a4.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if options.wants(&["a1", "a2", "a4"]) {
        let paths = options.paths_or(100_000, 10_000);
        let store = Store::with(&Plan::new(paths, 1)).await?;
        println!("cold index of {paths} narinfos from {}", store.name);
        if options.wants(&["a1", "a4"]) {
            near(options, figures, &store, paths).await?;
        }
        if options.wants(&["a2"]) {
            against_a_copy(options, figures, &store, paths).await?;
        }
    }
    if options.wants(&["a3"]) {
        far(options, figures).await?;
    }
    Ok(())
}

/// a2: what somebody does who wants the narinfos without any index.
async fn against_a_copy(
    options: &Options,
    figures: &mut Figures,
    store: &Store,
    paths: u64,
) -> anyhow::Result<()> {
    let Some(program) = s5cmd() else {
        figures.skip(
            "a2",
            "s5cmd is neither on the PATH nor in target/tools (tests/run puts it there)",
        );
        return Ok(());
    };
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let ours = index(store, key_ring(store), paths).await?;
        rounds.push((ours, copy(&program, store, paths).await?));
    }
    let anchor = format!("s5cmd cp of the same from {} to memory", store.name);
    figures.ratio(
        Figure {
            id: "a2",
            what: "cold index, signatures verified",
            anchor: &anchor,
            unit: "s",
            // 3.5 times as fast.
            target: Some(0.286),
        },
        &rounds,
    )
}

/// s5cmd, where `tests/run` puts it or a package manager does.
fn s5cmd() -> Option<PathBuf> {
    let own = snowbank_tests::component::tools().join("venv/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([own])
        .map(|folder| folder.join("s5cmd"))
        .find(|program| program.is_file())
}

/// Seconds in which s5cmd copies all narinfos.
async fn copy(program: &Path, store: &Store, paths: u64) -> anyhow::Result<f64> {
    let folder = part::folder()?;
    let to = format!("{}/", folder.path().display());
    let from = format!("s3://{}/*.narinfo", store.bucket_name());
    let begin = Instant::now();
    let mut child = tokio::process::Command::new(program)
        .args([
            "--log",
            "error",
            "--endpoint-url",
            store.endpoint(),
            "cp",
            &from,
            &to,
        ])
        .envs(store.environment())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("AWS_PROFILE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let status = tokio::time::timeout(COPY, child.wait())
        .await
        .context("s5cmd takes more than five minutes")??;
    let took = begin.elapsed().as_secs_f64();
    ensure!(status.success(), "s5cmd ended with {status}");
    let copied = std::fs::read_dir(folder.path())?.count() as u64;
    ensure!(copied == paths, "s5cmd copied {copied} of {paths}");
    Ok(took)
}

/// a3: a store that answers 30 ms later, against what that alone costs.
async fn far(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let paths = options.paths_or(20_000, 4_000).min(20_000);
    let store = Store::with(&Plan::new(paths, 1)).await?;
    let delay = Delay::before(store.endpoint(), DELAY).await?;
    println!(
        "cold index of {paths} narinfos from {}, {DELAY:?} away",
        store.name
    );
    for at_once in [64, 256] {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let bucket = store.bucket_at(&delay.origin, at_once).await?;
            let params = SyncParams {
                concurrency: at_once,
                ..params()
            };
            let took = index_by(&bucket, key_ring(&store), params, paths).await?;
            rounds.push((took, paths as f64 * DELAY.as_secs_f64() / at_once as f64));
        }
        let what = format!("cold index, {at_once} requests at once");
        let anchor = format!("{paths} times {} ms over {at_once}", DELAY.as_millis());
        figures.ratio(
            Figure {
                id: if at_once == 64 { "a3-64" } else { "a3-256" },
                what: &what,
                anchor: &anchor,
                unit: "s",
                target: Some(1.2),
            },
            &rounds,
        )?;
    }
    Ok(())
}

/// a1 and a4.
async fn near(
    options: &Options,
    figures: &mut Figures,
    store: &Store,
    paths: u64,
) -> anyhow::Result<()> {
    let (mut against_raw, mut against_unsigned) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let raw = raw(store, paths).await?;
        let verified = index(store, key_ring(store), paths).await?;
        // Without keys there is nothing to verify with.
        let unverified = index(store, Arc::new(KeyRing::new([])), paths).await?;
        against_raw.push((verified, raw));
        against_unsigned.push((verified, unverified));
    }
    let anchor = format!("raw LIST + GET from {}", store.name);
    figures.ratio(
        Figure {
            id: "a1",
            what: "cold index, signatures verified",
            anchor: &anchor,
            unit: "s",
            // 1.25 holds against stores that take 100 µs of CPU for a GET. The embedded
            // server takes a third of that, so what verifying costs weighs three times as much.
            target: None,
        },
        &against_raw,
    )?;
    figures.ratio(
        Figure {
            id: "a4",
            what: "cold index, signatures verified",
            anchor: "the same without keys",
            unit: "s",
            target: Some(1.3),
        },
        &against_unsigned,
    )
}

/// Seconds of a raw LIST and a GET of every narinfo in it.
async fn raw(store: &Store, paths: u64) -> anyhow::Result<f64> {
    let raw = store.raw()?;
    let begin = Instant::now();
    let mut keys = raw.list().await?;
    keys.retain(|key| key.ends_with(".narinfo"));
    let received = raw.get_all(&keys, CONNECTIONS).await?;
    let took = begin.elapsed().as_secs_f64();
    ensure!(
        keys.len() as u64 == paths && received == store.summary.narinfo_bytes,
        "the anchor got something else"
    );
    Ok(took)
}

/// Seconds from an empty folder to an index that is ready.
async fn index(store: &Store, keys: Arc<KeyRing>, paths: u64) -> anyhow::Result<f64> {
    index_by(&store.bucket().await?, keys, params(), paths).await
}

/// The same by way of another client of it.
async fn index_by(
    bucket: &Bucket,
    keys: Arc<KeyRing>,
    sync: SyncParams,
    paths: u64,
) -> anyhow::Result<f64> {
    let folder = part::folder()?;
    let begin = Instant::now();
    let params = IndexParams {
        store_dir: StoreDir::default(),
        key_ring: Arc::clone(&keys),
    };
    let index = Index::open(folder.path(), &params)?;
    let sync = Sync::spawn(bucket, index.clone(), keys, sync);
    let mut status = sync.status();
    let ready = status
        .wait_for(|status| !matches!(status.state, IndexState::New | IndexState::Indexing))
        .await?
        .clone();
    let took = begin.elapsed().as_secs_f64();
    if ready.state == IndexState::Failed {
        bail!("the sweep failed: {}", ready.error.unwrap_or_default());
    }
    let view = index.view();
    ensure!(view.len() == paths, "{} paths in the index", view.len());
    drop(view);
    let gets = bucket.counts().of(Operation::Get);
    ensure!(gets.sent >= paths, "fewer GETs than narinfos");
    sync.shutdown().await;
    tokio::task::spawn_blocking(move || drop(index))
        .await
        .context("the index closes")?;
    Ok(took)
}
