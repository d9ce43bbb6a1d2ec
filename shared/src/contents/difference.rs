//! In which files two archives differ.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{FileEntry, FileKind};

/// Differing files that are named; beyond that they are only counted.
pub const MOST_LISTED: usize = 200;

/// What happened to a file between the first archive and the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// In what a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// One is a file, the other a directory or a symlink.
    Type,
    /// It is longer or shorter.
    Size,
    /// Of the same length, and other bytes.
    Content,
    /// It may be executed in one of them.
    Executable,
    /// The symlink points elsewhere.
    Target,
}

/// A file that is not the same in both archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DifferingFile {
    /// What happened to it.
    pub change: Change,
    /// In what it differs, where both have it.
    pub aspects: Vec<Aspect>,
    /// As it is in the first.
    pub first: Option<FileEntry>,
    /// As it is in the second.
    pub second: Option<FileEntry>,
}

impl DifferingFile {
    /// The file, as one of them has it.
    #[must_use]
    pub fn entry(&self) -> Option<&FileEntry> {
        self.first.as_ref().or(self.second.as_ref())
    }

    /// Whether its contents are no text in one of them.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        let binary =
            |entry: &Option<FileEntry>| entry.as_ref().is_some_and(|e| e.binary == Some(true));
        binary(&self.first) || binary(&self.second)
    }
}

/// In which files two archives differ. Directories count where only one has them or where the other has no
/// directory there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Difference {
    /// Entries that only the second has.
    pub added: u64,
    /// Entries that only the first has.
    pub removed: u64,
    /// Entries that differ.
    pub changed: u64,
    /// Entries that are the same in both.
    pub same: u64,
    /// The differing ones in the order of the archive, so the first comes first; at most [`MOST_LISTED`].
    pub items: Vec<DifferingFile>,
}

impl Difference {
    /// How many entries differ in any way.
    #[must_use]
    pub fn differing(&self) -> u64 {
        self.added + self.removed + self.changed
    }
}

/// In which files `second` differs from `first`; both in the order of an archive.
#[must_use]
pub fn between(first: &[FileEntry], second: &[FileEntry]) -> Difference {
    let mut difference = Difference::default();
    let (mut one, mut two) = (first.iter().peekable(), second.iter().peekable());
    loop {
        let order = match (one.peek(), two.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => in_order(&a.path(), &b.path()),
        };
        let a = if order.is_le() { one.next() } else { None };
        let b = if order.is_ge() { two.next() } else { None };
        let (change, aspects) = match (a, b) {
            (Some(a), Some(b)) => {
                let aspects = aspects(a, b);
                if aspects.is_empty() {
                    difference.same += 1;
                    continue;
                }
                difference.changed += 1;
                (Change::Changed, aspects)
            }
            (Some(_), None) => {
                difference.removed += 1;
                (Change::Removed, Vec::new())
            }
            _ => {
                difference.added += 1;
                (Change::Added, Vec::new())
            }
        };
        if difference.items.len() < MOST_LISTED {
            difference.items.push(DifferingFile {
                change,
                aspects,
                first: a.cloned(),
                second: b.cloned(),
            });
        }
    }
    difference
}

/// The order of an archive: names are compared one by one, and a directory comes before what is in it.
fn in_order(a: &[u8], b: &[u8]) -> Ordering {
    let names = |path| <[u8]>::split(path, |&byte: &u8| byte == b'/');
    names(a).cmp(names(b)).then_with(|| a.len().cmp(&b.len()))
}

fn aspects(a: &FileEntry, b: &FileEntry) -> Vec<Aspect> {
    if a.kind != b.kind {
        return vec![Aspect::Type];
    }
    let mut aspects = Vec::new();
    match a.kind {
        FileKind::Directory => {}
        FileKind::Regular => {
            if a.size != b.size {
                aspects.push(Aspect::Size);
            } else if a.sha256 != b.sha256 {
                aspects.push(Aspect::Content);
            }
            if a.executable != b.executable {
                aspects.push(Aspect::Executable);
            }
        }
        FileKind::Symlink => {
            if (&a.target, &a.target_b64) != (&b.target, &b.target_b64) {
                aspects.push(Aspect::Target);
            }
        }
    }
    aspects
}
