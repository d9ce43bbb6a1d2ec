//! The task that sweeps: when, what, and what is said about it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use snowbank_shared::api::{IndexState, IndexStatus};
use snowbank_shared::cache_info::CacheInfo;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::entering::Entering;
use super::fetch::Fetcher;
use super::follow::Follower;
use super::noted::Noted;
use super::progress::{Answered, Live};
use super::removal::Removals;
use super::root::RootSweep;
use super::whole::{WholeSummary, WholeSweep};
use super::{Schedule, Summary, SyncError, SyncParams, cache_info, off_the_reactor};
use crate::bucket::Bucket;
use crate::bucket::retry::random_fraction;
use crate::index::{ChangeToken, Index};

/// How often a running sweep says how far it is.
const TICK: Duration = Duration::from_millis(250);

/// The pause after a first failure; each further one doubles it, up to the period.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// A sweep that somebody asked for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) whole: bool,
    pub(super) reply: Option<oneshot::Sender<Result<Summary, SyncError>>>,
}

/// The task and what it remembers from sweep to sweep.
pub(super) struct Task {
    bucket: Bucket,
    index: Index,
    params: SyncParams,
    status: watch::Sender<IndexStatus>,
    answered: Answered,
    cache_info: watch::Sender<Option<CacheInfo>>,
    whole: watch::Sender<Option<Arc<WholeSummary>>>,
    stop: CancellationToken,
    judging: Arc<Semaphore>,
    noted: Arc<Noted>,
    removals: Removals<(StorePathHash, u64)>,
    /// The token under which `nix-cache-info` was read; inner `None`: seen to be missing.
    cache_info_token: Option<Option<ChangeToken>>,
    /// When the last whole sweep that ended well began, seconds since 1970.
    whole_at: Option<i64>,
    failures: u32,
}

/// The status before the first sweep of this process.
pub(super) fn initial_status(index: &Index, params: &SyncParams) -> IndexStatus {
    let view = index.view();
    IndexStatus {
        revision: view.revision().to_owned(),
        as_of: view.swept_at().and_then(rfc3339),
        state: match view.swept_at() {
            Some(_) => IndexState::Ready,
            None => IndexState::New,
        },
        progress: None,
        error: None,
        sweep_seconds: params.sweep.as_secs(),
    }
}

