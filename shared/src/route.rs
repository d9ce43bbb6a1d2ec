//! Every address of the dashboard, in one place.
//!
//! [`Route`] is made by [`FromStr`] from a path with its query, and printed by
//! [`Display`](fmt::Display) as the canonical form of the same. The server parses with it to
//! decide whether a request gets the dashboard or a 404; the dashboard
//! links with it, so that no address is spelled twice. Addresses begin at the
//! base of the public URL: a server under `/nixcache/` takes that off first.
//!
//! Only pages that exist are here.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::api::{ContentStatus, SignatureStatus};

/// A page of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/`: the caches of this server.
    Caches,
    /// `/c/{cache}`: one cache at a glance.
    Cache {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/paths`: search its paths.
    Paths {
        /// Slug of the cache.
        cache: String,
        /// What is asked for.
        query: PathsQuery,
    },
    /// `/c/{cache}/p/{hash}` and its tabs.
    Path {
        /// Slug of the cache.
        cache: String,
        /// Hash part of the store path: 32 characters of nix32.
        hash: String,
        /// Which tab.
        tab: PathTab,
    },
    /// `/c/{cache}/health`: what is wrong in the bucket.
    Health {
        /// Slug of the cache.
        cache: String,
        /// Only the findings of this check: `/c/{cache}/health/{check}`.
        check: Option<String>,
    },
    /// `/connect`: lines for a machine's configuration.
    Connect {
        /// Slugs of the chosen caches.
        caches: Vec<String>,
        /// Where the lines go.
        target: ConnectTarget,
    },
    /// `/lookup`: are these paths cached?
    Lookup {
        /// Hash parts, or store paths as somebody wrote them.
        paths: Vec<String>,
    },
    /// `/help`: keyboard, preferences, addresses for machines.
    Help,
    /// `/help/glossary`: the words used here.
    Glossary,
    /// `/about`: version, licence.
    About,
}

/// A tab of a path's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum PathTab {
    /// Sizes, facts, references: no suffix.
    #[default]
    Summary,
    /// Everything it needs: `/closure`.
    Closure,
    /// What needs it: `/referrers`.
    Referrers,
    /// Who vouches for it: `/signatures`.
    Signatures,
    /// The narinfo as it lies: `/raw`.
    Raw,
}

impl PathTab {
    /// Every tab, in the order shown.
    pub const ALL: [Self; 5] = [
        Self::Summary,
        Self::Closure,
        Self::Referrers,
        Self::Signatures,
        Self::Raw,
    ];

    /// The last segment of the address; empty for the summary.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Summary => "",
            Self::Closure => "closure",
            Self::Referrers => "referrers",
            Self::Signatures => "signatures",
            Self::Raw => "raw",
        }
    }
}

/// What the Connect page writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ConnectTarget {
    /// Lines for `/etc/nix/nix.conf`.
    #[default]
    NixConf,
    /// A NixOS module.
    NixOs,
}

impl ConnectTarget {
    /// Every target, in the order shown.
    pub const ALL: [Self; 2] = [Self::NixConf, Self::NixOs];

    /// Its word in the address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NixConf => "nix-conf",
            Self::NixOs => "nixos",
        }
    }
}

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
    /// Only paths that no other path refers to.
    pub unreferenced: bool,
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

/// Why a text is not an address of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// There is no such page.
    #[error("there is no page at this address")]
    NoSuchPage,
    /// The page exists, and a parameter in the query has a value that means nothing.
    #[error("`{name}` cannot be `{value}`")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
    },
}

impl RouteError {
    fn parameter(name: &'static str, value: &str) -> Self {
        Self::Parameter {
            name,
            value: value.to_owned(),
        }
    }
}

/// What is escaped in a path segment or a query value: all but the unreserved
/// characters of RFC 3986, and of these a segment never needs more.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path segment or query value, escaped for an address.
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ESCAPED)
}

fn unescape(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// A query value; a plus sign is a space, as forms send it.
fn unescape_value(text: &str) -> Option<String> {
    unescape(&text.replace('+', "%20"))
}

/// The pairs of a query, unescaped. Pairs without a value, or that do not decode, are left out.
fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = unescape_value(value)?;
        (!value.is_empty()).then_some((name, value))
    })
}

/// Writes `?name=value&name=value`.
struct QueryWriter<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    separator: char,
}

impl QueryWriter<'_, '_> {
    fn pair(&mut self, name: &str, value: &dyn fmt::Display) -> fmt::Result {
        write!(self.out, "{}{name}={value}", self.separator)?;
        self.separator = '&';
        Ok(())
    }

    fn text(&mut self, name: &str, value: &str) -> fmt::Result {
        if value.is_empty() {
            return Ok(());
        }
        self.pair(name, &escape(value))
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
            unreferenced,
            min,
            max,
            since,
            until,
            cursor: _,
            at: _,
        } = self;
        q.is_empty()
            && sig.is_none()
            && content.is_none()
            && key.is_none()
            && compression.is_none()
            && !unreferenced
            && min.is_none()
            && max.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// The same search from its first page, as it is now.
    #[must_use]
    pub fn first_page(&self) -> Self {
        Self {
            cursor: None,
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
                "unreferenced" => {
                    parsed.unreferenced = match value.as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(RouteError::parameter("unreferenced", &value)),
                    }
                }
                "min" => parsed.min = Some(word("min", &value)?),
                "max" => parsed.max = Some(word("max", &value)?),
                "since" => parsed.since = Some(value),
                "until" => parsed.until = Some(value),
                "cursor" => parsed.cursor = Some(value),
                "at" => parsed.at = Some(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn word<T: FromStr>(name: &'static str, value: &str) -> Result<T, RouteError> {
    value
        .parse()
        .map_err(|_| RouteError::parameter(name, value))
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
        for (name, value) in [("key", &self.key), ("compression", &self.compression)] {
            if let Some(value) = value {
                out.text(name, value)?;
            }
        }
        if self.unreferenced {
            out.pair("unreferenced", &true)?;
        }
        for (name, value) in [("min", self.min), ("max", self.max)] {
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

impl Route {
    /// The cache it is about, where it is about one.
    pub fn cache(&self) -> Option<&str> {
        match self {
            Self::Cache { cache }
            | Self::Paths { cache, .. }
            | Self::Path { cache, .. }
            | Self::Health { cache, .. } => Some(cache),
            Self::Caches
            | Self::Connect { .. }
            | Self::Lookup { .. }
            | Self::Help
            | Self::Glossary
            | Self::About => None,
        }
    }

    /// The overview of a cache.
    pub fn of_cache(cache: impl Into<String>) -> Self {
        Self::Cache {
            cache: cache.into(),
        }
    }

    /// All paths of a cache.
    pub fn paths(cache: impl Into<String>) -> Self {
        Self::Paths {
            cache: cache.into(),
            query: PathsQuery::default(),
        }
    }

    /// A path's summary.
    pub fn path(cache: impl Into<String>, hash: impl Into<String>) -> Self {
        Self::Path {
            cache: cache.into(),
            hash: hash.into(),
            tab: PathTab::Summary,
        }
    }

    /// All findings of a cache.
    pub fn health(cache: impl Into<String>) -> Self {
        Self::Health {
            cache: cache.into(),
            check: None,
        }
    }

    /// Connect, with one cache chosen.
    pub fn connect(cache: impl Into<String>) -> Self {
        Self::Connect {
            caches: vec![cache.into()],
            target: ConnectTarget::default(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caches => f.write_str("/"),
            Self::Cache { cache } => write!(f, "/c/{}", escape(cache)),
            Self::Paths { cache, query } => write!(f, "/c/{}/paths{query}", escape(cache)),
            Self::Path { cache, hash, tab } => {
                write!(f, "/c/{}/p/{}", escape(cache), escape(hash))?;
                match tab {
                    PathTab::Summary => Ok(()),
                    tab => write!(f, "/{}", tab.segment()),
                }
            }
            Self::Health { cache, check } => {
                write!(f, "/c/{}/health", escape(cache))?;
                match check {
                    Some(check) => write!(f, "/{}", escape(check)),
                    None => Ok(()),
                }
            }
            Self::Connect { caches, target } => {
                f.write_str("/connect")?;
                let mut out = QueryWriter {
                    out: f,
                    separator: '?',
                };
                let slugs: Vec<String> =
                    caches.iter().map(|slug| escape(slug).to_string()).collect();
                if !slugs.is_empty() {
                    out.pair("caches", &slugs.join(","))?;
                }
                if *target != ConnectTarget::default() {
                    out.pair("target", &target.as_str())?;
                }
                Ok(())
            }
            Self::Lookup { paths } => {
                f.write_str("/lookup")?;
                let mut out = QueryWriter {
                    out: f,
                    separator: '?',
                };
                paths.iter().try_for_each(|path| out.text("p", path))
            }
            Self::Help => f.write_str("/help"),
            Self::Glossary => f.write_str("/help/glossary"),
            Self::About => f.write_str("/about"),
        }
    }
}

impl FromStr for Route {
    type Err = RouteError;

    /// Parses a path with or without a query; a fragment is ignored. One
    /// trailing slash is allowed, `/p/{hash}-{name}` means `/p/{hash}`.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        let text = text.split('#').next().unwrap_or_default();
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = path.strip_prefix('/').ok_or(RouteError::NoSuchPage)?;
        let path = match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => path,
        };
        let segments: Vec<String> = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/')
                .map(|segment| unescape(segment).filter(|text| is_segment(text)))
                .collect::<Option<_>>()
                .ok_or(RouteError::NoSuchPage)?
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Ok(match segments.as_slice() {
            [] => Self::Caches,
            ["c", cache] => Self::of_cache(*cache),
            ["c", cache, "paths"] => Self::Paths {
                cache: (*cache).to_owned(),
                query: PathsQuery::parse(query)?,
            },
            ["c", cache, "p", path] => Self::path(*cache, hash_part(path)?),
            ["c", cache, "p", path, tab] => Self::Path {
                cache: (*cache).to_owned(),
                hash: hash_part(path)?,
                tab: PathTab::ALL
                    .into_iter()
                    .find(|known| *known != PathTab::Summary && known.segment() == *tab)
                    .ok_or(RouteError::NoSuchPage)?,
            },
            ["c", cache, "health"] => Self::health(*cache),
            ["c", cache, "health", check] => Self::Health {
                cache: (*cache).to_owned(),
                check: Some((*check).to_owned()),
            },
            ["connect"] => connect(query)?,
            ["lookup"] => Self::Lookup {
                paths: pairs(query)
                    .filter(|(name, _)| *name == "p")
                    .map(|(_, path)| path)
                    .collect(),
            },
            ["help"] => Self::Help,
            ["help", "glossary"] => Self::Glossary,
            ["about"] => Self::About,
            _ => return Err(RouteError::NoSuchPage),
        })
    }
}

/// A segment that can be printed and read back: not empty, no control
/// character, and not one that a browser would resolve away.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.chars().any(char::is_control)
}

/// The hash part of `hash` or `hash-name`. Whether such a path exists, the page says.
fn hash_part(segment: &str) -> Result<String, RouteError> {
    let hash = segment.split_once('-').map_or(segment, |(hash, _)| hash);
    let in_alphabet = |byte: u8| {
        matches!(byte, b'0'..=b'9' | b'a'..=b'z') && !matches!(byte, b'e' | b'o' | b't' | b'u')
    };
    if hash.len() == 32 && hash.bytes().all(in_alphabet) {
        Ok(hash.to_owned())
    } else {
        Err(RouteError::NoSuchPage)
    }
}

fn connect(query: &str) -> Result<Route, RouteError> {
    let mut caches = Vec::new();
    let mut target = ConnectTarget::default();
    // The commas between the slugs are not escaped, those inside one are.
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("caches", list)) => {
                caches = list
                    .split(',')
                    .filter_map(unescape_value)
                    .filter(|slug| is_segment(slug))
                    .collect();
            }
            Some(("target", word)) if !word.is_empty() => {
                target = ConnectTarget::ALL
                    .into_iter()
                    .find(|target| target.as_str() == word)
                    .ok_or_else(|| RouteError::parameter("target", word))?;
            }
            _ => {}
        }
    }
    Ok(Route::Connect { caches, target })
}

#[cfg(test)]
mod tests;
