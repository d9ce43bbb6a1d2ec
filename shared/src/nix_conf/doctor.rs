//! The doctor: what is wrong with a configuration, line by line, and what to do.
//!
//! It reads a nix.conf, a netrc, or what `nix config show` prints. Rules D01 to D30 are
//! those of ux/connect.md 3.7. A fix is an edit of the text, so that it can be shown as a
//! difference before it is made. Nothing is sent anywhere.

mod addresses;
mod case;
mod grammar;
mod netrc;
mod order;
mod secrets;
mod trust;

use std::fmt;

use super::document::MAX_BYTES;
use super::edit::{self, Edit};
use super::effective::Includes;
use super::names::NixVersion;
use crate::signature::PublicKey;
use case::Case;

pub use secrets::secret_in;

/// A rule. Its name is how people cite it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the titles say it")]
pub enum Rule {
    D01,
    D02,
    D03,
    D04,
    D05,
    D06,
    D07,
    D08,
    D09,
    D10,
    D11,
    D12,
    D13,
    D14,
    D15,
    D16,
    D17,
    D18,
    D19,
    D20,
    D21,
    D22,
    D23,
    D24,
    D25,
    D26,
    D27,
    D28,
    D29,
    D30,
}

impl Rule {
    /// All rules, in order.
    pub const ALL: [Self; 30] = [
        Self::D01,
        Self::D02,
        Self::D03,
        Self::D04,
        Self::D05,
        Self::D06,
        Self::D07,
        Self::D08,
        Self::D09,
        Self::D10,
        Self::D11,
        Self::D12,
        Self::D13,
        Self::D14,
        Self::D15,
        Self::D16,
        Self::D17,
        Self::D18,
        Self::D19,
        Self::D20,
        Self::D21,
        Self::D22,
        Self::D23,
        Self::D24,
        Self::D25,
        Self::D26,
        Self::D27,
        Self::D28,
        Self::D29,
        Self::D30,
    ];

    /// What it finds, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::D01 => "The line is no “name = value”",
            Self::D02 => "A byte order mark at the start",
            Self::D03 => "Quotes or brackets around values",
            Self::D04 => "A semicolon at the end",
            Self::D05 => "Unknown setting",
            Self::D06 => "A line continued with a backslash",
            Self::D07 => "A # inside of a URL",
            Self::D08 => "A later line throws this one away",
            Self::D09 => "A setting is set twice",
            Self::D10 => "cache.nixos.org is not in force",
            Self::D11 => "A cache without its key, or a key without its cache",
            Self::D12 => "Two keys with one name",
            Self::D13 => "Not a public key",
            Self::D14 => "A secret key",
            Self::D15 => "Signatures are not required",
            Self::D16 => "A trusted user",
            Self::D17 => "Every flake may change the configuration",
            Self::D18 => "netrc-file is no absolute path",
            Self::D19 => "A netrc entry without a login",
            Self::D20 => "A key in a user's file",
            Self::D21 => "The URLs differ by a slash",
            Self::D22 => "http:// to a public host",
            Self::D23 => "s3:// needs credentials for root",
            Self::D24 => "An old and a new name for one setting",
            Self::D25 => "An included file that may be missing",
            Self::D26 => "One cache under two URLs",
            Self::D27 => "The cache is asked after cache.nixos.org",
            Self::D28 => "A key that the cache no longer uses",
            Self::D29 => "This version of Nix does not know the setting",
            Self::D30 => "The key seems to be another cache's",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D{:02}", *self as u8 + 1)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something does not work as its lines say, or is unsafe.
    Warning,
    /// Nix fails, or passes over the line.
    Error,
    /// Stop: a secret is on the screen.
    Stop,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A nix.conf, or the value of `$NIX_CONFIG`.
    NixConf,
    /// A netrc.
    Netrc,
    /// What `nix config show` or `nix show-config` printed.
    ShowConfig,
}

impl Kind {
    /// What a pasted text seems to be.
    pub fn guess(text: &str) -> Self {
        let first_word = |line: &str| line.split_whitespace().next().unwrap_or("").to_owned();
        let mut words = text.lines().map(first_word).filter(|word| !word.is_empty());
        if words.any(|word| matches!(word.as_str(), "machine" | "default" | "login" | "password")) {
            return Self::Netrc;
        }
        // It prints every setting there is.
        let all = [
            "cores = ",
            "max-jobs = ",
            "require-sigs = ",
            "store = ",
            "substituters = ",
        ];
        let has = |start: &&str| text.lines().any(|line| line.starts_with(start));
        if all.iter().all(has) {
            Self::ShowConfig
        } else {
            Self::NixConf
        }
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The system's, which the daemon reads.
    #[default]
    System,
    /// A user's, a flake's, or `$NIX_CONFIG`.
    User,
}

/// A cache that the console knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCache {
    /// Its name.
    pub title: String,
    /// Its URL.
    pub url: String,
    /// The keys that sign today.
    pub keys: Vec<PublicKey>,
    /// Keys that signed once.
    pub retired: Vec<PublicKey>,
    /// What its nix-cache-info says.
    pub priority: Option<u32>,
}

/// What is asked of the doctor.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The text.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub place: Place,
    /// Whether the user is in `trusted-users`, where that is known.
    pub trusted: Option<bool>,
    /// Whether builds go through a daemon, where that is known.
    pub daemon: Option<bool>,
    /// The version of Nix, where it is known.
    pub version: Option<NixVersion>,
    /// The caches of the console.
    pub caches: &'a [KnownCache],
    /// The system's nix.conf, where `text` is a user's and it is known.
    pub system: Option<&'a str>,
    /// The files that it includes.
    pub includes: Includes<'a>,
}

impl<'a> Question<'a> {
    /// About a text of which nothing else is known.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            kind: Kind::guess(text),
            place: Place::System,
            trusted: None,
            daemon: None,
            version: None,
            caches: &[],
            system: None,
            includes: &super::effective::unseen,
        }
    }
}

/// What would put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, for the button.
    pub label: String,
    /// How. Sorted.
    pub edits: Vec<Edit>,
}

impl Fix {
    /// The text after it.
    pub fn apply(&self, text: &str) -> String {
        edit::apply(text, &self.edits)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1.
    pub line: u32,
    /// The column, in characters from 1.
    pub column: u32,
    /// The bytes of the text that it is about.
    pub start: usize,
    /// The byte after them.
    pub end: usize,
    /// What happens, why, and what to do.
    pub why: String,
    /// What would put it right, where an edit of this text can.
    pub fix: Option<Fix>,
}

/// Why a text is not examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is larger than {MAX_BYTES} bytes; a configuration has some hundred")]
pub struct TooLarge;

/// Findings at most: a text that has more is something else.
const MOST: usize = 500;

/// Examines a text. Findings come in the order of the lines.
///
/// # Errors
/// A text above [`MAX_BYTES`].
pub fn examine(question: &Question<'_>) -> Result<Vec<Finding>, TooLarge> {
    if question.text.len() > MAX_BYTES {
        return Err(TooLarge);
    }
    let mut case = Case::new(question);
    secrets::examine(&mut case);
    if question.kind == Kind::Netrc {
        netrc::examine(&mut case);
    } else {
        grammar::examine(&mut case);
        order::examine(&mut case);
        trust::examine(&mut case);
        addresses::examine(&mut case);
    }
    let mut findings = case.findings;
    findings.sort_by_key(|finding| (finding.line, finding.column, finding.rule));
    findings.truncate(MOST);
    Ok(findings)
}

#[cfg(test)]
mod tests;
