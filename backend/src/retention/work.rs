//! Who carries runs out: one process at a time, which says every few seconds that it lives.
//!
//! A process that stopped saying so is followed by another, which brings what was in hand to its end
//! first. A process that could not say so for [`LEASE`] takes nothing more out, so two never do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use snowbank_shared::api::retention::RunState;
use tokio::time::Instant;

use super::{Retention, refusal};
use crate::auth::By;
use crate::auth::records::now;
use crate::condemned::{RunRecord, TurnRecord};
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::Cache;
use crate::sync::Hints;

/// How often who acts says so.
const BEAT: Duration = Duration::from_secs(4);
/// Who could not say so for this long takes nothing out, and cuts off what it was about to: far less than
/// others wait for, because what was cut off may still arrive at the bucket.
const LEASE: Duration = Duration::from_secs(15);
/// Between two looks where nothing changes.
const LOOK: Duration = Duration::from_secs(5);
/// After a turn names a run that was never made, it is given back after so many seconds.
const NEVER_BEGAN: i64 = 60;
/// Between two times that old lists are swept up.
const TIDY: Duration = Duration::from_secs(6 * 3600);

/// Why a run is not carried on for now.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody else has it, stopped it or ended it; or the server ends.
    Left,
    /// A deletion was cut off, and may still arrive at the bucket: nobody goes on before it cannot any more.
    Cut,
    /// It cannot go on, and says why; it is tried again.
    Trouble(String),
}

impl Stop {
    /// What counts of this and what came before: what was cut off is never forgotten.
    pub(super) fn after(self, before: Option<&Self>) -> Self {
        match before {
            Some(Self::Cut) => Self::Cut,
            _ => self,
        }
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        tracing::info!(%error, "a run's record cannot be written; it is tried again");
        Self::Trouble(error.to_string())
    }
}

impl From<super::RetentionError> for Stop {
    fn from(error: super::RetentionError) -> Self {
        Self::Trouble(error.to_string())
    }
}

impl From<crate::bucket::BucketError> for Stop {
    fn from(error: crate::bucket::BucketError) -> Self {
        Self::Trouble(error.to_string())
    }
}

/// A run in the hand of this process.
pub(super) struct Hold<'a> {
    pub(super) retention: &'a Retention,
    pub(super) cache: &'a Arc<Cache>,
    pub(super) id: RecordId,
    /// The state in which it is carried out.
    phase: Mutex<RunState>,
    /// When the last word began that others heard.
    alive: Mutex<Moment>,
}

