//! Rows as columns, 16,384 to a chunk.
//!
//! A row is one narinfo. Its number never changes while it lives, so that
//! everything that points at rows (edges, orders, sizes) stays right when more
//! rows are appended. Chunks are shared between versions of the index; only the
//! last, unfinished one is copied to append to it. What changes after a row was
//! written (what its signatures are worth, whether its NAR is there, the size
//! of its closure) lies in columns of its own: [`Marks`] and [`Sums`].

use std::collections::BTreeMap;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::store_path::StorePathHash;

use super::layout::Fields;
use super::record::Record;
use super::wire::{Arena, Damaged, Number, put, put_column, take, take_column, take_length};

/// Bits of a row's number that are its place in the chunk.
pub(crate) const CHUNK_BITS: u32 = 14;
/// Rows of a full chunk.
pub(crate) const CHUNK_ROWS: usize = 1 << CHUNK_BITS;
/// An edge with this bit points into the table of absent paths.
pub(crate) const ABSENT: u32 = 1 << 31;
/// A number that is not known.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// The chunk of a row and its place there.
pub(crate) fn place(row: u32) -> (usize, usize) {
    (
        (row >> CHUNK_BITS) as usize,
        row as usize & (CHUNK_ROWS - 1),
    )
}

/// What narinfos say, immutable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) keys: Vec<[u8; 20]>,
    /// Names, each followed by a line feed, which no name holds: so a search never runs over a border.
    pub(crate) names: Arena<u8>,
    /// Places of the rows whose names have capital letters…
    pub(crate) capital_rows: Vec<u16>,
    /// …and those names in small letters.
    pub(crate) capital_names: Arena<u8>,
    pub(crate) nar_hashes: Vec<[u8; 32]>,
    pub(crate) file_hashes: Vec<[u8; 32]>,
    pub(crate) nar_sizes: Vec<u64>,
    /// Numbers of layouts in the table of the index.
    pub(crate) layouts: Vec<u32>,
    tails: Arena<u8>,
    /// Seconds since 1970.
    pub(crate) added: Vec<u32>,
    /// Fingerprints of the change tokens.
    pub(crate) tokens: Vec<u64>,
    /// Texts of those narinfos that the columns cannot give back.
    raw: BTreeMap<u16, Box<[u8]>>,
}

impl Chunk {
    /// Appends a row. References, marks and sums are kept elsewhere.
    pub(crate) fn push(&mut self, record: &Record, layout: u32) {
        let place = self.keys.len() as u16;
        self.keys.push(*record.base.key.as_bytes());
        let mut name = record.base.name.as_bytes().to_vec();
        name.push(b'\n');
        self.names.push(&name);
        if name.iter().any(u8::is_ascii_uppercase) {
            name.make_ascii_lowercase();
            self.capital_rows.push(place);
            self.capital_names.push(&name);
        }
        self.nar_hashes.push(record.nar_hash);
        self.file_hashes.push(record.file_hash);
        self.nar_sizes.push(record.nar_size);
        self.layouts.push(layout);
        self.tails.push(&record.tail);
        self.added.push(record.added_at);
        self.tokens.push(record.token);
        if let Some(raw) = &record.raw {
            self.raw.insert(place, raw.clone());
        }
    }

    /// Rows.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The name of a row.
    pub(crate) fn name(&self, place: usize) -> &str {
        std::str::from_utf8(self.name_bytes(place)).unwrap_or("")
    }

    /// The same as it lies there, for what only copies it.
    pub(crate) fn name_bytes(&self, place: usize) -> &[u8] {
        let name = self.names.get(place);
        &name[..name.len() - 1]
    }

    /// The text that is kept because the columns cannot give it back.
    pub(crate) fn raw(&self, place: usize) -> Option<&[u8]> {
        if self.raw.is_empty() {
            return None;
        }
        self.raw.get(&(place as u16)).map(|raw| &**raw)
    }

    /// How many texts are kept.
    #[cfg(test)]
    pub(crate) fn raw_count(&self) -> usize {
        self.raw.len()
    }

