//! The address under which the server is known outside.

use std::fmt;
use std::str::FromStr;

/// `http(s)://host[:port]` and a path that ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    base: String,
}

/// A text that is not such a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// or https:// URL with a host and a plain path")]
pub struct PublicUrlError;

impl PublicUrl {
    /// `http://localhost`.
    pub fn localhost() -> Self {
        Self {
            origin: "http://localhost".into(),
            base: "/".into(),
        }
    }

    /// `https://host:port`, without a slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path: `/`, or like `/nix/`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The host name, without brackets and port.
    pub fn host(&self) -> &str {
        let authority = self.origin.split_once("://").map_or("", |(_, rest)| rest);
        if let Some(rest) = authority.strip_prefix('[') {
            return rest.split(']').next().unwrap_or_default();
        }
        authority.split(':').next().unwrap_or_default()
    }

    /// Whether it is https.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// The address of something below the base.
    pub fn join(&self, relative: &str) -> String {
        format!(
            "{}{}{}",
            self.origin,
            self.base,
            relative.trim_start_matches('/')
        )
    }

    /// A request's path without the base, beginning with `/`, where it lies below it.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.base.trim_end_matches('/'))
            .filter(|rest| rest.starts_with('/'))
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(PublicUrlError)?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(PublicUrlError);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let parsed: http::uri::Authority = authority.parse().map_err(|_| PublicUrlError)?;
        let plain_host = parsed
            .host()
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
        let bad_port = authority.len() > parsed.host().len() && parsed.port_u16().is_none();
        if parsed.host().is_empty() || authority.contains('@') || !plain_host || bad_port {
            return Err(PublicUrlError);
        }
        let path = path.trim_end_matches('/');
        let plain_path = path.split('/').skip(1).all(|part| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        });
        if !plain_path {
            return Err(PublicUrlError);
        }
        Ok(Self {
            origin: format!("{scheme}://{}", authority.to_ascii_lowercase()),
            base: format!("{path}/"),
        })
    }
}

impl fmt::Display for PublicUrl {
    /// Without a slash at the end where the path is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_an_origin_and_a_base() {
        for (text, origin, base, shown) in [
            (
                "http://localhost:8080",
                "http://localhost:8080",
                "/",
                "http://localhost:8080",
            ),
            (
                "https://Cache.Example.org/",
                "https://cache.example.org",
                "/",
                "https://cache.example.org",
            ),
            ("https://h/nix/", "https://h", "/nix/", "https://h/nix"),
            (
                "http://[::1]:80/a/b",
                "http://[::1]:80",
                "/a/b/",
                "http://[::1]:80/a/b",
            ),
        ] {
            let url: PublicUrl = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((url.origin(), url.base()), (origin, base));
            assert_eq!(url.to_string(), shown);
        }
        for bad in [
            "",
            "localhost",
            "ftp://x",
            "http://",
            "http://u@h",
            "http://h/?q",
            "http://h/#f",
            "http://h//a",
            "http://h/..",
            "http://h/a b",
            "http://h/%2e",
            "http://h:x",
            "http://h:",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_base_comes_off_whole_segments_only() {
        let url: PublicUrl = "https://h/nix".parse().expect("a URL");
        assert_eq!(url.strip("/nix/api"), Some("/api"));
        assert_eq!(url.strip("/nix/"), Some("/"));
        assert_eq!(url.strip("/nixos/api"), None);
        assert_eq!(url.strip("/api"), None);
        assert_eq!(url.host(), "h");
        assert_eq!(url.join("/c/main"), "https://h/nix/c/main");
    }
}
