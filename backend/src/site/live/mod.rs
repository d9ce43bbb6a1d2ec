//! Live checks: does a machine use this cache, and if not, where does it stop?
//!
//! A check is a path that nobody else asks for ([`probe`]). A machine that is told to realise
//! it shows by its requests how far it comes ([`seen`]): without the right key it fetches the
//! narinfo and no NAR (ux/ground-truths.md T7). The path lies in memory for [`LIFE`], never in
//! the bucket nor in the index.
//!
//! Requests that name no path (`nix-cache-info`, and those that are refused before the path
//! matters) belong to the checks that were begun from the same address; a refusal also to
//! those that a member began, whose machine may be elsewhere.

mod probe;
mod seen;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use snowbank_shared::api::{LiveCheck, LiveState};
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::Cache;
use crate::auth::limits::{PerAddress, Rate};
use crate::config::LivePeriods;
use crate::index::rfc3339;
use crate::secrets;

use probe::Probe;
use seen::Machine;
pub use seen::{Sight, Viewer};

/// How long a check lasts.
pub const LIFE: time::Duration = time::Duration::minutes(30);
/// Checks at once; when there are more, the oldest that a stranger began goes.
const MOST: usize = 1000;
/// Machines that a check lists.
const MOST_MACHINES: usize = 50;
/// Checks that an address may begin.
const RATE: Rate = Rate {
    burst: 20,
    every: Duration::from_secs(30),
};

/// Why a check cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The cache's secret key is not on this server.
    #[error(
        "this server does not have the secret key of the cache, so it cannot sign a path for the check"
    )]
    NoSigningKey,
    /// Too many from this address; how long until there may be one more.
    #[error("too many live checks were begun from this address")]
    TooOften(Duration),
    /// Too many under way.
    #[error("too many live checks are under way")]
    TooMany,
    /// No random bytes, or a path that cannot be made: our fault.
    #[error("the path of the check cannot be made")]
    Failed,
}

/// What is served for a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeObject {
    /// A narinfo.
    Narinfo(Bytes),
    /// A NAR.
    Nar(Bytes),
}

struct Check {
    cache: String,
    probe: Probe,
    by: Viewer,
    made: OffsetDateTime,
    machines: Vec<Machine>,
    /// Requests of machines beyond the list.
    unlisted: u64,
}

/// The checks of a server.
pub struct LiveChecks {
    periods: LivePeriods,
    rate: PerAddress,
    /// How many there are: where there are none, nobody waits for the lock.
    count: AtomicUsize,
    checks: Mutex<HashMap<StorePathHash, Check>>,
}

impl LiveChecks {
    /// None yet.
    pub fn new(periods: LivePeriods) -> Self {
        Self {
            periods,
            rate: PerAddress::new(RATE),
            count: AtomicUsize::new(0),
            checks: Mutex::default(),
        }
    }

    /// Begins a check.
    ///
    /// # Errors
    /// Where the cache cannot sign, or there are too many.
    pub fn begin(&self, cache: &Cache, by: Viewer) -> Result<LiveCheck, LiveError> {
        let key = cache.signer().ok_or(LiveError::NoSigningKey)?;
        self.rate.take(by.address).map_err(LiveError::TooOften)?;
        let hash = secrets::random().map_err(|error| {
            tracing::error!(%error, "a live check cannot begin");
            LiveError::Failed
        })?;
        let hash = StorePathHash::from_bytes(hash);
        let probe = Probe::make(hash, cache.slug.as_str(), &cache.store_dir, &key);
        let check = Check {
            cache: cache.slug.to_string(),
            probe: probe.map_err(|error| {
                tracing::error!(%error, "the path of a live check cannot be made");
                LiveError::Failed
            })?,
            by,
            made: OffsetDateTime::now_utc(),
            machines: Vec::new(),
            unlisted: 0,
        };
        let mut checks = self.lock();
        Self::forget_old(&mut checks, check.made);
        if checks.len() >= MOST {
            let oldest = checks
                .iter()
                .filter(|(_, check)| !check.by.known)
                .min_by_key(|(_, check)| check.made)
                .map(|(hash, _)| *hash)
                .ok_or(LiveError::TooMany)?;
            checks.remove(&oldest);
        }
        let described = check.describe(hash, self.periods, by, check.made);
        checks.insert(hash, check);
        self.count.store(checks.len(), Ordering::Release);
        Ok(described)
    }

