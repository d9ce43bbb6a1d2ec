//! What the server is told: flags over `SNOWBANK_…` variables over a TOML file.
//!
//! [`Config::load`] merges the layers ([`source`]), reads every value with its type
//! ([`reader`], [`cache`]) and refuses what is unknown, so that a typing error never silently
//! means the default: before what is missing, because a name that is spelled wrong is both. Variables that
//! are no setting may be another program's, and are warned about ([`unknown_variables`]). [`reference`] is the table of all settings.

mod beside;
mod cache;
mod error;
mod foreign;
mod live;
mod oidc;
mod place;
mod reader;
pub mod reference;
mod retention;
mod source;
mod state;
mod substituter;
mod url;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use beside::{AccessLogs, LogFormat, LogOrigin};
pub use cache::{CacheConfig, Misses, NarDelivery, Serve, Source, Upstream, UpstreamMode};
pub use error::ConfigError;
pub use foreign::unknown_variables;
pub use live::LivePeriods;
pub use oidc::OidcConfig;
pub use retention::RetentionPeriods;
pub use state::{StateConfig, StatePlace};
pub use url::PublicUrl;
pub use value::{AddressBlock, Slug};

use reader::{Given, Table};
use source::{Node, Origin};

/// Everything the server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How the server is reached; `None`: by the listening address.
    pub public_url: Option<PublicUrl>,
    /// A second origin for the Nix protocol.
    pub cache_url: Option<PublicUrl>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressBlock>,
    /// Private addresses that the server may call where an owner configured it.
    pub outbound_allow: Vec<AddressBlock>,
    /// The identity provider at which people sign in.
    pub oidc: Option<OidcConfig>,
    /// Keys, embedded buckets, the local index.
    pub data_dir: PathBuf,
    /// The state secret; `None`: in the data folder.
    pub secret_file: Option<PathBuf>,
    /// Where the embedded buckets are open to S3 clients.
    pub s3_listen: Option<SocketAddr>,
    /// Whether they are open without credentials.
    pub s3_anonymous: bool,
    /// A listener of its own for `/metrics`.
    pub metrics_listen: Option<SocketAddr>,
    /// Serves the dashboard's assets from this folder instead of the built-in ones.
    pub ui_dir: Option<PathBuf>,
    /// How long the live check waits for a machine.
    pub live_check: LivePeriods,
    /// How long runs of retention wait. Not a setting.
    pub retention: RetentionPeriods,
    /// Where the server's own state lies.
    pub state: StateConfig,
    /// The caches, by slug.
    pub caches: Vec<CacheConfig>,
}

/// What the command line and the environment give.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Variables; those that do not begin with `SNOWBANK_` are ignored.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: dotted key, value and how the flag is spelled.
    pub flags: Vec<(String, String, String)>,
}

impl Sources {
    /// Adds `KEY=VALUE`.
    ///
    /// # Errors
    /// Without `=` or without a key.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        match assignment.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.flags.push((
                    key.trim().into(),
                    value.into(),
                    format!("--set {}", key.trim()),
                ));
                Ok(())
            }
            _ => Err(ConfigError::Assignment(
                assignment.escape_debug().to_string(),
            )),
        }
    }
}

