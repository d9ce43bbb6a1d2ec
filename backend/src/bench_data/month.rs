//! A month of make-believe traffic for `snowbank demo --month`: who fetched what, how large the bucket
//! was, what was found wrong with it, day by day until now.
//!
//! It is made of what really lies in the demo's bucket, and is the same for the same moment and bucket:
//! three groups of clients on working days and weekends, a new release that everybody fetches, a night
//! in which nobody measured, requests in vain for what nobody has uploaded and for what an upstream
//! has. All of it is written by the records of real figures, which go on from there; pages say that
//! what was before is made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snowbank_shared::api::storage::{ClassSize, ObjectClass};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use super::random::Random;
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::site::surroundings::HealthDay;
use crate::sizes::SizesRecord;
use crate::usage::{Asker, DAY, HOUR, Past, Who};

/// Days before today.
pub const DAYS: i64 = 30;
/// All of it comes from this number.
const SEED: u64 = 0x5e0b_a2c0_11ec_7ed1;
/// So many days ago the new release came.
const RELEASE: i64 = 9;
/// So many days ago nobody measured in the night.
const DARK: i64 = 17;
/// That night's hours: from 01:00 to 05:00.
const DARK_HOURS: (i64, i64) = (HOUR, 5 * HOUR);
/// Visits in each hour of a working day, UTC.
const VISITS: [u32; 24] = [
    2, 2, 3, 2, 1, 2, 3, 6, 10, 12, 11, 9, 8, 10, 12, 11, 9, 7, 5, 4, 4, 3, 3, 2,
];
/// Packages that are asked for in vain and that an upstream has.
const ELSEWHERE: [&str; 6] = [
    "hello-2.12.2",
    "jq-1.8.1",
    "ripgrep-15.1.0",
    "git-2.51.2",
    "tree-2.2.1",
    "which-2.23",
];
/// Packages that are asked for in vain and that nobody has.
const NOWHERE: [&str; 5] = [
    "avalanche-2.10.0-rc1",
    "powder3.14-snowflake-0.4.2",
    "flurry-cli-1.1.0",
    "nixos-system-eiger-26.05",
    "sled-docs-1.29.1",
];

/// Why there is no month.
#[derive(Debug, thiserror::Error)]
pub enum MonthError {
    /// The bucket cannot be read.
    #[error("cannot read the demo's bucket at {}: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The ledger does not take it.
    #[error("the month cannot be written: {0}")]
    Ledger(#[from] LedgerError),
}

/// A path of the bucket.
#[derive(Debug)]
struct Held {
    hash: StorePathHash,
    name: String,
    /// Bytes of its archive.
    bytes: u64,
}

/// What lies in the bucket.
#[derive(Debug, Default)]
struct Bucket {
    paths: Vec<Held>,
    /// What they refer to and that is not there.
    absent: BTreeSet<StorePathHash>,
    unpacked: u64,
    /// Objects and bytes.
    classes: BTreeMap<ObjectClass, (u64, u64)>,
}

/// Objects and bytes of the server's own before any of this was made up, about.
const STATE: (u64, u64) = (2, 400);

/// The classes of a day's record, as a sweep has them.
const CLASSES: [ObjectClass; 10] = [
    ObjectClass::Nar,
    ObjectClass::Narinfo,
    ObjectClass::Listing,
    ObjectClass::Log,
    ObjectClass::Debuginfo,
    ObjectClass::Realisation,
    ObjectClass::Other,
    ObjectClass::State,
    ObjectClass::Unfinished,
    ObjectClass::OldVersions,
];

impl Bucket {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut bucket = Self::default();
        let mut references = BTreeSet::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let (kind, name) = (entry.file_type()?, entry.file_name());
                let name = name.to_string_lossy();
                if kind.is_dir() {
                    // What begins so is the store's own.
                    if !name.starts_with('.') {
                        open.push(entry.path());
                    }
                    continue;
                }
                let class = match name.rsplit_once('.') {
                    Some((_, "narinfo")) => ObjectClass::Narinfo,
                    Some((_, "ls")) => ObjectClass::Listing,
                    Some((_, "drv")) => ObjectClass::Log,
                    _ if name.contains(".nar") => ObjectClass::Nar,
                    _ => ObjectClass::Other,
                };
                let (objects, bytes) = bucket.classes.entry(class).or_default();
                *objects += 1;
                *bytes += entry.metadata()?.len();
                if class == ObjectClass::Narinfo {
                    bucket.note(&fs::read(entry.path())?, &mut references);
                }
            }
        }
        bucket.paths.sort_by_key(|path| path.hash);
        let known: BTreeSet<_> = bucket.paths.iter().map(|path| path.hash).collect();
        bucket.absent = references.difference(&known).copied().collect();
        Ok(bucket)
    }

    /// A narinfo; what cannot be read is nobody's to fetch.
    fn note(&mut self, bytes: &[u8], references: &mut BTreeSet<StorePathHash>) {
        let Ok(narinfo) = NarInfo::parse_strict(bytes, &StoreDir::default()) else {
            return;
        };
        references.extend(narinfo.references().map(|path| path.hash()));
        self.unpacked += narinfo.nar_size();
        self.paths.push(Held {
            hash: narinfo.store_path().hash(),
            name: narinfo.store_path().name().to_owned(),
            bytes: narinfo.file_size().unwrap_or(narinfo.nar_size()),
        });
    }

    /// What it held so many days ago: less than now, with a jump at the release.
    fn ago(&self, days: i64, midnight: i64) -> SizesRecord {
        let grown = (DAYS - days) as u64;
        let share = 520 + 12 * grown + if days <= RELEASE { 90 } else { 0 };
        let part = |whole: u64| whole * share.min(990) / 1_000;
        let classes = CLASSES.iter().map(|class| {
            let (objects, bytes) = match class {
                ObjectClass::State => STATE,
                class => {
                    let (objects, bytes) = self.classes.get(class).copied().unwrap_or_default();
                    (part(objects), part(bytes))
                }
            };
            ClassSize {
                class: *class,
                objects: Some(objects),
                bytes: Some(bytes),
                unknown: None,
            }
        });
        SizesRecord {
            at: midnight + 3 * HOUR,
            classes: classes.collect(),
            unpacked: part(self.unpacked),
            facts: Vec::new(),
        }
    }
}

