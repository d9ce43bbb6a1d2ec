//! The sorted names of folders, remembered as long as the folder has not changed.
//!
//! A folder's modification time moves whenever a name in it appears or goes, whoever does it. So sorted
//! names stay good while that time stays the same, with one trap: clocks of file systems tick, and two
//! changes within one tick leave the same time. Names that were read so soon after the last change
//! that another could hide in the same tick are therefore read again the next time.
//!
//! A listing of many pages needs less: it must show what was there when it began. Its later pages take
//! any names that were read since then, so that paging through a folder while others write into it
//! does not sort the folder again for each page.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::beneath::Beneath;
use super::entries::{modified, read_beside_others};

/// Longest tick of a file system that counts nanoseconds.
const TICK: Duration = Duration::from_millis(50);
/// The tick assumed of a file system whose times are whole seconds.
const COARSE_TICK: Duration = Duration::from_millis(2_100);
/// Most bytes of names that are remembered.
const MAX_BYTES: usize = 512 << 20;

/// The entries of one folder in the order of the keys below it: names as bytes, where a folder's name
/// ends with a slash. So `a.narinfo` comes before `a/`, and `a/…` before `a0`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The entry at a place, a folder with its slash.
    pub fn get(&self, n: usize) -> Option<&str> {
        let end = *self.ends.get(n)? as usize;
        let start = if n == 0 { 0 } else { self.ends[n - 1] as usize };
        Some(&self.text[start..end])
    }

    /// The place of the first entry that is `from` or later, or that is a folder in which `from` lies.
    pub fn position(&self, from: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|entry| entry < from) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let holds = low > 0
            && self
                .get(low - 1)
                .is_some_and(|entry| entry.ends_with('/') && from.starts_with(entry));
        if holds { low - 1 } else { low }
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }

    /// From entries in any order, the same ones once.
    ///
    /// # Errors
    /// When all names together are 4 GiB or more.
    fn from_entries(mut entries: Vec<String>) -> io::Result<Self> {
        entries.sort_unstable();
        entries.dedup();
        let mut names = Self::default();
        names.ends.reserve_exact(entries.len());
        names
            .text
            .reserve_exact(entries.iter().map(String::len).sum());
        for entry in entries {
            names.text.push_str(&entry);
            names.ends.push(
                u32::try_from(names.text.len())
                    .map_err(|_| io::Error::other("the folder has too many names"))?,
            );
        }
        Ok(names)
    }
}

#[derive(Debug)]
struct Remembered {
    names: Arc<Names>,
    /// The folder's modification time before the names were read.
    modified: i128,
    /// Whether another change could hide behind that time.
    racy: bool,
    /// When the names were last known to be true.
    as_of: Instant,
    used: u64,
}

#[derive(Debug, Default)]
struct Shelf {
    folders: HashMap<String, Remembered>,
    bytes: usize,
    clock: u64,
    reads: u64,
}

/// Sorted names of the folders of one bucket.
#[derive(Debug, Default)]
pub struct NameCache {
    shelf: Mutex<Shelf>,
}

impl NameCache {
    /// The names in a folder, given by its path below the root without slashes at the ends; `None` when
    /// it is not a folder. They are true as of now, or as of any moment after `since` where that is given.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn get(
        &self,
        beneath: &Beneath,
        folder: &str,
        since: Option<Instant>,
    ) -> io::Result<Option<Arc<Names>>> {
        if let Some(since) = since
            && let Some(names) = self.shelf().since(folder, since)
        {
            return Ok(Some(names));
        }
        let now = Instant::now();
        let fd = match beneath.folder(folder) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let modified = modified(&fd)?;
        if let Some(names) = self.shelf().confirm(folder, modified, now) {
            return Ok(Some(names));
        }
        let racy = could_hide_a_change(modified, SystemTime::now());
        let earlier = self.shelf().earlier(folder);
        let entries = read_beside_others(&fd, folder.is_empty(), modified, earlier.as_deref())?;
        let names = Arc::new(Names::from_entries(entries)?);
        self.shelf().keep(
            folder,
            Remembered {
                names: names.clone(),
                modified,
                racy,
                as_of: now,
                used: 0,
            },
        );
        Ok(Some(names))
    }

    /// How often a folder was read, for tests and curiosity.
    pub fn reads(&self) -> u64 {
        self.shelf().reads
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn earlier(&self, folder: &str) -> Option<Arc<Names>> {
        Some(self.folders.get(folder)?.names.clone())
    }

    fn since(&mut self, folder: &str, since: Instant) -> Option<Arc<Names>> {
        self.clock += 1;
        let known = self
            .folders
            .get_mut(folder)
            .filter(|known| known.as_of >= since)?;
        known.used = self.clock;
        Some(known.names.clone())
    }

    fn confirm(&mut self, folder: &str, modified: i128, now: Instant) -> Option<Arc<Names>> {
        self.clock += 1;
        let known = self
            .folders
            .get_mut(folder)
            .filter(|known| known.modified == modified && !known.racy)?;
        known.as_of = known.as_of.max(now);
        known.used = self.clock;
        Some(known.names.clone())
    }

    fn keep(&mut self, folder: &str, mut read: Remembered) {
        self.clock += 1;
        self.reads += 1;
        read.used = self.clock;
        // Another reader may have been later than we and have put its names here before us.
        if self
            .folders
            .get(folder)
            .is_some_and(|known| known.as_of > read.as_of)
        {
            return;
        }
        self.bytes += cost(folder, &read);
        if let Some(old) = self.folders.insert(folder.to_owned(), read) {
            self.bytes -= cost(folder, &old);
        }
        while self.bytes > MAX_BYTES && self.folders.len() > 1 {
            let Some(oldest) = self
                .folders
                .iter()
                .min_by_key(|(_, known)| known.used)
                .map(|(folder, _)| folder.clone())
            else {
                break;
            };
            if let Some(old) = self.folders.remove(&oldest) {
                self.bytes -= cost(&oldest, &old);
            }
        }
    }
}

