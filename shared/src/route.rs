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
mod query;
mod text;

use std::fmt;
use std::str::FromStr;

pub use access::{AccessRoute, AuditQuery};
pub use query::{PathsQuery, Sort, SortKey};
pub use text::escape;
use text::{QueryWriter, is_segment, pairs, unescape, unescape_value};

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
            | Self::Health { cache, .. }
            | Self::Upload { cache }
            | Self::Uploads { cache }
            | Self::UploadSession { cache, .. } => Some(cache),
            Self::Access(route) => route.cache(),
            Self::Caches
            | Self::Connect { .. }
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
            Self::Upload { cache } => write!(f, "/c/{}/upload", escape(cache)),
            Self::Uploads { cache } => write!(f, "/c/{}/uploads", escape(cache)),
            Self::UploadSession { cache, id } => {
                write!(f, "/c/{}/uploads/{}", escape(cache), escape(id))
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
            Self::Components => f.write_str("/help/components"),
            Self::Preferences => f.write_str("/me/preferences"),
            Self::About => f.write_str("/about"),
            Self::Access(route) => route.fmt(f),
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
            ["connect"] => connect(query)?,
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
            other => match AccessRoute::parse(other, query) {
                Some(route) => Self::Access(route?),
                None => return Err(RouteError::NoSuchPage),
            },
        })
    }
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
