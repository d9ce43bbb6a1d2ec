//! Store paths: `/nix/store/<32 nix32 digits>-<name>` (PROTOCOL.md §4).
//!
//! A [`StorePath`] that exists is a valid one. It does not hold the store
//! directory: a cache has one for all its paths, [`StoreDir`], and narinfos
//! name references without it, by base name. [`StorePathRef`] is the same,
//! borrowed from a larger text, for reading a million of them without
//! a million small allocations.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::hash::nix32;

mod dir;

pub use dir::{FullPath, StoreDir};

/// Characters of the hash part.
pub const HASH_LEN: usize = 32;

/// The longest name, in bytes.
pub const MAX_NAME_LEN: usize = 211;

/// A store path's name cut into package and version, where Nix cuts: before
/// the first dash that no letter follows.
#[must_use]
pub fn split_name(name: &str) -> (&str, &str) {
    match crate::package::split(name).0.len() {
        0 => (name, ""),
        at => name.split_at(at),
    }
}

/// Why a text is not a store path. Positions are bytes, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// Not below the store directory.
    #[error("is not in the store directory {store_dir}")]
    OutsideStore {
        /// Where it should be.
        store_dir: String,
    },
    /// Names a file inside of a store path.
    #[error("has a `/` after the store path's name")]
    Inside,
    /// Shorter than the hash, the dash and one character.
    #[error("is too short: a store path is 32 characters, `-`, and a name")]
    TooShort,
    /// The hash part has another character.
    #[error("character {position} of the hash part is not one of 0-9 and a-z without e, o, t, u")]
    BadHash {
        /// Which.
        position: usize,
    },
    /// No dash after the hash part.
    #[error("has no `-` after the 32 characters of the hash part")]
    NoDash,
    /// The name is empty.
    #[error("has an empty name")]
    NameEmpty,
    /// The name has over 211 bytes.
    #[error("has a name of {length} bytes; at most 211 are allowed")]
    NameTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The name is `.` or `..`, or begins with `.-` or `..-`.
    #[error("has a name that is, or begins like, `.` or `..`")]
    NameDots,
    /// The name has another character.
    #[error("character {position} of the name is not one of 0-9 a-z A-Z + - . _ ? =")]
    BadName {
        /// Which.
        position: usize,
    },
    /// A store directory that is not an absolute, plain path.
    #[error(
        "a store directory is an absolute path without `//`, `.`, `..`, blanks or a `/` at the end"
    )]
    BadStoreDir,
}

/// The hash part of a store path: 160 bits, printed as 32 digits.
///
/// The bytes are kept in the order of the digits, most significant first, so
/// that values sort as their texts do: as a bucket lists the narinfos.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorePathHash([u8; 20]);

impl StorePathHash {
    /// From the 160 bits as a digest gives them, in which the last byte is printed first.
    pub fn from_digest(mut digest: [u8; 20]) -> Self {
        digest.reverse();
        Self(digest)
    }

    /// From the bytes that [`as_bytes`](Self::as_bytes) gave.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes, in the order in which they are printed.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Parses 32 digits.
    ///
    /// # Errors
    /// [`StorePathError::TooShort`] for any other length, [`StorePathError::BadHash`].
    pub fn parse(text: &[u8]) -> Result<Self, StorePathError> {
        let text: &[u8; HASH_LEN] = text.try_into().map_err(|_| StorePathError::TooShort)?;
        // 160 is a multiple of 40: eight digits are exactly five bytes.
        let mut bytes = [0; 20];
        let mut bad = 0;
        for (digits, out) in text.chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
            let mut bits = 0u64;
            for digit in digits {
                let value = nix32::VALUES[usize::from(*digit)];
                bad |= value;
                bits = bits << 5 | u64::from(value & 31);
            }
            out.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        if bad < 32 {
            return Ok(Self(bytes));
        }
        let position = text
            .iter()
            .position(|byte| !nix32::is_alphabet(*byte))
            .unwrap_or(0)
            + 1;
        Err(StorePathError::BadHash { position })
    }

    /// The 32 digits.
    pub fn to_ascii(&self) -> [u8; HASH_LEN] {
        let mut text = [0; HASH_LEN];
        for (bytes, digits) in self.0.chunks_exact(5).zip(text.chunks_exact_mut(8)) {
            let mut bits = bytes
                .iter()
                .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for pair in digits.rchunks_exact_mut(2) {
                pair.copy_from_slice(&nix32::PAIRS[(bits & 1023) as usize]);
                bits >>= 10;
            }
        }
        text
    }

    /// The object name of its narinfo: `<hash>.narinfo`.
    pub fn narinfo_key(&self) -> String {
        format!("{self}.narinfo")
    }

    /// The hash part of a narinfo's object name, where it is one: exactly `<32 digits>.narinfo`.
    pub fn from_narinfo_key(key: &str) -> Option<Self> {
        Self::parse(key.strip_suffix(".narinfo")?.as_bytes()).ok()
    }

