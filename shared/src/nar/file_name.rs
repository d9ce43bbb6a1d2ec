//! The name of a directory entry: bytes, not text.

use super::printable;

/// A name that a NAR entry may have: 1 to 255 bytes, neither `.` nor `..`, no
/// `/`, no NUL. Anything else may occur in it, line ends and bytes that are
/// not UTF-8 included. Ordered byte by byte, as entries are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Box<[u8]>);

/// Why bytes cannot be the name of a directory entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Empty or longer than [`FileName::MAX`].
    #[error("a file name of {length} bytes (1 to {max} are allowed)", max = FileName::MAX)]
    Length {
        /// The length, in bytes.
        length: u64,
    },
    /// `.`, `..`, or a name with `/` or NUL in it, escaped for print.
    #[error("the file name \"{name}\" is not allowed: {reason}")]
    Forbidden {
        /// The name, escaped to ASCII and cut short.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
}

impl FileName {
    /// Longest name in bytes, as on Linux.
    pub const MAX: usize = 255;

    /// Takes `name` if it is one.
    ///
    /// # Errors
    /// [`FileNameError`] says which rule it breaks.
    pub fn new(name: impl Into<Box<[u8]>>) -> Result<Self, FileNameError> {
        let name = name.into();
        Self::check(&name)?;
        Ok(Self(name))
    }

    /// What [`FileName::new`] refuses, without keeping the name.
    ///
    /// # Errors
    /// [`FileNameError`] says which rule it breaks.
    pub fn check(name: &[u8]) -> Result<(), FileNameError> {
        if name.is_empty() || name.len() > Self::MAX {
            return Err(FileNameError::Length {
                length: name.len() as u64,
            });
        }
        let reason = if name == b"." || name == b".." {
            "it names a directory itself"
        } else if memchr::memchr(b'/', name).is_some() {
            "it contains a slash"
        } else if memchr::memchr(0, name).is_some() {
            "it contains a NUL byte"
        } else {
            return Ok(());
        };
        Err(FileNameError::Forbidden {
            name: printable(name),
            reason,
        })
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, where it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl std::borrow::Borrow<[u8]> for FileName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}
