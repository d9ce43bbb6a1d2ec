//! Changing the signatures of what lies in a cache: counter-signing and removing in bulk, batches for a
//! machine that holds a key and never meets the server, and the change from one key to the next.
//!
//! ```text
//!  wish ──▶ estimate (index only) ──▶ job (ledger: selection, cursor, counts)
//!                                      │ batches, in the order of the bucket's keys
//!  narinfo ◀── GET, judge, change `Sig` lines, PUT If-Match ──▶ index, receipts, replicas
//! ```
//!
//! **What is signed.** A narinfo whose archive was read again and has its NarHash ([`archive`]); or,
//! where a maintainer accepts that, one with a valid signature by an active key, whose archive is not
//! read. Never one that is held back, or that would crash clients. Signing is an act of somebody:
//! nothing here begins by itself.
//!
//! **What is changed.** `Sig` lines, and no other byte of a narinfo. When a path was first seen is not
//! moved. What others write meanwhile stays: their version is read and judged again.
//!
//! **What is kept.** Jobs, a cache's keys and its rotation are records of the ledger, so that a job goes
//! on after a kill, on this replica or another, and the page of a rotation says the same everywhere.
//!
//! Whether the caller may is asked by who calls.
//!
//! [`archive`]: crate::archive

mod batch;
mod choose;
mod keys;
mod one;
mod record;
mod revoke;
mod rotate;
mod rotation;
mod run;
mod shown;

use std::path::PathBuf;
use std::sync::Arc;

use snowbank_shared::api::signing::{Job, JobCommand, JobState};

pub use choose::Order;
pub use keys::{KeptKey, KeysRecord, follow_keys};
pub use record::{Counts, JobRecord, Selected};
pub use rotation::RotationRecord;

use crate::auth::By;
use crate::auth::records::now;
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};

/// Paths that a job's record names of those it left as they are.
pub const MOST_EXAMPLES: usize = 100;
/// Jobs of a cache that are not over, at most.
pub const MOST_OPEN: usize = 20;
/// Jobs that are listed: the newest.
pub const MOST_LISTED: usize = 100;