impl Task {
    pub(super) fn new(
        bucket: Bucket,
        index: Index,
        params: SyncParams,
        status: watch::Sender<IndexStatus>,
        cache_info: watch::Sender<Option<CacheInfo>>,
        whole: watch::Sender<Option<Arc<WholeSummary>>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            judging: Arc::new(Semaphore::new(params.judges.max(1) + 1)),
            bucket,
            index,
            params,
            status,
            answered: Answered::default(),
            cache_info,
            whole,
            stop,
            noted: Arc::default(),
            removals: Removals::default(),
            cache_info_token: None,
            whole_at: None,
            failures: 0,
        }
    }

    /// Whether the bucket has answered; set as it does.
    pub(super) fn answered(&self) -> Answered {
        self.answered.clone()
    }

    /// Sweeps until it is told to stop.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Command>,
        hinted: mpsc::Receiver<StorePathHash>,
    ) {
        let stop = self.stop.clone();
        if self.remember().await.is_err() {
            return;
        }
        let follower = Follower {
            bucket: self.bucket.clone(),
            index: self.index.clone(),
            params: self.params.clone(),
            judging: Arc::clone(&self.judging),
            noted: Arc::clone(&self.noted),
        };
        let following = tokio::spawn(follower.run(hinted));
        let mut waiting: Vec<Command> = Vec::new();
        let mut open = true;
        if self.params.schedule == Schedule::Asked {
            self.wait(&mut inbox, &mut waiting, &mut open).await;
        }
        while !stop.is_cancelled() {
            while let Ok(command) = inbox.try_recv() {
                waiting.push(command);
            }
            let whole = waiting.iter().any(|command| command.whole) || self.whole_is_due();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => Err(SyncError::Stopped),
                outcome = self.sweep(whole) => outcome,
            };
            let stopped = matches!(outcome, Err(SyncError::Stopped));
            self.report(&outcome);
            for command in waiting.drain(..) {
                if let Some(reply) = command.reply {
                    // Who asked may have gone.
                    let _ = reply.send(outcome.clone());
                }
            }
            if stopped {
                break;
            }
            self.wait(&mut inbox, &mut waiting, &mut open).await;
        }
        following.abort();
        let index = self.index.clone();
        // The runtime may be ending: the log is written without us too.
        let _ = off_the_reactor(move || index.flush()).await;
    }

    /// Waits for the time of the next sweep, for somebody who asks for one, or for the end.
    async fn wait(
        &self,
        inbox: &mut mpsc::UnboundedReceiver<Command>,
        waiting: &mut Vec<Command>,
        open: &mut bool,
    ) {
        let pause = async {
            match self.params.schedule {
                Schedule::Periods => tokio::time::sleep(self.pause()).await,
                Schedule::Asked => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            command = inbox.recv(), if *open => match command {
                Some(command) => waiting.push(command),
                None => *open = false,
            },
            () = pause => {}
        }
    }

    /// What earlier runs of this program left in the index.
    async fn remember(&mut self) -> Result<(), SyncError> {
        let view = self.index.view();
        let (noted, whole_at) = off_the_reactor(move || {
            let whole_at = view.totals().bucket.as_ref().map(|totals| totals.began_at);
            (Noted::load(&view), whole_at)
        })
        .await?;
        self.noted = Arc::new(noted);
        self.whole_at = whole_at;
        Ok(())
    }

    fn whole_is_due(&self) -> bool {
        let period = i64::try_from(self.params.whole_sweep.as_secs()).unwrap_or(i64::MAX);
        self.whole_at
            .is_none_or(|at| unix_now().saturating_sub(at) >= period)
    }

    /// Until the next sweep: the period, a tenth more or less, so that caches and replicas
    /// spread; sooner after a failure.
    fn pause(&self) -> Duration {
        let period = match self.failures {
            0 => self.params.sweep,
            failures => AFTER_FAILURE
                .saturating_mul(1 << (failures - 1).min(16))
                .min(self.params.sweep),
        };
        period.mul_f64(0.9 + 0.2 * random_fraction())
    }

    async fn sweep(&mut self, whole: bool) -> Result<Summary, SyncError> {
        let begun = Instant::now();
        let live = Arc::new(Live::telling(&self.answered));
        let first = self.index.view().swept_at().is_none();
        self.status.send_modify(|status| {
            status.state = if first {
                IndexState::Indexing
            } else {
                IndexState::Refreshing
            };
            status.progress = Some(live.at(begun));
        });
        let status = self.status.clone();
        let index = self.index.clone();
        let ticking = Arc::clone(&live);
        let ticker = async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                let revision = index.view().revision().to_owned();
                status.send_modify(|status| {
                    status.progress = Some(ticking.at(Instant::now()));
                    status.revision = revision;
                });
            }
        };
        tokio::select! {
            summary = self.sweep_both(whole, live, begun) => summary,
            () = ticker => Err(SyncError::Stopped),
        }
    }

    async fn sweep_both(
        &mut self,
        whole: bool,
        live: Arc<Live>,
        begun: Instant,
    ) -> Result<Summary, SyncError> {
        let fetcher = Fetcher {
            bucket: self.bucket.clone(),
            entering: Arc::new(Entering::new(self.index.clone())),
            key_ring: self.index.key_ring(),
            store_dir: self.params.store_dir.clone(),
            concurrency: self.params.concurrency,
            judging: Arc::clone(&self.judging),
            live,
            noted: Arc::clone(&self.noted),
        };
        let root = RootSweep {
            fetcher: &fetcher,
            index: &self.index,
            noted: &self.noted,
            removals: &mut self.removals,
            listings: self.params.listings,
            began_at: unix_now(),
        };
        let (mut summary, cache_info) = root.run().await?;
        self.read_cache_info(cache_info).await?;
        self.status.send_modify(|status| {
            status.as_of = rfc3339(summary.began_at);
            if whole {
                status.state = IndexState::Refreshing;
            }
        });
        if whole {
            let sweep = WholeSweep {
                bucket: &self.bucket,
                index: &self.index,
                listings: self.params.listings,
                began_at: unix_now(),
            };
            let found = sweep.run().await?;
            self.whole_at = Some(found.began_at);
            self.whole.send_replace(Some(Arc::new(found.clone())));
            summary.whole = Some(found);
        }
        summary.took = begun.elapsed();
        Ok(summary)
    }

    /// Reads `nix-cache-info` where the listing has another one than was read last.
    async fn read_cache_info(&mut self, listed: Option<ChangeToken>) -> Result<(), SyncError> {
        let listed = Some(listed);
        if self.cache_info_token == listed {
            return Ok(());
        }
        let (info, change) = if matches!(listed, Some(Some(_))) {
            cache_info::read(&self.bucket, &self.params.store_dir, &self.noted).await?
        } else {
            (None, Some(cache_info::absent(&self.noted)))
        };
        self.cache_info.send_replace(info);
        if let Some(change) = change {
            let index = self.index.clone();
            off_the_reactor(move || index.apply(vec![change])).await?;
        }
        self.cache_info_token = listed;
        Ok(())
    }

    /// Says how a sweep ended.
    fn report(&mut self, outcome: &Result<Summary, SyncError>) {
        let view = self.index.view();
        let revision = view.revision().to_owned();
        let as_of = view.swept_at().and_then(rfc3339);
        if !matches!(outcome, Err(SyncError::Stopped)) {
            self.answered.set();
        }
        match outcome {
            Ok(summary) => {
                self.failures = 0;
                tracing::info!(
                    bucket = self.bucket.location(),
                    found = summary.found,
                    fetched = summary.fetched,
                    unparsable = summary.unparsable,
                    removed = summary.removed,
                    held_back = summary.held_back,
                    whole = summary.whole.is_some(),
                    took_ms = u64::try_from(summary.took.as_millis()).unwrap_or(u64::MAX),
                    "swept"
                );
            }
            Err(SyncError::Stopped) => {}
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(bucket = self.bucket.location(), %error, "the sweep failed");
            }
        }
        self.status.send_modify(|status| {
            status.revision = revision;
            status.as_of = as_of;
            status.progress = None;
            match outcome {
                Ok(_) => {
                    status.state = IndexState::Ready;
                    status.error = None;
                }
                Err(SyncError::Stopped) => {
                    status.state = match status.as_of {
                        Some(_) => IndexState::Ready,
                        None => IndexState::New,
                    };
                }
                Err(error) => {
                    status.state = IndexState::Failed;
                    status.error = Some(error.to_string());
                }
            }
        });
    }
}

fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

fn rfc3339(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}
