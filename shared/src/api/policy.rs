//! What a cache's people decided about uploads, as it crosses the wire: rules of which the first
//! that fits decides, and each rule as a sentence.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use crate::pattern;

/// Rules of a policy at most.
pub const MOST_RULES: usize = 50;
/// Names, patterns or people of one rule at most.
pub const MOST_NAMES: usize = 50;
/// Characters of a name, a pattern or a reason at most.
pub const LONGEST: usize = 200;
/// Approvals, or builders, that a rule may ask for at most.
pub const MOST_PEOPLE: u8 = 5;

/// Whose signatures clients of a cache trust.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SigningMode {
    /// The cache's: it signs what it has verified, and people come and go without a change at clients.
    #[default]
    CounterSign,
    /// The contributors': the cache adds nothing, and clients trust each contributor's key.
    PassThrough,
}

impl SigningMode {
    /// Every mode, in the order shown.
    pub const ALL: [Self; 2] = [Self::CounterSign, Self::PassThrough];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CounterSign => "counter-sign",
            Self::PassThrough => "pass-through",
        }
    }
}

/// Whose uploads a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(tag = "who", rename_all = "kebab-case")]
pub enum Uploaders {
    /// Everybody's.
    #[default]
    Anyone,
    /// Those of these members, by whichever of their tokens.
    Members {
        /// Their names.
        members: Vec<String>,
    },
    /// Those that these keys have signed.
    Keys {
        /// The keys' names.
        keys: Vec<String>,
    },
    /// Those of machines: tokens behind which no member stands.
    Machines,
}

/// What happens with an upload that a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(tag = "then", rename_all = "kebab-case")]
pub enum Ruling {
    /// It is published at once.
    #[default]
    Publish,
    /// It waits until so many Maintainers have approved it, none of them its uploader.
    Approval {
        /// How many, 1 to 5.
        approvals: u8,
    },
    /// It waits until so many contributors, each with a key of their own, have sent the same content.
    Builders {
        /// How many, 2 to 5.
        builders: u8,
    },
    /// It is refused.
    Refuse {
        /// Why, for the one who uploads.
        reason: String,
    },
}

/// One rule. It is about an upload where all that it names fits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PolicyRule {
    /// Whose uploads.
    #[serde(flatten)]
    pub uploaders: Uploaders,
    /// Patterns of paths' names (what follows the hash), in which `*` stands for any text; empty: any.
    #[serde(default)]
    pub names: Vec<String>,
    /// Bytes of a NAR at most; `null`: any.
    #[serde(default)]
    pub max_nar_size: Option<u64>,
    /// What happens.
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// An upload, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The member who uploads; `None`: a machine.
    pub member: Option<&'a str>,
    /// The name of the key that vouches, where one does.
    pub key: Option<&'a str>,
    /// The path's name.
    pub name: &'a str,
    /// Bytes of its NAR.
    pub nar_size: u64,
}

impl PolicyRule {
    /// Whether the rule is about an upload.
    #[must_use]
    pub fn fits(&self, upload: &Candidate<'_>) -> bool {
        let whose = match &self.uploaders {
            Uploaders::Anyone => true,
            Uploaders::Members { members } => upload
                .member
                .is_some_and(|member| members.iter().any(|known| known == member)),
            Uploaders::Keys { keys } => upload
                .key
                .is_some_and(|key| keys.iter().any(|known| known == key)),
            Uploaders::Machines => upload.member.is_none(),
        };
        whose
            && (self.names.is_empty()
                || self
                    .names
                    .iter()
                    .any(|glob| pattern::fits(glob, upload.name)))
            && self.max_nar_size.is_none_or(|most| upload.nar_size <= most)
    }

    /// What is wrong with it, in a sentence for who wrote it; `None`: nothing.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let listed = match &self.uploaders {
            Uploaders::Anyone | Uploaders::Machines => None,
            Uploaders::Members { members } => Some(("members", members)),
            Uploaders::Keys { keys } => Some(("keys", keys)),
        };
        if let Some((what, names)) = listed {
            if names.is_empty() {
                return Some(format!("A rule about {what} names at least one."));
            }
            if let Some(fault) = bad_names(what, names) {
                return Some(fault);
            }
        }
        if let Some(fault) = bad_names("patterns", &self.names) {
            return Some(fault);
        }
        if self.max_nar_size == Some(0) {
            return Some("No path has a NAR of 0 bytes: the rule would never fit.".to_owned());
        }
        match &self.ruling {
            Ruling::Approval { approvals } if !(1..=MOST_PEOPLE).contains(approvals) => {
                Some(format!("A rule asks for 1 to {MOST_PEOPLE} approvals."))
            }
            Ruling::Builders { builders } if !(2..=MOST_PEOPLE).contains(builders) => {
                Some(format!(
                    "A rule asks for 2 to {MOST_PEOPLE} builders: one alone agrees with nobody."
                ))
            }
            Ruling::Refuse { reason } if reason.trim().is_empty() => {
                Some("A rule that refuses says why.".to_owned())
            }
            Ruling::Refuse { reason } if !is_short(reason) => Some(format!(
                "A reason has at most {LONGEST} characters, on one line."
            )),
            _ => None,
        }
    }

    /// The rule as a sentence: what a person reads is what the server does.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = String::from("Paths");
        if !self.names.is_empty() {
            text.push_str(" named ");
            join(&mut text, &self.names, "or");
        }
        if let Some(most) = self.max_nar_size {
            let _ = write!(text, " of at most {}", Bytes(most));
        }
        match &self.uploaders {
            Uploaders::Anyone => {}
            Uploaders::Members { members } => {
                text.push_str(" uploaded by ");
                join_plain(&mut text, members, "or");
            }
            Uploaders::Keys { keys } => {
                text.push_str(" signed by ");
                join(&mut text, keys, "or");
            }
            Uploaders::Machines => text.push_str(" uploaded by machines"),
        }
        match &self.ruling {
            Ruling::Publish => text.push_str(" are published at once."),
            Ruling::Approval { approvals: 1 } => {
                text.push_str(" need 1 approval by a Maintainer who is not the uploader.");
            }
            Ruling::Approval { approvals } => {
                let _ = write!(
                    text,
                    " need {approvals} approvals by different Maintainers who are not the uploader."
                );
            }
            Ruling::Builders { builders } => {
                let _ = write!(
                    text,
                    " need {builders} contributors who built the same content, each with a key of their own."
                );
            }
            Ruling::Refuse { reason } => {
                let reason = reason.trim().trim_end_matches('.');
                let _ = write!(text, " are refused: {reason}.");
            }
        }
        text
    }
}

