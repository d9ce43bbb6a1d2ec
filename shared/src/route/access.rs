//! Addresses about people: signing in, members, tokens, settings, the audit.

use std::fmt;

use super::text::{QueryWriter, pairs};
use super::{RouteError, escape};

/// A page about people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AccessRoute {
    /// `/login`: how to sign in.
    Login {
        /// The address to return to.
        back: Option<String>,
        /// Why a sign-in at the identity provider did not work: a code of the server's.
        problem: Option<String>,
    },
    /// `/invite/{link}`: accept an invitation, or sign in by a one-time link.
    Invite {
        /// The link's secret.
        link: String,
    },
    /// `/members`: people and their roles.
    Members,
    /// `/me`: who I am here, and how to leave.
    Me,
    /// `/me/tokens`: what my machines send.
    Tokens,
    /// `/me/keys`: the keys with which I sign what I upload.
    Keys,
    /// `/settings`, `/c/{cache}/settings`.
    Settings {
        /// Slug of the cache; `None`: the server.
        cache: Option<String>,
    },
    /// `/audit`, `/c/{cache}/audit`: who did what.
    Audit {
        /// Slug of the cache; `None`: the server.
        cache: Option<String>,
        /// What is asked for.
        query: AuditQuery,
    },
}

/// Which entries of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AuditQuery {
    /// Only what this one did.
    pub actor: String,
    /// Only acts whose word begins so, such as `token`.
    pub action: String,
    /// Only what was done to this.
    pub object: String,
    /// From this day on, `2026-11-23`.
    pub from: String,
}

impl AuditQuery {
    /// Reads a query string without its question mark.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "actor" => parsed.actor = value,
                "action" => parsed.action = value,
                "object" => parsed.object = value,
                "from" => parsed.from = value,
                _ => {}
            }
        }
        parsed
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        out.text("actor", &self.actor)?;
        out.text("action", &self.action)?;
        out.text("object", &self.object)?;
        out.text("from", &self.from)
    }
}

impl fmt::Display for AuditQuery {
    /// `?actor=…`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl AccessRoute {
    /// The cache it is about, where it is about one.
    pub fn cache(&self) -> Option<&str> {
        match self {
            Self::Settings { cache } | Self::Audit { cache, .. } => cache.as_deref(),
            _ => None,
        }
    }

    /// The login page that returns to an address.
    pub fn login(back: Option<String>) -> Self {
        Self::Login {
            back: back.filter(|back| back != "/"),
            problem: None,
        }
    }

    /// Everything in the audit, of a cache or of the server.
    pub fn audit(cache: Option<String>) -> Self {
        Self::Audit {
            cache,
            query: AuditQuery::default(),
        }
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Result<Self, RouteError>> {
        let text = |text: &str| Some(text.to_owned());
        Some(Ok(match segments {
            ["login"] => {
                let mut route = (None, None);
                for (name, value) in pairs(query) {
                    match name {
                        "back" if value.starts_with('/') => route.0 = Some(value),
                        "problem" => route.1 = Some(value),
                        _ => {}
                    }
                }
                Self::Login {
                    back: route.0,
                    problem: route.1,
                }
            }
            ["invite", link] => Self::Invite {
                link: (*link).to_owned(),
            },
            ["members"] => Self::Members,
            ["me"] => Self::Me,
            ["me", "tokens"] => Self::Tokens,
            ["me", "keys"] => Self::Keys,
            ["settings"] => Self::Settings { cache: None },
            ["c", cache, "settings"] => Self::Settings { cache: text(cache) },
            ["audit"] => Self::Audit {
                cache: None,
                query: AuditQuery::parse(query),
            },
            ["c", cache, "audit"] => Self::Audit {
                cache: text(cache),
                query: AuditQuery::parse(query),
            },
            _ => return None,
        }))
    }
}

impl fmt::Display for AccessRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login { back, problem } => {
                f.write_str("/login")?;
                let mut out = QueryWriter {
                    out: f,
                    separator: '?',
                };
                out.text("back", back.as_deref().unwrap_or_default())?;
                out.text("problem", problem.as_deref().unwrap_or_default())
            }
            Self::Invite { link } => write!(f, "/invite/{}", escape(link)),
            Self::Members => f.write_str("/members"),
            Self::Me => f.write_str("/me"),
            Self::Tokens => f.write_str("/me/tokens"),
            Self::Keys => f.write_str("/me/keys"),
            Self::Settings { cache: None } => f.write_str("/settings"),
            Self::Settings { cache: Some(cache) } => write!(f, "/c/{}/settings", escape(cache)),
            Self::Audit { cache: None, query } => write!(f, "/audit{query}"),
            Self::Audit {
                cache: Some(cache),
                query,
            } => write!(f, "/c/{}/audit{query}", escape(cache)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    #[test]
    fn every_page_about_people_is_read_back() {
        let query = AuditQuery {
            actor: "alice".into(),
            action: "token".into(),
            object: "a b&c".into(),
            from: "2026-11-23".into(),
        };
        for (route, text) in [
            (AccessRoute::login(Some("/".into())), "/login"),
            (
                AccessRoute::login(Some("/c/main/paths?q=a&sort=name".into())),
                "/login?back=%2Fc%2Fmain%2Fpaths%3Fq%3Da%26sort%3Dname",
            ),
            (
                AccessRoute::Invite {
                    link: "snl_a_b".into(),
                },
                "/invite/snl_a_b",
            ),
            (AccessRoute::Members, "/members"),
            (AccessRoute::Me, "/me"),
            (AccessRoute::Tokens, "/me/tokens"),
            (AccessRoute::Keys, "/me/keys"),
            (AccessRoute::Settings { cache: None }, "/settings"),
            (
                AccessRoute::Settings {
                    cache: Some("team".into()),
                },
                "/c/team/settings",
            ),
            (AccessRoute::audit(None), "/audit"),
            (
                AccessRoute::Audit {
                    cache: Some("team".into()),
                    query,
                },
                "/c/team/audit?actor=alice&action=token&object=a%20b%26c&from=2026-11-23",
            ),
        ] {
            let route = Route::Access(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route));
        }
    }

    #[test]
    fn a_login_returns_to_pages_of_ours_only() {
        let back = |text: &str| match text.parse() {
            Ok(Route::Access(AccessRoute::Login { back, .. })) => back,
            _ => None,
        };
        assert_eq!(back("/login?back=https%3A%2F%2Fevil.example"), None);
        assert_eq!(back("/login?back=%2Fabout"), Some("/about".into()));
    }
}
