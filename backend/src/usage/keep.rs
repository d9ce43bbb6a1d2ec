//! Writing what was counted to the ledger, and making one record of the many of a day that is over.

use snowbank_shared::api::Presence;
use snowbank_shared::store_path::StorePathHash;

use super::fetched::{IN_PART, packed};
use super::record::{FetchedRecord, UsageRecord};
use super::report::day_text;
use super::tally::Day;
use super::who::MOST_DISTINCT;
use super::{DAY, HOURS_DAYS, Usage, day_of, lock, now};
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::upstream::Upstreams;

/// Who writes these records, as the ledger has it.
const AUTHOR: &str = "usage";
/// Seconds after which a server that nobody asks writes that it measures all the same.
const IDLE: i64 = 600;
/// Days that are made into one record at once.
const FOLDED_AT_ONCE: usize = 2;

/// What is to be written of a day.
pub(super) struct Work {
    day: i64,
    record: UsageRecord,
    /// Parts of what was fetched, by number; whether each is full.
    parts: Vec<(usize, FetchedRecord, bool)>,
}

impl Work {
    /// Everything of a day; of what was fetched only what is not written for good.
    pub(super) fn of(day: i64, known: &Day, news: bool, instance: &str) -> Self {
        let part = |(number, paths): (usize, &[u64])| {
            let record = FetchedRecord {
                day,
                paths: packed(paths),
            };
            (number, record, paths.len() == IN_PART)
        };
        let fetched: &[u64] = if news { &known.fetched } else { &[] };
        let parts = fetched.chunks(IN_PART).enumerate();
        Self {
            day,
            parts: parts.skip(known.full_parts).map(part).collect(),
            record: known.record(day, instance),
        }
    }
}

impl Usage {
    /// Writes what was counted since it was written last. `ending`: nothing is counted after this.
    /// What cannot be written is kept, and written the next time.
    pub async fn write(&self, ledger: &Ledger, slug: &str, ending: bool) {
        for work in self.work(now(), ending) {
            let done = write_day(ledger, slug, &self.instance, &work).await;
            if let Err(error) = &done {
                tracing::warn!(cache = slug, %error, "what was counted could not be written yet");
            }
            self.written(&work, done.is_ok());
        }
        if !ending && let Err(error) = self.fold(ledger, slug).await {
            tracing::warn!(cache = slug, %error, "records of usage could not be joined yet");
        }
    }

    fn work(&self, now: i64, ending: bool) -> Vec<Work> {
        let mut days = self.collected(now);
        let mut work = Vec::new();
        for (day, known) in &mut *days {
            let last = known.written.unwrap_or(self.began.max(*day));
            let is_over = *day < day_of(now);
            let idle = match ending {
                true => known.written.is_some_and(|written| written < day + DAY),
                false => now - last >= IDLE || (is_over && last < day + DAY),
            };
            if !known.news && !idle {
                continue;
            }
            work.push(Work::of(*day, known, known.news, &self.instance));
            known.news = false;
            known.written = Some(now);
        }
        work
    }

    /// Remembers that a day was written, or was not.
    fn written(&self, work: &Work, done: bool) {
        let mut days = lock(&self.days);
        let Some(known) = days.get_mut(&work.day) else {
            return;
        };
        if !done {
            known.news = true;
        } else {
            known.full_parts += work.parts.iter().filter(|(_, _, full)| *full).count();
            let is_over = work.day + DAY < day_of(now());
            if is_over && !known.news {
                days.remove(&work.day);
            }
        }
        // A ledger that is away for days does not fill the memory.
        while days.len() > 4 {
            days.pop_first();
        }
    }

