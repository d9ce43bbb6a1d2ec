//! What a bucket held on a day, as it lies in the ledger.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::storage::{BucketFact, ClassSize, ObjectClass, SizeDay};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::ledger::kind::{Kind, Record, SIZES};
use crate::ledger::{Entry, Ledger, LedgerError, RecordId, Scope};

/// Days that a record is kept.
const KEPT: i64 = 1_100;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What a bucket held when it was swept. The record's name is the day of that: `2026-11-23`, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizesRecord {
    /// When the sweep began, seconds since 1970.
    pub at: i64,
    /// By class.
    pub classes: Vec<ClassSize>,
    /// Bytes unpacked of the distinct NARs.
    pub unpacked: u64,
    /// What the bucket itself does.
    #[serde(default)]
    pub facts: Vec<BucketFact>,
}

impl Record for SizesRecord {
    const KIND: Kind = SIZES;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.at + KEPT * DAY).ok()
    }
}

impl SizesRecord {
    /// The day that it is of.
    pub fn day(&self) -> Option<Date> {
        let at = OffsetDateTime::from_unix_timestamp(self.at).ok()?;
        Some(at.date())
    }

    /// All objects of the classes that are known, bytes.
    pub fn stored(&self) -> u64 {
        let bytes = self.classes.iter().filter_map(|class| class.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// The archives, bytes.
    pub fn nars(&self) -> u64 {
        let mut classes = self.classes.iter();
        let nar = classes.find(|class| class.class == ObjectClass::Nar);
        nar.and_then(|nar| nar.bytes).unwrap_or_default()
    }

    /// Writes it down as that of its day. Another of the same day that began later stays.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn keep(&self, ledger: &Ledger, cache: &str) -> Result<(), LedgerError> {
        let Some(id) = self
            .day()
            .and_then(|day| day.to_string().parse::<RecordId>().ok())
        else {
            return Ok(());
        };
        let latest = |current: Option<&Self>| {
            let stays = current.filter(|current| current.at > self.at);
            Ok::<_, LedgerError>(stays.unwrap_or(self).clone())
        };
        ledger
            .put(Scope::Cache(cache), &id, "snowbank", latest)
            .await
            .map(drop)
    }

    /// Those of a cache that are kept, by day, oldest first.
    pub fn of(ledger: &Ledger, cache: &str) -> Vec<(Date, Entry<Self>)> {
        let mut days: Vec<_> = ledger
            .view()
            .list::<Self>(Scope::Cache(cache))
            .filter_map(|entry| Some((date(entry.id.as_str())?, entry)))
            .collect();
        days.sort_by_key(|(day, _)| *day);
        days
    }
}

/// A day: `2026-11-23`.
pub fn date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// The days of the wire, from the records of all days: what came is told from the day before.
pub fn days<'r>(
    records: impl IntoIterator<Item = (Date, &'r SizesRecord)>,
) -> Vec<(Date, SizeDay)> {
    let mut before = None::<(Date, u64)>;
    let mut days = Vec::new();
    for (day, record) in records {
        let stored = record.stored();
        let added = before
            .filter(|(earlier, _)| earlier.next_day() == Some(day))
            .map(|(_, held)| stored.saturating_sub(held));
        before = Some((day, stored));
        days.push((
            day,
            SizeDay {
                day: day.to_string(),
                classes: record.classes.clone(),
                unpacked: record.unpacked,
                added,
            },
        ));
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_only_where_the_day_before_was_measured() {
        let held = |day: i64, bytes| SizesRecord {
            at: day * DAY,
            classes: vec![ClassSize {
                class: ObjectClass::Nar,
                objects: Some(1),
                bytes: Some(bytes),
                unknown: None,
            }],
            unpacked: 2 * bytes,
            facts: Vec::new(),
        };
        let records = [held(10, 100), held(11, 130), held(12, 90), held(14, 200)];
        let records = records
            .iter()
            .filter_map(|record| Some((record.day()?, record)));
        let days = days(records);
        let added: Vec<_> = days.iter().map(|(_, day)| day.added).collect();
        assert_eq!(added, [None, Some(30), Some(0), None]);
        assert_eq!(days[0].1.day, "1970-01-11");
        assert_eq!(date("1970-01-11"), Some(days[0].0));
        assert_eq!(date("1970-1-11"), None);
    }
}
