//! Closures as pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Serialize;
use snowbank_shared::api::{Closure, ClosureRow};
use snowbank_shared::store_path::StorePathHash;

use super::key::base_text;
use super::query::QueryError;
use super::traverse::Walk;
use super::view::{Id, View, known};

/// Most rows of a page of a closure.
pub const MAX_CLOSURE_LIMIT: usize = 10_000;

/// A closure that was walked once, to be written out piece by piece from the view that walked it.
#[derive(Debug)]
pub struct Walked {
    walk: Walk,
    written: usize,
}

/// A path of a closure and what it refers to, itself left out.
#[derive(Debug, Serialize)]
pub struct PathReferences {
    /// Full store path.
    pub path: String,
    /// Full store paths, those that the cache lacks included.
    pub references: Vec<String>,
}

impl Walked {
    /// Its paths; what is missing is none.
    pub fn paths(&self) -> u64 {
        self.walk.rows.len() as u64
    }

    /// The next paths, nearest first; none when there are no more.
    pub fn next(&mut self, view: &View, count: usize) -> Vec<PathReferences> {
        let rows = &self.walk.rows[self.written..];
        let rows = &rows[..count.min(rows.len())];
        self.written += rows.len();
        rows.iter()
            .map(|&row| PathReferences {
                path: view.full_path(row),
                references: view
                    .graph
                    .targets(row)
                    .iter()
                    .filter(|&&code| view.graph.resolve(code) != Some(row))
                    .map(|&code| view.full_path(code))
                    .collect(),
            })
            .collect()
    }
}

/// Where a row stands in a closure: what is missing last, then by distance, then by base name, whose
/// order is that of its hash part's bytes.
type Place<'a> = (bool, u32, StorePathHash, &'a str);

fn write_cursor(place: &Place<'_>) -> String {
    let (missing, depth, key, name) = *place;
    let mut bytes = vec![u8::from(missing)];
    bytes.extend_from_slice(&depth.to_be_bytes());
    bytes.extend_from_slice(base_text(key, name).as_bytes());
    BASE64.encode(bytes)
}

/// The place that a cursor names, its name apart.
fn read_cursor(text: &str) -> Result<(bool, u32, StorePathHash, String), QueryError> {
    let bytes = BASE64.decode(text).map_err(|_| QueryError::BadCursor)?;
    let (&missing, rest) = bytes.split_first().ok_or(QueryError::BadCursor)?;
    let (depth, base) = rest.split_first_chunk::<4>().ok_or(QueryError::BadCursor)?;
    let base = std::str::from_utf8(base).map_err(|_| QueryError::BadCursor)?;
    let (key, name) = base.split_once('-').ok_or(QueryError::BadCursor)?;
    let key = key.parse().map_err(|_| QueryError::BadCursor)?;
    if missing > 1 {
        return Err(QueryError::BadCursor);
    }
    Ok((
        missing == 1,
        u32::from_be_bytes(*depth),
        key,
        name.to_owned(),
    ))
}

impl View {
    /// A page of a path's closure: the path, what it refers to, and so on, nearest first;
    /// what is referred to and not in the cache comes last. The figures are of the whole
    /// closure. Its time grows with the closure: run it off the reactor.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`].
    pub fn closure(
        &self,
        id: Id,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Closure, QueryError> {
        let graph = &self.graph;
        let after = cursor.map(read_cursor).transpose()?;
        let limit = limit.clamp(1, MAX_CLOSURE_LIMIT);
        let walk = self.pool.with(|seen| graph.walk(id.0, seen));
        let mut nar_size = 0u64;
        let mut file_size = Some(0u64);
        for &row in &walk.rows {
            nar_size = nar_size.saturating_add(graph.nar_size(row));
            file_size = file_size
                .zip(known(graph.file_size(row)))
                .map(|(sum, size)| sum.saturating_add(size));
        }
        // The walk goes by distance already: only levels that the page touches are sorted.
        let mut page: Vec<(Place<'_>, u32)> = Vec::new();
        let after = after
            .as_ref()
            .map(|(missing, depth, key, name)| (*missing, *depth, *key, name.as_str()));
        let place = |missing: bool, depth: u32, code: u32| -> Place<'_> {
            let (key, name) = graph.base_name(code);
            (missing, depth, key, name)
        };
        let mut take = |missing: bool, depth: u32, codes: &mut dyn Iterator<Item = u32>| {
            if page.len() > limit
                || after
                    .as_ref()
                    .is_some_and(|after| (missing, depth) < (after.0, after.1))
            {
                return;
            }
            let start = page.len();
            page.extend(codes.map(|code| (place(missing, depth, code), code)));
            if let Some(after) = &after {
                let kept: Vec<_> = page
                    .drain(start..)
                    .filter(|(place, _)| place > after)
                    .collect();
                page.extend(kept);
            }
            page[start..].sort_unstable();
        };
        for (depth, &start) in walk.levels.iter().enumerate() {
            let end = walk
                .levels
                .get(depth + 1)
                .copied()
                .unwrap_or(walk.rows.len());
            take(
                false,
                depth as u32,
                &mut walk.rows[start..end].iter().copied(),
            );
        }
        // The walk meets what is missing by distance too.
        let mut missing = &walk.missing[..];
        while let Some(&(_, depth)) = missing.first() {
            let count = missing.partition_point(|&(_, other)| other <= depth);
            let (level, rest) = missing.split_at(count);
            take(true, depth, &mut level.iter().map(|&(code, _)| code));
            missing = rest;
        }
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page
            .last()
            .filter(|_| more)
            .map(|(place, _)| write_cursor(place));
        Ok(Closure {
            path: self.full_path(id.0),
            paths: walk.rows.len() as u64,
            nar_size,
            file_size,
            missing: walk.missing.len() as u64,
            items: page
                .into_iter()
                .map(|((missing, depth, ..), code)| self.closure_row(code, depth, !missing))
                .collect(),
            next,
            revision: self.revision().to_owned(),
        })
    }

    /// How many paths of a closure are here, where that is known without a walk.
    pub fn closure_paths(&self, id: Id) -> Option<u32> {
        self.graph.sum(id.0).map(|sum| sum.paths)
    }

    /// A path's closure, to be written out. Walks it: run it off the reactor.
    pub fn walked(&self, id: Id) -> Walked {
        Walked {
            walk: self.pool.with(|seen| self.graph.walk(id.0, seen)),
            written: 0,
        }
    }

    fn closure_row(&self, code: u32, depth: u32, present: bool) -> ClosureRow {
        let graph = &self.graph;
        let (key, name) = graph.base_name(code);
        let row = present.then_some(code);
        ClosureRow {
            path: self.full_path(code),
            hash: key.to_string(),
            name: name.to_owned(),
            present,
            depth,
            nar_size: row.map(|row| graph.nar_size(row)),
            file_size: row.and_then(|row| known(graph.file_size(row))),
            closure_size: row.and_then(|row| graph.sum(row)).map(|sum| sum.size),
            reference_count: row.map(|row| graph.reference_count(row)),
            signature: row.map(|row| graph.judged(row).status),
            content: row.map(|row| graph.mark(row).content),
        }
    }
}
