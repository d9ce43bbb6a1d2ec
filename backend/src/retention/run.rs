//! Starting, stopping and undoing runs, and what they are shown as.

use std::collections::HashSet;
use std::sync::Arc;

use snowbank_shared::api::retention::{ErrorGroup, RetentionHistory, Run, RunState};
use snowbank_shared::store_path::StorePathHash;

use super::{Retention, RetentionError, left_out};
use crate::auth::By;
use crate::auth::records::{now, spelled};
use crate::condemned::{Doomed, PlanRecord, RunRecord, TurnRecord};
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::Cache;
use crate::usage::DAY;

/// Runs that are listed: the newest.
pub const MOST_LISTED: usize = 100;
/// Runs whose lists are looked at for one path: the newest.
const MOST_ASKED: usize = 10;

/// Who took a path out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOut {
    /// The path's name.
    pub name: String,
    /// The run.
    pub run: Run,
}

impl Retention {
    /// The run that acts on a cache now, as this replica knows.
    pub(super) fn turn(&self, cache: &Cache) -> Option<String> {
        let view = self.0.site.ledger.view();
        let turn = view.get::<TurnRecord>(Scope::Cache(cache.slug.as_str()), &RecordId::only())?;
        turn.run.clone()
    }

    /// Takes the turn for a run, where no other has it.
    pub(super) async fn take_turn(&self, cache: &Cache, run: &str) -> Result<(), RetentionError> {
        let scope = Scope::Cache(cache.slug.as_str());
        let (ledger, only) = (&self.0.site.ledger, RecordId::only());
        let taken = ledger.put(scope, &only, "server", |turn: Option<&TurnRecord>| {
            match turn.and_then(|turn| turn.run.as_deref()) {
                Some(other) if other != run => Err(RetentionError::Blocked(format!(
                    "Run {other} is under way, and a cache has one at a time: wait for it, or stop it."
                ))),
                _ => Ok(TurnRecord {
                    run: Some(run.to_owned()),
                    since: now(),
                }),
            }
        });
        taken.await?;
        Ok(())
    }

    /// Gives the turn back, where this run has it.
    pub(super) async fn give_back(&self, cache: &Cache, run: &str) -> Result<(), LedgerError> {
        let scope = Scope::Cache(cache.slug.as_str());
        let (ledger, only) = (&self.0.site.ledger, RecordId::only());
        let given = ledger.update(scope, &only, "server", |turn: &TurnRecord| {
            let mut next = turn.clone();
            if next.run.as_deref() == Some(run) {
                next = TurnRecord {
                    run: None,
                    since: now(),
                };
            }
            Ok::<_, LedgerError>(next)
        });
        given.await?;
        cache.condemned.forget();
        Ok(())
    }

    /// Starts a plan.
    ///
    /// # Errors
    /// Where it cannot be started, another run is under way, or the ledger does not take it.
    pub async fn start(
        &self,
        cache: &Arc<Cache>,
        plan: &str,
        by: &By,
    ) -> Result<Run, RetentionError> {
        let found = self.found_plan(cache, plan)?;
        if let Some(refusal) = self.not_startable(cache, &found) {
            return Err(RetentionError::Blocked(refusal));
        }
        let ledger = &self.0.site.ledger;
        let scope = Scope::Cache(cache.slug.as_str());
        let id = RecordId::random().map_err(LedgerError::from)?;
        self.take_turn(cache, id.as_str()).await?;
        let begun = self.begin(cache, &found, &id, by).await;
        let made = match begun {
            Ok(made) => made,
            Err(error) => {
                // Where that fails too, who looks for runs gives it back: there is none of that name.
                if let Err(error) = self.give_back(cache, id.as_str()).await {
                    tracing::warn!(cache = %cache.slug, %error, "the turn of a run that did not begin is still taken");
                }
                return Err(error);
            }
        };
        let detail = [
            ("plan", plan.to_owned()),
            ("paths", made.total.to_string()),
            ("grace_days", made.grace_days.to_string()),
        ];
        let access = &self.0.site.access;
        access
            .note_in(
                cache.slug.as_str(),
                by,
                "retention.run",
                id.as_str(),
                &detail,
            )
            .await;
        debug_assert!(ledger.view().get::<RunRecord>(scope, &id).is_some());
        Ok(shown(&made))
    }

