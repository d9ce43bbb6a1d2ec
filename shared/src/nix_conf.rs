//! The lines by which a Nix client uses a cache, as nix.conf and as a NixOS
//! module (PROTOCOL.md §15 and §16, ux/connect.md 3.9).
//!
//! The `extra-` forms append: cache.nixos.org stays. nix.conf has no quotes and
//! no escapes, `#` begins a comment even inside of a URL, and one URL that does
//! not parse breaks every Nix command. So nothing is written that was not
//! checked: a [`SubstituterUrl`] and a [`PublicKey`] hold no blank, no control
//! character and no `#`, a URL no quote either, and strings of the Nix language
//! are escaped. (A key's name may hold quotes: quote it before a shell sees it.)
//!
//! Files that people have are read by [`document`], simulated by [`effective`], and
//! changed by [`merge`]; [`diff`] shows what changed.

mod block;
pub mod conflict;
pub mod diff;
pub mod doctor;
pub mod document;
pub mod edit;
pub mod effective;
pub mod former;
pub mod merge;
pub mod names;
pub mod owner;
pub mod remove;

use std::fmt::{self, Write};
use std::str::FromStr;

use crate::signature::PublicKey;

/// The longest URL accepted, in bytes.
const MAX_URL_LEN: usize = 2000;

/// The URL of a cache, safe to be written into nix.conf: `http`, `https`, `s3` or
/// `file`, a host or path, and only characters that nix.conf, Nix and shells leave alone in quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubstituterUrl(String);

/// Why a URL cannot stand in nix.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubstituterUrlError {
    /// Another scheme, or none.
    #[error("a cache's URL begins with http://, https://, s3:// or file://")]
    Scheme,
    /// Nothing after the scheme.
    #[error("the URL has no host")]
    NoHost,
    /// A password would be published with the line.
    #[error("the URL holds a user name or password; those belong into a netrc file")]
    Credentials,
    /// Over 2,000 bytes.
    #[error("the URL is longer than {MAX_URL_LEN} bytes")]
    TooLong,
    /// A character that could be misread. Position in bytes, from 1.
    #[error("character {position} of the URL must be percent-encoded to stand in nix.conf")]
    Character {
        /// Which.
        position: usize,
    },
}

impl SubstituterUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubstituterUrl {
    type Err = SubstituterUrlError;
    fn from_str(text: &str) -> Result<Self, SubstituterUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(SubstituterUrlError::Scheme)?;
        if !["http", "https", "s3", "file"].contains(&scheme) {
            return Err(SubstituterUrlError::Scheme);
        }
        if text.len() > MAX_URL_LEN {
            return Err(SubstituterUrlError::TooLong);
        }
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!&*+,;=%".contains(&byte);
        if let Some(position) = text.bytes().position(|byte| !allowed(byte)) {
            return Err(SubstituterUrlError::Character {
                position: position + 1,
            });
        }
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if host.contains('@') {
            return Err(SubstituterUrlError::Credentials);
        }
        if host.is_empty() && !(scheme == "file" && rest.len() > 1) {
            return Err(SubstituterUrlError::NoHost);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SubstituterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::hash::serde_as_text!(SubstituterUrl);

/// A cache, or several, as a client configures them: where they are and which keys to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    urls: Vec<SubstituterUrl>,
    keys: Vec<PublicKey>,
}

impl ClientSettings {
    /// The settings for one cache. Keys are written in this order, each once; of
    /// two keys with one name a client believes only the first.
    pub fn new(url: SubstituterUrl, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut unique = Vec::new();
        for key in keys {
            if !unique.contains(&key) {
                unique.push(key);
            }
        }
        Self {
            urls: vec![url],
            keys: unique,
        }
    }

    /// These settings and another cache's, asked in this order. What both have is written once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for url in other.urls {
            if !self.urls.contains(&url) {
                self.urls.push(url);
            }
        }
        for key in other.keys {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        self
    }

