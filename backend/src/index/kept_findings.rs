//! What was found in earlier versions and still holds, so that a new one does not look at every path.
//!
//! ```text
//!  marks of a chunk  ──▶ findings of its rows: looked at again where the chunk was written
//!  what a merge wrote ─▶ rows that refer to what is absent, NARs that several rows name: once a merge
//!  overlay ────────────▶ rows that came since, rows whose references came or went: each time, few
//! ```
//!
//! A chunk or a base is the same one where its `Arc` is: the weak reference that is kept makes a writer
//! move what it changes. Only what holds that reference is kept of an old version, not its columns.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use snowbank_shared::api::{ContentStatus, SignatureStatus};

use super::chunk::{ABSENT, CHUNK_BITS, Mark, Marks};
use super::findings::{Check, FindingIndex};
use super::graph::{Base, Graph};
use super::record::Judged;
use super::view::View;

/// What was found by the versions before, shared by all views of an index.
#[derive(Debug, Default)]
pub(crate) struct KeptFindings(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Option<(Weak<Marks>, Arc<OfChunk>)>>,
    base: Option<(Weak<Base>, Arc<OfBase>)>,
    /// The judgements that the marks of the chunks have numbers of.
    judged: Vec<Arc<Judged>>,
}

/// What the marks of a chunk's rows say.
#[derive(Debug, Default)]
struct OfChunk {
    rows: BTreeMap<Check, Vec<u32>>,
    /// Rows that are withheld because they would crash a client.
    crashing: Vec<u32>,
}

/// What follows from the columns of a merge, whichever of its rows live.
#[derive(Debug, Default)]
struct OfBase {
    /// Rows that refer to what was absent then.
    missing: Vec<u32>,
    /// Hashes of NAR keys that several rows have.
    shared: Vec<u32>,
}

impl KeptFindings {
    /// What holds of a version: kept where it still does, found anew where not.
    fn of(&self, graph: &Graph) -> (Vec<Arc<OfChunk>>, Arc<OfBase>) {
        let mut kept = self.lock();
        kept.follow(graph.judged.values());
        let chunks = graph.marks.iter().enumerate();
        let chunks = chunks.map(|(at, marks)| kept.chunk(graph, at, marks));
        let chunks = chunks.collect();
        kept.chunks.truncate(graph.marks.len());
        (chunks, kept.base(graph))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Numbers of judgements mean the same as long as none is another one than before.
    fn follow(&mut self, now: &[Arc<Judged>]) {
        let same = self.judged.iter().zip(now).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            self.chunks.clear();
            self.judged.clear();
        }
        if now.len() > self.judged.len() {
            self.judged = now.to_vec();
        }
    }

    fn chunk(&mut self, graph: &Graph, at: usize, marks: &Arc<Marks>) -> Arc<OfChunk> {
        if self.chunks.len() <= at {
            self.chunks.resize_with(at + 1, || None);
        }
        if let Some((of, found)) = &self.chunks[at]
            && of.as_ptr() == Arc::as_ptr(marks)
            && of.strong_count() > 0
        {
            return Arc::clone(found);
        }
        let found = Arc::new(OfChunk::find(graph, at, marks));
        self.chunks[at] = Some((Arc::downgrade(marks), Arc::clone(&found)));
        found
    }

    fn base(&mut self, graph: &Graph) -> Arc<OfBase> {
        if let Some((of, found)) = &self.base
            && of.as_ptr() == Arc::as_ptr(&graph.base)
            && of.strong_count() > 0
        {
            return Arc::clone(found);
        }
        let found = Arc::new(OfBase::find(&graph.base));
        self.base = Some((Arc::downgrade(&graph.base), Arc::clone(&found)));
        found
    }
}

