//! What finds rows: by hash, by NAR, and who refers to whom.
//!
//! Built anew by each merge, from columns that stay where they are.

use snowbank_shared::store_path::StorePathHash;

use super::key::{BaseName, head};
use super::wire::{Arena, Damaged, put_column, take_column};

/// Paths that are referred to and not in the cache, sorted by base name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Absent {
    keys: Vec<[u8; 20]>,
    names: Arena<u8>,
}

impl Absent {
    /// Appends one; the caller keeps the order.
    pub(crate) fn push(&mut self, key: StorePathHash, name: &str) {
        self.keys.push(*key.as_bytes());
        self.names.push(name.as_bytes());
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// One of them.
    pub(crate) fn get(&self, index: usize) -> (StorePathHash, &str) {
        let (key, name) = self.get_bytes(index);
        (key, std::str::from_utf8(name).unwrap_or(""))
    }

    /// The same, for what only copies the name.
    pub(crate) fn get_bytes(&self, index: usize) -> (StorePathHash, &[u8]) {
        (
            StorePathHash::from_bytes(self.keys[index]),
            self.names.get(index),
        )
    }

    /// The place of a base name.
    pub(crate) fn find(&self, base: &BaseName) -> Option<usize> {
        let mut at = self.keys.partition_point(|key| key < base.key.as_bytes());
        while at < self.len() && self.keys[at] == *base.key.as_bytes() {
            if self.get(at).1 == &*base.name {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

/// The orders and the reverse edges of the rows in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// Rows in chunks, dead ones included.
    pub(crate) rows: u32,
    /// Live rows by hash.
    pub(crate) order: Vec<u32>,
    /// Where in `order` the rows begin whose hash has these leading bits.
    buckets: Vec<u32>,
    /// Leading halves of the hashes of NAR keys, sorted…
    pub(crate) nar_hashes: Vec<u32>,
    /// …and the live rows that have them.
    pub(crate) nar_rows: Vec<u32>,
    pub(crate) absent: Absent,
    /// Who refers to a row, and after the rows, to an absent path. Self references are left out.
    pub(crate) referrers: Arena<u32>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            rows: 0,
            order: Vec::new(),
            buckets: vec![0, 0],
            nar_hashes: Vec::new(),
            nar_rows: Vec::new(),
            absent: Absent::default(),
            referrers: Arena::default(),
        }
    }
}

/// The half of the hash of a NAR's key by which rows are sorted.
pub(crate) fn nar_key_hash(key: &[u8]) -> u32 {
    (xxhash_rust::xxh3::xxh3_64(key) >> 32) as u32
}

impl Links {
    /// The place in `order` where the hash is, or would be. `key_of` gives the hash of a row.
    pub(crate) fn position(
        &self,
        key: &StorePathHash,
        key_of: impl Fn(u32) -> StorePathHash,
    ) -> Result<usize, usize> {
        let bits = (self.buckets.len() - 1).trailing_zeros();
        let bucket = head(key).checked_shr(64 - bits).unwrap_or(0) as usize;
        let (start, end) = (
            self.buckets[bucket] as usize,
            self.buckets[bucket + 1] as usize,
        );
        self.order[start..end]
            .binary_search_by(|&row| key_of(row).cmp(key))
            .map(|at| start + at)
            .map_err(|at| start + at)
    }

    /// Makes the bucket table of `order`.
    pub(crate) fn index(&mut self, key_of: impl Fn(u32) -> StorePathHash) {
        let count = (self.order.len() / 4).next_power_of_two();
        let bits = count.trailing_zeros();
        let mut buckets = Vec::with_capacity(count + 1);
        for (at, &row) in self.order.iter().enumerate() {
            let bucket = head(&key_of(row)).checked_shr(64 - bits).unwrap_or(0) as usize;
            while buckets.len() <= bucket {
                buckets.push(at as u32);
            }
        }
        buckets.resize(count + 1, self.order.len() as u32);
        self.buckets = buckets;
    }

    /// The rows whose NAR's key may hash to this.
    pub(crate) fn nar_candidates(&self, hash: u32) -> &[u32] {
        let start = self.nar_hashes.partition_point(|&other| other < hash);
        let count = self.nar_hashes[start..]
            .iter()
            .take_while(|&&other| other == hash)
            .count();
        &self.nar_rows[start..start + count]
    }

    /// The hashes of NAR keys that several rows have.
    pub(crate) fn shared_nars(&self) -> impl Iterator<Item = u32> + '_ {
        let same = self.nar_hashes.chunk_by(|one, two| one == two);
        same.filter(|rows| rows.len() > 1).map(|rows| rows[0])
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        (self.order.capacity()
            + self.buckets.capacity()
            + self.nar_hashes.capacity()
            + self.nar_rows.capacity())
            * 4
            + self.referrers.bytes()
            + self.absent.names.bytes()
            + self.absent.keys.capacity() * 20
    }

    /// Appends it to the snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_column(&[self.rows], out);
        put_column(&self.order, out);
        put_column(&self.buckets, out);
        put_column(&self.nar_hashes, out);
        put_column(&self.nar_rows, out);
        put_column(&self.absent.keys, out);
        self.absent.names.write(out);
        self.referrers.write(out);
    }

    /// Reads it and checks that no number points outside.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let [rows] = take_column::<u32>(bytes)?[..] else {
            return Err(Damaged);
        };
        let links = Self {
            rows,
            order: take_column(bytes)?,
            buckets: take_column(bytes)?,
            nar_hashes: take_column(bytes)?,
            nar_rows: take_column(bytes)?,
            absent: Absent {
                keys: take_column(bytes)?,
                names: Arena::read(bytes)?,
            },
            referrers: Arena::read(bytes)?,
        };
        let below = |column: &[u32]| column.iter().all(|&row| row < rows);
        let buckets = links.buckets.len().wrapping_sub(1);
        let whole = below(&links.order)
            && below(&links.nar_rows)
            && below(links.referrers.all())
            && links.nar_hashes.len() == links.nar_rows.len()
            && links.nar_hashes.is_sorted()
            && links.absent.keys.len() == links.absent.names.len()
            && links.referrers.len() == rows as usize + links.absent.len()
            && buckets.is_power_of_two()
            && links.buckets.is_sorted()
            && links.buckets.last() == Some(&(links.order.len() as u32));
        if whole { Ok(links) } else { Err(Damaged) }
    }
}
