//! Hashes as Nix writes and reads them (PROTOCOL.md §3).
//!
//! One value, four spellings. Nix tells them apart by their length alone:
//!
//! | spelling | sha256 of the empty string |
//! |---|---|
//! | nix32 | `sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73` |
//! | base16 | `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` |
//! | base64 | `sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=` |
//! | SRI | `sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=` |
//!
//! [`struct@Hash`] is any of them, parsed; [`Sha256`] is the case that nearly every
//! field is about. Both print as `sha256:<nix32>`, the form that signatures
//! cover. Parsing accepts exactly what Nix accepts and allocates nothing.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;

pub(crate) mod base64;
pub mod nix32;

/// Bytes of the longest digest, SHA-512.
const MAX_SIZE: usize = 64;

/// A hash function that Nix knows. BLAKE3, experimental there, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// 128 bits. Broken: never enough alone to accept an upload.
    Md5,
    /// 160 bits. Broken: never enough alone to accept an upload.
    Sha1,
    /// 256 bits. What store paths and NARs are hashed with.
    Sha256,
    /// 512 bits.
    Sha512,
}

impl HashAlgorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name before the colon; lower case only.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the digest, in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// True where collisions can be made at will, so that a content address
    /// of this kind pins nothing against an attacker.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    /// The algorithm of that name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Neither `algorithm:` nor `algorithm-` in front.
    #[error("the hash does not begin with its algorithm, such as `sha256:`")]
    NoAlgorithm,
    /// An algorithm Nix does not have, or in capitals.
    #[error("unknown hash algorithm; known are md5, sha1, sha256 and sha512, in lower case")]
    UnknownAlgorithm,
    /// Another algorithm than the field needs.
    #[error("is {found}, where sha256 is required")]
    NotSha256 {
        /// What it is.
        found: HashAlgorithm,
    },
    /// A length that fits no spelling.
    #[error("{found} characters long: no spelling of a {algorithm} hash has that length")]
    WrongLength {
        /// Of what it should be a hash.
        algorithm: HashAlgorithm,
        /// Characters after the algorithm.
        found: usize,
    },
    /// A nix32 text that is too short or too long for the value it should be.
    #[error("{found} nix32 digits, where {expected} are needed")]
    WrongDigitCount {
        /// Digits needed.
        expected: usize,
        /// Digits there.
        found: usize,
    },
    /// A character outside of the alphabet.
    #[error("character {position} of the hash is not in the {encoding} alphabet")]
    BadCharacter {
        /// `nix32`, `base16` or `base64`.
        encoding: &'static str,
        /// From 1, counted after the algorithm, in bytes.
        position: usize,
    },
    /// Digits that stand for more bits than the hash has.
    #[error("the hash sets bits beyond its last byte, so it is not in canonical form")]
    NotCanonical,
}

/// How a hash was spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashForm {
    /// `sha256:` and nix32: what Nix writes into narinfos.
    Nix32,
    /// `sha256:` and hexadecimal.
    Base16,
    /// `sha256:` and base64.
    Base64,
    /// `sha256-` and base64.
    Sri,
}

/// A hash of any algorithm. Prints as `sha256:<nix32>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    algorithm: HashAlgorithm,
    /// The digest, zero beyond the algorithm's size.
    bytes: [u8; MAX_SIZE],
}

impl Hash {
    /// The hash with this digest, or `None` where its length is not the algorithm's.
    pub fn new(algorithm: HashAlgorithm, digest: &[u8]) -> Option<Self> {
        if digest.len() != algorithm.size() {
            return None;
        }
        let mut bytes = [0; MAX_SIZE];
        bytes.get_mut(..digest.len())?.copy_from_slice(digest);
        Some(Self { algorithm, bytes })
    }

