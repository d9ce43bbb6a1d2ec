//! `manifest.json` of an inventory, and the folders that they lie in.

use serde::Deserialize;

use super::read::InventoryError;
use super::rows::Columns;

/// Files of an inventory at most.
const MOST_FILES: usize = 20_000;

/// A manifest as S3 writes it. Fields that are not known are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    source_bucket: String,
    file_format: String,
    file_schema: String,
    creation_timestamp: String,
    files: Vec<File>,
}

/// A file of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct File {
    /// Its key in the bucket of the inventory.
    pub(super) key: String,
    /// Its MD5, 32 hex digits.
    #[serde(rename = "MD5checksum")]
    pub(super) md5: String,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// When the inventory was begun, seconds since 1970.
    pub(super) at: i64,
    pub(super) columns: Columns,
    pub(super) files: Vec<File>,
}

impl Manifest {
    /// Reads it. `bucket`: what it has to be of.
    ///
    /// # Errors
    /// See [`InventoryError`].
    pub(super) fn parse(text: &[u8], bucket: Option<&str>) -> Result<Self, InventoryError> {
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| InventoryError::Manifest(error.to_string()))?;
        if let Some(bucket) = bucket
            && written.source_bucket != bucket
        {
            return Err(InventoryError::Manifest(format!(
                "it is of the bucket `{}`, and the cache lies in `{bucket}`",
                written.source_bucket.escape_debug()
            )));
        }
        if written.file_format != "CSV" {
            return Err(InventoryError::Format(
                written.file_format.chars().take(20).collect(),
            ));
        }
        let at =
            written.creation_timestamp.parse::<i64>().map_err(|_| {
                InventoryError::Manifest("its creationTimestamp is no number".into())
            })? / 1_000;
        if written.files.len() > MOST_FILES {
            return Err(InventoryError::Manifest(format!(
                "it has more than {MOST_FILES} files"
            )));
        }
        let is_md5 = |file: &File| {
            file.md5.len() == 32 && file.md5.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if let Some(file) = written.files.iter().find(|file| !is_md5(file)) {
            return Err(InventoryError::Manifest(format!(
                "`{}` has no MD5",
                file.key.escape_debug()
            )));
        }
        Ok(Self {
            at,
            columns: Columns::parse(&written.file_schema)?,
            files: written.files,
        })
    }
}

/// Whether a folder's name is that of an inventory: `2026-11-30T01-00Z/`.
pub(super) fn is_dated(folder: &str) -> bool {
    let name = folder.trim_end_matches('/').rsplit('/').next();
    let name = name.unwrap_or_default().as_bytes();
    name.len() == 17
        && name.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 | 13 => *byte == b'-',
            10 => *byte == b'T',
            16 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}
