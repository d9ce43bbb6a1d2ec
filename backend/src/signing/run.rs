//! Running jobs: batch by batch in the order of the bucket's keys, with a cursor in the ledger.
//!
//! Killed at any moment, the batch in hand is looked at again: what it wrote is found as wanted and
//! written no second time. One process runs a job at a time; it says every few seconds that it
//! lives, and another takes over where it does not. Should two run one job, they do no harm: each
//! write is over the version that was read.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use snowbank_shared::api::signing::{JobAct, JobState};
use snowbank_shared::signature::PublicKey;
use snowbank_shared::store_path::StorePathHash;

use super::choose::chosen;
use super::one::{self, Became, Looked};
use super::record::{Counts, JobRecord};
use super::shown::show;
use super::{MOST_EXAMPLES, Signing, SigningError};
use crate::auth::By;
use crate::auth::records::now;
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::Cache;

/// Paths of a batch. As many show in the index at once.
const BATCH: usize = 1_000;
/// The same, where archives are read.
const BATCH_OF_ARCHIVES: usize = 16;
/// Narinfos in hand at once.
const AT_ONCE: usize = 32;
/// How often who runs a job says so.
const BEAT: Duration = Duration::from_secs(4);
/// After so many seconds without a word another process takes a job over.
const SILENCE: i64 = 15;
/// Between two looks for jobs where nothing changes.
const LOOK: Duration = Duration::from_secs(5);
/// How often a batch is tried again while the bucket fails, and how long it waits in between.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);

/// A batch that was looked at and does not show yet.
struct Done {
    looked: Vec<Looked>,
    counts: Counts,
    /// Its last path.
    cursor: StorePathHash,
}

/// Why a job is not run any further for now.
enum Stop {
    /// Somebody else has it, paused it or ended it; or the server ends.
    Left,
    /// It cannot go on, and waits for somebody.
    Trouble(String),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        tracing::info!(%error, "a job's record cannot be written; it is tried again");
        Self::Left
    }
}

