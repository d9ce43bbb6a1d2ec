//! Base64 as Nix decodes it, which is more lenient than the standard: decoding
//! stops at the first `=`, line feeds are skipped, and padding may be missing.
//! [`Decoded::canonical`] tells whether the text was nevertheless the one that
//! encoding gives back; uploads must be at least free of rubbish after the padding.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// What came out of [`decode_into`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// How many bytes the text stands for; those beyond the buffer were dropped.
    pub(crate) bytes: usize,
    /// Nothing but at most two `=` follows the digits, and no bits are left over.
    pub(crate) clean: bool,
    /// Clean, padded to a multiple of four, without line feeds.
    pub(crate) canonical: bool,
}

/// Decodes into `out`, which may be smaller or larger than what the text stands for.
/// The error is the position of the first byte outside of the alphabet, from 0.
pub(crate) fn decode_into(text: &[u8], out: &mut [u8]) -> Result<Decoded, usize> {
    let mut pending = 0u32;
    let mut bits = 0;
    let mut bytes = 0;
    let mut digits = 0;
    let mut padding: &[u8] = &[];
    for (position, character) in text.iter().enumerate() {
        match character {
            b'=' => {
                padding = &text[position..];
                break;
            }
            b'\n' => continue,
            _ => {}
        }
        let value = VALUES[usize::from(*character)];
        if value == 0xff {
            return Err(position);
        }
        digits += 1;
        pending = pending << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            if let Some(byte) = out.get_mut(bytes) {
                *byte = (pending >> bits) as u8;
            }
            bytes += 1;
            pending &= (1 << bits) - 1;
        }
    }
    let clean =
        padding.len() <= 2 && padding.iter().all(|byte| *byte == b'=') && pending == 0 && bits < 6;
    let canonical = clean && digits + padding.len() == text.len() && text.len().is_multiple_of(4);
    Ok(Decoded {
        bytes,
        clean,
        canonical,
    })
}

/// The standard, padded form that Nix writes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
