//! Undoing a stored Content-Encoding.
//!
//! Narinfos, listings and logs may lie in the bucket as zstd, br or gzip, with the header
//! that says so or, because some tools lose it, without. `aws-chunked` and `identity` are
//! slips of uploaders and say nothing about the stored bytes (PROTOCOL.md §10). What comes
//! out is bounded twice: in bytes, and in relation to what went in.

use std::io::{self, Read};

use bytes::Bytes;

/// How much may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes in all.
    pub bytes: usize,
    /// Times the bytes that went in, beyond the first 64 KiB.
    pub ratio: usize,
}

impl DecodeLimits {
    /// For texts: at most `bytes`, and 1,000 times what is stored.
    pub const fn text(bytes: usize) -> Self {
        Self { bytes, ratio: 1000 }
    }

    fn for_input(self, input: usize) -> usize {
        self.bytes
            .min(input.saturating_mul(self.ratio).saturating_add(64 * 1024))
    }
}

/// How an object's bytes turned out to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// As they are.
    Identity,
    /// As the header says.
    Encoded(Coding),
    /// Encoded, though no header says so: found by the first bytes.
    Sniffed(Coding),
    /// Not encoded, though a header says so.
    Mislabelled(Coding),
}

/// A coding that we can undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// The word of the Content-Encoding header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }
}

/// Why bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A coding that nobody here undoes.
    #[error("stored with Content-Encoding `{0}`, which cannot be decoded")]
    Unknown(String),
    /// More than the limits allow.
    #[error("decodes to more than {0} bytes")]
    TooLarge(usize),
    /// Not what the coding looks like, or cut short.
    #[error("stored as {0} and damaged: {1}")]
    Damaged(&'static str, String),
}

/// The coding that a Content-Encoding header leaves to undo; `None`: nothing.
///
/// # Errors
/// [`DecodeError::Unknown`] for other codings and for more than one.
pub fn coding(header: &str) -> Result<Option<Coding>, DecodeError> {
    let mut found = None;
    for word in header.split(',') {
        let word = word.trim().to_ascii_lowercase();
        let this = match word.as_str() {
            "" | "identity" | "aws-chunked" => continue,
            "gzip" | "x-gzip" => Coding::Gzip,
            "zstd" => Coding::Zstd,
            "br" => Coding::Brotli,
            _ => return Err(DecodeError::Unknown(shown(header))),
        };
        if found.replace(this).is_some() {
            return Err(DecodeError::Unknown(shown(header)));
        }
    }
    Ok(found)
}

