//! What was counted in a range, by all servers together.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowbank_shared::api::usage::{NeverFetched, Usage as Shown, UsageEvent, UsageItem, UsageStep};

use super::count::Counts;
use super::logs::LoggedRecord;
use super::record::{UsageRecord, united};
use super::sources::Logs;
use super::{DAY, Fetched, HOUR, Usage, day_of, lock, now};
use crate::auth::records::spelled;
use crate::index::View;
use crate::ledger::{Ledger, Scope};

/// Clients that are told apart for one path over a range.
const MOST_TOLD_APART: usize = 1_000;
/// Gaps and events of an answer.
pub(super) const MOST_LISTED: usize = 100;
/// Seconds that nobody measured and that are no gap: a server that was started anew.
const SLACK: i64 = 30;
/// Days after its upload after which a path that nobody fetched is worth a word, and of measuring
/// before anything is said.
const UNUSED_DAYS: i64 = 30;
/// How long the sum of what was never fetched is believed.
const REMEMBERED: Duration = Duration::from_secs(300);

/// When the sum was made, and what it was.
pub(super) type Remembered = (Instant, Option<NeverFetched>);

/// A range of whole steps, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
}

impl Span {
    /// The range that holds these moments, in whole steps.
    pub fn of(from: i64, to: i64, step: UsageStep) -> Self {
        let step = seconds(step);
        Self {
            from: from.div_euclid(step) * step,
            to: -((-to).div_euclid(step)) * step,
        }
    }

    pub(super) const fn has(self, from: i64, to: i64) -> bool {
        from < self.to && to > self.from
    }
}

const fn seconds(step: UsageStep) -> i64 {
    match step {
        UsageStep::Hour => HOUR,
        UsageStep::Day => DAY,
    }
}

/// `2026-11-23`
pub(super) fn day_text(day: i64) -> String {
    spelled(day).chars().take(10).collect()
}

/// What was counted on the days of a range.
#[derive(Debug, Clone, Default)]
pub struct Report {
    days: BTreeMap<i64, UsageRecord>,
    /// All spans that are known of what is counted, also those outside of the range.
    spans: Vec<(i64, i64)>,
    /// Those of this server and others like it.
    pub(super) own: Vec<(i64, i64)>,
    /// Those of access logs.
    pub(super) logged: Vec<(i64, i64)>,
    /// The access logs, where the cache has them.
    pub(super) logs: Option<Logs>,
    /// What is counted.
    counted: Counted,
    /// When a process began to count, seconds since 1970.
    begins: Vec<i64>,
    pub(super) now: i64,
    /// Whether this server counts nothing.
    pub(super) off: bool,
}

/// Whose figures are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counted {
    /// What went through this server and others like it.
    Own,
    /// What access logs tell.
    Logs,
    /// Both.
    #[default]
    All,
}

impl Usage {
    /// What was counted on the days that a range touches. Call it off the reactor.
    pub fn report(&self, ledger: &Ledger, slug: &str, range: Span, counted: Counted) -> Report {
        let now = now();
        let mut report = Report {
            now,
            off: !self.counts,
            counted,
            logs: self.logs_now(ledger, slug),
            ..Report::default()
        };
        // A record that holds others has to come before them.
        let mut records: Vec<(bool, Arc<UsageRecord>)> = Vec::new();
        let days = self.collected(now);
        for entry in ledger.view().list::<UsageRecord>(Scope::Cache(slug)) {
            let own = entry.instances.contains(&self.instance) && entry.instances.len() == 1;
            if own && days.contains_key(&entry.day) {
                continue;
            }
            let is_whole = entry.id.as_str().ends_with("-all");
            records.push((!is_whole, Arc::clone(&entry.record)));
        }
        for (day, known) in &*days {
            records.push((true, Arc::new(known.record(*day, &self.instance))));
        }
        drop(days);
        records.sort_by_key(|(single, record)| (record.day, *single));
        for (_, record) in records {
            report.own.extend_from_slice(&record.spans);
            if counted != Counted::Logs {
                let begins = record.spans.first().map(|span| span.0);
                report.begins.extend(begins);
                report.add(&record, range);
            }
        }
        let view = ledger.view();
        for entry in view.list::<LoggedRecord>(Scope::Cache(slug)) {
            report.logged.extend_from_slice(&entry.0.spans);
            if counted != Counted::Own {
                report.add(&entry.0, range);
            }
        }
        report.own = united(std::mem::take(&mut report.own), SLACK);
        report.logged = united(std::mem::take(&mut report.logged), DAY);
        report.spans = match counted {
            Counted::Own => report.own.clone(),
            Counted::Logs => report.logged.clone(),
            Counted::All => united([&report.own[..], &report.logged[..]].concat(), 0),
        };
        report
    }