    /// What a narinfo is printed from.
    pub(crate) fn fields(&self, place: usize, file_size: u64) -> Fields<'_> {
        Fields {
            key: StorePathHash::from_bytes(self.keys[place]),
            name: self.name(place),
            nar_hash: &self.nar_hashes[place],
            nar_size: self.nar_sizes[place],
            file_hash: &self.file_hashes[place],
            file_size,
            tail: self.tails.get(place),
        }
    }

    /// Gives back reserved memory once the chunk is full.
    pub(crate) fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.names.shrink();
        self.capital_rows.shrink_to_fit();
        self.capital_names.shrink();
        self.nar_hashes.shrink_to_fit();
        self.file_hashes.shrink_to_fit();
        self.nar_sizes.shrink_to_fit();
        self.layouts.shrink_to_fit();
        self.tails.shrink();
        self.added.shrink_to_fit();
        self.tokens.shrink_to_fit();
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.capacity() * 20
            + (self.nar_hashes.capacity() + self.file_hashes.capacity()) * 32
            + (self.nar_sizes.capacity() + self.tokens.capacity()) * 8
            + (self.layouts.capacity() + self.added.capacity()) * 4
            + self.capital_rows.capacity() * 2
            + self.names.bytes()
            + self.capital_names.bytes()
            + self.tails.bytes()
            + self.raw.values().map(|raw| raw.len() + 32).sum::<usize>()
    }

    /// Appends it to the snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_column(&self.keys, out);
        self.names.write(out);
        put_column(&self.capital_rows, out);
        self.capital_names.write(out);
        put_column(&self.nar_hashes, out);
        put_column(&self.file_hashes, out);
        put_column(&self.nar_sizes, out);
        put_column(&self.layouts, out);
        self.tails.write(out);
        put_column(&self.added, out);
        put_column(&self.tokens, out);
        put(self.raw.len() as u64, out);
        for (&place, raw) in &self.raw {
            put(place, out);
            put_column(raw, out);
        }
    }

    /// Reads it and checks that the columns fit together.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let mut chunk = Self {
            keys: take_column(bytes)?,
            names: Arena::read(bytes)?,
            capital_rows: take_column(bytes)?,
            capital_names: Arena::read(bytes)?,
            nar_hashes: take_column(bytes)?,
            file_hashes: take_column(bytes)?,
            nar_sizes: take_column(bytes)?,
            layouts: take_column(bytes)?,
            tails: Arena::read(bytes)?,
            added: take_column(bytes)?,
            tokens: take_column(bytes)?,
            raw: BTreeMap::new(),
        };
        for _ in 0..take_length(bytes)? {
            let place = take(bytes)?;
            chunk.raw.insert(place, take_column(bytes)?.into());
        }
        let rows = chunk.len();
        let whole = rows <= CHUNK_ROWS
            && chunk.names.len() == rows
            && chunk.nar_hashes.len() == rows
            && chunk.file_hashes.len() == rows
            && chunk.nar_sizes.len() == rows
            && chunk.layouts.len() == rows
            && chunk.tails.len() == rows
            && chunk.added.len() == rows
            && chunk.tokens.len() == rows
            && chunk.capital_names.len() == chunk.capital_rows.len()
            && chunk
                .capital_rows
                .iter()
                .all(|&row| usize::from(row) < rows)
            && (0..rows).all(|row| chunk.names.get(row).last() == Some(&b'\n'));
        if whole { Ok(chunk) } else { Err(Damaged) }
    }
}

/// The references of a chunk's rows, in the order of the narinfos: numbers of
/// rows, or with [`ABSENT`] of absent paths.
pub(crate) type Edges = Arena<u32>;

/// What was found out about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number in the table of judgements.
    pub(crate) judged: u16,
    pub(crate) content: ContentStatus,
    pub(crate) flags: u8,
}

impl Mark {
    /// The row was replaced or removed.
    pub(crate) const DEAD: u8 = 1;
    /// The narinfo would crash a client.
    pub(crate) const CRASHES: u8 = 2;
    /// The path is part of a reference cycle.
    pub(crate) const CYCLE: u8 = 4;

