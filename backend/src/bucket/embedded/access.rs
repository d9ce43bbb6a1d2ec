//! Who may talk to a listener.
//!
//! Requests are signed with the listener's credentials (SigV4 in the header, in a presigned URL, or with
//! signed chunks; the `s3s` crate verifies them). Requests without a signature are let in only where that was
//! asked for, and only on a loopback address. Any web page in a browser on the same machine could
//! reach such a listener, so an unsigned request must also look like one of a tool: no `Origin`, no
//! form upload, and a `Host` that is the loopback itself and not some name that resolves to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Public part.
    pub access_key: String,
    /// Secret part. Never printed.
    pub secret_key: String,
}

impl Credentials {
    /// Fresh random credentials: 100 bits of name, 200 of secret.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> std::io::Result<Self> {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut random = [0_u8; 60];
        getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
        let letters: String = random
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect();
        Ok(Self {
            access_key: letters[..20].to_owned(),
            secret_key: letters[20..].to_owned(),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl S3Auth for Credentials {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            Ok(SecretKey::from(self.secret_key.as_str()))
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The access key ID you provided does not exist in our records."
            ))
        }
    }
}

/// What a listener lets unsigned requests do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing.
    #[default]
    Refused,
    /// Read and list.
    Read,
    /// Everything, as `nix copy` without credentials needs it.
    Full,
}

/// The rule of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// What unsigned requests may do.
    pub anonymous: Anonymous,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        if operation == "PostObject" {
            return Err(s3_error!(MethodNotAllowed, "form uploads are not offered"));
        }
        if context.credentials().is_some() {
            return Ok(());
        }
        let allowed = match self.anonymous {
            Anonymous::Refused => false,
            Anonymous::Read => ["Get", "Head", "List"]
                .iter()
                .any(|verb| operation.starts_with(verb)),
            Anonymous::Full => true,
        };
        if !allowed {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: this listener wants a signed request for {operation}"
            ));
        }
        if !is_from_a_tool(context.headers()) {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: unsigned requests from web pages are refused"
            ));
        }
        Ok(())
    }
}

/// Whether a request cannot come from a web page that a browser on this machine shows.
fn is_from_a_tool(headers: &HeaderMap) -> bool {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return false;
    }
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    host.to_str().is_ok_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn credentials_are_fresh_and_never_printed() {
        let (a, b) = (
            Credentials::generate().unwrap(),
            Credentials::generate().unwrap(),
        );
        assert_ne!(a, b);
        assert_eq!((a.access_key.len(), a.secret_key.len()), (20, 40));
        assert!(!format!("{a:?}").contains(&a.secret_key));
    }

    #[test]
    fn unsigned_requests_of_web_pages_are_refused() {
        let with = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )])
        };
        for host in [
            "127.0.0.1:9000",
            "127.0.0.1",
            "localhost",
            "LOCALHOST:1",
            "[::1]:80",
            "[::1]",
            "127.8.8.8:1",
        ] {
            assert!(is_from_a_tool(&with("host", host)), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9000",
            "10.0.0.1:80",
            "localhost.evil.example",
            "",
            "[::2]:1",
        ] {
            assert!(!is_from_a_tool(&with("host", host)), "{host}");
        }
        assert!(!is_from_a_tool(&with("origin", "null")));
        assert!(!is_from_a_tool(&with("sec-fetch-site", "cross-site")));
    }
}
