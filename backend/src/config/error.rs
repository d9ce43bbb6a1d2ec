//! What can be wrong with a configuration, in words that lead to the fix.

use std::path::PathBuf;

/// Why the server cannot start with this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not TOML.
    #[error("configuration file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system or the TOML parser says.
        reason: String,
    },
    /// A value that cannot be.
    #[error("`{key}` cannot be {value} ({origin}): {allowed}")]
    Value {
        /// The dotted key.
        key: String,
        /// The value as given.
        value: String,
        /// Who gave it.
        origin: String,
        /// What it may be.
        allowed: String,
    },
    /// There is no such key.
    #[error("there is no setting `{key}` ({origin}){}", hint.as_deref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// Who gave it.
        origin: String,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// A key that has to be there is not.
    #[error("`{key}` is missing: {needed}")]
    Missing {
        /// The dotted key.
        key: String,
        /// What it has to say.
        needed: String,
    },
    /// A folder that is not there, which is more often a typing error than a new cache.
    #[error("`{key}` is {}, and there is no such folder: correct the path, or make the folder where a new cache is meant", path.display())]
    NoFolder {
        /// The dotted key.
        key: String,
        /// The folder.
        path: PathBuf,
    },
    /// Two settings that cannot stand together.
    #[error("{0}")]
    Conflict(String),
    /// A variable whose value is not UTF-8.
    #[error("${name} is not UTF-8 text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// `--set` without `=`.
    #[error("--set takes KEY=VALUE, such as --set caches.main.priority=30, not `{0}`")]
    Assignment(String),
}
