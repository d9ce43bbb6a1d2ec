//! Adding what a batch tells of a day to what is known of that day.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::batch::BatchDay;
use super::read::{AUTHOR, LogError};
use super::state::LoggedRecord;
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::usage::fetched::{IN_PART, packed};
use crate::usage::record::{FetchedRecord, Others, UsageRecord};
use crate::usage::report::day_text;
use crate::usage::who::MOST_DISTINCT;

/// Batches whose names a day remembers: only the last one can come again.
const REMEMBERED: usize = 16;
/// Parts of what was fetched on a day.
const MOST_PARTS: usize = 20;

/// Adds a day of a batch to what is known of it: first what was fetched, then the sums.
pub(super) async fn keep_day(ledger: &Ledger, slug: &str, day: BatchDay) -> Result<(), LogError> {
    let BatchDay { record, fetched } = day;
    let text = day_text(record.day);
    let overflow = keep_fetched(ledger, slug, record.day, fetched).await?;
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