    /// Makes one record of those of a day that ended a day ago at least, and takes the hours out of
    /// old ones. Who does it twice, or at the same time as another server, counts nothing twice: a
    /// record says whose records it holds.
    async fn fold(&self, ledger: &Ledger, slug: &str) -> Result<(), LedgerError> {
        let today = day_of(now());
        let before = today - DAY;
        let old = today - HOURS_DAYS * DAY;
        let mut days: Vec<(i64, Vec<(RecordId, UsageRecord)>)> = Vec::new();
        for entry in ledger.view().list::<UsageRecord>(Scope::Cache(slug)) {
            let day = entry.day;
            if day >= before || lock(&self.days).contains_key(&day) {
                continue;
            }
            let record = (entry.id.clone(), (*entry.record).clone());
            match days.iter_mut().find(|(known, _)| *known == day) {
                Some((_, records)) => records.push(record),
                None => days.push((day, vec![record])),
            }
        }
        let mut folded = 0;
        for (day, records) in days {
            let Ok(id) = format!("{}-all", day_text(day)).parse::<RecordId>() else {
                continue;
            };
            let hours_go = day < old && records.iter().any(|(_, record)| !record.hours.is_empty());
            let others: Vec<_> = records.iter().filter(|(known, _)| *known != id).collect();
            if others.is_empty() && !hours_go {
                continue;
            }
            if folded == FOLDED_AT_ONCE {
                break;
            }
            folded += 1;
            let join = |current: Option<&UsageRecord>| {
                let mut whole = current.cloned().unwrap_or_else(|| UsageRecord::empty(day));
                for (_, record) in &others {
                    whole.absorb(record, MOST_DISTINCT);
                }
                if hours_go {
                    whole.thin();
                }
                whole.bound();
                Ok::<_, LedgerError>(whole)
            };
            let scope = Scope::Cache(slug);
            ledger.put(scope, &id, AUTHOR, join).await?;
            for (id, _) in &others {
                let ended = UsageRecord {
                    ends: Some(now() - 1),
                    ..UsageRecord::empty(day)
                };
                match put(ledger, slug, id, &ended).await {
                    // Another server ended it.
                    Ok(()) | Err(LedgerError::Exists(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Asks upstreams for paths that were missed: what they have is of no use here.
    pub async fn ask_upstreams(&self, upstreams: &Upstreams, most: usize) {
        if !self.asks_upstreams {
            return;
        }
        let wanted: Vec<StorePathHash> = self.to_ask(most);
        for hash in wanted {
            if let Some(elsewhere) = is_elsewhere(upstreams, hash).await {
                self.told(&hash, elsewhere);
            }
        }
    }
}

/// Whether an upstream has a path; `None` where that is not known now.
pub(super) async fn is_elsewhere(upstreams: &Upstreams, hash: StorePathHash) -> Option<bool> {
    let answers = upstreams.ask(hash).await;
    let any = |presence: Presence| answers.iter().any(|answer| answer.presence == presence);
    match (any(Presence::Present), any(Presence::Unknown)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}

/// Writes what a process counted on a day.
pub(super) async fn write_day(
    ledger: &Ledger,
    slug: &str,
    instance: &str,
    work: &Work,
) -> Result<(), LedgerError> {
    let day = day_text(work.day);
    // First what was fetched: a day that counts as measured has it.
    for (number, part, _) in &work.parts {
        let id = format!("{day}-{instance}-{number}");
        let Ok(id) = id.parse::<RecordId>() else {
            continue;
        };
        put(ledger, slug, &id, part).await?;
    }
    match format!("{day}-{instance}").parse::<RecordId>() {
        Ok(id) => match put(ledger, slug, &id, &work.record).await {
            // Another server has joined this day with others and ended this record.
            Err(LedgerError::Exists(_)) => Ok(()),
            done => done,
        },
        Err(_) => Ok(()),
    }
}

async fn put<R: crate::ledger::Record + Clone>(
    ledger: &Ledger,
    slug: &str,
    id: &RecordId,
    record: &R,
) -> Result<(), LedgerError> {
    let same = |_: Option<&R>| Ok::<_, LedgerError>(record.clone());
    ledger.put(Scope::Cache(slug), id, AUTHOR, same).await?;
    Ok(())
}
