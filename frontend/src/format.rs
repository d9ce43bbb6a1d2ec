//! Numbers, sizes and times in words. Pure, so that it is tested natively.

use snowbank_shared::api::Reproducer;
use snowbank_shared::size::rounded;
pub use snowbank_shared::size::size;
pub use snowbank_shared::store_path::split_name;

/// A count with thin groups of three: `1,204,331`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 path`, `2 paths`: a count with its noun; a noun in `y` or `x` is given in full.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A size without a fraction that is nothing: `10 MiB`.
pub fn size_short(bytes: u64) -> String {
    size(bytes).replace(".00 ", " ").replace(".0 ", " ")
}

/// Bytes to the last one: `88,181,432 bytes`.
pub fn exact_bytes(bytes: u64) -> String {
    counted(bytes, "byte", "bytes")
}

/// `reproduced by 2`, where more than one person vouches for one content.
pub fn reproduced_words(by: &[Reproducer]) -> Option<String> {
    (by.len() > 1).then(|| format!("reproduced by {}", by.len()))
}

/// A share in percent. Only all is `100 %`, only nothing is `0 %`: neither is reached by rounding.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "—".to_owned();
    }
    if part == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let permille = rounded(part, 1000, u128::from(whole)).clamp(1, 999);
    if (100..=990).contains(&permille) {
        format!("{} %", (permille + 5) / 10)
    } else {
        format!("{}.{} %", permille / 10, permille % 10)
    }
}

/// How much smaller the download is: `3.9×`; nothing where one of both is nothing.
pub fn ratio(unpacked: u64, download: u64) -> Option<String> {
    if unpacked == 0 || download == 0 {
        return None;
    }
    let tenths = rounded(unpacked, 10, u128::from(download));
    Some(format!("{}.{}×", tenths / 10, tenths % 10))
}

/// Seconds in the largest fitting unit: `12 s`, `3 min`, `5 h`, `2 d`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long before `now` something was, both in seconds since 1970: `2 min ago`.
/// Clocks differ, so the near future is now.
pub fn ago(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        -60..5 => "just now".to_owned(),
        5.. => match u64::try_from(seconds).unwrap_or_default() {
            past @ 0..5_184_000 => format!("{} ago", duration(past)),
            past @ 5_184_000..63_072_000 => format!("{} months ago", past / 2_592_000),
            past => format!("{} years ago", past / 31_536_000),
        },
        _ => format!("in {}", duration(seconds.unsigned_abs())),
    }
}

/// Seconds since 1970 of an RFC 3339 time in UTC (`2026-11-23T12:03:22Z`, with or without a fraction).
pub fn unix_seconds(time: &str) -> Option<i64> {
    let time = time
        .strip_suffix('Z')
        .or_else(|| time.strip_suffix("+00:00"))?;
    let (date, clock) = time.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let clock = clock.split('.').next()?;
    let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The hash part and the name of a full store path or of its last segment.
pub fn split_path(path: &str) -> (&str, &str) {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').unwrap_or((base, ""))
}

/// A text that others wrote, as it may be shown: control characters and marks that turn
/// the direction of text around are spelled out, so that nothing looks like what it is not.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (c.is_control() && c != '\n') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A message as a sentence: its first letter large, a full stop at its end.
pub fn sentence(message: &str) -> String {
    let mut sentence = visible(message.trim());
    if sentence.is_empty() {
        return sentence;
    }
    // Messages begin with words of English: the tables of all alphabets stay out.
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

/// Hex in groups of four, as keys' fingerprints are read aloud.
pub fn hex_groups(hex: &str) -> String {
    let mut out = String::with_capacity(hex.len() * 5 / 4);
    for (at, digit) in hex.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_204_331), "1,204,331");
        assert_eq!(counted(1, "path", "paths"), "1 path");
        assert_eq!(counted(0, "path", "paths"), "0 paths");
    }

    #[test]
    fn sizes_have_three_figures_and_never_1024() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1_258_291, "1.20 MiB"),
            (88_184_832, "84.1 MiB"),
            (1023 * 1024, "1.00 MiB"),
            (500 << 30, "500 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(exact_bytes(1_258_291), "1,258,291 bytes");
        assert_eq!(size_short(1 << 20), "1 MiB");
        assert_eq!(size_short(10 << 20), "10 MiB");
        assert_eq!(size_short(1_258_291), "1.20 MiB");
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        assert_eq!(percent(0, 0), "—");
        assert_eq!(percent(0, 9), "0 %");
        assert_eq!(percent(1, 1_000_000), "0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(62, 100), "62 %");
        assert_eq!(percent(9, 9), "100 %");
        assert_eq!(percent(1, 25), "4.0 %");
        assert_eq!(percent(995, 1000), "99.5 %");
        assert_eq!(ratio(390, 100), Some("3.9×".to_owned()));
        assert_eq!(ratio(0, 100), None);
    }

    #[test]
    fn times_are_read_and_told() {
        assert_eq!(unix_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_seconds("2026-11-23T12:03:22Z"), Some(1_795_435_402));
        assert_eq!(unix_seconds("2000-02-29T23:59:59.123Z"), Some(951_868_799));
        for bad in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-23",
            "2026-11-23T12:03Z",
        ] {
            assert_eq!(unix_seconds(bad), None, "{bad}");
        }
        assert_eq!(ago(100, 102), "just now");
        assert_eq!(ago(130, 100), "just now");
        assert_eq!(ago(100, 220), "2 min ago");
        assert_eq!(ago(0, 86_400 * 30), "30 d ago");
        assert_eq!(ago(0, 86_400 * 365 * 3), "3 years ago");
        assert_eq!(ago(1000, 100), "in 15 min");
    }

    #[test]
    fn what_turns_text_around_is_spelled_out() {
        assert_eq!(visible("größe-1.0 “x”"), "größe-1.0 “x”");
        assert_eq!(visible("a\u{202e}gnp.exe\u{7}"), "a\\u{202e}gnp.exe\\u{7}");
        assert_eq!(sentence("bad \u{2066}name"), "Bad \\u{2066}name.");
    }

    #[test]
    fn messages_become_sentences() {
        assert_eq!(sentence("its NAR is gone"), "Its NAR is gone.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("“x” is odd"), "“x” is odd.");
        assert_eq!(sentence(" "), "");
    }

    #[test]
    fn names_are_cut_where_nix_cuts() {
        for (name, package, version) in [
            ("top-1.0", "top", "-1.0"),
            ("glibc-2.42-61", "glibc", "-2.42-61"),
            ("keyutils-1.6.3-lib", "keyutils", "-1.6.3-lib"),
            ("python3.12-requests-2.31", "python3.12-requests", "-2.31"),
            ("hello", "hello", ""),
            ("source", "source", ""),
            ("-1", "-1", ""),
            ("x-", "x-", ""),
        ] {
            assert_eq!(split_name(name), (package, version), "{name}");
        }
        assert_eq!(split_path("/nix/store/abc-top-1.0"), ("abc", "top-1.0"));
        assert_eq!(hex_groups("9f1c77ab0"), "9f1c 77ab 0");
    }
}
