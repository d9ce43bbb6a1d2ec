//! Bringing fresh rows into columns.
//!
//! A merge appends the fresh rows to the last chunk, rewrites those edges whose
//! meaning moved, and builds the orders and reverse edges anew. Row numbers
//! stay, so marks and closures stay. It reads one version of the graph and
//! makes the next; nobody waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use snowbank_shared::store_path::StorePathHash;

use super::chunk::{ABSENT, CHUNK_ROWS, Edges, place};
use super::graph::{Base, Graph, Overlay, base_key};
use super::key::BaseName;
use super::layout::push_nar_key;
use super::links::{Absent, Links, nar_key_hash};
use super::record::{Record, Withheld};
use super::wire::Arena;

/// Dead rows are given back when there are this many and they are a quarter of all.
const MIN_DEAD: u64 = 10_000;

/// Rows that [`Graph::compacted`] keeps outside of columns at a time.
const COMPACT_BATCH: usize = 32_768;

/// Where missing paths get their final numbers.
struct Missing {
    /// Provisional number of a code that means no live row.
    numbers: HashMap<u32, u32>,
    names: Vec<BaseName>,
    used: Vec<bool>,
    /// Final number of each provisional one.
    finals: Vec<u32>,
}

impl Graph {
    /// The same rows with all of them in columns.
    pub(crate) fn merged(&self) -> Self {
        let (chunks, layouts) = self.merged_chunks();
        let order = self.merged_order();
        let moved = self.moved_rows();
        let (absent, missing) = self.merged_absent(&moved);
        let edges = self.merged_edges(&missing, &moved);
        let rows = self.rows();
        let mut links = Links::default();
        links.rows = rows;
        links.order = order;
        links.absent = absent;
        links.referrers = referrers(&edges, rows, links.absent.len());
        (links.nar_hashes, links.nar_rows) = self.merged_nars();
        links.index(|row| base_key(&chunks, row));
        let mut reasons = (*self.base.reasons).clone();
        reasons.retain(|&row, _| self.mark(row).live());
        for (index, fresh) in self.overlay.rows.iter().enumerate() {
            let row = self.base.links.rows + index as u32;
            if let Some(reason) = &fresh.record.withheld
                && self.mark(row).live()
            {
                reasons.insert(row, Arc::clone(reason));
            }
        }
        Self {
            base: Arc::new(Base {
                chunks,
                edges,
                layouts,
                links,
                reasons: Arc::new(reasons),
            }),
            overlay: Arc::new(Overlay::default()),
            ..self.clone()
        }
    }

    /// Whether so many rows are dead that they should be given back.
    pub(crate) fn wants_compaction(&self) -> bool {
        self.dead >= MIN_DEAD && self.dead * 3 >= self.live
    }

    /// The live rows alone, numbered anew.
    pub(crate) fn compacted(&self) -> Self {
        let mut graph = Self::new(&self.store_dir);
        let mut rows: Vec<u32> = self.all_live().collect();
        rows.sort_unstable();
        for batch in rows.chunks(COMPACT_BATCH) {
            for &old in batch {
                let placed = graph.put(&Arc::new(self.record(old)));
                let mark = self.mark(old);
                graph.change_mark(placed.row, |new| new.flags = mark.flags);
                graph.set_file_size(placed.row, self.file_size(old));
                graph.set_sum(placed.row, self.sum(old));
            }
            graph = graph.merged();
        }
        let cycles = self.cycles.iter().filter(|&&row| self.mark(row).live());
        graph.cycles = Arc::new(
            cycles
                .filter_map(|&row| graph.find(&self.key(row)))
                .collect(),
        );
        graph
    }

    /// A row as it was put.
    pub(crate) fn record(&self, row: u32) -> Record {
        let found = self.row(row);
        let mark = self.mark(row);
        let fields = found.fields;
        Record {
            base: BaseName {
                key: fields.key,
                name: fields.name.into(),
            },
            nar_hash: *fields.nar_hash,
            nar_size: fields.nar_size,
            file_hash: *fields.file_hash,
            file_size: if found.layout.has_file_size {
                fields.file_size
            } else {
                super::chunk::UNKNOWN
            },
            references: self
                .targets(row)
                .iter()
                .map(|&code| {
                    let (key, name) = self.base_name(code);
                    BaseName {
                        key,
                        name: name.into(),
                    }
                })
                .collect(),
            layout: Arc::new(found.layout.clone()),
            tail: fields.tail.into(),
            raw: found.raw.map(Into::into),
            added_at: found.added_at,
            token: found.token,
            judged: self.judged(row).clone(),
            content: mark.content,
            withheld: self.crash_reason(row).cloned(),
        }
    }