impl OfChunk {
    fn find(graph: &Graph, at: usize, marks: &Marks) -> Self {
        let mut found = Self::default();
        let first = (at as u32) << CHUNK_BITS;
        for (place, mark) in marks.marks.iter().enumerate() {
            if !mark.live() {
                continue;
            }
            let row = first + place as u32;
            let mut add = |check: Check| found.rows.entry(check).or_default().push(row);
            if mark.flags & Mark::CYCLE != 0 {
                add(Check::ReferenceCycle);
            }
            match mark.content {
                ContentStatus::NarMissing => add(Check::NarMissing),
                ContentStatus::SizeDiffers => add(Check::FileSizeMismatch),
                ContentStatus::Mismatch => add(Check::NarHashMismatch),
                ContentStatus::Verified | ContentStatus::NotChecked => {}
            }
            let judged = graph.judged(row);
            for status in [Some(judged.status), judged.problem].into_iter().flatten() {
                match status {
                    SignatureStatus::Invalid => add(Check::InvalidSignature),
                    SignatureStatus::Malformed => add(Check::MalformedSignature),
                    SignatureStatus::NameClash => add(Check::KeyNameClash),
                    SignatureStatus::ValidRevoked => add(Check::RevokedSignature),
                    SignatureStatus::Unsigned => add(Check::Unsigned),
                    SignatureStatus::Valid
                    | SignatureStatus::NotNeeded
                    | SignatureStatus::ValidRetired
                    | SignatureStatus::UnknownKey => {}
                }
            }
            if mark.flags & Mark::CRASHES != 0 {
                found.crashing.push(row);
            }
        }
        found
    }
}

impl OfBase {
    fn find(base: &Base) -> Self {
        let rows = 0..base.links.rows;
        let missing = rows.filter(|&row| {
            let (chunk, place) = super::chunk::place(row);
            let targets = base.edges[chunk].get(place);
            targets.iter().any(|code| code & ABSENT != 0)
        });
        Self {
            missing: missing.collect(),
            shared: base.links.shared_nars().collect(),
        }
    }
}

impl View {
    /// Everything that the index can see for itself.
    pub(super) fn find_findings(&self) -> FindingIndex {
        let graph = &self.graph;
        let (chunks, base) = self.kept.of(graph);
        let mut index = FindingIndex::default();
        for chunk in &chunks {
            for (check, rows) in &chunk.rows {
                index.rows.entry(*check).or_default().extend(rows);
            }
            for &row in &chunk.crashing {
                if let Some(reason) = graph.crash_reason(row) {
                    let check = reason.check.to_string();
                    index.withheld.entry(check).or_default().push(row);
                }
            }
        }
        let missing = self.rows_that_lack(&base);
        if !missing.is_empty() {
            index.rows.insert(Check::ReferenceMissing, missing);
        }
        let mut disagreeing = Vec::new();
        self.each_maybe_shared(base.shared.iter().copied(), |rows| {
            self.split_by_nar(rows, &mut |rows: &[u32]| {
                if self.disagree(rows) {
                    disagreeing.extend_from_slice(rows);
                }
            });
        });
        if !disagreeing.is_empty() {
            index.rows.insert(Check::UrlDisagreement, disagreeing);
        }
        index
    }

    /// Live rows with a reference that is not here.
    fn rows_that_lack(&self, base: &OfBase) -> Vec<u32> {
        let graph = &self.graph;
        let fresh = graph.base.links.rows..graph.rows();
        let mut looked_at: HashSet<u32> = fresh.collect();
        for &code in graph.overlay.moved.keys() {
            graph.each_referrer(code, |row| {
                looked_at.insert(row);
            });
        }
        let lacks = |row: u32| {
            let mut targets = graph.targets(row).iter();
            targets.any(|&code| graph.resolve(code).is_none())
        };
        let still = base.missing.iter().copied();
        let still = still.filter(|row| !looked_at.contains(row));
        let now = looked_at.iter().copied().filter(|&row| lacks(row));
        let mut rows: Vec<u32> = still
            .chain(now)
            .filter(|&row| graph.mark(row).live())
            .collect();
        rows.sort_unstable();
        rows
    }
}