/// A moment by two clocks: one stands still while the machine sleeps, the other can be set.
#[derive(Debug, Clone, Copy)]
struct Moment {
    running: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self {
            running: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How long ago it was, by the clock that says more. What lies ahead is not known to be near.
    fn elapsed(self) -> Duration {
        let wall = self.wall.elapsed().unwrap_or_else(|ahead| ahead.duration());
        self.running.elapsed().max(wall)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hold<'_> {
    pub(super) fn slug(&self) -> &str {
        self.cache.slug.as_str()
    }

    /// Writes the next version of the run, and with it that this process acts. Fails where another
    /// does, or the run is in another state by now.
    pub(super) async fn write(
        &self,
        mut change: impl FnMut(&mut RunRecord),
    ) -> Result<RunRecord, Stop> {
        let retention = &self.retention.0;
        let ledger = &retention.site.ledger;
        let me = ledger.instance().to_owned();
        let silence = seconds(retention.periods.silence);
        let phase = *lock(&self.phase);
        let begun = Moment::now();
        let mut left = false;
        let scope = Scope::Cache(self.slug());
        let written = ledger.update(scope, &self.id, "server", |run: &RunRecord| {
            left = run.state != phase
                || run
                    .runner
                    .as_ref()
                    .is_some_and(|(other, beat)| *other != me && *beat + silence >= now());
            let mut next = run.clone();
            if !left {
                next.trouble = None;
                change(&mut next);
                next.runner = Some((me.clone(), now()));
            }
            Ok::<_, LedgerError>(next)
        });
        let written = written.await?;
        if left {
            return Err(Stop::Left);
        }
        *lock(&self.alive) = begun;
        *lock(&self.phase) = written.state;
        Ok((*written.record).clone())
    }

    /// Writes what was done, whatever became of the run meanwhile.
    pub(super) async fn note(
        &self,
        mut change: impl FnMut(&mut RunRecord),
    ) -> Result<RunRecord, Stop> {
        let ledger = &self.retention.0.site.ledger;
        let scope = Scope::Cache(self.slug());
        let written = ledger.update(scope, &self.id, "server", |run: &RunRecord| {
            let mut next = run.clone();
            change(&mut next);
            Ok::<_, LedgerError>(next)
        });
        Ok((*written.await?.record).clone())
    }

    /// Says that this process lives, where it did not for some seconds; fails where nothing more may
    /// be taken out.
    pub(super) async fn beat(&self) -> Result<(), Stop> {
        let site = &self.retention.0.site;
        if site.closing.is_cancelled() {
            return Err(Stop::Left);
        }
        let age = lock(&self.alive).elapsed();
        if age >= BEAT {
            self.write(|_| {}).await?;
        }
        match self.is_sure() {
            true => Ok(()),
            false => Err(Stop::Left),
        }
    }

    /// Whether no other process can have taken the run over.
    pub(super) fn is_sure(&self) -> bool {
        lock(&self.alive).elapsed() < LEASE
    }

    /// Deletes something, as long as no other process can have taken the run over.
    pub(super) async fn deleting<T>(&self, deletion: impl Future<Output = T>) -> Result<T, Stop> {
        let left = LEASE.saturating_sub(lock(&self.alive).elapsed());
        if left.is_zero() {
            return Err(Stop::Left);
        }
        tokio::time::timeout(left, deletion)
            .await
            .map_err(|_| Stop::Cut)
    }

    /// Fails where something cannot be believed that may hold a path back.
    pub(super) fn allowed(&self) -> Result<(), Stop> {
        match refusal(&self.retention.0.site, self.cache, None) {
            None => Ok(()),
            Some(refusal) => Err(Stop::Trouble(refusal)),
        }
    }

    /// Waits until every replica knows what this one wrote before, and says meanwhile that it lives.
    async fn known_everywhere(&self) -> Result<(), Stop> {
        let until = Instant::now() + self.retention.0.periods.wait;
        while Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = self.retention.0.site.closing.cancelled() => return Err(Stop::Left),
                () = tokio::time::sleep(rest.min(BEAT)) => {}
            }
            self.beat().await?;
        }
        Ok(())
    }

    /// Brings the index up to the bucket.
    pub(super) async fn sweep(&self) -> Result<(), Stop> {
        let sweeps: &Hints = self
            .retention
            .0
            .sweeps
            .get(self.slug())
            .ok_or_else(|| Stop::Trouble("nobody sweeps this cache".to_owned()))?;
        let mut sweeping = std::pin::pin!(sweeps.sweep());
        let summary = loop {
            tokio::select! {
                () = self.retention.0.site.closing.cancelled() => return Err(Stop::Left),
                swept = &mut sweeping => break swept,
                () = tokio::time::sleep(BEAT) => self.beat().await?,
            }
        };
        let summary = summary
            .map_err(|error| Stop::Trouble(format!("the cache could not be swept: {error}")))?;
        if summary.refused > 0 {
            return Err(Stop::Trouble(format!(
                "{} narinfos cannot be read, and may name what would go: see Health",
                summary.refused
            )));
        }
        self.beat().await
    }
}

impl Retention {
    /// Carries out the runs of all caches, until the server ends.
    pub async fn run(self) {
        let caches = self.0.site.caches.iter();
        futures_util::future::join_all(caches.map(|cache| self.work(cache))).await;
    }