    /// First and last hash that begin with these digits; `None` where one is
    /// no digit or there are more than 32. An empty prefix is every hash.
    pub fn range_of_prefix(prefix: &str) -> Option<RangeInclusive<Self>> {
        let digits = prefix.as_bytes();
        let mut first = [b'0'; HASH_LEN];
        let mut last = [b'z'; HASH_LEN];
        first.get_mut(..digits.len())?.copy_from_slice(digits);
        last.get_mut(..digits.len())?.copy_from_slice(digits);
        Some(Self::parse(&first).ok()?..=Self::parse(&last).ok()?)
    }
}

impl fmt::Display for StorePathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_ascii()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for StorePathHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StorePathHash {
    type Err = StorePathError;
    fn from_str(text: &str) -> Result<Self, StorePathError> {
        Self::parse(text.as_bytes())
    }
}

/// Checks the part after the dash, by the rules of Nix since 2.21.
///
/// # Errors
/// The `Name…` and `BadName` cases of [`StorePathError`].
pub fn check_name(name: &str) -> Result<(), StorePathError> {
    check_name_bytes(name.as_bytes())
}

fn check_name_bytes(name: &[u8]) -> Result<(), StorePathError> {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            allowed[byte] = (byte as u8).is_ascii_alphanumeric()
                || matches!(byte as u8, b'+' | b'-' | b'.' | b'_' | b'?' | b'=');
            byte += 1;
        }
        allowed
    };
    if name.is_empty() {
        return Err(StorePathError::NameEmpty);
    }
    if let Some(position) = name.iter().position(|byte| !ALLOWED[usize::from(*byte)]) {
        return Err(StorePathError::BadName {
            position: position + 1,
        });
    }
    if name.len() > MAX_NAME_LEN {
        return Err(StorePathError::NameTooLong { length: name.len() });
    }
    if let Some(rest) = name.strip_prefix(b".") {
        let rest = rest.strip_prefix(b".").unwrap_or(rest);
        if rest.is_empty() || rest.starts_with(b"-") {
            return Err(StorePathError::NameDots);
        }
    }
    Ok(())
}

/// A store path borrowed from a text. Prints as its base name, `<hash>-<name>`.
/// Sorts by base name, bytewise, as a narinfo's references do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorePathRef<'a> {
    hash: StorePathHash,
    name: &'a str,
}

impl<'a> StorePathRef<'a> {
    /// Parses a base name.
    ///
    /// # Errors
    /// See [`StorePathError`].
    pub fn parse(base_name: &'a str) -> Result<Self, StorePathError> {
        let bytes = base_name.as_bytes();
        let Some((hash, rest)) = bytes.split_at_checked(HASH_LEN) else {
            return Err(StorePathError::TooShort);
        };
        let hash = StorePathHash::parse(hash)?;
        match rest.first() {
            None => return Err(StorePathError::TooShort),
            Some(b'-') => {}
            Some(_) => return Err(StorePathError::NoDash),
        }
        check_name_bytes(&rest[1..])?;
        let name = base_name
            .get(HASH_LEN + 1..)
            .ok_or(StorePathError::TooShort)?;
        Ok(Self { hash, name })
    }

    /// A path of parts that were found valid before.
    pub(crate) const fn from_valid(hash: StorePathHash, name: &'a str) -> Self {
        Self { hash, name }
    }

    /// The hash part.
    pub const fn hash(&self) -> StorePathHash {
        self.hash
    }

    /// The part after the dash.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Appends the base name.
    pub(crate) fn push_to(&self, text: &mut String) {
        let hash = self.hash.to_ascii();
        text.extend(hash.iter().map(|byte| char::from(*byte)));
        text.push('-');
        text.push_str(self.name);
    }

    /// A copy that owns its name.
    pub fn to_store_path(&self) -> StorePath {
        StorePath {
            hash: self.hash,
            name: self.name.into(),
        }
    }
}

impl fmt::Display for StorePathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hash, self.name)
    }
}

impl fmt::Debug for StorePathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A store path. Prints as its base name, `<hash>-<name>`; see [`StoreDir::display`]
/// for the full path. Sorts by base name, bytewise.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorePath {
    hash: StorePathHash,
    name: Box<str>,
}

impl StorePath {
    /// A path of these parts.
    ///
    /// # Errors
    /// Where the name is not allowed.
    pub fn new(hash: StorePathHash, name: &str) -> Result<Self, StorePathError> {
        check_name(name)?;
        Ok(Self {
            hash,
            name: name.into(),
        })
    }

    /// The hash part.
    pub const fn hash(&self) -> StorePathHash {
        self.hash
    }

    /// The part after the dash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> StorePathRef<'_> {
        StorePathRef {
            hash: self.hash,
            name: &self.name,
        }
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;
    fn from_str(base_name: &str) -> Result<Self, StorePathError> {
        Ok(StorePathRef::parse(base_name)?.to_store_path())
    }
}

crate::hash::serde_as_text!(StorePathHash, StorePath);

impl serde::Serialize for StorePathRef<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'a> From<&'a StorePath> for StorePathRef<'a> {
    fn from(path: &'a StorePath) -> Self {
        path.as_ref()
    }
}

#[cfg(test)]
mod tests;
