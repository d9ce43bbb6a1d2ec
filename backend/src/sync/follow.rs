//! Between two sweeps: narinfos of which somebody says that they changed.
//!
//! Another replica has published them, and told. Each is looked up in the bucket, because
//! only the bucket says what is there; the next sweep finds the same.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::entering::Entering;
use super::fetch::{Fetcher, Wanted};
use super::noted::Noted;
use super::progress::Live;
use super::{Command, Summary, SyncError, SyncParams, off_the_reactor};
use crate::bucket::{Bucket, BucketError};
use crate::index::{Change, ChangeToken, Index};

/// Hashes that wait at most; after that a sweep is asked for.
const QUEUE: usize = 4096;
/// Looked up in one go at most.
const AT_ONCE: usize = 256;
/// Lookups under way at once.
const CONCURRENCY: usize = 16;

/// Says what changed in a cache. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Hints {
    hashes: mpsc::Sender<StorePathHash>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Hints {
    pub(super) fn new(
        commands: mpsc::UnboundedSender<Command>,
    ) -> (Self, mpsc::Receiver<StorePathHash>) {
        let (hashes, inbox) = mpsc::channel(QUEUE);
        (Self { hashes, commands }, inbox)
    }

    /// The narinfo of this hash appeared, changed or went. Where too many wait, a sweep sees to it.
    pub fn changed(&self, hash: StorePathHash) {
        if self.hashes.try_send(hash).is_err() {
            self.missed();
        }
    }

    /// Sweeps the root now, after what is under way, and waits for the end.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn sweep(&self) -> Result<Summary, SyncError> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            whole: false,
            reply: Some(reply),
        };
        self.commands
            .send(command)
            .map_err(|_| SyncError::Stopped)?;
        answer.await.unwrap_or(Err(SyncError::Stopped))
    }

    /// More changed than is known: sweep soon.
    pub fn missed(&self) {
        // A task that has ended sweeps no more.
        let _ = self.commands.send(Command {
            whole: false,
            reply: None,
        });
    }
}

/// What looks up hints.
pub(super) struct Follower {
    pub(super) bucket: Bucket,
    pub(super) index: Index,
    pub(super) params: SyncParams,
    pub(super) judging: Arc<Semaphore>,
    pub(super) noted: Arc<Noted>,
}

impl Follower {
    /// Looks up what comes, until nobody can send any more.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<StorePathHash>) {
        let mut hashes = Vec::new();
        while inbox.recv_many(&mut hashes, AT_ONCE).await > 0 {
            hashes.sort_unstable();
            hashes.dedup();
            if let Err(error) = self.look_up(std::mem::take(&mut hashes)).await {
                tracing::warn!(bucket = self.bucket.location(), %error, "what another replica published is left to the next sweep");
            }
        }
    }

    async fn look_up(&self, hashes: Vec<StorePathHash>) -> Result<(), SyncError> {
        let view = self.index.view();
        let mut heads = stream::iter(hashes)
            .map(|hash| async move { (hash, self.bucket.head(&hash.narinfo_key()).await) })
            .buffer_unordered(CONCURRENCY);
        let mut wanted = Vec::new();
        let mut changes = Vec::new();
        let mut failed: Option<BucketError> = None;
        while let Some((hash, head)) = heads.next().await {
            let known = view.token(&hash.narinfo_key());
            match (head, known) {
                (Ok(meta), known) => {
                    if !known.is_some_and(|known| ChangeToken::is_of(known, &meta)) {
                        let token = ChangeToken::from(&meta);
                        wanted.push(Wanted { hash, token });
                    }
                }
                (Err(error), Some(known)) if error.is_not_found() => {
                    changes.push(Change::RemoveUnchanged(hash, known));
                    changes.extend(self.noted.settle_narinfo(&hash.narinfo_key()));
                }
                (Err(error), None) if error.is_not_found() => {}
                (Err(error), _) => failed = Some(error),
            }
        }
        drop(heads);
        let entering = Arc::new(Entering::new(self.index.clone()));
        let fetcher = Fetcher {
            bucket: self.bucket.clone(),
            entering: Arc::clone(&entering),
            key_ring: self.index.key_ring(),
            store_dir: self.params.store_dir.clone(),
            concurrency: CONCURRENCY,
            judging: Arc::clone(&self.judging),
            live: Arc::new(Live::default()),
            noted: Arc::clone(&self.noted),
        };
        fetcher.run(stream::iter(wanted)).await?;
        off_the_reactor(move || {
            entering.enter(changes);
            entering.show();
        })
        .await?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
