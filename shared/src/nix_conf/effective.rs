//! What Nix makes of its files together: the simulation behind “effective, before and after”.
//!
//! Files are read in order, later ones override (PROTOCOL.md §15). A plain `name =` throws
//! away what came before, `extra-` lines included; `extra-name =` appends. Included files
//! stand where they are included. Nothing is fetched or opened here: the caller supplies
//! the files that it has, and what it lacks is reported as [`Effective::unseen`].

use std::collections::BTreeMap;

use super::document::{Document, Line, Says};
use super::names::{self, Known, NixVersion};

/// What `substituters` is without a configuration.
pub const DEFAULT_SUBSTITUTER: &str = "https://cache.nixos.org/";

/// How deep files may include one another before we stop.
const DEEPEST: u32 = 16;

/// How many included files are read at most.
const MOST_FILES: usize = 100;

/// The settings that say where paths come from and whom to believe.
pub const LISTED: [&str; 3] = [
    "substituters",
    "trusted-substituters",
    "trusted-public-keys",
];

/// A file, or what `$NIX_CONFIG` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer<'a> {
    /// Its path, or `NIX_CONFIG`.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// The order in which Nix reads: the system's file, the user's files from the last listed
/// to the first, `$NIX_CONFIG`.
pub fn load_order<'a>(
    system: Option<Layer<'a>>,
    user_files: &[Layer<'a>],
    nix_config: Option<Layer<'a>>,
) -> Vec<Layer<'a>> {
    let users = user_files.iter().rev().copied();
    system.into_iter().chain(users).chain(nix_config).collect()
}

/// A file that another includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Included {
    /// Its path and content.
    Text {
        /// Its path, from which its own includes are looked up.
        name: String,
        /// What is in it.
        text: String,
    },
    /// It does not exist.
    Missing,
    /// We cannot know.
    Unseen,
}

/// Finds included files: by the name of the file that includes, and the path as written.
pub type Includes<'a> = &'a dyn Fn(&str, &str) -> Included;

/// No included file can be seen, as for a pasted text.
pub fn unseen(_: &str, _: &str) -> Included {
    Included::Unseen
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file's name; empty for what is built into Nix.
    pub file: String,
    /// The line in it, from 1; 0 for what is built in.
    pub line: u32,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// As written.
    pub text: String,
    /// Where.
    pub origin: Origin,
    /// An `extra-` line appended it.
    pub extra: bool,
}

/// A value that a later line threw away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The setting's own name.
    pub setting: String,
    /// The value.
    pub value: Value,
    /// The line that did it.
    pub by: Origin,
}

/// Why every Nix command fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// Where.
    pub origin: Origin,
    /// Why.
    pub reason: FatalReason,
}

/// Why every Nix command fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FatalReason {
    /// No setting and no include.
    #[error("the line is no `name = value`")]
    Syntax,
    /// `include` of a file that does not exist.
    #[error("the included file {0} does not exist")]
    IncludeMissing(String),
    /// Files include one another without end, or there are too many.
    #[error("files are included too deeply")]
    TooDeep,
    /// A value that newer versions cannot read as an address.
    #[error("{0} is no address of a store")]
    NotAStore(String),
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    /// By the setting's own name, what is set. What is not here has its default.
    settings: BTreeMap<String, Vec<Value>>,
    /// What later lines threw away.
    pub lost: Vec<Lost>,
    /// Why every command fails. The rest is then what would hold if these lines were not there.
    pub fatal: Vec<Fatal>,
    /// Names that are passed over with a warning, and what is known of them.
    pub unknown: Vec<(Value, Known)>,
    /// Included files that were not seen: what they set is not counted.
    pub unseen: Vec<Value>,
}

impl Effective {
    /// Simulates Nix over these layers. Settings that `version` does not know are passed
    /// over; `None` knows what any version knows.
    pub fn of(layers: &[Layer<'_>], includes: Includes<'_>, version: Option<NixVersion>) -> Self {
        let mut reading = Reading {
            effective: Self::default(),
            includes,
            version,
            files: 0,
        };
        for layer in layers {
            reading.read(layer.name, layer.text, 0);
        }
        reading.effective
    }

    /// Simulates one text alone.
    pub fn of_text(text: &str) -> Self {
        let layer = Layer {
            name: "nix.conf",
            text,
        };
        Self::of(&[layer], &unseen, None)
    }

    /// The values of a setting, by its own name; Nix's default where it is not set.
    pub fn values(&self, setting: &str) -> Vec<Value> {
        match self.settings.get(setting) {
            Some(values) => values.clone(),
            None => default(setting),
        }
    }

    /// Only the texts of [`values`](Self::values).
    pub fn texts(&self, setting: &str) -> Vec<String> {
        let values = self.values(setting);
        values.into_iter().map(|value| value.text).collect()
    }

    /// Whether anything sets it.
    pub fn is_set(&self, setting: &str) -> bool {
        self.settings.contains_key(setting)
    }
}

/// The built-in values of the lists that matter here.
fn default(setting: &str) -> Vec<Value> {
    let text = match setting {
        "substituters" => DEFAULT_SUBSTITUTER,
        "trusted-public-keys" => crate::signature::UPSTREAM_KEYS[0],
        "trusted-users" => "root",
        _ => return Vec::new(),
    };
    vec![Value {
        text: text.to_owned(),
        origin: Origin {
            file: String::new(),
            line: 0,
        },
        extra: false,
    }]
}

struct Reading<'a> {
    effective: Effective,
    includes: Includes<'a>,
    version: Option<NixVersion>,
    files: usize,
}