    /// Whether the row still counts.
    pub(crate) fn live(self) -> bool {
        self.flags & Self::DEAD == 0
    }

    /// Whether no client is served the narinfo.
    pub(crate) fn withheld(self) -> bool {
        self.flags & (Self::CRASHES | Self::CYCLE) != 0
    }
}

/// The marks of a chunk's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) marks: Vec<Mark>,
    /// FileSize, or the size of the listed object where the narinfo does not say, or [`UNKNOWN`].
    pub(crate) file_sizes: Vec<u64>,
}

impl Marks {
    /// Appends it to the snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let judged: Vec<u16> = self.marks.iter().map(|mark| mark.judged).collect();
        let content: Vec<u8> = self
            .marks
            .iter()
            .map(|mark| content_code(mark.content))
            .collect();
        let flags: Vec<u8> = self.marks.iter().map(|mark| mark.flags).collect();
        put_column(&judged, out);
        put_column(&content, out);
        put_column(&flags, out);
        put_column(&self.file_sizes, out);
    }

    /// Reads it.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let judged: Vec<u16> = take_column(bytes)?;
        let content: Vec<u8> = take_column(bytes)?;
        let flags: Vec<u8> = take_column(bytes)?;
        let file_sizes: Vec<u64> = take_column(bytes)?;
        let rows = judged.len();
        if content.len() != rows || flags.len() != rows || file_sizes.len() != rows {
            return Err(Damaged);
        }
        let marks = (0..rows)
            .map(|row| {
                Ok(Mark {
                    judged: judged[row],
                    content: content_of(content[row])?,
                    flags: flags[row],
                })
            })
            .collect::<Result<_, Damaged>>()?;
        Ok(Self { marks, file_sizes })
    }
}

/// A content word as a byte: its place in [`ContentStatus::ALL`].
pub(crate) fn content_code(content: ContentStatus) -> u8 {
    ContentStatus::ALL
        .iter()
        .position(|&word| word == content)
        .unwrap_or(1) as u8
}

/// The content word of a byte.
pub(crate) fn content_of(code: u8) -> Result<ContentStatus, Damaged> {
    ContentStatus::ALL
        .get(usize::from(code))
        .copied()
        .ok_or(Damaged)
}

/// The closures of a chunk's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Sum of NarSize.
    pub(crate) sizes: Vec<u64>,
    /// Paths, or `u32::MAX` until computed.
    pub(crate) paths: Vec<u32>,
}

impl Sums {
    /// The closure of one row: size and paths.
    pub(crate) fn get(&self, place: usize) -> Option<Sum> {
        (self.paths[place] != u32::MAX).then(|| Sum {
            size: self.sizes[place],
            paths: self.paths[place],
        })
    }

    /// Sets or forgets it.
    pub(crate) fn set(&mut self, place: usize, sum: Option<Sum>) {
        self.sizes[place] = sum.map_or(0, |sum| sum.size);
        self.paths[place] = sum.map_or(u32::MAX, |sum| sum.paths);
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, sum: Option<Sum>) {
        self.sizes.push(0);
        self.paths.push(0);
        self.set(self.paths.len() - 1, sum);
    }

    /// Appends it to the snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_column(&self.sizes, out);
        put_column(&self.paths, out);
    }

    /// Reads it.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let sums = Self {
            sizes: take_column(bytes)?,
            paths: take_column(bytes)?,
        };
        if sums.sizes.len() == sums.paths.len() {
            Ok(sums)
        } else {
            Err(Damaged)
        }
    }
}

/// How much a closure holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Sum of NarSize, bytes.
    pub size: u64,
    /// Paths, the root included.
    pub paths: u32,
}

/// Checks that every number of a column is below a bound.
pub(crate) fn all_below<T: Number + Into<u64>>(column: &[T], bound: u64) -> Result<(), Damaged> {
    if column.iter().all(|&number| number.into() < bound) {
        Ok(())
    } else {
        Err(Damaged)
    }
}
