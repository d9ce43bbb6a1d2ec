//! What one thread counted in one hour, and adding it up by day.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use snowbank_shared::store_path::StorePathHash;

use super::count::Counts;
use super::record::{ClientRow, MissRow, PathRow, UsageRecord};
use super::who::nix_version;
use super::who::{Distinct, MOST_DISTINCT, Who};
use super::{Asker, DAY, HOUR};

/// Clients, paths and misses each that are told apart at once; what is more counts in the sums only.
const MOST_TALLIED: usize = 50_000;
/// Paths of a day that are known to have been fetched.
pub const MOST_FETCHED: usize = 240_000;

/// What a client did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfClient {
    /// Its version of Nix, where it said one.
    pub version: Option<Box<str>>,
    /// When it asked last, seconds since 1970.
    pub last: i64,
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not.
    pub misses: u64,
    /// Bytes of NARs.
    pub bytes: u64,
}

impl OfClient {
    pub(super) fn add(&mut self, other: &Self) {
        if other.last >= self.last {
            self.last = other.last;
            if other.version.is_some() {
                self.version.clone_from(&other.version);
            }
        } else if self.version.is_none() {
            self.version.clone_from(&other.version);
        }
        self.hits += other.hits;
        self.misses += other.misses;
        self.bytes += other.bytes;
    }
}

/// What was fetched of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfPath {
    /// How often its NAR was.
    pub fetches: u64,
    /// Bytes.
    pub bytes: u64,
    /// By whom.
    pub clients: Distinct,
}

impl OfPath {
    pub(super) fn add(&mut self, other: &Self, most: usize) {
        self.fetches += other.fetches;
        self.bytes += other.bytes;
        self.clients.add(&other.clients, most);
    }
}

/// Requests for a path that is not here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfMiss {
    /// How often.
    pub requests: u64,
    /// First, seconds since 1970.
    pub first: i64,
    /// Last.
    pub last: i64,
    /// By whom.
    pub clients: Distinct,
    /// Whether an upstream has it; `None`: not known.
    pub elsewhere: Option<bool>,
}

impl OfMiss {
    pub(super) fn add(&mut self, other: &Self, most: usize) {
        self.first = if self.requests == 0 {
            other.first
        } else {
            self.first.min(other.first)
        };
        self.last = self.last.max(other.last);
        self.requests += other.requests;
        self.clients.add(&other.clients, most);
        self.elsewhere = other.elsewhere.or(self.elsewhere);
    }
}

/// The entry of a key, unless there are too many and it is new.
pub(super) fn entry<K: std::hash::Hash + Eq, V: Default>(
    map: &mut HashMap<K, V>,
    key: K,
    most: usize,
) -> Option<&mut V> {
    if map.len() >= most && !map.contains_key(&key) {
        return None;
    }
    Some(map.entry(key).or_default())
}

/// What one thread counted in one hour.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// When the hour began, seconds since 1970.
    pub(super) hour: i64,
    pub(super) counts: Counts,
    pub(super) clients: HashMap<Who, OfClient>,
    pub(super) paths: HashMap<StorePathHash, OfPath>,
    pub(super) misses: HashMap<StorePathHash, OfMiss>,
}

impl Tally {
    pub(super) fn of_hour(hour: i64) -> Self {
        Self {
            hour,
            ..Self::default()
        }
    }

    /// A client, who asks now.
    pub(super) fn client(&mut self, who: &Who, version: Option<&str>, now: i64) -> &mut OfClient {
        let known = self.clients.contains_key(who);
        let key = match known || self.clients.len() < MOST_TALLIED {
            true => who.clone(),
            false => Who::Named("others".into()),
        };
        let client = self.clients.entry(key).or_default();
        client.last = client.last.max(now);
        if version.is_some() && client.version.as_deref() != version {
            client.version = version.map(Into::into);
        }
        client
    }

    /// An answer to a request for a narinfo.
    pub(super) fn narinfo(
        &mut self,
        now: i64,
        hash: StorePathHash,
        found: bool,
        asker: &Asker<'_>,
    ) {
        self.counts.narinfo.note(micros(asker.took));
        let client = self.client(&asker.who, asker.agent.and_then(nix_version), now);
        if found {
            client.hits += 1;
            self.counts.hits += 1;
        } else {
            client.misses += 1;
            self.counts.misses += 1;
            self.miss(hash, &asker.who, now);
        }
    }

    /// An answer that has a NAR of these paths, or leads to it.
    pub(super) fn nar(
        &mut self,
        now: i64,
        paths: &[StorePathHash],
        whole: bool,
        asker: &Asker<'_>,
    ) {
        self.counts.nar_requests += 1;
        self.counts.nar.note(micros(asker.took));
        self.client(&asker.who, asker.agent.and_then(nix_version), now);
        for path in paths {
            if let Some(path) = self.path(*path).filter(|_| whole) {
                path.fetches += 1;
                path.clients.note(asker.who.number());
            }
        }
    }

    /// Bytes of a NAR.
    pub(super) fn sent(&mut self, now: i64, path: Option<StorePathHash>, bytes: u64, who: &Who) {
        self.counts.nar_bytes += bytes;
        self.client(who, None, now).bytes += bytes;
        if let Some(path) = path.and_then(|path| self.path(path)) {
            path.bytes += bytes;
        }
    }

