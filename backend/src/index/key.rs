//! Hash parts and base names as the index keeps them.
//!
//! A [`StorePathHash`] sorts as its text does. So a hash prefix is a range of
//! sorted hashes, and "ties by hash" is what people see.
//!
//! The `push_…` functions append to a buffer: they print narinfos, for every
//! request of a Nix client, and allocate nothing.

use snowbank_shared::hash::nix32;
use snowbank_shared::store_path::{HASH_LEN, StorePathHash};

use nix32::ALPHABET;

/// Whether all of `text` could stand in a nix32 hash.
pub(crate) fn is_nix32(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The first eight bytes as a number: which bucket a hash belongs to.
pub(crate) fn head(hash: &StorePathHash) -> u64 {
    let mut head = [0; 8];
    head.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(head)
}

/// Appends the nix32 form of a hash in its usual byte order.
pub(crate) fn push_nix32(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + (bytes.len() * 8).div_ceil(5), 0);
    // The last digit is that of the lowest bits; five bytes are eight digits.
    let mut rest = &mut out[start..];
    for group in bytes.chunks(5) {
        let mut bits = group
            .iter()
            .rev()
            .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        let digits = (group.len() * 8).div_ceil(5);
        let (before, own) = rest.split_at_mut(rest.len() - digits);
        for pair in own.rchunks_mut(2) {
            match pair {
                [high, low] => [*high, *low] = nix32::PAIRS[(bits & 1023) as usize],
                single => single[0] = ALPHABET[(bits & 31) as usize],
            }
            bits >>= 10;
        }
        rest = before;
    }
}

/// Appends the lower-case base16 form.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends a number in decimal.
pub(crate) fn push_decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A store path's base name: what a reference names. Ordered by hash, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BaseName {
    pub(crate) key: StorePathHash,
    pub(crate) name: Box<str>,
}

/// `hash-name`.
pub(crate) fn base_text(key: StorePathHash, name: &str) -> String {
    let mut text = String::with_capacity(HASH_LEN + 1 + name.len());
    push_base(&mut text, key, name);
    text
}

/// Writes `hash-name`.
pub(crate) fn push_base(text: &mut String, key: StorePathHash, name: &str) {
    text.extend(key.to_ascii().map(char::from));
    text.push('-');
    text.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_hashes_print_as_elsewhere(number in any::<u64>(), bytes in any::<[u8; 32]>()) {
            let mut out = Vec::new();
            push_decimal(number, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            let mut out = Vec::new();
            push_nix32(&bytes, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), snowbank_shared::hash::nix32::encode(&bytes));
        }
    }
}
