//! How much of a cache is proven, and what is to be read next: one pass over all paths.

use std::collections::BinaryHeap;
use std::time::Duration;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::store_path::StorePathHash;

use super::Moment;
use crate::index::View;

/// In this time everything is read once, where no rate is set.
pub const PERIOD: Duration = Duration::from_secs(90 * DAY.unsigned_abs());
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Bytes a second at least where no rate is set, so that a small cache is soon proven: 256 KiB.
const FLOOR: u64 = 256 << 10;
/// How long a proof is not renewed where no rate is set: a little less than the period, so that there
/// is always something to do for a rate that is just enough.
const FRESH: i64 = 80 * DAY;
/// With proofs older than this it is behind.
const LATE: i64 = 120 * DAY;

/// How fast a cache is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Not at all, but where somebody asks.
    Off,
    /// So that everything is read in [`PERIOD`].
    Period,
    /// So many bytes a second.
    Bytes(u64),
}

impl Rate {
    /// As it is configured.
    pub fn of(configured: Option<u64>) -> Self {
        match configured {
            None => Self::Period,
            Some(0) => Self::Off,
            Some(bytes) => Self::Bytes(bytes),
        }
    }

    /// Bytes a second for a cache of so many bytes; 0 where it is off.
    pub fn a_second(self, stored: u64) -> u64 {
        match self {
            Self::Off => 0,
            Self::Period => (stored / PERIOD.as_secs()).max(FLOOR),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Seconds after which a path is read again. What was not its narinfo's may have been mended, so
    /// it is looked at each day.
    fn again(self, found: ContentStatus) -> i64 {
        match (self, found) {
            (Self::Period, ContentStatus::Verified) => FRESH,
            _ => DAY,
        }
    }
}

/// How much of a cache was proven at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Store paths.
    pub paths: u64,
    /// Bytes of their archives as stored, for each path.
    pub bytes: u64,
    /// Paths whose content is verified and of which it is known since when.
    pub proven_paths: u64,
    /// Bytes of their archives as stored.
    pub proven_bytes: u64,
    /// When the path was read whose proof is oldest, seconds since 1970.
    pub oldest: Option<i64>,
    /// Paths that are to be read now.
    pub due: u64,
    /// Bytes a second; 0: off.
    pub rate: u64,
    /// When this was counted, seconds since 1970.
    pub at: i64,
    /// Of which version of the index.
    pub revision: String,
    /// Of which version of the proofs.
    pub version: u64,
}

impl Figures {
    /// Whether proofs are older than they should be at any rate.
    pub fn is_behind(&self) -> bool {
        self.rate > 0 && self.oldest.is_some_and(|oldest| self.at - oldest > LATE)
    }

    /// The age of the oldest proof at this moment, seconds.
    pub fn oldest_age(&self, now: i64) -> Option<u64> {
        let oldest = self.oldest?;
        Some(u64::try_from(now - oldest).unwrap_or_default())
    }
}

/// What a pass over all paths found.
#[derive(Debug)]
pub struct Survey {
    /// How much is proven.
    pub figures: Figures,
    /// What is to be read next: what never was, then what was longest ago.
    pub next: Vec<StorePathHash>,
}

/// Looks at every path: call it off the reactor. `most` paths are named at most, and none of which
/// `left_out` says so.
pub fn survey(
    view: &View,
    moment: &Moment,
    rate: Rate,
    now: i64,
    most: usize,
    left_out: impl Fn(&StorePathHash) -> bool,
) -> Survey {
    let mut figures = Figures {
        paths: view.len(),
        bytes: 0,
        proven_paths: 0,
        proven_bytes: 0,
        oldest: None,
        due: 0,
        rate: 0,
        at: now,
        revision: view.revision().to_owned(),
        version: moment.version,
    };
    let mut next: BinaryHeap<(i64, StorePathHash)> = BinaryHeap::new();
    for id in view.ids() {
        let path = view.hash(id);
        let content = view.content(id);
        let bytes = view.file_size(id).unwrap_or_else(|| view.nar_size(id));
        figures.bytes = figures.bytes.saturating_add(bytes);
        // What the index does not know any more was of another narinfo.
        let proof = moment
            .of(&path)
            .filter(|_| content != ContentStatus::NotChecked);
        if let Some(proof) = proof
            && content == ContentStatus::Verified
            && proof.content == ContentStatus::Verified
        {
            figures.proven_paths += 1;
            figures.proven_bytes = figures.proven_bytes.saturating_add(bytes);
            figures.oldest = Some(
                figures
                    .oldest
                    .map_or(proof.at, |oldest| oldest.min(proof.at)),
            );
        }
        let read_at = match proof {
            Some(proof) if proof.at.saturating_add(rate.again(proof.content)) > now => continue,
            Some(proof) => proof.at,
            None => 0,
        };
        if rate == Rate::Off || left_out(&path) {
            continue;
        }
        figures.due += 1;
        next.push((read_at, path));
        if next.len() > most {
            next.pop();
        }
    }
    figures.rate = rate.a_second(figures.bytes);
    Survey {
        figures,
        next: next
            .into_sorted_vec()
            .into_iter()
            .map(|(_, path)| path)
            .collect(),
    }
}
