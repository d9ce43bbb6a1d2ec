//! What the ledger keeps of a pin.

use serde::{Deserialize, Serialize};
use snowbank_shared::store_path::{StorePath, StorePathHash};

use crate::ledger::kind::{Kind, PINS, Record};

/// A pin, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRecord {
    /// Who made it.
    pub created_by: String,
    /// When, seconds since 1970.
    pub created_at: i64,
    /// How many of its newest revisions it keeps.
    pub keep: u16,
    /// The number of its newest revision. Counts on after it was unpinned.
    pub last: u64,
    /// The revisions that it keeps, oldest first; none where it was unpinned.
    pub revisions: Vec<Revision>,
}

/// A path that a pin names, from some time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number, from 1.
    pub number: u64,
    /// The path.
    pub path: StorePath,
    /// When, seconds since 1970.
    pub at: i64,
    /// Who made it.
    pub by: String,
    /// What they said about it.
    #[serde(default)]
    pub note: String,
}

impl Record for PinRecord {
    const KIND: Kind = PINS;
}

impl PinRecord {
    /// The newest revision; `None` where it was unpinned.
    pub fn newest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// A revision that it keeps.
    pub fn revision(&self, number: u64) -> Option<&Revision> {
        self.revisions
            .iter()
            .find(|revision| revision.number == number)
    }

    /// The paths whose closures it keeps.
    pub fn roots(&self) -> Vec<StorePathHash> {
        let paths = self.revisions.iter().map(|revision| revision.path.hash());
        paths.collect()
    }

    /// Adds a revision, and forgets those that are not kept any more.
    pub(super) fn add(&mut self, path: StorePath, at: i64, by: &str, note: &str) {
        self.last += 1;
        self.revisions.push(Revision {
            number: self.last,
            path,
            at,
            by: by.to_owned(),
            note: note.to_owned(),
        });
        self.trim();
    }

    /// Forgets the revisions that are not kept any more.
    pub(super) fn trim(&mut self) {
        let over = self.revisions.len().saturating_sub(usize::from(self.keep));
        self.revisions.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        format!("xynxqns12h5f1dcq1j5x3c3232454njk-{name}")
            .parse()
            .expect("a path")
    }

    #[test]
    fn the_newest_revisions_are_kept_and_numbers_go_on() {
        let mut pin = PinRecord {
            created_by: "olga".into(),
            created_at: 1,
            keep: 2,
            last: 0,
            revisions: Vec::new(),
        };
        for name in ["a-1", "a-2", "a-3"] {
            pin.add(path(name), 1, "olga", "");
        }
        let numbers = |pin: &PinRecord| -> Vec<u64> {
            pin.revisions
                .iter()
                .map(|revision| revision.number)
                .collect()
        };
        assert_eq!(numbers(&pin), [2, 3]);
        assert_eq!(pin.newest().expect("one").path, path("a-3"));
        assert!(pin.revision(1).is_none() && pin.revision(2).is_some());
        let text = serde_json::to_string(&pin).expect("JSON");
        assert_eq!(serde_json::from_str::<PinRecord>(&text).expect("read"), pin);
        pin.revisions.clear();
        assert!(pin.newest().is_none() && pin.roots().is_empty());
        pin.add(path("a-4"), 2, "olga", "");
        assert_eq!(numbers(&pin), [4]);
    }
}
