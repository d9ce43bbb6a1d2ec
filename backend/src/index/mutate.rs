//! Putting and removing paths.

use std::sync::Arc;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::store_path::StorePathHash;

use super::chunk::{ABSENT, CHUNK_ROWS, Mark, Sum, UNKNOWN, place};
use super::graph::{Fresh, Graph};
use super::key::BaseName;
use super::layout::{push_nar_key, push_url};
use super::links::nar_key_hash;
use super::record::{Judged, Record};

/// Judgements kept apart by the words of their single signatures; beyond, only the
/// path's words are kept, so that the table stays bounded.
const MAX_JUDGED: u32 = 60_000;

/// What putting a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The new row.
    pub(crate) row: u32,
    /// Whether closures may have changed: it is new, or its size or references are.
    pub(crate) changes_closures: bool,
    /// The row of another name that it displaced: who referred to that now lacks it.
    pub(crate) displaced: Option<u32>,
}

impl Graph {
    /// Enters a path, in place of what was known under its hash.
    pub(crate) fn put(&mut self, record: &Arc<Record>) -> Placed {
        let before = self.find(&record.base.key);
        let record = self.carry_over(before, record);
        let row = self.rows();
        let same = before.filter(|&old| self.name(old) == &*record.base.name);
        let changes_closures = same.is_none_or(|old| !self.same_node(old, &record));
        let sum = match same {
            Some(old) if !changes_closures => self.sum(old),
            _ => None,
        };
        let (content, file_size) = match before {
            Some(old) if self.same_file(old, &record) => {
                let listed = self.file_size(old);
                (
                    self.mark(old).content,
                    if record.file_size == UNKNOWN {
                        listed
                    } else {
                        record.file_size
                    },
                )
            }
            _ => (record.content, record.file_size),
        };
        if let Some(old) = before {
            self.bury(old);
        }
        self.arrive(&record.base, row);
        let targets: Box<[u32]> = record
            .references
            .iter()
            .map(|reference| self.code_of(reference, &record.base, row))
            .collect();

        let flags = if record.withheld.is_some() {
            Mark::CRASHES
        } else {
            0
        };
        let judged = self.judged_number(&record.judged);
        self.push_mark(
            Mark {
                judged,
                content,
                flags,
            },
            file_size,
            sum,
        );
        let overlay = Arc::make_mut(&mut self.overlay);
        for &code in &targets {
            if code != row {
                overlay.referrers.entry(code).or_default().push(row);
            }
        }
        let mut key = Vec::new();
        push_nar_key(&record.layout, &record.fields(), &mut key);
        overlay
            .nar_keys
            .entry(nar_key_hash(&key))
            .or_default()
            .push(row);
        overlay.index.insert(record.base.key, row);
        overlay.rows.push(Arc::new(Fresh { record, targets }));
        self.live += 1;
        Placed {
            row,
            changes_closures,
            displaced: before.filter(|_| same.is_none()),
        }
    }

    /// Removes a path. The row that it was, if it was there.
    pub(crate) fn remove(&mut self, key: &StorePathHash) -> Option<u32> {
        let row = self.find(key)?;
        self.bury(row);
        Some(row)
    }

    /// Notes what was found out about the content of a path.
    pub(crate) fn set_content(&mut self, row: u32, content: ContentStatus) {
        if self.mark(row).content != content {
            self.change_mark(row, |mark| mark.content = content);
        }
    }

    /// Changes the mark of a row.
    pub(crate) fn change_mark(&mut self, row: u32, change: impl FnOnce(&mut Mark)) {
        let (chunk, place) = place(row);
        let marks = Arc::make_mut(&mut Arc::make_mut(&mut self.marks)[chunk]);
        change(&mut marks.marks[place]);
    }

    /// Notes the listed size of a path's file.
    pub(crate) fn set_file_size(&mut self, row: u32, size: u64) {
        if self.file_size(row) != size {
            let (chunk, place) = place(row);
            let marks = Arc::make_mut(&mut Arc::make_mut(&mut self.marks)[chunk]);
            marks.file_sizes[place] = size;
        }
    }

    /// Notes or forgets the closure of a row.
    pub(crate) fn set_sum(&mut self, row: u32, sum: Option<Sum>) {
        if self.sum(row) != sum {
            let (chunk, place) = place(row);
            Arc::make_mut(&mut Arc::make_mut(&mut self.sums)[chunk]).set(place, sum);
        }
    }

    /// The number of a judgement, entered if it is new and there is room.
    pub(crate) fn judged_number(&mut self, judged: &Judged) -> u16 {
        if let Some(number) = self.judged.known(judged) {
            return number as u16;
        }
        let table = Arc::make_mut(&mut self.judged);
        if (table.values().len() as u32) < MAX_JUDGED {
            return table.number(judged) as u16;
        }
        let words = Judged {
            verdicts: Box::default(),
            ..judged.clone()
        };
        table.number(&words) as u16
    }

