//! How a cache grew, as the API says it.

use snowbank_shared::api::{GrowthDay, Recent};
use time::{Duration, OffsetDateTime};

use crate::index::{AddedOnDay, Totals, rfc3339};

/// Days that count as lately.
const LATELY: u32 = 7;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What was added on the last seven days, today among them.
pub(super) fn recent(totals: &Totals, now: OffsetDateTime) -> Recent {
    let today = u32::try_from(now.unix_timestamp() / DAY).unwrap_or_default();
    let first = today.saturating_sub(LATELY - 1);
    let lately = || {
        totals
            .added
            .iter()
            .filter(|added| (first..=today).contains(&added.day))
    };
    let mut paths = vec![0; LATELY as usize];
    for added in lately() {
        paths[(added.day - first) as usize] = added.paths;
    }
    Recent {
        last_added_at: totals.last_added_at.map(rfc3339),
        paths,
        nar_bytes: lately()
            .map(|added| added.nar_bytes)
            .fold(0, u64::saturating_add),
    }
}

/// The days that have some.
pub(super) fn days(added: &[AddedOnDay]) -> Vec<GrowthDay> {
    added
        .iter()
        .map(|added| {
            let day = OffsetDateTime::UNIX_EPOCH + Duration::days(i64::from(added.day));
            GrowthDay {
                day: day.date().to_string(),
                paths: added.paths,
                nar_bytes: added.nar_bytes,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(days: &[(u32, u64)]) -> Totals {
        Totals {
            paths: 0,
            nar_bytes: 0,
            stored_bytes: None,
            bucket: None,
            signatures: vec![],
            contents: vec![],
            keys: std::collections::BTreeMap::new(),
            added: days
                .iter()
                .map(|&(day, paths)| AddedOnDay {
                    day,
                    paths,
                    nar_bytes: paths * 10,
                })
                .collect(),
            last_added_at: days.last().map(|&(day, _)| i64::from(day) * DAY),
        }
    }

    #[test]
    fn lately_is_today_and_the_six_days_before() {
        let now = OffsetDateTime::from_unix_timestamp(100 * DAY + 5).expect("a time");
        // 101: a clock of the bucket that is ahead of ours.
        let recent = recent(
            &totals(&[(93, 1), (94, 2), (99, 3), (100, 4), (101, 5)]),
            now,
        );
        assert_eq!(recent.paths, [2, 0, 0, 0, 0, 3, 4]);
        assert_eq!(recent.nar_bytes, 90);
        assert_eq!(
            recent.last_added_at.as_deref(),
            Some("1970-04-12T00:00:00Z")
        );
        assert_eq!(super::recent(&totals(&[]), now).paths, [0; 7]);
    }

    #[test]
    fn days_are_dates() {
        let days = days(&totals(&[(0, 1), (20_780, 2)]).added);
        assert_eq!(days[0].day, "1970-01-01");
        assert_eq!(
            (days[1].day.as_str(), days[1].nar_bytes),
            ("2026-11-23", 20)
        );
    }
}
