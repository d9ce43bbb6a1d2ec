//! b1, b2: a sweep that finds little or nothing new, against a raw LIST and as many raw GETs.
//! b4: what queries notice of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank::bench_data::{BenchObject, Plan};
use snowbank::bucket::{Bucket, Operation, PutOptions};
use snowbank::index::{Index, IndexParams, PathQuery};
use snowbank::sync::{Sync, SyncHandle};
use snowbank_shared::api::IndexState;
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use crate::cold_index::{CONNECTIONS, key_ring, params};
use crate::measure::{Figure, Figures};
use crate::store::Store;
use crate::{Options, part};

/// Narinfos changed, and as many new and half as many gone, each round.
const CHANGED: usize = 500;

/// From the end of a query to the beginning of the next.
const BETWEEN_QUERIES: Duration = Duration::from_millis(2);

/// Measures b1, b2 and b4.
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

    let writer = store.bucket().await?;
    let mut live: Vec<BenchObject> = plan
        .objects()
        .map_err(anyhow::Error::msg)?
        .filter(is_narinfo)
        .collect();
    if options.wants(&["b2"]) {
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
    if options.wants(&["b4"]) {
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            // What a round of b2 left behind is done with.
            let settling = index.clone();
            tokio::task::spawn_blocking(move || settling.settle()).await?;
            let idle = asked_while(&index, async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                anyhow::Ok(())
            });
            let idle = idle.await?;
            change(&writer, &mut live, changed, 500 + round as u64).await?;
            let busy = asked_while(&index, async {
                let end = Instant::now() + Duration::from_secs(2);
                while Instant::now() < end {
                    sync.sweep_now().await?;
                }
                Ok(())
            });
            rounds.push((busy.await?, idle));
        }
        let what = format!(
            "a narinfo and a search, p99, while one refresh finds {} changes and others none",
            2 * changed
        );
        figures.ratio(
            Figure {
                id: "b4",
                what: &what,
                anchor: "the same with nothing else to do",
                unit: "ms",
                target: Some(2.0),
            },
            &rounds,
        )?;
    }
    sync.shutdown().await;
    tokio::task::spawn_blocking(move || drop(index))
        .await
        .context("the index closes")
}

/// Milliseconds, p99, that a narinfo and the first page of a search take together while something
/// goes on, asked for by a thread of its own as a reader of the index is.
async fn asked_while(
    index: &Index,
    going_on: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let (asked, until) = (index.clone(), Arc::clone(&over));
    let asker = std::thread::spawn(move || {
        let hashes: Vec<StorePathHash> = asked.view().hashes().step_by(97).collect();
        let query = PathQuery {
            q: "lib".to_owned(),
            ..PathQuery::default()
        };
        let (mut took, mut unanswered) = (Vec::new(), 0);
        for hash in hashes.iter().cycle() {
            if until.load(Ordering::Relaxed) {
                break;
            }
            let begin = Instant::now();
            let view = asked.view();
            // Some paths go meanwhile; a search always has an answer.
            drop(view.served(hash));
            unanswered += usize::from(view.query(&query).is_err());
            drop(view);
            took.push(begin.elapsed().as_secs_f64() * 1000.0);
            std::thread::park_timeout(BETWEEN_QUERIES);
        }
        (took, unanswered)
    });
    let outcome = going_on.await;
    over.store(true, Ordering::Relaxed);
    let (mut took, unanswered) = tokio::task::spawn_blocking(move || asker.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the queries panicked"))?;
    outcome?;
    ensure!(unanswered == 0, "{unanswered} queries failed");
    ensure!(took.len() >= 100, "only {} queries", took.len());
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() * 99 / 100])
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
