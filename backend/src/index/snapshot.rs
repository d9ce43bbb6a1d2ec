//! The columns as one file.
//!
//! `snapshot` begins with a magic, a version and the number of its sections.
//! Each section has its length, its xxh3 and its bytes, and is read on its own,
//! so that loading needs no second copy of the whole. The file is written beside
//! the old one, synced, and renamed over it. Whatever does not fit (a cut, a
//! flipped bit, another version, another store directory) makes the whole file
//! worthless: it is a cache of the bucket, and the bucket is read again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::chunk::{ABSENT, CHUNK_ROWS, Chunk, Edges, Mark, Marks, Sums};
use super::graph::{Base, Graph, Overlay, Table};
use super::links::Links;
use super::op::{BucketTotals, Notes, Unreadable, read_finding, write_finding};
use super::record::{Withheld, read_judged, read_layout, write_judged, write_layout};
use super::wire::{Damaged, put, put_column, put_text, take, take_column, take_length, take_text};

/// How a snapshot begins.
const MAGIC: &[u8; 8] = b"SNOWBANK";
/// The version of everything behind the magic.
const VERSION: u32 = 1;
/// The longest section: bounds what a reader allocates.
const MAX_SECTION: u64 = 8 << 30;

/// What a snapshot holds.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) graph: Graph,
    pub(crate) notes: Notes,
    /// The log file with which the changes begin that it lacks.
    pub(crate) log: u64,
}

/// Why there is no snapshot to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("there is none")]
    Missing,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is damaged or cut short")]
    Damaged,
    #[error("it is of version {0}, this program reads version {VERSION}")]
    Version(u32),
    #[error("it is of another store directory, {0}")]
    StoreDir(String),
}

impl From<Damaged> for SnapshotError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// Writes a snapshot of a merged graph. Its length in bytes.
pub(crate) fn write(dir: &Path, graph: &Graph, notes: &Notes, log: u64) -> io::Result<u64> {
    let temporary = dir.join("snapshot.new");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
    let sections = 5 + 4 * graph.base.chunks.len() as u64;
    let mut start = MAGIC.to_vec();
    put(VERSION, &mut start);
    put(sections, &mut start);
    let sum = xxh3_64(&start);
    put(sum, &mut start);
    file.write_all(&start)?;
    let mut length = start.len() as u64;
    let mut buffer = Vec::new();
    let mut section = |fill: &mut dyn FnMut(&mut Vec<u8>)| {
        buffer.clear();
        fill(&mut buffer);
        file.write_all(&(buffer.len() as u64).to_le_bytes())?;
        file.write_all(&xxh3_64(&buffer).to_le_bytes())?;
        file.write_all(&buffer)?;
        length += 16 + buffer.len() as u64;
        Ok::<_, io::Error>(())
    };
    section(&mut |out| {
        put_text(&graph.store_dir, out);
        put(graph.base.chunks.len() as u64, out);
        put(log, out);
        put(graph.live, out);
        put(graph.dead, out);
        put_column(&graph.cycles, out);
    })?;
    section(&mut |out| write_tables(graph, out))?;
    section(&mut |out| write_notes(notes, out))?;
    section(&mut |out| {
        put(graph.base.reasons.len() as u64, out);
        for (&row, withheld) in &*graph.base.reasons {
            put(row, out);
            Withheld::write(Some(withheld), out);
        }
    })?;
    for number in 0..graph.base.chunks.len() {
        section(&mut |out| graph.base.chunks[number].write(out))?;
        section(&mut |out| graph.base.edges[number].write(out))?;
        section(&mut |out| graph.marks[number].write(out))?;
        section(&mut |out| graph.sums[number].write(out))?;
    }
    section(&mut |out| graph.base.links.write(out))?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&temporary, dir.join("snapshot"))?;
    File::open(dir)?.sync_all()?;
    Ok(length)
}

/// Reads the snapshot of a folder.
pub(crate) fn read(dir: &Path, store_dir: &str) -> Result<Loaded, SnapshotError> {
    let file = match File::open(dir.join("snapshot")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SnapshotError::Missing);
        }
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    read_from(BufReader::with_capacity(1 << 20, file), length, store_dir)
}

