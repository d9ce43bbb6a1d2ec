//! Content addresses: the claim that a store path follows from its content
//! (PROTOCOL.md §4 and §6).
//!
//! A claim such as `fixed:r:sha256:…` together with the name and the references
//! gives exactly one store path. Where that is the path that carries the claim,
//! no signature is needed, because changed content would have another path.
//! Whether the *content* has that hash is a second question, answered from the
//! NAR: see [`ContentHasher`], and [`SelfReferenceHasher`] for the case where the content holds its
//! own path.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;

use crate::hash::{Hash, HashAlgorithm, HashError, Hasher, Sha256, encode_base16};
use crate::store_path::{StoreDir, StorePath, StorePathError, StorePathHash, StorePathRef};

mod content;
mod self_reference;

pub use content::{ContentFault, ContentHasher, ContentHashes};
pub use self_reference::{SelfReferenceHash, SelfReferenceHasher, TooManySelfReferences};

/// What is hashed, and how the path follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `text:`: the bytes of one file, whose references are part of the path.
    Text,
    /// `fixed:`: the bytes of one file, without references.
    Flat,
    /// `fixed:r:`: the NAR.
    Recursive,
    /// `fixed:git:`: a git tree or blob. Experimental in Nix.
    Git,
}

impl Method {
    /// What stands before the hash.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Text => "text:",
            Self::Flat => "fixed:",
            Self::Recursive => "fixed:r:",
            Self::Git => "fixed:git:",
        }
    }
}

/// A content address. Prints as in the `CA` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentAddress {
    /// What is hashed.
    pub method: Method,
    /// The hash.
    pub hash: Hash,
}

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentAddressError {
    /// Neither `text:` nor `fixed:` in front.
    #[error("a content address begins with `text:` or `fixed:`")]
    UnknownPrefix,
    /// No colon between algorithm and hash.
    #[error("the content address has no `algorithm:hash`")]
    NoHash,
    /// `text:` with another algorithm than SHA-256.
    #[error("a `text:` address must be a sha256, and this is a {found}")]
    TextNotSha256 {
        /// What it is.
        found: HashAlgorithm,
    },
    /// The hash.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Why no store path follows from a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPathError {
    /// Only `text:` and `fixed:r:sha256:` may refer to other paths.
    #[error("a {prefix} address of this kind cannot have references", prefix = method.prefix())]
    ReferencesNotAllowed {
        /// The method.
        method: Method,
    },
    /// A text cannot hold its own path.
    #[error("a text: address cannot refer to itself")]
    SelfReferenceNotAllowed,
    /// Not a name.
    #[error("the name {0}")]
    Name(#[from] StorePathError),
}

impl ContentAddress {
    /// The store path that follows from this claim, a name, and the other paths it
    /// refers to. `refers_to_itself`: the content holds its own path.
    /// References may come in any order, repeated or not.
    ///
    /// # Errors
    /// Where the method does not allow these references.
    pub fn store_path<'a>(
        &self,
        store_dir: &StoreDir,
        name: &str,
        references: impl IntoIterator<Item = StorePathRef<'a>>,
        refers_to_itself: bool,
    ) -> Result<StorePath, NoPathError> {
        let mut references: Vec<_> = references.into_iter().collect();
        references.sort_unstable();
        references.dedup();
        let mut kind = String::new();
        let inner = match (self.method, self.hash.as_sha256()) {
            (Method::Text, Some(hash)) => {
                if refers_to_itself {
                    return Err(NoPathError::SelfReferenceNotAllowed);
                }
                kind.push_str("text");
                hash
            }
            (Method::Recursive, Some(hash)) => {
                kind.push_str("source");
                hash
            }
            (method, _) => {
                if refers_to_itself || !references.is_empty() {
                    return Err(NoPathError::ReferencesNotAllowed { method });
                }
                kind.push_str("output:out");
                let prefix = match method {
                    Method::Recursive => "r:",
                    Method::Git => "git:",
                    Method::Flat | Method::Text => "",
                };
                let digest = encode_base16(self.hash.bytes());
                Sha256::digest(
                    format!("fixed:out:{prefix}{}:{digest}:", self.hash.algorithm()).as_bytes(),
                )
            }
        };
        for reference in references {
            kind.push(':');
            kind.push_str(store_dir.as_str());
            kind.push('/');
            kind.push_str(&reference.to_string());
        }
        if refers_to_itself {
            kind.push_str(":self");
        }
        let text = format!("{kind}:sha256:{}:{store_dir}:{name}", inner.to_base16());
        Ok(StorePath::new(
            compress(sha2::Sha256::digest(text).into()),
            name,
        )?)
    }

    /// True where `path` is the one that follows from this claim. `references` may include `path`.
    pub fn yields<'a>(
        &self,
        store_dir: &StoreDir,
        path: StorePathRef<'a>,
        references: impl IntoIterator<Item = StorePathRef<'a>>,
    ) -> bool {
        let mut refers_to_itself = false;
        let others: Vec<_> = references
            .into_iter()
            .filter(|reference| {
                let itself = *reference == path;
                refers_to_itself |= itself;
                !itself
            })
            .collect();
        self.store_path(store_dir, path.name(), others, refers_to_itself)
            .is_ok_and(|claimed| claimed.hash() == path.hash())
    }

    /// True where a path of this kind may refer to other paths at all.
    pub fn allows_references(&self) -> bool {
        match self.method {
            Method::Text => true,
            Method::Recursive => self.hash.algorithm() == HashAlgorithm::Sha256,
            Method::Flat | Method::Git => false,
        }
    }

    /// A hasher for content of this kind that does not refer to itself.
    /// For [`Method::Git`] there is none: its hash is not over a stream.
    pub fn hasher(&self) -> Option<Hasher> {
        (self.method != Method::Git).then(|| Hasher::new(self.hash.algorithm()))
    }
}

