//! The rows of an inventory: CSV without a heading, every field in quotes, keys percent-encoded.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use percent_encoding::percent_decode_str;

use super::read::InventoryError;
use crate::sync::{ObjectClass, Tally};

/// Bytes of a row at most: a key has 1,024, each three where it is encoded.
const MOST_ROW: u64 = 16 << 10;
/// Columns at most.
const MOST_COLUMNS: usize = 64;

/// In which place which column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    key: usize,
    size: usize,
    latest: Option<usize>,
    marker: Option<usize>,
    count: usize,
}

impl Columns {
    /// Reads `fileSchema`: `Bucket, Key, Size`.
    pub(super) fn parse(schema: &str) -> Result<Self, InventoryError> {
        let names: Vec<&str> = schema.split(',').map(str::trim).collect();
        let find = |name: &str| names.iter().position(|known| *known == name);
        let needed = |name: &str| {
            find(name).ok_or_else(|| {
                InventoryError::Manifest(format!(
                    "it lacks the column {name}: choose it in the inventory's additional fields"
                ))
            })
        };
        if names.len() > MOST_COLUMNS {
            return Err(InventoryError::Manifest(format!(
                "it has more than {MOST_COLUMNS} columns"
            )));
        }
        Ok(Self {
            key: needed("Key")?,
            size: needed("Size")?,
            latest: find("IsLatest"),
            marker: find("IsDeleteMarker"),
            count: names.len(),
        })
    }

    /// Whether old versions are listed too.
    pub(super) fn has_versions(&self) -> bool {
        self.latest.is_some()
    }
}

/// What the rows come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) rows: u64,
    /// Rows outside of the cache.
    pub(super) others: u64,
    /// Rows that could not be read.
    pub(super) broken: u64,
    pub(super) classes: BTreeMap<ObjectClass, Tally>,
    pub(super) state: Tally,
    pub(super) old: Tally,
}

fn add(tally: &mut Tally, bytes: u64) {
    tally.objects += 1;
    tally.bytes = tally.bytes.saturating_add(bytes);
}

/// What belongs to the cache.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Empty, or ending with a slash.
    pub(super) prefix: String,
    /// What below the cache's prefix is the server's, relative to it.
    pub(super) areas: Vec<String>,
}

impl Counted {
    /// Counts the rows of a file.
    ///
    /// # Errors
    /// What the file says where it cannot be read to its end; what came before counts.
    pub(super) fn file(
        &mut self,
        packed: impl Read,
        columns: &Columns,
        place: &Place,
    ) -> std::io::Result<()> {
        let mut rows = BufReader::new(MultiGzDecoder::new(packed));
        let mut row = Vec::new();
        let mut fields = Vec::new();
        loop {
            row.clear();
            let mut part = (&mut rows).take(MOST_ROW);
            let read = part.read_until(b'\n', &mut row)?;
            if read == 0 {
                return Ok(());
            }
            self.rows += 1;
            if read as u64 == MOST_ROW && !row.ends_with(b"\n") {
                rows.skip_until(b'\n')?;
                self.broken += 1;
                continue;
            }
            let known = std::str::from_utf8(&row)
                .ok()
                .and_then(|text| self.row(text, &mut fields, columns, place));
            if known.is_none() {
                self.broken += 1;
            }
        }
    }

    /// `None`: it cannot be read.
    fn row(
        &mut self,
        text: &str,
        fields: &mut Vec<String>,
        columns: &Columns,
        place: &Place,
    ) -> Option<()> {
        split(text.trim_end_matches(['\r', '\n']), fields)?;
        if fields.len() < columns.count {
            return None;
        }
        let flag = |at: Option<usize>| match at.map(|at| fields[at].as_str()) {
            None => Some(None),
            Some("true" | "TRUE") => Some(Some(true)),
            Some("false" | "FALSE") => Some(Some(false)),
            Some(_) => None,
        };
        let (latest, marker) = (flag(columns.latest)?, flag(columns.marker)?);
        let encoded = percent_decode_str(&fields[columns.key]);
        let whole = encoded.decode_utf8_lossy();
        let Some(key) = whole.strip_prefix(place.prefix.as_str()) else {
            self.others += 1;
            return Some(());
        };
        // A mark of deletion is no object and has no size.
        if marker == Some(true) {
            return Some(());
        }
        let size: u64 = fields[columns.size].parse().ok()?;
        if latest == Some(false) {
            add(&mut self.old, size);
        } else if place
            .areas
            .iter()
            .any(|area| key.starts_with(area.as_str()))
        {
            add(&mut self.state, size);
        } else {
            add(self.classes.entry(ObjectClass::of(key)).or_default(), size);
        }
        Some(())
    }
}

/// The fields of a row; `None` where it is none. A quote within quotes is written twice.
fn split(text: &str, fields: &mut Vec<String>) -> Option<()> {
    fields.clear();
    let mut rest = text;
    loop {
        if fields.len() == MOST_COLUMNS {
            return None;
        }
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_split_as_csv_says() {
        let mut fields = Vec::new();
        for (text, expected) in [
            (r#""a","b","c""#, Some(vec!["a", "b", "c"])),
            (r#"a,"b ""x"", y","#, Some(vec!["a", "b \"x\", y", ""])),
            ("", Some(vec![""])),
            (r#""a"#, None),
            (r#""a"b,"c""#, None),
        ] {
            let read = split(text, &mut fields).map(|()| fields.clone());
            let expected =
                expected.map(|fields| fields.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(split(&",".repeat(200), &mut fields), None);
    }

    proptest! {
        #[test]
        fn no_row_is_too_odd(text in "\\PC*", near in "[\",a%]{0,12}") {
            let columns = Columns::parse("Bucket, Key, Size, IsLatest").expect("columns");
            let place = Place { prefix: String::new(), areas: Vec::new() };
            let mut counted = Counted::default();
            let mut fields = Vec::new();
            let _ = counted.row(&text, &mut fields, &columns, &place);
            let _ = counted.row(&near, &mut fields, &columns, &place);
        }
    }
}
