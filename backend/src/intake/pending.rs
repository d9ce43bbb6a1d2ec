//! Archives that arrived and no narinfo names yet, with what was found out about them.
//!
//! Only a memory: what falls out of it is found out again from the bucket when its narinfo comes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use snowbank_shared::store_path::StorePathHash;

use super::examine::Facts;

/// Archives remembered.
const MOST: usize = 4096;
/// Nodes of all their listings together: some 60 MB.
const MOST_NODES: usize = 600_000;
/// Narinfos remembered that wait for a reference.
const MOST_WAITING: usize = 4096;
/// Uploaders remembered of one archive.
const MOST_OWNERS: usize = 16;
/// How long.
const KEPT: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
struct Archive {
    facts: Arc<Facts>,
    /// Who put it, the last one at the end: each has shown its bytes.
    owners: Vec<String>,
    /// Whether this server wrote the bytes that the facts are of.
    kept: bool,
    at: Instant,
    weight: usize,
}

/// The archives of all caches that wait for their narinfos.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By cache and key.
    archives: HashMap<(String, String), Archive>,
    weight: usize,
    /// References of narinfos that were refused for lack of one, by cache, sender and path: of two
    /// paths that refer to each other the second tells that neither can ever come first.
    refused: HashMap<(String, String, StorePathHash), (Vec<StorePathHash>, Instant)>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an archive that an uploader has shown. `kept`: its bytes were written; else they lay
    /// there.
    pub(super) fn put(&self, cache: &str, key: &str, owner: String, facts: Arc<Facts>, kept: bool) {
        let weight = 1 + weight(&facts);
        let mut inner = self.lock();
        let place = (cache.to_owned(), key.to_owned());
        let (mut owners, was_kept) = match inner.archives.remove(&place) {
            Some(before) => {
                inner.weight -= before.weight;
                (before.owners, before.kept)
            }
            None => (Vec::new(), false),
        };
        owners.retain(|known| *known != owner);
        if owners.len() >= MOST_OWNERS {
            owners.remove(0);
        }
        owners.push(owner);
        let archive = Archive {
            facts,
            owners,
            kept: kept || was_kept,
            at: Instant::now(),
            weight,
        };
        inner.weight += weight;
        inner.archives.insert(place, archive);
        inner.forget_old();
    }

    /// What is known of an archive that was written here, whoever put it: its key is its hash.
    pub(super) fn facts(&self, cache: &str, key: &str) -> Option<Arc<Facts>> {
        let inner = self.lock();
        let archive = inner.archives.get(&(cache.to_owned(), key.to_owned()))?;
        archive.kept.then(|| Arc::clone(&archive.facts))
    }

    /// Whether somebody put an archive.
    pub(super) fn knows(&self, cache: &str, key: &str) -> bool {
        let place = (cache.to_owned(), key.to_owned());
        self.lock().archives.contains_key(&place)
    }

    /// The same, where this one put it.
    pub(super) fn of(&self, cache: &str, key: &str, owner: &str) -> Option<Arc<Facts>> {
        let inner = self.lock();
        let archive = inner.archives.get(&(cache.to_owned(), key.to_owned()))?;
        (archive.is_of(owner) && archive.at.elapsed() < KEPT).then(|| Arc::clone(&archive.facts))
    }

    /// Whether others put an archive, and this one did not.
    pub(super) fn is_only_others(&self, cache: &str, key: &str, owner: &str) -> bool {
        let inner = self.lock();
        let archive = inner.archives.get(&(cache.to_owned(), key.to_owned()));
        archive.is_some_and(|archive| !archive.is_of(owner))
    }

    /// Bytes of the archives of a cache, by key, but for those of this uploader that are asked about.
    pub(super) fn sizes(
        &self,
        cache: &str,
        owner: &str,
        asked_about: &HashSet<&str>,
    ) -> HashMap<String, u64> {
        let inner = self.lock();
        let fresh = inner.archives.iter().filter(|((of, key), archive)| {
            let is_own = archive.is_of(owner) && asked_about.contains(key.as_str());
            of == cache && archive.at.elapsed() < KEPT && !is_own
        });
        fresh
            .map(|((_, key), archive)| (key.clone(), archive.facts.file_size))
            .collect()
    }

    /// Its narinfo names it now: nothing is pending about it.
    pub(super) fn published(&self, cache: &str, key: &str) {
        let mut inner = self.lock();
        if let Some(archive) = inner.archives.remove(&(cache.to_owned(), key.to_owned())) {
            inner.weight -= archive.weight;
        }
    }

    /// Notes that a narinfo was refused for lack of a reference; says whether one of its references,
    /// refused before for the same reason, leads back to it.
    pub(super) fn goes_in_a_circle(
        &self,
        cache: &str,
        owner: &str,
        path: StorePathHash,
        references: &[StorePathHash],
    ) -> bool {
        let mut inner = self.lock();
        if inner.refused.len() >= MOST_WAITING {
            inner
                .refused
                .retain(|_, (_, at)| at.elapsed() < Duration::from_secs(600));
            if inner.refused.len() >= MOST_WAITING {
                inner.refused.clear();
            }
        }
        let place = |hash| (cache.to_owned(), owner.to_owned(), hash);
        let others = references.iter().copied().filter(|hash| *hash != path);
        inner
            .refused
            .insert(place(path), (others.clone().collect(), Instant::now()));
        let mut open: Vec<StorePathHash> = others.collect();
        let mut seen = HashSet::new();
        while let Some(next) = open.pop() {
            if next == path {
                return true;
            }
            if seen.insert(next)
                && let Some((references, _)) = inner.refused.get(&place(next))
            {
                open.extend(references);
            }
        }
        false
    }
}

