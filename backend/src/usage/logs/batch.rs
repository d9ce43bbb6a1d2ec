//! What some log objects tell together, counted as this server counts what it serves.

use std::collections::{BTreeMap, BTreeSet};

use snowbank_shared::store_path::StorePathHash;

use super::LogSource;
use super::line::{Line, Request, Unreadable};
use super::names::name;
use super::state::Figures;
use super::whose::Whose;
use super::{cloudfront, object, s3};
use crate::config::LogFormat;
use crate::index::View;
use crate::usage::fetched::short;
use crate::usage::record::UsageRecord;
use crate::usage::tally::{Day, Tally};
use crate::usage::{DAY, HOUR, KEPT_DAYS, Who, day_of, nix_version};

/// Paths that share an archive and are in the figures at most.
const MOST_SHARING: usize = 64;
/// Characters of a key in a complaint.
const MOST_SPELLED: usize = 120;

/// Sums over some objects.
#[derive(Debug)]
pub(super) struct Batch {
    tallies: BTreeMap<i64, Tally>,
    /// By day: the first moment and the last that any line tells of.
    spans: BTreeMap<i64, (i64, i64)>,
    /// By day: what was fetched, also in parts.
    fetched: BTreeMap<i64, BTreeSet<u64>>,
    /// Days of which a log object is lost, so that more may have been fetched on them.
    lost: BTreeSet<i64>,
    /// The key of [`Whose::mark`] as the lines have it.
    mark: Option<String>,
    pub(super) whose: Whose,
    pub(super) figures: Figures,
}

/// A day of a batch.
pub(super) struct BatchDay {
    pub(super) day: i64,
    known: Day,
    pub(super) fetched: BTreeSet<u64>,
}

impl BatchDay {
    /// As a record of this name.
    pub(super) fn record(&self, name: &str) -> UsageRecord {
        self.known.record(self.day, name)
    }

    /// What was missed, most often first.
    pub(super) fn missed(&self) -> Vec<StorePathHash> {
        let mut missed = self.known.to_ask(usize::MAX);
        let requests =
            |hash: &StorePathHash| self.known.misses.get(hash).map_or(0, |miss| miss.requests);
        missed.sort_by_key(|hash| (std::cmp::Reverse(requests(hash)), *hash));
        missed
    }

    /// Takes over whether an upstream has a path that was missed.
    pub(super) fn told(&mut self, hash: &StorePathHash, elsewhere: bool) {
        self.known.told(hash, elsewhere);
    }
}

impl Batch {
    /// Nothing yet. `whose`: what the server's own requests are known by.
    pub(super) fn new(whose: Whose, source: &LogSource) -> Self {
        Self {
            tallies: BTreeMap::new(),
            spans: BTreeMap::new(),
            fetched: BTreeMap::new(),
            lost: BTreeSet::new(),
            mark: whose.key().map(|key| format!("{}{key}", source.prefix)),
            whose,
            figures: Figures::default(),
        }
    }

    /// Counts an object. `key`: its name, for complaints; `now`: seconds since 1970.
    pub(super) fn object(
        &mut self,
        source: &LogSource,
        view: &View,
        key: &str,
        bytes: &[u8],
        now: i64,
    ) {
        self.figures.objects += 1;
        let mut columns = None;
        let done = object::lines(bytes, |number, text| {
            self.figures.lines += 1;
            let read = text.and_then(|text| {
                let line = match source.format {
                    LogFormat::S3 => s3::line(text, source.bucket.as_deref(), &self.whose),
                    LogFormat::Cloudfront => cloudfront::line(text, &mut columns, source.origin),
                };
                self.line(line?, source, view, now)
            });
            if let Err(why) = read {
                self.figures.broken_lines += 1;
                self.complain(&format!("line {number} of"), key, &why.to_string());
            }
        });
        if let Err(why) = done {
            self.broken(key, &why.to_string());
        }
    }

    /// An object that cannot be read, or not to its end.
    pub(super) fn broken(&mut self, key: &str, why: &str) {
        self.figures.broken_objects += 1;
        self.complain("", key, why);
        // It tells of the time up to the one in its name.
        if let Some(named) = name(key) {
            self.lost.extend([day_of(named.at), day_of(named.at) - DAY]);
        }
    }

    fn complain(&mut self, place: &str, key: &str, why: &str) {
        let key: String = key.chars().take(MOST_SPELLED).collect();
        let key = key.escape_debug();
        self.figures.complaint = Some(format!("{place} {key}: {why}").trim_start().to_owned());
    }

