//! The files of an archive, as they cross the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use crate::contents::FileEntry;

/// Where the list of an archive's files is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ListedBy {
    /// The `.ls` object beside the narinfo, whose sizes add up to NarSize. No signature covers it.
    Ls,
    /// The archive itself, which has the narinfo's NarHash.
    Nar,
}

/// How far an archive was read that has no listing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Reading {
    /// Bytes read, unpacked.
    pub read: u64,
    /// Bytes in all: NarSize.
    pub whole: u64,
}

/// What lies at a place in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Files {
    /// The full store path.
    pub path: String,
    /// The archive is still being read: ask again in a moment. Then the rest is empty.
    pub reading: Option<Reading>,
    /// Where the list is from.
    pub listed_by: Option<ListedBy>,
    /// What lies at the place that was asked for.
    pub node: Option<FileEntry>,
    /// Of a directory: its entries, in the order of the archive; or the entries found.
    pub items: Vec<FileEntry>,
    /// Opaque cursor of the next page; `null` on the last one.
    pub next: Option<String>,
    /// How many entries there are, over all pages.
    pub total: u64,
}

/// Everything in an archive, with hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Contents {
    /// The full store path.
    pub path: String,
    /// SHA-256 of the NAR.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The archive is still being read: ask again in a moment. Then there are no items.
    pub reading: Option<Reading>,
    /// Every entry in the order of the archive, the root first.
    pub items: Vec<FileEntry>,
}

/// Files of one path whose names contain what is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FoundIn {
    /// The full store path.
    pub path: String,
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// The files, the first 50.
    pub files: Vec<FileEntry>,
    /// How many there are.
    pub total: u64,
}

/// Files found in a part of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FoundFiles {
    /// The paths that have some, nearest first.
    pub items: Vec<FoundIn>,
    /// Paths of the whole closure that are here.
    pub paths: u64,
    /// Paths that this answer looked at.
    pub looked_at: u64,
    /// Those of them that have no listing yet, or are held back.
    pub without_listing: u64,
    /// Opaque cursor of the next part; `null` after the last one.
    pub next: Option<String>,
    /// State of the index that answered.
    pub revision: String,
}
