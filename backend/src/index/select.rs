//! Answering `/paths`: filter, order, one page.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::store_path::StorePathHash;

use super::filter::Filter;
use super::order::Value;
use super::query::{PathQuery, QueryError, Sort, SortField};
use super::search::Needle;
use super::view::{Id, View};

/// Sets up to this size are sorted as they are, without a permutation of all rows.
const SMALL: usize = 2_048;

/// Which rows match, before they are ordered.
pub(super) enum Matches {
    All,
    Rows(Vec<u32>),
}

/// A position in a sorted list: opaque to callers, the same on every replica.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    value: Value,
    hash: StorePathHash,
}

impl Cursor {
    fn text(&self, sort: Sort) -> String {
        let mut bytes = vec![sort.field as u8 | u8::from(sort.descending) << 7];
        bytes.extend_from_slice(self.hash.as_bytes());
        match &self.value {
            Value::Unknown => {}
            Value::Number(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Value::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        }
        if matches!(self.value, Value::Text(_)) && bytes.len() == 21 {
            // An empty text is not an unknown one.
            bytes.push(0);
        }
        BASE64.encode(bytes)
    }

    fn parse(text: &str, sort: Sort) -> Result<Self, QueryError> {
        let bytes = BASE64.decode(text).map_err(|_| QueryError::BadCursor)?;
        let (head, rest) = bytes.split_first().ok_or(QueryError::BadCursor)?;
        let (hash, value) = rest
            .split_first_chunk::<20>()
            .ok_or(QueryError::BadCursor)?;
        if *head != sort.field as u8 | u8::from(sort.descending) << 7 {
            return Err(QueryError::BadCursor);
        }
        let value = match value {
            [] => Value::Unknown,
            [0] if sort.field.is_text() => Value::Text(String::new()),
            text if sort.field.is_text() => {
                let text = std::str::from_utf8(text).map_err(|_| QueryError::BadCursor)?;
                Value::Text(text.to_owned())
            }
            number => Value::Number(u64::from_be_bytes(
                number.try_into().map_err(|_| QueryError::BadCursor)?,
            )),
        };
        Ok(Self {
            value,
            hash: StorePathHash::from_bytes(*hash),
        })
    }
}

impl View {
    /// A page of the paths that match. The first one by a field, and filters, look at every
    /// path: run it off the reactor.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`]; and limits beyond [`super::MAX_LIMIT`].
    pub fn query(&self, query: &PathQuery) -> Result<Page<PathRow>, QueryError> {
        match query.beginning()? {
            Some(offset) => self.query_at(query, offset),
            None => self.page(self.matches(query), query),
        }
    }

    /// All paths that match, in order; limit and cursor are not heeded. Four bytes a path.
    /// Looks at every path: run it off the reactor.
    pub fn query_all(&self, query: &PathQuery) -> Vec<Id> {
        self.whole(self.matches(query), query)
    }

    /// All paths that refer to a path and match, in order; itself is left out.
    pub fn referrers_all(&self, id: Id, query: &PathQuery) -> Vec<Id> {
        self.whole(Matches::Rows(self.referring(id, query)), query)
    }

    pub(super) fn matches(&self, query: &PathQuery) -> Matches {
        if query.q.is_empty() {
            Matches::All
        } else {
            Matches::Rows(self.graph.search(&Needle::of(&query.q)))
        }
    }

    fn whole(&self, matches: Matches, query: &PathQuery) -> Vec<Id> {
        self.in_order(matches, query).into_iter().map(Id).collect()
    }

    /// All that match and pass the filters, in order.
    pub(super) fn in_order(&self, matches: Matches, query: &PathQuery) -> Vec<u32> {
        let matches = self.filtered(matches, query);
        self.sorted(matches, query.sort, None, usize::MAX).0
    }

    /// A page of the paths that refer to a path and match; itself is left out.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn referrers(&self, id: Id, query: &PathQuery) -> Result<Page<PathRow>, QueryError> {
        let matches = Matches::Rows(self.referring(id, query));
        match query.beginning()? {
            Some(offset) => Ok(self.page_at(&self.in_order(matches, query), query, offset)),
            None => self.page(matches, query),
        }
    }

    fn referring(&self, id: Id, query: &PathQuery) -> Vec<u32> {
        let mut rows = self.graph.referrers(id.0);
        if !query.q.is_empty() {
            let found = self.graph.search(&Needle::of(&query.q));
            let found: std::collections::HashSet<u32> = found.into_iter().collect();
            rows.retain(|row| found.contains(row));
        }
        rows
    }

    /// Those that pass the query's filters.
    fn filtered(&self, matches: Matches, query: &PathQuery) -> Matches {
        let graph = &self.graph;
        let filter = Filter::new(graph, query);
        match matches {
            matches if filter.used() == 0 => matches,
            Matches::All => {
                let passing = graph.all_live().filter(|&row| filter.passes(graph, row));
                Matches::Rows(passing.collect())
            }
            Matches::Rows(mut rows) => {
                rows.retain(|&row| filter.passes(graph, row));
                Matches::Rows(rows)
            }
        }
    }

