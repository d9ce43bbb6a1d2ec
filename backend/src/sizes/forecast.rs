//! How a cache goes on: a range, from the days that were measured lately.
//!
//! Of the last 30 days those count whose day before was measured too: what the archives grew by on
//! each, none where they shrank. A quarter of these days grew by less than the slower pace, a quarter
//! by more than the faster one, so that a single large import moves neither much. Fewer than seven
//! such days say nothing.

use snowbank_shared::api::storage::Forecast;
use time::{Date, Duration};

/// Days that are looked at.
const LOOKED_AT: i64 = 30;
/// Days that are needed.
const NEEDED: usize = 7;
/// What lies further off is not told, days.
const FAR: u64 = 3_653;

/// The forecast on a day; `held` are the bytes of archives by day, oldest first. `None`: too few days
/// are known.
pub fn forecast(held: &[(Date, u64)], quota: Option<u64>, today: Date) -> Option<Forecast> {
    let from = today - Duration::days(LOOKED_AT);
    let mut grown: Vec<u64> = held
        .windows(2)
        .filter(|pair| pair[0].0.next_day() == Some(pair[1].0))
        .filter(|pair| (from..=today).contains(&pair[1].0))
        .map(|pair| pair[1].1.saturating_sub(pair[0].1))
        .collect();
    if grown.len() < NEEDED {
        return None;
    }
    grown.sort_unstable();
    let last = grown.len() - 1;
    let (slow, fast) = (grown[last / 4], grown[last - last / 4]);
    let now = held.last().map_or(0, |&(_, bytes)| bytes);
    let reached = |pace: u64| {
        let left = quota?.saturating_sub(now);
        let days = match (left, pace) {
            (0, _) => 0,
            (_, 0) => return None,
            _ => left.div_ceil(pace),
        };
        let days = i64::try_from(days).ok().filter(|_| days <= FAR)?;
        Some((today + Duration::days(days)).to_string())
    };
    Some(Forecast {
        slow,
        fast,
        quota,
        soonest: reached(fast),
        latest: reached(slow),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i32) -> Date {
        Date::from_julian_day(2_461_000 + number).expect("a day")
    }

    #[test]
    fn a_range_is_told_from_seven_days_on_and_an_import_does_not_move_it() {
        let mut held: Vec<(Date, u64)> = Vec::new();
        let mut bytes = 1_000;
        for number in 0..7 {
            held.push((day(number), bytes));
            bytes += 10;
        }
        assert_eq!(forecast(&held, Some(2_000), day(6)), None);
        // One day of a thousandfold, one on which much went.
        held.push((day(7), bytes + 10_000));
        held.push((day(8), 1_100));
        let told = forecast(&held, Some(2_000), day(8)).expect("eight days");
        assert_eq!((told.slow, told.fast), (10, 10));
        assert_eq!(told.soonest, Some(day(98).to_string()));
        assert_eq!(told.latest, told.soonest);
        // Full already; without a quota; days long ago; a gap between days.
        let full = forecast(&held, Some(5), day(8)).expect("a forecast");
        assert_eq!(full.soonest, Some(day(8).to_string()));
        let free = forecast(&held, None, day(8)).expect("a forecast");
        assert_eq!((free.soonest, free.quota), (None, None));
        assert_eq!(forecast(&held, None, day(60)), None);
        let gaps: Vec<_> = (0..20).map(|number| (day(number * 2), 5)).collect();
        assert_eq!(forecast(&gaps, None, day(40)), None);
    }

    #[test]
    fn what_does_not_grow_reaches_nothing() {
        let held: Vec<_> = (0..10).map(|number| (day(number), 500)).collect();
        let told = forecast(&held, Some(1_000), day(9)).expect("a forecast");
        assert_eq!((told.slow, told.fast), (0, 0));
        assert_eq!((told.soonest, told.latest), (None, None));
    }
}
