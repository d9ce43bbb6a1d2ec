//! What a run of retention is about to take out, and how it is held back.
//!
//! ```text
//!  run:     turn ─▶ wait ─▶ sweep ─▶ claim places ─▶ take out ─▶ next places ─▶ …
//!  upload:            look at the turn ─▶ note places as needed ─▶ look into the bucket ─▶ publish
//! ```
//!
//! One *turn* for each cache ([`TurnRecord`]) names the run that acts. The run waits after it took
//! the turn for longer than a replica may believe an older ledger, so that from then on everybody knows
//! of it. It then *claims* some places of its list at a time, by writing its record, and takes out what
//! it claimed.
//!
//! Whoever is about to rely on a path or a NAR asks [`Condemned::keep`] right before: a reference of
//! what is published, the path itself, the NAR that it names, the path of a pin. What is on the list and
//! not yet claimed is noted as needed, in the same record, and stays. What is claimed is waited for.
//! Both write over the version that they read, so either the run sees the note before it claims, or
//! who asks sees the claim. When [`Condemned::keep`] returns, the bucket says what is there, and it
//! stays there.
//!
//! While a path is in the trash, its NAR is served to who remembers its narinfo: clients do for 30 days.
//!
//! Where the ledger was not read for some seconds, the turn is read from the bucket.

mod record;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use record::{Doomed, PlanRecord, REMEMBERED, RunRecord, Spared, TurnRecord};

use crate::ledger::{Entry, Freshness, Ledger, LedgerError, RecordId, Scope};

/// Places that uploads may hold back from one run; beyond, the run is stopped.
pub const MOST_NEEDED: usize = 5_000;
/// For how long what [`Condemned::keep`] said holds. Who relied on it and took longer looks again: a run
/// that began meanwhile may have looked for referrers before there was one. Less than half of what a run
/// waits ([`crate::config::RetentionPeriods::wait`]).
pub const HOLDS: Duration = Duration::from_secs(4);
/// How long one waits for what is in hand, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// Why it is not known whether something stays.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A run has it in hand, and takes its time.
    #[error("retention is deciding about a path that this needs: try again in a minute")]
    Busy,
    /// The ledger cannot say.
    #[error("whether retention takes out what this needs cannot be read: {0}")]
    Ledger(#[from] LedgerError),
}

/// What was asked to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// No run has anything to do with it.
    Untouched,
    /// Look into the bucket: what is there now stays, what is not is gone.
    Look,
}