/// A group of clients.
struct Group {
    who: Who,
    agent: &'static str,
    /// Of a hundred visits on a working day and on a weekend.
    share: (u32, u32),
    /// Of a thousand narinfos that it finds, how many NARs it fetches.
    fetches: u64,
}

fn groups(days: i64) -> [Group; 3] {
    let at = |text: &str| Who::from(text.to_owned());
    // Half of the month ago the laptops got a newer Nix.
    let laptops = if days > DAYS / 2 {
        "curl/8.12.1 Nix/2.28.5"
    } else {
        "curl/8.14.1 Nix/2.31.2"
    };
    [
        Group {
            who: at("machine:build-farm"),
            agent: "curl/8.14.1 Nix/2.31.2",
            share: (58, 80),
            fetches: 620,
        },
        Group {
            who: at("192.0.2.0/24"),
            agent: laptops,
            share: (33, 8),
            fetches: 340,
        },
        Group {
            who: at("2001:db8:7::/48"),
            agent: "curl/7.88.1 Nix/2.18.9",
            share: (9, 12),
            fetches: 180,
        },
    ]
}

/// The hash of a path that is not here.
fn invented(name: &str) -> StorePathHash {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
    StorePathHash::from_bytes(bytes)
}

/// One who makes up what happened.
struct Teller<'b> {
    random: Random,
    bucket: &'b Bucket,
    absent: Vec<StorePathHash>,
    past: Past,
}

impl Teller<'_> {
    /// A duration around so many microseconds, a few far above.
    fn took(&mut self, usual: u64, slow: bool) -> Duration {
        let spread = self.random.unit() + self.random.unit();
        let mut micros = (usual as f64 * (0.5 + spread / 2.0)) as u64;
        if self.random.chance(0.04) {
            micros *= 6;
        }
        Duration::from_micros(if slow { micros * 3 } else { micros })
    }

    /// Whether a client asks for this path so many days ago: of both versions the newest.
    fn is_wanted(&mut self, path: &Held, days: i64) -> bool {
        let is_old = path.name.contains("2.8.4");
        let is_new = path.name.contains("2.9.0");
        match (is_old, is_new) {
            (true, _) => days > RELEASE || self.random.chance(0.15),
            (_, true) => days <= RELEASE,
            _ => self.random.chance(0.75),
        }
    }

    /// A client substitutes a closure, or a part of it.
    fn visit(&mut self, at: i64, days: i64) {
        let weekend = is_weekend(at);
        let groups = groups(days);
        let mut drawn = self.random.below(100) as u32;
        let group = groups.iter().find(|group| {
            let share = if weekend {
                group.share.1
            } else {
                group.share.0
            };
            let is_it = drawn < share;
            drawn = drawn.saturating_sub(share);
            is_it
        });
        let group = group.unwrap_or(&groups[0]);
        let slow = days == RELEASE;
        let bucket = self.bucket;
        let part = 0.25 + 0.75 * self.random.unit();
        for path in &bucket.paths {
            if !self.random.chance(part) || !self.is_wanted(path, days) {
                continue;
            }
            let mut asker = Asker {
                who: group.who.clone(),
                agent: Some(group.agent),
                took: self.took(260, slow),
            };
            self.past.narinfo(at, path.hash, true, &asker);
            // Everybody fetches what is new.
            let fresh = days == RELEASE && path.name.contains("2.9.0");
            if fresh || self.random.chance(group.fetches as f64 / 1_000.0) {
                asker.took = self.took(3_400, slow);
                self.past.nar(at, path.hash, path.bytes, &asker);
            }
        }
        self.vain(at, group);
    }

    /// What it asks for and does not find.
    fn vain(&mut self, at: i64, group: &Group) {
        let mut missed = Vec::new();
        for _ in 0..self.random.below(5) {
            missed.push(invented(ELSEWHERE[self.random.below(ELSEWHERE.len())]));
        }
        if self.random.chance(0.3) {
            missed.push(invented(NOWHERE[self.random.below(NOWHERE.len())]));
        }
        if !self.absent.is_empty() && self.random.chance(0.12) {
            missed.push(*self.random.choose(&self.absent));
        }
        for hash in missed {
            let asker = Asker {
                who: group.who.clone(),
                agent: Some(group.agent),
                took: self.took(340, false),
            };
            self.past.narinfo(at, hash, false, &asker);
        }
    }

    /// An hour, until `end`.
    fn hour(&mut self, hour: i64, end: i64, days: i64) {
        let of_day = hour.rem_euclid(DAY);
        let dark = days == DARK && (DARK_HOURS.0..DARK_HOURS.1).contains(&of_day);
        if dark {
            return;
        }
        let usual = f64::from(VISITS[(of_day / HOUR) as usize]);
        let grown = 1.0 + (DAYS - days) as f64 / 60.0;
        let of_week = if is_weekend(hour) { 0.35 } else { 1.0 };
        let release = match RELEASE - days {
            0 => 2.4,
            1 => 1.5,
            _ => 1.0,
        };
        let visits = self
            .random
            .normal(usual * grown * of_week * release, usual / 6.0);
        let visits = visits.clamp(0.0, 100.0) as usize;
        let mut moments: Vec<i64> = (0..visits)
            .map(|_| hour + self.random.below(HOUR as usize) as i64)
            .filter(|at| *at < end)
            .collect();
        moments.sort_unstable();
        for at in moments {
            self.visit(at, days);
            if self.random.chance(0.01) {
                self.past.failed(at, 416);
            }
            // The release was too much for the bucket for a while.
            if days == RELEASE && of_day / HOUR == 9 && self.random.chance(0.5) {
                self.past.failed(at, 502);
            }
        }
    }
}

