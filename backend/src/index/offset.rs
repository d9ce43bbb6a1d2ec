//! Any row of a list by its number, so that a window can stand anywhere in a million rows.
//!
//! A list of all rows is the permutation itself while no row of it has died and none is
//! fresh. Any other list is put in order once and kept with its [`View`]: four bytes a
//! row, and as few lists as [`KEPT`]. A view goes with the next change, and they with it.

use std::sync::{Arc, Mutex, PoisonError};

use snowbank_shared::api::{Page, PathRow};

use super::filter::Filter;
use super::query::{PathQuery, QueryError};
use super::view::View;

/// Lists that a view keeps in order.
const KEPT: usize = 4;

/// Lists of one view that were put in order, the one used last at the end.
#[derive(Debug, Default)]
pub(crate) struct Ordered(Mutex<Vec<(PathQuery, Arc<Vec<u32>>)>>);

impl Ordered {
    fn get(&self, key: &PathQuery) -> Option<Arc<Vec<u32>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(at);
        let rows = Arc::clone(&found.1);
        kept.push(found);
        Some(rows)
    }

    fn keep(&self, key: PathQuery, rows: &Arc<Vec<u32>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != key);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((key, Arc::clone(rows)));
    }
}

impl View {
    /// The page that begins at row `offset` of the paths that match. The first page of a list,
    /// and filters, look at every path: run it off the reactor.
    pub(super) fn query_at(
        &self,
        query: &PathQuery,
        offset: u64,
    ) -> Result<Page<PathRow>, QueryError> {
        let limit = query.limit.clamp(1, super::query::MAX_LIMIT);
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        if query.q.is_empty()
            && let Some(rows) = self.of_permutation(query, begin, limit)
        {
            return Ok(self.page_of(&rows, begin, self.len(), query));
        }
        let key = PathQuery {
            limit: 1,
            cursor: None,
            offset: None,
            ..query.clone()
        };
        let rows = self.ordered.get(&key).unwrap_or_else(|| {
            let rows = Arc::new(self.in_order(self.matches(query), query));
            self.ordered.keep(key, &rows);
            rows
        });
        Ok(self.page_at(&rows, query, offset))
    }

    /// A page of rows that are in order already.
    pub(super) fn page_at(&self, rows: &[u32], query: &PathQuery, offset: u64) -> Page<PathRow> {
        let limit = query.limit.clamp(1, super::query::MAX_LIMIT);
        let begin = usize::try_from(offset).map_or(rows.len(), |begin| begin.min(rows.len()));
        let end = rows.len().min(begin + limit);
        self.page_of(&rows[begin..end], begin, rows.len() as u64, query)
    }

    /// Rows of a list of all paths, straight from the permutation; `None` where rows of it died
    /// or others came since, or the query filters.
    fn of_permutation(&self, query: &PathQuery, begin: usize, limit: usize) -> Option<Vec<u32>> {
        let graph = &self.graph;
        let base = graph.base.links.rows;
        let whole = graph.rows() == base && graph.live == u64::from(base);
        if !whole || Filter::new(graph, query).used() != 0 {
            return None;
        }
        let permutation = self.permutations.get(graph, query.sort.field);
        let end = permutation.len().min(begin.saturating_add(limit));
        let places = begin.min(end)..end;
        Some(
            places
                .map(|place| permutation.at(place, query.sort.descending))
                .collect(),
        )
    }
}