    /// A check of this cache, as it is now.
    pub fn look(&self, cache: &str, token: &str, viewer: Viewer) -> Option<LiveCheck> {
        let hash: StorePathHash = token.parse().ok()?;
        let now = OffsetDateTime::now_utc();
        let mut checks = self.lock();
        Self::forget_old(&mut checks, now);
        self.count.store(checks.len(), Ordering::Release);
        let check = checks.get(&hash).filter(|check| check.cache == cache)?;
        Some(check.describe(hash, self.periods, viewer, now))
    }

    /// Whether there is any check: false on nearly every request of nearly every server.
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether this path was made for a check of the cache.
    pub fn has(&self, cache: &str, hash: &StorePathHash) -> bool {
        self.any()
            && self
                .lock()
                .get(hash)
                .is_some_and(|check| check.cache == cache && check.lives(OffsetDateTime::now_utc()))
    }

    /// The narinfo of a check's path.
    pub fn narinfo(&self, cache: &str, hash: &StorePathHash) -> Option<ProbeObject> {
        if !self.has(cache, hash) {
            return None;
        }
        let checks = self.lock();
        Some(ProbeObject::Narinfo(
            checks.get(hash)?.probe.narinfo.clone(),
        ))
    }

    /// The NAR of a check's path, by its key below the cache.
    pub fn nar(&self, cache: &str, key: &str) -> Option<(StorePathHash, ProbeObject)> {
        if !self.any() {
            return None;
        }
        let now = OffsetDateTime::now_utc();
        let checks = self.lock();
        let (hash, check) = checks.iter().find(|(_, check)| {
            check.probe.url == key && check.cache == cache && check.lives(now)
        })?;
        Some((*hash, ProbeObject::Nar(check.probe.nar.clone())))
    }

    /// Notes what a machine asked for: of this path, or, where it named none that is a check's,
    /// of the cache.
    pub fn saw(
        &self,
        cache: &str,
        hash: Option<&StorePathHash>,
        sight: Sight,
        address: IpAddr,
        user_agent: &str,
    ) {
        if !self.any() {
            return;
        }
        let client = seen::client(user_agent);
        let now = OffsetDateTime::now_utc();
        let mut checks = self.lock();
        if let Some(check) = hash.and_then(|hash| checks.get_mut(hash)) {
            if check.cache == cache && check.lives(now) {
                check.saw(sight, address, &client, now);
            }
            return;
        }
        let refused = matches!(sight, Sight::Refused(_));
        for check in checks.values_mut() {
            let concerned = check.by.address == address || refused && check.by.known;
            if check.cache == cache && concerned && check.lives(now) {
                check.saw(sight, address, &client, now);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StorePathHash, Check>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_old(checks: &mut HashMap<StorePathHash, Check>, now: OffsetDateTime) {
        checks.retain(|_, check| check.lives(now));
    }
}

impl Check {
    fn lives(&self, now: OffsetDateTime) -> bool {
        now - self.made < LIFE
    }

    fn saw(&mut self, sight: Sight, address: IpAddr, client: &str, now: OffsetDateTime) {
        let full = self.machines.len() >= MOST_MACHINES;
        let known = self
            .machines
            .iter_mut()
            .find(|machine| machine.is(address, client));
        match known {
            Some(machine) => machine.saw(sight, now),
            None if full => self.unlisted += 1,
            None => {
                let mut machine = Machine::new(address, client.to_owned(), now);
                machine.saw(sight, now);
                self.machines.push(machine);
            }
        }
    }

    fn describe(
        &self,
        hash: StorePathHash,
        periods: LivePeriods,
        viewer: Viewer,
        now: OffsetDateTime,
    ) -> LiveCheck {
        let seconds = |period: Duration| u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
        let quiet = time::Duration::seconds(i64::from(seconds(periods.quiet)));
        let silence = time::Duration::seconds(i64::from(seconds(periods.silence)));
        let state = if self.machines.iter().any(Machine::has_tried) {
            LiveState::Asked
        } else if now - self.made >= silence {
            LiveState::NeverAsked
        } else {
            LiveState::Waiting
        };
        LiveCheck {
            token: hash.to_string(),
            cache: self.cache.clone(),
            path: self.probe.path.clone(),
            key: self.probe.key.clone(),
            made_at: rfc3339(self.made.unix_timestamp()),
            expires_at: rfc3339((self.made + LIFE).unix_timestamp()),
            quiet_seconds: seconds(periods.quiet),
            silence_seconds: seconds(periods.silence),
            state,
            machines: self
                .machines
                .iter()
                .map(|machine| machine.describe(quiet, now, viewer))
                .collect(),
            unlisted: self.unlisted,
        }
    }
}
