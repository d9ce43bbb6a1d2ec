//! When a path was fetched last, as far as it is known: what retention goes by.
//!
//! Every path that is fetched on a day is kept, by eight bytes of its hash. Two paths of the same
//! eight bytes would both count as fetched: that keeps one too many, and is less likely than any
//! fault of the disk. A day on which more paths were fetched than are kept is not wholly measured.
//! Where a cache has access logs, a day is wholly measured only where they are whole as well.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use snowbank_shared::store_path::StorePathHash;

use super::record::{FetchedRecord, UsageRecord, united};
use super::{DAY, Usage, day_of, now};
use crate::ledger::{Ledger, Scope};

/// Paths of one record.
pub(super) const IN_PART: usize = 12_000;
/// Seconds of a day that nobody may have measured without the day being called measured: a server
/// that starts anew is away for a moment.
const SLACK: i64 = 15 * 60;

/// The part of a hash by which a path is remembered.
pub(super) fn short(hash: &StorePathHash) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

/// When a path was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// Nobody measured.
    NotMeasured,
    /// Not since the day that began then, seconds since 1970: the first that was measured.
    Never {
        /// When measuring began.
        since: i64,
    },
    /// Last on the day that began then, seconds since 1970.
    At {
        /// The day.
        day: i64,
    },
}

/// What was fetched when.
#[derive(Debug, Clone, Default)]
pub struct FetchLog {
    first: Option<i64>,
    whole_since: Option<i64>,
    last: HashMap<u64, i64>,
}

impl FetchLog {
    /// When a path was fetched last.
    pub fn fetched(&self, hash: &StorePathHash) -> Fetched {
        match (self.last.get(&short(hash)), self.first) {
            (Some(day), _) => Fetched::At { day: *day },
            (None, Some(since)) => Fetched::Never { since },
            (None, None) => Fetched::NotMeasured,
        }
    }

    /// The first day that was measured at all: when it began, seconds since 1970.
    pub const fn measured_since(&self) -> Option<i64> {
        self.first
    }

    /// The first of the days up to today that were all measured wholly: when it began, seconds since
    /// 1970. The first and the last day of measuring need not be whole days. `None` where not even
    /// today is.
    pub const fn fully_measured_since(&self) -> Option<i64> {
        self.whole_since
    }
}

/// The first of the days until now that were measured without a gap.
pub(super) fn whole_since(spans: &[(i64, i64)], overflown: &[i64], now: i64) -> Option<i64> {
    let first = spans.iter().map(|(from, _)| *from).min()?;
    let spans = united(spans.to_vec(), 0);
    let mut found = None;
    let mut day = day_of(now);
    while day >= day_of(first) {
        let (from, to) = (day.max(first), (day + DAY).min(now));
        let measured: i64 = spans
            .iter()
            .map(|span| (span.1.min(to) - span.0.max(from)).max(0))
            .sum();
        if to - from - measured > SLACK || overflown.contains(&day) {
            break;
        }
        found = Some(day);
        day -= DAY;
    }
    found
}

impl Usage {
    /// What was fetched when, by all servers. Reads what is kept of more than a year: call it off the
    /// reactor, and once for many paths.
    pub fn fetch_log(&self, ledger: &Ledger, slug: &str) -> FetchLog {
        let now = now();
        let view = ledger.view();
        let mut log = FetchLog::default();
        let (mut spans, mut overflown) = (Vec::new(), Vec::new());
        let mut note = |paths: &mut dyn Iterator<Item = u64>, day: i64| {
            for path in paths {
                let last = log.last.entry(path).or_insert(day);
                *last = (*last).max(day);
            }
        };
        for entry in view.list::<FetchedRecord>(Scope::Cache(slug)) {
            let bytes = STANDARD.decode(&entry.paths).unwrap_or_default();
            let paths = bytes
                .chunks_exact(8)
                .filter_map(|path| path.try_into().ok());
            note(&mut paths.map(u64::from_be_bytes), entry.day);
        }
        for entry in view.list::<UsageRecord>(Scope::Cache(slug)) {
            spans.extend_from_slice(&entry.spans);
            if entry.overflow {
                overflown.push(entry.day);
            }
        }
        for (day, known) in &*self.collected(now) {
            note(&mut known.fetched.iter().copied(), *day);
            spans.extend_from_slice(&known.spans);
            if known.overflow {
                overflown.push(*day);
            }
        }
        log.first = spans.iter().map(|(from, _)| day_of(*from)).min();
        log.whole_since = whole_since(&spans, &overflown, now);
        // Who fetches past this server is known by the logs alone, where there are any.
        if let Some(logs) = self.logs() {
            let logged = logs.whole_since(ledger, slug, now).ok();
            log.whole_since = log.whole_since.zip(logged).map(|(own, logs)| own.max(logs));
        }
        log
    }

    /// When a path was fetched last. For many paths ask [`fetch_log`](Self::fetch_log) once.
    pub fn fetched(&self, ledger: &Ledger, slug: &str, hash: &StorePathHash) -> Fetched {
        self.fetch_log(ledger, slug).fetched(hash)
    }
}

/// Paths as a record has them.
pub(super) fn packed(paths: &[u64]) -> String {
    let bytes: Vec<u8> = paths.iter().flat_map(|path| path.to_be_bytes()).collect();
    STANDARD.encode(bytes)
}