impl Reading<'_> {
    fn read(&mut self, file: &str, text: &str, depth: u32) {
        let document = Document::parse(text);
        for (number, line) in (1..).zip(&document.lines) {
            self.line(file, number, line, depth);
        }
    }

    fn line(&mut self, file: &str, number: u32, line: &Line<'_>, depth: u32) {
        let origin = || Origin {
            file: file.to_owned(),
            line: number,
        };
        let fatal = |reason| Fatal {
            origin: origin(),
            reason,
        };
        match &line.says {
            Says::Nothing => {}
            Says::Wrong { .. } => self.effective.fatal.push(fatal(FatalReason::Syntax)),
            Says::Include { path, optional } => match (self.includes)(file, path.text) {
                Included::Text { name, text } => {
                    self.files += 1;
                    if depth >= DEEPEST || self.files > MOST_FILES {
                        self.effective.fatal.push(fatal(FatalReason::TooDeep));
                    } else {
                        self.read(&name, &text, depth + 1);
                    }
                }
                Included::Missing if *optional => {}
                Included::Missing => {
                    let reason = FatalReason::IncludeMissing(path.text.to_owned());
                    self.effective.fatal.push(fatal(reason));
                }
                Included::Unseen => self.effective.unseen.push(Value {
                    text: path.text.to_owned(),
                    origin: origin(),
                    extra: false,
                }),
            },
            Says::Setting { name, values } => {
                let values = values.iter().map(|value| value.text);
                self.set(name.text, values, &origin());
            }
        }
    }

    fn set<'v>(&mut self, written: &str, values: impl Iterator<Item = &'v str>, origin: &Origin) {
        let name = names::resolve(written);
        let known = names::known(name.canonical, self.version);
        if matches!(known, Known::Never | Known::NotInThis) {
            let value = Value {
                text: written.to_owned(),
                origin: origin.clone(),
                extra: false,
            };
            self.effective.unknown.push((value, known));
            return;
        }
        let new: Vec<Value> = values
            .map(|text| Value {
                text: text.to_owned(),
                origin: origin.clone(),
                extra: name.extra,
            })
            .collect();
        if name.canonical == "substituters"
            && self
                .version
                .is_some_and(|version| version >= NixVersion::NEW)
            && let Some(bad) = new.iter().find(|value| !is_store(&value.text))
        {
            self.effective.fatal.push(Fatal {
                origin: origin.clone(),
                reason: FatalReason::NotAStore(bad.text.clone()),
            });
        }
        let settings = &mut self.effective.settings;
        if name.extra {
            settings
                .entry(name.canonical.to_owned())
                .or_insert_with(|| default(name.canonical))
                .extend(new);
            return;
        }
        let before = settings.insert(name.canonical.to_owned(), new);
        // A plain line over what is built in is what plain lines are for.
        for value in before.unwrap_or_default() {
            if value.origin.line > 0 {
                self.effective.lost.push(Lost {
                    setting: name.canonical.to_owned(),
                    value,
                    by: origin.clone(),
                });
            }
        }
    }
}

/// Whether Nix 2.34 can read a word as the address of a store. It ends otherwise.
fn is_store(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return matches!(text, "auto" | "daemon" | "local") || text.contains('/');
    };
    let mut letters = scheme.bytes();
    letters
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest
            .bytes()
            .any(|byte| byte.is_ascii_control() || b"\"<>\\^`{|}".contains(&byte))
}

/// A row of the table “effective, before and after”.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The setting's own name.
    pub setting: &'static str,
    /// The value.
    pub value: String,
    /// In force before.
    pub before: bool,
    /// In force after.
    pub after: bool,
    /// A line has it, but a later one throws it away: in the later state, or where it is in
    /// force there, never.
    pub lost: Option<Lost>,
}

/// What changes between two states, for the three lists of [`LISTED`]. Values that stay come too.
pub fn compare(before: &Effective, after: &Effective) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for setting in LISTED {
        let (old, new) = (before.texts(setting), after.texts(setting));
        let lost = after.lost.iter().filter(|lost| lost.setting == setting);
        let lost_values = lost.clone().map(|lost| &lost.value.text);
        for value in old.iter().chain(&new).chain(lost_values) {
            if rows
                .iter()
                .any(|row| row.setting == setting && row.value == *value)
            {
                continue;
            }
            let after = new.contains(value);
            rows.push(Row {
                setting,
                value: value.clone(),
                before: old.contains(value),
                after,
                lost: lost
                    .clone()
                    .find(|lost| !after && lost.value.text == *value)
                    .cloned(),
            });
        }
    }
    rows
}

/// A URL as it is compared: scheme and host in small letters, without one `/` at the end
/// and without `priority`; the other parameters sorted.
pub fn comparable(url: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let base = base.strip_suffix('/').unwrap_or(base);
    let mut text = match base.split_once("://") {
        None => base.to_owned(),
        Some((scheme, rest)) => {
            let host = rest.find('/').unwrap_or(rest.len());
            format!(
                "{}://{}{}",
                scheme.to_ascii_lowercase(),
                rest[..host].to_ascii_lowercase(),
                &rest[host..]
            )
        }
    };
    let mut parameters: Vec<&str> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty() && !parameter.starts_with("priority="))
        .collect();
    parameters.sort_unstable();
    for (at, parameter) in parameters.into_iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(parameter);
    }
    text
}

#[cfg(test)]
mod tests;
