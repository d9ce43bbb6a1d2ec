//! Everything that is to be known of an archive, in one pass over its bytes: that it is one, its
//! hash and size, its tree, what it names. The server runs it while an upload arrives.

use sha2::Digest as _;

use super::{
    Event, Listing, ListingBuilder, ListingLimits, Mentions, NarError, NarParser, Secret,
    SecretScanner,
};
use crate::hash::Sha256;

/// Takes an archive in pieces of any size. Memory is that of the listing and of what is named.
#[derive(Debug)]
pub struct Inspector {
    parser: NarParser,
    hash: sha2::Sha256,
    listing: ListingBuilder,
    mentions: Mentions,
    secrets: SecretScanner,
}

/// What is known of an archive.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// SHA-256 of all its bytes.
    pub nar_hash: Sha256,
    /// How many these are.
    pub nar_size: u64,
    /// Its tree; `None` where that exceeds the limits.
    pub listing: Option<Listing>,
    /// The store paths that it names.
    pub mentions: Mentions,
    /// What looks like a secret in its text files.
    pub secrets: Vec<Secret>,
}

impl Inspector {
    /// One that has seen nothing yet, whose listing keeps to these limits.
    #[must_use]
    pub fn new(limits: ListingLimits) -> Self {
        Self {
            parser: NarParser::new(),
            hash: sha2::Sha256::new(),
            listing: ListingBuilder::new(limits),
            mentions: Mentions::new(),
            secrets: SecretScanner::default(),
        }
    }

    /// Bytes of the archive so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.parser.position()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// At the first byte that no archive has in this place.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NarError> {
        let (listing, secrets) = (&mut self.listing, &mut self.secrets);
        self.parser.push(piece, &mut |event: Event<'_>| {
            listing.event(&event);
            secrets.event(&event);
        })?;
        self.hash.update(piece);
        self.mentions.push(piece);
        Ok(())
    }

    /// Declares the archive ended.
    ///
    /// # Errors
    /// Where it is not.
    pub fn finish(self) -> Result<Inspection, NarError> {
        Ok(Inspection {
            nar_size: self.parser.finish()?,
            nar_hash: Sha256(self.hash.finalize().into()),
            listing: self.listing.finish().ok(),
            mentions: self.mentions,
            secrets: self.secrets.finish(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::NarWriter;

    #[test]
    fn one_pass_tells_hash_size_tree_and_names() {
        const NAMED: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.directory().expect("a directory");
        writer.entry(b"link").expect("an entry");
        writer
            .symlink(format!("/nix/store/{NAMED}-x").as_bytes())
            .expect("a link");
        writer.end().expect("its end");
        writer.finish().expect("an archive");
        let mut inspector = Inspector::new(ListingLimits::default());
        for piece in archive.chunks(11) {
            inspector.push(piece).expect("a good archive");
        }
        let known = inspector.finish().expect("a whole archive");
        assert_eq!(known.nar_size, archive.len() as u64);
        assert_eq!(known.nar_hash, Sha256::digest(&archive));
        assert!(known.listing.expect("a listing").find(b"link").is_some());
        let named: Vec<String> = known
            .mentions
            .found()
            .map(|hash| hash.to_string())
            .collect();
        assert_eq!(named, [NAMED]);
        let mut cut = Inspector::new(ListingLimits::default());
        cut.push(&archive[..40]).expect("a beginning");
        assert_eq!(cut.finish().expect_err("cut").code(), "bad-nar");
    }
}
