//! The names that a narinfo's Compression may have (PROTOCOL.md §8).

use std::fmt;

/// A compression that Nix has a name for. Names are exact, `XZ` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compression {
    None,
    Br,
    Bzip2,
    Compress,
    Grzip,
    Gzip,
    Lrzip,
    Lz4,
    Lzip,
    Lzma,
    Lzop,
    Xz,
    Zstd,
}

impl Compression {
    /// Every compression, by name.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::Br,
        Self::Bzip2,
        Self::Compress,
        Self::Grzip,
        Self::Gzip,
        Self::Lrzip,
        Self::Lz4,
        Self::Lzip,
        Self::Lzma,
        Self::Lzop,
        Self::Xz,
        Self::Zstd,
    ];

    /// The word in the narinfo.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Br => "br",
            Self::Bzip2 => "bzip2",
            Self::Compress => "compress",
            Self::Grzip => "grzip",
            Self::Gzip => "gzip",
            Self::Lrzip => "lrzip",
            Self::Lz4 => "lz4",
            Self::Lzip => "lzip",
            Self::Lzma => "lzma",
            Self::Lzop => "lzop",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
    }

    /// What Nix appends to `.nar` in the URL. Most have nothing, so this never tells the codec.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Lzip => ".lzip",
            Self::Lz4 => ".lz4",
            Self::Br => ".br",
            _ => "",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
