//! How far the logs of a cache are read, as it lies in the ledger.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use xxhash_rust::xxh3::xxh3_64;

use super::names::{Name, position};
use super::whose::Whose;
use crate::config::LogFormat;
use crate::ledger::kind::{Kind, LOGGED, LOGS, Record};
use crate::usage::record::UsageRecord;
use crate::usage::{DAY, HOUR, HOURS_DAYS, KEPT_DAYS};

/// Objects that are remembered by name, of all stems together.
const MOST_RECENT: usize = 6_000;
/// Bytes of one of them: eight of its hash, four of its time.
const PACKED: usize = 12;

/// What the logs of a cache told of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoggedRecord(pub UsageRecord);

impl Record for LoggedRecord {
    const KIND: Kind = LOGGED;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.0.day + KEPT_DAYS * DAY).ok()
    }
}

/// How far the logs of a cache are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogState {
    /// Which logs: where they lie, and their format.
    pub(super) place: String,
    /// How far those of each stem are read.
    pub(super) stems: Vec<Stem>,
    /// Batches that were begun so far; the last may be [`pending`](Self::pending).
    pub(super) batches: u64,
    /// What is read right now.
    pub(super) pending: Option<Pending>,
    /// What was read.
    pub figures: Figures,
    /// When a listing had nothing that was not read, seconds since 1970. Written every few hours.
    pub(super) read_out: Option<i64>,
    /// What this server's own requests are known by, see [`super::whose`].
    pub(super) whose: Whose,
}

impl Record for LogState {
    const KIND: Kind = LOGS;
}

/// Sums over everything that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Log objects.
    pub objects: u64,
    /// Those of them that could not be read, or not to their end.
    pub broken_objects: u64,
    /// Lines.
    pub lines: u64,
    /// Those of them that could not be read.
    pub broken_lines: u64,
    /// Requests of this server, which it has counted itself.
    pub ours: u64,
    /// Reads that were refused (401, 403).
    pub refused: u64,
    /// The last thing that could not be read, in words.
    pub complaint: Option<String>,
    /// The last moment that a line tells of, seconds since 1970.
    pub last: Option<i64>,
    /// Seconds that the newest line was old when it was read.
    pub lag: Option<u64>,
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.broken_objects += other.broken_objects;
        self.lines += other.lines;
        self.broken_lines += other.broken_lines;
        self.ours += other.ours;
        self.refused += other.refused;
        if other.complaint.is_some() {
            self.complaint.clone_from(&other.complaint);
        }
        if other.last > self.last {
            self.last = other.last;
            self.lag = other.lag;
        }
    }
}

/// Objects that one server reads right now. Whoever takes over reads the same ones, so that a batch
/// always has the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Keys, in the order of the listing.
    pub(super) keys: Vec<String>,
    /// Which process.
    pub(super) holder: String,
    /// Until when nobody else takes over, seconds since 1970.
    pub(super) until: i64,
}

/// How far the objects of one stem are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stem {
    /// See [`Name::stem`].
    pub(super) stem: String,
    /// See [`Name::by_day`].
    pub(super) by_day: bool,
    /// Everything that is older is done with, seconds since 1970.
    pub(super) floor: i64,
    /// What was read of newer ones, packed, in base64.
    recent: String,
}

impl Stem {
    /// Nothing is read yet: it begins with what is not too old to have hours.
    pub(super) fn new(name: &Name<'_>, now: i64) -> Self {
        Self {
            stem: name.stem.to_owned(),
            by_day: name.by_day,
            floor: (now - HOURS_DAYS * DAY).div_euclid(HOUR) * HOUR,
            recent: String::new(),
        }
    }

    /// Where its listing begins.
    pub(super) fn position(&self, format: LogFormat) -> String {
        position(
            &self.stem,
            self.by_day,
            self.floor,
            format == LogFormat::Cloudfront,
        )
    }

    /// What was read of it and is newer than its floor: hash of the key, and time.
    pub(super) fn recent(&self) -> Vec<(u64, i64)> {
        let bytes = STANDARD.decode(&self.recent).unwrap_or_default();
        let one = |packed: &[u8]| {
            let hash = u64::from_be_bytes(packed.get(..8)?.try_into().ok()?);
            let at = u32::from_be_bytes(packed.get(8..12)?.try_into().ok()?);
            Some((hash, i64::from(at)))
        };
        bytes.chunks_exact(PACKED).filter_map(one).collect()
    }

    /// Takes over that these were read. What is older than `slack` seconds before the newest of them
    /// is done with; so is what cannot be remembered beside `stems` stems, up to the next `step`
    /// seconds: rather not at all than twice.
    pub(super) fn read(&mut self, keys: &[(u64, i64)], slack: i64, step: i64, stems: usize) {
        let mut recent = self.recent();
        recent.extend_from_slice(keys);
        recent.sort_unstable_by_key(|(hash, at)| (*at, *hash));
        recent.dedup();
        let newest = recent.last().map_or(self.floor, |(_, at)| *at);
        self.floor = self.floor.max(newest - slack);
        let most = MOST_RECENT / stems.max(1);
        if let Some((_, last_gone)) = recent.len().checked_sub(most + 1).map(|at| recent[at]) {
            self.floor = self.floor.max(last_gone + step);
        }
        recent.retain(|(_, at)| *at >= self.floor);
        let mut bytes = Vec::with_capacity(recent.len() * PACKED);
        for (hash, at) in recent {
            bytes.extend_from_slice(&hash.to_be_bytes());
            bytes.extend_from_slice(&u32::try_from(at).unwrap_or(0).to_be_bytes());
        }
        self.recent = STANDARD.encode(bytes);
    }
}

/// By what a key is remembered.
pub(super) fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_remembered_until_it_is_too_old_to_come_again() {
        let name = Name {
            stem: "a/",
            at: 0,
            by_day: false,
        };
        let now = 1_800_000_000;
        let mut stem = Stem::new(&name, now);
        assert_eq!(stem.floor, (now - HOURS_DAYS * DAY) / HOUR * HOUR);
        stem.read(&[(1, now - 9_000), (2, now - 100), (3, now)], 3_600, 1, 1);
        assert_eq!(stem.floor, now - 3_600);
        assert_eq!(stem.recent(), [(2, now - 100), (3, now)]);
        // What is read late moves nothing back.
        stem.read(&[(4, now - 200)], 3_600, 1, 1);
        assert_eq!(stem.floor, now - 3_600);
        assert_eq!(stem.recent().len(), 3);
        let many: Vec<(u64, i64)> = (0..10_000).map(|n| (n, now + n as i64 / 10)).collect();
        stem.read(&many, 3_600, 1, 2);
        let recent = stem.recent();
        assert!(recent.len() <= MOST_RECENT / 2 && recent.len() > MOST_RECENT / 2 - 20);
        assert!(recent.iter().all(|(_, at)| *at >= stem.floor));
        let known = serde_json::to_string(&stem).expect("JSON");
        assert!(known.len() < 60_000, "{}", known.len());
    }
}
