//! What the ledger keeps of a day.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::count::Counts;
use super::tally::{OfClient, OfMiss, OfPath};
use super::who::{Distinct, Who};
use super::{DAY, KEPT_DAYS};
use crate::ledger::kind::{FETCHED, Kind, Record, USAGE};

/// Clients of a day in a record.
const MOST_CLIENTS: usize = 150;
/// Paths of a day in a record.
const MOST_PATHS: usize = 350;
/// Misses of a day in a record.
const MOST_MISSES: usize = 220;
/// Clients, paths and misses each of a day whose hours are gone.
const MOST_OLD: usize = 50;

/// A client on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// Who.
    pub who: Who,
    /// Its version of Nix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nix: Option<Box<str>>,
    /// When it asked last, seconds since 1970.
    pub last: i64,
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not.
    pub misses: u64,
    /// Bytes of NARs.
    pub bytes: u64,
}

impl From<(&Who, &OfClient)> for ClientRow {
    fn from((who, client): (&Who, &OfClient)) -> Self {
        Self {
            who: who.clone(),
            nix: client.version.clone(),
            last: client.last,
            hits: client.hits,
            misses: client.misses,
            bytes: client.bytes,
        }
    }
}

impl From<&ClientRow> for OfClient {
    fn from(row: &ClientRow) -> Self {
        Self {
            version: row.nix.clone(),
            last: row.last,
            hits: row.hits,
            misses: row.misses,
            bytes: row.bytes,
        }
    }
}

/// A path that was fetched on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRow {
    /// Which.
    pub hash: StorePathHash,
    /// How often.
    pub fetches: u64,
    /// Bytes.
    pub bytes: u64,
    /// By whom.
    pub clients: Distinct,
}

impl From<(&StorePathHash, &OfPath)> for PathRow {
    fn from((hash, path): (&StorePathHash, &OfPath)) -> Self {
        Self {
            hash: *hash,
            fetches: path.fetches,
            bytes: path.bytes,
            clients: path.clients.clone(),
        }
    }
}

impl From<&PathRow> for OfPath {
    fn from(row: &PathRow) -> Self {
        Self {
            fetches: row.fetches,
            bytes: row.bytes,
            clients: row.clients.clone(),
        }
    }
}

/// A path that was missed on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissRow {
    /// Which.
    pub hash: StorePathHash,
    /// How often.
    pub requests: u64,
    /// First, seconds since 1970.
    pub first: i64,
    /// Last.
    pub last: i64,
    /// By whom.
    pub clients: Distinct,
    /// Whether an upstream has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<bool>,
}

impl From<(&StorePathHash, &OfMiss)> for MissRow {
    fn from((hash, miss): (&StorePathHash, &OfMiss)) -> Self {
        Self {
            hash: *hash,
            requests: miss.requests,
            first: miss.first,
            last: miss.last,
            clients: miss.clients.clone(),
            elsewhere: miss.elsewhere,
        }
    }
}

impl From<&MissRow> for OfMiss {
    fn from(row: &MissRow) -> Self {
        Self {
            requests: row.requests,
            first: row.first,
            last: row.last,
            clients: row.clients.clone(),
            elsewhere: row.elsewhere,
        }
    }
}

/// How many are counted in the sums and have no row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Others {
    /// Clients.
    pub clients: u64,
    /// Paths.
    pub paths: u64,
    /// Misses.
    pub misses: u64,
}

/// A day, by one process, or by all that measured it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// When it began, seconds since 1970.
    pub day: i64,
    /// Whose records it holds.
    pub instances: Vec<String>,
    /// From when to when it was measured, seconds since 1970.
    pub spans: Vec<(i64, i64)>,
    /// By hour of the day; none where they are folded into the day.
    pub hours: Vec<(u8, Counts)>,
    /// What has no hour any more.
    #[serde(default)]
    pub total: Counts,
    /// Who asked, most narinfos first.
    pub clients: Vec<ClientRow>,
    /// What was fetched, most bytes first.
    pub paths: Vec<PathRow>,
    /// What was missed, most clients first.
    pub misses: Vec<MissRow>,
    /// What has no row.
    #[serde(default)]
    pub others: Others,
    /// Whether more paths were fetched than are known by name.
    #[serde(default)]
    pub overflow: bool,
    /// When it ends, where that is before its time: another record holds it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<i64>,
}

