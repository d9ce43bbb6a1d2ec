//! A cache, as configured: where it lies, who may read it, how it is served.

use std::path::{Path, PathBuf};
use std::time::Duration;

use snowbank_shared::api::Visibility;
use snowbank_shared::nix_conf::SubstituterUrl;
use snowbank_shared::signature::PublicKey;
use snowbank_shared::store_path::StoreDir;

use super::beside::read_inventory;
use super::place::read_place;
use super::reader::{Given, Table};
use super::value::SlugError;
use super::{AccessLogs, ConfigError, Slug, take};
use crate::bucket::Credentials;

/// A cache, as configured.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub title: String,
    /// Where it lies.
    pub source: Source,
    /// The store directory of its paths.
    pub store_dir: StoreDir,
    /// Who may read it.
    pub visibility: Visibility,
    /// Secret keys of the cache.
    pub signing_key_files: Vec<PathBuf>,
    /// Whether a secret key is made where there is none.
    pub make_key: bool,
    /// Keys that its clients trust, beside those of the secret keys.
    pub public_keys: Vec<PublicKey>,
    /// What `nix-cache-info` says.
    pub priority: i32,
    /// Which paths Nix clients get.
    pub serve: Serve,
    /// Who decides that a path is absent.
    pub misses: Misses,
    /// How NARs reach the client.
    pub nar: NarDelivery,
    /// Whether it is counted who fetches what.
    pub usage: bool,
    /// Access logs that tell of what does not go through the server.
    pub access_logs: Option<AccessLogs>,
    /// Where S3 writes inventories of the cache's bucket.
    pub inventory: Option<Source>,
    /// Bytes of an archive at most, packed or not.
    pub max_nar_size: u64,
    /// Bytes of all archives at most, as stored.
    pub max_bytes: Option<u64>,
    /// Between two sweeps of the root.
    pub sweep: Duration,
    /// Between two sweeps of the whole bucket.
    pub full_sweep: Duration,
    /// Bytes a second, as stored, that are read to prove content; 0: none are. `None`: as many as it
    /// takes to read everything in 90 days.
    pub verify_rate: Option<u64>,
    /// Caches whose paths lie here too.
    pub upstreams: Vec<Upstream>,
}

/// Bytes of an archive at most where nothing else is said: 20 GiB.
const MAX_NAR_SIZE: u64 = 20 << 30;
/// Bytes a second that may be read to prove content, at most: 10 GB.
const MAX_VERIFY_RATE: i64 = 10_000_000_000;

/// Where a cache lies.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one for each cache")]
pub enum Source {
    /// In an S3 bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// The cache lies below it; may be empty.
        prefix: String,
        /// `None` is AWS.
        endpoint: Option<String>,
        /// The region to sign for.
        region: Option<String>,
        /// The bucket in the path instead of the host name.
        path_style: Option<bool>,
        /// Who we are.
        credentials: Credentials,
    },
    /// In a local folder, through the embedded S3.
    Folder {
        /// The folder; made where it is missing, which the configuration allows only below `data_dir`.
        folder: PathBuf,
        /// The cache lies below it; may be empty.
        prefix: String,
    },
}

/// Which paths Nix clients get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// All, as plain S3 would: the client judges.
    All,
    /// Those with a good signature, or that need none.
    Signed,
    /// Those whose content was verified.
    Verified,
}

/// Who decides that a path is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misses {
    /// The index, once it is complete.
    Index,
    /// A look into the bucket, remembered for seconds.
    Bucket,
}

/// How NARs reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarDelivery {
    /// Through the server.
    Proxy,
    /// From the bucket, by a presigned URL.
    Redirect,
}

/// What becomes of an upload that an upstream has too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpstreamMode {
    /// It is held against what the upstream signed, and kept.
    #[default]
    Check,
    /// It is not kept: uploaders are told that it is there, and clients fetch it from the upstream.
    Virtual,
}

/// A cache whose paths lie here too.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its substituter URL.
    pub url: String,
    /// Its keys.
    pub keys: Vec<PublicKey>,
    /// What becomes of an upload that it has too.
    pub mode: UpstreamMode,
}

