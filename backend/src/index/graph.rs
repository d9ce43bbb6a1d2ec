//! The rows of a cache and how they hang together: a [`Base`] in columns and a
//! small [`Overlay`] of what happened since the last merge.
//!
//! A *code* is where an edge points: the number of a row, or [`ABSENT`] and the
//! number of an absent path. Rows die when they are replaced or removed, and
//! absent paths appear; edges are not rewritten for that until the next merge.
//! Instead [`Overlay::moved`] says what a code means now, and [`Graph::resolve`]
//! asks it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use snowbank_shared::store_path::StorePathHash;

use super::chunk::{ABSENT, Chunk, Edges, Mark, Marks, Sum, Sums, place};
use super::key::BaseName;
use super::layout::{Fields, Layout, print, push_nar_key, push_url};
use super::links::{Links, nar_key_hash};
use super::record::{Judged, Record, Withheld};

/// Distinct values, numbered.
#[derive(Debug, Clone)]
pub(crate) struct Table<T> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Eq + std::hash::Hash + Clone> Table<T> {
    /// The number of a value, which is entered if it is new.
    pub(crate) fn number(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = self.values.len() as u32;
        let value = Arc::new(value.clone());
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    /// The number of a value that is there.
    pub(crate) fn known(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// All values, by number.
    pub(crate) fn values(&self) -> &[Arc<T>] {
        &self.values
    }
}

/// What the last merge wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) edges: Vec<Arc<Edges>>,
    pub(crate) layouts: Arc<Table<Layout>>,
    pub(crate) links: Links,
    /// Why rows marked [`Mark::CRASHES`] are withheld.
    pub(crate) reasons: Arc<BTreeMap<u32, Arc<Withheld>>>,
}

/// A row that is not yet in columns.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) record: Arc<Record>,
    /// Codes of its references, in their order.
    pub(crate) targets: Box<[u32]>,
}

/// What happened since the last merge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    /// Rows that follow those of the base, dead ones included.
    pub(crate) rows: Vec<Arc<Fresh>>,
    /// Live fresh rows by hash.
    pub(crate) index: HashMap<StorePathHash, u32>,
    /// Absent paths that follow those of the base.
    pub(crate) absent: Vec<Arc<BaseName>>,
    /// The code by which new edges name an absent path that the base's table lacks:
    /// a number in `absent`, or the row that died.
    pub(crate) names: HashMap<Arc<BaseName>, u32>,
    /// What codes mean now, where it is not what they say: a live row, or nothing.
    pub(crate) moved: HashMap<u32, Option<u32>>,
    /// The codes that `moved` leads, or led, to a row.
    pub(crate) aliases: HashMap<u32, Vec<u32>>,
    /// Fresh rows by the code that they refer to, self references left out.
    pub(crate) referrers: HashMap<u32, Vec<u32>>,
    /// Fresh rows by hash of their NAR's key.
    pub(crate) nar_keys: HashMap<u32, Vec<u32>>,
}

impl Overlay {
    /// How much work it makes for queries.
    pub(crate) fn weight(&self) -> usize {
        self.rows.len() + self.moved.len()
    }
}

/// One version of the rows. Cloning shares everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) store_dir: Arc<str>,
    pub(crate) base: Arc<Base>,
    pub(crate) overlay: Arc<Overlay>,
    /// For all rows, fresh ones included.
    pub(crate) marks: Arc<Vec<Arc<Marks>>>,
    /// For all rows, fresh ones included.
    pub(crate) sums: Arc<Vec<Arc<Sums>>>,
    pub(crate) judged: Arc<Table<Judged>>,
    /// Live rows.
    pub(crate) live: u64,
    /// Dead rows, fresh ones included.
    pub(crate) dead: u64,
    /// Rows of reference cycles.
    pub(crate) cycles: Arc<Vec<u32>>,
}

/// A row, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) raw: Option<&'a [u8]>,
    pub(crate) added_at: u32,
    pub(crate) token: u64,
}

impl Graph {
    /// An empty cache.
    pub(crate) fn new(store_dir: &str) -> Self {
        Self {
            store_dir: store_dir.into(),
            ..Self::default()
        }
    }

    /// All rows, dead ones included.
    pub(crate) fn rows(&self) -> u32 {
        self.base.links.rows + self.overlay.rows.len() as u32
    }

    /// The fresh row of this number.
    pub(crate) fn fresh(&self, row: u32) -> Option<&Fresh> {
        let index = row.checked_sub(self.base.links.rows)?;
        self.overlay.rows.get(index as usize).map(|fresh| &**fresh)
    }

    /// What was found out about a row.
    pub(crate) fn mark(&self, row: u32) -> Mark {
        let (chunk, place) = place(row);
        self.marks[chunk].marks[place]
    }

