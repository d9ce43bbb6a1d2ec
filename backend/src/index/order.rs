//! Orders of rows: comparing two, and all rows sorted once and kept.
//!
//! Sorting a million rows takes tens of milliseconds, a page from a sorted list
//! microseconds. So the first page by a field sorts all rows of the base into a
//! permutation, which stays until what it was sorted by changes. Fresh rows are
//! few and are merged in while paging.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use snowbank_shared::store_path::StorePathHash;

use super::chunk::{UNKNOWN, content_code};
use super::graph::{Base, Graph, Overlay};
use super::query::{Sort, SortField};
use super::record::status_code;

/// What a row is sorted by. An unknown number is last, whatever the direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
    Unknown,
}

impl Value {
    /// As a sorted list has them: ascending or descending, the unknown last.
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Unknown, Self::Unknown) => return Ordering::Equal,
            (Self::Unknown, _) => return Ordering::Greater,
            (_, Self::Unknown) => return Ordering::Less,
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // Values of one field are of one kind; a cursor was checked for that.
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}

impl SortField {
    /// Whether its values are texts.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Name | Self::Signers | Self::Compression)
    }

    /// Whether the hash alone decides.
    fn is_hash(self) -> bool {
        matches!(self, Self::Path | Self::Hash)
    }

    /// What permutations by it depend on besides the base.
    fn volatile(self) -> Volatile {
        match self {
            Self::Path
            | Self::Hash
            | Self::Name
            | Self::NarSize
            | Self::ReferenceCount
            | Self::Signers
            | Self::AddedAt
            | Self::Compression => Volatile::Nothing,
            Self::FileSize | Self::Signature | Self::SignatureProblem | Self::Content => {
                Volatile::Marks
            }
            Self::ClosureSize | Self::ClosurePaths => Volatile::Sums,
            Self::ReferrerCount => Volatile::Overlay,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Volatile {
    Nothing,
    Marks,
    Sums,
    Overlay,
}

impl Graph {
    /// The number that a row is sorted by, for fields that are no texts.
    fn number(&self, row: u32, field: SortField) -> u64 {
        match field {
            SortField::NarSize => self.nar_size(row),
            SortField::FileSize => self.file_size(row),
            SortField::ClosureSize => self.sum(row).map_or(UNKNOWN, |sum| sum.size),
            SortField::ClosurePaths => self.sum(row).map_or(UNKNOWN, |sum| u64::from(sum.paths)),
            SortField::ReferenceCount => self.reference_count(row),
            SortField::ReferrerCount => self.referrer_count(row),
            SortField::Signature => u64::from(status_code(self.judged(row).status)),
            SortField::SignatureProblem => {
                let problem = self.judged(row).problem;
                problem.map_or(UNKNOWN, |problem| u64::from(status_code(problem)))
            }
            SortField::Content => u64::from(content_code(self.mark(row).content)),
            SortField::AddedAt => u64::from(self.added_at(row)),
            SortField::Path
            | SortField::Hash
            | SortField::Name
            | SortField::Signers
            | SortField::Compression => 0,
        }
    }

    /// What a row is sorted by.
    pub(crate) fn value(&self, row: u32, field: SortField) -> Value {
        match field {
            SortField::Name => Value::Text(self.name(row).to_owned()),
            SortField::Signers => Value::Text(self.layout(row).signers.join(" ")),
            SortField::Compression => Value::Text(self.layout(row).compression.to_string()),
            _ => match self.number(row, field) {
                UNKNOWN => Value::Unknown,
                number => Value::Number(number),
            },
        }
    }

    /// Which of two rows comes first.
    pub(crate) fn compare(&self, a: u32, b: u32, sort: Sort) -> Ordering {
        let by_value = match sort.field {
            SortField::Name => self.name(a).cmp(self.name(b)),
            SortField::Compression => self.layout(a).compression.cmp(&self.layout(b).compression),
            SortField::Signers => self
                .layout(a)
                .signers
                .join(" ")
                .cmp(&self.layout(b).signers.join(" ")),
            field => {
                let (a, b) = (self.number(a, field), self.number(b, field));
                match (a == UNKNOWN, b == UNKNOWN) {
                    (false, false) => a.cmp(&b),
                    // Not to be turned round: the unknown is last in both directions.
                    (a, b) if sort.descending => b.cmp(&a),
                    (a, b) => a.cmp(&b),
                }
            }
        };
        let order = by_value.then_with(|| self.key(a).cmp(&self.key(b)));
        if sort.descending {
            order.reverse()
        } else {
            order
        }
    }

    /// Whether a row comes before, at or after a place in the order.
    pub(crate) fn compare_to(
        &self,
        row: u32,
        sort: Sort,
        value: &Value,
        hash: &StorePathHash,
    ) -> Ordering {
        let by_value = self.value(row, sort.field).compare(value, sort.descending);
        by_value.then_with(|| {
            let order = self.key(row).cmp(hash);
            if sort.descending {
                order.reverse()
            } else {
                order
            }
        })
    }

    /// All rows of the base in ascending order, those without a value last; how many have one.
    fn permutation(&self, field: SortField) -> Permutation {
        let order = &self.base.links.order;
        if field.is_hash() {
            return Permutation {
                known: order.len(),
                rows: order.clone(),
            };
        }
        if field == SortField::Name {
            let mut keyed: Vec<(Head, u32)> = order
                .iter()
                .map(|&row| (Head::of(self.name(row)), row))
                .collect();
            keyed.sort_by(|a, b| {
                a.0.cmp(&b.0).then_with(|| {
                    if a.0.is_whole() {
                        Ordering::Equal
                    } else {
                        self.name(a.1).cmp(self.name(b.1))
                    }
                })
            });
            return Permutation {
                known: keyed.len(),
                rows: keyed.into_iter().map(|(_, row)| row).collect(),
            };
        }
        let ranks = self.text_ranks(field);
        let mut keyed: Vec<(u64, u32)> = order
            .iter()
            .map(|&row| {
                let value = match &ranks {
                    Some(ranks) => ranks[self.base_layout(row)],
                    None => self.number(row, field),
                };
                (value, row)
            })
            .collect();
        // The order so far is that of the hashes, and the sort is stable.
        keyed.sort_by_key(|&(value, _)| value);
        Permutation {
            known: keyed.partition_point(|&(value, _)| value != UNKNOWN),
            rows: keyed.into_iter().map(|(_, row)| row).collect(),
        }
    }

    /// The number of a base row's layout.
    fn base_layout(&self, row: u32) -> usize {
        let (chunk, place) = super::chunk::place(row);
        self.base.chunks[chunk].layouts[place] as usize
    }

    /// For texts that layouts hold: the rank of each layout's text.
    fn text_ranks(&self, field: SortField) -> Option<Vec<u64>> {
        let text = |layout: &super::layout::Layout| match field {
            SortField::Signers => Some(layout.signers.join(" ")),
            SortField::Compression => Some(layout.compression.to_string()),
            _ => None,
        };
        let layouts = self.base.layouts.values();
        let texts: Vec<String> = layouts
            .iter()
            .map(|layout| text(layout))
            .collect::<Option<_>>()?;
        let mut sorted: Vec<&String> = texts.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let rank = |text| sorted.partition_point(|&other| other < text) as u64;
        field.is_text().then(|| texts.iter().map(rank).collect())
    }
}

/// The first 24 bytes of a name as numbers that sort like it. Names hold no NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head(u64, u64, u64);

impl Head {
    fn of(name: &str) -> Self {
        let mut head = [0; 24];
        let length = name.len().min(24);
        head[..length].copy_from_slice(&name.as_bytes()[..length]);
        let [a, b, c] = [0, 8, 16].map(|at| {
            let mut part = [0; 8];
            part.copy_from_slice(&head[at..at + 8]);
            u64::from_be_bytes(part)
        });
        Self(a, b, c)
    }

    /// Whether the name is no longer than this.
    fn is_whole(self) -> bool {
        self.2 & 0xff == 0
    }
}

/// The rows of a base, sorted.
#[derive(Debug)]
pub(crate) struct Permutation {
    rows: Vec<u32>,
    /// So many have a value; the others are last.
    known: usize,
}

impl Permutation {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row at a place of the sorted list.
    pub(crate) fn at(&self, place: usize, descending: bool) -> u32 {
        let index = match (descending, place < self.known) {
            (false, _) => place,
            (true, true) => self.known - 1 - place,
            (true, false) => self.known + (self.len() - 1 - place),
        };
        self.rows[index]
    }
}

/// Permutations that were made, with what they depend on.
#[derive(Debug, Default)]
pub(crate) struct Permutations(Mutex<HashMap<SortField, Kept>>);

#[derive(Debug)]
struct Kept {
    base: Weak<Base>,
    /// Where the volatile column lies that it was sorted by.
    column: Column,
    permutation: Arc<Permutation>,
}

/// Holds on to the place of a column, not to the column: so no other can lie there.
#[derive(Debug)]
enum Column {
    Nothing,
    Marks(Weak<Vec<Arc<super::chunk::Marks>>>),
    Sums(Weak<Vec<Arc<super::chunk::Sums>>>),
    Overlay(Weak<Overlay>),
}

impl Column {
    fn of(graph: &Graph, field: SortField) -> Self {
        match field.volatile() {
            Volatile::Nothing => Self::Nothing,
            Volatile::Marks => Self::Marks(Arc::downgrade(&graph.marks)),
            Volatile::Sums => Self::Sums(Arc::downgrade(&graph.sums)),
            Volatile::Overlay => Self::Overlay(Arc::downgrade(&graph.overlay)),
        }
    }

    fn is_of(&self, graph: &Graph) -> bool {
        match self {
            Self::Nothing => true,
            Self::Marks(marks) => std::ptr::eq(marks.as_ptr(), Arc::as_ptr(&graph.marks)),
            Self::Sums(sums) => std::ptr::eq(sums.as_ptr(), Arc::as_ptr(&graph.sums)),
            Self::Overlay(overlay) => std::ptr::eq(overlay.as_ptr(), Arc::as_ptr(&graph.overlay)),
        }
    }
}

impl Permutations {
    /// The rows of the graph's base, sorted; made now if need be.
    pub(crate) fn get(&self, graph: &Graph, field: SortField) -> Arc<Permutation> {
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|_, kept| kept.base.strong_count() > 0);
            if let Some(kept) = kept.get(&field)
                && std::ptr::eq(kept.base.as_ptr(), Arc::as_ptr(&graph.base))
                && kept.column.is_of(graph)
            {
                return Arc::clone(&kept.permutation);
            }
        }
        let permutation = Arc::new(graph.permutation(field));
        let made = Kept {
            base: Arc::downgrade(&graph.base),
            column: Column::of(graph, field),
            permutation: Arc::clone(&permutation),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(field, made);
        permutation
    }
}
