//! a1, a4: from an empty index to "ready", against a client that only asks.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use snowbank::bench_data::Plan;
use snowbank::bucket::Operation;
use snowbank::index::{Index, IndexParams};
use snowbank::sync::{Sync, SyncParams};
use snowbank_shared::api::{IndexState, KeyPurpose, KeyState};
use snowbank_shared::signature::{KeyRing, KnownKey};
use snowbank_shared::store_path::StoreDir;

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

/// Measures a1 and a4.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let paths = options.paths_or(100_000, 10_000);
    let store = Store::with(&Plan::new(paths, 1)).await?;
    println!("cold index of {paths} narinfos from {}", store.name);
    let (mut against_raw, mut against_unsigned) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let raw = raw(&store, paths).await?;
        let verified = index(&store, key_ring(&store), paths).await?;
        // Without keys there is nothing to verify with.
        let unverified = index(&store, Arc::new(KeyRing::new([])), paths).await?;
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
    let folder = part::folder()?;
    let bucket = store.bucket().await?;
    let begin = Instant::now();
    let params = IndexParams {
        store_dir: StoreDir::default(),
        key_ring: Arc::clone(&keys),
    };
    let index = Index::open(folder.path(), &params)?;
    let sync = Sync::spawn(&bucket, index.clone(), keys, self::params());
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
