//! Decoders of archives, with bounded windows.

use std::io::{self, BufRead, Read};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use snowbank_shared::narinfo::Compression;

/// Bytes of an xz decoder's memory: a dictionary of 64 MiB, that of `xz -9`, and its tables.
const XZ_MEMORY: u64 = (64 + 4) << 20;
/// Two to this many bytes of window a zstd archive may ask for: 128 MiB, that of `zstd --ultra -22`.
const ZSTD_WINDOW: u32 = 27;
/// What unpacks it. Several streams one after the other are one, as clients read them.
///
/// # Errors
/// Where a decoder cannot be had: memory.
pub fn decoder<'a>(
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