impl Record for UsageRecord {
    const KIND: Kind = USAGE;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let ends = self.ends.unwrap_or(self.day + KEPT_DAYS * DAY);
        OffsetDateTime::from_unix_timestamp(ends).ok()
    }
}

/// Adds spans to spans: sorted, and one where they touch or lie no more than `slack` seconds apart.
pub(super) fn united(mut spans: Vec<(i64, i64)>, slack: i64) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let mut united: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match united.last_mut() {
            Some(last) if from <= last.1 + slack => last.1 = last.1.max(to),
            _ => united.push((from, to)),
        }
    }
    united
}

/// Adds rows to rows of the same name.
fn joined<K: std::hash::Hash + Eq + Clone, V: Default, R: for<'a> From<(&'a K, &'a V)>>(
    ours: &[R],
    theirs: &[R],
    key: impl Fn(&R) -> K,
    mut add: impl FnMut(&mut V, &R),
) -> Vec<R> {
    let mut map: HashMap<K, V> = HashMap::with_capacity(ours.len() + theirs.len());
    for row in ours.iter().chain(theirs) {
        add(map.entry(key(row)).or_default(), row);
    }
    map.iter()
        .map(|(key, value)| R::from((key, value)))
        .collect()
}

/// Drops what a list has beyond `most`; how many that is.
fn cut<T>(rows: &mut Vec<T>, most: usize) -> u64 {
    let more = rows.len().saturating_sub(most);
    rows.truncate(most);
    more as u64
}

impl UsageRecord {
    /// Sorts the lists and cuts them to what a record holds.
    pub(super) fn bound(&mut self) {
        self.clients.sort_by(|a, b| {
            (b.hits + b.misses, b.bytes, &a.who).cmp(&(a.hits + a.misses, a.bytes, &b.who))
        });
        self.paths
            .sort_by(|a, b| (b.bytes, b.fetches, a.hash).cmp(&(a.bytes, a.fetches, b.hash)));
        // What an upstream has is of no use to anybody here, so it goes first.
        self.misses.sort_by(|a, b| {
            let key = |row: &MissRow| {
                (
                    row.elsewhere != Some(true),
                    row.clients.count(),
                    row.requests,
                )
            };
            key(b).cmp(&key(a)).then_with(|| a.hash.cmp(&b.hash))
        });
        self.others.clients += cut(&mut self.clients, MOST_CLIENTS);
        self.others.paths += cut(&mut self.paths, MOST_PATHS);
        self.others.misses += cut(&mut self.misses, MOST_MISSES);
    }

    /// Adds what another process counted on the same day; `most` clients of a path are told apart.
    /// Says whether it was new.
    pub(super) fn absorb(&mut self, other: &Self, most: usize) -> bool {
        let mut theirs = other.instances.iter();
        if theirs.any(|one| self.instances.contains(one)) {
            return false;
        }
        self.instances.extend(other.instances.iter().cloned());
        self.spans = united([&self.spans[..], &other.spans[..]].concat(), 0);
        for (hour, counts) in &other.hours {
            match self.hours.iter_mut().find(|(known, _)| known == hour) {
                Some((_, known)) => known.add(counts),
                None => self.hours.push((*hour, counts.clone())),
            }
        }
        self.total.add(&other.total);
        self.add_lists(other, most);
        self.others.clients += other.others.clients;
        self.others.paths += other.others.paths;
        self.others.misses += other.others.misses;
        self.overflow |= other.overflow;
        true
    }

    /// Adds only who did what to which path.
    pub(super) fn add_lists(&mut self, other: &Self, most: usize) {
        self.clients = joined(
            &self.clients,
            &other.clients,
            |row| row.who.clone(),
            |sum: &mut OfClient, row| sum.add(&row.into()),
        );
        self.paths = joined(
            &self.paths,
            &other.paths,
            |row| row.hash,
            |sum: &mut OfPath, row| sum.add(&row.into(), most),
        );
        self.misses = joined(
            &self.misses,
            &other.misses,
            |row| row.hash,
            |sum: &mut OfMiss, row| sum.add(&row.into(), most),
        );
    }

