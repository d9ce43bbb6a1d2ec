//! `Range: bytes=…`: one range of an object, as Nix resumes downloads.

/// A wanted range of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// From this byte up to and including that one, or to the end.
    From(u64, Option<u64>),
    /// The last bytes.
    Last(u64),
}

/// A range that lies within an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// The first byte, from 0.
    pub first: u64,
    /// The last byte, included.
    pub last: u64,
}

impl Within {
    /// Bytes in it; at least one.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Wanted {
    /// Reads the header. `None` for what RFC 9110, 14.2 lets a server ignore: other units,
    /// several ranges, nonsense; the whole object is then sent.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first, last) {
            ("", last) => digits(last).map(Self::Last),
            (first, "") => Some(Self::From(digits(first)?, None)),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The part of an object of `size` bytes; `None` where there is none: 416.
    pub fn of(self, size: u64) -> Option<Within> {
        let end = size.checked_sub(1)?;
        match self {
            Self::From(first, last) => (first <= end).then(|| Within {
                first,
                last: last.unwrap_or(end).min(end),
            }),
            Self::Last(0) => None,
            Self::Last(count) => Some(Within {
                first: size.saturating_sub(count),
                last: end,
            }),
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What does not fit lies beyond every object.
    plain.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_nonsense_is_ignored() {
        assert_eq!(Wanted::parse("bytes=0-"), Some(Wanted::From(0, None)));
        assert_eq!(Wanted::parse("Bytes=5-9"), Some(Wanted::From(5, Some(9))));
        assert_eq!(Wanted::parse("bytes=-7"), Some(Wanted::Last(7)));
        assert_eq!(
            Wanted::parse("bytes=99999999999999999999-"),
            Some(Wanted::From(u64::MAX, None))
        );
        for bad in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=9-5",
            "bytes=0-1,3-4",
            "lines=0-",
            "bytes=a-",
            "bytes=+1-",
            "bytes=0x1-",
        ] {
            assert_eq!(Wanted::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_range_is_cut_at_the_end_and_one_behind_it_is_none() {
        let of = |header: &str, size| {
            Wanted::parse(header)
                .expect(header)
                .of(size)
                .map(|it| (it.first, it.last))
        };
        assert_eq!(of("bytes=0-", 10), Some((0, 9)));
        assert_eq!(of("bytes=9-", 10), Some((9, 9)));
        assert_eq!(of("bytes=10-", 10), None);
        assert_eq!(of("bytes=3-100", 10), Some((3, 9)));
        assert_eq!(of("bytes=-3", 10), Some((7, 9)));
        assert_eq!(of("bytes=-30", 10), Some((0, 9)));
        assert_eq!(of("bytes=-0", 10), None);
        assert_eq!(of("bytes=0-", 0), None);
        assert_eq!(of("bytes=-1", 0), None);
    }
}
