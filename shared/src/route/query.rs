//! What the path browser asks for, as an address says it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::RouteError;
use super::text::{QueryWriter, pairs, word};
use crate::api::{ContentStatus, SignatureStatus};

/// What the path browser asks for: search, order, filters, place.
///
/// The same parameters go to `GET /api/v1/caches/{cache}/paths`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PathsQuery {
    /// Words, a hash or its beginning, a full store path, a `.narinfo` URL.
    pub q: String,
    /// Order.
    pub sort: Sort,
    /// Only paths with this signature word.
    pub sig: Option<SignatureStatus>,
    /// Only paths with this content word.
    pub content: Option<ContentStatus>,
    /// Only paths signed with the key of this name.
    pub key: Option<String>,
    /// Only paths whose NAR is compressed this way.
    pub compression: Option<String>,
    /// Only what the pin of this name keeps; `*`: what any pin keeps.
    pub pin: Option<String>,
    /// Only the paths of this package: the name before the version.
    pub package: Option<Box<str>>,
    /// Only what is vouched for in this way: `valid:NAME`, `only:NAME`, `invalid:NAME`,
    /// `closure:NAME`, `closure`.
    pub vouch: Option<Box<str>>,
    /// Only what this uploader put.
    pub by: Option<Box<str>>,
    /// Only paths that no other path refers to.
    pub unreferenced: bool,
    /// Only paths for whose content two people or more vouch.
    pub reproduced: bool,
    /// NarSize at least this many bytes.
    pub min: Option<u64>,
    /// NarSize at most this many bytes.
    pub max: Option<u64>,
    /// Added at this time or later, RFC 3339 or a date.
    pub since: Option<String>,
    /// Added before this time, RFC 3339 or a date.
    pub until: Option<String>,
    /// Where the page begins: the `next` of the page before it.
    pub cursor: Option<String>,
    /// The whole list in one window, this row of it on top; counted from 1. Not for the API,
    /// which takes the number of a row as `offset`.
    pub row: Option<u64>,
    /// When the link to this search was made, RFC 3339. It changes no row; the page says what
    /// came since.
    pub at: Option<String>,
}

/// An order of paths: a field of [`PathRow`](crate::api::PathRow) and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The field.
    pub key: SortKey,
    /// Largest, newest or last first. A leading `-` in the address.
    pub descending: bool,
}

impl Default for Sort {
    /// Newest first.
    fn default() -> Self {
        Self {
            key: SortKey::AddedAt,
            descending: true,
        }
    }
}

/// A field to sort paths by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SortKey {
    /// `name`
    Name,
    /// `hash`
    Hash,
    /// `nar_size`
    NarSize,
    /// `file_size`
    FileSize,
    /// `closure_size`
    ClosureSize,
    /// `closure_paths`
    ClosurePaths,
    /// `reference_count`
    ReferenceCount,
    /// `referrer_count`
    ReferrerCount,
    /// `signature`
    Signature,
    /// `content`
    Content,
    /// `signers`
    Signers,
    /// `compression`
    Compression,
    /// `added_at`
    AddedAt,
}

impl SortKey {
    /// Every key.
    pub const ALL: [Self; 13] = [
        Self::Name,
        Self::Hash,
        Self::NarSize,
        Self::FileSize,
        Self::ClosureSize,
        Self::ClosurePaths,
        Self::ReferenceCount,
        Self::ReferrerCount,
        Self::Signature,
        Self::Content,
        Self::Signers,
        Self::Compression,
        Self::AddedAt,
    ];

    /// The field's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Hash => "hash",
            Self::NarSize => "nar_size",
            Self::FileSize => "file_size",
            Self::ClosureSize => "closure_size",
            Self::ClosurePaths => "closure_paths",
            Self::ReferenceCount => "reference_count",
            Self::ReferrerCount => "referrer_count",
            Self::Signature => "signature",
            Self::Content => "content",
            Self::Signers => "signers",
            Self::Compression => "compression",
            Self::AddedAt => "added_at",
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.descending {
            f.write_char('-')?;
        }
        f.write_str(self.key.as_str())
    }
}

