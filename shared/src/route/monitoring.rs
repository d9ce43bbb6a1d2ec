//! Addresses about how a cache is used, and about what may go: usage, retention, alerts.

use std::fmt;

use super::escape;

/// A page about how a cache is used, or about what may go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MonitoringRoute {
    /// `/c/{cache}/usage`: how large it is, who fetches what.
    Usage {
        /// Slug of the cache.
        cache: String,
        /// The query without its question mark: `tab`, `from`, `to`. Kept as text, because only the
        /// page itself reads it.
        query: String,
    },
    /// `/c/{cache}/gc`: what rules would keep and remove.
    Gc {
        /// Slug of the cache.
        cache: String,
        /// The query without its question mark: the rules. Kept as text like that of [`Self::Usage`].
        query: String,
    },
    /// `/c/{cache}/settings/alerts`: who is told when a figure is too low or too high.
    Alerts {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/gc/plans/{id}`: a frozen list of what is to go.
    Plan {
        /// Slug of the cache.
        cache: String,
        /// The plan.
        id: String,
    },
    /// `/c/{cache}/gc/runs/{id}`: how far a plan is carried out.
    Run {
        /// Slug of the cache.
        cache: String,
        /// The run.
        id: String,
    },
    /// `/c/{cache}/gc/purge/{hash}`: taking one path out now.
    Purge {
        /// Slug of the cache.
        cache: String,
        /// Hash part of the store path. Whether it is one, the page says.
        hash: String,
    },
}

impl MonitoringRoute {
    /// The cache it is about.
    pub fn cache(&self) -> &str {
        match self {
            Self::Usage { cache, .. }
            | Self::Gc { cache, .. }
            | Self::Alerts { cache }
            | Self::Plan { cache, .. }
            | Self::Run { cache, .. }
            | Self::Purge { cache, .. } => cache,
        }
    }

    /// Usage, as it opens.
    pub fn usage(cache: impl Into<String>) -> Self {
        Self::Usage {
            cache: cache.into(),
            query: String::new(),
        }
    }

    /// Retention, with the rules it has.
    pub fn gc(cache: impl Into<String>) -> Self {
        Self::Gc {
            cache: cache.into(),
            query: String::new(),
        }
    }

    /// Whether two addresses are of one page: what is asked of usage and retention changes in place.
    pub fn is_same_page(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Usage { cache: a, .. }, Self::Usage { cache: b, .. })
            | (Self::Gc { cache: a, .. }, Self::Gc { cache: b, .. }) => a == b,
            _ => self == other,
        }
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Self> {
        let ["c", cache, rest @ ..] = segments else {
            return None;
        };
        let (cache, query) = ((*cache).to_owned(), query.to_owned());
        Some(match rest {
            ["usage"] => Self::Usage { cache, query },
            ["gc"] => Self::Gc { cache, query },
            ["settings", "alerts"] => Self::Alerts { cache },
            ["gc", kind, id] => {
                let id = (*id).to_owned();
                match *kind {
                    "plans" => Self::Plan { cache, id },
                    "runs" => Self::Run { cache, id },
                    "purge" => Self::Purge { cache, hash: id },
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

impl fmt::Display for MonitoringRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, id, query) = match self {
            Self::Usage { query, .. } => ("usage", "", query.as_str()),
            Self::Gc { query, .. } => ("gc", "", query.as_str()),
            Self::Alerts { .. } => ("settings/alerts", "", ""),
            Self::Plan { id, .. } => ("gc/plans/", id.as_str(), ""),
            Self::Run { id, .. } => ("gc/runs/", id.as_str(), ""),
            Self::Purge { hash, .. } => ("gc/purge/", hash.as_str(), ""),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let (cache, id) = (escape(self.cache()), escape(id));
        write!(f, "/c/{cache}/{place}{id}{mark}{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Route, RouteError};

    #[test]
    fn every_page_about_use_and_retention_is_read_back() {
        let (cache, id) = (|| "main".to_owned(), || "0123abcd".to_owned());
        for (route, text) in [
            (MonitoringRoute::usage("main"), "/c/main/usage"),
            (
                MonitoringRoute::Usage {
                    cache: cache(),
                    query: "tab=misses&from=2026-11-01T00%3A00%3A00Z".into(),
                },
                "/c/main/usage?tab=misses&from=2026-11-01T00%3A00%3A00Z",
            ),
            (MonitoringRoute::gc("main"), "/c/main/gc"),
            (
                MonitoringRoute::Gc {
                    cache: cache(),
                    query: "keep=pins".into(),
                },
                "/c/main/gc?keep=pins",
            ),
            (
                MonitoringRoute::Alerts { cache: cache() },
                "/c/main/settings/alerts",
            ),
            (
                MonitoringRoute::Plan {
                    cache: cache(),
                    id: id(),
                },
                "/c/main/gc/plans/0123abcd",
            ),
            (
                MonitoringRoute::Run {
                    cache: cache(),
                    id: id(),
                },
                "/c/main/gc/runs/0123abcd",
            ),
            (
                MonitoringRoute::Purge {
                    cache: cache(),
                    hash: "xynxqns12h5f1dcq1j5x3c3232454njk".into(),
                },
                "/c/main/gc/purge/xynxqns12h5f1dcq1j5x3c3232454njk",
            ),
        ] {
            let route = Route::Monitoring(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(route.cache(), Some("main"));
            assert_eq!(text.parse(), Ok(route));
        }
        for text in [
            "/c/main/gc/plans",
            "/c/main/gc/x/y",
            "/c/main/usage/more",
            "/c/main/settings/else",
        ] {
            assert_eq!(text.parse::<Route>(), Err(RouteError::NoSuchPage), "{text}");
        }
    }

    #[test]
    fn what_is_asked_changes_in_place_and_another_cache_does_not() {
        let gc = |query: &str| MonitoringRoute::Gc {
            cache: "main".into(),
            query: query.into(),
        };
        assert!(gc("keep=pins").is_same_page(&gc("")));
        assert!(!gc("").is_same_page(&MonitoringRoute::gc("team")));
        assert!(!gc("").is_same_page(&MonitoringRoute::usage("main")));
    }
}
