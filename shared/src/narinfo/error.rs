//! Why a narinfo is refused: by code, field and line.

use std::fmt;

/// The codes of PROTOCOL.md §19 that a narinfo alone can bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Not a narinfo that Nix reads, or, on upload, not one that all versions read alike.
    BadNarinfo,
    /// A URL that leads out of the cache, or is in no safe form.
    BadUrl,
    /// A field given twice. Nix takes the last; uploads may not.
    DuplicateField,
    /// A StorePath that has to be resolved first. Uploads may not.
    StorePathNotCanonical,
    /// A Compression that Nix has no name for.
    UnsupportedCompression,
    /// The StorePath's hash part is not the name of the narinfo's object.
    KeyMismatch,
    /// The store path does not follow from the content address.
    CaPathMismatch,
    /// References beside a content address that allows none.
    CaWithReferences,
}

impl ErrorCode {
    /// The code as it crosses the wire, such as `bad-narinfo`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadNarinfo => "bad-narinfo",
            Self::BadUrl => "bad-url",
            Self::DuplicateField => "duplicate-field",
            Self::StorePathNotCanonical => "store-path-not-canonical",
            Self::UnsupportedCompression => "unsupported-compression",
            Self::KeyMismatch => "key-mismatch",
            Self::CaPathMismatch => "ca-path-mismatch",
            Self::CaWithReferences => "ca-with-references",
        }
    }

    /// The HTTP status of an upload refused for this.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::CaPathMismatch | Self::CaWithReferences => 422,
            _ => 400,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A narinfo that is refused. Prints as one line: `line 7, NarSize: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfoError {
    /// What kind of fault.
    pub code: ErrorCode,
    /// Where, from 1; `None` where something is missing.
    pub line: Option<u32>,
    /// Which field.
    pub field: Option<&'static str>,
    /// What is wrong with it.
    pub reason: String,
}

impl std::error::Error for NarInfoError {}

impl fmt::Display for NarInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.field) {
            (Some(line), Some(field)) => write!(f, "line {line}, {field}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, Some(field)) => write!(f, "{field}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.reason)
    }
}

/// `text` for an error message: quoted, control characters escaped, cut short.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("\"{short}\"")
}
