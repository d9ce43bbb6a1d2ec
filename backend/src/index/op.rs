//! Changes as the index carries them out: what the log holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::api::{ContentStatus, Finding, Severity};
use snowbank_shared::store_path::StorePathHash;

use super::change::Change;
use super::chunk::{content_code, content_of};
use super::graph::Graph;
use super::layout::LayoutPool;
use super::record::{Judged, Record, read_judged, write_judged};
use super::wire::{Damaged, put, put_option, put_text, take, take_option, take_text};

/// Objects that cannot be read, and findings of others, are kept up to this many;
/// beyond that they are counted.
pub(crate) const MAX_NOTES: usize = 100_000;

/// One step. Steps name paths by hash, so that they mean the same after a merge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Put(Arc<Record>),
    Remove(StorePathHash),
    /// Only while the row has this token.
    RemoveUnchanged(StorePathHash, u64),
    Unreadable(String, Unreadable),
    Forget(String),
    /// What is known of a path's bytes.
    Content(StorePathHash, ContentStatus),
    /// What a listing says of a path's file, while the row has this token:
    /// its state, and its size where the narinfo does not say.
    Listed(StorePathHash, u64, ContentStatus, Option<u64>),
    /// What the path's signatures are worth, while the row has this token.
    Judged(StorePathHash, u64, Judged),
    Finding(Finding),
    Settled(String, String),
    Swept(i64),
    Counted(BucketTotals),
    /// All signatures are judged by this key ring, or by several.
    KeyRing(Option<u64>),
}

/// An object named like a narinfo that cannot be read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) token: u64,
    pub(crate) check: String,
    pub(crate) line: Option<u32>,
    pub(crate) reason: String,
}

/// What a listing of the whole bucket counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BucketTotals {
    /// Objects below the cache's prefix.
    pub objects: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// NAR files that no narinfo names.
    pub orphans: u64,
    /// Bytes of those.
    pub orphan_bytes: u64,
    /// When the listing began, seconds since 1970.
    pub began_at: i64,
}

/// What is known besides the rows. Cloning shares everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Notes {
    /// By object.
    pub(crate) unreadable: Arc<BTreeMap<String, Unreadable>>,
    /// By check and object.
    pub(crate) findings: Arc<BTreeMap<(String, String), Finding>>,
    /// When the last complete sweep began, seconds since 1970.
    pub(crate) swept: Option<i64>,
    pub(crate) bucket: Option<BucketTotals>,
    /// Fingerprint of the key ring by which all signatures are judged, if it is one.
    pub(crate) key_ring: Option<u64>,
}

/// Rows that a step touched.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Rows whose closures changed, and codes of removed rows: their referrers' did too.
    pub(crate) closures: Vec<u32>,
    /// New rows that may lie on a cycle.
    pub(crate) edges: Vec<u32>,
}

impl Op {
    /// The step that a change is. Encodes narinfos: a few microseconds each.
    pub(crate) fn of(change: Change, store_dir: &str, layouts: &LayoutPool) -> Self {
        match change {
            Change::Put(entry) => Self::Put(Arc::new(Record::new(&entry, store_dir, layouts))),
            Change::Remove(hash) => Self::Remove(hash),
            Change::RemoveUnchanged(hash, token) => Self::RemoveUnchanged(hash, token),
            Change::Unparsable { key, token, error } => {
                let unreadable = Unreadable {
                    token: token.fingerprint(),
                    check: error.code.as_str().to_owned(),
                    line: error.line,
                    reason: error.to_string(),
                };
                Self::Unreadable(key, unreadable)
            }
            Change::Forget(key) => Self::Forget(key),
            Change::Content(hash, content) => Self::Content(hash, content),
            Change::Finding(finding) => Self::Finding(finding),
            Change::Settled(check, object) => Self::Settled(check, object),
            Change::Swept { began_at } => Self::Swept(began_at),
        }
    }

    /// The path whose row it writes or removes, whatever that row was.
    pub(crate) fn path(&self) -> Option<StorePathHash> {
        match self {
            Self::Put(record) => Some(record.base.key),
            Self::Remove(hash) => Some(*hash),
            Self::Unreadable(key, _) => StorePathHash::from_narinfo_key(key),
            _ => None,
        }
    }

    /// Whether what it does depends on the row that is there.
    pub(crate) fn needs_row(&self) -> bool {
        matches!(
            self,
            Self::RemoveUnchanged(..) | Self::Content(..) | Self::Listed(..) | Self::Judged(..)
        )
    }

