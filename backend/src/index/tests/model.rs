//! The same questions answered the slow and obvious way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use snowbank_shared::api::{ContentStatus, SignatureStatus};
use snowbank_shared::store_path::StorePathHash;

use super::support::{Path, hash};
use crate::index::query::{PathQuery, SortField};

/// A base name: number and name.
pub(super) type Name = (u32, String);

/// A cache: its paths by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) paths: BTreeMap<u32, Path>,
}

impl Model {
    /// The path of a base name.
    pub(super) fn present(&self, name: &Name) -> Option<&Path> {
        self.paths.get(&name.0).filter(|path| path.name == name.1)
    }

    /// Who refers to a path, itself left out.
    pub(super) fn referrers(&self, number: u32) -> BTreeSet<u32> {
        let Some(path) = self.paths.get(&number) else {
            return BTreeSet::new();
        };
        let name = (number, path.name.clone());
        let referring = self
            .paths
            .values()
            .filter(|other| other.references.contains(&name));
        referring
            .map(|other| other.number)
            .filter(|&other| other != number)
            .collect()
    }

    /// The closure of a path with distances, and what is missing with the distance at which it is first named.
    pub(super) fn closure(&self, number: u32) -> (BTreeMap<u32, u32>, BTreeMap<Name, u32>) {
        let mut present = BTreeMap::from([(number, 0)]);
        let mut missing = BTreeMap::new();
        let mut queue = VecDeque::from([number]);
        while let Some(at) = queue.pop_front() {
            let depth = present[&at] + 1;
            for name in &self.paths[&at].references {
                if self.present(name).is_none() {
                    missing.entry(name.clone()).or_insert(depth);
                    continue;
                }
                present.entry(name.0).or_insert_with(|| {
                    queue.push_back(name.0);
                    depth
                });
            }
        }
        (present, missing)
    }

    /// What the closures of some paths hold.
    pub(super) fn held(&self, roots: &[StorePathHash]) -> BTreeSet<u32> {
        let here = self
            .paths
            .keys()
            .filter(|number| roots.contains(&hash(**number)));
        here.flat_map(|&number| self.closure(number).0.into_keys())
            .collect()
    }

    /// Size and paths of a closure.
    pub(super) fn measure(&self, number: u32) -> (u64, u32) {
        let (present, _) = self.closure(number);
        let size = present
            .keys()
            .map(|number| self.paths[number].nar_size)
            .sum();
        (size, present.len() as u32)
    }

    /// The paths on a cycle of two or more.
    pub(super) fn cycles(&self) -> BTreeSet<u32> {
        let reach: BTreeMap<u32, BTreeMap<u32, u32>> = self
            .paths
            .keys()
            .map(|&number| (number, self.closure(number).0))
            .collect();
        let cyclic = |a: &u32| reach[a].keys().any(|b| b != a && reach[b].contains_key(a));
        self.paths.keys().copied().filter(cyclic).collect()
    }

    /// What a query answers, over all pages, as numbers.
    pub(super) fn query(&self, query: &PathQuery) -> Vec<u32> {
        let words: Vec<String> = query.q.split_whitespace().map(str::to_lowercase).collect();
        let one = &query.q.to_lowercase();
        let is_prefix = words.len() == 1 && one.len() >= 4;
        let signature = |path: &Path| {
            if path.signers.is_empty() {
                SignatureStatus::Unsigned
            } else {
                SignatureStatus::UnknownKey
            }
        };
        let mut found: Vec<&Path> = self
            .paths
            .values()
            .filter(|path| {
                let name = path.name.to_lowercase();
                let named = words.iter().all(|word| name.contains(word));
                let hash = hash(path.number).to_string();
                named || is_prefix && hash.starts_with(one)
            })
            .filter(|path| query.sig.is_empty() || query.sig.contains(&signature(path)))
            .filter(|_| {
                query.content.is_empty() || query.content.contains(&ContentStatus::NotChecked)
            })
            .filter(|path| {
                query
                    .key
                    .as_deref()
                    .is_none_or(|key| path.signers.contains(&key))
            })
            .filter(|path| {
                query
                    .compression
                    .as_deref()
                    .is_none_or(|word| path.compression == word)
            })
            // Nobody's signature is good here.
            .filter(|_| !query.reproduced)
            .filter(|path| !query.unreferenced || self.referrers(path.number).is_empty())
            .filter(|path| {
                query
                    .roots
                    .as_deref()
                    .is_none_or(|roots| self.held(roots).contains(&path.number))
            })
            .filter(|path| query.min.is_none_or(|min| path.nar_size >= min))
            .filter(|path| query.max.is_none_or(|max| path.nar_size <= max))
            .filter(|path| query.since.is_none_or(|since| path.added_at >= since))
            .filter(|path| query.until.is_none_or(|until| path.added_at < until))
            .collect();
        let number = |path: &Path| -> Option<u64> {
            Some(match query.sort.field {
                SortField::NarSize => path.nar_size,
                SortField::FileSize => path.file_size?,
                SortField::ClosureSize => self.measure(path.number).0,
                SortField::ClosurePaths => u64::from(self.measure(path.number).1),
                SortField::ReferenceCount => {
                    let own = (path.number, path.name.clone());
                    path.references
                        .iter()
                        .filter(|&name| *name != own)
                        .collect::<BTreeSet<_>>()
                        .len() as u64
                }
                SortField::ReferrerCount => self.referrers(path.number).len() as u64,
                SortField::Signature => SignatureStatus::ALL
                    .iter()
                    .position(|&word| word == signature(path))?
                    as u64,
                SortField::SignatureProblem => return None,
                SortField::AddedAt => path.added_at as u64,
                SortField::Content
                | SortField::Path
                | SortField::Hash
                | SortField::Name
                | SortField::Signers
                | SortField::Compression => 0,
            })
        };
        let text = |path: &Path| match query.sort.field {
            SortField::Name => path.name.clone(),
            SortField::Signers => path.signers.join(" "),
            SortField::Compression => path.compression.to_owned(),
            _ => String::new(),
        };
        let down = query.sort.descending;
        found.sort_by(|a, b| {
            let (x, y) = (number(a), number(b));
            let turned = |order: std::cmp::Ordering| if down { order.reverse() } else { order };
            x.is_none()
                .cmp(&y.is_none())
                .then_with(|| turned(x.cmp(&y)))
                .then_with(|| turned(text(a).cmp(&text(b))))
                .then_with(|| turned(hash(a.number).cmp(&hash(b.number))))
        });
        found.into_iter().map(|path| path.number).collect()
    }
}
