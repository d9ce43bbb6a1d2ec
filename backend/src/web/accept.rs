//! What the client can take: `Accept-Encoding` with its weights, and whether it is a browser.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

/// Weights of the codings we have, in thousandths; 0 is "not at all".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codings {
    /// `br`
    pub brotli: u16,
    /// `gzip`
    pub gzip: u16,
    /// `zstd`
    pub zstd: u16,
    /// `identity`
    pub identity: u16,
}

impl Codings {
    /// What the request's headers say (RFC 9110, 12.5.3). Without the header only
    /// identity is certain to be understood: old Nix sends none and decodes what it likes.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut named = [None; 4];
        let mut rest = None;
        for value in headers.get_all(ACCEPT_ENCODING) {
            let Ok(value) = value.to_str() else { continue };
            for item in value.split(',') {
                let mut parts = item.split(';');
                let name = parts.next().unwrap_or_default().trim();
                let weight = parts.find_map(weight).unwrap_or(1000);
                match name.to_ascii_lowercase().as_str() {
                    "br" => named[0] = Some(weight),
                    "gzip" | "x-gzip" => named[1] = Some(weight),
                    "zstd" => named[2] = Some(weight),
                    "identity" => named[3] = Some(weight),
                    "*" => rest = Some(weight),
                    _ => {}
                }
            }
        }
        let of = |at: usize| named[at].or(rest).unwrap_or(0);
        Self {
            brotli: of(0),
            gzip: of(1),
            zstd: of(2),
            // Acceptable unless it is excluded; among weighted ones it is the last resort.
            identity: named[3].or(rest.filter(|weight| *weight == 0)).unwrap_or(1),
        }
    }
}

/// `q=0.5` in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value: f32 = value.trim().parse().ok()?;
    // The range is checked, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1000.0).round() as u16)
}

/// Whether a browser asks for a page: it names `text/html` itself.
pub fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            item.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("text/html")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(header: Option<&str>) -> Codings {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(ACCEPT_ENCODING, header.parse().expect("a header"));
        }
        Codings::of(&headers)
    }

    #[test]
    fn weights_are_read_and_identity_is_the_last_resort() {
        let all = |brotli, gzip, zstd, identity| Codings {
            brotli,
            gzip,
            zstd,
            identity,
        };
        assert_eq!(codings(None), all(0, 0, 0, 1));
        assert_eq!(codings(Some("")), all(0, 0, 0, 1));
        assert_eq!(
            codings(Some("gzip, deflate, br, zstd")),
            all(1000, 1000, 1000, 1)
        );
        assert_eq!(
            codings(Some("br;q=0.5, GZIP ; q=0.8, identity;q=0")),
            all(500, 800, 0, 0)
        );
        assert_eq!(codings(Some("*;q=0.1, br;q=0")), all(0, 100, 100, 1));
        assert_eq!(codings(Some("*;q=0")), all(0, 0, 0, 0));
        assert_eq!(codings(Some("gzip;q=7, br;q=x")), all(1000, 1000, 0, 1));
    }

    #[test]
    fn only_who_names_html_is_a_browser() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().expect("a header"));
            wants_html(&headers)
        };
        assert!(wants("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(wants("Text/HTML;q=0.9"));
        assert!(!wants("*/*"));
        assert!(!wants("text/plain"));
        assert!(!wants_html(&HeaderMap::new()));
    }
}