    /// Carries out what concerns the rows.
    pub(crate) fn apply_to(&self, graph: &mut Graph, touched: &mut Touched) {
        match self {
            Self::Put(record) => {
                let placed = graph.put(record);
                if placed.changes_closures {
                    touched.closures.push(placed.row);
                }
                touched.closures.extend(placed.displaced);
                touched.edges.push(placed.row);
            }
            Self::Remove(hash) => touched.closures.extend(graph.remove(hash)),
            Self::RemoveUnchanged(hash, token) => {
                if row_with(graph, hash, *token).is_some() {
                    touched.closures.extend(graph.remove(hash));
                }
            }
            Self::Unreadable(key, _) => {
                if let Some(hash) = StorePathHash::from_narinfo_key(key) {
                    touched.closures.extend(graph.remove(&hash));
                }
            }
            Self::Content(hash, content) => {
                if let Some(row) = graph.find(hash) {
                    graph.set_content(row, *content);
                }
            }
            Self::Listed(hash, token, content, size) => {
                if let Some(row) = row_with(graph, hash, *token) {
                    graph.set_content(row, *content);
                    if let Some(size) = size
                        && !graph.layout(row).has_file_size
                    {
                        graph.set_file_size(row, *size);
                    }
                }
            }
            Self::Judged(hash, token, judged) => {
                if let Some(row) = row_with(graph, hash, *token)
                    && graph.judged(row) != judged
                {
                    let number = graph.judged_number(judged);
                    graph.change_mark(row, |mark| mark.judged = number);
                }
            }
            Self::Forget(_)
            | Self::Finding(_)
            | Self::Settled(..)
            | Self::Swept(_)
            | Self::Counted(_)
            | Self::KeyRing(_) => {}
        }
    }

    /// Carries out what concerns everything else.
    pub(crate) fn note_in(&self, notes: &mut Notes) {
        match self {
            Self::Put(record) => {
                if !notes.unreadable.is_empty() {
                    forget(notes, &record.base.key.narinfo_key());
                }
            }
            Self::Remove(hash) => {
                if !notes.unreadable.is_empty() {
                    forget(notes, &hash.narinfo_key());
                }
            }
            Self::Unreadable(key, unreadable) => {
                if notes.unreadable.len() < MAX_NOTES || notes.unreadable.contains_key(key) {
                    Arc::make_mut(&mut notes.unreadable).insert(key.clone(), unreadable.clone());
                }
            }
            Self::Forget(key) => forget(notes, key),
            Self::Finding(finding) => {
                let key = (finding.check.clone(), finding.object.clone());
                if notes.findings.len() < MAX_NOTES || notes.findings.contains_key(&key) {
                    Arc::make_mut(&mut notes.findings).insert(key, finding.clone());
                }
            }
            Self::Settled(check, object) => {
                let key = (check.clone(), object.clone());
                if notes.findings.contains_key(&key) {
                    Arc::make_mut(&mut notes.findings).remove(&key);
                }
            }
            Self::Swept(began_at) => notes.swept = Some(*began_at),
            Self::Counted(totals) => notes.bucket = Some(*totals),
            Self::KeyRing(ring) => notes.key_ring = *ring,
            Self::RemoveUnchanged(..) | Self::Content(..) | Self::Listed(..) | Self::Judged(..) => {
            }
        }
    }

