//! Hashing an archive's content as a content address says (PROTOCOL.md §6).

use super::{ContentAddress, Method, SelfReferenceHasher, TooManySelfReferences};
use crate::hash::{Hash, Hasher};
use crate::nar::Event;
use crate::store_path::StorePathHash;

/// Why the content of an archive has no hash of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// The address is that of a file, and the archive is a folder or a link.
    #[error("its content address is that of a single file, and the archive is none")]
    NoFile,
    /// It holds its own path too often.
    #[error(transparent)]
    TooMany(#[from] TooManySelfReferences),
}

/// The hashes that a content address may claim for an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHashes(Vec<Hash>);

impl ContentHashes {
    /// Whether one of them is this: with the offsets of self references, or without, as Nix 2.17 to
    /// 2.34 make it.
    pub fn include(&self, hash: &Hash) -> bool {
        self.0.contains(hash)
    }
}

/// Takes an archive piece by piece, and what is in it: [`bytes`](Self::bytes) for every piece,
/// [`event`](Self::event) for every event of a parser of the same archive.
#[derive(Clone)]
pub struct ContentHasher(Kind);

#[derive(Clone)]
enum Kind {
    /// Over the archive.
    Recursive(Box<SelfReferenceHasher>),
    /// Over the one file that it is.
    Flat {
        hasher: Box<Hasher>,
        is_file: bool,
        is_more: bool,
    },
}

impl ContentHasher {
    /// For content of this address at the path with this hash part. `None` for git's: they are not
    /// over a stream.
    pub fn new(ca: &ContentAddress, own: StorePathHash) -> Option<Self> {
        let algorithm = ca.hash.algorithm();
        Some(Self(match ca.method {
            Method::Recursive => {
                Kind::Recursive(Box::new(SelfReferenceHasher::new(algorithm, own)))
            }
            Method::Flat | Method::Text => Kind::Flat {
                hasher: Box::new(Hasher::new(algorithm)),
                is_file: false,
                is_more: false,
            },
            Method::Git => return None,
        }))
    }

    /// Takes the next bytes of the archive.
    pub fn bytes(&mut self, piece: &[u8]) {
        if let Kind::Recursive(hasher) = &mut self.0 {
            hasher.update(piece);
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event<'_>) {
        let Kind::Flat {
            hasher,
            is_file,
            is_more,
        } = &mut self.0
        else {
            return;
        };
        match event {
            Event::Regular { .. } => *is_file = true,
            Event::Contents(bytes) => hasher.update(bytes),
            _ => *is_more = true,
        }
    }

    /// The hashes of all that came.
    ///
    /// # Errors
    /// Where the content has none of this kind.
    pub fn finish(self) -> Result<ContentHashes, ContentFault> {
        Ok(ContentHashes(match self.0 {
            Kind::Recursive(hasher) => {
                let hashes = hasher.finish()?;
                vec![hashes.with_offsets, hashes.without_offsets]
            }
            Kind::Flat {
                hasher,
                is_file: true,
                is_more: false,
            } => vec![hasher.finish()],
            Kind::Flat { .. } => return Err(ContentFault::NoFile),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashAlgorithm;
    use crate::nar::{NarParser, NarWriter};

    fn archive(is_folder: bool) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        if is_folder {
            writer.directory().expect("a directory");
            writer.entry(b"x").expect("an entry");
        }
        writer.file(b"hello", false).expect("a file");
        if is_folder {
            writer.end().expect("its end");
        }
        writer.finish().expect("an archive");
        archive
    }

    fn hashed(
        method: Method,
        archive: &[u8],
        pieces: usize,
    ) -> Result<ContentHashes, ContentFault> {
        let mut empty = Hasher::new(HashAlgorithm::Sha256);
        empty.update(b"");
        let ca = ContentAddress {
            method,
            hash: empty.finish(),
        };
        let own = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7".parse().expect("digits");
        let mut hasher = ContentHasher::new(&ca, own).expect("a hasher");
        let mut parser = NarParser::new();
        for piece in archive.chunks(pieces) {
            parser
                .push(piece, &mut |event: Event<'_>| hasher.event(&event))
                .expect("an archive");
            hasher.bytes(piece);
        }
        hasher.finish()
    }

    fn digest(bytes: &[u8]) -> Hash {
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn an_archive_or_the_one_file_in_it_is_hashed() {
        for pieces in [1, 7, 4096] {
            let file = archive(false);
            let whole = hashed(Method::Recursive, &file, pieces).expect("hashes");
            assert!(whole.include(&digest(&file)) && !whole.include(&digest(b"hello")));
            for method in [Method::Flat, Method::Text] {
                let flat = hashed(method, &file, pieces).expect("hashes");
                assert!(flat.include(&digest(b"hello")) && !flat.include(&digest(&file)));
                let folder = hashed(method, &archive(true), pieces);
                assert_eq!(folder, Err(ContentFault::NoFile));
            }
            let folder = archive(true);
            let whole = hashed(Method::Recursive, &folder, pieces).expect("hashes");
            assert!(whole.include(&digest(&folder)));
        }
    }
}