/// 160 bits from 256: every byte is xored onto the byte 20 before it.
fn compress(digest: [u8; 32]) -> StorePathHash {
    let mut short = [0; 20];
    for (n, byte) in digest.into_iter().enumerate() {
        short[n % 20] ^= byte;
    }
    StorePathHash::from_digest(short)
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.method.prefix(), self.hash)
    }
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;
    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        let (method, rest) = if let Some(rest) = text.strip_prefix("text:") {
            (Method::Text, rest)
        } else if let Some(rest) = text.strip_prefix("fixed:") {
            if let Some(rest) = rest.strip_prefix("r:") {
                (Method::Recursive, rest)
            } else if let Some(rest) = rest.strip_prefix("git:") {
                (Method::Git, rest)
            } else {
                (Method::Flat, rest)
            }
        } else {
            return Err(ContentAddressError::UnknownPrefix);
        };
        let (name, digest) = rest.split_once(':').ok_or(ContentAddressError::NoHash)?;
        let algorithm = HashAlgorithm::from_name(name).ok_or(HashError::UnknownAlgorithm)?;
        if method == Method::Text && algorithm != HashAlgorithm::Sha256 {
            return Err(ContentAddressError::TextNotSha256 { found: algorithm });
        }
        let (hash, _) = Hash::parse_untyped(algorithm, digest)?;
        Ok(Self { method, hash })
    }
}

crate::hash::serde_as_text!(ContentAddress);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_nix_refuses_are_refused() {
        let digest = "1f41i70sgdk1cwlpmrmibcl2dv8m9kirgrpcx9gg8fg0va2bhnfd";
        for (text, error) in [
            (
                format!("sha256:{digest}"),
                ContentAddressError::UnknownPrefix,
            ),
            (format!("fixed:{digest}"), ContentAddressError::NoHash),
            ("fixed:r:".to_owned(), ContentAddressError::NoHash),
            (
                "fixed:r:sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
                ContentAddressError::NoHash,
            ),
            (
                format!("fixed:x:sha256:{digest}"),
                HashError::UnknownAlgorithm.into(),
            ),
            (
                "text:md5:3y8bwfr609h3lh9ch0izcqq7fl".to_owned(),
                ContentAddressError::TextNotSha256 {
                    found: HashAlgorithm::Md5,
                },
            ),
        ] {
            assert_eq!(text.parse::<ContentAddress>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_texts_and_sha256_archives_have_references() {
        let store_dir = StoreDir::default();
        let other = StorePathRef::parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar").expect("valid");
        let path = |method, algorithm, itself| {
            let hash = Hash::digest(algorithm, b"");
            ContentAddress { method, hash }.store_path(&store_dir, "x", [other], itself)
        };
        assert!(path(Method::Text, HashAlgorithm::Sha256, false).is_ok());
        assert!(path(Method::Recursive, HashAlgorithm::Sha256, true).is_ok());
        assert_eq!(
            path(Method::Text, HashAlgorithm::Sha256, true),
            Err(NoPathError::SelfReferenceNotAllowed)
        );
        for (method, algorithm) in [
            (Method::Flat, HashAlgorithm::Sha256),
            (Method::Recursive, HashAlgorithm::Sha1),
            (Method::Git, HashAlgorithm::Sha1),
        ] {
            assert_eq!(
                path(method, algorithm, false),
                Err(NoPathError::ReferencesNotAllowed { method })
            );
        }
    }

    proptest! {
        #[test]
        fn addresses_round_trip(method in 0usize..4, algorithm in 0usize..4, data: Vec<u8>) {
            let method = [Method::Text, Method::Flat, Method::Recursive, Method::Git][method];
            let algorithm = if method == Method::Text { HashAlgorithm::Sha256 } else { HashAlgorithm::ALL[algorithm] };
            let address = ContentAddress { method, hash: Hash::digest(algorithm, &data) };
            prop_assert_eq!(address.to_string().parse::<ContentAddress>(), Ok(address));
        }

        #[test]
        fn the_order_of_references_does_not_matter(hashes in prop::collection::vec(any::<[u8; 20]>(), 0..6)) {
            let paths: Vec<_> = hashes.iter()
                .map(|hash| StorePath::new(StorePathHash::from_bytes(*hash), "x").expect("valid"))
                .collect();
            let address = ContentAddress { method: Method::Recursive, hash: Hash::digest(HashAlgorithm::Sha256, b"") };
            let store_dir = StoreDir::default();
            let forwards = address.store_path(&store_dir, "y", paths.iter().map(StorePath::as_ref), false);
            let twice_backwards = paths.iter().rev().chain(&paths).map(StorePath::as_ref);
            prop_assert_eq!(address.store_path(&store_dir, "y", twice_backwards, false), forwards);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(text:|fixed:|fixed:r:|fixed:git:)?(md5:|sha256:)?\\PC{0,60}") {
            let _ = text.parse::<ContentAddress>();
        }
    }
}