    /// The first rows after the cursor, and whether there are more.
    fn sorted(
        &self,
        matches: Matches,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> (Vec<u32>, bool) {
        let all = self.graph.base.links.order.len();
        match matches {
            Matches::Rows(rows) if rows.len() <= SMALL.max(all / 32) => {
                self.smallest(rows, sort, cursor, limit)
            }
            matches => self.scan(&matches, sort, cursor, limit),
        }
    }

    fn page(&self, matches: Matches, query: &PathQuery) -> Result<Page<PathRow>, QueryError> {
        let graph = &self.graph;
        let sort = query.sort;
        let cursor = query
            .cursor
            .as_deref()
            .map(|text| Cursor::parse(text, sort))
            .transpose()?;
        let limit = query.limit.clamp(1, super::query::MAX_LIMIT);
        let matches = self.filtered(matches, query);
        let total = match &matches {
            Matches::All => graph.live,
            Matches::Rows(rows) => rows.len() as u64,
        };
        let (rows, more) = self.sorted(matches, sort, cursor.as_ref(), limit);
        Ok(self.answer(&rows, more, total, sort))
    }

    /// Rows that begin at a place of a list of `total` rows.
    pub(super) fn page_of(
        &self,
        rows: &[u32],
        begin: usize,
        total: u64,
        query: &PathQuery,
    ) -> Page<PathRow> {
        let more = !rows.is_empty() && ((begin + rows.len()) as u64) < total;
        self.answer(rows, more, total, query.sort)
    }

    fn answer(&self, rows: &[u32], more: bool, total: u64, sort: Sort) -> Page<PathRow> {
        let graph = &self.graph;
        let next = rows.last().filter(|_| more).map(|&row| {
            let value = graph.value(row, sort.field);
            let hash = graph.key(row);
            Cursor { value, hash }.text(sort)
        });
        Page {
            items: rows.iter().map(|&row| self.row(Id(row))).collect(),
            next,
            total,
            revision: self.revision().to_owned(),
            complete: self.swept_at().is_some(),
        }
    }

    /// The first rows after the cursor, and whether there are more: by selection.
    fn smallest(
        &self,
        mut rows: Vec<u32>,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> (Vec<u32>, bool) {
        let graph = &self.graph;
        if let Some(cursor) = cursor {
            rows.retain(|&row| {
                graph.compare_to(row, sort, &cursor.value, &cursor.hash) == Ordering::Greater
            });
        }
        let more = rows.len() > limit;
        if more {
            rows.select_nth_unstable_by(limit, |&a, &b| graph.compare(a, b, sort));
            rows.truncate(limit);
        }
        rows.sort_unstable_by(|&a, &b| graph.compare(a, b, sort));
        (rows, more)
    }

    /// The same from the permutation of all rows, fresh ones merged in.
    fn scan(
        &self,
        matches: &Matches,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> (Vec<u32>, bool) {
        let graph = &self.graph;
        let after = |row: u32| {
            cursor.is_none_or(|cursor| {
                graph.compare_to(row, sort, &cursor.value, &cursor.hash) == Ordering::Greater
            })
        };
        let permutation = self.permutations.get(graph, sort.field);
        let first = graph.base.links.rows;
        let (wanted, fresh) = match matches {
            Matches::All => (None, (first..graph.rows()).collect::<Vec<u32>>()),
            Matches::Rows(rows) => {
                let mut bits = vec![0u64; (first as usize).div_ceil(64)];
                let (old, fresh): (Vec<u32>, Vec<u32>) = rows.iter().partition(|&&row| row < first);
                for row in old {
                    bits[row as usize / 64] |= 1 << (row % 64);
                }
                (Some(bits), fresh)
            }
        };
        let mut fresh: Vec<u32> = fresh
            .into_iter()
            .filter(|&row| graph.mark(row).live() && after(row))
            .collect();
        fresh.sort_unstable_by(|&a, &b| graph.compare(a, b, sort));
        let mut fresh = fresh.into_iter().peekable();
        // Dead rows keep their place in the order, so the search still holds.
        let start = match cursor {
            None => 0,
            Some(_) => partition_point(permutation.len(), |place| {
                !after(permutation.at(place, sort.descending))
            }),
        };
        let mut old = (start..permutation.len())
            .map(|place| permutation.at(place, sort.descending))
            .filter(|&row| {
                let bits = wanted.as_ref();
                bits.is_none_or(|bits| bits[row as usize / 64] >> (row % 64) & 1 == 1)
                    && graph.mark(row).live()
            })
            .peekable();
        let mut rows = Vec::with_capacity(limit.min(super::query::MAX_LIMIT));
        loop {
            let next = match (old.peek(), fresh.peek()) {
                (Some(&a), Some(&b)) if graph.compare(b, a, sort) == Ordering::Less => fresh.next(),
                (Some(_), _) => old.next(),
                (None, _) => fresh.next(),
            };
            match next {
                None => return (rows, false),
                Some(_) if rows.len() == limit => return (rows, true),
                Some(row) => rows.push(row),
            }
        }
    }
}

#[cfg(test)]
impl View {
    /// All pages of a query, from the permutation of all rows whatever their number.
    pub(crate) fn pages_by_permutation(&self, query: &PathQuery) -> Vec<u32> {
        let graph = &self.graph;
        let mut rows = if query.q.is_empty() {
            graph.all_live().collect()
        } else {
            graph.search(&Needle::of(&query.q))
        };
        let filter = Filter::new(graph, query);
        rows.retain(|&row| filter.passes(graph, row));
        let matches = Matches::Rows(rows);
        let mut found = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let (rows, more) = self.scan(&matches, query.sort, cursor.as_ref(), query.limit);
            found.extend(rows.iter().map(|&row| {
                let mut number = [0; 4];
                number.copy_from_slice(&graph.key(row).as_bytes()[16..]);
                u32::from_be_bytes(number)
            }));
            let Some(&last) = rows.last().filter(|_| more) else {
                return found;
            };
            let value = graph.value(last, query.sort.field);
            let text = Cursor {
                value,
                hash: graph.key(last),
            }
            .text(query.sort);
            cursor = Cursor::parse(&text, query.sort).ok();
        }
    }
}

/// The first place that does not satisfy a condition which only the first ones do.
fn partition_point(length: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Keeps the numbers in cursors apart from the order of declaration: 128 would be the direction's bit.
const _: () = assert!(SortField::ALL.len() < 128);