impl Source {
    /// Whether both are the same place. One below the other is allowed: the lower is then
    /// hidden from the upper.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.shares_bucket(other) && self.prefix() == other.prefix()
    }

    /// Whether both are in one bucket or folder.
    pub fn shares_bucket(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Bucket {
                    bucket, endpoint, ..
                },
                Self::Bucket {
                    bucket: bucket2,
                    endpoint: endpoint2,
                    ..
                },
            ) => bucket == bucket2 && endpoint == endpoint2,
            (
                Self::Folder { folder, .. },
                Self::Folder {
                    folder: folder2, ..
                },
            ) => folder == folder2,
            _ => false,
        }
    }

    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Bucket { .. } => None,
            Self::Folder { folder, .. } => Some(folder),
        }
    }

    /// The same bucket or folder, at another prefix.
    pub(super) fn at(&self, place: &str) -> Self {
        let mut source = self.clone();
        let (Self::Bucket { prefix, .. } | Self::Folder { prefix, .. }) = &mut source;
        place.clone_into(prefix);
        source
    }

    /// The prefix in the bucket or folder, without slashes around it.
    pub fn prefix(&self) -> &str {
        let (Self::Bucket { prefix, .. } | Self::Folder { prefix, .. }) = self;
        prefix.trim_matches('/')
    }
}

impl CacheConfig {
    /// A cache in a local folder with a key of its own, all else at its default.
    pub fn embedded(slug: Slug, folder: PathBuf) -> Self {
        Self {
            title: slug.to_string(),
            slug,
            source: Source::Folder {
                folder,
                prefix: String::new(),
            },
            store_dir: StoreDir::default(),
            visibility: Visibility::Public,
            signing_key_files: Vec::new(),
            make_key: true,
            public_keys: Vec::new(),
            priority: 50,
            serve: Serve::All,
            misses: Misses::Index,
            nar: NarDelivery::Proxy,
            usage: true,
            access_logs: None,
            inventory: None,
            max_nar_size: MAX_NAR_SIZE,
            max_bytes: None,
            sweep: Duration::from_secs(60),
            full_sweep: Duration::from_secs(86400),
            verify_rate: None,
            upstreams: Vec::new(),
        }
    }

