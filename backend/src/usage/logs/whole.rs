//! Since when the logs tell everything: only then does a path that they do not name count as unused.

use super::LogReader;
use super::state::{LogState, LoggedRecord};
use crate::auth::records::spelled;
use crate::config::LogFormat;
use crate::ledger::{Ledger, RecordId, Scope};
use crate::usage::{DAY, day_of};

/// Seconds after which what was read to its end may not be any more: servers say so every few hours.
const READ_OUT: i64 = DAY;

/// What logs tell of a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// When it began.
    pub(super) day: i64,
    /// The first and the last moment of its lines; `None` where there are none.
    pub(super) span: Option<(i64, i64)>,
    /// Whether all that was fetched is kept.
    pub(super) whole: bool,
}

/// Seconds without a line: between two lines at most, and before now at most. What comes late counts
/// as well as what is missing.
const fn quiet(format: LogFormat) -> (i64, i64) {
    match format {
        // The server's own requests are in them, day by day.
        LogFormat::S3 => (DAY, 2 * DAY),
        // Nobody may have asked over a weekend.
        LogFormat::Cloudfront => (3 * DAY, 3 * DAY),
    }
}

/// The first day since which everything is told, up to the last line. The day of the first line after
/// a gap is none: they may begin in the middle of it. `days`: the newest first.
fn since(days: impl IntoIterator<Item = Told>, gap: i64) -> Option<i64> {
    let mut earliest = None;
    for told in days {
        if !told.whole {
            return Some(told.day + DAY);
        }
        let Some((from, to)) = told.span else {
            continue;
        };
        if earliest.is_some_and(|earliest| earliest - to > gap) {
            break;
        }
        earliest = Some(from);
    }
    earliest.map(|earliest| day_of(earliest) + DAY)
}

impl LogReader {
    /// The first day since which the logs tell of every request that does not go through this server,
    /// seconds since 1970.
    ///
    /// # Errors
    /// Where they do not, in words.
    pub(in crate::usage) fn whole_since(
        &self,
        ledger: &Ledger,
        slug: &str,
        now: i64,
    ) -> Result<i64, String> {
        if self.trouble().is_some() {
            return Err("the access logs could not be read at the last try".to_owned());
        }
        let (view, scope) = (ledger.view(), Scope::Cache(slug));
        let state = view.get::<LogState>(scope, &RecordId::only());
        let state = state.map(|entry| (*entry.record).clone().of(&self.place()));
        let read_out = state.as_ref().and_then(|state| state.read_out);
        if read_out.is_none_or(|at| now - at > READ_OUT) {
            return Err("not all of the access logs are read".to_owned());
        }
        let (gap, age) = quiet(self.format());
        match state.and_then(|state| state.figures.last) {
            Some(last) if now - last <= age => {}
            Some(last) => {
                return Err(format!(
                    "the newest line of the access logs is of {}",
                    spelled(last)
                ));
            }
            None => return Err("the access logs have told nothing yet".to_owned()),
        }
        let mut days: Vec<Told> = view
            .list::<LoggedRecord>(scope)
            .map(|entry| Told {
                day: entry.0.day,
                span: entry.0.spans.first().copied(),
                whole: !entry.0.overflow,
            })
            .collect();
        days.sort_unstable_by_key(|told| std::cmp::Reverse(told.day));
        match since(days, gap) {
            Some(since) if since <= now => Ok(since),
            since => {
                let from = spelled(since.unwrap_or(now));
                Err(format!(
                    "the access logs are whole from {from} on at the earliest"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn told(day: i64, from: i64, to: i64) -> Told {
        Told {
            day: day * DAY,
            span: Some((day * DAY + from * HOUR, day * DAY + to * HOUR)),
            whole: true,
        }
    }

    #[test]
    fn logs_are_whole_from_the_day_after_their_first_or_after_a_gap_or_a_loss() {
        let days = |from: i64, to: i64| (from..=to).rev().map(|day| told(day, 2, 22));
        assert_eq!(since([], DAY), None);
        assert_eq!(since(days(100, 100), DAY), Some(101 * DAY));
        assert_eq!(since(days(100, 150), DAY), Some(101 * DAY));
        // A day without a line is a gap of more than a day.
        let gap = || days(121, 150).chain(days(100, 119));
        assert_eq!(since(gap(), DAY), Some(122 * DAY));
        assert_eq!(since(gap(), 3 * DAY), Some(101 * DAY));
        let lost = days(100, 150).map(|told| Told {
            whole: told.day != 130 * DAY,
            ..told
        });
        assert_eq!(since(lost, DAY), Some(131 * DAY));
        let unread = Told {
            day: 151 * DAY,
            span: None,
            whole: false,
        };
        assert_eq!(
            since([unread].into_iter().chain(days(100, 150)), DAY),
            Some(152 * DAY)
        );
    }
}
