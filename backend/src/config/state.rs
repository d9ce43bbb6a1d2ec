//! `[state]`: where the server's own state lies, and who writes it.

use std::time::Duration;

use super::place::read_place;
use super::reader::Table;
use super::{CacheConfig, ConfigError, PublicUrl, Source, take};

/// Where the state lies unless told otherwise, in its bucket.
const PREFIX: &str = ".snowbank";

/// Where the server's own state lies, and who writes it.
#[derive(Debug, Clone)]
pub struct StateConfig {
    /// The bucket or folder, where one is named.
    place: Option<Source>,
    /// The prefix in it, without slashes around it.
    prefix: String,
    /// Who writes where the store ignores conditions; `None`: this server.
    pub writer: Option<PublicUrl>,
    /// How long addresses of clients are kept.
    pub client_addresses: Duration,
}

/// A place where the state may lie.
#[derive(Debug, Clone)]
pub struct StatePlace {
    /// The bucket or folder, with the state's prefix.
    pub source: Source,
    /// Whether the configuration names it, so that it need not be looked for.
    pub named: bool,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            place: None,
            prefix: PREFIX.to_owned(),
            writer: None,
            client_addresses: Duration::from_secs(30 * 86400),
        }
    }
}

impl StateConfig {
    pub(super) fn read(mut table: Table) -> Result<Self, ConfigError> {
        let (place, prefix) = read_place(&mut table)?;
        let default = Self::default();
        let prefix = match prefix {
            None => default.prefix,
            Some(prefix) => prefix.trim_matches('/').to_owned(),
        };
        let writer = take(&mut table, "writer", |given| match given.text()? {
            "this" => Ok(None),
            _ => given
                .parsed("it is `this`, or the URL of the server that writes")
                .map(Some),
        })?;
        let client_addresses = take(&mut table, "client_addresses", |given| {
            let day = Duration::from_secs(86400);
            given.duration(Duration::ZERO, 3660 * day)
        })?;
        table.finish()?;
        Ok(Self {
            place: place?.map(|place| place.at(&prefix)),
            prefix,
            writer: writer.flatten(),
            client_addresses: client_addresses.unwrap_or(default.client_addresses),
        })
    }

    /// Takes this folder where no place is named: for a server without caches.
    pub(super) fn or_in(&mut self, folder: std::path::PathBuf) {
        self.place.get_or_insert(Source::Folder {
            folder,
            prefix: self.prefix.clone(),
        });
    }

    /// Where the state may lie: the named place alone, else each bucket of a cache, the first first.
    pub fn places(&self, caches: &[CacheConfig]) -> Vec<StatePlace> {
        if let Some(source) = &self.place {
            return vec![StatePlace {
                source: source.clone(),
                named: true,
            }];
        }
        let mut places: Vec<StatePlace> = Vec::new();
        for cache in caches {
            if !places
                .iter()
                .any(|place| place.source.shares_bucket(&cache.source))
            {
                places.push(StatePlace {
                    source: cache.source.at(&self.prefix),
                    named: false,
                });
            }
        }
        places
    }

    /// The folder of its own, where it has one.
    pub(super) fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Some(Source::Folder { folder, .. }) => Some(folder),
            _ => None,
        }
    }

    /// What lies in a cache's bucket and is the state's, ending with `/`.
    pub fn hidden_from(&self, cache: &CacheConfig) -> Option<String> {
        let shares = self
            .place
            .as_ref()
            .is_none_or(|place| place.shares_bucket(&cache.source));
        shares.then(|| format!("{}/", self.prefix))
    }

    /// Refuses a state that would hide a cache, or all of its bucket.
    pub(super) fn checked(&self, caches: &[CacheConfig]) -> Result<(), ConfigError> {
        if self.prefix.is_empty() && matches!(self.place, Some(Source::Folder { .. })) {
            return Err(ConfigError::Conflict(
                "`state.prefix` is empty: in a folder it needs one, which is then hidden from S3 clients".into(),
            ));
        }
        for cache in caches {
            if self.hidden_from(cache).is_none() {
                continue;
            }
            if self.prefix.is_empty() {
                return Err(ConfigError::Conflict(format!(
                    "`state.prefix` is empty, and cache `{}` lies in the same bucket: the state needs a prefix of its own there",
                    cache.slug
                )));
            }
            let below = format!("{}/", cache.source.prefix());
            if below.starts_with(&format!("{}/", self.prefix)) {
                return Err(ConfigError::Conflict(format!(
                    "cache `{}` lies below `state.prefix`, which no cache shows: choose another prefix for one of them",
                    cache.slug
                )));
            }
        }
        Ok(())
    }
}
