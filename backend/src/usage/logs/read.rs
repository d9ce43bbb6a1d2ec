//! Reading what is new, one batch after the other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;

use super::LogSource;
use super::batch::Batch;
use super::keep::{ask, keep_day};
use super::names::name;
use super::object::MOST_STORED;
use super::state::{Figures, LogState, LoggedRecord, Pending, Stem, hash};
use super::whose::Whose;
use crate::bucket::{Bucket, BucketError, BucketErrorKind, ListRequest};
use crate::config::LogFormat;
use crate::index::Index;
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::secrets::{self, SecretError};
use crate::upstream::Upstreams;
use crate::usage::{DAY, HOUR, HOURS_DAYS, day_of, lock, now};

/// Who writes these records, as the ledger has it.
pub(super) const AUTHOR: &str = "access logs";
/// Objects of a batch at most.
const MOST_OBJECTS: usize = 400;
/// Bytes of their keys at most.
const MOST_KEYS: usize = 64 << 10;
/// Stems that are told apart.
const MOST_STEMS: usize = 64;
/// Listings for one batch at most.
const MOST_LISTINGS: usize = 4 * MOST_STEMS;
/// Pages of all of them together: logs that are remembered fill a few.
const MOST_PAGES: usize = 100;
/// Seconds after which another server takes over a batch.
const PATIENCE: i64 = 900;
/// Seconds between two writings that nothing is left to read.
const SAID_EVERY: i64 = 6 * HOUR;
/// Old days whose hours are taken out at once.
const THINNED_AT_ONCE: usize = 4;

/// Why logs are not read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The bucket of the logs does not let us.
    #[error("{0}")]
    Bucket(#[from] BucketError),
    /// What was read cannot be written down.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// Another server reads them.
    #[error("another server reads them right now")]
    Busy,
    /// They lie below too many names.
    #[error(
        "below its prefix are logs of more than {MOST_STEMS} kinds: give it the prefix of this cache's logs alone"
    )]
    TooManyStems,
    /// What lies below the prefix is mostly something else.
    #[error(
        "below its prefix lie more than {} objects that are no logs: give it the prefix of the logs alone",
        MOST_PAGES * 1_000
    )]
    NoLogs,
    /// Reading them stopped within the server.
    #[error("reading them broke off")]
    Stopped,
}

/// Reads the logs of a cache.
pub struct LogReader {
    bucket: Bucket,
    /// What their names begin with below the bucket's prefix.
    begin: String,
    source: Arc<LogSource>,
    /// Of this process.
    holder: String,
    /// One batch at a time.
    reading: tokio::sync::Mutex<()>,
    /// What was wrong the last time.
    trouble: Mutex<Option<String>>,
}

