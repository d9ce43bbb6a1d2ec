//! Hashing content that holds its own store path (PROTOCOL.md §6).
//!
//! The path follows from the hash, so the hash cannot cover the path. Each
//! occurrence of the 32-digit hash part counts as 32 zero bytes, and after the
//! content the offset of each is hashed as `|<decimal>`. Nix 2.17 to 2.34 forgot
//! the offsets, so a cache holds paths of both kinds and no client accepts
//! both. Here one pass gives both hashes.

use crate::hash::{Hash, HashAlgorithm, Hasher};
use crate::store_path::{HASH_LEN, StorePathHash};

/// How many occurrences are remembered: 32 MiB of offsets. Real paths have a few thousand.
const MAX_OFFSETS: usize = 4 << 20;

/// The two hashes of content that refers to itself. They are the same where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfReferenceHash {
    /// With the offsets: Nix up to 2.16 and from 2.35.
    pub with_offsets: Hash,
    /// Without: Nix 2.17 to 2.34.
    pub without_offsets: Hash,
    /// How often the content holds its own hash part.
    pub occurrences: u64,
}

/// The content holds its own hash part more often than can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content holds its own hash part more than {MAX_OFFSETS} times")]
pub struct TooManySelfReferences;

/// Hashes content in which one store path hash is overlooked. Fed piece by
/// piece; an occurrence may lie across pieces.
#[derive(Clone)]
pub struct SelfReferenceHasher {
    needle: [u8; HASH_LEN],
    hasher: Hasher,
    /// The last bytes, not yet hashed: an occurrence may begin in them.
    held: Vec<u8>,
    /// Offset in the content of the first byte in `held`.
    position: u64,
    offsets: Vec<u64>,
    overflow: bool,
}

impl SelfReferenceHasher {
    /// A hasher that overlooks `own`.
    pub fn new(algorithm: HashAlgorithm, own: StorePathHash) -> Self {
        Self {
            needle: own.to_ascii(),
            hasher: Hasher::new(algorithm),
            held: Vec::new(),
            position: 0,
            offsets: Vec::new(),
            overflow: false,
        }
    }

    /// Takes more of the content.
    pub fn update(&mut self, data: &[u8]) {
        // Pieces bounded, so that what is held stays small whatever comes.
        for piece in data.chunks(64 << 10) {
            self.held.extend_from_slice(piece);
            let mut from = 0;
            while let Some(found) = memchr::memmem::find(&self.held[from..], &self.needle) {
                let at = from + found;
                self.held[at..at + HASH_LEN].fill(0);
                if self.offsets.len() < MAX_OFFSETS {
                    self.offsets.push(self.position + at as u64);
                } else {
                    self.overflow = true;
                }
                from = at + HASH_LEN;
            }
            let settled = self.held.len().saturating_sub(HASH_LEN - 1);
            self.hasher.update(&self.held[..settled]);
            self.held.drain(..settled);
            self.position += settled as u64;
        }
    }

    /// Both hashes of everything fed.
    ///
    /// # Errors
    /// Where there were too many occurrences to remember.
    pub fn finish(mut self) -> Result<SelfReferenceHash, TooManySelfReferences> {
        if self.overflow {
            return Err(TooManySelfReferences);
        }
        self.hasher.update(&self.held);
        let mut with_offsets = self.hasher.clone();
        for offset in &self.offsets {
            with_offsets.update(format!("|{offset}").as_bytes());
        }
        Ok(SelfReferenceHash {
            with_offsets: with_offsets.finish(),
            without_offsets: self.hasher.finish(),
            occurrences: self.offsets.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q";

    fn own() -> StorePathHash {
        OWN.parse().expect("digits")
    }

    fn hash_in_pieces(content: &[u8], piece: usize) -> SelfReferenceHash {
        let mut hasher = SelfReferenceHasher::new(HashAlgorithm::Sha256, own());
        for piece in content.chunks(piece.max(1)) {
            hasher.update(piece);
        }
        hasher.finish().expect("few occurrences")
    }

    #[test]
    fn occurrences_are_zeroed_and_their_offsets_appended() {
        let content = format!("ab{OWN}{OWN}c");
        let zeroed = format!("ab{0}{0}c", "\0".repeat(32));
        let hash = hash_in_pieces(content.as_bytes(), 7);
        assert_eq!(hash.occurrences, 2);
        assert_eq!(
            hash.without_offsets,
            Hash::digest(HashAlgorithm::Sha256, zeroed.as_bytes())
        );
        let marked = format!("{zeroed}|2|34");
        assert_eq!(
            hash.with_offsets,
            Hash::digest(HashAlgorithm::Sha256, marked.as_bytes())
        );
    }

    #[test]
    fn without_occurrences_both_are_the_plain_hash() {
        let hash = hash_in_pieces(b"nothing here", 3);
        assert_eq!(hash.with_offsets, hash.without_offsets);
        assert_eq!(
            hash.with_offsets,
            Hash::digest(HashAlgorithm::Sha256, b"nothing here")
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(parts in prop::collection::vec(prop_oneof![Just(OWN.to_owned()), "[g1w7hy3q]{0,40}"], 0..8), piece in 1usize..80) {
            let content = parts.concat();
            prop_assert_eq!(hash_in_pieces(content.as_bytes(), piece), hash_in_pieces(content.as_bytes(), usize::MAX));
        }
    }
}
