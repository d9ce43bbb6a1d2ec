//! The store directory, and full paths in it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{StorePath, StorePathError, StorePathRef};

/// The directory that store paths lie in. Two caches fit together only where
/// theirs are the same, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreDir(Cow<'static, str>);

impl Default for StoreDir {
    fn default() -> Self {
        Self(Cow::Borrowed("/nix/store"))
    }
}

impl StoreDir {
    /// The directory, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a full store path in canonical form: `/nix/store/<hash>-<name>`.
    ///
    /// # Errors
    /// See [`StorePathError`].
    pub fn parse(&self, path: &str) -> Result<StorePath, StorePathError> {
        Ok(self.parse_ref(path)?.to_store_path())
    }

    /// Like [`parse`](Self::parse), borrowed.
    ///
    /// # Errors
    /// See [`StorePathError`].
    pub fn parse_ref<'a>(&self, path: &'a str) -> Result<StorePathRef<'a>, StorePathError> {
        let base = path
            .strip_prefix(self.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::OutsideStore {
                store_dir: self.to_string(),
            })?;
        if base.contains('/') {
            return Err(StorePathError::Inside);
        }
        StorePathRef::parse(base)
    }

    /// Parses as Nix does when it reads a narinfo: `//`, `/./`, `x/..` and a `/` at
    /// the end are resolved first. The second value is false where there was
    /// something to resolve.
    ///
    /// # Errors
    /// See [`StorePathError`].
    pub fn parse_lenient<'a>(
        &self,
        path: &'a str,
    ) -> Result<(StorePathRef<'a>, bool), StorePathError> {
        match self.parse_ref(path) {
            Ok(path) => Ok((path, true)),
            Err(error) => match self.resolve(path) {
                // Nothing to resolve: the first error says it best.
                None => Err(error),
                Some(base) => Ok((StorePathRef::parse(base)?, false)),
            },
        }
    }

    /// The last component of `path` once resolved, if it then lies right in the
    /// store directory, and if resolving did anything.
    fn resolve<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut parts: Vec<&str> = Vec::new();
        let mut changed = false;
        for part in path.strip_prefix('/')?.split('/') {
            match part {
                "" | "." => changed = true,
                ".." => {
                    changed = true;
                    parts.pop();
                }
                _ => parts.push(part),
            }
        }
        let base = parts.pop()?;
        let parent = parts.iter().copied();
        let ours = self.as_str().strip_prefix('/')?.split('/');
        (changed && parent.eq(ours)).then_some(base)
    }

    /// Prints the full path.
    pub fn display<'a>(&'a self, path: impl Into<StorePathRef<'a>>) -> FullPath<'a> {
        FullPath {
            store_dir: self.as_str(),
            path: path.into(),
        }
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StoreDir {
    type Err = StorePathError;
    fn from_str(text: &str) -> Result<Self, StorePathError> {
        if text == "/nix/store" {
            return Ok(Self::default());
        }
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        };
        let parts = text.strip_prefix('/').ok_or(StorePathError::BadStoreDir)?;
        if parts.split('/').all(plain) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(StorePathError::BadStoreDir)
        }
    }
}

crate::hash::serde_as_text!(StoreDir);

/// A store path with its directory, for printing. See [`StoreDir::display`].
#[derive(Debug, Clone, Copy)]
pub struct FullPath<'a> {
    store_dir: &'a str,
    path: StorePathRef<'a>,
}

impl fmt::Display for FullPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store_dir, self.path)
    }
}
