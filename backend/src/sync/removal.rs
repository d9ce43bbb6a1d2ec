//! When what a listing lacks is really removed.
//!
//! A listing that lacks a path normally means that somebody deleted it. But a wrong
//! prefix, a store that lost its index, a bucket that was swapped look the same, and an
//! index that forgets a million paths takes a million GETs to learn them again. So a few
//! removals are carried out at once, and many only when a second listing agrees.

use std::collections::HashSet;
use std::hash::Hash;

/// Above this many paths, or the hundredth part of the cache where that is more, a
/// removal waits for a second sweep.
const ALWAYS: u64 = 1000;

/// What the last sweep held back.
#[derive(Debug)]
pub(super) struct Removals<T> {
    held_back: HashSet<T>,
}

impl<T> Default for Removals<T> {
    fn default() -> Self {
        Self {
            held_back: HashSet::new(),
        }
    }
}

/// The verdict on what a listing lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict<T> {
    /// To be removed.
    pub(super) removed: Vec<T>,
    /// How many wait for the next sweep.
    pub(super) held_back: u64,
}

impl<T: Hash + Eq + Clone> Removals<T> {
    /// Decides about `missing`, of a cache that had `paths` paths.
    pub(super) fn decide(&mut self, missing: Vec<T>, paths: u64) -> Verdict<T> {
        let many = missing.len() as u64 > ALWAYS.max(paths / 100);
        if !many {
            self.held_back.clear();
            return Verdict {
                removed: missing,
                held_back: 0,
            };
        }
        let (removed, new): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|one| self.held_back.contains(one));
        self.held_back = new.into_iter().collect();
        Verdict {
            removed,
            held_back: self.held_back.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_removed_at_once() {
        let mut removals = Removals::default();
        for (missing, paths) in [(1000, 1000), (1000, 50_000), (2000, 200_000)] {
            let verdict = removals.decide((0..missing).collect(), paths);
            assert_eq!(
                (verdict.removed.len() as u32, verdict.held_back),
                (missing, 0)
            );
        }
    }

    #[test]
    fn many_wait_for_a_second_sweep_that_agrees() {
        let mut removals = Removals::default();
        let first = removals.decide((0..1001).collect(), 1001);
        assert_eq!((first.removed.len(), first.held_back), (0, 1001));
        // The second lacks others too: those wait in their turn.
        let second = removals.decide((500..2500).collect(), 2500);
        assert_eq!((second.removed.len(), second.held_back), (501, 1499));
    }

    #[test]
    fn what_comes_back_is_forgiven() {
        let mut removals = Removals::default();
        removals.decide((0..5000).collect(), 5000);
        assert_eq!(removals.decide(Vec::new(), 5000).removed, Vec::<i32>::new());
        let again = removals.decide((0..5000).collect(), 5000);
        assert_eq!((again.removed.len(), again.held_back), (0, 5000));
    }

    #[test]
    fn the_hundredth_part_counts_in_large_caches() {
        let mut removals = Removals::default();
        assert_eq!(
            removals.decide((0..2001).collect(), 200_000).held_back,
            2001
        );
    }
}
