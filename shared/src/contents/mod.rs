//! What is in an archive, as a flat list: every file, directory and symlink with its path, and for
//! files what their contents hash to. Two such lists tell in which files two builds of one store
//! path differ ([`between`]).
//!
//! A `.ls` object has no hashes, so the list is made from the archive's bytes, in one pass
//! ([`ContentsBuilder`]): on the server of what is published, in the browser of what is about to be
//! sent.

mod difference;
mod mentions;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use crate::hash::Sha256;
use crate::nar::{Event, FileName, ListingError, ListingLimits, ListingNode};

pub use difference::{Aspect, Change, Difference, DifferingFile, MOST_LISTED, between};
pub use mentions::{MOST_MENTIONS, Mention, Mentioned, MentionsBuilder};

/// Bytes at the beginning of a file in which a NUL byte makes it binary, as git looks at it.
const LOOKED_AT: u64 = 8000;

/// What lies under a name in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A file.
    Regular,
    /// A symbolic link.
    Symlink,
}

/// A file, directory or symlink of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FileEntry {
    /// Its path from the archive's root, names joined by `/`; empty for the root. What is not UTF-8
    /// in it is replaced by U+FFFD.
    pub name: String,
    /// The path's true bytes in base64, only where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_b64: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Of a file: its bytes. Of a directory, where that was counted: the bytes of all files below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Of a file: whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// Of a directory, where that was counted: how many entries it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Of a symlink: where it points. What is not UTF-8 in it is replaced by U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The target's true bytes in base64, only where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_b64: Option<String>,
    /// Of a file, where its contents were read: their SHA-256, `sha256:` and nix32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of a file, where its contents were read: whether a NUL byte is among the first 8,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<bool>,
}

/// Bytes as text, and in base64 where the text is not all of it.
fn text_of(bytes: &[u8]) -> (String, Option<String>) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => (text.to_owned(), None),
        Cow::Owned(text) => (text, Some(BASE64.encode(bytes))),
    }
}

impl FileEntry {
    fn new(path: &[u8], kind: FileKind) -> Self {
        let (name, name_b64) = text_of(path);
        Self {
            name,
            name_b64,
            kind,
            size: None,
            executable: false,
            entries: None,
            target: None,
            target_b64: None,
            sha256: None,
            binary: None,
        }
    }

    /// What a listing says of the node at `path`; of a directory how many entries it has, and the
    /// bytes of the files below it.
    #[must_use]
    pub fn of_listing(path: &[u8], node: &ListingNode) -> Self {
        match node {
            ListingNode::Directory { entries } => Self {
                size: Some(bytes_below(node)),
                entries: Some(entries.len() as u64),
                ..Self::new(path, FileKind::Directory)
            },
            ListingNode::Regular {
                size, executable, ..
            } => Self {
                size: Some(*size),
                executable: *executable,
                ..Self::new(path, FileKind::Regular)
            },
            ListingNode::Symlink { target } => Self::symlink(path, target),
        }
    }

    fn symlink(path: &[u8], target: &[u8]) -> Self {
        let (target, target_b64) = text_of(target);
        Self {
            target: Some(target),
            target_b64,
            ..Self::new(path, FileKind::Symlink)
        }
    }

    /// The path's true bytes.
    #[must_use]
    pub fn path(&self) -> Cow<'_, [u8]> {
        let true_bytes = self
            .name_b64
            .as_ref()
            .and_then(|b64| BASE64.decode(b64).ok());
        true_bytes.map_or(Cow::Borrowed(self.name.as_bytes()), Cow::Owned)
    }
}

/// Bytes of the files below a node.
fn bytes_below(node: &ListingNode) -> u64 {
    match node {
        ListingNode::Directory { entries } => entries.iter().fold(0, |sum: u64, (_, node)| {
            sum.saturating_add(bytes_below(node))
        }),
        ListingNode::Regular { size, .. } => *size,
        ListingNode::Symlink { .. } => 0,
    }
}

/// Where in an archive its parser is: fed with every event, it knows the path of the node that the
/// last one was about.
#[derive(Debug, Default)]
pub struct Place {
    path: Vec<u8>,
    /// How long the path was before each name in it was added.
    lengths: Vec<usize>,
    /// The node is complete but for the bytes of a file.
    done: bool,
}

impl Place {
    /// Takes the next event.
    pub fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Directory => self.done = false,
            Event::Entry { name } => {
                self.leave();
                self.lengths.push(self.path.len());
                if !self.path.is_empty() {
                    self.path.push(b'/');
                }
                self.path.extend_from_slice(name);
            }
            Event::DirectoryEnd => {
                self.leave();
                self.done = true;
            }
            Event::Regular { .. } | Event::Symlink { .. } => self.done = true,
            Event::Contents(_) => {}
        }
    }

    /// The path from the root, names joined by `/`; empty for the root.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Where the node is complete, the path is its directory's again.
    fn leave(&mut self) {
        if std::mem::take(&mut self.done)
            && let Some(length) = self.lengths.pop()
        {
            self.path.truncate(length);
        }
    }
}

