//! Which store paths do these bytes mention?
//!
//! Nix finds run-time dependencies by searching a build's output for the hash
//! parts of its inputs: 32 characters of the nix32 alphabet. The same search
//! over a NAR tells whether its narinfo's `References` are the whole truth.
//!
//! A window of 32 bytes is looked at from its end. The last byte in it that is
//! no nix32 character rules out every window that contains it, so in binary
//! data the search jumps over 20 to 32 bytes at a time and reads few of them.
//! In long runs of such characters (hex digits, for one) the first three of a
//! window decide nearly always that it is none of those searched for.

use std::collections::{BTreeSet, HashSet};

use crate::hash::nix32;
use crate::store_path::StorePathHash;

/// Length of a hash part in characters.
const WINDOW: usize = 32;

/// Searches a stream, given in chunks of any size, for the hash parts of store paths.
///
/// Memory is that of the candidates and 33 kB. Each candidate is looked
/// for until it is found once; the order and number of occurrences are not kept.
#[derive(Debug, Clone)]
pub struct ReferenceScanner {
    /// Not found yet, as they stand in the bytes.
    candidates: HashSet<[u8; WINDOW]>,
    found: BTreeSet<StorePathHash>,
    /// True at the beginnings of candidates; see [`beginning`].
    beginnings: Box<[bool]>,
    /// The last bytes of the stream so far, fewer than a window: the beginning
    /// of what the next chunk may complete.
    tail: Vec<u8>,
}

impl ReferenceScanner {
    /// Searches for the hash parts of these store paths.
    #[must_use]
    pub fn new(candidates: impl IntoIterator<Item = StorePathHash>) -> Self {
        let candidates: HashSet<_> = candidates.into_iter().map(|hash| hash.to_ascii()).collect();
        let mut beginnings = vec![false; 1 << 15].into_boxed_slice();
        for candidate in &candidates {
            beginnings[beginning(candidate)] = true;
        }
        Self {
            candidates,
            found: BTreeSet::new(),
            beginnings,
            tail: Vec::with_capacity(2 * WINDOW),
        }
    }

    /// Searches the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.candidates.is_empty() {
            return;
        }
        // What begins in the tail ends within the first bytes of the chunk.
        let border = chunk.len().min(WINDOW - 1);
        let mut joint = std::mem::take(&mut self.tail);
        joint.extend_from_slice(&chunk[..border]);
        self.search(&joint);
        self.search(chunk);
        self.tail = joint;
        if border < chunk.len() {
            self.tail.clear();
            self.tail
                .extend_from_slice(&chunk[chunk.len() - (WINDOW - 1)..]);
        } else {
            let kept = self.tail.len().min(WINDOW - 1);
            self.tail.drain(..self.tail.len() - kept);
        }
    }

    /// The hash parts found so far, in increasing order.
    pub fn found(&self) -> impl Iterator<Item = StorePathHash> {
        self.found.iter().copied()
    }

    /// The hash parts not found so far, in no order.
    pub fn missing(&self) -> impl Iterator<Item = StorePathHash> {
        self.candidates
            .iter()
            .filter_map(|hash| StorePathHash::parse(hash).ok())
    }

    fn search(&mut self, bytes: &[u8]) {
        let mut start = 0;
        // Bytes at the beginning of the window known to be of the alphabet:
        // in a long run of such bytes only the new one at the end is looked at.
        let mut known = 0;
        while let Some(window) = bytes
            .get(start..)
            .and_then(|rest| rest.first_chunk::<WINDOW>())
        {
            match window[known..]
                .iter()
                .rposition(|&byte| !nix32::is_alphabet(byte))
            {
                Some(at) => {
                    start += known + at + 1;
                    // Everything after the byte that did not fit was looked at already.
                    known = WINDOW - (known + at + 1);
                }
                None => {
                    if self.beginnings[beginning(window)] && self.candidates.remove(window) {
                        self.found.extend(StorePathHash::parse(window));
                    }
                    start += 1;
                    known = WINDOW - 1;
                }
            }
        }
    }
}

/// The first three characters of a hash part, as a number of 15 bits.
fn beginning(hash: &[u8; WINDOW]) -> usize {
    hash[..3].iter().fold(0, |bits, &digit| {
        bits << 5 | usize::from(nix32::VALUES[usize::from(digit)] & 31)
    })
}
