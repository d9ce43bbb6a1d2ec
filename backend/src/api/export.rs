//! Whole tables to take along: CSV, JSON, NDJSON and Markdown; of a closure also a graph (DOT)
//! and a list of store paths.
//!
//! A list that is asked with `format` answers with all of its rows instead of a page, in the
//! order and with the filters of the request; `columns` chooses the fields. Rows are written
//! piece by piece as the client reads, all from one version of the index. Each piece is made
//! off the reactor, in turn with other queries, so an export of a million rows takes nobody's
//! place for long.
//!
//! Cells are safe for spreadsheets ([`snowbank_shared::table`]).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use snowbank_shared::table;
use time::OffsetDateTime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::problem::{ApiError, excerpt};
use super::request::{heavy, taken};
use crate::site::Site;

/// Rows made at once.
const PIECE: usize = 1_000;
/// Rows of a Markdown table at most: it is for people to read.
const MOST_MARKDOWN: u64 = 200;
/// An export that was not read to its end by then is broken off: it holds a version of the index.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, UTF-8, with a header, safe for spreadsheets.
    Csv,
    /// One object: `items`, `total`, `revision`, `complete`, as a page without a next one.
    Json,
    /// One object a line.
    Ndjson,
    /// A table in GitHub's dialect, of 200 rows at most.
    Markdown,
    /// A graph for Graphviz: rows have `path` and `references`. Only of closures.
    Dot,
    /// One store path a line. Only of closures.
    Paths,
}

impl Format {
    const ALL: [(&str, Self); 4] = [
        ("csv", Self::Csv),
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("markdown", Self::Markdown),
    ];

    /// What a closure is written as besides.
    const OF_CLOSURES: [(&str, Self); 2] = [("dot", Self::Dot), ("paths", Self::Paths)];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Paths => "text/plain; charset=utf-8",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "md",
            Self::Dot => "dot",
            Self::Paths => "txt",
        }
    }
}

/// A wish for a whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    format: Format,
    columns: Vec<&'static str>,
}