impl FromStr for Sort {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        SortKey::ALL
            .into_iter()
            .find(|key| key.as_str() == name)
            .map(|key| Self { key, descending })
            .ok_or_else(|| RouteError::parameter("sort", text))
    }
}

impl PathsQuery {
    /// True where nothing but the order and the place is chosen: all paths match.
    pub fn is_unfiltered(&self) -> bool {
        let Self {
            q,
            sort: _,
            sig,
            content,
            key,
            compression,
            pin,
            package,
            vouch,
            by,
            unreferenced,
            reproduced,
            min,
            max,
            since,
            until,
            cursor: _,
            row: _,
            at: _,
        } = self;
        q.is_empty()
            && sig.is_none()
            && content.is_none()
            && key.is_none()
            && compression.is_none()
            && pin.is_none()
            && package.is_none()
            && vouch.is_none()
            && by.is_none()
            && !unreferenced
            && !reproduced
            && min.is_none()
            && max.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// The same search from its first page or row, as it is now.
    #[must_use]
    pub fn first_page(&self) -> Self {
        Self {
            cursor: None,
            row: self.row.map(|_| 1),
            at: None,
            ..self.clone()
        }
    }

    /// The query string without its question mark; parameters it does not know are ignored.
    ///
    /// # Errors
    /// Where a known parameter has a value that means nothing.
    pub fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "q" => parsed.q = value,
                "sort" => parsed.sort = value.parse()?,
                "sig" => parsed.sig = Some(word("sig", &value)?),
                "content" => parsed.content = Some(word("content", &value)?),
                "key" => parsed.key = Some(value),
                "compression" => parsed.compression = Some(value),
                "pin" => parsed.pin = Some(value),
                "package" => parsed.package = Some(value.into()),
                "vouch" => parsed.vouch = Some(value.into()),
                "by" => parsed.by = Some(value.into()),
                "unreferenced" => {
                    parsed.unreferenced = match value.as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(RouteError::parameter("unreferenced", &value)),
                    }
                }
                "reproduced" => {
                    parsed.reproduced = match value.as_str() {
                        "yes" => true,
                        "no" => false,
                        _ => return Err(RouteError::parameter("reproduced", &value)),
                    }
                }
                "min" => parsed.min = Some(word("min", &value)?),
                "max" => parsed.max = Some(word("max", &value)?),
                "since" => parsed.since = Some(value),
                "until" => parsed.until = Some(value),
                "cursor" => parsed.cursor = Some(value),
                "row" => parsed.row = Some(word("row", &value)?),
                "at" => parsed.at = Some(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

impl fmt::Display for PathsQuery {
    /// `?q=…&sort=…`, or nothing where all is at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        out.text("q", &self.q)?;
        if self.sort != Sort::default() {
            out.pair("sort", &self.sort)?;
        }
        if let Some(sig) = self.sig {
            out.pair("sig", &sig)?;
        }
        if let Some(content) = self.content {
            out.pair("content", &content)?;
        }
        for (name, value) in [
            ("key", &self.key),
            ("compression", &self.compression),
            ("pin", &self.pin),
        ] {
            if let Some(value) = value {
                out.text(name, value)?;
            }
        }
        for (name, value) in [
            ("package", &self.package),
            ("vouch", &self.vouch),
            ("by", &self.by),
        ] {
            if let Some(value) = value {
                out.text(name, value)?;
            }
        }
        if self.unreferenced {
            out.pair("unreferenced", &true)?;
        }
        if self.reproduced {
            out.pair("reproduced", &"yes")?;
        }
        for (name, value) in [("min", self.min), ("max", self.max), ("row", self.row)] {
            if let Some(value) = value {
                out.pair(name, &value)?;
            }
        }
        for (name, value) in [
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", &self.cursor),
            ("at", &self.at),
        ] {
            if let Some(value) = value {
                out.text(name, value)?;
            }
        }
        Ok(())
    }
}
