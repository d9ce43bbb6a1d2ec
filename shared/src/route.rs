//! Every address of the dashboard, in one place.
//!
//! [`Route`] is made by [`FromStr`] from a path with its query, and printed by
//! [`Display`](fmt::Display) as the canonical form of the same. The server parses with it to
//! decide whether a request gets the dashboard or a 404; the dashboard
//! links with it, so that no address is spelled twice. Addresses begin at the
//! base of the public URL: a server under `/nixcache/` takes that off first.
//!
//! Only pages that exist are here.

mod access;
mod connect;
mod contribute;
mod explore;
mod monitoring;
mod pins;
mod query;
mod text;
mod vouching;

use std::fmt;
use std::str::FromStr;

use crate::contents::{address_of, path_of};

pub use access::{AccessRoute, AuditQuery};
pub use connect::{
    ConnectAccess, ConnectExtra, ConnectFlavour, ConnectInstaller, ConnectQuery, ConnectRoute,
    ConnectScope, ConnectTarget,
};
pub use contribute::{ApprovalsQuery, ContributeRoute};
pub use explore::{ExploreRoute, PIN, PackagesQuery, ends, ends_text};
pub use monitoring::MonitoringRoute;
pub use pins::{PinsRoute, pin_at};
pub use query::{PathsQuery, Sort, SortKey};
pub(crate) use text::ESCAPED;
use text::{QueryWriter, is_segment, unescape};
pub use text::{escape, pairs};
pub use vouching::{VouchingQuery, VouchingRoute};

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
    /// `/c/{cache}/p/{hash}/files/{file…}`: what lies in the path, below its root.
    File {
        /// Slug of the cache.
        cache: String,
        /// Hash part of the store path.
        hash: String,
        /// The file's path inside, never empty: the names' bytes percent-encoded, joined by `/`
        /// ([`contents::address_of`](crate::contents::address_of)).
        file: String,
    },
    /// `/c/{cache}/conflicts`: builds that differ from what is here, of one path or of all.
    Conflicts {
        /// Slug of the cache.
        cache: String,
        /// Hash part of the store path: `/c/{cache}/conflicts/{hash}`.
        hash: Option<String>,
    },
    /// `/c/{cache}/health`: what is wrong in the bucket.
    Health {
        /// Slug of the cache.
        cache: String,
        /// Only the findings of this check: `/c/{cache}/health/{check}`.
        check: Option<String>,
    },
    /// `/c/{cache}/upload`: signed paths through a form.
    Upload {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/uploads`: what was uploaded lately, and what is on its way.
    Uploads {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/uploads/{id}`: how far an upload is, and its receipt.
    UploadSession {
        /// Slug of the cache.
        cache: String,
        /// The session.
        id: String,
    },
    /// `/c/{cache}/upstreams`: the caches that have paths of its own.
    Upstreams {
        /// Slug of the cache.
        cache: String,
    },
    /// Pages that bring a machine to a cache: `/connect` and below, `/explain`.
    Connect(ConnectRoute),
    /// `/lookup`: are these paths cached?
    Lookup {
        /// Hash parts, or store paths as somebody wrote them.
        paths: Vec<String>,
    },
    /// `/help`: search, keyboard, addresses for machines.
    Help,
    /// `/help/glossary`: the words used here.
    Glossary,
    /// `/help/components`: what the pages are built of, each part in each state.
    Components,
    /// `/me/preferences`: how this browser shows things.
    Preferences,
    /// `/about`: version, licence.
    About,
    /// Pages about people: `/login`, `/members`, `/me`, `/settings`, `/audit`.
    Access(AccessRoute),
    /// Pages about uploads that somebody decides on: `/c/{cache}/approvals`, `/c/{cache}/settings/policy`.
    Contribute(ContributeRoute),
    /// Pages about what stays and what is held back: `/c/{cache}/pins`, `/c/{cache}/quarantine`.
    Pins(PinsRoute),
    /// Pages about how paths hang together: `/c/{cache}/why`, `/c/{cache}/diff`, `/c/{cache}/packages`.
    Explore(ExploreRoute),
    /// Pages about who vouches for what: `/c/{cache}/keys`, `/c/{cache}/signatures`, `/c/{cache}/signing`, `/c/{cache}/rotation`.
    Vouching(VouchingRoute),
    /// Pages about how a cache is used and what may go: `/c/{cache}/usage`, `/c/{cache}/gc` and below.
    Monitoring(MonitoringRoute),
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
    /// The files in it: `/files`.
    Files,
    /// Who vouches for it: `/signatures`.
    Signatures,
    /// What its build printed: `/log`.
    Log,
    /// What happened to it: `/history`.
    History,
    /// The narinfo as it lies: `/raw`.
    Raw,
}

impl PathTab {
    /// Every tab, in the order shown.
    pub const ALL: [Self; 8] = [
        Self::Summary,
        Self::Closure,
        Self::Referrers,
        Self::Files,
        Self::Signatures,
        Self::Log,
        Self::History,
        Self::Raw,
    ];

    /// The last segment of the address; empty for the summary.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Summary => "",
            Self::Closure => "closure",
            Self::Referrers => "referrers",
            Self::Files => "files",
            Self::Signatures => "signatures",
            Self::Log => "log",
            Self::History => "history",
            Self::Raw => "raw",
        }
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