    /// An answer of 4xx that is neither a miss nor a refusal, or of 5xx.
    pub(super) fn failed(&mut self, status: u16) {
        match status {
            400..500 => self.counts.client_errors += 1,
            500.. => self.counts.server_errors += 1,
            _ => {}
        }
    }

    pub(super) fn miss(&mut self, hash: StorePathHash, who: &Who, now: i64) {
        if let Some(miss) = entry(&mut self.misses, hash, MOST_TALLIED) {
            // Lines of logs are in no order.
            if miss.requests == 0 || now < miss.first {
                miss.first = now;
            }
            miss.requests += 1;
            miss.last = miss.last.max(now);
            miss.clients.note(who.number());
        }
    }

    pub(super) fn path(&mut self, hash: StorePathHash) -> Option<&mut OfPath> {
        entry(&mut self.paths, hash, MOST_TALLIED)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// A day of this process.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// From when to when it was measured, seconds since 1970, oldest first.
    pub(super) spans: Vec<(i64, i64)>,
    /// By when the hour began.
    pub(super) hours: BTreeMap<i64, Counts>,
    pub(super) clients: HashMap<Who, OfClient>,
    pub(super) paths: HashMap<StorePathHash, OfPath>,
    pub(super) misses: HashMap<StorePathHash, OfMiss>,
    /// Of misses that no upstream was asked for yet: how many in which hour.
    unasked: HashMap<StorePathHash, BTreeMap<i64, u64>>,
    /// What was fetched, by [`super::fetched::short`], in the order of its first time.
    pub(super) fetched: Vec<u64>,
    known: HashSet<u64>,
    /// Whether more was fetched than is known.
    pub(super) overflow: bool,
    /// Whether anything was counted that is not written.
    pub(super) news: bool,
    /// When it was written last.
    pub(super) written: Option<i64>,
    /// Parts of `fetched` that are written for good.
    pub(super) full_parts: usize,
}

impl Day {
    /// Adds what a thread counted in one of its hours.
    pub(super) fn add(&mut self, tally: Tally) {
        self.news = true;
        let counts = self.hours.entry(tally.hour).or_default();
        counts.add(&tally.counts);
        for (hash, miss) in tally.misses {
            let requests = miss.requests;
            let Some(known) = entry(&mut self.misses, hash, MOST_TALLIED) else {
                continue;
            };
            known.add(&miss, MOST_DISTINCT);
            match known.elsewhere {
                Some(true) => counts.elsewhere += requests,
                Some(false) => {}
                None => {
                    let hours = self.unasked.entry(hash).or_default();
                    *hours.entry(tally.hour).or_default() += requests;
                }
            }
        }
        for (who, client) in tally.clients {
            if let Some(known) = entry(&mut self.clients, who, MOST_TALLIED) {
                known.add(&client);
            }
        }
        for (hash, path) in tally.paths {
            let short = super::fetched::short(&hash);
            if path.fetches > 0 && !self.known.contains(&short) {
                if self.known.len() < MOST_FETCHED {
                    self.known.insert(short);
                    self.fetched.push(short);
                } else {
                    self.overflow = true;
                }
            }
            if let Some(known) = entry(&mut self.paths, hash, MOST_TALLIED) {
                known.add(&path, MOST_DISTINCT);
            }
        }
    }

    /// Misses that no upstream was asked for yet.
    pub(super) fn to_ask(&self, most: usize) -> Vec<StorePathHash> {
        self.unasked.keys().copied().take(most).collect()
    }

    /// Takes over whether an upstream has what was missed.
    pub(super) fn told(&mut self, hash: &StorePathHash, elsewhere: bool) {
        let Some(hours) = self.unasked.remove(hash) else {
            return;
        };
        self.news = true;
        if let Some(miss) = self.misses.get_mut(hash) {
            miss.elsewhere = Some(elsewhere);
        }
        if elsewhere {
            for (hour, requests) in hours {
                self.hours.entry(hour).or_default().elsewhere += requests;
            }
        }
    }

    /// Says that it was measured until now, from this moment on.
    pub(super) fn measured(&mut self, day: i64, since: i64, now: i64) {
        let (from, to) = (since.max(day), now.min(day + DAY));
        match self.spans.last_mut() {
            Some(span) if span.1 >= from => span.1 = span.1.max(to),
            _ if from < to => self.spans.push((from, to)),
            _ => {}
        }
    }

    /// As it lies in the ledger.
    pub(super) fn record(&self, day: i64, instance: &str) -> UsageRecord {
        let mut record = UsageRecord {
            day,
            instances: vec![instance.to_owned()],
            spans: self.spans.clone(),
            hours: self
                .hours
                .iter()
                .map(|(hour, counts)| (((hour - day) / HOUR).clamp(0, 23) as u8, counts.clone()))
                .collect(),
            total: Counts::default(),
            clients: self.clients.iter().map(ClientRow::from).collect(),
            paths: self.paths.iter().map(PathRow::from).collect(),
            misses: self.misses.iter().map(MissRow::from).collect(),
            others: super::record::Others::default(),
            overflow: self.overflow,
            ends: None,
        };
        record.bound();
        record
    }
}