    /// Appends it to the log.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Put(record) => {
                put(1u8, out);
                record.write(out);
            }
            Self::Remove(hash) => {
                put(2u8, out);
                put(*hash.as_bytes(), out);
            }
            Self::RemoveUnchanged(hash, token) => {
                put(3u8, out);
                put(*hash.as_bytes(), out);
                put(*token, out);
            }
            Self::Unreadable(key, unreadable) => {
                put(4u8, out);
                put_text(key, out);
                unreadable.write(out);
            }
            Self::Forget(key) => {
                put(5u8, out);
                put_text(key, out);
            }
            Self::Content(hash, content) => {
                put(6u8, out);
                put(*hash.as_bytes(), out);
                put(content_code(*content), out);
            }
            Self::Listed(hash, token, content, size) => {
                put(7u8, out);
                put(*hash.as_bytes(), out);
                put(*token, out);
                put(content_code(*content), out);
                put(u8::from(size.is_some()), out);
                put(size.unwrap_or(0), out);
            }
            Self::Judged(hash, token, judged) => {
                put(8u8, out);
                put(*hash.as_bytes(), out);
                put(*token, out);
                write_judged(judged, out);
            }
            Self::Finding(finding) => {
                put(9u8, out);
                write_finding(finding, out);
            }
            Self::Settled(check, object) => {
                put(10u8, out);
                put_text(check, out);
                put_text(object, out);
            }
            Self::Swept(began_at) => {
                put(11u8, out);
                put(began_at.to_le_bytes(), out);
            }
            Self::Counted(totals) => {
                put(12u8, out);
                totals.write(out);
            }
            Self::KeyRing(ring) => {
                put(13u8, out);
                put(u8::from(ring.is_some()), out);
                put(ring.unwrap_or(0), out);
            }
        }
    }

    /// Reads it from the log.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let hash = |bytes: &mut &[u8]| Ok(StorePathHash::from_bytes(take(bytes)?));
        Ok(match take::<u8>(bytes)? {
            1 => Self::Put(Arc::new(Record::read(bytes)?)),
            2 => Self::Remove(hash(bytes)?),
            3 => Self::RemoveUnchanged(hash(bytes)?, take(bytes)?),
            4 => Self::Unreadable(take_text(bytes)?, Unreadable::read(bytes)?),
            5 => Self::Forget(take_text(bytes)?),
            6 => Self::Content(hash(bytes)?, content_of(take(bytes)?)?),
            7 => {
                let (hash, token) = (hash(bytes)?, take(bytes)?);
                let content = content_of(take(bytes)?)?;
                let known = take::<u8>(bytes)? == 1;
                let size = take(bytes)?;
                Self::Listed(hash, token, content, known.then_some(size))
            }
            8 => Self::Judged(hash(bytes)?, take(bytes)?, read_judged(bytes)?),
            9 => Self::Finding(read_finding(bytes)?),
            10 => Self::Settled(take_text(bytes)?, take_text(bytes)?),
            11 => Self::Swept(i64::from_le_bytes(take(bytes)?)),
            12 => Self::Counted(BucketTotals::read(bytes)?),
            13 => {
                let one = take::<u8>(bytes)? == 1;
                let ring = take(bytes)?;
                Self::KeyRing(one.then_some(ring))
            }
            _ => return Err(Damaged),
        })
    }
}

/// The live row of a hash, if its token is this one.
fn row_with(graph: &Graph, hash: &StorePathHash, token: u64) -> Option<u32> {
    graph.find(hash).filter(|&row| graph.token(row) == token)
}

fn forget(notes: &mut Notes, key: &str) {
    if notes.unreadable.contains_key(key) {
        Arc::make_mut(&mut notes.unreadable).remove(key);
    }
}

impl Unreadable {
    /// Appends it to a file.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(self.token, out);
        put_text(&self.check, out);
        put(self.line.unwrap_or(0), out);
        put_text(&self.reason, out);
    }

    /// Reads it.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        Ok(Self {
            token: take(bytes)?,
            check: take_text(bytes)?,
            line: Some(take(bytes)?).filter(|&line| line > 0),
            reason: take_text(bytes)?,
        })
    }
}

impl BucketTotals {
    /// Appends it to a file.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(self.objects, out);
        put(self.bytes, out);
        put(self.orphans, out);
        put(self.orphan_bytes, out);
        put(self.began_at.to_le_bytes(), out);
    }

    /// Reads it.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        Ok(Self {
            objects: take(bytes)?,
            bytes: take(bytes)?,
            orphans: take(bytes)?,
            orphan_bytes: take(bytes)?,
            began_at: i64::from_le_bytes(take(bytes)?),
        })
    }
}

/// A severity as a number, the worst first.
pub(super) const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    }
}

/// The severity of a number.
pub(super) const fn severity_of(rank: u8) -> Option<Severity> {
    match rank {
        0 => Some(Severity::Error),
        1 => Some(Severity::Warning),
        2 => Some(Severity::Note),
        _ => None,
    }
}

/// Appends a finding to a file.
pub(crate) fn write_finding(finding: &Finding, out: &mut Vec<u8>) {
    put_text(&finding.check, out);
    put(rank(finding.severity), out);
    put_text(&finding.object, out);
    put(finding.line.unwrap_or(0), out);
    put_text(&finding.reason, out);
    put_option(finding.hash.as_deref(), out);
}

/// Reads a finding.
pub(crate) fn read_finding(bytes: &mut &[u8]) -> Result<Finding, Damaged> {
    Ok(Finding {
        check: take_text(bytes)?,
        severity: severity_of(take::<u8>(bytes)?).ok_or(Damaged)?,
        object: take_text(bytes)?,
        line: Some(take(bytes)?).filter(|&line| line > 0),
        reason: take_text(bytes)?,
        hash: take_option(bytes)?,
    })
}