/// What happens with an upload that no rule is about.
pub const DEFAULT_SENTENCE: &str = "Everything else is published at once.";

/// The first rule that is about an upload, and what it says; without one, it is published.
#[must_use]
pub fn decide<'a>(rules: &'a [PolicyRule], upload: &Candidate<'_>) -> (Option<usize>, &'a Ruling) {
    rules
        .iter()
        .enumerate()
        .find(|(_, rule)| rule.fits(upload))
        .map_or((None, &Ruling::Publish), |(at, rule)| {
            (Some(at), &rule.ruling)
        })
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}

fn bad_names(what: &str, names: &[String]) -> Option<String> {
    if names.len() > MOST_NAMES {
        return Some(format!("A rule names at most {MOST_NAMES} {what}."));
    }
    let bad = |name: &&String| name.trim().is_empty() || !is_short(name);
    names
        .iter()
        .find(bad)
        .map(|_| format!("Each of a rule's {what} has 1 to {LONGEST} characters, on one line."))
}

/// `a, b or c`
fn join_plain(text: &mut String, names: &[String], word: &str) {
    for (at, name) in names.iter().enumerate() {
        match at {
            0 => {}
            _ if at + 1 == names.len() => {
                let _ = write!(text, " {word} ");
            }
            _ => text.push_str(", "),
        }
        text.push_str(name);
    }
}

/// The same, each in backticks.
fn join(text: &mut String, names: &[String], word: &str) {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    join_plain(text, &quoted, word);
}

/// Bytes in the largest unit that divides them, else in one that is near.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [
            ("TiB", 1 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1 << 10),
        ];
        for (unit, size) in UNITS {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{} {unit}", self.0 / size);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// A cache's policy for uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Policy {
    /// Whose signatures clients trust.
    pub mode: SigningMode,
    /// Whether who uploads may send paths that another contributor's key has signed.
    pub relay: bool,
    /// Whether a path is refused that names paths which it does not declare as references.
    pub refuse_undeclared_references: bool,
    /// URLs of upstreams of the configuration that may hold what a path refers to.
    pub reference_upstreams: Vec<String>,
    /// The rules; the first that fits decides, and without one a path is published.
    pub rules: Vec<PolicyRule>,
    /// Counts the changes. Sent back with a change, so that nobody overwrites what they did not see.
    pub revision: u64,
    /// Each rule as a sentence, and last what happens without one. Ignored in a change.
    #[serde(default)]
    pub sentences: Vec<String>,
    /// The upstreams that the configuration names. Ignored in a change.
    #[serde(default)]
    pub upstreams: Vec<String>,
    /// Who changed it last; `null`: this is the default. Ignored in a change.
    #[serde(default)]
    pub changed_by: Option<String>,
    /// When. Ignored in a change.
    #[serde(default)]
    pub changed_at: Option<String>,
}

impl Policy {
    /// What is wrong with it, in a sentence for who wrote it; `None`: nothing.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.rules.len() > MOST_RULES {
            return Some(format!("A policy has at most {MOST_RULES} rules."));
        }
        self.rules.iter().enumerate().find_map(|(at, rule)| {
            rule.fault()
                .map(|fault| format!("Rule {}: {fault}", at + 1))
        })
    }
}

/// What a policy would have done with one of the last uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TriedUpload {
    /// The path's hash part.
    pub hash: String,
    /// Its name; `null` where it is here no more, and then no rule is asked.
    pub name: Option<String>,
    /// Bytes of its NAR; `null` where it is here no more.
    pub nar_size: Option<u64>,
    /// Who uploaded it: `member:…`, `machine:…`, `token:…`.
    pub by: String,
    /// The name of the key that vouched, where one did.
    pub key: Option<String>,
    /// When.
    pub at: String,
    /// Which rule decides, counted from 0; `null`: none.
    pub rule: Option<u64>,
    /// What the rule does; `null` where the path is here no more.
    pub ruling: Option<Ruling>,
}

/// What a policy would have done with the last uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PolicyTrial {
    /// The uploads, latest first; at most 100.
    pub items: Vec<TriedUpload>,
    /// The rules that were tried, as sentences.
    pub sentences: Vec<String>,
    /// How many would have been published at once.
    pub published: u64,
    /// How many would have waited.
    pub waiting: u64,
    /// How many would have been refused.
    pub refused: u64,
}

/// The rules to try.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TryPolicy {
    /// The rules.
    pub rules: Vec<PolicyRule>,
}

#[cfg(test)]
mod tests;