/// 1970-01-01 was a Thursday.
const fn is_weekend(at: i64) -> bool {
    (at.div_euclid(DAY) + 3).rem_euclid(7) >= 5
}

/// What was found wrong so many days ago.
fn health(days: i64) -> BTreeMap<String, u64> {
    let counts = [
        ("orphan-nar", if days > 20 { 7 } else { 1 }),
        ("nar-missing", if days > RELEASE { 1 } else { 2 }),
        (
            "url-disagreement",
            if (5..12).contains(&days) { 4 } else { 2 },
        ),
    ];
    counts
        .into_iter()
        .map(|(check, count)| (check.to_owned(), count))
        .collect()
}

/// The traffic of the month until `now`, seconds since 1970.
fn told(bucket: &Bucket, now: i64) -> Past {
    let today = now.div_euclid(DAY) * DAY;
    let mut teller = Teller {
        random: Random::new(SEED),
        bucket,
        absent: bucket.absent.iter().copied().collect(),
        past: Past::new(SEED),
    };
    for days in (0..=DAYS).rev() {
        let midnight = today - days * DAY;
        let end = (midnight + DAY).min(now);
        if days == DARK {
            teller.past.measured(midnight, midnight + DARK_HOURS.0);
            teller.past.measured(midnight + DARK_HOURS.1, end);
        } else {
            teller.past.measured(midnight, end);
        }
        let mut hour = midnight;
        while hour < end {
            teller.hour(hour, end, days);
            hour += HOUR;
        }
    }
    for name in ELSEWHERE {
        teller.past.told(&invented(name), true);
    }
    let nowhere = NOWHERE.iter().map(|name| invented(name));
    let nowhere: Vec<_> = nowhere.chain(teller.absent.iter().copied()).collect();
    for hash in nowhere {
        teller.past.told(&hash, false);
    }
    teller.past
}

/// Writes the month until `now`, seconds since 1970, of a cache whose bucket lies in `folder`.
///
/// # Errors
/// Where the bucket cannot be read or the ledger not written; what was written until then stays.
pub async fn write(
    ledger: &Ledger,
    cache: &str,
    folder: &Path,
    now: i64,
) -> Result<(), MonthError> {
    let bucket = Bucket::read(folder).map_err(|source| MonthError::Read {
        path: folder.to_owned(),
        source,
    })?;
    told(&bucket, now).write(ledger, cache).await?;
    let today = now.div_euclid(DAY) * DAY;
    for days in (1..=DAYS).rev() {
        let midnight = today - days * DAY;
        let sizes = bucket.ago(days, midnight);
        let Some(Ok(id)) = sizes.day().map(|day| day.to_string().parse::<RecordId>()) else {
            continue;
        };
        sizes.keep(ledger, cache).await?;
        let record = HealthDay {
            counts: health(days),
            at: midnight + DAY - 1,
        };
        let same = |_: Option<&HealthDay>| Ok::<_, LedgerError>(record.clone());
        ledger.put(Scope::Cache(cache), &id, "demo", same).await?;
    }
    Ok(())
}
