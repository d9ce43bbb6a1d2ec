//! b1, b2: a sweep that finds little or nothing new, against a raw LIST and as many raw GETs.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank::bench_data::{BenchObject, Plan};
use snowbank::bucket::{Bucket, Operation, PutOptions};
use snowbank::index::{Index, IndexParams};
use snowbank::sync::{Sync, SyncHandle};
use snowbank_shared::api::IndexState;
use snowbank_shared::store_path::StoreDir;

use crate::cold_index::{CONNECTIONS, key_ring, params};
use crate::measure::{Figure, Figures};
use crate::store::Store;
use crate::{Options, part};

/// Narinfos changed, and as many new and half as many gone, each round.
const CHANGED: usize = 500;

/// Measures b1 and b2.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let paths = options.paths_or(100_000, 10_000);
    let plan = Plan::new(paths, 1);
    let store = Store::with(&plan).await?;
    println!("refresh of {paths} narinfos in {}", store.name);
    let changed = if options.small { CHANGED / 5 } else { CHANGED };

    let folder = part::folder()?;
    let bucket = store.bucket().await?;
    let keys = key_ring(&store);
    let index = Index::open(
        folder.path(),
        &IndexParams {
            store_dir: StoreDir::default(),
            key_ring: keys.clone(),
        },
    )?;
    let sync = Sync::spawn(&bucket, index.clone(), keys, params());
    let ready = sync
        .status()
        .wait_for(|status| !matches!(status.state, IndexState::New | IndexState::Indexing))
        .await?
        .clone();
    if ready.state == IndexState::Failed {
        bail!("the sweep failed: {}", ready.error.unwrap_or_default());
    }
    // The first whole sweep follows the first root sweep; it is waited for here.
    sync.sweep_now().await?;

    if options.wants(&["b1"]) {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let raw = store.raw()?;
            let begin = Instant::now();
            let listed = raw.list().await?.len() as u64;
            let raw = begin.elapsed().as_secs_f64();
            let (took, gets) = refresh(&sync, &bucket).await?;
            ensure!(listed > paths, "the anchor listed {listed} keys");
            figures.exactly("b1", "GETs of a refresh without changes", gets, 0);
            rounds.push((took, raw));
        }
        let figure = Figure {
            id: "b1",
            what: "refresh, nothing changed",
            anchor: "raw LIST",
            unit: "s",
            target: Some(1.15),
        };
        figures.ratio(figure, &rounds)?;
    }

    if options.wants(&["b2"]) {
        let writer = store.bucket().await?;
        let mut live: Vec<BenchObject> = plan
            .objects()
            .map_err(anyhow::Error::msg)?
            .filter(is_narinfo)
            .collect();
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            let keys = change(&writer, &mut live, changed, round as u64).await?;
            let raw = store.raw()?;
            let begin = Instant::now();
            raw.list().await?;
            raw.get_all(&keys, CONNECTIONS).await?;
            let raw = begin.elapsed().as_secs_f64();
            let (took, gets) = refresh(&sync, &bucket).await?;
            figures.exactly(
                "b2",
                "GETs of a refresh with changes",
                gets,
                keys.len() as u64,
            );
            let view = index.view();
            ensure!(
                view.len() == live.len() as u64,
                "{} paths in the index, {} in the bucket",
                view.len(),
                live.len()
            );
            rounds.push((took, raw));
        }
        let what = format!(
            "refresh, {} changed or new, {} gone",
            2 * changed,
            changed / 2
        );
        let anchor = format!("raw LIST + {} GETs", 2 * changed);
        figures.ratio(
            Figure {
                id: "b2",
                what: &what,
                anchor: &anchor,
                unit: "s",
                target: Some(1.25),
            },
            &rounds,
        )?;
    }
    sync.shutdown().await;
    tokio::task::spawn_blocking(move || drop(index))
        .await
        .context("the index closes")
}

/// Seconds of one root sweep, and its GETs.
async fn refresh(sync: &SyncHandle, bucket: &Bucket) -> anyhow::Result<(f64, u64)> {
    let before = bucket.counts().of(Operation::Get).sent;
    let begin = Instant::now();
    let summary = sync.sweep_now().await?;
    let took = begin.elapsed().as_secs_f64();
    let gets = bucket.counts().of(Operation::Get).sent - before;
    ensure!(gets >= summary.fetched, "the counters miss GETs");
    Ok((took, gets))
}

/// Changes some narinfos, adds as many, removes half as many; the keys that a refresh has to get.
async fn change(
    writer: &Bucket,
    live: &mut Vec<BenchObject>,
    changed: usize,
    round: u64,
) -> anyhow::Result<Vec<String>> {
    let removed: Vec<_> = live.drain(..changed / 2).collect();
    // Those at the end now are changed in this round; new ones come after them.
    let start = live.len() - changed;
    for object in &mut live[start..] {
        object
            .body
            .extend_from_slice(format!("Sig: round-{round}:{}==\n", "A".repeat(86)).as_bytes());
    }
    let new = Plan::new(changed as u64, 1000 + round)
        .objects()
        .map_err(anyhow::Error::msg)?
        .filter(is_narinfo);
    live.extend(new);
    let written = &live[start..];
    stream::iter(written)
        .map(|object| async move {
            writer
                .put(
                    &object.key,
                    Bytes::from(object.body.clone()),
                    &PutOptions::default(),
                )
                .await
        })
        .buffer_unordered(32)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    stream::iter(&removed)
        .map(|object| writer.delete(&object.key))
        .buffer_unordered(32)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    Ok(written.iter().map(|object| object.key.clone()).collect())
}

fn is_narinfo(object: &BenchObject) -> bool {
    object.key.ends_with(".narinfo")
}
