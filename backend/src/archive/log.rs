//! Build logs, as whoever built left them: plain, or packed and with or without a header that
//! says so. They go out as text, piece by piece, and within bounds.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use bytes::Bytes;
use snowbank_shared::narinfo::Compression;

use super::outflow::{SLOWEST, outflow};
use super::{ArchiveError, Archives, FileStream, PIECE, Reader, codec, next, pieces};
use crate::bucket::{Bucket, Object};

/// Bytes of a log, unpacked; a longer one breaks off.
const MOST: u64 = 512 << 20;
/// How long one is read, at most.
const LONGEST: Duration = Duration::from_secs(5 * 60);

impl Archives {
    /// The text of the log under a key, unpacked for `reader`.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] where there is none; and the others.
    pub async fn log(
        &self,
        bucket: &Bucket,
        key: &str,
        reader: &Reader,
    ) -> Result<FileStream, ArchiveError> {
        let turn = self.files.turn(reader).await?;
        let Object {
            body,
            content_encoding,
            ..
        } = bucket.get(key).await?;
        let declared = match content_encoding {
            None => None,
            Some(header) => declared(&header)?,
        };
        let stored = pieces(body);
        let (mut out, text) = outflow(SLOWEST);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if let Err(error) = unpack(stored, declared, |piece| out.send(piece)) {
                out.fail(io::Error::other(error));
            }
        });
        Ok(text)
    }
}

/// What a Content-Encoding says; a log's may be any that Nix can be told to write.
fn declared(header: &str) -> Result<Option<Compression>, ArchiveError> {
    let mut found = None;
    for word in header.split(',') {
        let this = match word.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "aws-chunked" => continue,
            "gzip" | "x-gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            "br" => Compression::Br,
            "xz" => Compression::Xz,
            "bzip2" => Compression::Bzip2,
            _ => return Err(ArchiveError::Unsupported("something unknown".to_owned())),
        };
        if found.replace(this).is_some() {
            return Err(ArchiveError::Unsupported(
                "more than one encoding".to_owned(),
            ));
        }
    }
    Ok(found)
}

/// What the first bytes say. Brotli has none of its own.
fn sniffed(first: &[u8]) -> Option<Compression> {
    match first {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Some(Compression::Bzip2),
        _ => None,
    }
}

/// Hands the text on, until `send` says that nobody wants more.
fn unpack(
    mut stored: impl BufRead,
    declared: Option<Compression>,
    mut send: impl FnMut(Bytes) -> bool,
) -> Result<(), ArchiveError> {
    let broken = |error: io::Error| ArchiveError::Broken(error.to_string());
    // Something in between may have unpacked it and left the header: then its text is there.
    let first = stored.fill_buf().map_err(broken)?;
    let codec = match (sniffed(first), declared) {
        (Some(found), _) => found,
        (None, Some(Compression::Br)) if !is_text(first) => Compression::Br,
        (None, _) => Compression::None,
    };
    let unpacked = codec::decoder(codec, stored).map_err(broken)?;
    let mut unpacked = unpacked.take(MOST);
    let end = Instant::now() + LONGEST;
    let mut buffer = vec![0; PIECE];
    while let Some(length) = next(&mut unpacked, &mut buffer)? {
        if !send(Bytes::copy_from_slice(&buffer[..length])) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(ArchiveError::TooLong);
        }
    }
    if unpacked.limit() == 0 {
        return Err(ArchiveError::TooLarge(format!(
            "it has more than {} MiB",
            MOST >> 20
        )));
    }
    Ok(())
}

/// Whether the beginning of an object reads as text: no brotli stream of a log does.
fn is_text(first: &[u8]) -> bool {
    let first = &first[..first.len().min(512)];
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        // A letter cut in two is no reason.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&first[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}' | '\u{8}'))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write as _;

    use super::*;

    fn unpacked(stored: &[u8], declared: Option<Compression>) -> Result<Vec<u8>, ArchiveError> {
        let got = RefCell::new(Vec::new());
        unpack(stored, declared, |piece| {
            got.borrow_mut().extend_from_slice(&piece);
            true
        })?;
        Ok(got.into_inner())
    }

    #[test]
    fn a_log_is_read_however_it_is_packed_and_labelled() {
        let text = "unpacking sources\n\u{1b}[31merror:\u{1b}[0m ünlucky\n".repeat(500);
        let text = text.as_bytes();
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 3);
        xz.write_all(text).expect("packed");
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(text).expect("packed");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).expect("packed");
        let mut br = Vec::new();
        brotli::BrotliCompress(
            &mut &text[..],
            &mut br,
            &brotli::enc::BrotliEncoderParams::default(),
        )
        .expect("packed");
        for (codec, stored) in [
            (Compression::Xz, xz.finish().expect("packed")),
            (Compression::Bzip2, bzip2.finish().expect("packed")),
            (Compression::Gzip, gzip.finish().expect("packed")),
            (
                Compression::Zstd,
                zstd::encode_all(text, 3).expect("packed"),
            ),
        ] {
            assert_eq!(
                unpacked(&stored, Some(codec)).as_deref(),
                Ok(text),
                "{codec}"
            );
            assert_eq!(unpacked(&stored, None).as_deref(), Ok(text), "{codec}");
            let cut = unpacked(&stored[..stored.len() / 2], Some(codec));
            assert!(matches!(cut, Err(ArchiveError::Broken(_))), "{codec}");
        }
        assert_eq!(unpacked(&br, Some(Compression::Br)).as_deref(), Ok(text));
        // Unpacked on the way, with its label left.
        for codec in [None, Some(Compression::Br), Some(Compression::Zstd)] {
            assert_eq!(unpacked(text, codec).as_deref(), Ok(text), "{codec:?}");
        }
        assert_eq!(unpacked(b"", None).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_header_says_one_encoding_or_none() {
        assert_eq!(declared("aws-chunked, xz"), Ok(Some(Compression::Xz)));
        assert_eq!(declared("identity"), Ok(None));
        assert!(declared("br, gzip").is_err());
        assert!(declared("snappy").is_err());
    }
}