/// The file whose contents are coming.
#[derive(Debug)]
struct OpenFile {
    hash: sha2::Sha256,
    size: u64,
    seen: u64,
    binary: bool,
}

/// Makes the list from the events of a [`NarParser`](crate::nar::NarParser).
#[derive(Debug)]
pub struct ContentsBuilder {
    limits: ListingLimits,
    text: usize,
    place: Place,
    file: Option<OpenFile>,
    entries: Vec<FileEntry>,
    failed: Option<ListingError>,
}

impl ContentsBuilder {
    /// An empty one that keeps to `limits`.
    #[must_use]
    pub fn new(limits: ListingLimits) -> Self {
        Self {
            limits,
            text: 0,
            place: Place::default(),
            file: None,
            entries: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next event. Beyond the limits it lets go of what it has and keeps nothing more;
    /// [`finish`](Self::finish) says so.
    pub fn event(&mut self, event: &Event<'_>) {
        if self.failed.is_some() {
            return;
        }
        self.place.event(event);
        let path = self.place.path();
        match *event {
            Event::Directory => self.keep(FileEntry::new(path, FileKind::Directory), 0),
            Event::Entry { .. } | Event::DirectoryEnd => {}
            Event::Regular {
                size, executable, ..
            } => {
                let file = FileEntry {
                    size: Some(size),
                    executable,
                    ..FileEntry::new(path, FileKind::Regular)
                };
                self.keep(file, 0);
                self.file = Some(OpenFile {
                    hash: sha2::Sha256::new(),
                    size,
                    seen: 0,
                    binary: false,
                });
                self.close_file();
            }
            Event::Contents(bytes) => {
                if let Some(file) = &mut self.file {
                    file.hash.update(bytes);
                    let head = LOOKED_AT.saturating_sub(file.seen);
                    let head = usize::try_from(head).unwrap_or(usize::MAX).min(bytes.len());
                    file.binary |= memchr::memchr(0, &bytes[..head]).is_some();
                    file.seen += bytes.len() as u64;
                }
                self.close_file();
            }
            Event::Symlink { target } => self.keep(FileEntry::symlink(path, target), target.len()),
        }
    }

    /// Where all of the file has come, its hash is known.
    fn close_file(&mut self) {
        let Some(file) = self.file.take_if(|file| file.seen >= file.size) else {
            return;
        };
        if let Some(entry) = self.entries.last_mut() {
            let hash = Sha256(file.hash.finalize().into());
            entry.sha256 = Some(format!("sha256:{}", hash.to_nix32()));
            entry.binary = Some(file.binary);
        }
    }

    /// Keeps an entry whose target has so many bytes.
    fn keep(&mut self, entry: FileEntry, target: usize) {
        let text = self.place.path().len().saturating_add(target);
        self.text = self.text.saturating_add(text);
        let too_large = if self.entries.len() >= self.limits.nodes {
            Some(("files, directories and symlinks", self.limits.nodes))
        } else if self.text > self.limits.text {
            Some(("bytes of names and targets", self.limits.text))
        } else {
            None
        };
        match too_large {
            Some((what, limit)) => {
                self.failed = Some(ListingError::TooLarge { what, limit });
                self.entries = Vec::new();
                self.file = None;
            }
            None => self.entries.push(entry),
        }
    }

    /// The finished list, in the order of the archive.
    ///
    /// # Errors
    /// [`ListingError::TooLarge`], or [`ListingError::Incomplete`] if the archive did not end.
    pub fn finish(self) -> Result<Vec<FileEntry>, ListingError> {
        let ended = self.place.done && self.place.lengths.is_empty() && self.file.is_none();
        match self.failed {
            Some(error) => Err(error),
            None if ended => Ok(self.entries),
            None => Err(ListingError::Incomplete),
        }
    }
}

/// A path inside an archive as it stands in an address: each name's bytes percent-encoded, joined by `/`.
#[must_use]
pub fn address_of(path: &[u8]) -> String {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
        .map(|name| percent_encoding::percent_encode(name, crate::route::ESCAPED).to_string())
        .collect::<Vec<_>>()
        .join("/")
}

/// The path that an address names, its bytes; `None` where a part of it cannot be a file's name.
#[must_use]
pub fn path_of(address: &str) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    for part in address.split('/').filter(|part| !part.is_empty()) {
        let name: Vec<u8> = percent_encoding::percent_decode_str(part).collect();
        FileName::check(&name).ok()?;
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
    }
    Some(path)
}

#[cfg(test)]
mod tests;