impl Export {
    /// Takes `format` and `columns` out of the pairs; `None` where a page is asked for.
    /// `known` are the fields of a row, in their order.
    pub(super) fn take(
        pairs: &mut Vec<(String, String)>,
        known: &[&'static str],
    ) -> Result<Option<Self>, ApiError> {
        let (format, columns) = (taken(pairs, "format"), taken(pairs, "columns"));
        let Some(format) = format else {
            return match columns {
                None => Ok(None),
                Some(_) => Err(ApiError::bad_parameter(
                    "`columns` chooses the fields of an export: give `format` too",
                )),
            };
        };
        let format = Format::ALL
            .into_iter()
            .find(|(word, _)| *word == format)
            .map(|(_, format)| format)
            .ok_or_else(|| {
                ApiError::bad_parameter(format!(
                    "`format` cannot be `{}`: it is csv, json, ndjson or markdown",
                    excerpt(&format)
                ))
            })?;
        let paging = |name: &str| matches!(name, "limit" | "cursor" | "offset");
        if pairs
            .iter()
            .any(|(name, value)| paging(name) && !value.is_empty())
        {
            return Err(ApiError::bad_parameter(
                "an export holds all rows: leave `limit`, `cursor` and `offset` out, or `format`",
            ));
        }
        let mut export = Self {
            format,
            columns: known.to_vec(),
        };
        if let Some(columns) = columns {
            export.columns = columns
                .split(',')
                .map(|column| {
                    known
                        .iter()
                        .copied()
                        .find(|known| *known == column)
                        .ok_or(column)
                })
                .collect::<Result<_, _>>()
                .map_err(|column| {
                    ApiError::bad_parameter(format!(
                        "there is no column `{}`: there are {}",
                        excerpt(column),
                        known.join(", ")
                    ))
                })?;
            let mut seen = std::collections::HashSet::new();
            export.columns.retain(|column| seen.insert(*column));
        }
        Ok(Some(export))
    }

    /// The same of a closure, which can be a graph or a list of store paths too.
    pub(super) fn take_closure(
        pairs: &mut Vec<(String, String)>,
        known: &[&'static str],
    ) -> Result<Option<Self>, ApiError> {
        let format = pairs.iter().find(|(name, _)| name == "format");
        let format = format.and_then(|(_, word)| {
            let mut formats = Format::OF_CLOSURES.into_iter();
            formats.find(|(known, _)| known == word)
        });
        let Some((word, format)) = format else {
            return Self::take(pairs, known);
        };
        if pairs.iter().any(|(name, _)| name == "columns") {
            return Err(ApiError::bad_parameter(format!(
                "`{word}` has no columns: leave `columns` out"
            )));
        }
        // Checked and taken as for any table.
        for (name, value) in pairs.iter_mut() {
            if name == "format" {
                "csv".clone_into(value);
            }
        }
        let export = Self::take(pairs, known)?;
        Ok(export.map(|export| Self { format, ..export }))
    }

    /// Whether it is written from paths and their references, and not from rows of a table.
    pub(super) fn is_of_paths(&self) -> bool {
        matches!(self.format, Format::Dot | Format::Paths)
    }

    /// Answers with the whole table.
    pub(super) fn answer(self, site: &Arc<Site>, table: Table) -> Result<Response, ApiError> {
        if self.format == Format::Markdown && table.rows > MOST_MARKDOWN {
            return Err(ApiError::bad_parameter(format!(
                "a Markdown table has at most {MOST_MARKDOWN} rows and this one has {}: filter more, or take csv",
                table.rows
            )));
        }
        let permit = Arc::clone(&site.exports).try_acquire_owned().map_err(|_| {
            ApiError::busy("Several exports are under way; try again when one has ended.")
        })?;
        let now = OffsetDateTime::now_utc();
        let disposition = format!(
            "attachment; filename=\"{}\"",
            file_name(&table.name, self.format, now)
        );
        let media_type = self.format.media_type();
        let running = Running {
            site: Arc::clone(site),
            export: self,
            table,
            state: State::Head,
            until: Instant::now() + LONGEST,
            _permit: permit,
        };
        let pieces = stream::unfold(running, |running| async move { running.next().await });
        let mut response = Response::new(Body::from_stream(pieces));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        // A proxy that collects a million rows before it passes one on helps nobody.
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        Ok(response)
    }

    fn head(&self) -> String {
        match self.format {
            Format::Csv => format!("{}\r\n", self.columns.join(",")),
            Format::Json => "{\"items\":[".to_owned(),
            Format::Ndjson | Format::Paths => String::new(),
            Format::Dot => "digraph closure {\n  rankdir=LR;\n  node [shape=box];\n".to_owned(),
            Format::Markdown => format!(
                "| {} |\n|{}\n",
                self.columns.join(" | "),
                " --- |".repeat(self.columns.len())
            ),
        }
    }

    fn row(&self, row: &Map<String, Value>, first: bool, out: &mut String) {
        if self.is_of_paths() {
            self.paths_row(row, out);
            return;
        }
        let cells = self
            .columns
            .iter()
            .map(|column| (*column, row.get(*column)));
        match self.format {
            Format::Csv => {
                for (at, (_, cell)) in cells.enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    push_csv(cell, out);
                }
                out.push_str("\r\n");
            }
            Format::Json | Format::Ndjson => {
                if self.format == Format::Json && !first {
                    out.push(',');
                }
                out.push('{');
                for (at, (column, cell)) in cells.enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let cell = cell.unwrap_or(&Value::Null);
                    out.push_str(&format!("{comma}\"{column}\":{cell}"));
                }
                out.push('}');
                if self.format == Format::Ndjson {
                    out.push('\n');
                }
            }
            Format::Markdown => {
                for (_, cell) in cells {
                    out.push_str("| ");
                    table::push_markdown(&plain(cell), out);
                    out.push(' ');
                }
                out.push_str("|\n");
            }
            Format::Dot | Format::Paths => {}
        }
    }

    /// A path with its references; names of store paths need no escape in a quoted id of DOT.
    fn paths_row(&self, row: &Map<String, Value>, out: &mut String) {
        let path = plain(row.get("path"));
        if self.format == Format::Paths {
            out.push_str(&path);
            out.push('\n');
            return;
        }
        let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let from = base(&path);
        let label = from.split_once('-').map_or(from.as_str(), |(_, name)| name);
        out.push_str(&format!("  \"{from}\" [label=\"{label}\"];\n"));
        for to in row
            .get("references")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let to = base(&plain(Some(to)));
            out.push_str(&format!("  \"{from}\" -> \"{to}\";\n"));
        }
    }

    fn tail(&self, table: &Table) -> String {
        if self.format == Format::Dot {
            return "}\n".to_owned();
        }
        if self.format != Format::Json {
            return String::new();
        }
        format!(
            "],\"next\":null,\"total\":{},\"revision\":{},\"complete\":{}}}\n",
            table.rows,
            Value::from(table.revision.as_str()),
            table.complete
        )
    }
}

