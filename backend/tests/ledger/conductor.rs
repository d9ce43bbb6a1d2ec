//! Decides which of several writers moves next, request by request, over the real bucket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use snowbank::bucket::{BucketError, Capabilities, ObjectMeta, Written};
use snowbank::ledger::{BucketStore, Store, Stored, When};
use tokio::sync::{mpsc, oneshot};

/// What a lane may do at its next request.
enum Verdict {
    /// Do it.
    Go,
    /// The process is killed before the request.
    KilledBefore,
    /// The process is killed after the request, before its answer.
    KilledAfter,
}

enum Said {
    Asks(usize, oneshot::Sender<Verdict>),
    Ended,
}

/// One writer's way to the conductor.
#[derive(Clone)]
pub struct Lane {
    number: usize,
    conductor: mpsc::UnboundedSender<Said>,
    killed: Arc<tokio::sync::Notify>,
}

tokio::task_local! {
    static LANE: Lane;
}

/// Repeatable chance.
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

/// Runs writers side by side, one request at a time in the order of a seed. With `kill`, one of
/// them is killed somewhere. What each returned; `None` for one that was killed.
pub async fn conduct<T: Send + 'static>(
    seed: u64,
    kill: bool,
    writers: Vec<std::pin::Pin<Box<dyn Future<Output = T> + Send>>>,
) -> Vec<Option<T>> {
    let mut chance = Chance::seeded(seed);
    let count = writers.len();
    let (conductor, mut said) = mpsc::unbounded_channel();
    let mut running = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        let lane = Lane {
            number,
            conductor: conductor.clone(),
            killed: Arc::default(),
        };
        let killed = Arc::clone(&lane.killed);
        let ended = conductor.clone();
        running.push(tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = LANE.scope(lane, writer) => Some(outcome),
                () = killed.notified() => None,
            };
            let _ = ended.send(Said::Ended);
            outcome
        }));
    }
    drop(conductor);
    let victim = kill.then(|| (chance.below(count), chance.below(10), chance.below(2)));
    let mut steps = vec![0; count];
    let mut waiting: Vec<(usize, oneshot::Sender<Verdict>)> = Vec::new();
    let mut live = count;
    while live > 0 {
        while waiting.len() < live {
            // One that waits for another within its process asks for nothing.
            let patience = Duration::from_millis(if waiting.is_empty() { 60_000 } else { 4 });
            match tokio::time::timeout(patience, said.recv()).await {
                Ok(Some(Said::Asks(lane, verdict))) => waiting.push((lane, verdict)),
                Ok(Some(Said::Ended)) => live -= 1,
                Ok(None) => live = 0,
                Err(_) if waiting.is_empty() => panic!("seed {seed}: nobody moves"),
                Err(_) => break,
            }
        }
        if waiting.is_empty() {
            continue;
        }
        waiting.sort_by_key(|(lane, _)| *lane);
        let (lane, verdict) = waiting.remove(chance.below(waiting.len()));
        let step = steps[lane];
        steps[lane] += 1;
        let _ = verdict.send(match victim {
            Some((victim, at, 0)) if (victim, at) == (lane, step) => Verdict::KilledBefore,
            Some((victim, at, _)) if (victim, at) == (lane, step) => Verdict::KilledAfter,
            _ => Verdict::Go,
        });
    }
    let mut outcomes = Vec::new();
    for writer in running {
        outcomes.push(writer.await.expect("no panic"));
    }
    outcomes
}

/// The real bucket, its requests conducted.
pub struct Conducted {
    pub store: BucketStore,
    /// Whether conditions reach the bucket; some stores accept and ignore them.
    pub heeds_conditions: bool,
}

impl Conducted {
    async fn turn<T>(&self, request: impl Future<Output = T>) -> T {
        let Ok(lane) = LANE.try_with(Clone::clone) else {
            return request.await;
        };
        let (ask, verdict) = oneshot::channel();
        let _ = lane.conductor.send(Said::Asks(lane.number, ask));
        match verdict.await {
            Ok(Verdict::Go) => request.await,
            Ok(Verdict::KilledAfter) => {
                request.await;
                lane.killed.notify_one();
                std::future::pending().await
            }
            Ok(Verdict::KilledBefore) | Err(_) => {
                lane.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Store for Conducted {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    fn location(&self) -> &str {
        self.store.location()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, BucketError> {
        self.turn(self.store.list(prefix)).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        self.turn(self.store.folders(prefix)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, BucketError> {
        self.turn(self.store.get(key)).await
    }

    async fn put(&self, key: &str, bytes: Bytes, when: &When) -> Result<Written, BucketError> {
        let when = if self.heeds_conditions {
            when
        } else {
            &When::Always
        };
        self.turn(self.store.put(key, bytes, when)).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.turn(self.store.delete(key)).await
    }

    async fn probe(&self, key: &str) -> Result<Capabilities, BucketError> {
        if self.heeds_conditions {
            return self.store.probe(key).await;
        }
        Ok(Capabilities {
            create_if_absent: false,
            replace_if_unchanged: false,
        })
    }

    async fn open_to_anyone(&self, key: &str) -> Result<bool, BucketError> {
        self.store.open_to_anyone(key).await
    }
}
