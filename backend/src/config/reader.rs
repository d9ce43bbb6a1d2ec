//! Typed reading of the settings tree: every key that is taken is known, and what
//! is left over in the end is refused.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::reference::nearest;
use super::source::{Leaf, Node};
use super::{ConfigError, source::Origin};

/// A table under its dotted key, emptied as it is read.
pub(super) struct Table {
    key: String,
    entries: BTreeMap<String, Node>,
    known: Vec<&'static str>,
}

/// A value under its dotted key.
pub(super) struct Given {
    pub(super) key: String,
    leaf: Leaf,
}

impl Table {
    pub(super) fn root(node: Node) -> Self {
        Self::of(String::new(), node)
    }

    fn of(key: String, node: Node) -> Self {
        let entries = match node {
            Node::Table(entries) => entries,
            Node::Leaf(_) => BTreeMap::new(),
        };
        Self {
            key,
            entries,
            known: Vec::new(),
        }
    }

    fn dotted(&self, name: &str) -> String {
        if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        }
    }

    /// The dotted key of this table.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Takes a value.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<Given>, ConfigError> {
        self.known.push(name);
        let key = self.dotted(name);
        match self.entries.remove(name) {
            None => Ok(None),
            Some(Node::Leaf(leaf)) => Ok(Some(Given { key, leaf })),
            Some(Node::Table(table)) => Err(ConfigError::Value {
                key,
                value: "a table".into(),
                origin: origin_within(&Node::Table(table)),
                allowed: "it is a single value".into(),
            }),
        }
    }

    /// Takes the table of this name; empty where there is none.
    pub(super) fn table(&mut self, name: &'static str) -> Result<Self, ConfigError> {
        self.known.push(name);
        let key = self.dotted(name);
        Self::checked(key, self.entries.remove(name).unwrap_or_default())
    }

    /// Takes every entry, each a table.
    pub(super) fn tables(&mut self) -> Result<Vec<(String, Self)>, ConfigError> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(name, node)| Ok((name.clone(), Self::checked(self.dotted(&name), node)?)))
            .collect()
    }

    /// Takes every entry, each a value.
    pub(super) fn values(&mut self) -> Result<Vec<(String, Given)>, ConfigError> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(name, node)| {
                let key = self.dotted(&name);
                match node {
                    Node::Leaf(leaf) => Ok((name, Given { key, leaf })),
                    node @ Node::Table(_) => Err(ConfigError::Value {
                        key,
                        value: "a table".into(),
                        origin: origin_within(&node),
                        allowed: "it is a single value".into(),
                    }),
                }
            })
            .collect()
    }

    fn checked(key: String, node: Node) -> Result<Self, ConfigError> {
        match node {
            Node::Leaf(leaf) => Err(Given { key, leaf }.refuse("it is a table of settings")),
            node => Ok(Self::of(key, node)),
        }
    }

    /// Takes an array of tables, written `[[…]]` in the file, or `0`, `1`, … by variables.
    pub(super) fn array(&mut self, name: &'static str) -> Result<Vec<Self>, ConfigError> {
        self.known.push(name);
        let key = self.dotted(name);
        match self.entries.remove(name) {
            None => Ok(Vec::new()),
            Some(Node::Table(entries)) => entries
                .into_iter()
                .map(|(position, node)| Self::checked(format!("{key}.{position}"), node))
                .collect(),
            Some(Node::Leaf(Leaf {
                value: toml::Value::Array(items),
                origin,
            })) => items
                .into_iter()
                .enumerate()
                .map(|(position, item)| {
                    let key = format!("{key}.{position}");
                    match item {
                        toml::Value::Table(table) => {
                            let entries = table.into_iter().map(|(name, value)| {
                                (
                                    name,
                                    Node::Leaf(Leaf {
                                        value,
                                        origin: origin.clone(),
                                    }),
                                )
                            });
                            Ok(Self::of(key, Node::Table(entries.collect())))
                        }
                        value => Err(Given {
                            key,
                            leaf: Leaf {
                                value,
                                origin: origin.clone(),
                            },
                        }
                        .refuse("it is a table of settings")),
                    }
                })
                .collect(),
            Some(Node::Leaf(leaf)) => Err(Given { key, leaf }.refuse("it is a list of tables")),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some((name, node)) = self.entries.iter().next() else {
            return Ok(());
        };
        let hint =
            nearest(name, &self.known).map(|near| format!("did you mean `{}`?", self.dotted(near)));
        Err(ConfigError::UnknownKey {
            key: self.dotted(name),
            origin: origin_within(node),
            hint,
        })
    }
}