    pub(super) fn read(name: &str, mut table: Table) -> Result<Self, ConfigError> {
        let slug: Slug = name
            .parse()
            .map_err(|reason: SlugError| ConfigError::Value {
                key: format!("caches.{}", name.escape_debug()),
                value: format!("`{}`", name.escape_debug()),
                origin: "a cache's slug".into(),
                allowed: reason.to_string(),
            })?;
        let source = read_source(&mut table)?;
        let title = take(&mut table, "title", |given| {
            let text = given.text()?;
            let fine =
                !text.trim().is_empty() && text.len() <= 100 && !text.chars().any(char::is_control);
            if fine {
                Ok(text.to_owned())
            } else {
                Err(given.refuse("it is a line of at most 100 bytes"))
            }
        })?;
        let store_dir = take(&mut table, "store_dir", |given| {
            given.parsed("it is an absolute path without a slash at its end, such as `/nix/store`")
        })?;
        let visibility = take(&mut table, "visibility", |given| {
            given.word(&[
                ("public", Visibility::Public),
                ("private", Visibility::Private),
                ("unlisted", Visibility::Unlisted),
            ])
        })?;
        let signing_key_files: Vec<PathBuf> = take(&mut table, "signing_key_files", Given::list)?
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect();
        let public_keys = take(&mut table, "public_keys", keys)?.unwrap_or_default();
        let priority = take(&mut table, "priority", |given| {
            given.integer(0..=i64::from(i32::MAX))
        })?;
        let serve = take(&mut table, "serve", |given| {
            given.word(&[
                ("all", Serve::All),
                ("signed", Serve::Signed),
                ("verified", Serve::Verified),
            ])
        })?;
        let misses = take(&mut table, "misses", |given| {
            given.word(&[("index", Misses::Index), ("bucket", Misses::Bucket)])
        })?;
        let nar = take(&mut table, "nar", |given| {
            given.word(&[
                ("proxy", NarDelivery::Proxy),
                ("redirect", NarDelivery::Redirect),
            ])
        })?;
        let usage = take(&mut table, "usage", |given| {
            given.word(&[("count", true), ("off", false)])
        })?;
        let access_logs = AccessLogs::read(table.table("access_logs")?)?;
        let inventory = read_inventory(table.table("inventory")?)?;
        let bytes = |given: &Given| given.integer(1..=i64::MAX).map(i64::unsigned_abs);
        let max_nar_size = take(&mut table, "max_nar_size", bytes)?;
        let max_bytes = take(&mut table, "max_bytes", bytes)?;
        let day = Duration::from_secs(86400);
        let sweep = take(&mut table, "sweep", |given| {
            given.duration(Duration::from_secs(1), 7 * day)
        })?;
        let full_sweep = take(&mut table, "full_sweep", |given| {
            given.duration(Duration::from_secs(60), 90 * day)
        })?;
        let verify_rate = take(&mut table, "verify_rate", |given| {
            given.integer(0..=MAX_VERIFY_RATE).map(i64::unsigned_abs)
        })?;
        let upstreams = table
            .array("upstreams")?
            .into_iter()
            .map(|mut table| {
                let key = format!("{}.url", table.key());
                let url = take(&mut table, "url", |given| {
                    let known =
                        |url: &str| url.starts_with("https://") || url.starts_with("http://");
                    let url = given.text()?;
                    if known(url) {
                        Ok(url.to_owned())
                    } else {
                        Err(given.refuse("it is an http:// or https:// URL"))
                    }
                })?;
                let keys = take(&mut table, "keys", keys)?.unwrap_or_default();
                let mode = take(&mut table, "mode", |given| {
                    given.word(&[
                        ("check", UpstreamMode::Check),
                        ("virtual", UpstreamMode::Virtual),
                    ])
                })?
                .unwrap_or_default();
                table.finish()?;
                let url = url.ok_or(ConfigError::Missing {
                    key,
                    needed: "the cache's substituter URL".into(),
                });
                Ok(url.map(|url| Upstream { url, keys, mode }))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        table.finish()?;
        let source = source?;
        let embedded = matches!(source, Source::Folder { .. });
        let upstreams = upstreams.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (number, upstream) in upstreams.iter().enumerate() {
            virtual_is_possible(upstream, &format!("caches.{slug}.upstreams.{number}"))?;
        }
        if embedded && nar == Some(NarDelivery::Redirect) {
            return Err(ConfigError::Conflict(format!(
                "`caches.{slug}.nar` cannot be `redirect`: clients cannot reach a local folder, only a bucket"
            )));
        }
        Ok(Self {
            title: title.unwrap_or_else(|| slug.to_string()),
            slug,
            source,
            store_dir: store_dir.unwrap_or_default(),
            visibility: visibility.unwrap_or(Visibility::Public),
            make_key: embedded && signing_key_files.is_empty() && public_keys.is_empty(),
            signing_key_files,
            public_keys,
            priority: priority
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or(50),
            serve: serve.unwrap_or(Serve::All),
            misses: misses.unwrap_or(if embedded {
                Misses::Index
            } else {
                Misses::Bucket
            }),
            nar: nar.unwrap_or(NarDelivery::Proxy),
            usage: usage.unwrap_or(true),
            access_logs,
            inventory,
            max_nar_size: max_nar_size.unwrap_or(MAX_NAR_SIZE),
            max_bytes,
            sweep: sweep.unwrap_or(Duration::from_secs(if embedded { 60 } else { 600 })),
            full_sweep: full_sweep.unwrap_or(day),
            verify_rate,
            upstreams,
        })
    }
}

/// A virtual upstream is believed by its keys, and its URL goes into the nix.conf of clients.
fn virtual_is_possible(upstream: &Upstream, key: &str) -> Result<(), ConfigError> {
    if upstream.mode != UpstreamMode::Virtual {
        return Ok(());
    }
    if upstream.keys.is_empty() {
        return Err(ConfigError::Missing {
            key: format!("{key}.keys"),
            needed: "the keys by which a virtual upstream is believed".into(),
        });
    }
    upstream
        .url
        .parse::<SubstituterUrl>()
        .map(drop)
        .map_err(|reason| {
            ConfigError::Conflict(format!(
                "`{key}.url` cannot be of a virtual upstream, which clients are told to use: {reason}"
            ))
        })
}

/// Where a cache lies: exactly one of `bucket` and `folder`.
fn read_source(table: &mut Table) -> Result<Result<Source, ConfigError>, ConfigError> {
    let missing = ConfigError::Missing {
        key: format!("{}.bucket", table.key()),
        needed: "the name of the bucket the cache lies in (or `folder`, a local folder)".into(),
    };
    let (place, _) = read_place(table)?;
    Ok(place.and_then(|source| source.ok_or(missing)))
}

fn keys(given: &Given) -> Result<Vec<PublicKey>, ConfigError> {
    given
        .list()?
        .iter()
        .map(|text| {
            text.parse().map_err(|error| {
                given.refuse(format!(
                    "it is `name:base64` with 32 bytes of Ed25519 key: {error}"
                ))
            })
        })
        .collect()
}
