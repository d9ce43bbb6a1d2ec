//! Pins: names for paths that must stay, with their history.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Characters of a pin's name at most.
pub const MOST_PIN_NAME: usize = 64;

/// Whether a text can be a pin's name: `[a-z0-9][a-z0-9._-]{0,63}`.
pub fn is_pin_name(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    (1..=MOST_PIN_NAME).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// A name for a path that must stay, with everything that the path needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Pin {
    /// Its name in the cache.
    pub name: String,
    /// The number of its newest revision. They count up for ever, also after it was unpinned.
    pub revision: u64,
    /// The full store path of the newest revision.
    pub path: String,
    /// Hash part of that path.
    pub hash: String,
    /// False where that path is not in the cache any more, or not known yet.
    pub present: bool,
    /// Sum of NarSize over its closure; `null` until computed.
    pub closure_size: Option<u64>,
    /// Paths of its closure; `null` until computed.
    pub closure_paths: Option<u64>,
    /// What only this pin keeps, its older revisions included: what could go if it were unpinned.
    pub exclusive: PinWeight,
    /// Revisions that it keeps now.
    pub kept: u64,
    /// How many of its newest revisions it keeps.
    pub keep: u16,
    /// Who made it; empty for strangers.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// Who made the newest revision; empty for strangers.
    pub changed_by: String,
    /// When.
    pub changed_at: String,
    /// What they said about it.
    pub note: String,
    /// The address that answers with the newest path as plain text.
    pub url: String,
}

/// Paths, and what they weigh; a NAR that several share counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PinWeight {
    /// Paths.
    pub paths: u64,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes as stored; `null` where one is unknown.
    pub file_size: Option<u64>,
}

/// A pin with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PinDetail {
    /// As lists show it.
    pub pin: Pin,
    /// The revisions that it keeps, newest first.
    pub revisions: Vec<PinRevision>,
}

/// A path that a pin named, from some time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PinRevision {
    /// Its number, from 1.
    pub number: u64,
    /// The full store path.
    pub path: String,
    /// Its hash part.
    pub hash: String,
    /// False where it is not in the cache, or not known yet.
    pub present: bool,
    /// Sum of NarSize over its closure; `null` until computed.
    pub closure_size: Option<u64>,
    /// When it was made.
    pub at: String,
    /// Who made it; empty for strangers.
    pub by: String,
    /// What they said about it.
    pub note: String,
}

/// Makes a pin, or its next revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SetPin {
    /// The path: full, `hash-name` or the hash. All that it needs has to be in the cache.
    pub path: String,
    /// The newest revision that was seen; 0: there is none. So that nobody overwrites what they did not see.
    pub expected: u64,
    /// What to say about it, up to 200 characters.
    #[serde(default)]
    pub note: String,
    /// How many of its newest revisions it keeps, 1 to 50; as it was where it is not given, 5 at first.
    #[serde(default)]
    pub keep: Option<u16>,
}

/// Makes the path of an older revision the newest again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RollBackPin {
    /// The revision whose path it is.
    pub to: u64,
    /// The newest revision that was seen.
    pub expected: u64,
}

/// A pin that names a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PinnedAs {
    /// The pin's name.
    pub name: String,
    /// The newest of its revisions that names the path.
    pub revision: u64,
    /// Whether that is its newest of all.
    pub current: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pins_are_plain() {
        for good in ["prod", "a", "0", "pr-17.x_y", &"a".repeat(64)] {
            assert!(is_pin_name(good), "{good}");
        }
        for bad in [
            "",
            "Prod",
            "-a",
            ".a",
            "a b",
            "a@1",
            "a/b",
            "é",
            &"a".repeat(65),
        ] {
            assert!(!is_pin_name(bad), "{bad}");
        }
    }
}
