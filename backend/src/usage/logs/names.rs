//! The names of log objects: each has a time in it, and what stands before that is the same for all
//! logs of one source.
//!
//! ```text
//! S3          access/2026-12-01-10-41-07-A1B2C3D4E5F60718
//!             access/ACCOUNT/REGION/BUCKET/2026/12/01/2026-12-01-10-41-07-A1B2C3D4E5F60718
//! CloudFront  access/E2EXAMPLE.2026-12-01-10.a1b2c3d4.gz
//! ```
//!
//! So the names of a source are in the order of their times, and a listing can begin at a time.

use super::line::{digits, moment};
use crate::auth::records::spelled;

/// A name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// What comes before the time.
    pub(super) stem: &'a str,
    /// The time, seconds since 1970: of S3 when it was written, of CloudFront the hour that it is of.
    pub(super) at: i64,
    /// Whether a folder for the day comes first.
    pub(super) by_day: bool,
}

/// Takes a key apart; `None` where it is none of a log.
pub(super) fn name(key: &str) -> Option<Name<'_>> {
    let file = key.rfind('/').map_or(0, |slash| slash + 1);
    let bytes = key.as_bytes();
    let place = (file..key.len()).find(|at| is_date(&bytes[*at..]))?;
    // A key has any characters; behind a date there are none that are cut.
    let text = key.get(place..)?;
    let clock: Vec<&str> = text
        .get(11..)?
        .split(|character: char| !character.is_ascii_digit())
        .take(3)
        .collect();
    let part = |at: usize| match clock.get(at) {
        Some(text) if text.len() == 2 => digits::<u8>(text),
        _ => None,
    };
    let hour = part(0)?;
    // Only one that is written like the others is of the time: a name may begin with digits.
    let (minute, second) = match (part(1), part(2), text.as_bytes().get(13)) {
        (Some(minute), Some(second), Some(b'-')) => (minute, second),
        _ => (0, 0),
    };
    let date = (
        digits(text.get(..4)?)?,
        digits(text.get(5..7)?)?,
        digits(text.get(8..10)?)?,
    );
    let at = moment(date, (hour, minute, second))?;
    let folders = format!("{}/", text.get(..10)?.replace('-', "/"));
    let before = key.get(..place)?;
    let (stem, by_day) = match before.strip_suffix(folders.as_str()) {
        Some(stem) => (stem, true),
        None => (before, false),
    };
    Some(Name { stem, at, by_day })
}

/// `2026-12-01-` with some number behind it.
fn is_date(text: &[u8]) -> bool {
    text.len() > 12
        && text[..13].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 | 10 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// A text that comes before all names of a stem from this time on, and behind all from before it.
/// A name of exactly this time comes behind it.
pub(super) fn position(stem: &str, by_day: bool, at: i64, to_the_hour: bool) -> String {
    let text = spelled(at);
    let (day, clock) = (text.get(..10).unwrap_or(""), text.get(11..19).unwrap_or(""));
    let clock = match to_the_hour {
        true => clock.get(..2).unwrap_or("").to_owned(),
        false => clock.replace(':', "-"),
    };
    match by_day {
        true => format!("{stem}{}/{day}-{clock}", day.replace('-', "/")),
        false => format!("{stem}{day}-{clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-12-01, 10:41:07.
    const AT: i64 = 1_796_121_667;

    #[test]
    fn names_say_whose_and_when() {
        for (key, stem, at, by_day) in [
            ("2026-12-01-10-41-07-A1B2C3D4", "", AT, false),
            ("logs-2026-12-01-10-41-07-A1B2", "logs-", AT, false),
            (
                "123/eu-west-1/b/2026/12/01/2026-12-01-10-41-07-A1B2",
                "123/eu-west-1/b/",
                AT,
                true,
            ),
            ("E2X.2026-12-01-10.a1b2.gz", "E2X.", AT - 41 * 60 - 7, false),
            (
                "E2X.2026-12-01-10.41.07.gz",
                "E2X.",
                AT - 41 * 60 - 7,
                false,
            ),
        ] {
            let expected = Name { stem, at, by_day };
            assert_eq!(name(key), Some(expected), "{key}");
        }
        for other in [
            "",
            "2026-12-01",
            "2026-13-01-10-41-07-A",
            "2026-12-01/readme",
            "ä2026-12-01-1",
            "notes.txt",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn a_position_lies_before_what_is_of_its_time_and_behind_what_is_older() {
        let s3 = position("logs-", false, AT, false);
        assert!(s3.as_str() < "logs-2026-12-01-10-41-07-0");
        assert!(s3.as_str() > "logs-2026-12-01-10-41-06-F");
        let by_day = position("b/", true, AT, false);
        assert!(by_day.as_str() < "b/2026/12/01/2026-12-01-10-41-07-0");
        assert!(by_day.as_str() > "b/2026/11/30/2026-11-30-23-59-59-F");
        let hourly = position("E2X.", false, AT, true);
        assert!(hourly.as_str() < "E2X.2026-12-01-10.0.gz");
        assert!(hourly.as_str() > "E2X.2026-12-01-09.f.gz");
    }
}
