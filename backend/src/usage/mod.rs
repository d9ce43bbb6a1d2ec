//! Who fetches what through this server: counted as it is served, kept by day.
//!
//! *What counts.* GET and HEAD of narinfos: 200 is a hit, 404 a miss, also where a path is held back.
//! GET of NARs: a request, its bytes as they are sent; where the client is sent to the bucket, the
//! size of the archive. A path counts as fetched when its NAR is, from its beginning. Not counted are
//! paths of live checks, refusals (401, 403), and the dashboard with its API. Times are those until
//! the answer begins.
//!
//! *Who.* See [`who`]: a token, a machine or a member by name, everybody else by the group of their
//! address, never by the address. A public cache looks nobody up, so there it is always the group.
//!
//! *How.* Each thread counts into a [`tally`] of its own, so that a narinfo from memory costs one
//! lock that nobody else holds. Tallies are added up by day every [`EVERY`] seconds and whenever
//! somebody asks; then the day is written to the ledger, one record for each process and day
//! ([`record`]), and what was fetched beside it ([`fetched`]). A server that is killed loses what it
//! counted since; that time is not in its spans, so it is a gap. Lists are cut to what a record holds,
//! with the number of what is left out; sums are exact.
//!
//! *Together.* [`report`] reads the records of all processes and takes this one's days from memory.
//! Days that are over become one record ([`keep`]); after [`HOURS_DAYS`] days it has no hours any
//! more; it ends after [`KEPT_DAYS`] days.
//!
//! *Off.* `caches.SLUG.usage = "off"` counts nothing of a cache; what was counted before stays until it
//! ends.
//!
//! *Other sources.* Requests that go to the bucket directly, or are answered by a CDN, are known from
//! access logs where the cache has them ([`logs`]), and in nobody's figures where it has not; the list
//! of sources says which ([`sources`]).
//!
//! *Made up.* A demonstration has a [`past`] that nobody counted; pages say so.

mod count;
mod fetched;
mod keep;
mod logs;
mod past;
mod record;
mod report;
mod sources;
mod tally;
mod who;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use snowbank_shared::store_path::StorePathHash;

pub use count::{Counts, Times};
pub use fetched::{FetchLog, Fetched};
pub use logs::{Figures, LogError, LogReader, LogSource, LogState, LoggedRecord};
pub use past::Past;
pub use record::{ClientRow, FetchedRecord, MissRow, Others, PathRow, UsageRecord};
pub use report::{Counted, Report, Span};
pub use who::{Who, nix_version};

use crate::secrets::{self, SecretError};
use tally::{Day, Tally};

/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Seconds between two writings of what was counted.
pub const EVERY: u64 = 120;
/// Days for which hours are kept.
pub const HOURS_DAYS: i64 = 40;
/// Days for which a day is kept.
pub const KEPT_DAYS: i64 = 400;

/// Threads that count without waiting for each other.
const SHARDS: usize = 16;

/// Who asks, and since when the answer is made.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// Who.
    pub who: Who,
    /// What their `User-Agent` says.
    pub agent: Option<&'a str>,
    /// How long the answer took to begin.
    pub took: Duration,
}

/// How a cache is used.
pub struct Usage {
    /// Of this process.
    instance: String,
    /// Whether it counts at all.
    counts: bool,
    /// Whether somebody else may have what is missed.
    asks_upstreams: bool,
    /// When it began to count, seconds since 1970.
    began: i64,
    shards: Vec<Mutex<Vec<Tally>>>,
    days: Mutex<BTreeMap<i64, Day>>,
    never: Mutex<Option<report::Remembered>>,
    generated: OnceLock<i64>,
    /// The other source, where the cache has one.
    logs: Option<LogReader>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The midnight before.
const fn day_of(seconds: i64) -> i64 {
    seconds.div_euclid(DAY) * DAY
}

/// The number of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.with(|mine| *mine)
}

