//! Which object keys a folder can hold.
//!
//! A key is the path of a file below the bucket's folder, so it is a valid key only if it is a valid
//! relative path that names exactly one file: no empty, `.` or `..` part, no NUL, no part longer than
//! a file name may be. What S3 would take beyond that is refused with a 400 that says why.

use std::fmt;

/// The folder inside each bucket's folder that holds the server's own files. Never a key, never listed.
pub const INTERNAL: &str = ".s3";

/// Longest key in bytes, as on S3.
pub const MAX_KEY: usize = 1024;

/// Longest part between two slashes in bytes: what Linux and macOS file systems take as a file name.
pub const MAX_PART: usize = 255;

/// An object key that is also a safe relative path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey<'a>(&'a str);

/// Why a key cannot be a file below the bucket's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has no bytes.
    #[error("the key is empty")]
    Empty,
    /// The key is longer than [`MAX_KEY`] bytes.
    #[error("the key is longer than {MAX_KEY} bytes")]
    TooLong,
    /// The key begins or ends with a slash, or has two in a row.
    #[error("the key has an empty part (it begins or ends with a slash, or has two in a row)")]
    EmptyPart,
    /// A part is `.` or `..`.
    #[error("the key has a part that is \".\" or \"..\"")]
    DotPart,
    /// A part is longer than [`MAX_PART`] bytes.
    #[error(
        "the key has a part longer than {MAX_PART} bytes, which is more than a file name may have"
    )]
    PartTooLong,
    /// The key has a NUL byte.
    #[error("the key has a NUL byte")]
    Nul,
    /// The key lies in the server's own folder.
    #[error("keys below \"{INTERNAL}/\" are the server's own")]
    Reserved,
}

impl<'a> ObjectKey<'a> {
    /// Checks a key.
    ///
    /// # Errors
    /// Says what keeps the key from being a file below the bucket's folder.
    pub fn parse(key: &'a str) -> Result<Self, KeyError> {
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > MAX_KEY {
            return Err(KeyError::TooLong);
        }
        if key.as_bytes().contains(&0) {
            return Err(KeyError::Nul);
        }
        for (n, part) in key.split('/').enumerate() {
            match part {
                "" => return Err(KeyError::EmptyPart),
                "." | ".." => return Err(KeyError::DotPart),
                INTERNAL if n == 0 => return Err(KeyError::Reserved),
                _ if part.len() > MAX_PART => return Err(KeyError::PartTooLong),
                _ => {}
            }
        }
        Ok(Self(key))
    }

    /// The key as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The folder part without its slash (empty at the top) and the file name.
    pub fn split(self) -> (&'a str, &'a str) {
        self.0.rsplit_once('/').unwrap_or(("", self.0))
    }
}

impl fmt::Display for ObjectKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_relative_path_to_one_file() {
        let long_part = "x".repeat(256);
        let long_key = format!("{}z", "abc/".repeat(256));
        for (key, expected) in [
            ("", KeyError::Empty),
            ("/a", KeyError::EmptyPart),
            ("a/", KeyError::EmptyPart),
            ("a//b", KeyError::EmptyPart),
            (".", KeyError::DotPart),
            ("a/../b", KeyError::DotPart),
            ("a/./b", KeyError::DotPart),
            ("..", KeyError::DotPart),
            ("a\0b", KeyError::Nul),
            (".s3", KeyError::Reserved),
            (".s3/lock", KeyError::Reserved),
            (long_part.as_str(), KeyError::PartTooLong),
            (long_key.as_str(), KeyError::TooLong),
        ] {
            assert_eq!(ObjectKey::parse(key), Err(expected), "{key:?}");
        }
        for key in [
            "a",
            "a/.s3",
            "...",
            ".hidden",
            "nar/ü",
            "a b+c",
            "realisations/sha256:ab!out.doi",
        ] {
            assert_eq!(ObjectKey::parse(key).map(ObjectKey::as_str), Ok(key));
        }
        assert_eq!(ObjectKey::parse("a/b/c").unwrap().split(), ("a/b", "c"));
        assert_eq!(ObjectKey::parse("c").unwrap().split(), ("", "c"));
    }
}