    /// The same, with the first cache read at another address. The others stay as they are.
    #[must_use]
    pub fn read_at(mut self, url: SubstituterUrl) -> Self {
        if let Some(first) = self.urls.first_mut() {
            *first = url;
        }
        self
    }

    /// The same, with the first cache asked in this place instead of the one that it says itself;
    /// the smaller is asked first, cache.nixos.org has 40. The others stay as they are.
    #[must_use]
    pub fn with_priority(mut self, priority: u16) -> Self {
        if let Some(first) = self.urls.first_mut() {
            let (base, query) = first.0.split_once('?').unwrap_or((&first.0, ""));
            let others = query
                .split('&')
                .filter(|pair| !pair.is_empty() && !pair.starts_with("priority="));
            let mut text = base.to_owned();
            let mut separator = '?';
            for pair in others {
                let _ = write!(text, "{separator}{pair}");
                separator = '&';
            }
            let _ = write!(text, "{separator}priority={priority}");
            // One that became too long stays as it was.
            if let Ok(url) = text.parse() {
                *first = url;
            }
        }
        self
    }

    /// Where the caches are.
    pub fn urls(&self) -> &[SubstituterUrl] {
        &self.urls
    }

    /// The keys to trust.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The lines for nix.conf: `extra-substituters` and, where there are keys,
    /// `extra-trusted-public-keys`.
    pub fn nix_conf(&self) -> String {
        let mut text = String::from("extra-substituters =");
        for url in &self.urls {
            let _ = write!(text, " {url}");
        }
        text.push('\n');
        if !self.keys.is_empty() {
            text.push_str("extra-trusted-public-keys =");
            for key in &self.keys {
                let _ = write!(text, " {key}");
            }
            text.push('\n');
        }
        text
    }

    /// The same lines between markers by which a later edit finds them again. Characters
    /// of `title` and `page` that could end the comment are left out.
    pub fn nix_conf_block(&self, title: &str, page: &str) -> String {
        let (title, page) = (comment(title), comment(page));
        format!(
            "# >>> nix cache: {title} ({page}) >>>\n{}# <<< nix cache: {title} <<<\n",
            self.nix_conf()
        )
    }

    /// A module for NixOS and nix-darwin.
    pub fn nixos_module(&self) -> String {
        let mut text = String::from("{ ... }:\n{\n  nix.settings = {\n");
        text.push_str("    extra-substituters = [");
        for url in &self.urls {
            let _ = write!(text, " {}", nix_string(url.as_str()));
        }
        text.push_str(" ];\n");
        if !self.keys.is_empty() {
            text.push_str("    extra-trusted-public-keys = [");
            for key in &self.keys {
                let _ = write!(text, " {}", nix_string(&key.to_string()));
            }
            text.push_str(" ];\n");
        }
        text.push_str("  };\n}\n");
        text
    }
}

impl ClientSettings {
    /// A flake that offers the settings as modules for NixOS, nix-darwin and home-manager.
    /// It has no inputs, so a lock file pins nothing but these lines.
    pub fn flake(&self, title: &str, page: &str) -> String {
        let (title, page) = (comment(title), comment(page));
        let words = |values: Vec<String>| {
            let values: Vec<String> = values.iter().map(|value| nix_string(value)).collect();
            values.join(" ")
        };
        let urls = words(self.urls.iter().map(ToString::to_string).collect());
        let keys = words(self.keys.iter().map(ToString::to_string).collect());
        let keys = if keys.is_empty() {
            String::new()
        } else {
            format!("        extra-trusted-public-keys = [ {keys} ];\n")
        };
        format!(
            "# The Nix cache {title}: its address and its keys as modules. From {page}
{{
  description = {description};
  outputs =
    {{ ... }}:
    let
      settings = {{
        extra-substituters = [ {urls} ];
{keys}      }};
      module = {{ ... }}: {{ nix.settings = settings; }};
    in
    {{
      nixosModules.default = module;
      darwinModules.default = module;
      homeModules.default =
        {{ lib, pkgs, ... }}:
        {{
          nix.package = lib.mkDefault pkgs.nix;
          nix.settings = settings;
        }};
    }};
}}
",
            description = nix_string(&format!("The Nix cache {title}")),
        )
    }
}

