//! Where everything stands in the archive of a listing.
//!
//! A tree has exactly one archive, so a listing's names, sizes and targets tell where each file's
//! contents begin and how long the archive is. A `.ls` object that somebody else wrote is held
//! against that: its archive must have the NarSize that a signature covers.

use super::{Listing, ListingNode, MAGIC, padding};

/// Bytes of a string in an archive: its length, itself, its padding.
fn string(length: u64) -> Option<u64> {
    length.checked_add(8)?.checked_add(padding(length))
}

/// Bytes of a word of the format.
const fn word(text: &str) -> u64 {
    let length = text.len() as u64;
    8 + length + padding(length)
}

impl Listing {
    /// Fills in where the contents of each file begin, and returns the archive's size in bytes.
    ///
    /// `None` where the listing names another place for one of them, or sizes that no archive has:
    /// then it is not the listing of any archive.
    pub fn lay_out(&mut self) -> Option<u64> {
        let start = string(MAGIC.len() as u64)?;
        node(&mut self.root, start)
    }
}

/// Lays out a node that begins at `at`; returns where it ends.
fn node(node: &mut ListingNode, at: u64) -> Option<u64> {
    // No deeper than `MAX_DEPTH`: both makers of listings see to that.
    let at = at.checked_add(word("(") + word("type"))?;
    let end = match node {
        ListingNode::Regular {
            size,
            executable,
            nar_offset,
        } => {
            let mark = if *executable {
                word("executable") + word("")
            } else {
                0
            };
            let at = at.checked_add(word("regular") + mark + word("contents") + 8)?;
            if nar_offset.is_some_and(|known| known != at) {
                return None;
            }
            *nar_offset = Some(at);
            at.checked_add(string(*size)? - 8)?
        }
        ListingNode::Symlink { target } => {
            let words = word("symlink") + word("target");
            at.checked_add(words)?
                .checked_add(string(target.len() as u64)?)?
        }
        ListingNode::Directory { entries } => {
            let mut at = at.checked_add(word("directory"))?;
            for (name, inner) in entries {
                let name = string(name.as_bytes().len() as u64)?;
                let words = word("entry") + word("(") + word("name") + word("node");
                at = at.checked_add(words)?.checked_add(name)?;
                at = self::node(inner, at)?.checked_add(word(")"))?;
            }
            at
        }
    };
    end.checked_add(word(")"))
}