impl Signing {
    /// Runs the jobs of a cache, one after the other, until the server ends.
    pub(super) async fn work(&self, cache: &Arc<Cache>) {
        let site = &self.0.site;
        let mut changes = site.ledger.subscribe();
        loop {
            while let Some(job) = self.next_job(cache) {
                if let Err(Stop::Trouble(text)) = self.run_job(cache, &job).await {
                    self.troubled(cache, &job.id, text).await;
                }
                if site.closing.is_cancelled() {
                    return;
                }
                // Whoever left it looks again after a moment, not at once.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            tokio::select! {
                () = site.closing.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The oldest job that nobody runs.
    fn next_job(&self, cache: &Cache) -> Option<Entry<JobRecord>> {
        let ledger = &self.0.site.ledger;
        let view = ledger.view();
        let free = |job: &Entry<JobRecord>| {
            job.state == JobState::Running
                && job.runner.as_ref().is_none_or(|(runner, beat)| {
                    runner == ledger.instance() || *beat + SILENCE < now()
                })
        };
        let jobs = view.list::<JobRecord>(Scope::Cache(cache.slug.as_str()));
        let mut jobs: Vec<_> = jobs.filter(free).collect();
        jobs.sort_by_key(|job| job.at);
        jobs.into_iter().next()
    }

    async fn run_job(&self, cache: &Arc<Cache>, job: &Entry<JobRecord>) -> Result<(), Stop> {
        let site = &self.0.site;
        // Takes it in hand, or finds that somebody else did.
        let record = self.step(cache, &job.id, &Counts::default(), None).await?;
        let change = change(cache, &record).map_err(|error| match error {
            SigningError::Bad(text) => Stop::Trouble(text),
            other => Stop::Trouble(other.to_string()),
        })?;
        let change = Arc::new(change);
        let (choosing, of, selected) = (Arc::clone(site), Arc::clone(cache), record.clone());
        let hashes = tokio::task::spawn_blocking(move || {
            let view = of.index.view();
            chosen(&choosing, &of, &view, &selected.selected, selected.cursor)
        });
        let hashes = match hashes.await {
            Ok(hashes) => hashes.map_err(|error| Stop::Trouble(error.to_string()))?,
            Err(error) => {
                tracing::error!(%error, "choosing the paths of a job panicked");
                return Err(Stop::Trouble("its paths could not be chosen".to_owned()));
            }
        };
        let size = match record.reads_archives() {
            true => BATCH_OF_ARCHIVES,
            false => BATCH,
        };
        let mut before = None;
        for batch in hashes.chunks(size) {
            // The bucket does not wait until the batch before shows.
            let (looked, shown) = tokio::join!(
                self.batch(cache, &job.id, &change, batch),
                self.shown(cache, &job.id, &record.by, before.take()),
            );
            let (looked, counts) = looked?;
            if let Err(stop) = shown {
                show(site, cache, looked, &record.by).await;
                return Err(stop);
            }
            before = Some(Done {
                looked,
                counts,
                cursor: batch[batch.len() - 1],
            });
        }
        self.shown(cache, &job.id, &record.by, before).await?;
        self.end(cache, &job.id).await
    }

    /// Shows a batch, and writes that the job is beyond it.
    async fn shown(
        &self,
        cache: &Cache,
        id: &RecordId,
        by: &str,
        done: Option<Done>,
    ) -> Result<(), Stop> {
        let Some(done) = done else { return Ok(()) };
        let examples = examples(&done.looked);
        show(&self.0.site, cache, done.looked, by).await;
        let beyond = Some((done.cursor, examples));
        self.step(cache, id, &done.counts, beyond).await?;
        Ok(())
    }

    /// Looks at the paths of a batch, some at once. What the bucket failed at is tried again.
    async fn batch(
        &self,
        cache: &Arc<Cache>,
        id: &RecordId,
        change: &Arc<one::Change>,
        batch: &[StorePathHash],
    ) -> Result<(Vec<Looked>, Counts), Stop> {
        let mut left = batch.to_vec();
        let mut looked = Vec::with_capacity(batch.len());
        let mut counts = Counts::default();
        for turn in 0..TRIES {
            if turn > 0 {
                tokio::time::sleep(WAIT * turn).await;
            }
            let ring = cache.index.key_ring();
            let asked = stream::iter(std::mem::take(&mut left)).map(|hash| {
                let (cache, ring) = (Arc::clone(cache), Arc::clone(&ring));
                one::path(cache, ring, Arc::clone(change), hash)
            });
            let mut asked = std::pin::pin!(asked.buffer_unordered(AT_ONCE));
            let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
            let mut trouble = None;
            loop {
                tokio::select! {
                    biased;
                    // What is in hand is cut off: each write is whole or is none.
                    () = self.0.site.closing.cancelled() => return Err(Stop::Left),
                    next = asked.next() => {
                        let Some(path) = next else { break };
                        counts.add(&path.cost);
                        if let Became::Failed(error) = &path.became {
                            trouble = Some(error.clone());
                            left.push(path.hash);
                        } else {
                            counts.count(&path.became);
                            looked.push(path);
                        }
                    }
                    _ = beat.tick() => {
                        if let Err(stop) = self.step(cache, id, &Counts::default(), None).await {
                            // What was written is shown all the same.
                            show(&self.0.site, cache, looked, "server").await;
                            return Err(stop);
                        }
                    }
                }
            }
            match trouble {
                None => return Ok((looked, counts)),
                Some(error) if turn + 1 == TRIES => {
                    show(&self.0.site, cache, looked, "server").await;
                    return Err(Stop::Trouble(format!(
                        "the bucket failed at {} paths: {error}",
                        left.len()
                    )));
                }
                Some(error) => tracing::info!(%error, "a batch of signatures is tried again"),
            }
        }
        Err(Stop::Left)
    }

    /// Says that this process runs the job, and with `done` what a batch did. Fails where the job is
    /// not to go on, or is somebody else's.
    async fn step(
        &self,
        cache: &Cache,
        id: &RecordId,
        counts: &Counts,
        done: Option<(StorePathHash, Examples)>,
    ) -> Result<JobRecord, Stop> {
        let ledger = &self.0.site.ledger;
        let me = ledger.instance().to_owned();
        let scope = Scope::Cache(cache.slug.as_str());
        let mut left = false;
        let written = ledger
            .update(scope, id, "server", |job: &JobRecord| {
                let mut next = job.clone();
                left = job.state != JobState::Running
                    || job
                        .runner
                        .as_ref()
                        .is_some_and(|(runner, beat)| *runner != me && *beat + SILENCE >= now());
                if let Some((cursor, examples)) = &done
                    // Another process may be beyond it.
                    && job.cursor.is_none_or(|known| known < *cursor)
                {
                    next.cursor = Some(*cursor);
                    next.counts.add(counts);
                    let room = MOST_EXAMPLES.saturating_sub(next.examples.len());
                    next.examples.extend(examples.iter().take(room));
                }
                if !left {
                    next.runner = Some((me.clone(), now()));
                }
                Ok::<_, LedgerError>(next)
            })
            .await?;
        match left {
            true => Err(Stop::Left),
            false => Ok((*written.record).clone()),
        }
    }

    async fn end(&self, cache: &Cache, id: &RecordId) -> Result<(), Stop> {
        let site = &self.0.site;
        let scope = Scope::Cache(cache.slug.as_str());
        let ended = site
            .ledger
            .update(scope, id, "server", |job: &JobRecord| {
                let mut next = job.clone();
                if job.state == JobState::Running {
                    next.state = JobState::Done;
                    next.ended_at = Some(now());
                }
                next.runner = None;
                Ok::<_, LedgerError>(next)
            })
            .await?;
        let job = &ended.record;
        if job.state == JobState::Done {
            let detail = [
                ("key", job.key_name().to_owned()),
                ("changed", job.counts.changed.to_string()),
                ("same", job.counts.same.to_string()),
                (
                    "skipped",
                    job.counts.skipped.values().sum::<u64>().to_string(),
                ),
            ];
            let by = server();
            let access = &site.access;
            access
                .note_in(
                    cache.slug.as_str(),
                    &by,
                    "signatures.done",
                    id.as_str(),
                    &detail,
                )
                .await;
        }
        Ok(())
    }

    /// A job that cannot go on stands still and says why.
    async fn troubled(&self, cache: &Cache, id: &RecordId, text: String) {
        let scope = Scope::Cache(cache.slug.as_str());
        let written = self
            .0
            .site
            .ledger
            .update(scope, id, "server", |job: &JobRecord| {
                let mut next = job.clone();
                if job.state == JobState::Running {
                    next.state = JobState::Paused;
                    next.trouble = Some(text.chars().take(300).collect());
                }
                next.runner = None;
                Ok::<_, LedgerError>(next)
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(cache = %cache.slug, job = %id, %error, text, "a job stands still, and that cannot be written");
        }
    }
}

/// What the job does to each narinfo.
fn change(cache: &Cache, record: &JobRecord) -> Result<one::Change, SigningError> {
    match record.act {
        JobAct::Strip => Ok(one::Change::Strip {
            name: record.key.clone(),
            leave_unsigned: record.leave_unsigned,
        }),
        JobAct::CounterSign => {
            let key: Option<PublicKey> = record.key.parse().ok();
            let is_trusted = |key: &PublicKey| cache.keys.now().trusted.contains(key);
            let secret = key
                .filter(is_trusted)
                .and_then(|key| cache.keys.secret(&key));
            let secret = secret.ok_or_else(|| {
                SigningError::Bad(format!(
                    "The key {} does not sign here any more, or this server does not hold it.",
                    record.key_name()
                ))
            })?;
            Ok(one::Change::Sign(secret, record.content))
        }
    }
}

/// The server itself, for the audit.
pub(super) fn server() -> By {
    By {
        actor: "server".to_owned(),
        via: "server",
        request: String::new(),
        address: None,
    }
}

/// Paths that were left as they are, with the reason.
type Examples = Vec<(StorePathHash, snowbank_shared::api::signing::SkipReason)>;

fn examples(looked: &[Looked]) -> Examples {
    let skipped = looked.iter().filter_map(|path| match path.became {
        Became::Skipped(reason) => Some((path.hash, reason)),
        _ => None,
    });
    skipped.take(MOST_EXAMPLES).collect()
}

impl Counts {
    /// Counts what became of a path.
    pub(super) fn count(&mut self, became: &Became) {
        match became {
            Became::Changed(_) => self.changed += 1,
            Became::Same(_) => self.same += 1,
            Became::Skipped(reason) => *self.skipped.entry(*reason).or_default() += 1,
            Became::Refused | Became::Failed(_) => {}
        }
    }
}
