//! Cookies: the session of a browser, and the state of a sign-in under way.
//!
//! The session's cookie is `HttpOnly`, `SameSite=Strict`, `Secure` where the public URL is
//! https, and bound to the path of that URL. Browsers keep one jar for all ports of a host, so
//! its name holds a digest of the public URL: two servers on one machine do not sign each other's
//! people out. The cookie of a sign-in at an identity provider is `Lax`, because the browser comes
//! back from another site; it lives ten minutes and gives no power.

use http::HeaderMap;
use http::header::COOKIE;
use sha2::{Digest as _, Sha256};

use crate::config::PublicUrl;

/// Bytes of cookies that are looked at.
const LONGEST: usize = 16 * 1024;

/// The names and attributes of our cookies.
#[derive(Debug, Clone)]
pub struct Cookies {
    session: String,
    sign_in: String,
    /// `; Path=…; HttpOnly[; Secure]`
    attributes: String,
}

impl Cookies {
    /// Those of a server at this address.
    pub fn of(public_url: &PublicUrl) -> Self {
        let digest = Sha256::digest(public_url.join("").as_bytes());
        let digest = snowbank_shared::hash::nix32::encode(&digest[..5]);
        // A browser takes a `__Host-` cookie only from this very host, over https, for all of it.
        let prefix = match (public_url.is_secure(), public_url.base()) {
            (true, "/") => "__Host-",
            (true, _) => "__Secure-",
            (false, _) => "",
        };
        let secure = if public_url.is_secure() {
            "; Secure"
        } else {
            ""
        };
        Self {
            session: format!("{prefix}snowbank-{digest}"),
            sign_in: format!("{prefix}snowbank-login-{digest}"),
            attributes: format!("; Path={}; HttpOnly{secure}", public_url.base()),
        }
    }

    /// The session's value in a request.
    pub fn session<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        find(headers, &self.session)
    }

    /// The value of the sign-in under way.
    pub fn sign_in<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        find(headers, &self.sign_in)
    }

    /// `Set-Cookie` for a session; the value is one of ours and needs no quoting.
    pub fn set_session(&self, value: &str, seconds: i64) -> String {
        format!(
            "{}={value}{}; SameSite=Strict; Max-Age={seconds}",
            self.session, self.attributes
        )
    }

    /// `Set-Cookie` that ends the session.
    pub fn clear_session(&self) -> String {
        self.set_session("", 0)
    }

    /// `Set-Cookie` for a sign-in under way.
    pub fn set_sign_in(&self, value: &str, seconds: i64) -> String {
        format!(
            "{}={value}{}; SameSite=Lax; Max-Age={seconds}",
            self.sign_in, self.attributes
        )
    }

    /// `Set-Cookie` that ends the sign-in.
    pub fn clear_sign_in(&self) -> String {
        self.set_sign_in("", 0)
    }
}

/// The value of a cookie. Of two with one name, which only somebody beside us can have set, none counts.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        let Ok(text) = header.to_str() else { continue };
        if text.len() > LONGEST {
            continue;
        }
        for pair in text.split(';') {
            if let Some((key, value)) = pair.trim().split_once('=')
                && key == name
            {
                if found.is_some() {
                    return None;
                }
                found = Some(value);
            }
        }
    }
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(url: &str) -> Cookies {
        Cookies::of(&url.parse().expect("a URL"))
    }

    fn request(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().expect("a header"));
        headers
    }

    #[test]
    fn attributes_follow_the_public_url() {
        let plain = cookies("http://cache.lan:8080").set_session("v", 60);
        assert!(
            plain.ends_with("=v; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"),
            "{plain}"
        );
        let secure = cookies("https://cache.example.org").set_session("v", 60);
        assert!(
            secure.starts_with("__Host-snowbank-") && secure.contains("; Secure;"),
            "{secure}"
        );
        let below = cookies("https://example.org/nix").set_session("v", 60);
        assert!(
            below.starts_with("__Secure-") && below.contains("; Path=/nix/;"),
            "{below}"
        );
        assert!(
            cookies("http://h")
                .set_sign_in("v", 1)
                .contains("SameSite=Lax")
        );
        assert!(cookies("http://h").clear_session().ends_with("Max-Age=0"));
    }

    #[test]
    fn servers_on_one_host_have_cookies_of_their_own() {
        let (one, two) = (cookies("http://127.0.0.1:1"), cookies("http://127.0.0.1:2"));
        let set = one.set_session("v", 60);
        let headers = request(set.split(';').next().unwrap_or_default());
        assert_eq!(one.session(&headers), Some("v"));
        assert_eq!(two.session(&headers), None);
    }

    #[test]
    fn a_cookie_is_found_among_others_and_twice_is_none() {
        let jar = cookies("http://h");
        let name = jar.session.clone();
        assert_eq!(
            jar.session(&request(&format!("a=b; {name}=v; c"))),
            Some("v")
        );
        assert_eq!(jar.session(&request(&format!("{name}=v; {name}=w"))), None);
        assert_eq!(jar.session(&request(&format!("{name}="))), None);
        assert_eq!(jar.session(&request("x=y")), None);
    }
}