    /// Why the narinfo of a row would crash a client.
    pub(crate) fn crash_reason(&self, row: u32) -> Option<&Arc<Withheld>> {
        match self.fresh(row) {
            Some(fresh) => fresh.record.withheld.as_ref(),
            None => self.base.reasons.get(&row),
        }
    }

    fn merged_chunks(
        &self,
    ) -> (
        Vec<Arc<super::chunk::Chunk>>,
        Arc<super::graph::Table<super::layout::Layout>>,
    ) {
        let mut chunks = self.base.chunks.clone();
        let mut layouts = Arc::clone(&self.base.layouts);
        for fresh in &self.overlay.rows {
            if chunks.last().is_none_or(|last| last.len() == CHUNK_ROWS) {
                chunks.push(Arc::default());
            }
            let layout = match layouts.known(&fresh.record.layout) {
                Some(number) => number,
                None => Arc::make_mut(&mut layouts).number(&fresh.record.layout),
            };
            if let Some(last) = chunks.last_mut() {
                let last = Arc::make_mut(last);
                last.push(&fresh.record, layout);
                if last.len() == CHUNK_ROWS {
                    last.shrink();
                }
            }
        }
        (chunks, layouts)
    }

    /// Live rows by hash: the old order without the dead, the fresh ones sorted in.
    fn merged_order(&self) -> Vec<u32> {
        let mut fresh: Vec<(StorePathHash, u32)> = self
            .overlay
            .index
            .iter()
            .map(|(&key, &row)| (key, row))
            .collect();
        fresh.sort_unstable();
        let old = &self.base.links.order;
        let mut order = Vec::with_capacity(old.len() + fresh.len());
        let mut from = 0;
        for (key, row) in fresh {
            let at = match self
                .base
                .links
                .position(&key, |row| base_key(&self.base.chunks, row))
            {
                Ok(at) | Err(at) => at,
            };
            order.extend(old[from..at].iter().filter(|&&old| self.mark(old).live()));
            order.push(row);
            from = at;
        }
        order.extend(old[from..].iter().filter(|&&old| self.mark(old).live()));
        order
    }

    /// Which rows' numbers mean something else now. Nearly none do, and a list of all answers
    /// sooner than a table of those: each reference is asked for twice.
    fn moved_rows(&self) -> Vec<bool> {
        let mut moved = vec![false; self.rows() as usize];
        for &code in self.overlay.moved.keys() {
            if code & ABSENT == 0 {
                moved[code as usize] = true;
            }
        }
        moved
    }

    /// The absent paths that live rows refer to, and where their codes lead.
    fn merged_absent(&self, moved: &[bool]) -> (Absent, Missing) {
        let known = self.base.links.absent.len();
        let mut missing = Missing {
            numbers: HashMap::new(),
            names: Vec::new(),
            used: vec![false; known],
            finals: Vec::new(),
        };
        for row in self.all_live() {
            for &code in self.targets(row) {
                let stands = code & ABSENT == 0 && !moved[code as usize];
                if stands || self.resolve(code).is_some() {
                    continue;
                }
                let index = (code & !ABSENT) as usize;
                if code & ABSENT != 0 && index < known {
                    missing.used[index] = true;
                    continue;
                }
                let next = (known + missing.names.len()) as u32;
                missing.numbers.entry(code).or_insert_with(|| {
                    let (key, name) = self.base_name(code);
                    missing.names.push(BaseName {
                        key,
                        name: name.into(),
                    });
                    next
                });
            }
        }
        // Those of the base are sorted already, and in a first sweep they are many.
        let mut added: Vec<(&BaseName, u32)> = (known as u32..)
            .zip(&missing.names)
            .map(|(number, name)| (name, number))
            .collect();
        added.sort_unstable();
        let mut added = added.into_iter().peekable();
        let mut finals = vec![u32::MAX; known + missing.names.len()];
        let mut absent = Absent::default();
        let mut push = |key: StorePathHash, name: &str, number: usize| {
            let last = absent.len().checked_sub(1);
            if last.is_none_or(|last| absent.get(last) != (key, name)) {
                absent.push(key, name);
            }
            finals[number] = (absent.len() - 1) as u32;
        };
        for index in (0..known).filter(|&index| missing.used[index]) {
            let (key, name) = self.base.links.absent.get(index);
            while let Some((base, number)) =
                added.next_if(|(base, _)| (base.key, &*base.name) < (key, name))
            {
                push(base.key, &base.name, number as usize);
            }
            push(key, name, index);
        }
        for (base, number) in added {
            push(base.key, &base.name, number as usize);
        }
        missing.finals = finals;
        (absent, missing)
    }

