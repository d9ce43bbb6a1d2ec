//! Bytes in words, as Nix prints them.
//!
//! In integers: printing a floating-point number brings 20 kB of tables into the dashboard.

/// Bytes in IEC units, three significant figures: `84.1 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    for (at, unit) in UNITS.iter().enumerate() {
        let one = 1_u128 << (10 * (at + 1));
        // 1023.95 would be printed as 1024: it is one of the next unit.
        if rounded(bytes, 1, one) < 1000 || at + 1 == UNITS.len() {
            let (hundredths, tenths) = (rounded(bytes, 100, one), rounded(bytes, 10, one));
            return if hundredths < 1000 {
                format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
            } else if tenths < 1000 {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            } else {
                format!("{} {unit}", rounded(bytes, 1, one))
            };
        }
    }
    unreachable!("the last unit takes all")
}

/// `parts` × `times` / `whole`, to the nearest integer; `whole` is not zero.
pub fn rounded(parts: u64, times: u128, whole: u128) -> u128 {
    (u128::from(parts) * times * 2 + whole) / (whole * 2)
}

/// How many more bytes, or fewer: `+12.3 KiB`, `−84.1 MiB`, `±0 B`.
pub fn change(bytes: i64) -> String {
    let words = size(bytes.unsigned_abs());
    match bytes {
        1.. => format!("+{words}"),
        0 => format!("±{words}"),
        _ => format!("−{words}"),
    }
}

/// By how much something grew, in percent of what it was: `+6.5 %`; nothing where it was nothing.
pub fn growth(before: u64, after: u64) -> Option<String> {
    if before == 0 {
        return None;
    }
    let permille = rounded(before.abs_diff(after), 1000, u128::from(before));
    let sign = match after.cmp(&before) {
        std::cmp::Ordering::Greater => '+',
        std::cmp::Ordering::Equal => '±',
        std::cmp::Ordering::Less => '−',
    };
    Some(format!("{sign}{}.{} %", permille / 10, permille % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_their_sign() {
        assert_eq!(change(12_595), "+12.3 KiB");
        assert_eq!(change(-12_595), "−12.3 KiB");
        assert_eq!(change(0), "±0 B");
        assert_eq!(change(i64::MIN), "−8.00 EiB");
        assert_eq!(growth(1000, 1065), Some("+6.5 %".to_owned()));
        assert_eq!(growth(1000, 935), Some("−6.5 %".to_owned()));
        assert_eq!(growth(3, 3), Some("±0.0 %".to_owned()));
        assert_eq!(growth(0, 3), None);
    }
}
