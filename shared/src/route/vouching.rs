//! Addresses about who vouches for what: the keys of a cache, how much each covers, and changing
//! both.

use std::fmt;

use super::escape;
use super::text::{QueryWriter, is_segment, pairs};

/// A page about who vouches for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VouchingRoute {
    /// `/c/{cache}/keys`: every key that signed here, and what rests on it.
    Keys {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/keys/{name}`: one of them.
    Key {
        /// Slug of the cache.
        cache: String,
        /// The key's name, as `Sig` lines say it.
        name: String,
    },
    /// `/c/{cache}/signatures`: how much each key covers, and what goes with it.
    Signatures {
        /// Slug of the cache.
        cache: String,
        /// The query without its question mark: see [`VouchingQuery`]. Kept as text, because only
        /// the page itself reads it.
        query: String,
    },
    /// `/c/{cache}/signing`: adding and removing signatures.
    Signing {
        /// Slug of the cache.
        cache: String,
        /// The query without its question mark: `job=…`, or `p=…` of the paths that are meant. Kept as text
        /// like that of [`Self::Signatures`].
        query: String,
    },
    /// `/c/{cache}/rotation`: from one key of the cache to the next.
    Rotation {
        /// Slug of the cache.
        cache: String,
    },
}

/// What the page about coverage shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VouchingQuery {
    /// By what the rows are cut: a word of [`CoverageBy`](crate::api::vouching::CoverageBy).
    pub group: String,
    /// What a cell counts: `bytes`, `closures`; else paths.
    pub measure: String,
    /// Whom a machine trusts: names of keys known here, or whole keys, `name:base64`.
    pub keys: Vec<String>,
    /// Names of keys that are left out, to see what goes.
    pub drop: Vec<String>,
    /// Hash part of a path: only its closure is judged.
    pub path: String,
}

impl VouchingQuery {
    /// Reads a query; what it does not know is passed over.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "group" => parsed.group = value,
                "measure" => parsed.measure = value,
                "key" => parsed.keys.push(value),
                "drop" => parsed.drop.push(value),
                "path" => parsed.path = value,
                _ => {}
            }
        }
        parsed
    }

    /// The page that shows it.
    pub fn of(&self, cache: impl Into<String>) -> VouchingRoute {
        let query = self.to_string();
        VouchingRoute::Signatures {
            cache: cache.into(),
            query: query.strip_prefix('?').unwrap_or(&query).to_owned(),
        }
    }
}

impl fmt::Display for VouchingQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        out.text("group", &self.group)?;
        out.text("measure", &self.measure)?;
        self.keys.iter().try_for_each(|key| out.text("key", key))?;
        self.drop.iter().try_for_each(|key| out.text("drop", key))?;
        out.text("path", &self.path)
    }
}

impl VouchingRoute {
    /// The cache it is about.
    pub fn cache(&self) -> &str {
        match self {
            Self::Keys { cache }
            | Self::Key { cache, .. }
            | Self::Signatures { cache, .. }
            | Self::Signing { cache, .. }
            | Self::Rotation { cache } => cache,
        }
    }

    /// The page of a key; `None` where its name, which anybody can write into a narinfo, is no part of
    /// an address.
    pub fn key(cache: impl Into<String>, name: &str) -> Option<Self> {
        is_segment(name).then(|| Self::Key {
            cache: cache.into(),
            name: name.to_owned(),
        })
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Self> {
        Some(match segments {
            ["c", cache, "keys"] => Self::Keys {
                cache: (*cache).to_owned(),
            },
            ["c", cache, "keys", name] => Self::Key {
                cache: (*cache).to_owned(),
                name: (*name).to_owned(),
            },
            ["c", cache, "signatures"] => Self::Signatures {
                cache: (*cache).to_owned(),
                query: query.to_owned(),
            },
            ["c", cache, "signing"] => Self::Signing {
                cache: (*cache).to_owned(),
                query: query.to_owned(),
            },
            ["c", cache, "rotation"] => Self::Rotation {
                cache: (*cache).to_owned(),
            },
            _ => return None,
        })
    }
}

impl fmt::Display for VouchingRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cache, page, query) = match self {
            Self::Keys { cache } => (cache, "keys", ""),
            Self::Key { cache, name } => {
                return write!(f, "/c/{}/keys/{}", escape(cache), escape(name));
            }
            Self::Signatures { cache, query } => (cache, "signatures", query.as_str()),
            Self::Signing { cache, query } => (cache, "signing", query.as_str()),
            Self::Rotation { cache } => (cache, "rotation", ""),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        write!(f, "/c/{}/{page}{mark}{query}", escape(cache))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Route, RouteError};

    #[test]
    fn every_page_about_who_vouches_is_read_back() {
        let cache = || "main".to_owned();
        let asked = VouchingQuery {
            group: "pin".into(),
            measure: "closures".into(),
            keys: vec!["team-1".into(), "a&b".into()],
            drop: vec!["team-1".into()],
            path: "0mg3mag909yg8pk14cjsppxs2px7iqfv".into(),
        };
        for (route, text) in [
            (VouchingRoute::Keys { cache: cache() }, "/c/main/keys"),
            (
                VouchingRoute::key("main", "cache.nixos.org-1").expect("a page"),
                "/c/main/keys/cache.nixos.org-1",
            ),
            (
                VouchingRoute::key("main", "a/b c").expect("a page"),
                "/c/main/keys/a%2Fb%20c",
            ),
            (VouchingQuery::default().of("main"), "/c/main/signatures"),
            (
                asked.of("main"),
                "/c/main/signatures?group=pin&measure=closures&key=team-1&key=a%26b&drop=team-1&path=0mg3mag909yg8pk14cjsppxs2px7iqfv",
            ),
            (
                VouchingRoute::Signing {
                    cache: cache(),
                    query: String::new(),
                },
                "/c/main/signing",
            ),
            (
                VouchingRoute::Signing {
                    cache: cache(),
                    query: "job=0a1b".into(),
                },
                "/c/main/signing?job=0a1b",
            ),
            (
                VouchingRoute::Rotation { cache: cache() },
                "/c/main/rotation",
            ),
        ] {
            let route = Route::Vouching(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route));
        }
        let VouchingRoute::Signatures { query, .. } = asked.of("main") else {
            panic!("it is the page of signatures");
        };
        assert_eq!(VouchingQuery::parse(&query), asked);
        for name in ["", "..", "a\nb"] {
            assert_eq!(VouchingRoute::key("main", name), None, "{name}");
        }
        let none = "/c/main/keys/name/more".parse::<Route>();
        assert_eq!(none, Err(RouteError::NoSuchPage));
    }
}