    /// What was uploaded more than 30 days ago and not fetched since measuring began; `None` where
    /// that is not 30 days yet. Remembered for minutes; call it off the reactor.
    pub fn never_fetched(&self, ledger: &Ledger, slug: &str, view: &View) -> Option<NeverFetched> {
        if let Some((at, known)) = &*lock(&self.never)
            && at.elapsed() < REMEMBERED
        {
            return known.clone();
        }
        let log = self.fetch_log(ledger, slug);
        let old = now() - UNUSED_DAYS * DAY;
        let since = log.fully_measured_since().filter(|since| *since <= old);
        let found = since.map(|since| {
            let mut found = NeverFetched {
                since: spelled(since),
                paths: 0,
                bytes: 0,
            };
            let mut archives = HashSet::new();
            for id in view.ids() {
                if view.added_at(id) > old
                    || matches!(log.fetched(&view.hash(id)), Fetched::At { .. })
                {
                    continue;
                }
                found.paths += 1;
                let url = xxhash_rust::xxh3::xxh3_64(view.url(id).as_bytes());
                if archives.insert(url) {
                    found.bytes += view.file_size(id).unwrap_or(0);
                }
            }
            found
        });
        *lock(&self.never) = Some((Instant::now(), found.clone()));
        found
    }
}

impl Report {
    /// Adds a day of somebody, where the range touches it.
    fn add(&mut self, record: &UsageRecord, range: Span) {
        let day = record.day;
        if range.has(day, day + DAY) {
            let known = self.days.entry(day);
            let known = known.or_insert_with(|| UsageRecord::empty(day));
            known.absorb(record, MOST_TOLD_APART);
        }
    }

    /// Whether any moment between these was measured.
    fn is_measured(&self, from: i64, to: i64) -> bool {
        self.spans.iter().any(|span| span.0 < to && span.1 > from)
    }

    fn counts(&self, from: i64, step: UsageStep) -> Option<Counts> {
        if !self.is_measured(from, from + seconds(step)) {
            return None;
        }
        let day = self.days.get(&day_of(from));
        match step {
            UsageStep::Day => Some(day.map(UsageRecord::sum).unwrap_or_default()),
            // What has no hours any more is not known by the hour.
            UsageStep::Hour if day.is_some_and(|day| day.total != Counts::default()) => None,
            UsageStep::Hour => {
                let hour = (from - day_of(from)) / HOUR;
                let known = day.and_then(|day| {
                    let mut hours = day.hours.iter();
                    hours.find(|(known, _)| i64::from(*known) == hour)
                });
                Some(known.map(|(_, counts)| counts.clone()).unwrap_or_default())
            }
        }
    }

    /// Why nothing is known of a range; `None` where something is.
    pub fn not_measured(&self, range: Span) -> Option<String> {
        if self.is_measured(range.from, range.to) {
            return None;
        }
        if self.counted == Counted::Logs || (self.off && self.logs.is_some()) {
            return Some(self.logs_not_measured());
        }
        if self.off {
            return Some("This server does not count who fetches what: `usage` of the cache is off in its configuration.".to_owned());
        }
        Some(match self.spans.first() {
            Some((first, _)) => format!(
                "This server did not count in this time. It counts since {}. \
                 Requests that go to the bucket directly are not counted here.",
                spelled(*first)
            ),
            None => "This server has not counted anything yet. Requests that go to the bucket \
                     directly are not counted here: let clients use this server's address."
                .to_owned(),
        })
    }

    /// The series of a range, its sum, and where it comes from.
    pub fn shown(&self, range: Span, step: UsageStep, never: Option<NeverFetched>) -> Shown {
        let mut items = Vec::new();
        let mut sum = None::<Counts>;
        let mut from = range.from;
        while from < range.to {
            let counts = self.counts(from, step);
            if let Some(counts) = &counts {
                sum.get_or_insert_default().add(counts);
            }
            items.push(UsageItem {
                from: spelled(from),
                counts: counts.as_ref().map(Counts::shown),
            });
            from += seconds(step);
        }
        Shown {
            from: spelled(range.from),
            to: spelled(range.to),
            step,
            as_of: spelled(self.now),
            not_measured: self.not_measured(range),
            sources: self.sources(range),
            items,
            total: sum.as_ref().map(Counts::shown),
            events: self.events(range),
            never_fetched: never,
        }
    }

    fn events(&self, range: Span) -> Vec<UsageEvent> {
        let mut begins = self.begins.clone();
        // A process that counts over midnight begins a record there.
        begins.retain(|at| range.has(*at, at + 1) && *at != day_of(*at));
        begins.sort_unstable();
        begins.dedup();
        let newest = begins.len().saturating_sub(MOST_LISTED);
        let started = |at: &i64| UsageEvent {
            at: spelled(*at),
            words: "Started".to_owned(),
        };
        begins[newest..].iter().map(started).collect()
    }

    /// Who did what on all days of the range together; lists only.
    pub fn lists(&self) -> UsageRecord {
        let mut whole = UsageRecord::empty(0);
        for day in self.days.values() {
            whole.add_lists(day, MOST_TOLD_APART);
            whole.others.clients += day.others.clients;
            whole.others.paths += day.others.paths;
            whole.others.misses += day.others.misses;
        }
        whole
    }
}
