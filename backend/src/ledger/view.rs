//! What a replica believes of the ledger at one moment.
//!
//! A [`View`] is immutable: who asks twice within one request asks one view. It answers with
//! records that verified, are not older than one that was seen, have not expired and have no
//! tombstone. What cannot be believed is in [`View::findings`], and stops what it must stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::envelope::Believed;
use super::kind::{Kind, Record, RecordId, RecordPath, Scope, Unverified};
use super::seal::SealError;
use crate::bucket::{ETag, ObjectMeta};

/// A record with its version.
#[derive(Debug)]
pub struct Entry<R> {
    /// Its name within its kind.
    pub id: RecordId,
    /// Which version it is, from 1.
    pub sequence: u64,
    /// When this version was written.
    pub changed_at: OffsetDateTime,
    /// Who wrote it.
    pub changed_by: String,
    /// The record.
    pub record: Arc<R>,
}

impl<R> std::ops::Deref for Entry<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.record
    }
}

/// What is wrong with an object of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It does not open.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// It opens, and is not what this version can read.
    #[error("it cannot be read by this version: {0}")]
    Unreadable(String),
    /// The store does not hand it out.
    #[error("the bucket does not hand it out: {0}")]
    Refused(String),
    /// A version older than one that was seen lies there.
    #[error(
        "version {found} lies there, and version {seen} was seen: somebody put an old copy back"
    )]
    RolledBack {
        /// The highest sequence seen.
        seen: u64,
        /// The sequence found.
        found: u64,
    },
    /// It was there, and is gone without a tombstone.
    #[error("it is gone without a tombstone; version {seen} was seen")]
    Vanished {
        /// The highest sequence seen.
        seen: u64,
    },
    /// Its tombstone was there and is gone; it still counts.
    #[error("its tombstone is gone; it still counts here")]
    TombstoneGone,
    /// Its tombstone does not open; it counts all the same.
    #[error("its tombstone does not verify; it counts all the same: {0}")]
    TombstoneForged(String),
    /// Its name is none that a record can have, or of a kind that only a newer version knows.
    #[error("no record of this version has such a name")]
    UnknownName,
}

/// A trouble, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFinding {
    /// The record's path, or the object's key below `records/`.
    pub path: String,
    /// What is wrong.
    pub trouble: Trouble,
    /// What it means.
    pub meaning: Unverified,
    /// The cache whose runs it stops; `None` where the record is the server's.
    pub cache: Option<String>,
}

/// A tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// When, as far as known.
    pub at: Option<OffsetDateTime>,
    /// Who, as far as known.
    pub author: Option<String>,
    /// Why, as far as known.
    pub reason: Option<String>,
}

/// What tells whether an object changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    size: u64,
    last_modified: Option<OffsetDateTime>,
    etag: Option<ETag>,
}

impl Token {
    pub(super) fn listed(meta: &ObjectMeta) -> Self {
        Self {
            size: meta.size,
            last_modified: meta.last_modified,
            etag: meta.etag.clone(),
        }
    }

    pub(super) fn written(size: usize, etag: Option<ETag>) -> Self {
        Self {
            size: size as u64,
            last_modified: None,
            etag,
        }
    }

    /// Whether both are of one version. Sealed bytes are never twice the same, so a tag says it.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.size == other.size
            && match (&self.etag, &other.etag) {
                (Some(one), Some(two)) => one == two,
                _ => self.last_modified.is_some() && self.last_modified == other.last_modified,
            }
    }
}

/// What lies under a record's path.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The object as last seen; `None` where it is gone.
    pub(super) token: Option<Token>,
    /// Since when this is known. A look that began before says nothing against it.
    pub(super) known_at: Instant,
    pub(super) believed: Option<Arc<Believed>>,
    pub(super) trouble: Option<Trouble>,
}

impl Slot {
    /// The object as last seen, since when, and whether it is in order.
    pub(super) fn held(&self) -> (Option<&Token>, Instant, bool) {
        (self.token.as_ref(), self.known_at, self.trouble.is_none())
    }
}

impl Grave {
    /// As [`Slot::held`].
    pub(super) fn held(&self) -> (Option<&Token>, Instant, bool) {
        (self.token.as_ref(), self.known_at, self.trouble.is_none())
    }
}

/// What lies under a tombstone's path.
#[derive(Debug, Clone)]
pub(super) struct Grave {
    pub(super) token: Option<Token>,
    pub(super) known_at: Instant,
    pub(super) tombstone: Tombstone,
    /// When the record ends by itself, seconds since 1970: nothing comes back after that.
    pub(super) expires: Option<i64>,
    pub(super) trouble: Option<Trouble>,
}

/// What a replica believes of the ledger at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub(super) revision: u64,
    pub(super) slots: BTreeMap<Box<str>, Slot>,
    pub(super) graves: BTreeMap<Box<str>, Grave>,
    /// Objects below `records/` with names that no record has.
    pub(super) strays: BTreeMap<Box<str>, Token>,
}