/// A list of public keys: one `name:base64` a line, after a comment that says whose they are.
pub fn keys_txt<'a>(title: &str, keys: impl IntoIterator<Item = &'a PublicKey>) -> String {
    let mut text = format!("# Public keys of the Nix cache {}\n", comment(title));
    for key in keys {
        let _ = writeln!(text, "{key}");
    }
    text
}

/// Reads a list of public keys: one a line, `#` begins a comment, blank lines are nothing.
///
/// # Errors
/// The first line that is no key, from 1, and why.
pub fn parse_keys_txt(text: &str) -> Result<Vec<PublicKey>, (u32, crate::signature::KeyError)> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            keys.push(line.parse().map_err(|error| (number, error))?);
        }
    }
    Ok(keys)
}

/// A text inside of a comment: one line, nothing that hides or turns other characters.
pub(crate) fn comment(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .filter(|c| !hidden(*c))
        .take(MAX_URL_LEN)
        .collect()
}

/// A string literal of the Nix language.
pub(crate) fn nix_string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        // `$` begins an antiquotation, `${`.
        if matches!(c, '"' | '\\' | '$') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";

    fn team() -> ClientSettings {
        let url = "https://cache.example.com/team".parse().expect("a URL");
        ClientSettings::new(url, [KEY.parse().expect("a key")])
    }

    #[test]
    fn the_golden_block_is_written() {
        assert_eq!(
            team().nix_conf_block("team", "https://console.example.com/c/team"),
            "# >>> nix cache: team (https://console.example.com/c/team) >>>
extra-substituters = https://cache.example.com/team
extra-trusted-public-keys = team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=
# <<< nix cache: team <<<
"
        );
    }

    #[test]
    fn the_golden_module_is_written() {
        assert_eq!(
            team().nixos_module(),
            r#"{ ... }:
{
  nix.settings = {
    extra-substituters = [ "https://cache.example.com/team" ];
    extra-trusted-public-keys = [ "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=" ];
  };
}
"#
        );
    }

    #[test]
    fn a_cache_without_keys_has_no_empty_line_of_keys() {
        let url: SubstituterUrl = "s3://bucket?region=eu-west-1&endpoint=minio:9000"
            .parse()
            .expect("a URL");
        let settings = ClientSettings::new(url.clone(), []);
        assert_eq!(settings.nix_conf(), format!("extra-substituters = {url}\n"));
        assert!(!settings.nixos_module().contains("keys"));
    }

    #[test]
    fn urls_that_mean_something_else_to_nix_conf_are_refused() {
        for (text, error) in [
            ("cache.example.com", SubstituterUrlError::Scheme),
            ("javascript://x", SubstituterUrlError::Scheme),
            ("https://", SubstituterUrlError::NoHost),
            ("https:///x", SubstituterUrlError::NoHost),
            ("file:///", SubstituterUrlError::NoHost),
            ("https://nix:secret@host", SubstituterUrlError::Credentials),
            (
                "https://a b",
                SubstituterUrlError::Character { position: 10 },
            ),
            (
                "https://a#b",
                SubstituterUrlError::Character { position: 10 },
            ),
            (
                "https://a\nsubstituters = x",
                SubstituterUrlError::Character { position: 10 },
            ),
            (
                "https://a\"",
                SubstituterUrlError::Character { position: 10 },
            ),
            (
                "https://a'",
                SubstituterUrlError::Character { position: 10 },
            ),
            (
                "https://a$(x)",
                SubstituterUrlError::Character { position: 10 },
            ),
            ("https://ä", SubstituterUrlError::Character { position: 9 }),
        ] {
            assert_eq!(text.parse::<SubstituterUrl>(), Err(error), "{text:?}");
        }
        let long = format!("https://a/{}", "b".repeat(MAX_URL_LEN));
        assert_eq!(
            long.parse::<SubstituterUrl>(),
            Err(SubstituterUrlError::TooLong)
        );
        for good in [
            "http://[::1]:8080/main",
            "file:///srv/cache",
            "https://a/b?priority=30",
        ] {
            assert!(good.parse::<SubstituterUrl>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_priority_is_a_parameter_of_the_first_url() {
        let other = ClientSettings::new("https://other.example.com".parse().expect("a URL"), []);
        for (url, with) in [
            ("https://a.example/x", "https://a.example/x?priority=30"),
            (
                "https://a.example/x?priority=7",
                "https://a.example/x?priority=30",
            ),
            ("s3://b?region=r&priority=7", "s3://b?region=r&priority=30"),
        ] {
            let settings = ClientSettings::new(url.parse().expect("a URL"), []);
            let settings = settings.and(other.clone()).with_priority(30);
            assert_eq!(settings.urls()[0].as_str(), with);
            assert_eq!(settings.urls()[1], other.urls[0]);
            let moved = settings.read_at("s3://bucket".parse().expect("a URL"));
            assert_eq!(moved.urls()[0].as_str(), "s3://bucket");
            assert_eq!(moved.urls()[1], other.urls[0]);
        }
    }

    #[test]
    fn a_title_cannot_break_out_of_its_comment() {
        let block = team().nix_conf_block("x\nsubstituters = evil", "y\u{2028}z\u{202e}");
        assert!(
            block.lines().all(|line| line.starts_with(['#', 'e'])),
            "{block}"
        );
        assert_eq!(block.lines().count(), 4);
    }

    #[test]
    fn keys_files_round_trip_and_name_the_bad_line() {
        let settings = team();
        let text = keys_txt("team\n", settings.keys());
        assert_eq!(
            text,
            format!("# Public keys of the Nix cache team\n{KEY}\n")
        );
        assert_eq!(parse_keys_txt(&text), Ok(settings.keys().to_vec()));
        let bad = parse_keys_txt(&format!("{KEY} # mine\n\nnonsense\n"));
        assert_eq!(bad, Err((3, crate::signature::KeyError::NoColon)));
    }

    #[test]
    fn several_caches_share_each_line() {
        let other = ClientSettings::new("https://other.example.com".parse().expect("a URL"), []);
        let both = team().and(other).and(team());
        assert_eq!(
            both.nix_conf(),
            format!(
                "extra-substituters = https://cache.example.com/team https://other.example.com\nextra-trusted-public-keys = {KEY}\n"
            )
        );
        assert!(both.nixos_module().contains(
            r#"extra-substituters = [ "https://cache.example.com/team" "https://other.example.com" ];"#
        ));
    }

    #[test]
    fn the_same_key_is_written_once() {
        let settings = team();
        let twice = ClientSettings::new(
            settings.urls[0].clone(),
            [settings.keys[0].clone(), settings.keys[0].clone()],
        );
        assert_eq!(twice, settings);
    }

    proptest! {
        #[test]
        fn nothing_that_parses_can_add_a_line_or_a_token(text in "(https?|s3|file)://\\PC{0,30}") {
            if let Ok(url) = text.parse::<SubstituterUrl>() {
                let settings = ClientSettings::new(url, team().keys);
                let conf = settings.nix_conf();
                prop_assert_eq!(conf.lines().count(), 2);
                prop_assert!(conf.lines().all(|line| line.split_ascii_whitespace().count() == 3));
                prop_assert!(!conf.contains('#'));
                prop_assert!(!conf.contains(['"', '\'', '\\', '$', '`']));
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<SubstituterUrl>();
            let _ = parse_keys_txt(&text);
        }
    }
}