impl LogReader {
    /// Reads logs whose names begin with `begin` in this bucket.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(bucket: &Bucket, begin: String, source: LogSource) -> Result<Self, SecretError> {
        let holder: [u8; 8] = secrets::random()?;
        Ok(Self {
            bucket: bucket.bulk(),
            begin,
            source: Arc::new(source),
            holder: format!("{:016x}", u64::from_be_bytes(holder)),
            reading: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// How the logs are written.
    pub fn format(&self) -> LogFormat {
        self.source.format
    }

    pub(in crate::usage) fn source(&self) -> &LogSource {
        &self.source
    }

    /// Why they were not read the last time.
    pub(in crate::usage) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Which logs these are.
    pub(super) fn place(&self) -> String {
        let format = match self.source.format {
            LogFormat::S3 => "s3",
            LogFormat::Cloudfront => "cloudfront",
        };
        format!("{format} {} {}", self.bucket.location(), self.begin)
    }

    /// Reads what is new, a batch at most, and asks the upstreams for what was missed. Says whether there
    /// was anything, so that there may be more.
    ///
    /// # Errors
    /// See [`LogError`]; nothing is lost or counted twice where it is called again.
    pub async fn read(
        &self,
        ledger: &Ledger,
        slug: &str,
        index: &Index,
        upstreams: &Upstreams,
    ) -> Result<bool, LogError> {
        let _one = self.reading.lock().await;
        let done = self.batch(ledger, slug, index, upstreams).await;
        *lock(&self.trouble) = match &done {
            Ok(_) | Err(LogError::Busy) => None,
            Err(error) => Some(error.to_string()),
        };
        done
    }

    async fn batch(
        &self,
        ledger: &Ledger,
        slug: &str,
        index: &Index,
        upstreams: &Upstreams,
    ) -> Result<bool, LogError> {
        let now = now();
        let scope = Scope::Cache(slug);
        let known = ledger.view().get::<LogState>(scope, &RecordId::only());
        let state = known.map(|entry| (*entry.record).clone());
        let state = state.unwrap_or_default().of(&self.place());
        let keys = match &state.pending {
            Some(pending) if pending.holder != self.holder && pending.until > now => {
                return Err(LogError::Busy);
            }
            Some(pending) => pending.keys.clone(),
            None => self.fresh(&state, now).await?,
        };
        if keys.is_empty() {
            self.read_out(ledger, slug, &state, now).await?;
            self.thin(ledger, slug, now).await?;
            return Ok(false);
        }
        let begun = self.begin_batch(ledger, slug, &state, keys, now).await?;
        let Some(pending) = &begun.pending else {
            return Err(LogError::Busy);
        };
        let mut batch = Batch::new(begun.whose.clone(), &self.source);
        for key in &pending.keys {
            batch = self.object(batch, key, index, now).await?;
        }
        let (figures, whose) = (batch.figures.clone(), batch.whose.clone());
        let name = format!("logs-{}", begun.batches);
        let mut days = batch.into_days();
        ask(&mut days, upstreams, now).await;
        for day in &days {
            keep_day(ledger, slug, day, &name).await?;
        }
        self.end_batch(ledger, slug, &begun, (&figures, &whose))
            .await?;
        Ok(true)
    }

    /// The oldest objects that were not read yet.
    async fn fresh(&self, state: &LogState, now: i64) -> Result<Vec<String>, LogError> {
        let mut keys = Vec::new();
        let mut bytes = 0;
        let mut stems: Vec<Stem> = state.stems.clone();
        let recent: BTreeSet<u64> = stems
            .iter()
            .flat_map(Stem::recent)
            .map(|(hash, _)| hash)
            .collect();
        let mut after = None::<String>;
        let mut listed = 0;
        for _ in 0..MOST_LISTINGS {
            let pages = self.bucket.list(ListRequest {
                prefix: self.begin.clone(),
                start_after: after.take(),
                ..ListRequest::default()
            });
            let mut pages = Box::pin(pages);
            'listing: while let Some(page) = pages.next().await {
                listed += 1;
                if listed > MOST_PAGES {
                    return match keys.is_empty() {
                        true => Err(LogError::NoLogs),
                        false => Ok(keys),
                    };
                }
                for object in page?.objects {
                    // What has no time in its name is no log; one that is still to come would hide
                    // all that come before it.
                    let Some(named) = name(&object.key).filter(|named| named.at < now + DAY) else {
                        continue;
                    };
                    let known = stems.iter().position(|stem| stem.stem == named.stem);
                    let at = known.unwrap_or_else(|| {
                        stems.push(Stem::new(&named, now));
                        stems.len() - 1
                    });
                    if stems.len() > MOST_STEMS {
                        return Err(LogError::TooManyStems);
                    }
                    let position = stems[at].position(self.source.format);
                    if object.key < position {
                        // Everything up to there is done with.
                        after = Some(position);
                        break 'listing;
                    }
                    if recent.contains(&hash(&object.key)) {
                        continue;
                    }
                    bytes += object.key.len();
                    keys.push(object.key);
                    if keys.len() == MOST_OBJECTS || bytes >= MOST_KEYS {
                        return Ok(keys);
                    }
                }
            }
            if after.is_none() {
                break;
            }
        }
        Ok(keys)
    }

    /// Writes down what is read now.
    async fn begin_batch(
        &self,
        ledger: &Ledger,
        slug: &str,
        state: &LogState,
        keys: Vec<String>,
        now: i64,
    ) -> Result<LogState, LogError> {
        let change = |current: Option<&LogState>| {
            let current = current.cloned().unwrap_or_default().of(&self.place());
            // Another server began or ended one meanwhile.
            if current.batches != state.batches || current.pending != state.pending {
                return Err(LogError::Busy);
            }
            let is_new = current.pending.is_none();
            Ok(LogState {
                batches: current.batches + u64::from(is_new),
                pending: Some(Pending {
                    keys: keys.clone(),
                    holder: self.holder.clone(),
                    until: now + PATIENCE,
                }),
                ..current
            })
        };
        let scope = Scope::Cache(slug);
        let entry = ledger.put(scope, &RecordId::only(), AUTHOR, change).await?;
        Ok((*entry.record).clone())
    }

    async fn object(
        &self,
        mut batch: Batch,
        key: &str,
        index: &Index,
        now: i64,
    ) -> Result<Batch, LogError> {
        // As people find it in the bucket.
        let whole = format!("{}{key}", self.bucket.prefix());
        let bytes = match self.bucket.get(key).await {
            Ok(object) => object.body.collect(MOST_STORED).await,
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                batch.broken(&whole, "it was removed before it was read");
                return Ok(batch);
            }
            Err(error) if error.kind() == BucketErrorKind::TooLarge => {
                batch.broken(&whole, "it is larger than 32 MiB");
                return Ok(batch);
            }
            // It would be in the way of all others for ever.
            Err(error) if error.kind() == BucketErrorKind::InvalidKey => {
                batch.broken(&whole, "its name is none that is read here");
                return Ok(batch);
            }
            Err(error) => return Err(error.into()),
        };
        let (source, index) = (Arc::clone(&self.source), index.clone());
        let counting = tokio::task::spawn_blocking(move || {
            batch.object(&source, &index.view(), &whole, &bytes, now);
            batch
        });
        counting.await.map_err(|_| LogError::Stopped)
    }