/// Why nothing is written.
enum Stop {
    /// Somebody has it in hand.
    InHand,
    /// There is nothing to write.
    Nothing,
    /// The ledger cannot write.
    Ledger(LedgerError),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// The places of a run's list.
#[derive(Debug)]
struct List {
    run: String,
    paths: HashMap<StorePathHash, u32>,
    nars: HashMap<String, u32>,
}

/// NARs of paths in the trash, whose narinfos clients may remember.
#[derive(Debug, Default)]
struct Trashed {
    /// The runs that it is of.
    runs: Vec<String>,
    /// Their paths, by the key of their NAR.
    nars: HashMap<String, Vec<StorePathHash>>,
}

/// What a run is about to take out of a cache, as far as this replica knows.
#[derive(Debug, Default)]
pub struct Condemned {
    /// The list of the run that acts, as far as it was asked for.
    known: ArcSwapOption<List>,
    /// Held by who reads one.
    reading: Mutex<()>,
    /// What lies in the trash.
    trashed: ArcSwap<Trashed>,
}

/// The name of a bundle of a plan's list.
pub fn list_name(plan: &str, number: u32) -> String {
    format!("plans/{plan}/{number:05}")
}

/// The list of a plan, in the order in which it is taken out: referrers first.
///
/// # Errors
/// Where the bucket fails, or it is not the list that the plan was made of.
pub async fn list(
    ledger: &Ledger,
    cache: &str,
    plan: &str,
    (bundles, digest): (u32, &str),
) -> Result<Vec<Doomed>, LedgerError> {
    let mut all = Vec::new();
    let mut found = Vec::new();
    for number in 0..bundles {
        let name = list_name(plan, number);
        let part: Option<Vec<Doomed>> = ledger.bundle(cache, &name).await?;
        let part = part.ok_or_else(|| {
            LedgerError::Closed(format!("a part of the list of plan {plan} is gone"))
        })?;
        // To write it once more takes its time.
        let digested = tokio::task::spawn_blocking(move || (digest_of(&part), part));
        let (digest, part) = digested.await.map_err(|error| {
            LedgerError::Closed(format!(
                "a part of the list of plan {plan} was not looked at: {error}"
            ))
        })?;
        found.extend_from_slice(&digest);
        all.extend(part);
    }
    if Sha256::digest(&found).to_base16() != digest {
        return Err(LedgerError::Closed(format!(
            "the list of plan {plan} is not the one that it was made of"
        )));
    }
    Ok(all)
}

/// The digest of a part of a list. That of a list is the digest of those of its parts.
pub fn digest_of(part: &[Doomed]) -> [u8; 32] {
    Sha256::digest(&serde_json::to_vec(part).unwrap_or_default()).0
}

/// The NARs of a list, each once, in its order.
pub fn nars(list: &[Doomed]) -> Vec<&Doomed> {
    let mut seen = std::collections::HashSet::new();
    list.iter().filter(|path| seen.insert(&path.nar)).collect()
}

/// The number of a place. Lists are far shorter than that.
pub fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Condemned {
    /// Makes these paths and this NAR stay, as far as a run has not taken them out.
    ///
    /// # Errors
    /// See [`KeepError`]: what needs them must not be published then.
    pub async fn keep(
        &self,
        ledger: &Ledger,
        cache: &str,
        paths: &[StorePathHash],
        nar: Option<&str>,
    ) -> Result<Kept, KeepError> {
        let Some(run) = acting(ledger, cache).await? else {
            return Ok(Kept::Untouched);
        };
        let Some(list) = self.list_of(ledger, cache, &run).await? else {
            return Ok(Kept::Untouched);
        };
        let places: Vec<u32> = paths
            .iter()
            .filter_map(|hash| list.paths.get(hash).copied())
            .collect();
        let nar = nar.and_then(|nar| list.nars.get(nar).copied());
        if places.is_empty() && nar.is_none() {
            return Ok(Kept::Untouched);
        }
        let Ok(id) = run.parse::<RecordId>() else {
            return Ok(Kept::Untouched);
        };
        let begun = Instant::now();
        loop {
            let scope = Scope::Cache(cache);
            let written = ledger.update(scope, &id, "server", |run: &RunRecord| {
                noted(run, &places, nar)
            });
            match written.await {
                Ok(_) | Err(Stop::Nothing) => return Ok(Kept::Look),
                // It ended and was forgotten meanwhile.
                Err(Stop::Ledger(LedgerError::Absent(_))) => return Ok(Kept::Look),
                Err(Stop::Ledger(error)) => return Err(error.into()),
                Err(Stop::InHand) if begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
                Err(Stop::InHand) => return Err(KeepError::Busy),
            }
        }
    }

    /// Whether a run that acts in this process has a path on its list.
    pub fn lists(&self, path: &StorePathHash) -> bool {
        let known = self.known.load();
        known
            .as_ref()
            .is_some_and(|list| list.paths.contains_key(path))
    }

    /// Reads the list of a run that is about to act in this process.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn learn(&self, ledger: &Ledger, cache: &str, run: &str) -> Result<(), LedgerError> {
        self.list_of(ledger, cache, run).await.map(|_| ())
    }