/// Why something about signatures was not done. The text is for who asked.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A value that cannot be.
    #[error("{0}")]
    Bad(String),
    /// The name of a key is somebody's, or was.
    #[error("{0}")]
    NameTaken(String),
    /// A guard is in the way.
    #[error("{0}")]
    Blocked(String),
    /// There is no such thing.
    #[error("There is no {what} `{name}` here.")]
    NoSuch {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The bucket failed.
    #[error("The bucket failed: {0}. What was done stays; the same again goes on.")]
    Bucket(String),
    /// A secret cannot be kept.
    #[error(transparent)]
    Secret(#[from] crate::secrets::SecretError),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What changes signatures. Cloning is cheap.
#[derive(Clone)]
pub struct Signing(Arc<Inner>);

struct Inner {
    site: Arc<Site>,
    /// Where secret keys are kept that are made while the server runs.
    keys_dir: PathBuf,
}

impl Signing {
    /// Over the caches of a site; `keys_dir` is where new secret keys are kept.
    pub fn new(site: &Arc<Site>, keys_dir: PathBuf) -> Self {
        Self(Arc::new(Inner {
            site: Arc::clone(site),
            keys_dir,
        }))
    }

    /// Runs the jobs of all caches, until the server ends.
    pub async fn run(self) {
        let caches = self.0.site.caches.iter();
        futures_util::future::join_all(caches.map(|cache| self.work(cache))).await;
    }

    /// How many paths an order is about.
    pub(crate) async fn counted(
        &self,
        cache: &Arc<Cache>,
        order: &Order,
    ) -> Result<u64, SigningError> {
        let (site, of, order) = (Arc::clone(&self.0.site), Arc::clone(cache), order.clone());
        off_reactor(move || order.count(&site, &of)).await
    }

    /// Begins a job. `total` is how many paths it was estimated to be about.
    ///
    /// # Errors
    /// Where too many are open, or the ledger does not take it.
    pub async fn begin(
        &self,
        cache: &Cache,
        order: Order,
        total: u64,
        by: &By,
    ) -> Result<Job, SigningError> {
        let ledger = &self.0.site.ledger;
        let scope = Scope::Cache(cache.slug.as_str());
        let view = ledger.view();
        let open = view.list::<JobRecord>(scope);
        if open.filter(|job| !job.state.is_over()).count() >= MOST_OPEN {
            return Err(SigningError::Bad(format!(
                "{MOST_OPEN} jobs of this cache are not over: wait for one, or cancel one."
            )));
        }
        let id = RecordId::random()?;
        let record = JobRecord {
            act: order.act,
            key: match &order.key {
                choose::Key::Adds(key) => key.to_string(),
                choose::Key::Removes(name) => name.clone(),
            },
            selected: order.selected,
            content: order.content,
            leave_unsigned: order.leave_unsigned,
            reason: order.reason,
            by: by.actor.clone(),
            at: now(),
            state: JobState::Running,
            trouble: None,
            total,
            cursor: None,
            counts: Counts::default(),
            examples: Vec::new(),
            runner: None,
            ended_at: None,
        };
        let act = match record.act {
            snowbank_shared::api::signing::JobAct::CounterSign => "signatures.add",
            snowbank_shared::api::signing::JobAct::Strip => "signatures.remove",
        };
        let detail = [
            ("key", record.key_name().to_owned()),
            ("paths", record.selected.text()),
            ("reason", record.reason.clone()),
        ];
        let made = ledger.create(scope, &id, &by.actor, record).await?;
        let access = &self.0.site.access;
        access
            .note_in(cache.slug.as_str(), by, act, id.as_str(), &detail)
            .await;
        Ok(made.record.shown(id.as_str()))
    }

    /// The jobs of a cache, newest first.
    pub fn jobs(&self, cache: &Cache) -> Vec<Job> {
        let view = self.0.site.ledger.view();
        let jobs = view.list::<JobRecord>(Scope::Cache(cache.slug.as_str()));
        let mut jobs: Vec<Entry<JobRecord>> = jobs.collect();
        jobs.sort_by(|one, two| two.at.cmp(&one.at).then_with(|| one.id.cmp(&two.id)));
        jobs.truncate(MOST_LISTED);
        jobs.iter()
            .map(|job| job.record.shown(job.id.as_str()))
            .collect()
    }

    /// A job of a cache.
    ///
    /// # Errors
    /// Where there is none.
    pub fn job(&self, cache: &Cache, id: &str) -> Result<Job, SigningError> {
        let view = self.0.site.ledger.view();
        let found = id
            .parse()
            .ok()
            .and_then(|id| view.get::<JobRecord>(Scope::Cache(cache.slug.as_str()), &id));
        let job = found.ok_or_else(|| no_job(id))?;
        Ok(job.record.shown(id))
    }

    /// Pauses, resumes or cancels a job. What was done stays.
    ///
    /// # Errors
    /// Where there is none, it is over, or the ledger does not take it.
    pub async fn control(
        &self,
        cache: &Cache,
        id: &str,
        command: JobCommand,
        by: &By,
    ) -> Result<Job, SigningError> {
        let record: RecordId = id.parse().map_err(|_| no_job(id))?;
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        if ledger.view().get::<JobRecord>(scope, &record).is_none() {
            return Err(no_job(id));
        }
        let changed = ledger
            .update(scope, &record, &by.actor, |job: &JobRecord| {
                if job.state.is_over() {
                    return Err(SigningError::Blocked(format!(
                        "This job is {}: begin another one.",
                        job.state.text()
                    )));
                }
                let mut next = job.clone();
                next.trouble = None;
                match command {
                    JobCommand::Pause => next.state = JobState::Paused,
                    JobCommand::Resume => next.state = JobState::Running,
                    JobCommand::Cancel => {
                        next.state = JobState::Cancelled;
                        next.ended_at = Some(now());
                    }
                }
                Ok(next)
            })
            .await?;
        let act = match command {
            JobCommand::Pause => "signatures.pause",
            JobCommand::Resume => "signatures.resume",
            JobCommand::Cancel => "signatures.cancel",
        };
        let detail = [("changed", changed.counts.changed.to_string())];
        let access = &self.0.site.access;
        access
            .note_in(cache.slug.as_str(), by, act, id, &detail)
            .await;
        Ok(changed.record.shown(id))
    }
}

/// Runs what looks at every path off the reactor.
async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SigningError> + Send + 'static,
) -> Result<T, SigningError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "looking at every path panicked");
            Err(SigningError::Bad(
                "The paths could not be counted.".to_owned(),
            ))
        })
}

fn no_job(id: &str) -> SigningError {
    SigningError::NoSuch {
        what: "job",
        name: id.chars().take(64).collect(),
    }
}
