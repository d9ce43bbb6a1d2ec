//! Undoing an archive's compression in the browser, with decoders that need no C. Windows are
//! bounded as on the server. Pure, so that it is tested natively.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use snowbank_shared::narinfo::Compression;

/// KiB of an xz decoder's memory: a dictionary of 64 MiB, that of `xz -9`, and its tables.
const XZ_MEMORY: u32 = (64 + 4) << 10;
/// Bytes of window that a zstd archive may ask for, that of `zstd --ultra -22`.
const ZSTD_WINDOW: u64 = 128 << 20;
/// Bytes of a zstd frame's header at most.
const ZSTD_HEADER: usize = 18;

/// What reads an archive unpacked. `None`: this browser cannot, and the server will.
pub fn reader<'a>(codec: Compression, source: impl BufRead + 'a) -> Option<Box<dyn Read + 'a>> {
    Some(match codec {
        Compression::None => Box::new(source),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, XZ_MEMORY)),
        Compression::Zstd => Box::new(Frames::new(source)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        _ => return None,
    })
}

/// Zstd frames one after the other, as one stream; those to be skipped are skipped.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
        }
    }

    /// Begins the next frame; false where there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut header = [0; ZSTD_HEADER];
            self.source.read_exact(&mut header[..4])?;
            let magic = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            if (0x184D_2A50..=0x184D_2A5F).contains(&magic) {
                let mut length = [0; 4];
                self.source.read_exact(&mut length)?;
                let length = u64::from(u32::from_le_bytes(length));
                let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                if skipped < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            self.source.read_exact(&mut header[4..5])?;
            let end = 5 + header_rest(header[4]);
            self.source.read_exact(&mut header[5..end])?;
            let window = window(&header[..end]);
            if window > ZSTD_WINDOW {
                return Err(io::Error::other(format!(
                    "it asks for a window of {} MiB, and {} are the most",
                    window >> 20,
                    ZSTD_WINDOW >> 20
                )));
            }
            // A decoder that is used again keeps to a smaller window than this.
            self.decoder = FrameDecoder::new();
            self.decoder
                .init(&header[..end])
                .map_err(io::Error::other)?;
            return Ok(true);
        }
    }
}

/// Bytes of a frame's header behind its descriptor.
const fn header_rest(descriptor: u8) -> usize {
    let single = descriptor & 0x20 != 0;
    let window = if single { 0 } else { 1 };
    let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize];
    let content = match descriptor >> 6 {
        0 => single as usize,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    window + dictionary + content
}

/// Bytes of window that a frame asks for.
fn window(header: &[u8]) -> u64 {
    let descriptor = header[4];
    if descriptor & 0x20 == 0 {
        let (exponent, mantissa) = (header[5] >> 3, u64::from(header[5] & 7));
        let base = 1_u64 << (10 + exponent);
        return base + base / 8 * mantissa;
    }
    // One segment: as much as its content.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content = &header[5 + dictionary..];
    let mut bytes = [0; 8];
    bytes[..content.len()].copy_from_slice(content);
    u64::from_le_bytes(bytes) + if content.len() == 2 { 256 } else { 0 }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            } else if !self.begin()? {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use super::*;

    /// Bytes that pack well here and badly there.
    fn sample() -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..700_000)
            .map(|at| {
                if (at / 50_000) % 2 == 0 {
                    b'n'
                } else {
                    noise()
                }
            })
            .collect()
    }

    fn unpacked(codec: Compression, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        reader(codec, BufReader::with_capacity(777, packed))
            .expect("a codec of this browser")
            .read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_codec_gives_back_what_was_packed_also_in_two_streams() {
        let sample = sample();
        let xz = {
            let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(&sample).expect("packed");
            encoder.finish().expect("packed")
        };
        let bzip2 = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            encoder.write_all(&sample).expect("packed");
            encoder.finish().expect("packed")
        };
        let gzip = {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&sample).expect("packed");
            encoder.finish().expect("packed")
        };
        let zstd = zstd::encode_all(&sample[..], 19).expect("packed");
        for (codec, packed) in [
            (Compression::None, sample.clone()),
            (Compression::Xz, xz),
            (Compression::Zstd, zstd),
            (Compression::Bzip2, bzip2),
            (Compression::Gzip, gzip),
        ] {
            assert!(unpacked(codec, &packed).expect("good") == sample, "{codec}");
            let twice = [packed.clone(), packed.clone()].concat();
            assert!(
                unpacked(codec, &twice).expect("good") == [&sample[..], &sample].concat(),
                "{codec} twice"
            );
            if codec != Compression::None {
                assert!(
                    unpacked(codec, &packed[..packed.len() / 2]).is_err(),
                    "{codec} cut"
                );
                let mut broken = packed.clone();
                let middle = broken.len() / 2;
                broken[middle] ^= 0x55;
                assert!(
                    unpacked(codec, &broken).map_or(true, |out| out != sample),
                    "{codec} broken"
                );
            }
        }
    }

    #[test]
    fn frames_to_be_skipped_are_skipped_and_greedy_ones_refused() {
        let packed = zstd::encode_all(&b"hello"[..], 3).expect("packed");
        let skip = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &packed].concat();
        assert_eq!(unpacked(Compression::Zstd, &skip).expect("good"), b"hello");
        // A window of 2 GiB.
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0, (21 << 3), 1, 0, 0];
        let error = unpacked(Compression::Zstd, &greedy).expect_err("too much");
        assert!(error.to_string().contains("2048 MiB"), "{error}");
    }

    #[test]
    fn what_this_browser_cannot_is_left_to_the_server() {
        assert!(reader(Compression::Lzip, &b""[..]).is_none());
        assert!(reader(Compression::Br, &b""[..]).is_none());
    }
}
