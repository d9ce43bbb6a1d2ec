//! Which store paths do these bytes name, when nobody said yet which to look for?
//!
//! A NAR may arrive minutes before the narinfo that declares its references (PROTOCOL.md §11), so
//! [`ReferenceScanner`](super::ReferenceScanner), which searches for given hashes, comes too late.
//! Here every text is kept that a store path could begin with: 32 characters of the nix32 alphabet
//! before a `-`. Which of them are paths that exist is asked later.
//!
//! A name is always followed by `-`, so the search is one for that byte: in binary data there are
//! few, and before most of them stands no such text.

use std::collections::BTreeSet;

use crate::hash::nix32;
use crate::store_path::{HASH_LEN, StorePathHash};

/// How many are kept: beyond, the answer says that it is not whole. 3 MB.
const MOST: usize = 50_000;

/// What a stream names, fed in pieces of any size.
#[derive(Debug, Clone, Default)]
pub struct Mentions {
    found: BTreeSet<StorePathHash>,
    /// The last bytes so far, fewer than a hash part: the beginning of what may come.
    tail: Vec<u8>,
    more: bool,
}

impl Mentions {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Searches the next bytes.
    pub fn push(&mut self, piece: &[u8]) {
        // A `-` near the beginning follows what lies in the tail too.
        let border = piece.len().min(HASH_LEN);
        let joint = [&self.tail, &piece[..border]].concat();
        self.search(&joint, self.tail.len());
        self.search(piece, border);
        let keep = |bytes: &[u8]| bytes[bytes.len().saturating_sub(HASH_LEN)..].to_vec();
        self.tail = if piece.len() < HASH_LEN {
            keep(&joint)
        } else {
            keep(piece)
        };
    }

    /// Looks before every `-` from there on.
    fn search(&mut self, bytes: &[u8], from: usize) {
        for at in memchr::memchr_iter(b'-', &bytes[from..]) {
            let end = from + at;
            let Some(text) = end
                .checked_sub(HASH_LEN)
                .map(|start| &bytes[start..end])
                .filter(|text| text.iter().rev().all(|byte| nix32::is_alphabet(*byte)))
            else {
                continue;
            };
            if self.found.len() >= MOST {
                self.more = true;
                return;
            }
            self.found.extend(StorePathHash::parse(text));
        }
    }

    /// What was found, in increasing order.
    pub fn found(&self) -> impl Iterator<Item = StorePathHash> {
        self.found.iter().copied()
    }

    /// Whether it is found.
    #[must_use]
    pub fn contains(&self, hash: &StorePathHash) -> bool {
        self.found.contains(hash)
    }

    /// Whether there was more than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";
    const TWO: &str = "11111111111111111111111111111111";

    fn found(pieces: &[&[u8]]) -> Vec<String> {
        let mut mentions = Mentions::new();
        for piece in pieces {
            mentions.push(piece);
        }
        mentions.found().map(|hash| hash.to_string()).collect()
    }

    #[test]
    fn what_a_store_path_could_begin_with_is_found() {
        let text = format!("x/nix/store/{ONE}-hello/bin\0{TWO}-x");
        assert_eq!(found(&[text.as_bytes()]), [ONE, TWO]);
        // Whatever stands before, as in a table of strings.
        assert_eq!(found(&[format!("lib{ONE}-x").as_bytes()]), [ONE]);
        for nothing in [
            format!("{ONE}x"),
            format!("{ONE} -"),
            format!("{}-x", &ONE[1..]),
            format!("{}e-x", &ONE[1..]),
        ] {
            assert!(found(&[nothing.as_bytes()]).is_empty(), "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(
            before in "[a-z\\-]{0,80}",
            after in "[a-z0-9\\-]{0,80}",
            size in 1_usize..70,
        ) {
            let text = format!("{before}{ONE}-{after}");
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(found(&pieces), found(&[text.as_bytes()]));
            prop_assert!(found(&pieces).contains(&ONE.to_owned()));
        }
    }
}