impl Config {
    /// Merges the layers and reads them.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key, value, origin and what is allowed.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut tree = match &sources.file {
            Some(path) => Node::from_file(path)?,
            None => Node::default(),
        };
        let top: Vec<&str> = reference::SETTINGS
            .iter()
            .filter_map(|it| it.key.split('.').next())
            .collect();
        tree.add_environment(sources.environment.iter().cloned(), |name| {
            top.contains(&name)
        })?;
        for (key, value, flag) in &sources.flags {
            let path: Vec<&str> = key.split('.').collect();
            tree.set(&path, value.clone(), Origin::Flag(flag.clone()));
        }
        let ui_dir = sources
            .environment
            .iter()
            .find(|(name, _)| name == "SNOWBANK_UI_DIR")
            .map(|(_, value)| PathBuf::from(value));
        Self {
            ui_dir,
            ..Self::read(
                Table::root(tree),
                &sources.environment,
                sources.file.is_some(),
            )?
        }
        .checked()
    }

    /// Without any cache the server makes one of its own, unless a file was given: whoever wrote
    /// one wants the wizard of the empty start page, not a cache to remove again.
    fn read(
        mut root: Table,
        environment: &[(OsString, OsString)],
        has_file: bool,
    ) -> Result<Self, ConfigError> {
        const ADDRESS: &str =
            "it is an address with a port, such as `127.0.0.1:8080` or `[::]:8080`";
        const URL: &str = "it is http:// or https:// with a host, and a path at most: `https://cache.example.org/nix`";
        let listen = take(&mut root, "listen", |given| given.parsed(ADDRESS))?
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let public_url = take(&mut root, "public_url", |given| given.parsed(URL))?;
        let cache_url = take(&mut root, "cache_url", |given| given.parsed(URL))?;
        let trusted_proxies = take(&mut root, "trusted_proxies", blocks)?.unwrap_or_default();
        let outbound_allow = take(&mut root, "outbound_allow", blocks)?.unwrap_or_default();
        let mut missing = None;
        let oidc = later(OidcConfig::read(root.table("oidc")?), &mut missing)?.flatten();
        let data_dir =
            take(&mut root, "data_dir", path)?.unwrap_or_else(|| default_data_dir(environment));
        let secret_file = take(&mut root, "secret_file", path)?;
        let s3_listen: Option<SocketAddr> =
            take(&mut root, "s3_listen", |given| given.parsed(ADDRESS))?;
        let s3_anonymous = take(&mut root, "s3_anonymous", |given| {
            let anonymous = given.boolean()?;
            match s3_listen {
                Some(address) if anonymous && !address.ip().is_loopback() => Err(given.refuse(format!(
                    "s3_listen is {address}, and only a loopback address may be open without credentials"
                ))),
                _ => Ok(anonymous),
            }
        })?
        .unwrap_or_default();
        let metrics_listen = take(&mut root, "metrics_listen", |given| given.parsed(ADDRESS))?;
        let live_check = LivePeriods::read(root.table("live_check")?)?;
        let state = later(StateConfig::read(root.table("state")?), &mut missing)?;
        let mut declared = root.table("caches")?;
        let mut caches = Vec::new();
        for (name, table) in declared.tables()? {
            caches.extend(later(CacheConfig::read(&name, table), &mut missing)?);
        }
        root.finish()?;
        if let Some(missing) = missing {
            return Err(missing);
        }
        let mut state = state.unwrap_or_default();
        if caches.is_empty() && has_file {
            state.or_in(data_dir.join("buckets").join("state"));
        } else if caches.is_empty() {
            caches.push(CacheConfig::embedded(
                Slug::main(),
                data_dir.join("buckets").join("main"),
            ));
        }
        Ok(Self {
            retention: RetentionPeriods::default(),
            listen,
            public_url,
            cache_url,
            trusted_proxies,
            outbound_allow,
            oidc,
            data_dir,
            secret_file,
            s3_listen,
            s3_anonymous,
            metrics_listen,
            ui_dir: None,
            live_check,
            state,
            caches,
        })
    }

    /// The server of `snowbank` alone, with everything below one folder: cache `main`
    /// in an embedded bucket, on a free port of the loopback address.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            cache_url: None,
            trusted_proxies: Vec::new(),
            outbound_allow: Vec::new(),
            oidc: None,
            secret_file: None,
            s3_listen: None,
            s3_anonymous: false,
            metrics_listen: None,
            ui_dir: None,
            live_check: LivePeriods::default(),
            retention: RetentionPeriods::default(),
            state: StateConfig::default(),
            caches: vec![CacheConfig::embedded(
                Slug::main(),
                data_dir.join("buckets").join("main"),
            )],
            data_dir,
        }
    }

    /// What concerns several settings at once.
    fn checked(self) -> Result<Self, ConfigError> {
        let first_segment = |url: &Option<PublicUrl>| -> Option<String> {
            url.as_ref()?
                .base()
                .split('/')
                .nth(1)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
        };
        for (key, url) in [
            ("public_url", &self.public_url),
            ("cache_url", &self.cache_url),
        ] {
            if let Some(segment) = first_segment(url)
                && let Some(cache) = self
                    .caches
                    .iter()
                    .find(|cache| cache.slug.as_str() == segment)
            {
                return Err(ConfigError::Conflict(format!(
                    "the cache `{}` has the name of the path of `{key}`, so that /{segment}/… could mean both: rename one",
                    cache.slug
                )));
            }
        }
        for (at, cache) in self.caches.iter().enumerate() {
            for other in &self.caches[at + 1..] {
                if cache.source.overlaps(&other.source) {
                    return Err(ConfigError::Conflict(format!(
                        "the caches `{}` and `{}` lie in the same place",
                        cache.slug, other.slug
                    )));
                }
            }
        }
        self.state.checked(&self.caches)?;
        self.secrets_lie_outside()?;
        self.folders_exist()?;
        Ok(self)
    }

    /// Refuses a folder that is not there, unless it is one of the server's own, below the data folder.
    fn folders_exist(&self) -> Result<(), ConfigError> {
        let own = whole(&self.data_dir);
        let caches = self.caches.iter().filter_map(|cache| match &cache.source {
            Source::Folder { folder, .. } => {
                Some((folder.as_path(), format!("caches.{}.folder", cache.slug)))
            }
            Source::Bucket { .. } => None,
        });
        let state = self
            .state
            .folder()
            .map(|folder| (folder, "state.folder".to_owned()));
        match caches
            .chain(state)
            .chain(self.folders_beside())
            .find(|(folder, _)| !folder.is_dir() && !whole(folder).starts_with(&own))
        {
            Some((folder, key)) => Err(ConfigError::NoFolder {
                key,
                path: folder.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Folders of access logs and inventories, each with its key.
    fn folders_beside(&self) -> impl Iterator<Item = (&Path, String)> {
        self.caches.iter().flat_map(|cache| {
            let key = |what: &str| format!("caches.{}.{what}.folder", cache.slug);
            let logs = cache.access_logs.as_ref();
            let logs = logs.and_then(|logs| logs.source.folder());
            let inventory = cache.inventory.as_ref().and_then(Source::folder);
            let logs = logs.map(|folder| (folder, key("access_logs")));
            let inventory = inventory.map(|folder| (folder, key("inventory")));
            logs.into_iter().chain(inventory)
        })
    }

    /// Refuses a secret below a folder whose files are objects of a bucket.
    fn secrets_lie_outside(&self) -> Result<(), ConfigError> {
        let mut secrets = vec![
            ("data_dir".to_owned(), whole(&self.data_dir)),
            ("secret_file".to_owned(), whole(&self.secret_path())),
        ];
        for cache in &self.caches {
            let key = format!("caches.{}.signing_key_files", cache.slug);
            secrets.extend(
                cache
                    .signing_key_files
                    .iter()
                    .map(|file| (key.clone(), whole(file))),
            );
        }
        let caches = self.caches.iter().filter_map(|cache| match &cache.source {
            Source::Folder { folder, .. } => {
                Some((folder.as_path(), format!("cache `{}`", cache.slug)))
            }
            Source::Bucket { .. } => None,
        });
        let state = self
            .state
            .folder()
            .map(|folder| (folder, "the state".to_owned()));
        let others = caches.chain(state).chain(self.folders_beside());
        for (folder, whose) in others {
            let folder = whole(folder);
            if let Some((key, path)) = secrets.iter().find(|(_, path)| path.starts_with(&folder)) {
                return Err(ConfigError::Conflict(format!(
                    "`{key}` is {}, inside the folder of {whose}: secrets must lie outside of what is served",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// Where the state secret is.
    pub fn secret_path(&self) -> PathBuf {
        self.secret_file
            .clone()
            .unwrap_or_else(|| self.data_dir.join("state.secret"))
    }
}

/// An absolute path. Where the current folder is unknown, nothing relative can be compared.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn take<T>(
    table: &mut Table,
    name: &'static str,
    read: impl FnOnce(&Given) -> Result<T, ConfigError>,
) -> Result<Option<T>, ConfigError> {
    table.take(name)?.map(|given| read(&given)).transpose()
}

/// Puts the first that is missing aside, until it is known whether anything is unknown.
fn later<T>(
    read: Result<T, ConfigError>,
    missing: &mut Option<ConfigError>,
) -> Result<Option<T>, ConfigError> {
    match read {
        Err(error @ ConfigError::Missing { .. }) => {
            missing.get_or_insert(error);
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// A list of addresses and blocks of them.
fn blocks(given: &Given) -> Result<Vec<AddressBlock>, ConfigError> {
    let allowed = "it is a list of addresses or blocks, such as `10.0.0.0/8`";
    given
        .list()?
        .iter()
        .map(|item| item.parse().map_err(|_| given.refuse(allowed)))
        .collect()
}

fn path(given: &Given) -> Result<PathBuf, ConfigError> {
    match given.text()? {
        "" => Err(given.refuse("it is a path")),
        text => Ok(PathBuf::from(text)),
    }
}

/// Where programs of a user, or a service of systemd, keep their data.
fn default_data_dir(environment: &[(OsString, OsString)]) -> PathBuf {
    let variable = |wanted: &str| {
        environment
            .iter()
            .find(|(name, value)| name == wanted && Path::new(value).is_absolute())
            .map(|(_, value)| PathBuf::from(value))
    };
    variable("STATE_DIRECTORY")
        .or_else(|| variable("XDG_DATA_HOME").map(|dir| dir.join("snowbank")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/share/snowbank")))
        .unwrap_or_else(|| PathBuf::from("snowbank-data"))
}

#[cfg(test)]
mod tests;
