//! Which codec an archive is packed with, and its decoder with a bounded window.
//!
//! The extension only hints at the codec (PROTOCOL.md §8: gzip and rarer ones have none), so the
//! first bytes decide; brotli alone has none of its own and is believed its `.br`. What the narinfo
//! says later has to agree.

use std::io::{self, BufRead, Read};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use http::StatusCode;
use snowbank_shared::narinfo::Compression;

use super::Refusal;

/// Bytes of an xz decoder's memory: a dictionary of 64 MiB, that of `xz -9`, and its tables.
const XZ_MEMORY: u64 = (64 + 4) << 20;
/// Two to this many bytes of window a zstd archive may ask for: 128 MiB, that of `zstd --ultra -22`.
const ZSTD_WINDOW: u32 = 27;
/// Bytes that [`sniff`] wants to see.
pub(super) const HEAD: usize = 16;

/// The codec of an archive that begins with these bytes, under this key.
///
/// # Errors
/// `unsupported-compression` for a codec that this server does not undo. What nobody knows counts
/// as plain, and is then no archive.
pub(super) fn sniff(head: &[u8], key: &str) -> Result<Compression, Refusal> {
    let unsupported = |name: &str| {
        Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "unsupported-compression",
            format!(
                "the archive is packed with {name}, which this server cannot unpack: use zstd, xz, bzip2, br, gzip or none"
            ),
        ))
    };
    Ok(match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        // A frame, or one to be skipped before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [b'L', b'Z', b'I', b'P', ..] => return unsupported("lzip"),
        [b'L', b'R', b'Z', b'I', ..] => return unsupported("lrzip"),
        [0x04, 0x22, 0x4d, 0x18, ..] => return unsupported("lz4"),
        [0x89, b'L', b'Z', b'O', ..] => return unsupported("lzop"),
        [0x1f, 0x9d, ..] => return unsupported("compress"),
        [0x5d, 0, 0, ..] => return unsupported("lzma"),
        _ if has_extension(key, "br") => Compression::Br,
        _ => Compression::None,
    })
}

fn has_extension(key: &str, extension: &str) -> bool {
    key.rsplit('.').next() == Some(extension)
}

/// What unpacks it. Several streams one after the other are one, as clients read them.
///
/// # Errors
/// Where a decoder cannot be had: memory.
pub(super) fn decoder<'a>(
    codec: Compression,
    source: impl BufRead + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match codec {
        Compression::Xz => {
            let stream =
                xz2::stream::Stream::new_stream_decoder(XZ_MEMORY, xz2::stream::CONCATENATED)
                    .map_err(io::Error::other)?;
            Box::new(xz2::bufread::XzDecoder::new_stream(source, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Compression::Br => Box::new(Brotli::new(source)),
        Compression::None => Box::new(source),
        other => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{other} is not unpacked here"),
            ));
        }
    })
}

/// A brotli decoder that takes no byte beyond the end of its stream, so that what follows is noticed.
struct Brotli<R> {
    source: R,
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl<R: BufRead> Brotli<R> {
    fn new(source: R) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            source,
            state: BrotliState::new(alloc(), alloc(), alloc()),
            ended: false,
        }
    }
}

impl<R: BufRead> Read for Brotli<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut written, mut room, mut total) = (0, buffer.len(), 0);
        while !self.ended && room > 0 {
            let input = self.source.fill_buf()?;
            let (mut used, mut available) = (0, input.len());
            let result = BrotliDecompressStream(
                &mut available,
                &mut used,
                input,
                &mut room,
                &mut written,
                buffer,
                &mut total,
                &mut self.state,
            );
            let nothing_came = input.is_empty();
            self.source.consume(used);
            match result {
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::NeedsMoreInput if nothing_came => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it ends early",
                    ));
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged"));
                }
            }
            if written > 0 {
                break;
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_whatever_the_name_says() {
        let of = |head: &[u8], key: &str| sniff(head, key).map_err(|refusal| refusal.code);
        assert_eq!(of(b"\xfd7zXZ\0\0", "nar/x.nar"), Ok(Compression::Xz));
        assert_eq!(
            of(&[0x28, 0xb5, 0x2f, 0xfd], "nar/x.nar.xz"),
            Ok(Compression::Zstd)
        );
        assert_eq!(of(&[0x1f, 0x8b, 8, 0], "nar/x.nar"), Ok(Compression::Gzip));
        assert_eq!(of(b"BZh9", "nar/x.nar.bz2"), Ok(Compression::Bzip2));
        assert_eq!(
            of(b"\x0d\0\0\0\0\0\0\0nix-arch", "nar/x.nar"),
            Ok(Compression::None)
        );
        assert_eq!(of(b"\x8b\x02", "nar/x.nar.br"), Ok(Compression::Br));
        assert_eq!(of(b"", "nar/x.nar"), Ok(Compression::None));
        assert_eq!(
            of(b"LZIP\x01", "nar/x.nar.lzip"),
            Err("unsupported-compression")
        );
        assert_eq!(
            of(&[0x04, 0x22, 0x4d, 0x18], "nar/x.nar.lz4"),
            Err("unsupported-compression")
        );
    }
}