impl Usage {
    /// Begins to count, unless that is switched off. `asks_upstreams`: somebody else may have what is
    /// missed.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(counts: bool, asks_upstreams: bool) -> Result<Self, SecretError> {
        let instance: [u8; 8] = secrets::random()?;
        let usage = Self::of(u64::from_be_bytes(instance), asks_upstreams, now());
        Ok(Self { counts, ..usage })
    }

    /// The same with access logs, which tell of what does not go through this server.
    #[must_use]
    pub fn with_logs(self, logs: Option<LogReader>) -> Self {
        Self { logs, ..self }
    }

    /// The access logs, where the cache has them.
    pub fn logs(&self) -> Option<&LogReader> {
        self.logs.as_ref()
    }

    fn of(instance: u64, asks_upstreams: bool, began: i64) -> Self {
        Self {
            instance: format!("{instance:016x}"),
            counts: true,
            asks_upstreams,
            began,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            days: Mutex::default(),
            never: Mutex::default(),
            generated: OnceLock::new(),
            logs: None,
        }
    }

    /// Counts into this thread's hour.
    fn count(&self, now: i64, add: impl FnOnce(&mut Tally)) {
        if !self.counts {
            return;
        }
        let hour = now.div_euclid(HOUR) * HOUR;
        let mut tallies = lock(&self.shards[shard()]);
        if tallies.last().is_none_or(|tally| tally.hour != hour) {
            tallies.push(Tally::of_hour(hour));
        }
        if let Some(tally) = tallies.last_mut() {
            add(tally);
        }
    }

    /// Counts an answer to a request for a narinfo.
    pub fn narinfo(&self, hash: StorePathHash, found: bool, asker: &Asker<'_>) {
        self.narinfo_at(now(), hash, found, asker);
    }

    fn narinfo_at(&self, now: i64, hash: StorePathHash, found: bool, asker: &Asker<'_>) {
        self.count(now, |tally| tally.narinfo(now, hash, found, asker));
    }

    /// Counts an answer that has a NAR, or leads to it. `paths` are those whose archive it is, and
    /// `whole` says whether it begins at its beginning.
    pub fn nar(&self, paths: &[StorePathHash], whole: bool, asker: &Asker<'_>) {
        self.nar_at(now(), paths, whole, asker);
    }

    fn nar_at(&self, now: i64, paths: &[StorePathHash], whole: bool, asker: &Asker<'_>) {
        self.count(now, |tally| tally.nar(now, paths, whole, asker));
    }

    /// Counts bytes of a NAR. Of an archive of several paths they are the first one's.
    pub fn sent(&self, path: Option<StorePathHash>, bytes: u64, who: &Who) {
        let now = now();
        self.count(now, |tally| tally.sent(now, path, bytes, who));
    }

    /// Counts an answer of 4xx that is neither a miss nor a refusal, or of 5xx.
    pub fn failed(&self, status: u16) {
        self.count(now(), |tally| tally.failed(status));
    }

    /// Says that figures until then, seconds since 1970, are made up. Once.
    pub fn set_generated_until(&self, until: i64) {
        let _ = self.generated.set(until);
    }

    /// Until when figures are made up, seconds since 1970; `None` where all were counted.
    pub fn generated_until(&self) -> Option<i64> {
        self.generated.get().copied()
    }

    /// The days of this process with everything that was counted until now.
    fn collected(&self, now: i64) -> MutexGuard<'_, BTreeMap<i64, Day>> {
        let mut days = lock(&self.days);
        for shard in &self.shards {
            let tallies = std::mem::take(&mut *lock(shard));
            for tally in tallies {
                days.entry(day_of(tally.hour)).or_default().add(tally);
            }
        }
        if !self.counts {
            return days;
        }
        days.entry(day_of(now)).or_default();
        for (day, known) in &mut *days {
            // This second is measured too.
            known.measured(*day, self.began, now + 1);
            if !self.asks_upstreams {
                for hash in known.to_ask(usize::MAX) {
                    known.told(&hash, false);
                }
            }
        }
        days
    }

    /// Paths that were missed and that no upstream was asked for yet, so many at most.
    pub fn to_ask(&self, most: usize) -> Vec<StorePathHash> {
        let days = self.collected(now());
        days.values()
            .flat_map(|day| day.to_ask(most))
            .take(most)
            .collect()
    }

    /// Takes over whether an upstream has a path that was missed.
    pub fn told(&self, hash: &StorePathHash, elsewhere: bool) {
        for day in lock(&self.days).values_mut() {
            day.told(hash, elsewhere);
        }
    }
}

#[cfg(test)]
mod tests;