    /// Writes down that the batch was read.
    async fn end_batch(
        &self,
        ledger: &Ledger,
        slug: &str,
        begun: &LogState,
        (figures, whose): (&Figures, &Whose),
    ) -> Result<(), LogError> {
        let (slack, step) = match self.source.format {
            LogFormat::S3 => (2 * HOUR, 1),
            // An hour's logs come for a day.
            LogFormat::Cloudfront => (26 * HOUR, HOUR),
        };
        let change = |current: Option<&LogState>| {
            let Some(mut state) = current.cloned().filter(|current| {
                current.batches == begun.batches && current.pending == begun.pending
            }) else {
                // Who took over has ended it, with the same content.
                return Err(LogError::Busy);
            };
            let keys = state.pending.take().map(|pending| pending.keys);
            let keys = keys.unwrap_or_default();
            for key in &keys {
                if let Some(named) = name(key)
                    && state.stems.iter().all(|stem| stem.stem != named.stem)
                {
                    state.stems.push(Stem::new(&named, now()));
                }
            }
            let count = state.stems.len();
            for stem in &mut state.stems {
                let of_it: Vec<(u64, i64)> = keys
                    .iter()
                    .filter_map(|key| Some((key, name(key)?)))
                    .filter(|(_, named)| named.stem == stem.stem)
                    .map(|(key, named)| (hash(key), named.at))
                    .collect();
                stem.read(&of_it, slack, step, count);
            }
            state.figures.add(figures);
            state.whose.add(whose);
            Ok(state)
        };
        let scope = Scope::Cache(slug);
        ledger.put(scope, &RecordId::only(), AUTHOR, change).await?;
        Ok(())
    }

    /// Writes down now and then that nothing is left to read.
    async fn read_out(
        &self,
        ledger: &Ledger,
        slug: &str,
        state: &LogState,
        now: i64,
    ) -> Result<(), LogError> {
        if state.read_out.is_some_and(|at| now - at < SAID_EVERY) {
            return Ok(());
        }
        let change = |current: Option<&LogState>| {
            let current = current.cloned().unwrap_or_default().of(&self.place());
            if current.batches != state.batches || current.pending.is_some() {
                return Err(LogError::Busy);
            }
            Ok(LogState {
                read_out: Some(now),
                ..current
            })
        };
        let scope = Scope::Cache(slug);
        ledger.put(scope, &RecordId::only(), AUTHOR, change).await?;
        Ok(())
    }

    /// Takes the hours out of days that are too old to have them.
    async fn thin(&self, ledger: &Ledger, slug: &str, now: i64) -> Result<(), LogError> {
        let old = day_of(now) - HOURS_DAYS * DAY;
        let scope = Scope::Cache(slug);
        let days: Vec<RecordId> = ledger
            .view()
            .list::<LoggedRecord>(scope)
            .filter(|entry| entry.0.day < old && !entry.0.hours.is_empty())
            .map(|entry| entry.id)
            .take(THINNED_AT_ONCE)
            .collect();
        for id in days {
            let thinned = |current: &LoggedRecord| {
                let mut day = current.clone();
                day.0.thin();
                Ok::<_, LedgerError>(day)
            };
            ledger.update(scope, &id, AUTHOR, thinned).await?;
        }
        Ok(())
    }
}

impl LogState {
    /// The same where it is of these logs. Of others everything begins anew, but for the names of
    /// batches.
    pub(super) fn of(self, place: &str) -> Self {
        if self.place == place {
            return self;
        }
        Self {
            place: place.to_owned(),
            batches: self.batches,
            whose: self.whose,
            ..Self::default()
        }
    }
}
