//! Narinfos: what a cache says of one store path (PROTOCOL.md §2).
//!
//! ```text
//! StorePath: /nix/store/<hash>-<name>
//! URL: nar/<file hash>.nar.xz
//! Compression: xz
//! FileHash: sha256:<nix32>
//! FileSize: 1234
//! NarHash: sha256:<nix32>
//! NarSize: 5678
//! References: <hash>-<name> <hash>-<name>
//! Deriver: <hash>-<name>.drv
//! Sig: <key>:<base64>
//! CA: fixed:r:sha256:<nix32>
//! ```
//!
//! A [`NarInfo`] keeps the text it was made of and knows where its fields are:
//! it gives back every byte, and a million of them cost little. There are two
//! ways in. [`NarInfo::parse`] is for what lies in a bucket: whatever Nix reads,
//! it reads, and remembers what was odd; whatever Nix refuses is a [`NarInfoError`]
//! with line and reason. [`NarInfo::parse_strict`] is for uploads and refuses what
//! a careful server should. New narinfos are printed by [`NarInfoParts`].

use crate::content_address::ContentAddress;
use crate::hash::{Hash, Sha256};
use crate::store_path::{StoreDir, StorePathHash, StorePathRef};

mod compression;
mod edit;
mod error;
mod fields;
mod oddity;
mod parse;
mod print;
mod strict;
mod url;

pub use compression::Compression;
pub use error::{ErrorCode, NarInfoError};
pub use oddity::{Oddity, OddityKind};
pub use print::NarInfoParts;
pub use url::object_key;

use fields::Span;

/// The largest narinfo that is read, in bytes. The largest real one known has 208 kB.
pub const MAX_BYTES: usize = 2 << 20;

/// A parsed narinfo, with its text.
#[derive(Debug, Clone)]
pub struct NarInfo {
    /// The text; bytes that are not UTF-8 replaced.
    text: Box<str>,
    /// The bytes as they were, only where they are not UTF-8.
    original: Option<Box<[u8]>>,
    store_dir: StoreDir,
    hash: StorePathHash,
    name: Span,
    url: Span,
    compression: Span,
    file_hash: Option<Hash>,
    file_size: Option<u64>,
    nar_hash: Sha256,
    nar_size: u64,
    references: Span,
    reference_count: u32,
    references_sorted: bool,
    deriver: Option<Span>,
    system: Option<Span>,
    signatures: Vec<Span>,
    ca: Option<ContentAddress>,
    ca_holds: bool,
    oddities: Vec<Oddity>,
}

impl NarInfo {
    /// The bytes it was parsed from, every one.
    pub fn to_bytes(&self) -> &[u8] {
        self.original.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// The text, in which bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The store directory it was parsed for.
    pub const fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// The store path it describes.
    pub fn store_path(&self) -> StorePathRef<'_> {
        StorePathRef::from_valid(self.hash, self.at(self.name))
    }

    /// Where the NAR is, relative to the cache, as it stands there: maybe with a query.
    pub fn url(&self) -> &str {
        self.at(self.url)
    }