/// Reads a snapshot of this many bytes.
pub(crate) fn read_from(
    file: impl Read,
    length: u64,
    store_dir: &str,
) -> Result<Loaded, SnapshotError> {
    let mut file = Sections {
        rest: length,
        file,
        buffer: Vec::new(),
    };
    let sections = file.begin()?;
    let mut head = file.next()?;
    let stored = take_text(&mut head)?;
    if stored != store_dir {
        return Err(SnapshotError::StoreDir(stored));
    }
    let chunks = usize::try_from(take::<u64>(&mut head)?).map_err(|_| Damaged)?;
    let log = take(&mut head)?;
    let (live, dead) = (take(&mut head)?, take(&mut head)?);
    let cycles: Vec<u32> = take_column(&mut head)?;
    if sections != 5 + 4 * chunks as u64 || !head.is_empty() {
        return Err(SnapshotError::Damaged);
    }
    let (layouts, judged) = read_tables(file.next()?)?;
    let notes = read_notes(file.next()?)?;
    let reasons = read_reasons(file.next()?)?;
    let mut base = Base {
        layouts: Arc::new(layouts),
        reasons: Arc::new(reasons),
        ..Base::default()
    };
    let (mut marks, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..chunks {
        base.chunks.push(Arc::new(Chunk::read(&mut file.next()?)?));
        base.edges.push(Arc::new(Edges::read(&mut file.next()?)?));
        marks.push(Arc::new(Marks::read(&mut file.next()?)?));
        sums.push(Arc::new(Sums::read(&mut file.next()?)?));
    }
    base.links = Links::read(&mut file.next()?)?;
    if file.rest != 0 {
        return Err(SnapshotError::Damaged);
    }
    let graph = Graph {
        store_dir: stored.into(),
        base: Arc::new(base),
        overlay: Arc::new(Overlay::default()),
        marks: Arc::new(marks),
        sums: Arc::new(sums),
        judged: Arc::new(judged),
        live,
        dead,
        cycles: Arc::new(cycles),
    };
    check(&graph)?;
    Ok(Loaded { graph, notes, log })
}

/// The sections of a file, one after the other.
struct Sections<R> {
    rest: u64,
    file: R,
    buffer: Vec<u8>,
}

impl<R: Read> Sections<R> {
    fn take(&mut self, length: u64) -> Result<&[u8], SnapshotError> {
        self.rest = self.rest.checked_sub(length).ok_or(Damaged)?;
        if length > MAX_SECTION {
            return Err(SnapshotError::Damaged);
        }
        self.buffer.resize(length as usize, 0);
        self.file.read_exact(&mut self.buffer)?;
        Ok(&self.buffer)
    }

    fn number(&mut self) -> Result<u64, SnapshotError> {
        Ok(take(&mut self.take(8)?)?)
    }

    /// Reads the start; how many sections there are.
    fn begin(&mut self) -> Result<u64, SnapshotError> {
        let start = self.take(20)?.to_vec();
        let mut rest = start.strip_prefix(MAGIC).ok_or(Damaged)?;
        let version = take(&mut rest)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let sections = take(&mut rest)?;
        if self.number()? != xxh3_64(&start) {
            return Err(SnapshotError::Damaged);
        }
        Ok(sections)
    }

    fn next(&mut self) -> Result<&[u8], SnapshotError> {
        let length = self.number()?;
        let sum = self.number()?;
        let bytes = self.take(length)?;
        if xxh3_64(bytes) == sum {
            Ok(bytes)
        } else {
            Err(SnapshotError::Damaged)
        }
    }
}

/// A whole file may still be wrong: nothing may point outside.
fn check(graph: &Graph) -> Result<(), Damaged> {
    let base = &graph.base;
    let rows = base.links.rows as usize;
    let mut counted = 0;
    for number in 0..base.chunks.len() {
        let expected = (rows - counted).min(CHUNK_ROWS);
        let chunk = &base.chunks[number];
        let targets = base.edges[number].all().iter().all(|&code| {
            let bound = if code & ABSENT == 0 {
                rows
            } else {
                base.links.absent.len()
            };
            ((code & !ABSENT) as usize) < bound
        });
        let whole = expected > 0
            && chunk.len() == expected
            && base.edges[number].len() == expected
            && graph.marks[number].marks.len() == expected
            && graph.sums[number].paths.len() == expected
            && targets;
        let layouts = base.layouts.values().len() as u64;
        super::chunk::all_below(&chunk.layouts, layouts)?;
        let judged = graph.judged.values().len();
        let fits = |mark: &Mark| usize::from(mark.judged) < judged;
        if !whole || !graph.marks[number].marks.iter().all(fits) {
            return Err(Damaged);
        }
        counted += expected;
    }
    let live = base.links.order.len();
    let whole = counted == rows
        && live as u64 == graph.live
        && graph.live + graph.dead == rows as u64
        && graph.cycles.iter().all(|&row| (row as usize) < rows);
    if whole { Ok(()) } else { Err(Damaged) }
}

fn write_tables(graph: &Graph, out: &mut Vec<u8>) {
    let layouts = graph.base.layouts.values();
    put(layouts.len() as u64, out);
    for layout in layouts {
        write_layout(layout, out);
    }
    let judged = graph.judged.values();
    put(judged.len() as u64, out);
    for judged in judged {
        write_judged(judged, out);
    }
}

type Tables = (Table<super::layout::Layout>, Table<super::record::Judged>);

fn read_tables(mut bytes: &[u8]) -> Result<Tables, Damaged> {
    let (mut layouts, mut judged) = (Table::default(), Table::default());
    for number in 0..take_length(&mut bytes)? {
        if layouts.number(&read_layout(&mut bytes)?) as usize != number {
            return Err(Damaged);
        }
    }
    for number in 0..take_length(&mut bytes)? {
        if judged.number(&read_judged(&mut bytes)?) as usize != number {
            return Err(Damaged);
        }
    }
    Ok((layouts, judged))
}

fn read_reasons(mut bytes: &[u8]) -> Result<BTreeMap<u32, Arc<Withheld>>, Damaged> {
    let mut reasons = BTreeMap::new();
    for _ in 0..take_length(&mut bytes)? {
        let row = take(&mut bytes)?;
        reasons.insert(row, Withheld::read(&mut bytes)?.ok_or(Damaged)?);
    }
    Ok(reasons)
}

fn write_notes(notes: &Notes, out: &mut Vec<u8>) {
    put(notes.unreadable.len() as u64, out);
    for (key, unreadable) in &*notes.unreadable {
        put_text(key, out);
        unreadable.write(out);
    }
    put(notes.findings.len() as u64, out);
    for finding in notes.findings.values() {
        write_finding(finding, out);
    }
    put(u8::from(notes.swept.is_some()), out);
    put(notes.swept.unwrap_or(0).to_le_bytes(), out);
    put(u8::from(notes.bucket.is_some()), out);
    notes.bucket.unwrap_or_default().write(out);
    put(u8::from(notes.key_ring.is_some()), out);
    put(notes.key_ring.unwrap_or(0), out);
}

fn read_notes(mut bytes: &[u8]) -> Result<Notes, Damaged> {
    let bytes = &mut bytes;
    let mut notes = Notes::default();
    let mut unreadable = BTreeMap::new();
    for _ in 0..take_length(bytes)? {
        unreadable.insert(take_text(bytes)?, Unreadable::read(bytes)?);
    }
    notes.unreadable = Arc::new(unreadable);
    let mut findings = BTreeMap::new();
    for _ in 0..take_length(bytes)? {
        let finding = read_finding(bytes)?;
        findings.insert((finding.check.clone(), finding.object.clone()), finding);
    }
    notes.findings = Arc::new(findings);
    let swept = take::<u8>(bytes)? == 1;
    let began_at = i64::from_le_bytes(take(bytes)?);
    notes.swept = swept.then_some(began_at);
    let counted = take::<u8>(bytes)? == 1;
    let totals = BucketTotals::read(bytes)?;
    notes.bucket = counted.then_some(totals);
    let one = take::<u8>(bytes)? == 1;
    let ring = take(bytes)?;
    notes.key_ring = one.then_some(ring);
    Ok(notes)
}