/// Bytes that one remembered folder takes, roughly.
fn cost(folder: &str, known: &Remembered) -> usize {
    known.names.bytes() + folder.len() + 128
}

/// Whether a change after `now` could leave the same modification time as the one before.
fn could_hide_a_change(modified: i128, now: SystemTime) -> bool {
    let tick = if modified % 1_000_000_000 == 0 {
        COARSE_TICK
    } else {
        TICK
    };
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |span| span.as_nanos());
    modified + i128::try_from(tick.as_nanos()).unwrap_or(0)
        >= i128::try_from(now).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::embedded::key::INTERNAL;
    use std::fs;

    fn names(entries: &[&str]) -> Names {
        Names::from_entries(entries.iter().map(|entry| (*entry).to_owned()).collect()).unwrap()
    }

    #[test]
    fn a_folder_sorts_as_its_keys_do() {
        let names = names(&["a0", "a/", "a.narinfo", "a-", "b"]);
        let order: Vec<&str> = (0..names.len()).filter_map(|n| names.get(n)).collect();
        assert_eq!(order, ["a-", "a.narinfo", "a/", "a0", "b"]);
        for (from, expected) in [
            ("", 0),
            ("a.", 1),
            ("a/", 2),
            ("a/zz", 2),
            ("a0", 3),
            ("a1", 4),
            ("c", 5),
        ] {
            assert_eq!(names.position(from), expected, "{from}");
        }
        assert_eq!(names.get(5), None);
    }

    #[test]
    fn what_others_write_is_seen_even_within_one_tick() {
        let dir = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        let cache = NameCache::default();
        for n in 0..200 {
            fs::write(dir.path().join(format!("{n:03}")), "").unwrap();
            let names = cache.get(&beneath, "", None).unwrap().unwrap();
            assert_eq!(names.len(), n + 1);
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the tick of the file system has to pass; no runtime here"
    )]
    fn an_unchanged_folder_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        let cache = NameCache::default();
        std::thread::sleep(TICK * 2);
        for _ in 0..10 {
            assert_eq!(cache.get(&beneath, "", None).unwrap().unwrap().len(), 1);
        }
        assert_eq!(cache.reads(), 1);
        fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(cache.get(&beneath, "", None).unwrap().unwrap().len(), 2);
        assert!(cache.get(&beneath, "missing", None).unwrap().is_none());
        assert!(cache.get(&beneath, "a", None).unwrap().is_none());
    }

    /// On a file system in memory, where there is one: it takes a name that is written anew out of a
    /// reading that is under way.
    #[test]
    fn a_name_that_is_written_anew_while_the_folder_is_read_is_not_missed() {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let total = 20_000;
        for n in 0..total {
            fs::write(dir.path().join(format!("{n:05}")), "").unwrap();
        }
        let beneath = Beneath::open(dir.path()).unwrap();
        let cache = NameCache::default();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let new = dir.path().join(INTERNAL);
                let mut n = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::write(&new, "").unwrap();
                    fs::rename(&new, dir.path().join(format!("{n:05}"))).unwrap();
                    n = (n + 7_919) % total;
                }
            });
            let most_missed = (0..20)
                .map(|_| total - cache.get(&beneath, "", None).unwrap().unwrap().len())
                .max();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(most_missed, Some(0));
        });
    }

    #[test]
    fn later_pages_take_the_names_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        let cache = NameCache::default();
        let began = Instant::now();
        assert_eq!(
            cache.get(&beneath, "", Some(began)).unwrap().unwrap().len(),
            1
        );
        fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(
            cache.get(&beneath, "", Some(began)).unwrap().unwrap().len(),
            1
        );
        assert_eq!(
            cache
                .get(&beneath, "", Some(Instant::now()))
                .unwrap()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            cache.get(&beneath, "", Some(began)).unwrap().unwrap().len(),
            2
        );
    }

    #[test]
    fn whole_second_times_are_trusted_later() {
        let second = 1_000_000_000;
        let at = |millis: u64| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(100) + Duration::from_millis(millis)
        };
        assert!(could_hide_a_change(100 * second, at(1_000)));
        assert!(!could_hide_a_change(100 * second, at(3_000)));
        assert!(could_hide_a_change(100 * second + 1, at(20)));
        assert!(!could_hide_a_change(100 * second + 1, at(80)));
        assert!(
            could_hide_a_change(200 * second + 1, at(0)),
            "a time in the future is never trusted"
        );
    }
}
