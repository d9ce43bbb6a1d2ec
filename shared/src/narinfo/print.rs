//! Printing a new narinfo, exactly as Nix writes one.

use std::fmt::{self, Write};

use super::{Compression, NarInfo, NarInfoError};
use crate::content_address::ContentAddress;
use crate::hash::{Hash, Sha256};
use crate::signature::Signature;
use crate::store_path::{StoreDir, StorePath, StorePathRef};

/// The fields of a narinfo that is still to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfoParts {
    /// The path it describes.
    pub store_path: StorePath,
    /// Where the NAR is, relative to the cache: `nar/<file hash>.nar.xz`.
    pub url: String,
    /// How the NAR is compressed.
    pub compression: Compression,
    /// Hash of the compressed file.
    pub file_hash: Option<Hash>,
    /// Size of the compressed file in bytes; left out where unknown or 0.
    pub file_size: Option<u64>,
    /// Hash of the NAR.
    pub nar_hash: Sha256,
    /// Size of the NAR in bytes.
    pub nar_size: u64,
    /// What it refers to; written sorted, each once.
    pub references: Vec<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// Its signatures; written sorted, each once.
    pub signatures: Vec<Signature>,
    /// Its content address.
    pub ca: Option<ContentAddress>,
}

impl NarInfoParts {
    /// The text that Nix would write.
    pub fn to_text(&self, store_dir: &StoreDir) -> String {
        let mut text = String::with_capacity(512 + 64 * self.references.len());
        // Writing to a string cannot fail.
        let _ = self.write(store_dir, &mut text);
        text
    }

    fn write(&self, store_dir: &StoreDir, text: &mut String) -> fmt::Result {
        writeln!(text, "StorePath: {}", store_dir.display(&self.store_path))?;
        writeln!(text, "URL: {}", self.url)?;
        writeln!(text, "Compression: {}", self.compression)?;
        if let Some(hash) = self.file_hash {
            writeln!(text, "FileHash: {hash}")?;
        }
        if let Some(size) = self.file_size.filter(|size| *size > 0) {
            writeln!(text, "FileSize: {size}")?;
        }
        writeln!(text, "NarHash: {}", self.nar_hash)?;
        writeln!(text, "NarSize: {}", self.nar_size)?;
        text.push_str("References: ");
        for (n, reference) in self.sorted_references().into_iter().enumerate() {
            if n > 0 {
                text.push(' ');
            }
            write!(text, "{reference}")?;
        }
        text.push('\n');
        if let Some(deriver) = &self.deriver {
            writeln!(text, "Deriver: {deriver}")?;
        }
        let mut signatures: Vec<_> = self.signatures.iter().map(ToString::to_string).collect();
        signatures.sort_unstable();
        signatures.dedup();
        for signature in signatures {
            writeln!(text, "Sig: {signature}")?;
        }
        if let Some(ca) = self.ca {
            writeln!(text, "CA: {ca}")?;
        }
        Ok(())
    }

    /// What a signature covers; see [`NarInfo::fingerprint`].
    pub fn fingerprint(&self, store_dir: &StoreDir) -> String {
        fingerprint(
            store_dir,
            self.store_path.as_ref(),
            self.nar_hash,
            self.nar_size,
            self.sorted_references().into_iter(),
        )
    }

    /// The narinfo of these parts.
    ///
    /// # Errors
    /// Where a strict reader would refuse it, such as for its URL.
    pub fn to_narinfo(&self, store_dir: &StoreDir) -> Result<NarInfo, NarInfoError> {
        NarInfo::parse_strict(self.to_text(store_dir).as_bytes(), store_dir)
    }

    fn sorted_references(&self) -> Vec<StorePathRef<'_>> {
        let mut sorted: Vec<_> = self.references.iter().map(StorePath::as_ref).collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted
    }
}

/// The text that signatures cover. References as they come.
pub(super) fn fingerprint<'a>(
    store_dir: &StoreDir,
    path: StorePathRef<'_>,
    nar_hash: Sha256,
    nar_size: u64,
    references: impl ExactSizeIterator<Item = StorePathRef<'a>>,
) -> String {
    let mut text = String::with_capacity(256 + 96 * references.len());
    let push = |text: &mut String, path: StorePathRef<'_>| {
        text.push_str(store_dir.as_str());
        text.push('/');
        path.push_to(text);
    };
    text.push_str("1;");
    push(&mut text, path);
    // Writing to a string cannot fail.
    let _ = write!(text, ";{nar_hash};{nar_size};");
    for (n, reference) in references.enumerate() {
        if n > 0 {
            text.push(',');
        }
        push(&mut text, reference);
    }
    text
}