    async fn work(&self, cache: &Arc<Cache>) {
        let site = &self.0.site;
        let mut changes = site.ledger.subscribe();
        let mut tidied: Option<Instant> = None;
        loop {
            let stood_still = match self.look(cache).await {
                Ok(true) => continue,
                Ok(false) => false,
                Err(error) => {
                    tracing::info!(cache = %cache.slug, %error, "runs of retention could not be looked at");
                    true
                }
            };
            if !stood_still && tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                if let Err(error) = self.sweep_lists(cache).await {
                    tracing::debug!(cache = %cache.slug, %error, "old lists of plans stay");
                }
            }
            tokio::select! {
                () = site.closing.cancelled() => return,
                changed = changes.changed(), if !stood_still => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Does what is to be done next; false where that is nothing.
    async fn look(&self, cache: &Arc<Cache>) -> Result<bool, LedgerError> {
        let site = &self.0.site;
        if site.closing.is_cancelled() {
            return Ok(false);
        }
        let scope = Scope::Cache(cache.slug.as_str());
        let trashed = self.undoable_runs(cache);
        let slug = cache.slug.as_str();
        let remembered = cache.condemned.remember(&site.ledger, slug, &trashed);
        if let Err(error) = remembered.await {
            tracing::warn!(cache = slug, %error, "the list of a run cannot be read: the NARs of its trash are not served");
        }
        let view = site.ledger.view();
        let turn = view.get::<TurnRecord>(scope, &RecordId::only());
        let acting = turn.as_ref().and_then(|turn| turn.run.clone());
        let (id, since) = match (acting, &turn) {
            (Some(id), Some(turn)) => (id, turn.since),
            _ => return self.look_for_due(cache).await,
        };
        let Ok(record_id) = id.parse::<RecordId>() else {
            return Ok(false);
        };
        let Some(run) = view.get::<RunRecord>(scope, &record_id) else {
            let newest = site.ledger.newest::<RunRecord>(scope, &record_id).await?;
            if newest.is_none() && since + NEVER_BEGAN < now() {
                self.give_back(cache, &id).await?;
            }
            return Ok(false);
        };
        if !self.is_free(&run) {
            return Ok(false);
        }
        if !run.acts() {
            // What a process took out before it ended so, the index may not know.
            if let Some(sweeps) = self.0.sweeps.get(cache.slug.as_str()) {
                sweeps.missed();
            }
            self.give_back(cache, &id).await?;
            return Ok(true);
        }
        self.act(cache, &run).await
    }

    /// Whether no other process acts on a run.
    fn is_free(&self, run: &RunRecord) -> bool {
        let silence = seconds(self.0.periods.silence);
        run.runner.as_ref().is_none_or(|(runner, beat)| {
            runner == self.0.site.ledger.instance() || *beat + silence < now()
        })
    }

    /// Begins to delete the NARs of a run whose time of grace is over.
    async fn look_for_due(&self, cache: &Arc<Cache>) -> Result<bool, LedgerError> {
        let site = &self.0.site;
        let scope = Scope::Cache(cache.slug.as_str());
        let view = site.ledger.view();
        let is_due = |run: &Entry<RunRecord>| {
            run.state == RunState::Grace && run.due().is_some_and(|due| due <= now())
        };
        // One that acts and lost its turn: its process ended right before it said that it is done, or
        // it is to be undone since the moment that it was.
        let lost = view
            .list::<RunRecord>(scope)
            .find(|run| run.acts() && self.is_free(run));
        if let Some(run) = lost {
            return self.find_turn(cache, &run).await;
        }
        let mut due: Vec<_> = view.list::<RunRecord>(scope).filter(is_due).collect();
        due.sort_by_key(|run| run.at);
        let Some(run) = due.first() else {
            return Ok(false);
        };
        if refusal(site, cache, None).is_some() {
            return Ok(false);
        }
        match self.take_turn(cache, run.id.as_str()).await {
            Ok(()) => {}
            Err(super::RetentionError::Ledger(error)) => return Err(error),
            Err(_) => return Ok(false),
        }
        let begun = site
            .ledger
            .update(scope, &run.id, "server", |run: &RunRecord| {
                let mut next = run.clone();
                // It may be undone at this moment.
                if run.state == RunState::Grace && run.due().is_some_and(|due| due <= now()) {
                    next.state = RunState::Deleting;
                    next.next = 0;
                    next.claim = None;
                    next.trouble = None;
                    next.runner = None;
                }
                Ok::<_, LedgerError>(next)
            });
        begun.await?;
        Ok(true)
    }

    /// Takes the turn again for a run that acts. Others may have believed that it does not: it waits anew.
    async fn find_turn(
        &self,
        cache: &Arc<Cache>,
        run: &Entry<RunRecord>,
    ) -> Result<bool, LedgerError> {
        match self.take_turn(cache, run.id.as_str()).await {
            Ok(()) => {}
            Err(super::RetentionError::Ledger(error)) => return Err(error),
            Err(_) => return Ok(false),
        }
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        let begun = ledger.update(scope, &run.id, "server", |run: &RunRecord| {
            let mut next = run.clone();
            if run.takes_paths() {
                next.state = RunState::Waiting;
            }
            Ok::<_, LedgerError>(next)
        });
        begun.await?;
        Ok(true)
    }

    /// Carries a run on. True where something was done.
    async fn act(&self, cache: &Arc<Cache>, run: &Entry<RunRecord>) -> Result<bool, LedgerError> {
        let hold = Hold {
            retention: self,
            cache,
            id: run.id.clone(),
            phase: Mutex::new(run.state),
            alive: Mutex::new(Moment::now()),
        };
        let carried = self.carry(&hold).await;
        let site = &self.0.site;
        let me = site.ledger.instance().to_owned();
        if let Err(Stop::Cut) = carried {
            tracing::warn!(cache = %cache.slug, run = %run.id, "a deletion took too long: the run waits until it cannot arrive any more");
            tokio::select! {
                () = site.closing.cancelled() => return Ok(false),
                () = tokio::time::sleep(self.0.periods.silence) => {}
            }
        }
        let trouble = match &carried {
            Err(Stop::Trouble(text)) => Some(text.chars().take(300).collect::<String>()),
            _ => None,
        };
        let left = hold.note(|run| {
            // Another process may have it by now.
            if run.runner.as_ref().is_none_or(|(runner, _)| *runner == me) {
                run.runner = None;
                if trouble.is_some() && run.acts() {
                    run.trouble.clone_from(&trouble);
                }
            }
        });
        let left = left.await;
        match (carried, left) {
            (Ok(()), Ok(_)) => Ok(true),
            (Ok(()) | Err(_), Err(stop)) => {
                tracing::info!(cache = %cache.slug, run = %run.id, ?stop, "a run could not be put down");
                Err(LedgerError::Closed(
                    "a run could not be put down".to_owned(),
                ))
            }
            (Err(Stop::Left | Stop::Cut), Ok(after)) => Ok(!after.acts()),
            (Err(Stop::Trouble(text)), Ok(_)) => {
                tracing::warn!(cache = %cache.slug, run = %run.id, text, "a run of retention stands still");
                Err(LedgerError::Closed(text))
            }
        }
    }

    /// From the state in which a run is to the next that waits for nobody.
    async fn carry(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        let run = hold.write(|_| {}).await?;
        match run.state {
            RunState::Marking | RunState::Waiting => {
                hold.allowed()?;
                hold.write(|run| run.state = RunState::Waiting).await?;
                hold.known_everywhere().await?;
                // One that had begun goes on where it was.
                hold.write(|run| run.state = RunState::Trashing).await?;
                self.trash(hold).await?;
            }
            RunState::Trashing => self.trash(hold).await?,
            RunState::Deleting => {
                hold.allowed()?;
                hold.known_everywhere().await?;
                self.delete_nars(hold).await?;
            }
            RunState::Undoing => self.put_all_back(hold).await?,
            _ => return Ok(()),
        }
        self.said(hold).await;
        Ok(())
    }

    /// Writes into the audit what a run came to.
    async fn said(&self, hold: &Hold<'_>) {
        let view = self.0.site.ledger.view();
        let Some(run) = view.get::<RunRecord>(Scope::Cache(hold.slug()), &hold.id) else {
            return;
        };
        let act = match run.state {
            RunState::Grace => "retention.trashed",
            RunState::Done => "retention.deleted",
            RunState::Undone => "retention.undone",
            _ => return,
        };
        let detail = [
            ("trashed", run.trashed.to_string()),
            ("stayed", run.spared_paths.to_string()),
            ("deleted", run.deleted.to_string()),
            ("freed", run.freed.to_string()),
            ("restored", run.restored.to_string()),
        ];
        let server = By {
            actor: "server".to_owned(),
            via: "server",
            request: String::new(),
            address: None,
        };
        let access = &self.0.site.access;
        access
            .note_in(hold.slug(), &server, act, hold.id.as_str(), &detail)
            .await;
    }
}

/// Whole seconds.
fn seconds(period: Duration) -> i64 {
    i64::try_from(period.as_secs()).unwrap_or(i64::MAX)
}