fn origin_within(node: &Node) -> String {
    match node {
        Node::Leaf(leaf) => leaf.origin.to_string(),
        Node::Table(entries) => entries
            .values()
            .next()
            .map(origin_within)
            .unwrap_or_default(),
    }
}

impl Given {
    /// The error that says what is allowed here.
    pub(super) fn refuse(&self, allowed: impl Display) -> ConfigError {
        let secret = ["secret_access_key", "session_token", "client_secret"]
            .iter()
            .any(|name| self.key.ends_with(name));
        ConfigError::Value {
            key: self.key.clone(),
            value: if secret {
                "what was given".into()
            } else {
                format!("`{}`", shown(&self.leaf.value))
            },
            origin: self.leaf.origin.to_string(),
            allowed: allowed.to_string(),
        }
    }

    fn is_text_from_outside(&self) -> bool {
        !matches!(self.leaf.origin, Origin::File(_))
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        match &self.leaf.value {
            toml::Value::String(text) => Ok(text),
            _ => Err(self.refuse("it is a text in quotes")),
        }
    }

    /// A text of some form.
    pub(super) fn parsed<T: FromStr>(&self, allowed: &str) -> Result<T, ConfigError> {
        self.text()?.parse().map_err(|_| self.refuse(allowed))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let names: Vec<String> =
                    words.iter().map(|(word, _)| format!("`{word}`")).collect();
                self.refuse(format!("it is one of {}", names.join(", ")))
            })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        match &self.leaf.value {
            toml::Value::Boolean(value) => Ok(*value),
            toml::Value::String(text) if self.is_text_from_outside() && text == "true" => Ok(true),
            toml::Value::String(text) if self.is_text_from_outside() && text == "false" => {
                Ok(false)
            }
            _ => Err(self.refuse("it is true or false")),
        }
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, range: std::ops::RangeInclusive<i64>) -> Result<i64, ConfigError> {
        let number = match &self.leaf.value {
            toml::Value::Integer(number) => Some(*number),
            toml::Value::String(text) if self.is_text_from_outside() => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                self.refuse(format!(
                    "it is a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    /// A time: `60s`, `10m`, `24h`, `7d`, or a number of seconds.
    pub(super) fn duration(
        &self,
        least: Duration,
        most: Duration,
    ) -> Result<Duration, ConfigError> {
        let seconds = match &self.leaf.value {
            toml::Value::Integer(number) => u64::try_from(*number).ok(),
            toml::Value::String(text) => seconds(text),
            _ => None,
        };
        seconds
            .map(Duration::from_secs)
            .filter(|time| (least..=most).contains(time))
            .ok_or_else(|| {
                self.refuse(format!(
                    "it is a time from {} to {}, such as `90s`, `10m`, `24h` or `7d`",
                    spoken(least),
                    spoken(most)
                ))
            })
    }

    /// A list of texts; one text, or several with commas, where it is not from the file.
    pub(super) fn list(&self) -> Result<Vec<String>, ConfigError> {
        match &self.leaf.value {
            toml::Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    toml::Value::String(text) => Ok(text.clone()),
                    _ => Err(self.refuse("it is a list of texts in quotes")),
                })
                .collect(),
            toml::Value::String(text) if self.is_text_from_outside() => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            toml::Value::String(text) => Ok(vec![text.clone()]),
            _ => Err(self.refuse("it is a list of texts in quotes")),
        }
    }
}

/// A value as an error shows it: one line, control characters escaped, not endless.
fn shown(value: &toml::Value) -> String {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut text = text.escape_debug().to_string();
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        s if s.is_multiple_of(86400) && s > 0 => format!("{}d", s / 86400),
        s if s.is_multiple_of(3600) && s > 0 => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) && s > 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