    /// Hashes `data` in one go.
    pub fn digest(algorithm: HashAlgorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// What it is a hash with.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The digest, where it is a SHA-256.
    pub fn as_sha256(&self) -> Option<Sha256> {
        let bytes = self.bytes().try_into().ok()?;
        (self.algorithm == HashAlgorithm::Sha256).then_some(Sha256(bytes))
    }

    /// Parses `algorithm:digest` or `algorithm-base64`, in any spelling, and says which it was.
    ///
    /// # Errors
    /// Whatever Nix refuses, see [`HashError`].
    pub fn parse(text: &str) -> Result<(Self, HashForm), HashError> {
        if let Some((name, rest)) = text.split_once(':') {
            let algorithm = HashAlgorithm::from_name(name).ok_or(HashError::UnknownAlgorithm)?;
            Self::parse_untyped(algorithm, rest)
        } else if let Some((name, rest)) = text.split_once('-') {
            let algorithm = HashAlgorithm::from_name(name).ok_or(HashError::UnknownAlgorithm)?;
            Ok((Self::parse_base64(algorithm, rest)?, HashForm::Sri))
        } else {
            Err(HashError::NoAlgorithm)
        }
    }

    /// Parses a digest without its algorithm, told apart by length: base16, nix32 or base64.
    ///
    /// # Errors
    /// As [`Hash::parse`].
    pub fn parse_untyped(
        algorithm: HashAlgorithm,
        text: &str,
    ) -> Result<(Self, HashForm), HashError> {
        let size = algorithm.size();
        let length = text.len();
        if length == 2 * size {
            let mut bytes = [0; MAX_SIZE];
            decode_base16(text.as_bytes(), &mut bytes[..size])?;
            Ok((Self { algorithm, bytes }, HashForm::Base16))
        } else if length == nix32::encoded_len(size) {
            let mut bytes = [0; MAX_SIZE];
            nix32::decode_into(text.as_bytes(), &mut bytes[..size])?;
            Ok((Self { algorithm, bytes }, HashForm::Nix32))
        } else if length == size.div_ceil(3) * 4 {
            Ok((Self::parse_base64(algorithm, text)?, HashForm::Base64))
        } else {
            Err(HashError::WrongLength {
                algorithm,
                found: length,
            })
        }
    }

    fn parse_base64(algorithm: HashAlgorithm, text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; MAX_SIZE];
        let decoded = base64::decode_into(text.as_bytes(), &mut bytes[..algorithm.size()])
            .map_err(|position| HashError::BadCharacter {
                encoding: "base64",
                position: position + 1,
            })?;
        if decoded.bytes != algorithm.size() {
            return Err(HashError::WrongLength {
                algorithm,
                found: text.len(),
            });
        }
        Ok(Self { algorithm, bytes })
    }

    /// The digest in nix32, without the algorithm.
    pub fn to_nix32(&self) -> String {
        nix32::encode(self.bytes())
    }

    /// The digest in lower-case hexadecimal, without the algorithm.
    pub fn to_base16(&self) -> String {
        encode_base16(self.bytes())
    }

    /// The SRI form: `sha256-<base64>`.
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm, base64::encode(self.bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.name())?;
        f.write_str(":")?;
        nix32::write(self.bytes(), f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::parse(text).map(|(hash, _)| hash)
    }
}

/// A SHA-256 digest. Prints as `sha256:<nix32>`, parses from any spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hashes `data` in one go.
    pub fn digest(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// The digest in nix32, without `sha256:`, as it stands in `nar/<here>.nar.xz`.
    pub fn to_nix32(&self) -> String {
        nix32::encode(&self.0)
    }

    /// The digest in lower-case hexadecimal.
    pub fn to_base16(&self) -> String {
        encode_base16(&self.0)
    }

    /// The SRI form: `sha256-<base64>`.
    pub fn to_sri(&self) -> String {
        Hash::from(*self).to_sri()
    }
}

impl From<Sha256> for Hash {
    fn from(hash: Sha256) -> Self {
        let mut bytes = [0; MAX_SIZE];
        bytes[..32].copy_from_slice(&hash.0);
        Self {
            algorithm: HashAlgorithm::Sha256,
            bytes,
        }
    }
}

impl TryFrom<Hash> for Sha256 {
    type Error = HashError;
    fn try_from(hash: Hash) -> Result<Self, HashError> {
        hash.as_sha256().ok_or(HashError::NotSha256 {
            found: hash.algorithm(),
        })
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        nix32::write(&self.0, f)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        text.parse::<Hash>()?.try_into()
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow::<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_as_text;
serde_as_text!(Hash, Sha256);

/// Any of the hash functions, fed piece by piece.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    // Boxed: twice as large as the others, and rare.
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Md5 => State::Md5(md5::Md5::new()),
            HashAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            HashAlgorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::new())),
        })
    }

    /// Takes more input.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// The hash of everything fed so far.
    pub fn finish(self) -> Hash {
        fn padded(algorithm: HashAlgorithm, digest: &[u8]) -> Hash {
            let mut bytes = [0; MAX_SIZE];
            bytes[..digest.len()].copy_from_slice(digest);
            Hash { algorithm, bytes }
        }
        match self.0 {
            State::Md5(state) => padded(HashAlgorithm::Md5, &state.finalize()),
            State::Sha1(state) => padded(HashAlgorithm::Sha1, &state.finalize()),
            State::Sha256(state) => padded(HashAlgorithm::Sha256, &state.finalize()),
            State::Sha512(state) => padded(HashAlgorithm::Sha512, &state.finalize()),
        }
    }
}

pub(crate) fn encode_base16(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn decode_base16(text: &[u8], out: &mut [u8]) -> Result<(), HashError> {
    let digit = |position: usize| {
        char::from(text[position])
            .to_digit(16)
            .map(|digit| digit as u8)
            .ok_or(HashError::BadCharacter {
                encoding: "base16",
                position: position + 1,
            })
    };
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = digit(2 * n)? << 4 | digit(2 * n + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
