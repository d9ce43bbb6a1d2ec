//! The embedded S3 for caches that lie in local folders.
//!
//! One server for all of them; caches in one folder share a bucket. Its inner address is
//! for us alone. Where `s3_listen` is set there is a second address for S3 clients, with
//! credentials that stay the same over restarts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::StartError;
use crate::bucket::embedded::access::{Anonymous, Credentials};
use crate::bucket::embedded::{EmbeddedConfig, EmbeddedError, EmbeddedS3, ListenerConfig};
use crate::bucket::{self, BucketConfig, CredentialSource};
use crate::config::{Config, Source};
use crate::secrets::{self, SecretError};

/// The bucket of each folder.
pub(super) type Buckets = BTreeMap<PathBuf, String>;

/// The bucket of a state that has a folder of its own. No slug has a dot.
const STATE_BUCKET: &str = "snowbank.state";

/// Names the buckets after the first cache in each folder, or whose logs or inventories lie there.
pub(super) fn buckets(config: &Config) -> Buckets {
    let mut buckets = Buckets::new();
    let state = config.state.places(&config.caches);
    let own = state
        .iter()
        .filter(|place| place.named)
        .map(|place| (&place.source, STATE_BUCKET));
    let beside = config.caches.iter().flat_map(|cache| {
        let logs = cache.access_logs.as_ref().map(|logs| &logs.source);
        let places = [(logs, "logs"), (cache.inventory.as_ref(), "inventory")];
        let named = |(source, what)| Some((source?, format!("{:.50}.{what}", cache.slug.as_str())));
        places.into_iter().filter_map(named)
    });
    let caches = config.caches.iter();
    for (source, slug) in caches
        .map(|cache| (&cache.source, cache.slug.to_string()))
        .chain(own.map(|(source, name)| (source, name.to_owned())))
        .chain(beside)
    {
        if let Source::Folder { folder, .. } = source {
            // S3 wants three characters.
            let name = if slug.len() < 3 || slug.len() > 63 {
                format!("cache-{slug:.57}")
            } else {
                slug
            };
            buckets
                .entry(folder.clone())
                .or_insert_with(|| name.trim_end_matches('-').to_owned());
        }
    }
    buckets
}

/// Starts it, where a cache needs it.
pub(super) async fn start(
    config: &Config,
    buckets: &Buckets,
) -> Result<Option<EmbeddedS3>, StartError> {
    if buckets.is_empty() {
        return Ok(None);
    }
    let external = match config.s3_listen {
        None => None,
        Some(listen) => Some(ListenerConfig {
            listen,
            credentials: Some(stable_credentials(&config.data_dir.join("s3-credentials"))?),
            anonymous: if config.s3_anonymous {
                Anonymous::Full
            } else {
                Anonymous::Refused
            },
            hidden: hidden(config),
        }),
    };
    let embedded = EmbeddedConfig {
        buckets: buckets
            .iter()
            .map(|(folder, name)| (name.clone(), folder.clone()))
            .collect(),
        external,
        ..EmbeddedConfig::new()
    };
    let started = EmbeddedS3::start(embedded).await;
    started.map(Some).map_err(|error| match error {
        EmbeddedError::Listen { address, source } => StartError::Listen {
            key: "s3_listen",
            address,
            source,
        },
        error => StartError::Embedded(error.to_string()),
    })
}

/// What S3 clients never see: the state's prefix, in whatever bucket.
fn hidden(config: &Config) -> Vec<String> {
    let mut hidden = vec![super::open::STATE_AREA.to_owned()];
    for place in config.state.places(&config.caches) {
        let prefix = place.source.prefix();
        // The configuration refuses a folder without a prefix.
        if !prefix.is_empty() {
            hidden.push(format!("{prefix}/"));
        }
    }
    hidden
}

/// How we reach the bucket of a folder.
pub(super) fn place(
    buckets: &Buckets,
    embedded: Option<&EmbeddedS3>,
    folder: &Path,
    prefix: &str,
) -> BucketConfig {
    let credentials = embedded.map_or(CredentialSource::Anonymous, |embedded| {
        CredentialSource::Static {
            access_key_id: embedded.credentials().access_key.clone(),
            secret_access_key: embedded.credentials().secret_key.clone(),
            session_token: None,
        }
    });
    BucketConfig {
        bucket: buckets.get(folder).cloned().unwrap_or_default(),
        prefix: prefix.to_owned(),
        endpoint: embedded.map(EmbeddedS3::endpoint),
        region: Some("us-east-1".to_owned()),
        path_style: Some(true),
        credentials: bucket::Credentials {
            read: credentials,
            write: None,
            delete: None,
        },
        ..BucketConfig::default()
    }
}

/// The credentials for S3 clients, in the form of an AWS credentials file; made once.
fn stable_credentials(path: &Path) -> Result<Credentials, StartError> {
    let named = StartError::secret_of;
    let failed = |source| {
        named(super::DATA_DIR)(SecretError::File {
            path: path.to_owned(),
            source,
        })
    };
    if !path.exists() {
        let fresh = Credentials::generate().map_err(failed)?;
        let text = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            fresh.access_key, fresh.secret_key
        );
        secrets::create(path, text.as_bytes()).map_err(named(super::DATA_DIR))?;
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key), Some(secret_key)) => Ok(Credentials {
            access_key,
            secret_key,
        }),
        _ => Err(StartError::Embedded(format!(
            "{} has no aws_access_key_id or no aws_secret_access_key",
            path.display()
        ))),
    }
}
