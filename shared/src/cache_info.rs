//! `nix-cache-info`: what a cache says of itself (PROTOCOL.md §1).
//!
//! Two of its traps are why Snowbank always serves its own. Without a `Priority`
//! clients take 0 and ask this cache before cache.nixos.org (40). And a
//! `Priority` that is no number ends every Nix command that so much as
//! looks at the cache.

use std::fmt;

use crate::store_path::{StoreDir, StorePathError};

/// The object's name.
pub const KEY: &str = "nix-cache-info";

/// The Content-Type that Nix sends and expects.
pub const CONTENT_TYPE: &str = "text/x-nix-cache-info";

/// The largest one that is read, in bytes. Real ones have below 100.
pub const MAX_BYTES: usize = 64 << 10;

/// What `nix-cache-info` says. Prints as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store directory that its paths are for; clients with another refuse the cache.
    pub store_dir: StoreDir,
    /// Whether a client may ask for many paths at once, as `nix-env -qas` does.
    pub want_mass_query: bool,
    /// Which cache is asked first: the smaller. cache.nixos.org has 40.
    pub priority: i32,
}

/// Why a `nix-cache-info` is refused. Lines are from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheInfoError {
    /// Larger than [`MAX_BYTES`].
    #[error("{0} bytes; a nix-cache-info has at most {MAX_BYTES}")]
    TooLarge(usize),
    /// No client can have such a store directory.
    #[error("line {line}, StoreDir: {error}")]
    StoreDir {
        /// Where.
        line: u32,
        /// Why.
        error: StorePathError,
    },
    /// Nix dies with `error: stoi`.
    #[error("line {line}, Priority: \"{value}\" is no number that fits into 32 bits: every Nix command that uses this cache fails", value = value.escape_debug())]
    Priority {
        /// Where.
        line: u32,
        /// What stands there.
        value: String,
    },
}

impl CacheInfo {
    /// Parses as Nix does: unknown keys and lines without a colon are passed over, the
    /// last of several counts, `12abc` is priority 12, none is 0. `StoreDir` may be
    /// missing; it is then `/nix/store`.
    ///
    /// # Errors
    /// See [`CacheInfoError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CacheInfoError> {
        if bytes.len() > MAX_BYTES {
            return Err(CacheInfoError::TooLarge(bytes.len()));
        }
        let mut info = Self {
            store_dir: StoreDir::default(),
            want_mass_query: false,
            priority: 0,
        };
        for (line, text) in (1..).zip(String::from_utf8_lossy(bytes).split('\n')) {
            let Some((name, value)) = text.split_once(':') else {
                continue;
            };
            let value = value.trim_matches([' ', '\t', '\r', '\n']);
            match name {
                "StoreDir" => {
                    info.store_dir = value
                        .parse()
                        .map_err(|error| CacheInfoError::StoreDir { line, error })?;
                }
                "WantMassQuery" => info.want_mass_query = value == "1",
                "Priority" => {
                    info.priority =
                        parse_leading_number(value).ok_or_else(|| CacheInfoError::Priority {
                            line,
                            value: value.chars().take(40).collect(),
                        })?;
                }
                _ => {}
            }
        }
        Ok(info)
    }
}

/// C++'s `stoi`: blanks, a sign, digits; what follows the digits is passed over.
fn parse_leading_number(text: &str) -> Option<i32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign + digits].parse().ok()
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StoreDir: {}", self.store_dir)?;
        writeln!(f, "WantMassQuery: {}", u8::from(self.want_mass_query))?;
        writeln!(f, "Priority: {}", self.priority)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<CacheInfo, CacheInfoError> {
        CacheInfo::parse(text.as_bytes())
    }

    #[test]
    fn what_nix_itself_writes_has_only_a_store_dir() {
        let info = parse("StoreDir: /nix/store\n").expect("parses");
        assert_eq!((info.priority, info.want_mass_query), (0, false));
        assert_eq!(
            info.to_string(),
            "StoreDir: /nix/store\nWantMassQuery: 0\nPriority: 0\n"
        );
    }

    #[test]
    fn priorities_are_read_as_stoi_does() {
        for (text, priority) in [
            ("40", 40),
            (" 40", 40),
            ("12abc", 12),
            ("-3", -3),
            ("+7", 7),
            ("007", 7),
        ] {
            let info = parse(&format!("Priority:{text}\r\n")).expect(text);
            assert_eq!(info.priority, priority, "{text}");
        }
        for text in ["", "abc", "-", "99999999999", "0x"] {
            let result = parse(&format!("StoreDir: /nix/store\nPriority: {text}\n"));
            match text {
                "0x" => assert_eq!(result.expect("reads the zero").priority, 0),
                _ => assert_eq!(
                    result,
                    Err(CacheInfoError::Priority {
                        line: 2,
                        value: text.into()
                    })
                ),
            }
        }
    }

    #[test]
    fn only_1_is_true_and_the_last_line_counts() {
        assert!(
            !parse("WantMassQuery: yes\n")
                .expect("parses")
                .want_mass_query
        );
        assert!(
            parse("junk\nWantMassQuery: 0\nWantMassQuery: 1")
                .expect("parses")
                .want_mass_query
        );
    }

    #[test]
    fn a_store_dir_with_a_slash_at_the_end_is_refused() {
        assert_eq!(
            parse("StoreDir: /nix/store/\n"),
            Err(CacheInfoError::StoreDir {
                line: 1,
                error: StorePathError::BadStoreDir
            })
        );
    }

    proptest! {
        #[test]
        fn round_trips(want_mass_query: bool, priority: i32) {
            let info = CacheInfo { store_dir: StoreDir::default(), want_mass_query, priority };
            prop_assert_eq!(parse(&info.to_string()), Ok(info));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "((StoreDir|Priority|WantMassQuery):\\PC{0,9}\n){0,4}") {
            let _ = CacheInfo::parse(&bytes);
            let _ = parse(&text);
        }
    }
}