    /// FileSize or the listed size, or [`super::chunk::UNKNOWN`].
    pub(crate) fn file_size(&self, row: u32) -> u64 {
        let (chunk, place) = place(row);
        self.marks[chunk].file_sizes[place]
    }

    /// The closure of a row, once it is computed.
    pub(crate) fn sum(&self, row: u32) -> Option<Sum> {
        let (chunk, place) = place(row);
        self.sums[chunk].get(place)
    }

    /// What the row's signatures are worth.
    pub(crate) fn judged(&self, row: u32) -> &Judged {
        &self.judged.values()[usize::from(self.mark(row).judged)]
    }

    /// The hash part of a row.
    pub(crate) fn key(&self, row: u32) -> StorePathHash {
        match self.fresh(row) {
            Some(fresh) => fresh.record.base.key,
            None => base_key(&self.base.chunks, row),
        }
    }

    /// The name of a row.
    pub(crate) fn name(&self, row: u32) -> &str {
        match self.fresh(row) {
            Some(fresh) => &fresh.record.base.name,
            None => {
                let (chunk, place) = place(row);
                self.base.chunks[chunk].name(place)
            }
        }
    }

    /// NarSize of a row.
    pub(crate) fn nar_size(&self, row: u32) -> u64 {
        match self.fresh(row) {
            Some(fresh) => fresh.record.nar_size,
            None => {
                let (chunk, place) = place(row);
                self.base.chunks[chunk].nar_sizes[place]
            }
        }
    }

    /// First time seen, seconds since 1970.
    pub(crate) fn added_at(&self, row: u32) -> u32 {
        match self.fresh(row) {
            Some(fresh) => fresh.record.added_at,
            None => {
                let (chunk, place) = place(row);
                self.base.chunks[chunk].added[place]
            }
        }
    }

    /// Fingerprint of the row's change token.
    pub(crate) fn token(&self, row: u32) -> u64 {
        match self.fresh(row) {
            Some(fresh) => fresh.record.token,
            None => {
                let (chunk, place) = place(row);
                self.base.chunks[chunk].tokens[place]
            }
        }
    }

    /// How the row's narinfo is spelled.
    pub(crate) fn layout(&self, row: u32) -> &Layout {
        match self.fresh(row) {
            Some(fresh) => &fresh.record.layout,
            None => {
                let (chunk, place) = place(row);
                let number = self.base.chunks[chunk].layouts[place];
                &self.base.layouts.values()[number as usize]
            }
        }
    }

