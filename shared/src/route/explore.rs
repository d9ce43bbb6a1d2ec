//! Addresses about how paths hang together: why, diff, packages.

use std::fmt;

use super::text::{QueryWriter, pairs};
use super::{RouteError, escape, hash_part, pin_at};

/// What stands between two paths in an address.
const BETWEEN: &str = "...";
/// What a pin begins with where a path could stand too.
pub const PIN: &str = "pin:";

/// A page about how paths hang together.
///
/// An end is a path by its hash part, or `pin:NAME` or `pin:NAME@REVISION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExploreRoute {
    /// `/c/{cache}/why/{from}...{to}`: why one path needs another.
    Why {
        /// Slug of the cache.
        cache: String,
        /// What needs; `None`: not chosen yet.
        from: Option<String>,
        /// What is needed.
        to: Option<String>,
    },
    /// `/c/{cache}/diff/{from}...{to}`: what differs between two closures.
    Diff {
        /// Slug of the cache.
        cache: String,
        /// The left side; `None`: not chosen yet.
        from: Option<String>,
        /// The right side.
        to: Option<String>,
    },
    /// `/c/{cache}/packages`: its paths by the name before their version.
    Packages {
        /// Slug of the cache.
        cache: String,
        /// What is asked for.
        query: PackagesQuery,
    },
    /// `/c/{cache}/packages/{name}`: one package.
    Package {
        /// Slug of the cache.
        cache: String,
        /// The package, without version.
        name: String,
    },
}

/// Which packages. The same parameters go to `GET /api/v1/caches/{cache}/packages`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PackagesQuery {
    /// Part of the name.
    pub q: String,
    /// One of [`Self::SORTS`].
    pub sort: usize,
    /// Where the page begins: the `next` of the page before it.
    pub cursor: Option<String>,
}

impl PackagesQuery {
    /// The orders, as an address says them; the first where it says none.
    pub const SORTS: [&str; 4] = ["name", "-paths", "-nar_size", "-added_at"];

    fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "q" => parsed.q = value,
                "sort" => {
                    let sort = Self::SORTS.iter().position(|sort| *sort == value);
                    parsed.sort = sort.ok_or_else(|| RouteError::parameter("sort", &value))?;
                }
                "cursor" => parsed.cursor = Some(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

impl fmt::Display for PackagesQuery {
    /// `?q=…`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        out.text("q", &self.q)?;
        if let Some(sort) = Self::SORTS.get(self.sort).filter(|_| self.sort > 0) {
            out.text("sort", sort)?;
        }
        out.text("cursor", self.cursor.as_deref().unwrap_or_default())
    }
}

/// An end of a comparison: a hash part (a name may follow), or a pin.
fn end(text: &str) -> Option<String> {
    match text.strip_prefix(PIN) {
        Some(pin) => pin_at(pin).map(|_| text.to_owned()),
        None => hash_part(text).ok(),
    }
}

/// The two ends of `{from}...{to}`; an end may be left out.
///
/// Names may hold dots: the first place counts where both sides are something.
pub fn ends(text: &str) -> Option<(Option<String>, Option<String>)> {
    let side = |text: &str| match text {
        "" => Some(None),
        text => end(text).map(Some),
    };
    (0..text.len()).find_map(|at| {
        let (from, rest) = text.split_at_checked(at)?;
        let to = rest.strip_prefix(BETWEEN)?;
        Some((side(from)?, side(to)?))
    })
}

/// `{from}...{to}` as an address holds it.
pub fn ends_text(from: Option<&str>, to: Option<&str>) -> String {
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    format!("{from}{BETWEEN}{to}")
}

impl ExploreRoute {
    /// The cache it is about.
    pub fn cache(&self) -> &str {
        match self {
            Self::Why { cache, .. }
            | Self::Diff { cache, .. }
            | Self::Packages { cache, .. }
            | Self::Package { cache, .. } => cache,
        }
    }