    fn line(
        &mut self,
        line: Line<'_>,
        source: &LogSource,
        view: &View,
        now: i64,
    ) -> Result<(), Unreadable> {
        let at = match &line {
            Line::Read(request) => request.at,
            Line::Ours(at) | Line::Other(at) => *at,
            Line::Nothing => return Ok(()),
        };
        if !(now - KEPT_DAYS * DAY..now + DAY).contains(&at) {
            return Err(Unreadable("its time is too far away"));
        }
        let span = self.spans.entry(day_of(at)).or_insert((at, at + 1));
        *span = (span.0.min(at), span.1.max(at + 1));
        if self.figures.last.is_none_or(|last| last < at) {
            self.figures.last = Some(at);
            self.figures.lag = Some(now.saturating_sub(at).max(0).unsigned_abs());
        }
        match line {
            Line::Read(request) if self.mark.as_deref() == Some(&*request.key) => {
                self.figures.ours += 1;
                self.whose.learn(request.requester);
            }
            Line::Read(request) => self.read(&request, source, view),
            Line::Ours(_) => self.figures.ours += 1,
            Line::Other(_) | Line::Nothing => {}
        }
        Ok(())
    }

    fn read(&mut self, request: &Request<'_>, source: &LogSource, view: &View) {
        let Some(key) = source.key(&request.key) else {
            return;
        };
        let who = match request.address {
            Some(address) => Who::at(address),
            None => Who::Named("address not logged".into()),
        };
        match StorePathHash::from_narinfo_key(key) {
            Some(hash) => self.narinfo(hash, request, &who),
            None => self.nar(key, request, &who, view),
        }
    }

    fn tally(&mut self, at: i64) -> &mut Tally {
        let hour = at.div_euclid(HOUR) * HOUR;
        let tally = self.tallies.entry(hour);
        tally.or_insert_with(|| Tally::of_hour(hour))
    }

    /// Counts an answer that is none of those which are looked for.
    fn failed(&mut self, request: &Request<'_>) {
        match request.status {
            401 | 403 => self.figures.refused += 1,
            400..500 => self.tally(request.at).counts.client_errors += 1,
            500.. => self.tally(request.at).counts.server_errors += 1,
            _ => {}
        }
    }

    fn narinfo(&mut self, hash: StorePathHash, request: &Request<'_>, who: &Who) {
        if !matches!(request.status, 200 | 404) {
            return self.failed(request);
        }
        let tally = self.tally(request.at);
        if let Some(micros) = request.micros {
            tally.counts.narinfo.note(micros);
        }
        let client = tally.client(who, nix_version(&request.agent), request.at);
        if request.status == 200 {
            client.hits += 1;
            tally.counts.hits += 1;
        } else {
            client.misses += 1;
            tally.counts.misses += 1;
            tally.miss(hash, who, request.at);
        }
    }

    fn nar(&mut self, key: &str, request: &Request<'_>, who: &Who, view: &View) {
        let ids = view.ids_by_nar(key);
        // An archive that is gone by now was one all the same.
        if ids.is_empty() && !key.starts_with("nar/") {
            if request.status >= 500 {
                self.failed(request);
            }
            return;
        }
        match request.status {
            200 | 206 if !request.head => {}
            // Who uploads asks first whether it is there.
            400..500 if request.head => return,
            _ => return self.failed(request),
        }
        let paths: Vec<StorePathHash> = ids.iter().map(|id| view.hash(*id)).collect();
        let tally = self.tally(request.at);
        tally.counts.nar_requests += 1;
        tally.counts.nar_bytes += request.bytes;
        if let Some(micros) = request.micros {
            tally.counts.nar.note(micros);
        }
        let version = nix_version(&request.agent);
        tally.client(who, version, request.at).bytes += request.bytes;
        for (number, hash) in paths.iter().take(MOST_SHARING).enumerate() {
            if let Some(path) = tally.path(*hash) {
                if request.whole {
                    path.fetches += 1;
                    path.clients.note(who.number());
                }
                if number == 0 {
                    path.bytes += request.bytes;
                }
            }
        }
        let fetched = self.fetched.entry(day_of(request.at)).or_default();
        fetched.extend(paths.iter().map(short));
    }

    /// Its days.
    pub(super) fn into_days(self) -> Vec<BatchDay> {
        let Self {
            tallies,
            spans,
            mut fetched,
            lost,
            ..
        } = self;
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        for tally in tallies.into_values() {
            days.entry(day_of(tally.hour)).or_default().add(tally);
        }
        for (day, span) in spans {
            days.entry(day).or_default().spans.push(span);
        }
        for day in lost {
            days.entry(day).or_default().overflow = true;
        }
        days.into_iter()
            .map(|(day, known)| BatchDay {
                day,
                known,
                fetched: fetched.remove(&day).unwrap_or_default(),
            })
            .collect()
    }
}