impl View {
    /// Counts changes of what is believed; of this process, and of no other.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A record, where there is one to believe.
    pub fn get<R: Record>(&self, scope: Scope<'_>, id: &RecordId) -> Option<Entry<R>> {
        let path = RecordPath::new(R::KIND, scope, id);
        let slot = self.slots.get(path.as_str())?;
        self.entry(path.as_str(), slot, OffsetDateTime::now_utc())
    }

    /// What the only record of a kind says; what none says, where there is none to believe.
    pub fn only<R: Record + Clone + Default>(&self, scope: Scope<'_>) -> R {
        let entry = self.get::<R>(scope, &RecordId::only());
        entry
            .map(|entry| (*entry.record).clone())
            .unwrap_or_default()
    }

    /// The records of a kind, by name.
    pub fn list<R: Record>(&self, scope: Scope<'_>) -> impl Iterator<Item = Entry<R>> {
        let now = OffsetDateTime::now_utc();
        let folder = RecordPath::folder(R::KIND, scope);
        self.below(&folder)
            .filter_map(|(path, slot)| self.entry(path, slot, now))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Slot)> {
        let from: Box<str> = folder.into();
        let folder = folder.to_owned();
        self.slots
            .range(from..)
            .take_while(move |(path, _)| path.starts_with(&*folder))
            .map(|(path, slot)| (&**path, slot))
    }

    fn entry<R: Record>(&self, path: &str, slot: &Slot, now: OffsetDateTime) -> Option<Entry<R>> {
        let believed = slot.believed.as_ref()?;
        let envelope = &believed.envelope;
        if envelope.is_void() || envelope.has_expired(now) || self.graves.contains_key(path) {
            return None;
        }
        Some(Entry {
            id: path.parse::<RecordPath>().ok()?.id(),
            sequence: believed.sequence,
            changed_at: believed.envelope.written_at(),
            changed_by: believed.envelope.author.clone(),
            record: believed.decode()?,
        })
    }

    /// The tombstone of a record, where it has one.
    pub fn tombstone(&self, kind: Kind, scope: Scope<'_>, id: &RecordId) -> Option<&Tombstone> {
        let path = RecordPath::new(kind, scope, id);
        self.graves.get(path.as_str()).map(|grave| &grave.tombstone)
    }

    /// The tombstones of a kind, by name: those of records that end by themselves are there until then.
    pub fn tombstones(&self, kind: Kind, scope: Scope<'_>) -> Vec<(RecordId, Tombstone)> {
        let folder = RecordPath::folder(kind, scope);
        let from: Box<str> = folder.as_str().into();
        self.graves
            .range(from..)
            .take_while(|(path, _)| path.starts_with(&*folder))
            .filter_map(|(path, grave)| {
                let id = path.parse::<RecordPath>().ok()?.id();
                Some((id, grave.tombstone.clone()))
            })
            .collect()
    }

    /// How many tombstones of a kind there are.
    pub fn tombstone_count(&self, kind: Kind, scope: Scope<'_>) -> usize {
        let folder = RecordPath::folder(kind, scope);
        let from: Box<str> = folder.as_str().into();
        let graves = self.graves.range(from..);
        graves
            .take_while(|(path, _)| path.starts_with(&*folder))
            .count()
    }

    /// Everything that cannot be believed.
    pub fn findings(&self) -> Vec<LedgerFinding> {
        let finding = |path: &str, trouble: &Trouble| {
            let parsed = path.parse::<RecordPath>().ok();
            let kind = parsed.as_ref().and_then(RecordPath::kind);
            LedgerFinding {
                path: path.to_owned(),
                trouble: trouble.clone(),
                meaning: kind.map_or(Unverified::GrantsNothing, |kind| kind.unverified),
                cache: parsed
                    .as_ref()
                    .and_then(|path| path.cache().map(str::to_owned)),
            }
        };
        let slots = self
            .slots
            .iter()
            // What is revoked cannot be missed.
            .filter(|(path, _)| !self.graves.contains_key(*path))
            .filter_map(|(path, slot)| Some((path, slot.trouble.as_ref()?)));
        let graves = self
            .graves
            .iter()
            .filter_map(|(path, grave)| Some((path, grave.trouble.as_ref()?)));
        let strays = self.strays.keys().map(|path| (path, &Trouble::UnknownName));
        slots
            .chain(graves)
            .chain(strays)
            .map(|(path, trouble)| finding(path, trouble))
            .collect()
    }

    /// What stops plans, runs and purges of a cache; empty where nothing does.
    pub fn stops(&self, cache: &str) -> Vec<LedgerFinding> {
        let mut findings = self.findings();
        findings.retain(|finding| {
            finding.meaning == Unverified::StopsRuns && finding.cache.as_deref() == Some(cache)
        });
        findings
    }
}