fn shown(header: &str) -> String {
    header
        .chars()
        .take(60)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

/// What a stored Content-Encoding leaves to tell a client: without `aws-chunked` and
/// `identity`, and nothing where nothing remains.
pub fn stripped(header: &str) -> Option<String> {
    let words: Vec<_> = header
        .split(',')
        .map(str::trim)
        .filter(|word| {
            !word.is_empty()
                && !word.eq_ignore_ascii_case("aws-chunked")
                && !word.eq_ignore_ascii_case("identity")
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Undoes the coding of a text object: by its header, and where there is none by its first
/// bytes. NARs must not come here: for them only the narinfo's Compression counts.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_text(
    header: Option<&str>,
    stored: Bytes,
    limits: DecodeLimits,
) -> Result<(Bytes, Decoded), DecodeError> {
    let declared = header.map(coding).transpose()?.flatten();
    let sniffed = sniff(&stored);
    match (declared, sniffed) {
        (None, None) if stored.len() > limits.bytes => Err(DecodeError::TooLarge(limits.bytes)),
        (None, None) => Ok((stored, Decoded::Identity)),
        (None, Some(coding)) => Ok((decode(coding, &stored, limits)?, Decoded::Sniffed(coding))),
        (Some(coding), _) => match decode(coding, &stored, limits) {
            Ok(bytes) => Ok((bytes, Decoded::Encoded(coding))),
            // Something in between decoded it and left the header, or the uploader
            // set the header alone. Plain text is then what the bytes themselves say.
            Err(DecodeError::Damaged(..)) if sniffed.is_none() && is_text(&stored) => {
                Ok((stored, Decoded::Mislabelled(coding)))
            }
            Err(error) => Err(error),
        },
    }
}

fn sniff(bytes: &[u8]) -> Option<Coding> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(Coding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Coding::Zstd),
        _ => None,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && std::str::from_utf8(bytes).is_ok_and(|text| {
            !text
                .chars()
                .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        })
}

/// The decoded bytes.
///
/// # Errors
/// Where they are not of this coding, or more than the limits allow.
pub fn decode(coding: Coding, stored: &[u8], limits: DecodeLimits) -> Result<Bytes, DecodeError> {
    let most = limits.for_input(stored.len());
    let damaged = |error: io::Error| DecodeError::Damaged(coding.as_str(), error.to_string());
    let mut decoded = Vec::with_capacity(stored.len().saturating_mul(3).min(most));
    let read = match coding {
        Coding::Gzip => read_bounded(
            flate2::read::MultiGzDecoder::new(stored),
            most,
            &mut decoded,
        ),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(damaged)?;
            // 8 MiB, what every decoder must take: a text needs no more, an attacker would.
            decoder.window_log_max(23).map_err(damaged)?;
            read_bounded(decoder, most, &mut decoded)
        }
        Coding::Brotli => read_bounded(brotli::Decompressor::new(stored, 4096), most, &mut decoded),
    };
    read.map_err(damaged)?;
    if decoded.len() > most {
        return Err(DecodeError::TooLarge(most));
    }
    Ok(decoded.into())
}

/// Reads at most one byte more than `most`, so that the caller sees that it was too much.
fn read_bounded(reader: impl Read, most: usize, into: &mut Vec<u8>) -> io::Result<()> {
    reader.take(most as u64 + 1).read_to_end(into)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TEXT: &[u8] = b"StorePath: /nix/store/x\nURL: nar/y\n";

    fn encoded(coding: Coding, bytes: &[u8]) -> Bytes {
        match coding {
            Coding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).expect("in memory");
                encoder.finish().expect("in memory").into()
            }
            Coding::Zstd => zstd::encode_all(bytes, 3).expect("in memory").into(),
            Coding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 20)
                    .write_all(bytes)
                    .expect("in memory");
                out.into()
            }
        }
    }

    fn text(header: Option<&str>, stored: Bytes) -> Result<(Bytes, Decoded), DecodeError> {
        decode_text(header, stored, DecodeLimits::text(1 << 20))
    }

    #[test]
    fn every_coding_is_undone_by_its_header() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            for header in [
                coding.as_str().to_owned(),
                format!("aws-chunked, {}", coding.as_str()),
                format!("{},identity", coding.as_str().to_uppercase()),
            ] {
                let (bytes, how) = text(Some(&header), encoded(coding, TEXT)).expect(&header);
                assert_eq!(
                    (&bytes[..], how),
                    (TEXT, Decoded::Encoded(coding)),
                    "{header}"
                );
            }
        }
    }

    #[test]
    fn a_lost_header_is_found_out() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            for header in [None, Some("aws-chunked"), Some("identity"), Some("")] {
                let (bytes, how) = text(header, encoded(coding, TEXT)).expect("sniffed");
                assert_eq!((&bytes[..], how), (TEXT, Decoded::Sniffed(coding)));
            }
        }
    }

    #[test]
    fn a_header_on_plain_text_is_forgiven_and_remembered() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            let (bytes, how) = text(Some(coding.as_str()), Bytes::from_static(TEXT)).expect("text");
            assert_eq!((&bytes[..], how), (TEXT, Decoded::Mislabelled(coding)));
        }
    }

    #[test]
    fn damage_is_an_error() {
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            let whole = encoded(coding, &TEXT.repeat(50));
            let cut = whole.slice(..whole.len() - 5);
            let error = text(Some(coding.as_str()), cut).expect_err("cut");
            assert!(matches!(error, DecodeError::Damaged(..)), "{error}");
        }
        assert!(matches!(
            text(Some("deflate"), Bytes::from_static(TEXT)),
            Err(DecodeError::Unknown(_))
        ));
        assert!(text(Some("gzip, zstd"), Bytes::from_static(TEXT)).is_err());
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let zeros = vec![0; 64 << 20];
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            let error = text(Some(coding.as_str()), encoded(coding, &zeros)).expect_err("a bomb");
            assert!(
                matches!(error, DecodeError::TooLarge(most) if most <= 1 << 20),
                "{error}"
            );
        }
        let plain = Bytes::from(vec![b'a'; (1 << 20) + 1]);
        assert_eq!(text(None, plain), Err(DecodeError::TooLarge(1 << 20)));
    }

    #[test]
    fn only_what_means_something_is_passed_on() {
        assert_eq!(stripped("aws-chunked"), None);
        assert_eq!(stripped("identity, AWS-chunked ,"), None);
        assert_eq!(stripped("aws-chunked,br"), Some("br".to_owned()));
        assert_eq!(stripped("deflate"), Some("deflate".to_owned()));
    }
}
