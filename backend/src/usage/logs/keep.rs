//! Adding what a batch tells of a day to what is known of that day, and asking upstreams for what was
//! missed on it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::batch::BatchDay;
use super::read::{AUTHOR, LogError};
use super::state::LoggedRecord;
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::upstream::Upstreams;
use crate::usage::fetched::{IN_PART, packed};
use crate::usage::keep::is_elsewhere;
use crate::usage::record::{FetchedRecord, Others, UsageRecord};
use crate::usage::report::day_text;
use crate::usage::who::MOST_DISTINCT;
use crate::usage::{DAY, day_of};

/// Batches whose names a day remembers: only the last one can come again.
const REMEMBERED: usize = 16;
/// Parts of what was fetched on a day.
const MOST_PARTS: usize = 20;

/// Paths that upstreams are asked for after a batch, and for how long.
const MOST_ASKED: usize = 300;
const ASKING: Duration = Duration::from_secs(60);
/// Days back from now whose misses they are asked for.
const ASKED_DAYS: i64 = 7;

/// Asks upstreams for what was missed in these days, as the server asks for what it missed itself: what
/// they have is of no use here. Of what was missed long ago nobody can tell any more.
pub(super) async fn ask(days: &mut [BatchDay], upstreams: &Upstreams, now: i64) {
    // What nobody answers for by then counts as of use.
    let _ = tokio::time::timeout(ASKING, ask_each(days, upstreams, now)).await;
}

async fn ask_each(days: &mut [BatchDay], upstreams: &Upstreams, now: i64) {
    let nobody = upstreams.all().is_empty();
    let mut left = MOST_ASKED;
    for day in days.iter_mut().rev() {
        if !nobody && day.day < day_of(now) - ASKED_DAYS * DAY {
            continue;
        }
        for hash in day.missed() {
            if nobody {
                day.told(&hash, false);
                continue;
            }
            if left == 0 {
                return;
            }
            left -= 1;
            if let Some(elsewhere) = is_elsewhere(upstreams, hash).await {
                day.told(&hash, elsewhere);
            }
        }
    }
}

/// Adds a day of a batch to what is known of it: first what was fetched, then the sums.
pub(super) async fn keep_day(
    ledger: &Ledger,
    slug: &str,
    day: &BatchDay,
    name: &str,
) -> Result<(), LogError> {
    let record = day.record(name);
    let text = day_text(record.day);
    let overflow = keep_fetched(ledger, slug, record.day, day.fetched.clone()).await?;
    let Ok(id) = text.parse::<RecordId>() else {
        return Ok(());
    };
    let add = |current: Option<&LoggedRecord>| {
        let known = current.map(|current| current.0.clone());
        let mut whole = known.unwrap_or_else(|| UsageRecord::empty(record.day));
        let before = std::mem::take(&mut whole.others);
        if whole.absorb(&record, MOST_DISTINCT) {
            whole.bound();
        }
        whole.others = least(before, whole.others);
        whole.overflow |= overflow;
        let gone = whole.instances.len().saturating_sub(REMEMBERED);
        whole.instances.drain(..gone);
        // What came between two lines was nothing, not unknown.
        let first = whole.spans.iter().map(|span| span.0).min();
        let last = whole.spans.iter().map(|span| span.1).max();
        whole.spans = first.zip(last).into_iter().collect();
        Ok::<_, LedgerError>(LoggedRecord(whole))
    };
    ledger.put(Scope::Cache(slug), &id, AUTHOR, add).await?;
    Ok(())
}

/// The same rows are left out again and again, so their numbers do not add up.
fn least(one: Others, other: Others) -> Others {
    Others {
        clients: one.clients.max(other.clients),
        paths: one.paths.max(other.paths),
        misses: one.misses.max(other.misses),
    }
}

/// Adds paths to those that were fetched on a day. Says whether there are more than are kept.
async fn keep_fetched(
    ledger: &Ledger,
    slug: &str,
    day: i64,
    mut fetched: BTreeSet<u64>,
) -> Result<bool, LogError> {
    let scope = Scope::Cache(slug);
    for number in 0..MOST_PARTS {
        let Ok(id) = format!("{}-logs-{number}", day_text(day)).parse::<RecordId>() else {
            break;
        };
        if let Some(known) = ledger.view().get::<FetchedRecord>(scope, &id) {
            let known = unpacked(&known);
            for path in &known {
                fetched.remove(path);
            }
            if known.len() >= IN_PART {
                continue;
            }
        }
        if fetched.is_empty() {
            return Ok(false);
        }
        let mut left = BTreeSet::new();
        let add = |current: Option<&FetchedRecord>| {
            let mut paths = current.map(unpacked).unwrap_or_default();
            let known: BTreeSet<u64> = paths.iter().copied().collect();
            let mut new = fetched.difference(&known).copied();
            paths.extend(new.by_ref().take(IN_PART.saturating_sub(known.len())));
            left = new.collect();
            Ok::<_, LedgerError>(FetchedRecord {
                day,
                paths: packed(&paths),
            })
        };
        ledger.put(scope, &id, AUTHOR, add).await?;
        fetched = left;
    }
    Ok(!fetched.is_empty())
}

fn unpacked(record: &FetchedRecord) -> Vec<u64> {
    let bytes = STANDARD.decode(&record.paths).unwrap_or_default();
    let paths = bytes.chunks_exact(8);
    paths
        .filter_map(|path| path.try_into().ok().map(u64::from_be_bytes))
        .collect()
}
