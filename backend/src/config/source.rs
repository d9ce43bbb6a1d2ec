//! Where a setting comes from: three layers merged into one tree, each leaf
//! remembering who said it, so that an error can name the place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// Who gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Env(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Env(name) => write!(f, "from ${name}"),
            Self::Flag(name) => write!(f, "from {name}"),
        }
    }
}

/// A value and who gave it. What comes from the environment or a flag is always text.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) value: toml::Value,
    pub(super) origin: Origin,
}

/// A tree of settings.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    Table(BTreeMap<String, Node>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Table(BTreeMap::new())
    }
}

impl Node {
    /// Reads a TOML file.
    pub(super) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let table: toml::Table =
            text.parse()
                .map_err(|error: toml::de::Error| ConfigError::File {
                    path: path.to_owned(),
                    reason: error.to_string().trim_end().to_owned(),
                })?;
        Ok(Self::from_toml(toml::Value::Table(table), path))
    }

    fn from_toml(value: toml::Value, path: &Path) -> Self {
        match value {
            toml::Value::Table(table) => Self::Table(
                table
                    .into_iter()
                    .map(|(key, value)| (key, Self::from_toml(value, path)))
                    .collect(),
            ),
            value => Self::Leaf(Leaf {
                value,
                origin: Origin::File(path.to_owned()),
            }),
        }
    }

    /// Sets one dotted key, over whatever was there.
    pub(super) fn set(&mut self, key: &[&str], text: String, origin: Origin) {
        let Some((first, rest)) = key.split_first() else {
            *self = Self::Leaf(Leaf {
                value: toml::Value::String(text),
                origin,
            });
            return;
        };
        if let Self::Leaf(_) = self {
            *self = Self::default();
        }
        if let Self::Table(table) = self {
            table
                .entry((*first).to_owned())
                .or_default()
                .set(rest, text, origin);
        }
    }

    /// Adds what the `SNOWBANK_…` variables say. `__` stands for a dot, and `_` within a
    /// cache's slug for `-`.
    ///
    /// A variable that is no setting at its top level is left alone, with a warning: other programs
    /// of the house have theirs under the same prefix. Below `CACHES__` it is refused later, with
    /// the rest of what is unknown.
    pub(super) fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
        is_setting: impl Fn(&str) -> bool,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(path) = name.strip_prefix("SNOWBANK_") else {
                continue;
            };
            let lower = path.to_ascii_lowercase();
            let mut key: Vec<String> = lower.split("__").map(str::to_owned).collect();
            if !is_setting(&key[0]) {
                continue;
            }
            if key[0] == "caches"
                && let Some(slug) = key.get_mut(1)
            {
                *slug = slug.replace('_', "-");
            }
            let text = utf8(&value).ok_or_else(|| ConfigError::NotText {
                name: name.to_owned(),
            })?;
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            self.set(&key, text.to_owned(), Origin::Env(name.to_owned()));
        }
        Ok(())
    }
}

fn utf8(value: &OsStr) -> Option<&str> {
    value.to_str()
}
