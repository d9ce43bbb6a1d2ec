//! What the audit keeps: one event for each act.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// An act, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, seconds since 1970.
    pub at: i64,
    /// Who: `member:…`, `token:…`, `server`, `anonymous`.
    pub actor: String,
    /// What was done, a word such as `token.create`.
    pub act: String,
    /// To what: a record's path, a store path, a cache.
    pub object: String,
    /// The cache that it concerns; `None`: the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Whether it was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// More, in short texts. Never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
    /// Where it came from. Kept apart from the rest, and not as long.
    #[serde(skip)]
    pub client: Option<IpAddr>,
}

/// Longest text of an event, in characters.
const LONGEST: usize = 500;

impl Event {
    /// An act that was done, now.
    pub fn new(actor: impl AsRef<str>, act: &'static str, object: impl AsRef<str>) -> Self {
        Self {
            at: OffsetDateTime::now_utc().unix_timestamp(),
            actor: bounded(actor.as_ref()),
            act: act.to_owned(),
            object: bounded(object.as_ref()),
            cache: None,
            refused: false,
            detail: BTreeMap::new(),
            client: None,
        }
    }

    /// The same, in a cache.
    #[must_use]
    pub fn in_cache(self, slug: &str) -> Self {
        Self {
            cache: Some(slug.to_owned()),
            ..self
        }
    }

    /// The same, asked for from an address.
    #[must_use]
    pub fn at_address(self, client: IpAddr) -> Self {
        Self {
            client: Some(client),
            ..self
        }
    }

    /// The same, with a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.detail.insert(name.to_owned(), bounded(value.as_ref()));
        self
    }

    /// The same, refused.
    #[must_use]
    pub fn refused(self) -> Self {
        Self {
            refused: true,
            ..self
        }
    }
}

/// On one line, control and bidirectional characters escaped, not endless.
fn bounded(text: &str) -> String {
    let mut bounded: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|character| match character {
            // Words of other languages stay as they are.
            '\'' | '"' | '\\' => vec![character],
            _ => character.escape_debug().collect(),
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        bounded.push('…');
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_on_one_line_and_keep_their_words() {
        let event =
            Event::new("member:Zoë O'Neil", "login", "a\nb\u{202e}c").with("x", "y".repeat(9999));
        assert_eq!(event.actor, "member:Zoë O'Neil");
        assert_eq!(event.object, "a\\nb\\u{202e}c");
        assert_eq!(event.detail["x"].chars().count(), LONGEST + 1);
    }
}
