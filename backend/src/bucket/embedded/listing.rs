//! Listing a bucket in key order, one page at a time, without walking the tree for each page.
//!
//! Keys are ordered by their bytes over the whole tree. Each folder's names are sorted so that going
//! through them, and into folders where they stand, yields exactly that order ([`Names`]). A page begins
//! by a binary search in each folder on the way to the last key of the page before, so its cost is
//! that of its own keys.
//!
//! [`Names`]: super::names::Names

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::entries::holds_an_object;
use super::folder::Folder;
use super::key::MAX_KEY;
use super::names::Names;
use super::version::Version;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Keys that share all up to its first occurrence after the prefix are one item. Empty for none.
    pub delimiter: &'a str,
    /// Only items after this one.
    pub after: &'a str,
    /// Most items.
    pub limit: usize,
    /// Begin of the listing whose later page this is.
    pub since: Option<Instant>,
    /// Prefixes that this listener does not show.
    pub hidden: &'a [String],
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An object.
    Object {
        /// Its key.
        key: String,
        /// Its present version.
        version: Version,
    },
    /// What several keys have in common.
    Prefix(String),
}

impl Item {
    /// The key or the common prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Some items and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The items in order.
    pub items: Vec<Item>,
    /// Whether others follow.
    pub truncated: bool,
}

/// Lists one page.
///
/// # Errors
/// When a folder cannot be read.
pub fn list(folder: &Folder, query: &Query<'_>) -> io::Result<Page> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut walk = Walk::start(folder, query)?;
    while let Some(item) = walk.next()? {
        if page.items.len() == query.limit {
            page.truncated = true;
            break;
        }
        page.items.push(item);
    }
    Ok(page)
}

/// A folder on the way to the present place.
struct Level {
    /// Its path below the root, with a slash at the end unless it is the root.
    path: String,
    names: Arc<Names>,
    /// The place of the next entry.
    next: usize,
    /// Opened when the first file in it is looked at.
    fd: Option<OwnedFd>,
}

struct Walk<'a> {
    folder: &'a Folder,
    query: &'a Query<'a>,
    levels: Vec<Level>,
    /// The common prefix given out last.
    last: Option<String>,
}

impl<'a> Walk<'a> {
    fn start(folder: &'a Folder, query: &'a Query<'a>) -> io::Result<Self> {
        let mut walk = Self {
            folder,
            query,
            levels: Vec::new(),
            last: None,
        };
        let base = query
            .prefix
            .rfind('/')
            .map_or("", |end| &query.prefix[..=end]);
        // A prefix with an empty or dotted part is no path of a file, so nothing can match it.
        if base.is_empty() || super::key::ObjectKey::parse(&base[..base.len() - 1]).is_ok() {
            walk.enter(base.to_owned())?;
        }
        Ok(walk)
    }

    fn enter(&mut self, path: String) -> io::Result<()> {
        let plain = path.strip_suffix('/').unwrap_or(&path);
        let Some(names) = self
            .folder
            .names
            .get(self.folder.beneath(), plain, self.query.since)?
        else {
            return Ok(());
        };
        let from = self.query.prefix.max(self.query.after);
        let next = from
            .strip_prefix(path.as_str())
            .map_or(0, |rest| names.position(rest));
        self.levels.push(Level {
            path,
            names,
            next,
            fd: None,
        });
        Ok(())
    }

    fn hidden(&self, key: &str) -> bool {
        self.query
            .hidden
            .iter()
            .any(|hidden| key.starts_with(hidden.as_str()))
    }

    /// What a key, or a folder with its slash, is rolled up into.
    fn rolled_up<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.query.delimiter.is_empty() {
            return None;
        }
        let start = self.query.prefix.len();
        let found = key.get(start..)?.find(self.query.delimiter)?;
        Some(&key[..start + found + self.query.delimiter.len()])
    }

    fn given_out(&self, prefix: &str) -> bool {
        prefix <= self.query.after || self.last.as_deref() == Some(prefix)
    }

    fn next(&mut self) -> io::Result<Option<Item>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.get(level.next) else {
                self.levels.pop();
                continue;
            };
            level.next += 1;
            let path = format!("{}{name}", level.path);
            let prefix = self.query.prefix;
            let on_the_way = path.ends_with('/') && prefix.starts_with(&path);
            if !path.starts_with(prefix) && !on_the_way {
                if path.as_str() > prefix {
                    return Ok(None);
                }
                continue;
            }
            if path.len() > MAX_KEY || self.hidden(&path) {
                continue;
            }
            let item = if path.ends_with('/') {
                self.folder_entry(path)?
            } else {
                self.file_entry(path)?
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// A folder: one common prefix, or a step down, or nothing.
    fn folder_entry(&mut self, path: String) -> io::Result<Option<Item>> {
        let after = self.query.after;
        if path.starts_with(self.query.prefix)
            && let Some(common) = self.rolled_up(&path)
        {
            if self.given_out(common) {
                return Ok(None);
            }
            let plain = &path[..path.len() - 1];
            if !holds_an_object(self.folder.beneath(), plain, &|key| !self.hidden(key))? {
                return Ok(None);
            }
            let common = common.to_owned();
            self.last = Some(common.clone());
            return Ok(Some(Item::Prefix(common)));
        }
        if path.as_str() > after || after.starts_with(&path) {
            self.enter(path)?;
        }
        Ok(None)
    }

    fn file_entry(&mut self, key: String) -> io::Result<Option<Item>> {
        let common = self.rolled_up(&key).map(str::to_owned);
        match &common {
            Some(common) if self.given_out(common) => return Ok(None),
            None if key.as_str() <= self.query.after => return Ok(None),
            _ => {}
        }
        let Some(version) = self.look(&key)? else {
            return Ok(None);
        };
        Ok(Some(match common {
            Some(common) => {
                self.last = Some(common.clone());
                Item::Prefix(common)
            }
            None => Item::Object { key, version },
        }))
    }

    /// The present version of a file in the innermost folder; `None` when it has gone since.
    fn look(&mut self, key: &str) -> io::Result<Option<Version>> {
        let beneath = self.folder.beneath();
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        let plain = level.path.strip_suffix('/').unwrap_or(&level.path);
        if level.fd.is_none() {
            match beneath.folder(plain) {
                Ok(fd) => level.fd = Some(fd),
                Err(
                    rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP,
                ) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let Some(fd) = &level.fd else { return Ok(None) };
        Ok(beneath
            .stat_in(fd, plain, &key[level.path.len()..])?
            .map(|stat| Version::of_stat(&stat)))
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
