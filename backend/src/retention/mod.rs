//! Retention: which paths of a cache may go, and how they go.
//!
//! *Rules* ([`rules`]) say what stays: pins with their newest revisions, what was fetched or uploaded
//! within some days, names; and always everything that those need. Rules only keep. A path goes where
//! none keeps it and nothing that stays refers to it. With no rule that applies, everything stays.
//!
//! *What is new stays.* Paths younger than the hours of grace keep themselves and what they need: an
//! upload is not over when its first paths are there.
//!
//! *What was fetched* is a rule only where fetches were measured without a gap for all of its days, and
//! 45 at least. Until then the rule says from when on it can be used, and no plan can be made by it:
//! to leave a rule out removes more, never less.
//!
//! *A simulation* ([`simulate()`]) is a pure function of a version of the index, the pins, and what was
//! fetched when. It is handed no bucket and no ledger, so it cannot read, write or delete objects. It
//! counts a NAR once, as freed only where every narinfo that names it goes.
//!
//! *Why* ([`why()`]) names the nearest path that a rule keeps, with the chain of references from it, and
//! what each rule says of the path itself. It asks the very [`Applied`] that simulations ask.
//!
//! *A plan* ([`plan`]) is a frozen list. *A run* ([`run`]) carries it out:
//!
//! ```text
//!  start ─▶ Marking ─▶ Waiting ─▶ Trashing ─▶ Grace ─────▶ Deleting ─▶ Done
//!           the turn   longer     narinfos    NARs stay,   NARs that
//!           is taken   than any   into the    30 days      no narinfo
//!                      ledger is  trash       │            names
//!                      believed               └─ undo ─▶ Undoing ─▶ Undone
//! ```
//!
//! No step relies on the one before: each looks at the bucket, the index after a sweep, pins, fetches
//! and what uploads hold back ([`crate::condemned`]), right before it takes something out. Narinfos
//! go before what they refer to, and before their NARs; what is put back comes in the other order. So a
//! kill at any moment leaves no narinfo with a reference or a NAR that the run took out.
//!
//! *Time.* Who acts says so every few seconds and takes nothing out after 15 s without a word that was
//! heard; a deletion that takes longer is cut off, and nobody goes on before it cannot arrive any more
//! ([`work`]). An upload that took longer than [`crate::condemned::HOLDS`] from its last question to its
//! narinfo looks again.
//!
//! *Undo* ends as undone where nothing is left that could come back another time; else the run is stopped, its
//! trash stays, and it can be undone again ([`settle`]).
//!
//! *Runs, pins and plans that cannot be believed* stop all of it ([`refusal`],
//! [`crate::ledger::kind::Unverified::StopsRuns`]).
//!
//! Listings (`.ls`) go with the NARs. Logs, realisations and debug links stay: they belong to derivations
//! and builds, and name no path that has to be there.
//!
//! Whether the caller may is asked by who calls.

mod applied;
mod bin;
mod erase;
mod nars;
mod plan;
mod purge;
mod rules;
mod run;
mod settle;
mod simulate;
mod since;
mod suggest;
mod trash;
mod why;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::api::retention::{DisabledRule, LeftOut, Rules, Simulation};

pub use applied::{Applied, FETCHES_MEASURED_DAYS, Facts, Known, PinnedPath, Reason};
pub use plan::{MOST_PLANNED, MOST_PLANS, foreign_paths};
pub use purge::PurgeError;
pub use rules::{RetentionRecord, change, fault, shown};
pub(crate) use run::undo_until;
pub use simulate::simulate;
pub use suggest::suggest;
pub use why::why;

use crate::condemned::Spared;
use crate::config::RetentionPeriods;
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerError};
use crate::pins;
use crate::site::{Cache, Site};
use crate::sync::Hints;

