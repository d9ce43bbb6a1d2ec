//! Requests that change something come from our own pages or from programs, never from a
//! page of somebody else.
//!
//! A browser says with `Origin` which page sends an unsafe request. One that names another
//! origin is refused whatever it carries; one that names none is refused where it carries our
//! cookie, which only a browser does.

use http::header::ORIGIN;
use http::{HeaderMap, Method};

use crate::config::PublicUrl;

/// A request from a page that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignOrigin {
    /// Another page's.
    #[error(
        "This request came from a page of {given}, and this server is at {ours}. Open it there, or set `public_url`."
    )]
    Other {
        /// What the request says, cut and escaped.
        given: String,
        /// Our origin.
        ours: String,
    },
    /// Nobody's, with our cookie.
    #[error("This request carries a session and does not say which page it comes from.")]
    Missing,
}

/// Whether a request may change something, as far as its page goes. Our origins are those of the
/// public URL; `has_session` tells whether it carries our cookie.
///
/// # Errors
/// Where the request is unsafe and not from a page of ours.
pub fn check(
    method: &Method,
    headers: &HeaderMap,
    public_url: &PublicUrl,
    has_session: bool,
) -> Result<(), ForeignOrigin> {
    if method.is_safe() {
        return Ok(());
    }
    let mut given = headers.get_all(ORIGIN).iter();
    match (given.next(), given.next()) {
        (None, _) if has_session => Err(ForeignOrigin::Missing),
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes() == public_url.origin().as_bytes() => Ok(()),
        (Some(first), _) => Err(ForeignOrigin::Other {
            given: String::from_utf8_lossy(first.as_bytes())
                .chars()
                .take(100)
                .flat_map(char::escape_debug)
                .collect(),
            ours: public_url.origin().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_pages_and_programs_change_things() {
        let ours: PublicUrl = "https://cache.example.org/nix".parse().expect("a URL");
        let ask = |method: Method, origin: Option<&str>, session: bool| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().expect("a header"));
            }
            check(&method, &headers, &ours, session).is_ok()
        };
        assert!(
            ask(Method::GET, Some("https://evil.example"), true),
            "reading changes nothing"
        );
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(ask(method.clone(), Some("https://cache.example.org"), true));
            assert!(ask(method.clone(), None, false), "a program with a token");
            assert!(!ask(method.clone(), None, true));
            for foreign in [
                "https://evil.example",
                "null",
                "http://cache.example.org",
                "https://cache.example.org.evil.example",
                "https://cache.example.org:8443",
            ] {
                assert!(!ask(method.clone(), Some(foreign), true), "{foreign}");
                assert!(
                    !ask(method.clone(), Some(foreign), false),
                    "{foreign}: signing in is a change too"
                );
            }
        }
    }
}