    /// `added_at` is the first time seen: a rewrite does not move it.
    fn carry_over(&self, before: Option<u32>, record: &Arc<Record>) -> Arc<Record> {
        let first = before.map_or(u32::MAX, |row| self.added_at(row));
        if first >= record.added_at {
            return Arc::clone(record);
        }
        let mut record = Record::clone(record);
        record.added_at = first;
        Arc::new(record)
    }

    /// Whether size and references of a row are those of a record.
    fn same_node(&self, row: u32, record: &Record) -> bool {
        if let Some(fresh) = self.fresh(row) {
            return fresh.record.same_node(record);
        }
        let targets = self.targets(row);
        self.nar_size(row) == record.nar_size
            && targets.len() == record.references.len()
            && targets
                .iter()
                .zip(&record.references)
                .all(|(&code, reference)| self.base_name(code) == (reference.key, &reference.name))
    }

    /// Whether the bytes behind a row are those behind a record: then what is known of them stays true.
    fn same_file(&self, row: u32, record: &Record) -> bool {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let known = self.row(row);
        self.push_url(row, &mut old);
        push_url(&record.layout, &record.fields(), &mut new);
        old == new
            && known.fields.nar_hash == &record.nar_hash
            && known.layout.has_file_size == record.layout.has_file_size
            && (!known.layout.has_file_size || known.fields.file_size == record.file_size)
    }

    /// Takes a row out: edges that point at it now mean an absent path.
    fn bury(&mut self, row: u32) {
        let base = BaseName {
            key: self.key(row),
            name: self.name(row).into(),
        };
        self.change_mark(row, |mark| mark.flags |= Mark::DEAD);
        let overlay = Arc::make_mut(&mut self.overlay);
        overlay.moved.insert(row, None);
        for alias in overlay.aliases.get(&row).into_iter().flatten() {
            overlay.moved.insert(*alias, None);
        }
        overlay.index.remove(&base.key);
        overlay.names.insert(Arc::new(base), row);
        self.live -= 1;
        self.dead += 1;
    }

    /// Leads every code that named this path while it was absent to its row.
    fn arrive(&mut self, base: &BaseName, row: u32) {
        let mut codes = Vec::new();
        if let Some(index) = self.base.links.absent.find(base) {
            codes.push(ABSENT | index as u32);
        }
        if self.overlay.names.contains_key(base) {
            let overlay = Arc::make_mut(&mut self.overlay);
            if let Some(code) = overlay.names.remove(base) {
                codes.extend(overlay.aliases.remove(&code).into_iter().flatten());
                codes.push(code);
            }
        }
        codes.sort_unstable();
        codes.dedup();
        if codes.is_empty() {
            return;
        }
        let overlay = Arc::make_mut(&mut self.overlay);
        for &code in &codes {
            overlay.moved.insert(code, Some(row));
        }
        overlay.aliases.insert(row, codes);
    }

    /// The code by which a new row names a reference.
    fn code_of(&mut self, reference: &BaseName, own: &BaseName, row: u32) -> u32 {
        if reference == own {
            return row;
        }
        if let Some(target) = self.find_base(reference) {
            return target;
        }
        if let Some(index) = self.base.links.absent.find(reference) {
            return ABSENT | index as u32;
        }
        if let Some(&code) = self.overlay.names.get(reference) {
            return code;
        }
        let overlay = Arc::make_mut(&mut self.overlay);
        let code = ABSENT | (self.base.links.absent.len() + overlay.absent.len()) as u32;
        let name = Arc::new(reference.clone());
        overlay.absent.push(Arc::clone(&name));
        overlay.names.insert(name, code);
        code
    }

    fn push_mark(&mut self, mark: Mark, file_size: u64, sum: Option<Sum>) {
        let marks = Arc::make_mut(&mut self.marks);
        if marks
            .last()
            .is_none_or(|last| last.marks.len() == CHUNK_ROWS)
        {
            marks.push(Arc::default());
        }
        if let Some(last) = marks.last_mut() {
            let last = Arc::make_mut(last);
            last.marks.push(mark);
            last.file_sizes.push(file_size);
        }
        let sums = Arc::make_mut(&mut self.sums);
        if sums
            .last()
            .is_none_or(|last| last.paths.len() == CHUNK_ROWS)
        {
            sums.push(Arc::default());
        }
        if let Some(last) = sums.last_mut() {
            Arc::make_mut(last).push(sum);
        }
    }
}