    /// Why a path needs another, each by its hash part.
    pub fn why(cache: impl Into<String>, from: Option<&str>, to: Option<&str>) -> Self {
        Self::Why {
            cache: cache.into(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        }
    }

    /// What differs between two closures.
    pub fn diff(cache: impl Into<String>, from: Option<&str>, to: Option<&str>) -> Self {
        Self::Diff {
            cache: cache.into(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        }
    }

    /// All packages of a cache.
    pub fn packages(cache: impl Into<String>) -> Self {
        Self::Packages {
            cache: cache.into(),
            query: PackagesQuery::default(),
        }
    }

    /// Whether another address is of the same page, with other ends or another search.
    pub fn is_same_page(&self, other: &Self) -> bool {
        match self {
            Self::Package { .. } => self == other,
            _ => {
                std::mem::discriminant(self) == std::mem::discriminant(other)
                    && self.cache() == other.cache()
            }
        }
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Result<Self, RouteError>> {
        let ["c", cache, page, rest @ ..] = segments else {
            return None;
        };
        let cache = (*cache).to_owned();
        Some(match (*page, rest) {
            ("packages", []) => {
                PackagesQuery::parse(query).map(|query| Self::Packages { cache, query })
            }
            ("packages", [name]) => Ok(Self::Package {
                cache,
                name: (*name).to_owned(),
            }),
            ("why" | "diff", []) => queried(query).map(|(from, to)| match *page {
                "why" => Self::Why { cache, from, to },
                _ => Self::Diff { cache, from, to },
            }),
            ("why" | "diff", [both]) => {
                let (from, to) = ends(both)?;
                Ok(match *page {
                    "why" => Self::Why { cache, from, to },
                    _ => Self::Diff { cache, from, to },
                })
            }
            _ => return None,
        })
    }
}

/// The ends as parameters, as the API has them and forms send them.
fn queried(query: &str) -> Result<(Option<String>, Option<String>), RouteError> {
    let (mut from, mut to) = (None, None);
    for (name, value) in pairs(query) {
        let (name, place) = match name {
            "from" => ("from", &mut from),
            "to" => ("to", &mut to),
            _ => continue,
        };
        *place = Some(end(&value).ok_or_else(|| RouteError::parameter(name, &value))?);
    }
    Ok((from, to))
}

impl fmt::Display for ExploreRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/c/{}/", escape(self.cache()))?;
        let (page, from, to) = match self {
            Self::Packages { query, .. } => return write!(f, "packages{query}"),
            Self::Package { name, .. } => return write!(f, "packages/{}", escape(name)),
            Self::Why { from, to, .. } => ("why", from, to),
            Self::Diff { from, to, .. } => ("diff", from, to),
        };
        f.write_str(page)?;
        if from.is_some() || to.is_some() {
            write!(f, "/{}", ends_text(from.as_deref(), to.as_deref()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    const ONE: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";
    const TWO: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";

    #[test]
    fn every_page_of_the_explorer_is_read_back() {
        let query = PackagesQuery {
            q: "python3 & co".to_owned(),
            sort: 2,
            cursor: Some("a+b=".to_owned()),
        };
        let packages = ExploreRoute::Packages {
            cache: "main".to_owned(),
            query,
        };
        let package = |name: &str| ExploreRoute::Package {
            cache: "main".to_owned(),
            name: name.to_owned(),
        };
        let diff = |from, to| ExploreRoute::diff("main", from, to);
        for (route, text) in [
            (
                ExploreRoute::why("main", Some(ONE), Some(TWO)),
                "/c/main/why/xynxqns12h5f1dcq1j5x3c3232454njk...0c0dixlhq54yv4v0kws1bsmbnrz7m6p7",
            ),
            (
                ExploreRoute::why("main", None, Some(TWO)),
                "/c/main/why/...0c0dixlhq54yv4v0kws1bsmbnrz7m6p7",
            ),
            (
                ExploreRoute::why("main", Some(ONE), None),
                "/c/main/why/xynxqns12h5f1dcq1j5x3c3232454njk...",
            ),
            (ExploreRoute::why("main", None, None), "/c/main/why"),
            (diff(None, None), "/c/main/diff"),
            (
                diff(Some("pin:prod@13"), Some("pin:prod")),
                "/c/main/diff/pin:prod@13...pin:prod",
            ),
            (
                diff(Some("pin:a...b."), Some("pin:c..")),
                "/c/main/diff/pin:a...b....pin:c..",
            ),
            (
                packages,
                "/c/main/packages?q=python3%20%26%20co&sort=-nar_size&cursor=a%2Bb%3D",
            ),
            (ExploreRoute::packages("main"), "/c/main/packages"),
            (package("gtk+"), "/c/main/packages/gtk%2B"),
        ] {
            let route = Route::Explore(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route), "{text}");
        }
        let asked = format!("/c/main/diff?from={ONE}-top-1.0&to=pin%3Aprod%4013");
        assert_eq!(
            asked.parse(),
            Ok(Route::Explore(diff(Some(ONE), Some("pin:prod@13"))))
        );
    }

    #[test]
    fn what_is_no_end_is_refused() {
        for text in [
            format!("/c/main/why/{ONE}"),
            format!("/c/main/why/{ONE}..{TWO}"),
            format!("/c/main/why/{ONE}...short"),
            format!("/c/main/diff/pin:Prod...{TWO}"),
            format!("/c/main/diff/{ONE}...{TWO}/more"),
            "/c/main/packages/a/b".to_owned(),
        ] {
            assert_eq!(text.parse::<Route>(), Err(RouteError::NoSuchPage), "{text}");
        }
        for (text, name, value) in [
            ("/c/main/why?from=short", "from", "short"),
            ("/c/main/packages?sort=name2", "sort", "name2"),
        ] {
            let refused = RouteError::parameter(name, value);
            assert_eq!(text.parse::<Route>(), Err(refused));
        }
    }
}
