//! Keeping the index true to the bucket.
//!
//! # Two sweeps
//!
//! The **root sweep** ([`root`]) lists the narinfos and fetches those that are new or
//! changed. It runs every minute or ten, and after each failure a little later each time.
//! The **whole sweep** ([`whole`]) lists every object, counts bytes, and holds the NARs
//! against the narinfos. It follows the first root sweep, and then one a day.
//!
//! ```text
//!  schedule, trigger ──▶ task ──▶ root ──▶ listing ──▶ fetch ──▶ index
//!                          │                 (new, changed)
//!                          └────▶ whole ──▶ listing ──▶ census ─▶ index
//! ```
//!
//! # What it may rely on
//!
//! Nothing. A listing may be cut, a narinfo may vanish between the listing and the GET,
//! the store may fail at any moment, the process may be killed. A sweep that does not come
//! to its end removes nothing and says so; the last good index stays. Nothing is ever
//! written to the bucket here.
//!
//! Between sweeps [`follow`] looks up what another replica says it has published.
//!
//! [`SyncHandle::status`] says at every moment what goes on.

mod cache_info;
mod entering;
mod fetch;
mod follow;
mod listing;
mod noted;
mod progress;
mod removal;
mod root;
mod task;
pub mod whole;

use std::sync::Arc;
use std::time::Duration;

use snowbank_shared::api::IndexStatus;
use snowbank_shared::cache_info::CacheInfo;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::StoreDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bucket::{Bucket, BucketError};
use crate::index::Index;
use fetch::Fetched;
pub use follow::Hints;
pub use progress::Answered;
use task::{Command, Task};
pub use whole::{ObjectClass, Tally, WholeSummary};

/// When sweeps begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// At once, and then period after period.
    Periods,
    /// Only when somebody asks for one.
    Asked,
}

/// How a cache is kept in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncParams {
    /// When sweeps begin.
    pub schedule: Schedule,
    /// From the end of a root sweep to the beginning of the next.
    pub sweep: Duration,
    /// From the beginning of a whole sweep to that of the next.
    pub whole_sweep: Duration,
    /// Narinfos fetched at once. Bounded by the bucket's own limit too
    /// ([`bulk_concurrency`](crate::bucket::Limits::bulk_concurrency)).
    pub concurrency: usize,
    /// Ranges of a large bucket that are listed side by side; 1 lists page after page.
    pub listings: usize,
    /// Threads that parse narinfos and verify signatures.
    pub judges: usize,
    /// The store directory that the cache is for.
    pub store_dir: StoreDir,
}

impl SyncParams {
    /// For the bucket inside this process: listing costs nothing.
    pub fn embedded() -> Self {
        Self {
            schedule: Schedule::Periods,
            sweep: Duration::from_secs(60),
            whole_sweep: Duration::from_secs(86_400),
            concurrency: 64,
            listings: 1,
            judges: judges(),
            store_dir: StoreDir::default(),
        }
    }

    /// For S3 over a network: each page takes its time and costs money.
    pub fn s3() -> Self {
        Self {
            sweep: Duration::from_secs(600),
            concurrency: 128,
            listings: 8,
            ..Self::embedded()
        }
    }
}

/// One core is left to those who ask.
fn judges() -> usize {
    std::thread::available_parallelism()
        .map_or(1, |cores| cores.get() - 1)
        .max(1)
}

/// What a root sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// When it began, seconds since 1970.
    pub began_at: i64,
    /// How long it took.
    pub took: Duration,
    /// Narinfos in the listing.
    pub found: u64,
    /// Narinfos that were fetched: new, changed, or failed before.
    pub fetched: u64,
    /// Of these, entered into the index.
    pub entered: u64,
    /// Of these, those that cannot be read as narinfos.
    pub unparsable: u64,
    /// Of these, those that the store refused, one by one.
    pub refused: u64,
    /// Paths removed.
    pub removed: u64,
    /// Paths that are gone from the listing and wait for a second sweep.
    pub held_back: u64,
    /// The whole sweep, where one followed.
    pub whole: Option<WholeSummary>,
}