impl Route {
    /// The cache it is about, where it is about one.
    pub fn cache(&self) -> Option<&str> {
        match self {
            Self::Cache { cache }
            | Self::Paths { cache, .. }
            | Self::Path { cache, .. }
            | Self::File { cache, .. }
            | Self::Conflicts { cache, .. }
            | Self::Health { cache, .. }
            | Self::Upload { cache }
            | Self::Uploads { cache }
            | Self::UploadSession { cache, .. }
            | Self::Upstreams { cache } => Some(cache),
            Self::Access(route) => route.cache(),
            Self::Contribute(route) => Some(route.cache()),
            Self::Pins(route) => Some(route.cache()),
            Self::Explore(route) => Some(route.cache()),
            Self::Vouching(route) => Some(route.cache()),
            Self::Monitoring(route) => Some(route.cache()),
            Self::Caches
            | Self::Connect(_)
            | Self::Lookup { .. }
            | Self::Help
            | Self::Glossary
            | Self::Components
            | Self::Preferences
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
        Self::Connect(ConnectRoute::Generate(ConnectQuery::of(cache)))
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
            Self::File { cache, hash, file } => {
                write!(f, "/c/{}/p/{}/files/{file}", escape(cache), escape(hash))
            }
            Self::Conflicts { cache, hash } => {
                write!(f, "/c/{}/conflicts", escape(cache))?;
                match hash {
                    Some(hash) => write!(f, "/{}", escape(hash)),
                    None => Ok(()),
                }
            }
            Self::Health { cache, check } => {
                write!(f, "/c/{}/health", escape(cache))?;
                match check {
                    Some(check) => write!(f, "/{}", escape(check)),
                    None => Ok(()),
                }
            }
            Self::Upload { cache } => write!(f, "/c/{}/upload", escape(cache)),
            Self::Uploads { cache } => write!(f, "/c/{}/uploads", escape(cache)),
            Self::UploadSession { cache, id } => {
                write!(f, "/c/{}/uploads/{}", escape(cache), escape(id))
            }
            Self::Upstreams { cache } => write!(f, "/c/{}/upstreams", escape(cache)),
            Self::Connect(route) => route.fmt(f),
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
            Self::Components => f.write_str("/help/components"),
            Self::Preferences => f.write_str("/me/preferences"),
            Self::About => f.write_str("/about"),
            Self::Access(route) => route.fmt(f),
            Self::Contribute(route) => route.fmt(f),
            Self::Pins(route) => route.fmt(f),
            Self::Explore(route) => route.fmt(f),
            Self::Vouching(route) => route.fmt(f),
            Self::Monitoring(route) => route.fmt(f),
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
        if let Some(file) = file(path) {
            return file;
        }
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
            ["c", cache, "conflicts"] => Self::Conflicts {
                cache: (*cache).to_owned(),
                hash: None,
            },
            ["c", cache, "conflicts", hash] => Self::Conflicts {
                cache: (*cache).to_owned(),
                hash: Some(hash_part(hash)?),
            },
            ["c", cache, "health"] => Self::health(*cache),
            ["c", cache, "health", check] => Self::Health {
                cache: (*cache).to_owned(),
                check: Some((*check).to_owned()),
            },
            ["c", cache, "upload"] => Self::Upload {
                cache: (*cache).to_owned(),
            },
            ["c", cache, "uploads"] => Self::Uploads {
                cache: (*cache).to_owned(),
            },
            ["c", cache, "uploads", id] => Self::UploadSession {
                cache: (*cache).to_owned(),
                id: (*id).to_owned(),
            },
            ["c", cache, "upstreams"] => Self::Upstreams {
                cache: (*cache).to_owned(),
            },
            ["lookup"] => Self::Lookup {
                paths: pairs(query)
                    .filter(|(name, _)| *name == "p")
                    .map(|(_, path)| path)
                    .collect(),
            },
            ["help"] => Self::Help,
            ["help", "glossary"] => Self::Glossary,
            ["help", "components"] => Self::Components,
            ["me", "preferences"] => Self::Preferences,
            ["about"] => Self::About,
            other => {
                if let Some(route) = ConnectRoute::parse(other, query) {
                    Self::Connect(route?)
                } else if let Some(route) = AccessRoute::parse(other, query) {
                    Self::Access(route?)
                } else if let Some(route) = ContributeRoute::parse(other, query) {
                    Self::Contribute(route?)
                } else if let Some(route) = ExploreRoute::parse(other, query) {
                    Self::Explore(route?)
                } else if let Some(route) = VouchingRoute::parse(other, query) {
                    Self::Vouching(route)
                } else if let Some(route) = MonitoringRoute::parse(other, query) {
                    Self::Monitoring(route)
                } else {
                    Self::Pins(PinsRoute::parse(other).ok_or(RouteError::NoSuchPage)?)
                }
            }
        })
    }
}

/// A file inside a path, whose names need not be text; `None` where it is not the address of one.
fn file(path: &str) -> Option<Result<Route, RouteError>> {
    let mut parts = path.splitn(6, '/');
    let (c, cache, p, hash, files, file) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    );
    if (c, p, files) != ("c", "p", "files") {
        return None;
    }
    let cache = unescape(cache).filter(|text| is_segment(text));
    let file = path_of(file).map(|path| address_of(&path));
    Some(match (cache, hash_part(hash), file) {
        (Some(cache), Ok(hash), Some(file)) if !file.is_empty() => {
            Ok(Route::File { cache, hash, file })
        }
        _ => Err(RouteError::NoSuchPage),
    })
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

#[cfg(test)]
mod tests;
