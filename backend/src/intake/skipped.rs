//! What uploaders did not have to send, because a virtual upstream has it: a record for each of them
//! and each day, kept for a month.
//!
//! `nix copy` asks for thousands of paths in a row, so what is noted is written together, some seconds
//! later. A path is counted once for each day, uploader and process, and again by another process only
//! where it is not among the first that are listed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::{Skipped, SkippedPath};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use crate::ledger::kind::{Kind, Record, SKIPPED};
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};

/// Paths that are listed, of a day and an uploader.
const LISTED: usize = 200;
/// Paths that are known not to be counted again, of all days and uploaders.
const MOST_KNOWN: usize = 200_000;
/// From the first that is noted to their being written.
const TOGETHER: Duration = Duration::from_secs(2);
/// Days that a record is kept.
const KEPT: i64 = 30;

/// What one uploader skipped on one day, as it lies in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRecord {
    /// `2026-01-31`, UTC.
    pub day: String,
    /// `member:…`, `machine:…` or `token:…`.
    pub by: String,
    /// Paths.
    pub paths: u64,
    /// Sum of their NarSize, bytes.
    pub nar_size: u64,
    /// The first of them.
    pub first: Vec<SkippedPath>,
    /// When it ends, seconds since 1970.
    pub expires_at: i64,
}

impl Record for SkippedRecord {
    const KIND: Kind = SKIPPED;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.expires_at).ok()
    }
}

impl SkippedRecord {
    /// Both together.
    fn and(mut self, more: &Self) -> Self {
        for path in &more.first {
            if self.first.iter().any(|known| known.path == path.path) {
                continue;
            }
            self.paths += 1;
            self.nar_size = self.nar_size.saturating_add(path.nar_size);
            if self.first.len() < LISTED {
                self.first.push(path.clone());
            }
        }
        Self {
            day: more.day.clone(),
            by: more.by.clone(),
            expires_at: more.expires_at,
            ..self
        }
    }
}

/// Of which cache, which day, whose.
type Place = (String, String, String);

/// What was noted and is not written yet.
#[derive(Debug, Default)]
pub(super) struct Noted(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    known: HashSet<(Place, StorePathHash)>,
    waiting: HashMap<Place, SkippedRecord>,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Noted {
    /// Notes that somebody was told that an upstream has this path.
    pub(super) fn note(
        &self,
        site: &Arc<Site>,
        cache: &Cache,
        by: &str,
        narinfo: &NarInfo,
        upstream: &str,
    ) {
        let now = OffsetDateTime::now_utc();
        let day = now.date().to_string();
        let place = (cache.slug.to_string(), day.clone(), by.to_owned());
        let path = narinfo.store_path();
        let mut inner = lock(&self.0);
        if inner.known.len() >= MOST_KNOWN {
            inner.known.clear();
        }
        if !inner.known.insert((place.clone(), path.hash())) {
            return;
        }
        let is_first = !inner.waiting.contains_key(&place);
        let record = inner.waiting.entry(place.clone()).or_default();
        record.day = day;
        record.by = by.to_owned();
        record.expires_at = now.unix_timestamp() + KEPT * 86_400;
        record.first.push(SkippedPath {
            path: path.to_string(),
            nar_size: narinfo.nar_size(),
            upstream: upstream.to_owned(),
        });
        drop(inner);
        if is_first {
            let (inner, site) = (Arc::clone(&self.0), Arc::clone(site));
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(TOGETHER) => {}
                    () = site.closing.cancelled() => {}
                }
                let record = lock(&inner).waiting.remove(&place);
                if let Some(record) = record {
                    write(&site.ledger, &place.0, &record).await;
                }
            });
        }
    }
}

/// Adds what was noted to what is there. Where that fails it is lost: a figure, no fact.
async fn write(ledger: &Ledger, cache: &str, more: &SkippedRecord) {
    let Some(id) = id(&more.day, &more.by) else {
        return;
    };
    let add = |current: Option<&SkippedRecord>| {
        let before = current.cloned().unwrap_or_default();
        Ok::<_, LedgerError>(before.and(more))
    };
    if let Err(error) = ledger.put(Scope::Cache(cache), &id, &more.by, add).await {
        tracing::warn!(cache, %error, "what was skipped could not be noted");
    }
}

/// The record's name: the day, and whose.
fn id(day: &str, by: &str) -> Option<RecordId> {
    let whose = RecordId::hash_of(by.as_bytes());
    let whose = whose.as_str().get(..16)?;
    format!("{day}-{whose}").parse().ok()
}

/// What was skipped in a cache: the newest day first, then who skipped most.
pub fn skipped(ledger: &Ledger, cache: &str) -> Vec<Skipped> {
    let mut all: Vec<Skipped> = ledger
        .view()
        .list::<SkippedRecord>(Scope::Cache(cache))
        .map(|entry| {
            let record = (*entry.record).clone();
            Skipped {
                day: record.day,
                by: record.by,
                paths: record.paths,
                nar_size: record.nar_size,
                first: record.first,
            }
        })
        .collect();
    all.sort_by(|a, b| (&b.day, b.paths, &a.by).cmp(&(&a.day, a.paths, &b.by)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_listed_is_counted_once_and_the_list_is_bounded() {
        let path = |name: &str| SkippedPath {
            path: name.to_owned(),
            nar_size: 10,
            upstream: "https://cache.example.org".to_owned(),
        };
        let of = |names: &[String]| SkippedRecord {
            day: "2026-01-31".to_owned(),
            by: "member:alice".to_owned(),
            first: names.iter().map(|name| path(name)).collect(),
            ..SkippedRecord::default()
        };
        let two = SkippedRecord::default().and(&of(&["a".to_owned(), "b".to_owned()]));
        let again = two.and(&of(&["b".to_owned(), "c".to_owned()]));
        assert_eq!((again.paths, again.nar_size, again.first.len()), (3, 30, 3));
        let names: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        let many = again.and(&of(&names));
        assert_eq!((many.paths, many.first.len()), (503, LISTED));
        assert!(id("2026-01-31", "member:alice").is_some());
    }
}
