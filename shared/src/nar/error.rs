//! Why an archive is refused, and where.

use super::{FileNameError, MAX_DEPTH, MAX_TAG, MAX_TARGET};

/// An archive that is not a NAR: at which byte, and why.
///
/// Its text is one line of printable characters, shorter than 1 kB, fit for
/// the answer to an upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid NAR at byte {offset}: {kind}")]
pub struct NarError {
    /// Offset in the uncompressed archive, counted from 0: of the string that
    /// is wrong, of the byte of padding that is not zero, of the first byte
    /// too many, or of the end that came too early.
    pub offset: u64,
    /// What is wrong there.
    pub kind: NarErrorKind,
}

impl NarError {
    /// The stable code of PROTOCOL.md §19: `trailing-data` or `bad-nar`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            NarErrorKind::TrailingData => "trailing-data",
            _ => "bad-nar",
        }
    }
}

/// What is wrong with an archive. Bytes of the archive in it are escaped to ASCII and cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarErrorKind {
    /// The first string is not `nix-archive-1`.
    #[error("it does not begin with \"nix-archive-1\"")]
    Magic,
    /// A word that may not stand here: fields in another order, missing, repeated or unknown.
    #[error("expected {expected}, found \"{found}\"")]
    UnexpectedTag {
        /// The words that may stand here.
        expected: &'static str,
        /// The word that does.
        found: String,
    },
    /// A word of the format that claims more than [`MAX_TAG`] bytes.
    #[error("expected {expected}, found a string of {length} bytes (a word has at most {MAX_TAG})")]
    TagTooLong {
        /// The words that may stand here.
        expected: &'static str,
        /// The length claimed, in bytes.
        length: u64,
    },
    /// The string after `executable` is not empty.
    #[error("the string after \"executable\" has {length} bytes and must be empty")]
    ExecutableValue {
        /// The length claimed, in bytes.
        length: u64,
    },
    /// A directory entry's name is none.
    #[error(transparent)]
    Name(#[from] FileNameError),
    /// Entries must be strictly increasing, compared byte by byte.
    #[error("directory entries are not sorted: \"{name}\" after \"{previous}\"")]
    Unsorted {
        /// The entry that comes too late.
        name: String,
        /// The one before it.
        previous: String,
    },
    /// One name twice in a directory.
    #[error("two directory entries are named \"{name}\"")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A symlink target is empty or longer than [`MAX_TARGET`] bytes.
    #[error("a symlink target of {length} bytes (1 to {MAX_TARGET} are allowed)")]
    TargetLength {
        /// The length claimed, in bytes.
        length: u64,
    },
    /// A symlink target with a NUL byte.
    #[error("a symlink target contains a NUL byte")]
    TargetNul,
    /// Nesting deeper than [`MAX_DEPTH`] levels.
    #[error("directories nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A string's padding must be zeros.
    #[error("the padding after a string is not zero")]
    Padding,
    /// Bytes after the end of the root node.
    #[error("there are bytes after the end of the archive")]
    TrailingData,
    /// The input ended inside the archive.
    #[error("the archive ends early, where {expected} should follow")]
    Truncated {
        /// What should have come.
        expected: &'static str,
    },
}