    /// The list of a run; `None` where there is no such run yet: it waits before it does anything.
    async fn list_of(
        &self,
        ledger: &Ledger,
        cache: &str,
        run: &str,
    ) -> Result<Option<Arc<List>>, LedgerError> {
        let _reading = self.reading.lock().await;
        if let Some(list) = self.known.load_full()
            && list.run == run
        {
            return Ok(Some(list));
        }
        let Ok(id) = run.parse::<RecordId>() else {
            return Ok(None);
        };
        let record = ledger.newest::<RunRecord>(Scope::Cache(cache), &id).await?;
        let Some(record) = record else {
            return Ok(None);
        };
        let of = (record.bundles, record.digest.as_str());
        let doomed = self::list(ledger, cache, &record.plan, of).await?;
        let numbered = doomed.iter().enumerate();
        let made = Arc::new(List {
            run: run.to_owned(),
            paths: numbered.map(|(at, path)| (path.hash, place(at))).collect(),
            nars: nars(&doomed)
                .into_iter()
                .enumerate()
                .map(|(at, path)| (path.nar.clone(), place(at)))
                .collect(),
        });
        self.known.store(Some(Arc::clone(&made)));
        Ok(Some(made))
    }

    /// The paths in the trash that have this NAR, where clients were served them.
    pub fn trashed(&self, nar: &str) -> Vec<StorePathHash> {
        self.trashed
            .load()
            .nars
            .get(nar)
            .cloned()
            .unwrap_or_default()
    }

    /// Remembers what these runs have in the trash. Nothing is read where it is of the same runs.
    ///
    /// # Errors
    /// Where a list cannot be read.
    pub async fn remember(
        &self,
        ledger: &Ledger,
        cache: &str,
        runs: &[Entry<RunRecord>],
    ) -> Result<(), LedgerError> {
        let ids: Vec<String> = runs.iter().map(|run| run.id.to_string()).collect();
        if self.trashed.load().runs == ids {
            return Ok(());
        }
        let mut nars: HashMap<String, Vec<StorePathHash>> = HashMap::new();
        for run in runs {
            let of = (run.bundles, run.digest.as_str());
            for path in list(ledger, cache, &run.plan, of).await? {
                if path.served {
                    nars.entry(path.nar).or_default().push(path.hash);
                }
            }
        }
        self.trashed.store(Arc::new(Trashed { runs: ids, nars }));
        Ok(())
    }

    /// Forgets the list of a run that is over.
    pub fn forget(&self) {
        self.known.store(None);
    }
}

/// The run that acts now. What was read within seconds is believed; else the bucket is asked.
async fn acting(ledger: &Ledger, cache: &str) -> Result<Option<String>, LedgerError> {
    let scope = Scope::Cache(cache);
    let id = RecordId::only();
    let view = ledger.view();
    let fresh = matches!(ledger.freshness(), Freshness::Fresh(_));
    if fresh && !view.doubts::<TurnRecord>(scope, &id) {
        return Ok(view
            .get::<TurnRecord>(scope, &id)
            .and_then(|turn| turn.run.clone()));
    }
    let turn = ledger.newest::<TurnRecord>(scope, &id).await?;
    Ok(turn.and_then(|turn| turn.run))
}

