//! Rows of a long list that are here: a few blocks of it around the window, the others
//! dropped, so that a million rows take no more memory than a thousand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use snowbank_shared::api::PathRow;

/// Rows that are asked for at once: at most 200, and few enough for 12 kB compressed.
pub const BLOCK: u64 = 100;
/// Blocks that are kept.
const MOST: usize = 12;

/// Blocks of rows by their number. The last one may be short.
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<u64, Vec<Arc<PathRow>>>);

impl Kept {
    /// Takes a block, and drops the ones farthest from it where there are too many.
    pub fn put(&mut self, block: u64, rows: Vec<PathRow>) {
        self.0
            .insert(block, rows.into_iter().map(Arc::new).collect());
        while self.0.len() > MOST {
            let ends = [self.0.keys().next(), self.0.keys().next_back()];
            let far = ends
                .into_iter()
                .flatten()
                .max_by_key(|at| at.abs_diff(block));
            let Some(far) = far.copied() else { return };
            self.0.remove(&far);
        }
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A row, counted from 0.
    pub fn row(&self, at: u64) -> Option<Arc<PathRow>> {
        let block = self.0.get(&(at / BLOCK))?;
        block.get((at % BLOCK) as usize).cloned()
    }

    /// The number of the row with this hash part, where it is here.
    pub fn find(&self, hash: &str) -> Option<u64> {
        self.0.iter().find_map(|(block, rows)| {
            let at = rows.iter().position(|row| row.hash == hash)?;
            Some(block * BLOCK + at as u64)
        })
    }

    /// The rows around one, as far as they are here without a gap.
    pub fn around(&self, at: u64) -> Vec<PathRow> {
        let (mut first, mut last) = (at / BLOCK, at / BLOCK);
        while first > 0 && self.0.contains_key(&(first - 1)) {
            first -= 1;
        }
        while self.0.contains_key(&(last + 1)) {
            last += 1;
        }
        let blocks = self.0.range(first..=last);
        blocks
            .flat_map(|(_, rows)| rows.iter().map(|row| (**row).clone()))
            .collect()
    }

    /// The blocks that are not here of those that the window shows, then of those beside
    /// them.
    pub fn wanted(&self, seen: &Range<u64>, rows: u64) -> Vec<u64> {
        if seen.is_empty() {
            return Vec::new();
        }
        let (first, last) = (seen.start / BLOCK, (seen.end - 1) / BLOCK);
        let end = rows.div_ceil(BLOCK);
        (first..=last)
            .chain([last + 1])
            .chain(first.checked_sub(1))
            .filter(|block| *block < end && !self.0.contains_key(block))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::{ContentStatus, SignatureStatus};

    fn row(at: u64) -> PathRow {
        PathRow {
            path: format!("/nix/store/{at:032}-name"),
            hash: format!("{at:032}"),
            name: "name".to_owned(),
            nar_size: at,
            file_size: None,
            closure_size: None,
            closure_paths: None,
            reference_count: 0,
            referrer_count: 0,
            signature: SignatureStatus::Unsigned,
            signature_problem: None,
            content: ContentStatus::ALL[0],
            signers: Vec::new(),
            added_at: String::new(),
            compression: String::new(),
            quarantined: false,
        }
    }

    fn block(at: u64) -> Vec<PathRow> {
        (at * BLOCK..(at + 1) * BLOCK).map(row).collect()
    }

    #[test]
    fn few_blocks_are_kept_and_the_farthest_go() {
        let mut kept = Kept::default();
        for at in 0..20 {
            kept.put(at, block(at));
        }
        assert_eq!(kept.0.len(), MOST);
        assert_eq!(kept.row(799), None);
        assert_eq!(kept.row(800).map(|row| row.nar_size), Some(800));
        kept.put(9_999, block(9_999));
        assert_eq!(kept.row(999_999).map(|row| row.nar_size), Some(999_999));
        assert_eq!((kept.0.len(), kept.row(800)), (MOST, None));
        assert_eq!(kept.find(&format!("{:032}", 1_234)), Some(1_234));
        assert_eq!(kept.find("elsewhere"), None);
        // From one row to the gap on each side.
        let around = kept.around(1_234);
        assert_eq!((around.len(), around[0].nar_size), (1_100, 900));
        assert_eq!(kept.around(999_950).len(), 100);
    }

    #[test]
    fn what_is_seen_is_asked_for_first_and_nothing_twice_or_beyond_the_end() {
        let mut kept = Kept::default();
        assert_eq!(kept.wanted(&(0..20), 1_000), [0, 1]);
        assert_eq!(kept.wanted(&(295..315), 1_000), [2, 3, 4, 1]);
        kept.put(3, block(3));
        assert_eq!(kept.wanted(&(295..315), 1_000), [2, 4, 1]);
        assert_eq!(kept.wanted(&(995..1_000), 1_000), [9, 8]);
        assert_eq!(kept.wanted(&(0..3), 3), [0]);
        assert!(kept.wanted(&(0..0), 0).is_empty());
    }
}