    /// Key of the NAR's object, relative to the cache: the URL without query and
    /// fragment, percent-decoded.
    pub fn nar_key(&self) -> std::borrow::Cow<'_, str> {
        url::object_key(self.url())
    }

    /// The Compression word; `bzip2` where there is none, as Nix reads it.
    pub fn compression(&self) -> &str {
        match self.at(self.compression) {
            "" => "bzip2",
            word => word,
        }
    }

    /// The compression, where Nix knows one of that name.
    pub fn codec(&self) -> Option<Compression> {
        Compression::from_name(self.compression())
    }

    /// Hash of the compressed file; Nix never checks it, and some caches leave it out.
    pub const fn file_hash(&self) -> Option<Hash> {
        self.file_hash
    }

    /// Size of the compressed file in bytes; some caches leave it out.
    pub const fn file_size(&self) -> Option<u64> {
        self.file_size
    }

    /// Hash of the NAR.
    pub const fn nar_hash(&self) -> Sha256 {
        self.nar_hash
    }

    /// Size of the NAR in bytes, never 0.
    pub const fn nar_size(&self) -> u64 {
        self.nar_size
    }

    /// The store paths it refers to, itself included where it does, as they stand there.
    pub fn references(&self) -> impl ExactSizeIterator<Item = StorePathRef<'_>> + Clone {
        References {
            rest: self.at(self.references).split(' '),
            left: self.reference_count as usize,
        }
    }

    /// The derivation that made it, where known.
    pub fn deriver(&self) -> Option<StorePathRef<'_>> {
        self.deriver
            .and_then(|span| StorePathRef::parse(self.at(span)).ok())
    }

    /// The system it was made for, where an old narinfo says.
    pub fn system(&self) -> Option<&str> {
        self.system.map(|span| self.at(span))
    }

    /// The values of its `Sig` lines, malformed ones included.
    pub fn signatures(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.signatures.iter().map(|span| self.at(*span))
    }

    /// Line of the nth signature, from 1.
    pub fn signature_line(&self, n: usize) -> Option<u32> {
        let span = self.signatures.get(n)?;
        Some(fields::line_of(self.text.as_bytes(), span.start()))
    }

    /// The content address it claims.
    pub const fn ca(&self) -> Option<ContentAddress> {
        self.ca
    }

    /// True where it claims a content address and its store path follows from that claim.
    /// That the NAR has that content is another question.
    pub const fn is_content_addressed(&self) -> bool {
        self.ca_holds
    }

    /// What is odd about it though Nix can read it.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// What a signature covers: `1;<path>;<NarHash>;<NarSize>;<references>`, the
    /// references as full paths, sorted, each once.
    pub fn fingerprint(&self) -> String {
        if self.references_sorted {
            return self.fingerprint_over(self.references());
        }
        let mut sorted: Vec<_> = self.references().collect();
        sorted.sort_unstable();
        sorted.dedup();
        self.fingerprint_over(sorted.into_iter())
    }

    /// The fingerprint over the references as they stand, where that is another one.
    /// A few old signatures of cache.nixos.org are over this; Nix refuses them.
    pub fn file_order_fingerprint(&self) -> Option<String> {
        (!self.references_sorted).then(|| self.fingerprint_over(self.references()))
    }

    fn fingerprint_over<'a>(
        &'a self,
        references: impl ExactSizeIterator<Item = StorePathRef<'a>>,
    ) -> String {
        print::fingerprint(
            &self.store_dir,
            self.store_path(),
            self.nar_hash,
            self.nar_size,
            references,
        )
    }

    /// Why this narinfo must not be served, where it would crash a real client
    /// (PROTOCOL.md, Distilled 6). Cycles are not seen here: they need the graph.
    pub fn crash_risk(&self) -> Option<&'static str> {
        Some(match self.crash_code()? {
            ErrorCode::UnsupportedCompression => {
                "its Compression is a name that Nix does not know: Nix 2.34 aborts when it downloads"
            }
            ErrorCode::CaWithReferences => {
                "its content address allows no references and it has some: Nix 2.8 aborts on it"
            }
            _ => {
                "its store path does not follow from the content address it claims: Nix aborts when it substitutes it"
            }
        })
    }

    /// The code of what makes it [risky](Self::crash_risk).
    pub fn crash_code(&self) -> Option<ErrorCode> {
        if self.codec().is_none() {
            return Some(ErrorCode::UnsupportedCompression);
        }
        let ca = self.ca?;
        if self.ca_holds {
            None
        } else if !ca.allows_references() && self.reference_count > 0 {
            Some(ErrorCode::CaWithReferences)
        } else {
            Some(ErrorCode::CaPathMismatch)
        }
    }

    fn at(&self, span: Span) -> &str {
        // Spans come from the parser, which cut them out of this very text.
        self.text.get(span.range()).unwrap_or_default()
    }
}

impl PartialEq for NarInfo {
    /// Equal where all bytes and the store directory are.
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes() && self.store_dir == other.store_dir
    }
}

impl Eq for NarInfo {}

/// The references of a narinfo. Each was found valid when it was parsed.
#[derive(Clone)]
struct References<'a> {
    rest: std::str::Split<'a, char>,
    left: usize,
}

impl<'a> Iterator for References<'a> {
    type Item = StorePathRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let base = self.rest.find(|base| !base.is_empty())?;
        self.left = self.left.saturating_sub(1);
        StorePathRef::parse(base).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for References<'_> {}

#[cfg(test)]
mod tests;
