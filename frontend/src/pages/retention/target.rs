//! The size that a cache should come down to, as people type it: `250 GiB`.

/// Units, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Bytes of what was typed, a number and a unit; a number alone is in GiB. `None` where it is neither.
pub fn parsed(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let size = match unit {
        "" => 1 << 30,
        _ => {
            let known = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
            UNITS.iter().find(known)?.1
        }
    };
    let number: u64 = digits.trim().parse().ok()?;
    number.checked_mul(size).filter(|bytes| *bytes > 0)
}

/// The same bytes in the largest unit that divides them.
pub fn spelled(bytes: u64) -> String {
    for (unit, size) in UNITS {
        if bytes.is_multiple_of(size) {
            return format!("{} {unit}", bytes / size);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_typed_and_spelled_so_that_they_are_read_back() {
        for (text, bytes) in [
            ("250 GiB", Some(250 << 30)),
            ("250", Some(250 << 30)),
            (" 3tib ", Some(3 << 40)),
            ("1536 KiB", Some(1536 << 10)),
            ("7 B", Some(7)),
            ("", None),
            ("0", None),
            ("GiB", None),
            ("2.5 GiB", None),
            ("9 XB", None),
            ("99999999999 TiB", None),
        ] {
            assert_eq!(parsed(text), bytes, "{text}");
        }
        for bytes in [1, 1023, 1024, 1536 << 10, 250 << 30, u64::MAX] {
            assert_eq!(parsed(&spelled(bytes)), Some(bytes));
        }
    }
}