    /// The edges with every code leading where it means now. Dead rows have none.
    fn merged_edges(&self, missing: &Missing, moved: &[bool]) -> Vec<Arc<Edges>> {
        let rows = self.rows() as usize;
        let lead = |code: u32| {
            if code & ABSENT == 0 && !moved[code as usize] {
                return code;
            }
            if let Some(row) = self.resolve(code) {
                return row;
            }
            let provisional = missing
                .numbers
                .get(&code)
                .copied()
                .unwrap_or(code & !ABSENT);
            ABSENT | missing.finals[provisional as usize]
        };
        let mut edges = Vec::with_capacity(rows.div_ceil(CHUNK_ROWS));
        let mut row = 0;
        while row < rows {
            let end = (row + CHUNK_ROWS).min(rows);
            let mut chunk = Edges::default();
            let mut targets = Vec::new();
            for row in row..end {
                targets.clear();
                if self.mark(row as u32).live() {
                    targets.extend(self.targets(row as u32).iter().map(|&code| lead(code)));
                }
                chunk.push(&targets);
            }
            chunk.shrink();
            match self.base.edges.get(place(row as u32).0) {
                Some(old) if **old == chunk => edges.push(Arc::clone(old)),
                _ => edges.push(Arc::new(chunk)),
            }
            row = end;
        }
        edges
    }

    /// Live rows by the hash of their NAR's key.
    fn merged_nars(&self) -> (Vec<u32>, Vec<u32>) {
        let mut fresh = Vec::with_capacity(self.overlay.index.len());
        let mut key = Vec::new();
        for &row in self.overlay.index.values() {
            let record = &self.overlay.rows[(row - self.base.links.rows) as usize].record;
            key.clear();
            push_nar_key(&record.layout, &record.fields(), &mut key);
            fresh.push((nar_key_hash(&key), row));
        }
        fresh.sort_unstable();
        let links = &self.base.links;
        let mut hashes = Vec::with_capacity(links.nar_rows.len() + fresh.len());
        let mut rows = Vec::with_capacity(links.nar_rows.len() + fresh.len());
        let mut fresh = fresh.into_iter().peekable();
        for (&hash, &row) in links.nar_hashes.iter().zip(&links.nar_rows) {
            while let Some((hash, row)) = fresh.next_if(|&(other, _)| other < hash) {
                hashes.push(hash);
                rows.push(row);
            }
            if self.mark(row).live() {
                hashes.push(hash);
                rows.push(row);
            }
        }
        for (hash, row) in fresh {
            hashes.push(hash);
            rows.push(row);
        }
        (hashes, rows)
    }
}

/// The reverse of the edges, self references left out.
fn referrers(edges: &[Arc<Edges>], rows: u32, absent: usize) -> Arena<u32> {
    let slot = |code: u32| {
        if code & ABSENT == 0 {
            code as usize
        } else {
            rows as usize + (code & !ABSENT) as usize
        }
    };
    let mut ends = vec![0u32; rows as usize + absent + 1];
    let each = |visit: &mut dyn FnMut(u32, u32)| {
        for (number, chunk) in edges.iter().enumerate() {
            for place in 0..chunk.len() {
                let row = (number * CHUNK_ROWS + place) as u32;
                for &code in chunk.get(place) {
                    if code != row {
                        visit(row, code);
                    }
                }
            }
        }
    };
    each(&mut |_, code| ends[slot(code) + 1] += 1);
    for at in 1..ends.len() {
        ends[at] += ends[at - 1];
    }
    let total = ends.last().copied().unwrap_or(0);
    let mut items = vec![0u32; total as usize];
    // Filling moves every start to its end: what remains after the first is the list of ends.
    each(&mut |row, code| {
        let at = &mut ends[slot(code)];
        items[*at as usize] = row;
        *at += 1;
    });
    ends.pop();
    Arena::from_parts(ends, items)
}