    /// Nothing of a day.
    pub(super) fn empty(day: i64) -> Self {
        Self {
            day,
            instances: Vec::new(),
            spans: Vec::new(),
            hours: Vec::new(),
            total: Counts::default(),
            clients: Vec::new(),
            paths: Vec::new(),
            misses: Vec::new(),
            others: Others::default(),
            overflow: false,
            ends: None,
        }
    }

    /// Makes an old day small: its hours become the day's, and of its lists the first rows stay.
    pub(super) fn thin(&mut self) {
        self.total = self.sum();
        self.hours.clear();
        self.bound();
        self.others.clients += cut(&mut self.clients, MOST_OLD);
        self.others.paths += cut(&mut self.paths, MOST_OLD);
        self.others.misses += cut(&mut self.misses, MOST_OLD);
    }

    /// Everything that it counted.
    pub fn sum(&self) -> Counts {
        let mut sum = self.total.clone();
        for (_, counts) in &self.hours {
            sum.add(counts);
        }
        sum
    }
}

/// Some of the paths that were fetched on a day, each by eight bytes of its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedRecord {
    /// When the day began, seconds since 1970.
    pub day: i64,
    /// The paths, in base64.
    pub paths: String,
}

impl Record for FetchedRecord {
    const KIND: Kind = FETCHED;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.day + KEPT_DAYS * DAY).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::count::Times;
    use crate::usage::who::MOST_DISTINCT;

    #[test]
    fn a_full_day_is_not_too_large_and_says_what_it_leaves_out() {
        let mut clients = Distinct::default();
        (0..50).for_each(|number| clients.note(u32::MAX - number));
        assert_eq!(clients.count(), MOST_DISTINCT as u64);
        let mut times = Times::default();
        (0..40).for_each(|power| times.note(1 << power));
        let counts = Counts {
            hits: u64::from(u32::MAX),
            nar_bytes: 1 << 50,
            narinfo: times.clone(),
            nar: times,
            ..Counts::default()
        };
        let hash = |number: u32| {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            StorePathHash::from_bytes(bytes)
        };
        let mut record = UsageRecord {
            day: 20_000 * DAY,
            instances: vec!["a".repeat(16)],
            spans: vec![(20_000 * DAY, 20_001 * DAY)],
            hours: (0..24).map(|hour| (hour, counts.clone())).collect(),
            total: Counts::default(),
            clients: (0..5_000)
                .map(|number| ClientRow {
                    who: Who::Named(format!("machine:{number}{}", "x".repeat(115)).into()),
                    nix: Some("2.31pre20250101_abcdefgh".into()),
                    last: 1_800_000_000,
                    hits: 1 << 40,
                    misses: 1 << 40,
                    bytes: 1 << 50,
                })
                .collect(),
            paths: (0..5_000)
                .map(|number| PathRow {
                    hash: hash(number),
                    fetches: 1 << 30,
                    bytes: u64::from(number),
                    clients: clients.clone(),
                })
                .collect(),
            misses: (0..5_000)
                .map(|number| MissRow {
                    hash: hash(number),
                    requests: 1 << 30,
                    first: 1_800_000_000,
                    last: 1_800_000_000,
                    clients: clients.clone(),
                    elsewhere: Some(number % 2 == 0),
                })
                .collect(),
            others: Others::default(),
            overflow: false,
            ends: None,
        };
        record.bound();
        let text = serde_json::to_string(&record).expect("JSON");
        assert!(text.len() < 220 << 10, "{}", text.len());
        assert_eq!(record.paths[0].bytes, 4_999, "the most come first");
        assert_eq!(record.others.paths, 5_000 - MOST_PATHS as u64);
        assert!(
            record
                .misses
                .iter()
                .all(|miss| miss.elsewhere == Some(false))
        );
        let back: UsageRecord = serde_json::from_str(&text).expect("read back");
        assert_eq!(back, record);
        assert_eq!(back.sum().hits, 24 * u64::from(u32::MAX));
    }
}