/// Why something about plans and runs was not done. The text is for who asked.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// A value that cannot be.
    #[error("{0}")]
    Bad(String),
    /// There is nothing to do.
    #[error("{0}")]
    Nothing(String),
    /// The state of the cache forbids it.
    #[error("{0}")]
    Blocked(String),
    /// Others write to the bucket, and nobody said yes to that.
    #[error(
        "{0} paths of this cache came past this server. Who wrote them may write again while a plan is carried out, and nothing of ours can hold a path back for them. Say yes to that, or let all uploads go through this server first."
    )]
    Foreign(u64),
    /// There is no such thing.
    #[error("There is no {what} `{name}` here.")]
    NoSuch {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The ledger did not take it, or cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The server failed.
    #[error("The server failed.")]
    Failed,
}

impl RetentionError {
    fn no_such(what: &'static str, name: &str) -> Self {
        Self::NoSuch {
            what,
            name: name.chars().take(64).collect(),
        }
    }
}

/// Plans, runs and what carries them out. Cloning is cheap.
#[derive(Clone)]
pub struct Retention(Arc<Inner>);

struct Inner {
    site: Arc<Site>,
    intake: Intake,
    /// By slug: who sweeps.
    sweeps: BTreeMap<String, Hints>,
    periods: RetentionPeriods,
    /// Held by who reads a list for somebody who asks: they are large.
    reading: tokio::sync::Mutex<()>,
}

impl Retention {
    /// Over the caches of a site.
    pub fn new(
        site: &Arc<Site>,
        intake: &Intake,
        sweeps: BTreeMap<String, Hints>,
        periods: RetentionPeriods,
    ) -> Self {
        Self(Arc::new(Inner {
            site: Arc::clone(site),
            intake: intake.clone(),
            sweeps,
            periods,
            reading: tokio::sync::Mutex::new(()),
        }))
    }
}

/// What the pins of a cache name, each pin's newest revision first.
pub fn pinned(ledger: &Ledger, cache: &str) -> Vec<PinnedPath> {
    let mut paths = Vec::new();
    for pin in pins::all(ledger, cache) {
        for (place, revision) in pin.revisions.iter().rev().enumerate() {
            paths.push(PinnedPath {
                pin: pin.id.to_string(),
                revision: revision.number,
                place,
                path: revision.path.hash(),
            });
        }
    }
    paths
}

/// Why no plan can be made or carried out now; `None` where one can.
fn refusal(site: &Site, cache: &Cache, disabled: Option<&DisabledRule>) -> Option<String> {
    if !cache.is_complete() {
        return Some("The index is not complete yet: what is not in it could need what would go. Wait for the first sweep.".to_owned());
    }
    if let Some(finding) = site.ledger.view().stops(cache.slug.as_str()).first() {
        return Some(format!(
            "`{}` cannot be believed, and it may hold something back: {}. Nothing is planned until Health's finding is settled.",
            finding.path, finding.trouble
        ));
    }
    disabled.map(|disabled| {
        format!(
            "A rule cannot be applied yet, and without it more would go: {}",
            disabled.reason
        )
    })
}

/// What rules would keep and remove of a cache, with what is in the way of a plan. Looks at every path:
/// run it off the reactor.
pub fn simulated(site: &Site, cache: &Cache, known: &Known, rules: &Rules) -> Simulation {
    let mut simulation = simulate(known.facts(), rules);
    // The rule that cannot be applied is told also where nobody asks for it.
    let lacks = rules.fetched_days.and(simulation.disabled.first());
    simulation.refusal = refusal(site, cache, lacks);
    simulation
}

/// A path that stays, as the API shows it.
fn left_out(spared: &Spared) -> LeftOut {
    LeftOut {
        hash: spared.hash.to_string(),
        name: spared.name.clone(),
        reason: spared.reason,
        words: spared.words.clone(),
    }
}

/// Runs what looks at every path off the reactor.
async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RetentionError> + Send + 'static,
) -> Result<T, RetentionError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "looking at every path panicked");
            Err(RetentionError::Failed)
        })
}
