//! The URL of a NAR (PROTOCOL.md §10, "URL forms in narinfo").
//!
//! Nix follows absolute URLs, even `file:` ones, wherever a narinfo sends it. A
//! server must not, and should not send others: what leads out of the cache is
//! refused for the index too.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// How a URL that stays inside of the cache is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `nar/<safe characters>`: what Nix writes, and all that an upload may have.
    Plain,
    /// With a query or fragment.
    WithQuery,
    /// Anything else, such as another folder.
    Unusual,
}

/// Checks that a URL stays inside of the cache, or says why not.
pub(super) fn check(url: &str) -> Result<Form, &'static str> {
    if let Some(file) = url.strip_prefix("nar/")
        && is_plain_file(file)
    {
        return Ok(Form::Plain);
    }
    if !url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        return Err(
            "has a blank, a control character, a backslash, or a character that is not ASCII",
        );
    }
    let path = path_of(url);
    if let Some((scheme, _)) = path.split_once(':')
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    {
        return Err("is absolute: it leads to another server or to a file of the client");
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    if decoded.starts_with(b"/") {
        return Err("begins with `/`: it leads out of the cache");
    }
    if decoded
        .split(|byte| *byte == b'/')
        .any(|part| matches!(part, b"." | b".." | b""))
    {
        return Err("has an empty, `.` or `..` part");
    }
    if decoded
        .iter()
        .any(|byte| !byte.is_ascii_graphic() || *byte == b'\\')
    {
        return Err(
            "has a percent-encoded control character, blank, backslash, or byte that is not ASCII",
        );
    }
    Ok(if path.len() < url.len() {
        Form::WithQuery
    } else {
        Form::Unusual
    })
}

fn is_plain_file(file: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !file.is_empty() && !file.starts_with('.') && !file.contains("..") && file.bytes().all(safe)
}

/// The URL up to its query or fragment.
fn path_of(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| &url[..end])
}

/// Key of the NAR's object that a narinfo's URL names, relative to the cache: without
/// query and fragment, percent-decoded.
pub fn object_key(url: &str) -> Cow<'_, str> {
    percent_decode_str(path_of(url)).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_cache_is_refused() {
        for url in [
            "http://127.0.0.1:1/x.nar",
            "file:///etc/passwd",
            "FILE:/etc/passwd",
            "/etc/passwd",
            "//host/x.nar",
            "../../etc/passwd",
            "nar/../../x",
            "nar/%2e%2E/x",
            "nar/..%2fx",
            "%2fetc/passwd",
            "nar//x",
            "nar/",
            "nar/x\ty.nar",
            "nar/x%09y.nar",
            "nar/x y",
            "nar\\x",
            "nar/ü.nar",
            "?x",
        ] {
            assert!(check(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn every_form_that_real_caches_write_is_read() {
        for (url, form, key) in [
            ("nar/1w1f.nar.xz", Form::Plain, "nar/1w1f.nar.xz"),
            ("nar/g1w7-1w1f.nar", Form::Plain, "nar/g1w7-1w1f.nar"),
            ("nar/1w1f.nar?hash=g1w7", Form::WithQuery, "nar/1w1f.nar"),
            ("nar/1w1f.nar#x", Form::WithQuery, "nar/1w1f.nar"),
            ("1w1f.nar.xz", Form::Unusual, "1w1f.nar.xz"),
            ("nar/a/b.nar", Form::Unusual, "nar/a/b.nar"),
            ("nar/a%2Bb.nar", Form::Unusual, "nar/a+b.nar"),
            ("nar/..x", Form::Unusual, "nar/..x"),
        ] {
            assert_eq!(check(url), Ok(form), "{url}");
            assert_eq!(object_key(url), key);
        }
    }
}