/// What is written: how many rows there are, and what makes each.
pub(super) struct Table {
    /// What the file is called after: `team-paths`.
    pub(super) name: String,
    /// How many rows.
    pub(super) rows: u64,
    /// State of the index that the rows are from.
    pub(super) revision: String,
    /// Whether these are all.
    pub(super) complete: bool,
    /// Makes the next rows.
    pub(super) next: NextRows,
}

/// Makes the next rows of a table, about so many; none when there are no more.
pub(super) type NextRows = Box<dyn FnMut(usize) -> Vec<Map<String, Value>> + Send>;

/// The rows of a list that is paged by cursor: `page` gives those after one, and the next.
pub(super) fn by_cursor(
    page: impl Fn(Option<&str>) -> Option<(Vec<Map<String, Value>>, Option<String>)> + Send + 'static,
) -> NextRows {
    let mut cursor = Some(None::<String>);
    Box::new(move |_| {
        let Some((rows, next)) = cursor.take().and_then(|cursor| page(cursor.as_deref())) else {
            return Vec::new();
        };
        cursor = next.map(Some);
        rows
    })
}

/// A row's fields.
pub(super) fn fields(row: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// An export under way.
struct Running {
    site: Arc<Site>,
    export: Export,
    table: Table,
    state: State,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// So many rows are written.
    Rows(u64),
    Done,
}

impl Running {
    /// The next piece. An error breaks the connection off, so that the client sees a cut file.
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if self.state == State::Head {
            self.state = State::Rows(0);
            let head = self.export.head();
            if !head.is_empty() {
                return Some((Ok(head.into()), self));
            }
        }
        let State::Rows(written) = self.state else {
            return None;
        };
        if written >= self.table.rows {
            self.state = State::Done;
            let tail = self.export.tail(&self.table);
            return (!tail.is_empty()).then(|| (Ok(tail.into()), self));
        }
        let piece = self.piece(written).await;
        if piece.is_err() {
            self.state = State::Done;
        }
        Some((piece, self))
    }

    /// Rows after those that are written.
    async fn piece(&mut self, written: u64) -> Result<Bytes, std::io::Error> {
        if Instant::now() > self.until || self.site.closing.is_cancelled() {
            return Err(std::io::Error::other("the export took too long"));
        }
        let export = self.export.clone();
        // Lent to the thread that makes the rows; a piece that fails is the last one.
        let mut next = std::mem::replace(&mut self.table.next, Box::new(|_| Vec::new()));
        let (made, next, rows) = heavy(&self.site, move || {
            let rows = next(PIECE);
            let mut out = String::new();
            for (at, row) in rows.iter().enumerate() {
                export.row(row, written == 0 && at == 0, &mut out);
            }
            Ok((Bytes::from(out), next, rows.len() as u64))
        })
        .await
        .map_err(|_| std::io::Error::other("the server is too busy for the export"))?;
        if rows == 0 {
            return Err(std::io::Error::other(
                "the table has fewer rows than it said",
            ));
        }
        self.table.next = next;
        self.state = State::Rows(written + rows);
        Ok(made)
    }
}

/// `team-paths-2026-11-23T1203Z.csv`: no colon, which some file systems refuse.
fn file_name(name: &str, format: Format, now: OffsetDateTime) -> String {
    format!(
        "{name}-{}-{:02}-{:02}T{:02}{:02}Z.{}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        format.extension()
    )
}

/// A cell as plain text: nothing where it is unknown, lists with spaces between.
fn plain(cell: Option<&Value>) -> String {
    match cell {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| plain(Some(item))).collect();
            items.join(" ")
        }
        Some(other) => other.to_string(),
    }
}

fn push_csv(cell: Option<&Value>, out: &mut String) {
    match cell {
        // A negative number is no formula.
        Some(Value::Number(number)) => out.push_str(&number.to_string()),
        _ => table::push_csv(&plain(cell), out),
    }
}

#[cfg(test)]
mod tests;
