//! What no listing of a cache's objects shows, and Health does: uploads in parts that nobody completes;
//! and how many findings there were on which day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::{CheckCount, DayCount, Finding, Severity};
use time::{Duration, OffsetDateTime};

use super::Cache;
use crate::bucket::{BucketError, Unfinished};
use crate::index::{Change, View};
use crate::ledger::kind::{HEALTH_DAYS, Kind, Record};
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};

/// Uploads in parts that are younger may still be under way, seconds.
pub const GRACE: i64 = 24 * 3600;
/// The check of uploads in parts that were not completed.
pub const UNFINISHED: &str = "unfinished-upload";
/// Findings of it at most.
const MOST: usize = 1_000;
/// How long a day's counts are kept.
const REMEMBERED: Duration = Duration::days(90);
/// Days that a page shows.
const SHOWN: usize = 30;

/// The uploads in parts of a cache that were begun at least so many seconds ago, by the key that each
/// is for. Those of which the store says no time are left out: they may be a moment old.
///
/// # Errors
/// Where the store does not list them.
pub async fn unfinished(
    cache: &Cache,
    age: i64,
) -> Result<BTreeMap<String, Vec<Unfinished>>, BucketError> {
    let oldest = OffsetDateTime::now_utc().unix_timestamp() - age;
    let mut by_key: BTreeMap<String, Vec<Unfinished>> = BTreeMap::new();
    for upload in cache.bucket.multipart_unfinished("").await? {
        if upload.began_at.is_some_and(|began| began <= oldest) {
            let key = upload.upload.key().to_owned();
            by_key.entry(key).or_default().push(upload);
        }
    }
    Ok(by_key)
}

/// Looks, and shows in Health what is so now. Where the store does not tell, the last findings stay.
/// `age` as for [`unfinished`].
pub async fn look(cache: &Cache, age: i64) {
    let uploads = match unfinished(cache, age).await {
        Ok(uploads) => uploads,
        Err(error) => {
            tracing::debug!(cache = %cache.slug, %error, "unfinished uploads are not told");
            return;
        }
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (key, uploads) in uploads.into_iter().take(MOST) {
        let first = uploads.iter().filter_map(|upload| upload.began_at).min();
        let since = first.map_or_else(String::new, |at| {
            format!(", since {}", crate::auth::records::spelled(at))
        });
        let reason = match uploads.len() {
            1 => format!(
                "an upload in parts was begun and not completed{since}: the store charges for its parts"
            ),
            more => format!(
                "{more} uploads in parts were begun and not completed{since}: the store charges for their parts"
            ),
        };
        found.insert(key, reason);
    }
    let view = cache.index.view();
    let mut changes: Vec<Change> = Vec::new();
    for finding in view.noted(UNFINISHED) {
        match found.get(&finding.object) {
            None => changes.push(Change::Settled(
                UNFINISHED.to_owned(),
                finding.object.clone(),
            )),
            Some(reason) if *reason == finding.reason => {
                found.remove(&finding.object);
            }
            Some(_) => {}
        }
    }
    changes.extend(found.into_iter().map(|(object, reason)| {
        Change::Finding(Finding {
            check: UNFINISHED.to_owned(),
            severity: Severity::Warning,
            object,
            line: None,
            reason,
            hash: None,
        })
    }));
    if !changes.is_empty() {
        cache.index.apply(changes);
    }
}

/// How many findings of each check a cache had on a day (UTC), as they were counted last on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthDay {
    /// Findings, by check; a check without any is left out.
    pub counts: BTreeMap<String, u64>,
    /// When they were counted, seconds since 1970.
    pub at: i64,
}

impl Record for HealthDay {
    const KIND: Kind = HEALTH_DAYS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let at = OffsetDateTime::from_unix_timestamp(self.at).ok()?;
        at.checked_add(REMEMBERED)
    }
}

/// Writes a day's counts down, where they are not what is written already.
///
/// # Errors
/// Where the ledger cannot write them.
pub async fn note(
    ledger: &Ledger,
    cache: &str,
    counts: BTreeMap<String, u64>,
) -> Result<(), LedgerError> {
    let now = OffsetDateTime::now_utc();
    let scope = Scope::Cache(cache);
    let Ok(day) = now.date().to_string().parse::<RecordId>() else {
        return Ok(());
    };
    let known = ledger.view().get::<HealthDay>(scope, &day);
    if known.is_some_and(|known| known.counts == counts) {
        return Ok(());
    }
    let record = HealthDay {
        counts,
        at: now.unix_timestamp(),
    };
    let write = |_: Option<&HealthDay>| Ok::<_, LedgerError>(record.clone());
    ledger.put(scope, &day, "server", write).await?;
    Ok(())
}

/// The findings of a version, by check. The first call of a version looks at every path: run it off
/// the reactor.
pub fn counted(view: &View) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    // Without a cursor there is nothing to refuse.
    if let Ok(health) = view.health(None, 1, None) {
        let wrong = |check: &CheckCount| check.severity != Severity::Note;
        for check in health.checks.into_iter().filter(wrong) {
            *counts.entry(check.check).or_default() += check.count;
        }
    }
    counts
}

/// The last 30 days on which findings were counted, oldest first: of one check or of all.
pub fn days(ledger: &Ledger, cache: &str, check: Option<&str>) -> Vec<DayCount> {
    let view = ledger.view();
    let mut days: Vec<DayCount> = view
        .list::<HealthDay>(Scope::Cache(cache))
        .map(|day| DayCount {
            day: day.id.to_string(),
            count: match check {
                Some(check) => day.counts.get(check).copied().unwrap_or_default(),
                None => day.counts.values().sum(),
            },
        })
        .collect();
    days.sort_by(|a, b| a.day.cmp(&b.day));
    let over = days.len().saturating_sub(SHOWN);
    days.split_off(over)
}