    /// Everything of a row.
    pub(crate) fn row(&self, row: u32) -> Row<'_> {
        if let Some(fresh) = self.fresh(row) {
            let record = &fresh.record;
            return Row {
                fields: record.fields(),
                layout: &record.layout,
                raw: record.raw.as_deref(),
                added_at: record.added_at,
                token: record.token,
            };
        }
        let (number, place) = place(row);
        let chunk = &self.base.chunks[number];
        Row {
            fields: chunk.fields(place, self.marks[number].file_sizes[place]),
            layout: &self.base.layouts.values()[chunk.layouts[place] as usize],
            raw: chunk.raw(place),
            added_at: chunk.added[place],
            token: chunk.tokens[place],
        }
    }

    /// Codes of a row's references, in the order of the narinfo.
    pub(crate) fn targets(&self, row: u32) -> &[u32] {
        match self.fresh(row) {
            Some(fresh) => &fresh.targets,
            None => {
                let (chunk, place) = place(row);
                self.base.edges[chunk].get(place)
            }
        }
    }

    /// The base name of a code, whether it is there or not.
    pub(crate) fn base_name(&self, code: u32) -> (StorePathHash, &str) {
        if code & ABSENT == 0 {
            return (self.key(code), self.name(code));
        }
        let index = (code & !ABSENT) as usize;
        let known = self.base.links.absent.len();
        if index < known {
            self.base.links.absent.get(index)
        } else {
            let base = &self.overlay.absent[index - known];
            (base.key, &base.name)
        }
    }

    /// The same, for what only copies the name: narinfos are printed by the thousand.
    pub(crate) fn base_bytes(&self, code: u32) -> (StorePathHash, &[u8]) {
        if code < self.base.links.rows {
            let (chunk, place) = place(code);
            let chunk = &self.base.chunks[chunk];
            return (
                StorePathHash::from_bytes(chunk.keys[place]),
                chunk.name_bytes(place),
            );
        }
        let index = (code & !ABSENT) as usize;
        if code & ABSENT != 0 && index < self.base.links.absent.len() {
            return self.base.links.absent.get_bytes(index);
        }
        let (key, name) = self.base_name(code);
        (key, name.as_bytes())
    }

    /// The live row that a code means, if there is one.
    pub(crate) fn resolve(&self, code: u32) -> Option<u32> {
        if !self.overlay.moved.is_empty()
            && let Some(now) = self.overlay.moved.get(&code)
        {
            return *now;
        }
        (code & ABSENT == 0).then_some(code)
    }

    /// The live row of a hash.
    pub(crate) fn find(&self, key: &StorePathHash) -> Option<u32> {
        if !self.overlay.index.is_empty()
            && let Some(&row) = self.overlay.index.get(key)
        {
            return Some(row);
        }
        let chunks = &self.base.chunks;
        let links = &self.base.links;
        let at = links.position(key, |row| base_key(chunks, row)).ok()?;
        Some(links.order[at]).filter(|&row| self.mark(row).live())
    }

    /// The live row of a base name.
    pub(crate) fn find_base(&self, base: &BaseName) -> Option<u32> {
        self.find(&base.key)
            .filter(|&row| self.name(row) == &*base.name)
    }

    /// Live rows, in no order that means anything.
    pub(crate) fn all_live(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.rows()).filter(|&row| self.mark(row).live())
    }

    /// Live rows whose narinfo names the NAR of this key.
    pub(crate) fn rows_of_nar(&self, key: &[u8]) -> Vec<u32> {
        let hash = nar_key_hash(key);
        let fresh = self.overlay.nar_keys.get(&hash).into_iter().flatten();
        let mut text = Vec::new();
        self.base
            .links
            .nar_candidates(hash)
            .iter()
            .chain(fresh)
            .copied()
            .filter(|&row| {
                text.clear();
                self.mark(row).live() && self.push_nar_key(row, &mut text) && text == key
            })
            .collect()
    }

    /// Appends the key of a row's NAR. False where the tail is damaged.
    pub(crate) fn push_nar_key(&self, row: u32, out: &mut Vec<u8>) -> bool {
        let row = self.row(row);
        push_nar_key(row.layout, &row.fields, out)
    }

    /// Appends the URL of a row. False where the tail is damaged.
    pub(crate) fn push_url(&self, row: u32, out: &mut Vec<u8>) -> bool {
        let row = self.row(row);
        push_url(row.layout, &row.fields, out)
    }

    /// Appends the narinfo of a row.
    pub(crate) fn push_narinfo(&self, row: u32, out: &mut Vec<u8>) {
        let found = self.row(row);
        if let Some(raw) = found.raw {
            out.extend_from_slice(raw);
            return;
        }
        let references = self.targets(row).iter().map(|&code| self.base_bytes(code));
        print(
            found.layout,
            &found.fields,
            &self.store_dir,
            references,
            out,
        );
    }

    /// Calls `visit` for each live row that refers to what a code names, itself left out.
    /// Each comes once: a row names a path by one code, and lies in the list of that code.
    pub(crate) fn each_referrer(&self, code: u32, mut visit: impl FnMut(u32)) {
        let links = &self.base.links;
        let mut codes_of = |code: u32| {
            let slot = if code & ABSENT == 0 {
                (code < links.rows).then_some(code as usize)
            } else {
                let index = (code & !ABSENT) as usize;
                (index < links.absent.len()).then(|| links.rows as usize + index)
            };
            let base = slot.map_or(&[][..], |slot| links.referrers.get(slot));
            let fresh = self.overlay.referrers.get(&code);
            for &row in base.iter().chain(fresh.into_iter().flatten()) {
                if self.mark(row).live() {
                    visit(row);
                }
            }
        };
        codes_of(code);
        for &alias in self.overlay.aliases.get(&code).into_iter().flatten() {
            codes_of(alias);
        }
    }

    /// Live rows that refer to a live row, itself left out, each once.
    pub(crate) fn referrers(&self, row: u32) -> Vec<u32> {
        let mut rows = Vec::new();
        self.each_referrer(row, |referrer| rows.push(referrer));
        rows
    }

    /// How many live rows refer to a live row, itself left out.
    pub(crate) fn referrer_count(&self, row: u32) -> u64 {
        if self.overlay.weight() == 0 {
            return self.base.links.referrers.range(row as usize).len() as u64;
        }
        let mut count = 0;
        self.each_referrer(row, |_| count += 1);
        count
    }

    /// How many references a row has, itself left out.
    pub(crate) fn reference_count(&self, row: u32) -> u64 {
        let targets = self.targets(row);
        let own = targets.iter().filter(|&&code| code == row);
        (targets.len() - own.count()) as u64
    }
}

/// The hash part of a row in chunks.
pub(crate) fn base_key(chunks: &[Arc<Chunk>], row: u32) -> StorePathHash {
    let (chunk, place) = place(row);
    StorePathHash::from_bytes(chunks[chunk].keys[place])
}