    async fn begin(
        &self,
        cache: &Cache,
        plan: &Entry<PlanRecord>,
        id: &RecordId,
        by: &By,
    ) -> Result<Entry<RunRecord>, RetentionError> {
        let ledger = &self.0.site.ledger;
        let scope = Scope::Cache(cache.slug.as_str());
        let taken = ledger.update(scope, &plan.id, &by.actor, |plan: &PlanRecord| {
            if plan.run.is_some() {
                return Err(RetentionError::Blocked(
                    "It was started already.".to_owned(),
                ));
            }
            let mut next = plan.clone();
            next.run = Some(id.to_string());
            Ok(next)
        });
        taken.await?;
        let record = RunRecord {
            plan: plan.id.to_string(),
            by: by.actor.clone(),
            at: now(),
            planned_at: plan.at,
            rules: plan.rules.clone(),
            grace_days: plan.grace_days,
            bundles: plan.bundles,
            digest: plan.digest.clone(),
            state: RunState::Marking,
            trouble: None,
            total: plan.frees.paths,
            predicted: plan.frees.bytes,
            next: 0,
            claim: None,
            needed: std::collections::BTreeSet::new(),
            needed_nars: std::collections::BTreeSet::new(),
            trashed: 0,
            restored: 0,
            deleted: 0,
            freed: 0,
            spared: Vec::new(),
            spared_paths: 0,
            spared_bytes: 0,
            errors: std::collections::BTreeMap::new(),
            trashed_at: None,
            runner: None,
            ended_at: None,
        };
        Ok(ledger.create(scope, id, &by.actor, record).await?)
    }

    /// A run's record.
    pub(super) fn found_run(
        &self,
        cache: &Cache,
        id: &str,
    ) -> Result<Entry<RunRecord>, RetentionError> {
        let view = self.0.site.ledger.view();
        id.parse()
            .ok()
            .and_then(|id| view.get::<RunRecord>(Scope::Cache(cache.slug.as_str()), &id))
            .ok_or_else(|| RetentionError::no_such("run", id))
    }

    /// A run and how far it is.
    ///
    /// # Errors
    /// Where there is none.
    pub fn run_shown(&self, cache: &Cache, id: &str) -> Result<Run, RetentionError> {
        Ok(shown(&self.found_run(cache, id)?))
    }

    /// Stops a run: what is in hand is brought to its end, nothing more is taken out.
    ///
    /// # Errors
    /// Where there is none, it is not under way, or the ledger does not take it.
    pub async fn stop(&self, cache: &Cache, id: &str, by: &By) -> Result<Run, RetentionError> {
        let run = self.found_run(cache, id)?;
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        let stopped = ledger.update(scope, &run.id, &by.actor, |run: &RunRecord| {
            let mut next = run.clone();
            match run.state {
                RunState::Undoing => {
                    return Err(RetentionError::Blocked(
                        "It is being undone: what was begun is put back.".to_owned(),
                    ));
                }
                _ if !run.acts() => {
                    return Err(RetentionError::Blocked(
                        "It is not under way: there is nothing to stop.".to_owned(),
                    ));
                }
                _ => next.state = RunState::Stopped,
            }
            next.trouble = None;
            next.ended_at = Some(now());
            Ok(next)
        });
        let stopped = stopped.await?;
        let detail = [
            ("trashed", stopped.trashed.to_string()),
            ("deleted", stopped.deleted.to_string()),
        ];
        let access = &self.0.site.access;
        access
            .note_in(cache.slug.as_str(), by, "retention.stop", id, &detail)
            .await;
        Ok(shown(&stopped))
    }

    /// Begins to put back what a run took out.
    ///
    /// # Errors
    /// Where there is none, it cannot be undone, another run is under way, or the ledger does not take it.
    pub async fn undo(&self, cache: &Cache, id: &str, by: &By) -> Result<Run, RetentionError> {
        let run = self.found_run(cache, id)?;
        undoable(&run)?;
        self.take_turn(cache, id).await?;
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        let undone = ledger.update(scope, &run.id, &by.actor, |run: &RunRecord| {
            undoable(run)?;
            let mut next = run.clone();
            next.state = RunState::Undoing;
            next.next = 0;
            next.claim = None;
            next.trouble = None;
            next.ended_at = None;
            Ok(next)
        });
        let undone = match undone.await {
            Ok(undone) => undone,
            Err(error) => {
                if let Err(error) = self.give_back(cache, id).await {
                    tracing::warn!(cache = %cache.slug, %error, "the turn of a run that is not undone is still taken");
                }
                return Err(error);
            }
        };
        let detail = [("trashed", undone.trashed.to_string())];
        let access = &self.0.site.access;
        access
            .note_in(cache.slug.as_str(), by, "retention.undo", id, &detail)
            .await;
        Ok(shown(&undone))
    }

    /// Whether a run acts on a cache, or one is due to.
    pub fn is_busy(&self, cache: &Cache) -> bool {
        let due = |run: &Entry<RunRecord>| {
            run.state == RunState::Grace && run.due().is_some_and(|due| due <= now())
        };
        let mut runs = self.runs(cache).into_iter();
        self.turn(cache).is_some() || runs.any(|run| run.acts() || due(&run))
    }

    /// All runs of a cache that are remembered, newest first.
    pub fn all_runs(&self, cache: &Cache) -> Vec<Run> {
        self.runs(cache).iter().map(shown).collect()
    }

    /// Plans that can be started and the newest runs of a cache, newest first.
    pub fn history(&self, cache: &Cache) -> RetentionHistory {
        let plans = self.startable(cache);
        RetentionHistory {
            plans: plans
                .iter()
                .map(|plan| self.described(cache, plan))
                .collect(),
            runs: self
                .runs(cache)
                .iter()
                .take(MOST_LISTED)
                .map(shown)
                .collect(),
        }
    }

