//! Days and hours of UTC, and where an axis has its ticks. In integers.

use super::Span;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March end with the day that may be missing.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// `2026-11-23` of seconds since 1970.
pub fn day_of(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `12:03` of seconds since 1970, in UTC.
pub fn clock(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(DAY);
    format!("{:02}:{:02}", of_day / HOUR, of_day % HOUR / 60)
}

/// `2026-11-23T12:03:22Z` of seconds since 1970.
pub fn moment(seconds: i64) -> String {
    format!(
        "{}T{}:{:02}Z",
        day_of(seconds),
        clock(seconds),
        seconds.rem_euclid(60)
    )
}

/// `2026-11-23 12:03 UTC` of seconds since 1970.
pub fn moment_text(seconds: i64) -> String {
    format!("{} {} UTC", day_of(seconds), clock(seconds))
}

/// Which time a step is: a day, or from when to when.
pub(super) fn step_words(span: Span, step: usize) -> String {
    let (from, to) = (span.start(step), span.start(step + 1));
    if span.step == DAY && from.rem_euclid(DAY) == 0 {
        return format!("{} UTC", day_of(from));
    }
    let end = if to.div_euclid(DAY) == from.div_euclid(DAY) || to.rem_euclid(DAY) == 0 {
        // Midnight belongs to the day that it ends.
        match to.rem_euclid(DAY) {
            0 if to - from <= DAY => "24:00".to_owned(),
            0 => moment_text(to).replace(" UTC", ""),
            _ => clock(to),
        }
    } else {
        format!("{} {}", day_of(to), clock(to))
    };
    format!("{} {}–{end} UTC", day_of(from), clock(from))
}

/// Ticks of an axis: when, and in words. At most seven, at whole hours or days.
pub(super) fn ticks(span: Span) -> Vec<(i64, String)> {
    const STEPS: [i64; 12] = [
        HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        7 * DAY,
        14 * DAY,
        28 * DAY,
        91 * DAY,
        182 * DAY,
        364 * DAY,
    ];
    let whole = (span.end() - span.from).max(1);
    let step = STEPS
        .into_iter()
        .find(|step| whole / step <= 6)
        .unwrap_or(whole / 6);
    let first = span.from.div_euclid(step) * step;
    let mut ticks = Vec::new();
    let mut at = first;
    while at < span.end() && ticks.len() < 8 {
        if at >= span.from {
            let (_, month, day) = civil(at.div_euclid(DAY));
            let words = if at.rem_euclid(DAY) == 0 {
                let name = usize::try_from(month - 1)
                    .ok()
                    .and_then(|at| MONTHS.get(at));
                format!("{day} {}", name.unwrap_or(&""))
            } else {
                clock(at)
            };
            ticks.push((at, words));
        }
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_they_are_read() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2026-11-23T12:03:22Z",
            "2027-12-31T00:00:01Z",
        ] {
            let seconds = crate::format::unix_seconds(text);
            assert_eq!(seconds.map(moment).as_deref(), Some(text));
        }
        assert_eq!(day_of(-1), "1969-12-31");
        assert_eq!(moment_text(1_795_435_402), "2026-11-23 12:03 UTC");
    }

    #[test]
    fn steps_say_which_time_they_are() {
        let span = |step| Span {
            from: 1_795_392_000,
            step,
            steps: 30,
        };
        assert_eq!(step_words(span(DAY), 1), "2026-11-24 UTC");
        assert_eq!(step_words(span(HOUR), 0), "2026-11-23 00:00–01:00 UTC");
        assert_eq!(step_words(span(HOUR), 23), "2026-11-23 23:00–24:00 UTC");
        let odd = Span {
            from: 1_795_392_000 + 12 * HOUR,
            ..span(DAY)
        };
        assert_eq!(step_words(odd, 0), "2026-11-23 12:00–2026-11-24 12:00 UTC");
        assert_eq!(
            step_words(span(7 * DAY), 0),
            "2026-11-23 00:00–2026-11-30 00:00 UTC"
        );
    }

    #[test]
    fn an_axis_has_few_ticks_at_whole_times() {
        let of = |from: i64, step: i64, steps: usize| {
            ticks(Span { from, step, steps })
                .into_iter()
                .map(|(_, words)| words)
                .collect::<Vec<_>>()
        };
        let day = of(1_795_392_000 + HOUR, HOUR, 24);
        assert_eq!(day, ["06:00", "12:00", "18:00", "24 Nov"]);
        let week = of(1_795_392_000, HOUR, 7 * 24);
        assert_eq!(week.len(), 4);
        for steps in [1, 2, 30, 90, 400, 4000] {
            let ticks = of(1_795_392_000, DAY, steps);
            assert!((1..=8).contains(&ticks.len()), "{steps}: {ticks:?}");
        }
        assert!(of(0, HOUR, 0).is_empty());
    }
}