impl Archive {
    fn is_of(&self, owner: &str) -> bool {
        self.owners.iter().any(|known| known == owner)
    }
}

impl Inner {
    fn forget_old(&mut self) {
        while self.archives.len() > MOST || (self.weight > MOST_NODES && self.archives.len() > 1) {
            let oldest = self
                .archives
                .iter()
                .min_by_key(|(_, archive)| archive.at)
                .map(|(place, _)| place.clone());
            let Some(archive) = oldest.and_then(|place| self.archives.remove(&place)) else {
                return;
            };
            self.weight -= archive.weight;
        }
    }
}

/// Nodes of a listing.
fn weight(facts: &Facts) -> usize {
    use snowbank_shared::nar::ListingNode;
    let mut nodes = 0;
    let mut open: Vec<&ListingNode> = facts
        .inspection
        .listing
        .iter()
        .map(|listing| &listing.root)
        .collect();
    while let Some(node) = open.pop() {
        nodes += 1;
        if let ListingNode::Directory { entries } = node {
            open.extend(entries.iter().map(|(_, node)| node));
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(digit: char) -> StorePathHash {
        std::iter::repeat_n(digit, 32)
            .collect::<String>()
            .parse()
            .expect("a hash part")
    }

    #[test]
    fn paths_that_wait_for_each_other_are_found_out() {
        let pending = Pending::default();
        let (a, b, c) = (hash('0'), hash('1'), hash('2'));
        assert!(!pending.goes_in_a_circle("main", "alice", a, &[b]));
        assert!(
            !pending.goes_in_a_circle("main", "bob", b, &[a]),
            "another's"
        );
        assert!(!pending.goes_in_a_circle("main", "alice", b, &[c, b]));
        assert!(
            pending.goes_in_a_circle("main", "alice", c, &[a]),
            "a to b to c to a"
        );
    }

    #[test]
    fn an_archive_is_of_those_who_have_shown_it() {
        let mut inspector =
            snowbank_shared::nar::Inspector::new(snowbank_shared::nar::ListingLimits::default());
        let mut archive = Vec::new();
        let mut writer =
            snowbank_shared::nar::NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.file(b"x", false).expect("a file");
        writer.finish().expect("an archive");
        inspector.push(&archive).expect("an archive");
        let inspection = inspector.finish().expect("whole");
        let facts = Arc::new(Facts {
            codec: snowbank_shared::narinfo::Compression::None,
            file_hash: inspection.nar_hash,
            file_size: inspection.nar_size,
            inspection,
        });
        let size = facts.file_size;
        let pending = Pending::default();
        let put = |owner: &str, kept| {
            pending.put(
                "main",
                "nar/x.nar",
                owner.to_owned(),
                Arc::clone(&facts),
                kept,
            );
        };
        put("bob", false);
        assert!(
            pending.facts("main", "nar/x.nar").is_none(),
            "not our bytes"
        );
        assert!(pending.of("main", "nar/x.nar", "bob").is_some());
        assert!(pending.is_only_others("main", "nar/x.nar", "alice"));
        put("alice", true);
        assert!(pending.facts("main", "nar/x.nar").is_some());
        for owner in ["alice", "bob"] {
            assert!(pending.of("main", "nar/x.nar", owner).is_some(), "{owner}");
            assert!(!pending.is_only_others("main", "nar/x.nar", owner));
        }
        let asked = HashSet::from(["nar/x.nar"]);
        assert!(pending.sizes("main", "bob", &asked).is_empty());
        let counted = HashMap::from([("nar/x.nar".to_owned(), size)]);
        assert_eq!(pending.sizes("main", "carl", &asked), counted);
        assert_eq!(pending.sizes("main", "bob", &HashSet::new()), counted);
        assert!(!pending.is_only_others("main", "nar/y.nar", "carl"));
    }
}