    /// All that is remembered of, newest first.
    fn runs(&self, cache: &Cache) -> Vec<Entry<RunRecord>> {
        let view = self.0.site.ledger.view();
        let runs = view.list::<RunRecord>(Scope::Cache(cache.slug.as_str()));
        let mut runs: Vec<Entry<RunRecord>> = runs.collect();
        runs.sort_by(|one, two| two.at.cmp(&one.at).then_with(|| one.id.cmp(&two.id)));
        runs
    }

    /// The runs that can be undone, or act.
    pub(crate) fn undoable_runs(&self, cache: &Cache) -> Vec<Entry<RunRecord>> {
        let mut runs = self.runs(cache);
        runs.retain(|run| {
            let over = match run.state {
                RunState::Done | RunState::Undone => true,
                RunState::Stopped => undo_until(run).is_none_or(|until| until < now()),
                _ => false,
            };
            !over && (run.may_have_taken() || run.acts())
        });
        runs
    }

    /// What a run was to take out, for somebody who asks: one list is read at a time.
    pub(super) async fn list_of(
        &self,
        cache: &Cache,
        run: &RunRecord,
    ) -> Result<Vec<Doomed>, LedgerError> {
        let _reading = self.0.reading.lock().await;
        let (ledger, slug) = (&self.0.site.ledger, cache.slug.as_str());
        let of = (run.bundles, run.digest.as_str());
        crate::condemned::list(ledger, slug, &run.plan, of).await
    }

    /// NARs that nothing names and that are needed to undo a run.
    ///
    /// # Errors
    /// Where a list cannot be read.
    pub async fn nars_that_may_come_back(
        &self,
        cache: &Cache,
    ) -> Result<HashSet<String>, RetentionError> {
        let mut nars = HashSet::new();
        for run in self.undoable_runs(cache) {
            let list = self.list_of(cache, &run).await?;
            nars.extend(list.into_iter().map(|path| path.nar));
        }
        Ok(nars)
    }

    /// The run that took a path out which is not here; `None` where none of the newest did. Reads lists:
    /// ask it of one path, for somebody who may know of runs.
    ///
    /// # Errors
    /// Where a list cannot be read.
    pub async fn taken_out(
        &self,
        cache: &Cache,
        hash: &StorePathHash,
    ) -> Result<Option<TakenOut>, RetentionError> {
        if cache.index.view().find(hash).is_some() {
            return Ok(None);
        }
        let took = |run: &&Entry<RunRecord>| run.may_have_taken() && run.state != RunState::Undone;
        for run in self.runs(cache).iter().filter(took).take(MOST_ASKED) {
            let list = self.list_of(cache, run).await?;
            if let Some(path) = list.iter().find(|path| path.hash == *hash) {
                return Ok(Some(TakenOut {
                    name: path.name.clone(),
                    run: shown(run),
                }));
            }
        }
        Ok(None)
    }
}

/// Whether a run can be undone.
fn undoable(run: &RunRecord) -> Result<(), RetentionError> {
    let blocked = |why: &str| Err(RetentionError::Blocked(why.to_owned()));
    match run.state {
        RunState::Grace | RunState::Stopped if !run.may_have_taken() => {
            blocked("It took nothing out: there is nothing to put back.")
        }
        RunState::Grace | RunState::Stopped => Ok(()),
        RunState::Undoing => blocked("It is being undone already."),
        RunState::Undone => blocked("It was undone already."),
        RunState::Done => blocked("Its NARs were deleted: it cannot be undone any more."),
        _ => blocked("It is under way: stop it first."),
    }
}

/// Until when a run can be undone, seconds since 1970.
pub(crate) fn undo_until(run: &RunRecord) -> Option<i64> {
    match run.state {
        RunState::Grace => run.due(),
        // It deletes no NARs any more, but for others they are nobody's.
        RunState::Stopped if run.may_have_trash() => run
            .ended_at
            .map(|at| at.saturating_add(i64::from(run.grace_days.max(1)) * DAY)),
        _ => None,
    }
}

/// A run as the API shows it.
pub(super) fn shown(run: &Entry<RunRecord>) -> Run {
    Run {
        id: run.id.to_string(),
        plan: run.plan.clone(),
        by: run.by.clone(),
        at: spelled(run.at),
        ended_at: run.ended_at.map(spelled),
        state: run.state,
        total: run.total,
        looked_at: match run.state {
            RunState::Undoing | RunState::Undone => run.restored + run.spared_paths,
            _ => u64::from(run.next),
        },
        trashed: run.trashed.saturating_sub(run.restored),
        restored: run.restored,
        deleted: run.deleted,
        freed: run.freed,
        predicted: run.predicted,
        left_out: run.spared.iter().map(left_out).collect(),
        left_out_paths: run.spared_paths,
        left_out_bytes: run.spared_bytes,
        errors: run
            .errors
            .iter()
            .map(|(words, (count, example))| ErrorGroup {
                words: words.clone(),
                count: *count,
                example: example.clone(),
            })
            .collect(),
        undo_until: undo_until(run).map(spelled),
        trouble: run.trouble.clone(),
    }
}
