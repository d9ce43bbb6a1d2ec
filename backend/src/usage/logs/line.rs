//! What both formats come to: a read of an object, and by whom.

use std::borrow::Cow;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;

/// Times that a text may have been percent-encoded: S3 does it to keys twice.
const MOST_ENCODED: usize = 2;

/// A read of an object, as its line tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// When, seconds since 1970.
    pub(super) at: i64,
    /// From where; `None` where the line does not say.
    pub(super) address: Option<IpAddr>,
    /// Who signed it; empty where nobody did or the line does not say.
    pub(super) requester: &'a str,
    /// What the client calls itself; empty where it does not.
    pub(super) agent: Cow<'a, str>,
    /// The object's key, decoded, without a slash before it.
    pub(super) key: Cow<'a, str>,
    /// Whether only the head was asked for.
    pub(super) head: bool,
    /// What was answered.
    pub(super) status: u16,
    /// Bytes of the body that were sent.
    pub(super) bytes: u64,
    /// Whether the body began at its beginning.
    pub(super) whole: bool,
    /// Until the answer began, microseconds.
    pub(super) micros: Option<u64>,
}

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Somebody read an object.
    Read(Request<'a>),
    /// This server did at this time, or sent a client there: it has counted that itself.
    Ours(i64),
    /// Something else at this time: a write, a listing.
    Other(i64),
    /// A heading, or of another bucket.
    Nothing,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) &'static str);

/// A text without its percent-encoding, once or twice. What is none stays.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MOST_ENCODED {
        if !text.contains('%') {
            break;
        }
        let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        text = Cow::Owned(once);
    }
    text
}

/// A number that a line always has.
pub(super) fn number<T: std::str::FromStr>(text: &str, or: &'static str) -> Result<T, Unreadable> {
    // A plus sign is none of theirs.
    match text.as_bytes().first() {
        Some(first) if first.is_ascii_digit() => text.parse().map_err(|_| Unreadable(or)),
        _ => Err(Unreadable(or)),
    }
}

/// A number that a line may lack, which is then a dash.
pub(super) fn number_or_dash(text: &str, or: &'static str) -> Result<Option<u64>, Unreadable> {
    match text {
        "-" => Ok(None),
        text => number(text, or).map(Some),
    }
}

/// Year, month, day, hour, minute, second in UTC as seconds since 1970; `None` where there is no such
/// moment.
pub(super) fn moment(date: (i32, u8, u8), clock: (u8, u8, u8)) -> Option<i64> {
    let month = time::Month::try_from(date.1).ok()?;
    let date = time::Date::from_calendar_date(date.0, month, date.2).ok()?;
    let clock = time::Time::from_hms(clock.0, clock.1, clock.2).ok()?;
    Some(date.with_time(clock).assume_utc().unix_timestamp())
}

/// So many digits as a number; `None` where they are not all digits.
pub(super) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded_twice_at_most() {
        for (text, plain) in [
            ("nar/a.nar.xz", "nar/a.nar.xz"),
            ("nar%2Fa%2Bb", "nar/a+b"),
            ("nar%252Fa", "nar/a"),
            ("a%25252F", "a%2F"),
            ("100%", "100%"),
            ("%zz%", "%zz%"),
        ] {
            assert_eq!(decoded(text), plain, "{text}");
        }
    }

    #[test]
    fn moments_that_do_not_exist_are_none() {
        assert_eq!(moment((1970, 1, 2), (0, 0, 1)), Some(86_401));
        assert_eq!(moment((2026, 2, 29), (0, 0, 0)), None);
        assert_eq!(moment((2026, 1, 1), (24, 0, 0)), None);
        assert_eq!(digits::<u8>("07"), Some(7));
        assert_eq!(digits::<u8>("+7"), None);
        assert_eq!(digits::<u8>("256"), None);
    }
}