/// The run with these places noted as needed.
fn noted(run: &RunRecord, places: &[u32], nar: Option<u32>) -> Result<RunRecord, Stop> {
    let in_hand = |place: u32| {
        run.claim
            .is_some_and(|(from, to)| (from..to).contains(&place))
    };
    let open = |place: u32| place >= run.next && !in_hand(place);
    let mut next = run.clone();
    if run.takes_paths() {
        if places
            .iter()
            .any(|place| in_hand(*place) && !run.needed.contains(place))
        {
            return Err(Stop::InHand);
        }
        next.needed
            .extend(places.iter().copied().filter(|place| open(*place)));
    } else if run.takes_nars()
        && let Some(nar) = nar
    {
        if in_hand(nar) && !run.needed_nars.contains(&nar) {
            return Err(Stop::InHand);
        }
        next.needed_nars.extend(Some(nar).filter(|nar| open(*nar)));
    }
    if next == *run {
        return Err(Stop::Nothing);
    }
    if next.needed.len() + next.needed_nars.len() > MOST_NEEDED {
        next = run.clone();
        next.state = snowbank_shared::api::retention::RunState::Stopped;
        next.ended_at = Some(crate::auth::records::now());
        next.trouble = Some(format!(
            "More than {MOST_NEEDED} paths of the list are needed by uploads: nothing more is taken out."
        ));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::retention::{Rules, RunState};

    fn run(state: RunState) -> RunRecord {
        RunRecord {
            plan: "p".to_owned(),
            by: "olga".to_owned(),
            at: 1,
            planned_at: 1,
            rules: Rules::default(),
            grace_days: 30,
            bundles: 1,
            digest: String::new(),
            state,
            trouble: None,
            total: 100,
            predicted: 0,
            next: 10,
            claim: Some((10, 20)),
            needed: [12].into(),
            needed_nars: [].into(),
            trashed: 0,
            restored: 0,
            deleted: 0,
            freed: 0,
            spared: Vec::new(),
            spared_paths: 0,
            spared_bytes: 0,
            errors: [].into(),
            trashed_at: None,
            runner: None,
            ended_at: None,
        }
    }

    #[test]
    fn what_is_open_is_noted_what_is_in_hand_is_waited_for() {
        let trashing = run(RunState::Trashing);
        // Decided already, or known to be needed: nothing to write.
        assert!(matches!(
            noted(&trashing, &[3, 12], None),
            Err(Stop::Nothing)
        ));
        assert!(matches!(
            noted(&trashing, &[3, 19], None),
            Err(Stop::InHand)
        ));
        let next = noted(&trashing, &[3, 20, 99], Some(50))
            .ok()
            .expect("noted");
        assert_eq!(next.needed, [12, 20, 99].into());
        assert!(
            next.needed_nars.is_empty(),
            "narinfos are in hand, not NARs"
        );
        // Narinfos are not touched by who deletes NARs.
        let deleting = run(RunState::Deleting);
        assert!(matches!(noted(&deleting, &[20], None), Err(Stop::Nothing)));
        assert!(matches!(noted(&deleting, &[], Some(11)), Err(Stop::InHand)));
        let next = noted(&deleting, &[], Some(20)).ok().expect("noted");
        assert_eq!(next.needed_nars, [20].into());
        let grace = run(RunState::Grace);
        assert!(matches!(noted(&grace, &[20], Some(20)), Err(Stop::Nothing)));
    }

    #[test]
    fn the_same_trouble_with_several_objects_is_told_once() {
        let mut run = run(RunState::Deleting);
        for key in ["nar/1.nar", "nar/2.nar"] {
            run.went_wrong(&format!("deleting s3://b/{key} failed"), key);
        }
        run.went_wrong("nothing answers", "");
        let told: Vec<_> = run.errors.into_iter().collect();
        let of = |words: &str, times, object: &str| (words.to_owned(), (times, object.to_owned()));
        assert_eq!(
            told,
            [
                of("deleting s3://b/… failed", 2, "nar/1.nar"),
                of("nothing answers", 1, "")
            ]
        );
    }

    #[test]
    fn a_run_is_stopped_before_its_record_is_too_large() {
        let mut full = run(RunState::Trashing);
        full.needed = (100..100 + place(MOST_NEEDED)).collect();
        full.spared = vec![
            Spared {
                hash: StorePathHash::from_bytes([7; 20]),
                name: "n".repeat(211),
                reason: snowbank_shared::api::retention::KeptSince::Referenced,
                words: "w".repeat(200),
            };
            100
        ];
        let size = serde_json::to_vec(&full).expect("JSON").len();
        assert!(size < 200 << 10, "{size}");
        let stopped = noted(&full, &[90], None).ok().expect("stopped");
        assert_eq!(stopped.state, RunState::Stopped);
        assert!(stopped.trouble.is_some());
    }
}
