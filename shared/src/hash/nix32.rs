//! Nix's base 32: 32 digits without `e o t u`, most significant digit first,
//! over the bytes taken as one little-endian number.
//!
//! A digest of n bytes has ⌈8n/5⌉ digits. Where 5 does not divide 8n, the first
//! digit has bits to spare; they must be zero, or the text is refused, so that
//! every digest has exactly one spelling (PROTOCOL.md §3).

use std::fmt;

use super::{HashError, MAX_SIZE};

/// The digits, by value.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Two digits at once: at `32 h + l`, the digits of `h` and `l`. Servers print hashes by
/// the thousand.
pub const PAIRS: [[u8; 2]; 1024] = {
    let mut pairs = [[0; 2]; 1024];
    let mut value = 0;
    while value < pairs.len() {
        pairs[value] = [ALPHABET[value >> 5], ALPHABET[value & 31]];
        value += 1;
    }
    pairs
};

/// Value of every byte as a digit, or 0xff.
pub(crate) const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 32 {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// True for a digit of the alphabet; capitals are none.
pub const fn is_alphabet(byte: u8) -> bool {
    VALUES[byte as usize] != 0xff
}

/// Digits needed for `size` bytes.
pub const fn encoded_len(size: usize) -> usize {
    (size * 8).div_ceil(5)
}

/// Encodes bytes of any number.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    for_each_digit(bytes, |digit| text.push(char::from(digit)));
    text
}

/// Decodes `text` as a value of `size` bytes.
///
/// # Errors
/// [`HashError::BadCharacter`], [`HashError::NotCanonical`], or [`HashError::WrongDigitCount`].
pub fn decode(text: &str, size: usize) -> Result<Vec<u8>, HashError> {
    let mut bytes = vec![0; size];
    decode_into(text.as_bytes(), &mut bytes)?;
    Ok(bytes)
}

/// Decodes into `out`, which must be zero and of the value's size.
pub(crate) fn decode_into(text: &[u8], out: &mut [u8]) -> Result<(), HashError> {
    if text.len() != encoded_len(out.len()) {
        return Err(HashError::WrongDigitCount {
            expected: encoded_len(out.len()),
            found: text.len(),
        });
    }
    // Least significant digit first, gathered in `pending` and let out bytewise.
    let mut pending = 0u32;
    let mut bits = 0;
    let mut filled = 0;
    for (n, character) in text.iter().enumerate().rev() {
        let value = VALUES[usize::from(*character)];
        if value == 0xff {
            return Err(HashError::BadCharacter {
                encoding: "nix32",
                position: n + 1,
            });
        }
        pending |= u32::from(value) << bits;
        bits += 5;
        if bits >= 8 && filled < out.len() {
            out[filled] = pending as u8;
            filled += 1;
            pending >>= 8;
            bits -= 8;
        }
    }
    if pending == 0 {
        Ok(())
    } else {
        Err(HashError::NotCanonical)
    }
}

/// Writes the digits without building a string.
pub(crate) fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0u8; encoded_len(MAX_SIZE)];
    let mut length = 0;
    for_each_digit(bytes, |digit| {
        digits[length] = digit;
        length += 1;
    });
    f.write_str(std::str::from_utf8(&digits[..length]).map_err(|_| fmt::Error)?)
}

/// The digits, most significant first.
pub(crate) fn for_each_digit(bytes: &[u8], mut digit: impl FnMut(u8)) {
    for n in (0..encoded_len(bytes.len())).rev() {
        let (byte, bit) = (n * 5 / 8, n * 5 % 8);
        let low = u32::from(bytes[byte]) >> bit;
        let high = bytes
            .get(byte + 1)
            .map_or(0, |next| u32::from(*next) << (8 - bit));
        digit(ALPHABET[((low | high) & 31) as usize]);
    }
}
