//! Addresses about what is uploaded and who decides on it: what waits, and the policy.

use std::fmt;

use super::text::{QueryWriter, pairs, word};
use super::{RouteError, escape};
use crate::api::approvals::ApprovalState;

/// A page about uploads that somebody decides on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ContributeRoute {
    /// `/c/{cache}/approvals`: what waits.
    Approvals {
        /// Slug of the cache.
        cache: String,
        /// What is asked for.
        query: ApprovalsQuery,
    },
    /// `/c/{cache}/approvals/{id}`: one upload that waits.
    Approval {
        /// Slug of the cache.
        cache: String,
        /// Its id.
        id: String,
    },
    /// `/c/{cache}/settings/policy`: the rules for uploads.
    Policy {
        /// Slug of the cache.
        cache: String,
    },
}

/// Which of what waits or waited. The same parameters go to `GET /api/v1/caches/{cache}/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ApprovalsQuery {
    /// In this state; `None`: what waits.
    pub state: Option<ApprovalState>,
    /// Only one's own.
    pub mine: bool,
    /// Where the page begins: the `next` of the page before it.
    pub cursor: Option<String>,
}

impl ApprovalsQuery {
    /// Reads a query string without its question mark.
    ///
    /// # Errors
    /// Where a known parameter has a value that means nothing.
    pub fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "state" => {
                    let state: ApprovalState = word("state", &value)?;
                    parsed.state = (state != ApprovalState::Waiting).then_some(state);
                }
                "mine" => {
                    parsed.mine = match value.as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(RouteError::parameter("mine", &value)),
                    }
                }
                "cursor" => parsed.cursor = Some(value),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

impl fmt::Display for ApprovalsQuery {
    /// `?state=…`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        if let Some(state) = self.state {
            out.pair("state", &state)?;
        }
        if self.mine {
            out.pair("mine", &true)?;
        }
        out.text("cursor", self.cursor.as_deref().unwrap_or_default())
    }
}

impl ContributeRoute {
    /// The cache that it is about.
    pub fn cache(&self) -> &str {
        match self {
            Self::Approvals { cache, .. }
            | Self::Approval { cache, .. }
            | Self::Policy { cache } => cache,
        }
    }

    /// What waits in a cache.
    pub fn approvals(cache: impl Into<String>) -> Self {
        Self::Approvals {
            cache: cache.into(),
            query: ApprovalsQuery::default(),
        }
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Result<Self, RouteError>> {
        let text = |text: &str| text.to_owned();
        Some(Ok(match segments {
            ["c", cache, "approvals"] => match ApprovalsQuery::parse(query) {
                Ok(query) => Self::Approvals {
                    cache: text(cache),
                    query,
                },
                Err(error) => return Some(Err(error)),
            },
            ["c", cache, "approvals", id] => Self::Approval {
                cache: text(cache),
                id: text(id),
            },
            ["c", cache, "settings", "policy"] => Self::Policy { cache: text(cache) },
            _ => return None,
        }))
    }
}

impl fmt::Display for ContributeRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals { cache, query } => {
                write!(f, "/c/{}/approvals{query}", escape(cache))
            }
            Self::Approval { cache, id } => {
                write!(f, "/c/{}/approvals/{}", escape(cache), escape(id))
            }
            Self::Policy { cache } => write!(f, "/c/{}/settings/policy", escape(cache)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    #[test]
    fn every_page_about_uploads_is_read_back() {
        let team = || "team".to_owned();
        let query = ApprovalsQuery {
            state: Some(ApprovalState::Rejected),
            mine: true,
            cursor: Some("a~b".into()),
        };
        for (route, text) in [
            (ContributeRoute::approvals("team"), "/c/team/approvals"),
            (
                ContributeRoute::Approvals {
                    cache: team(),
                    query,
                },
                "/c/team/approvals?state=rejected&mine=true&cursor=a~b",
            ),
            (
                ContributeRoute::Approval {
                    cache: team(),
                    id: "0a1b".into(),
                },
                "/c/team/approvals/0a1b",
            ),
            (
                ContributeRoute::Policy { cache: team() },
                "/c/team/settings/policy",
            ),
        ] {
            let route = Route::Contribute(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route));
        }
        assert_eq!(
            "/c/team/approvals?state=waiting".parse(),
            Ok(Route::Contribute(ContributeRoute::approvals("team")))
        );
        assert!("/c/team/approvals?state=gone".parse::<Route>().is_err());
    }
}
