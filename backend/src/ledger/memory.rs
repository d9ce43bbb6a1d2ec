//! What a replica remembers of the ledger: the highest sequence of every record, and every
//! tombstone.
//!
//! Nobody can forge an object, but whoever can write the bucket can put an old one back or
//! take one away. The memory notices. It is kept in the data folder, and sealed in the bucket
//! as `records/witness`, from which a fresh replica learns; whoever rolls back everything at
//! once, the witness included, is not noticed by a replica that has no data folder yet.
//!
//! It is a lower bound: merging two memories takes the higher of each, and one that was
//! written late or lost only knows less.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The server's id; a state area with another is not ours.
    pub(super) server: String,
    /// The version of the witness in the bucket.
    #[serde(default)]
    pub(super) witness: u64,
    /// By record's path.
    #[serde(default)]
    pub(super) records: BTreeMap<Box<str>, Seen>,
    /// Paths of records with a tombstone; with the end of the record, where it had one: nobody
    /// can bring it back after that, and the tombstone may go.
    #[serde(default)]
    pub(super) tombstones: BTreeMap<Box<str>, Option<i64>>,
    /// By chain, such as `audit/INSTANCE`: the last segment's number and hash.
    #[serde(default)]
    pub(super) chains: BTreeMap<Box<str>, Head>,
    /// Whether something was learnt since it was last written.
    #[serde(skip)]
    pub(super) dirty: bool,
}

/// The highest version of a record that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Its sequence.
    pub(super) sequence: u64,
    /// When it ends by itself, seconds since 1970: then it may be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<i64>,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The last segment's number.
    pub(super) number: u64,
    /// The hash of what it says.
    pub(super) hash: String,
}

impl Memory {
    /// Notes a version that verified. Says whether that is news.
    pub(super) fn saw(&mut self, path: &str, sequence: u64, expires: Option<i64>) -> bool {
        let seen = Seen { sequence, expires };
        match self.records.get_mut(path) {
            Some(known) if known.sequence >= sequence => return false,
            Some(known) => *known = seen,
            None => {
                self.records.insert(path.into(), seen);
            }
        }
        self.dirty = true;
        true
    }

    /// Notes a tombstone. Says whether that is news.
    pub(super) fn buried(&mut self, path: &str, expires: Option<i64>) -> bool {
        self.records.remove(path);
        if self.tombstones.contains_key(path) {
            return false;
        }
        self.tombstones.insert(path.into(), expires);
        self.dirty = true;
        true
    }

    /// Notes the end of a chain. Says whether that is news.
    pub(super) fn grown(&mut self, chain: &str, head: Head) -> bool {
        match self.chains.get(chain) {
            Some(known) if known.number >= head.number => false,
            _ => {
                self.chains.insert(chain.into(), head);
                self.dirty = true;
                true
            }
        }
    }

    /// Forgets what has ended by itself.
    pub(super) fn forget_expired(&mut self, now: OffsetDateTime) {
        let now = now.unix_timestamp();
        let before = self.records.len() + self.tombstones.len();
        let lasts = |expires: Option<i64>| expires.is_none_or(|expires| expires > now);
        self.records.retain(|_, seen| lasts(seen.expires));
        self.tombstones.retain(|_, expires| lasts(*expires));
        self.dirty |= self.records.len() + self.tombstones.len() != before;
    }

    /// Takes the higher of each. Says whether anything was news.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let mut news = false;
        for (path, seen) in &other.records {
            if !self.tombstones.contains_key(path) {
                news |= self.saw(path, seen.sequence, seen.expires);
            }
        }
        for (path, expires) in &other.tombstones {
            news |= self.buried(path, *expires);
        }
        for (chain, head) in &other.chains {
            news |= self.grown(chain, head.clone());
        }
        self.witness = self.witness.max(other.witness);
        news
    }

    /// Whether this memory knows everything that the other knows.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let at_least = |mine: Option<u64>, theirs: u64| mine.is_some_and(|mine| mine >= theirs);
        other
            .tombstones
            .keys()
            .all(|path| self.tombstones.contains_key(path))
            && other.records.iter().all(|(path, seen)| {
                self.tombstones.contains_key(path)
                    || at_least(self.records.get(path).map(|it| it.sequence), seen.sequence)
            })
            && other.chains.iter().all(|(chain, head)| {
                at_least(self.chains.get(chain).map(|it| it.number), head.number)
            })
    }

    /// Reads it. A file that is missing or damaged is an empty memory: it knows less.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(memory) => Ok(Some(memory)),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "the ledger's memory is damaged and begins anew");
                    Ok(None)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let aside = path.with_extension(format!("new-{}", std::process::id()));
        fs::write(&aside, serde_json::to_vec(self)?)?;
        fs::rename(&aside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_takes_the_higher_of_each_and_tombstones_stay() {
        let mut one = Memory::default();
        let mut two = Memory::default();
        assert!(one.saw("members/a", 3, None) && !one.saw("members/a", 2, None));
        two.saw("members/a", 5, None);
        two.saw("members/b", 1, None);
        one.buried("members/b", None);
        assert!(!one.covers(&two) && one.merge(&two) && !one.merge(&two) && one.covers(&two));
        assert_eq!(one.records["members/a"].sequence, 5);
        assert!(!one.records.contains_key("members/b") && one.tombstones.contains_key("members/b"));
    }

    #[test]
    fn a_damaged_file_is_an_empty_memory() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ledger/seen.json");
        assert_eq!(Memory::read(&path).expect("fine"), None);
        let mut memory = Memory::default();
        memory.saw("members/a", 3, Some(0));
        memory.write(&path).expect("written");
        memory.dirty = false;
        assert_eq!(Memory::read(&path).expect("fine"), Some(memory.clone()));
        fs::write(&path, "{").expect("a file");
        assert_eq!(Memory::read(&path).expect("fine"), None);
        memory.forget_expired(OffsetDateTime::now_utc());
        assert!(memory.records.is_empty());
    }
}