/// Why a sweep did not come to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SyncError {
    /// The bucket failed.
    #[error("{0}")]
    Bucket(#[from] BucketError),
    /// Some narinfos could not be fetched for now.
    #[error("{failed} narinfos could not be fetched, the next sweep tries again{}", first.as_ref().map(|error| format!("; first: {error}")).unwrap_or_default())]
    Incomplete {
        /// How many.
        failed: u64,
        /// The first of the errors.
        first: Option<BucketError>,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Stopped,
}

impl SyncError {
    fn incomplete(fetched: &Fetched) -> Self {
        Self::Incomplete {
            failed: fetched.failed,
            first: fetched.first_error.clone(),
        }
    }
}

/// Keeps one cache in sync. Made by [`Sync::spawn`].
#[derive(Debug)]
pub struct Sync;

impl Sync {
    /// Begins: the first sweep starts as the [`Schedule`] says.
    pub fn spawn(
        bucket: &Bucket,
        index: Index,
        key_ring: Arc<KeyRing>,
        params: SyncParams,
    ) -> SyncHandle {
        index.set_key_ring(key_ring);
        let stop = CancellationToken::new();
        let (commands, inbox) = mpsc::unbounded_channel();
        let (status, status_receiver) = watch::channel(task::initial_status(&index, &params));
        let (cache_info, cache_info_receiver) = watch::channel(None);
        let (whole, whole_receiver) = watch::channel(None);
        let task = Task::new(
            bucket.bulk(),
            index.clone(),
            params,
            status,
            cache_info,
            whole,
            stop.clone(),
        );
        let answered = task.answered();
        let (hints, hinted) = Hints::new(commands.clone());
        let join = tokio::spawn(task.run(inbox, hinted));
        SyncHandle {
            index,
            commands,
            hints,
            status: status_receiver,
            answered,
            cache_info: cache_info_receiver,
            whole: whole_receiver,
            stop,
            join,
        }
    }
}

/// A running sync. Dropping it does not end it; [`shutdown`](Self::shutdown) does.
#[derive(Debug)]
pub struct SyncHandle {
    index: Index,
    commands: mpsc::UnboundedSender<Command>,
    hints: Hints,
    status: watch::Receiver<IndexStatus>,
    answered: Answered,
    cache_info: watch::Receiver<Option<CacheInfo>>,
    whole: watch::Receiver<Option<Arc<WholeSummary>>>,
    stop: CancellationToken,
    join: JoinHandle<()>,
}

impl SyncHandle {
    /// What goes on, live: changes a few times a second while a sweep runs.
    pub fn status(&self) -> watch::Receiver<IndexStatus> {
        self.status.clone()
    }

    /// Whether the bucket has answered, well or not.
    pub fn answered(&self) -> Answered {
        self.answered.clone()
    }

    /// The bucket's own `nix-cache-info`, as last read; `None`: not yet, or none that parses.
    pub fn cache_info(&self) -> watch::Receiver<Option<CacheInfo>> {
        self.cache_info.clone()
    }

    /// What the last whole sweep of this process counted; `None`: none has ended well yet.
    pub fn whole(&self) -> watch::Receiver<Option<Arc<WholeSummary>>> {
        self.whole.clone()
    }

    /// For whoever hears what changed before a sweep sees it.
    pub fn hints(&self) -> Hints {
        self.hints.clone()
    }

    /// Asks for a root sweep soon. Several askings are one sweep.
    pub fn trigger(&self) {
        // A task that has ended sweeps no more: nothing to do.
        let _ = self.commands.send(Command {
            whole: false,
            reply: None,
        });
    }

    /// Sweeps now, after what is under way, and waits for the end.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn sweep_now(&self) -> Result<Summary, SyncError> {
        self.ask(false).await
    }

    /// Sweeps now, the root and then the whole bucket, and waits for the end.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn sweep_whole_now(&self) -> Result<Summary, SyncError> {
        self.ask(true).await
    }

    async fn ask(&self, whole: bool) -> Result<Summary, SyncError> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            whole,
            reply: Some(reply),
        };
        self.commands
            .send(command)
            .map_err(|_| SyncError::Stopped)?;
        answer.await.unwrap_or(Err(SyncError::Stopped))
    }

    /// Judges by other keys from now on; what is indexed is judged anew in the background.
    pub fn set_key_ring(&self, key_ring: Arc<KeyRing>) {
        self.index.set_key_ring(key_ring);
    }

    /// Ends: a sweep under way is given up, what it entered is kept and flushed.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.join.await {
            tracing::error!(%error, "the sync task failed");
        }
    }
}

/// Runs what takes long on a thread of its own.
async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SyncError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => Ok(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends gives up blocking work.
            Err(_) => Err(SyncError::Stopped),
        },
    }
}
