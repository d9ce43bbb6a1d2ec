//! Compressing synthetic archives. Each codec at a level that gives the same
//! bytes from one version of its library to the next as far as possible; the
//! determinism test pins what none of them touches.

use std::io::Write as _;

use snowbank_shared::hash::nix32;

/// How one archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// xz, level 1.
    Xz,
    /// zstd, level 3.
    Zstd,
    /// bzip2.
    Bzip2,
}

/// How archives are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CodecChoice {
    /// All with xz, Nix's default.
    Xz,
    /// All with zstd.
    Zstd,
    /// All with bzip2.
    Bzip2,
    /// Not at all.
    None,
    /// xz 60 %, zstd 30 %, bzip2 5 %, none 5 %.
    Mixed,
}

impl Codec {
    /// Its name in `Compression`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        }
    }

    /// The key of an archive whose compressed bytes have this SHA-256.
    #[must_use]
    pub fn nar_key(self, file_hash: &[u8; 32]) -> String {
        let extension = match self {
            Self::None => "",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
        };
        format!("nar/{}.nar{extension}", nix32::encode(file_hash))
    }

    /// Compresses in memory.
    #[must_use]
    pub fn compress(self, bytes: &[u8]) -> Vec<u8> {
        let result = match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Xz => {
                let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::bulk::compress(bytes, 3),
            Self::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).and_then(|()| encoder.finish())
            }
        };
        result.expect("memory takes every byte")
    }
}
