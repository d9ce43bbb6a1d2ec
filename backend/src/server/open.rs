//! Opening the caches of a configuration: their buckets, keys, indexes and sweeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl};
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey, SecretKey};
use snowbank_shared::store_path::StorePathHash;
use xxhash_rust::xxh3::xxh3_64;

use super::StartError;
use super::embedded::{self, Buckets};
use super::inventory;
use super::logs;
use super::state;
use crate::archive::Archives;
use crate::bucket::embedded::EmbeddedS3;
use crate::bucket::{Bucket, BucketConfig};
use crate::condemned::Condemned;
use crate::config::{self, CacheConfig, Config, PublicUrl, Source, UpstreamMode};
use crate::index::{Index, IndexParams};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::outbound::{Outbound, Policy};
use crate::proofs::{Proofs, Rate};
use crate::secrets::{self, StateSecret};
use crate::site::elsewhere::Elsewhere;
use crate::site::{Cache, CacheCounters, Lookups, OwnKeys, Trust};
use crate::sizes::Sizes;
use crate::sync::{Hints, Schedule, Sync, SyncHandle, SyncParams};
use crate::upstream::{Upstream, Upstreams};
use crate::usage::Usage;
use crate::withheld::Withheld;

/// Where the state of any server lies unless told otherwise; never part of a cache.
pub(super) const STATE_AREA: &str = ".snowbank/";

/// Caches that are open, with their sweeps and the embedded S3 that they may lie in.
pub struct Opened {
    pub(super) caches: Vec<Arc<Cache>>,
    /// In the order of the caches.
    syncs: Vec<SyncHandle>,
    pub(super) ledger: Option<Ledger>,
    pub(super) embedded: Option<EmbeddedS3>,
}

impl Opened {
    /// The caches with their sweeps.
    pub fn caches(&self) -> impl Iterator<Item = (&Arc<Cache>, &SyncHandle)> {
        self.caches.iter().zip(&self.syncs)
    }

    /// By slug: who to tell what changed in a cache.
    pub(super) fn hints(&self) -> BTreeMap<String, Hints> {
        let hint =
            |(cache, sync): (&Arc<Cache>, &SyncHandle)| (cache.slug.to_string(), sync.hints());
        self.caches().map(hint).collect()
    }

    /// Ends the sweeps, writes the indexes, closes the state, then ends the embedded S3.
    pub async fn close(self) {
        for sync in self.syncs {
            sync.shutdown().await;
        }
        for cache in self.caches {
            let index = cache.index.clone();
            if tokio::task::spawn_blocking(move || index.flush())
                .await
                .is_err()
            {
                tracing::error!(cache = %cache.slug, "writing the index failed");
            }
        }
        if let Some(ledger) = self.ledger {
            ledger.close().await;
        }
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

/// Opens all caches and begins their sweeps; with the state secret, also the server's state.
pub(super) async fn caches(
    config: &Config,
    cache_url: &PublicUrl,
    metrics: &Metrics,
    schedule: Schedule,
    secret: Option<StateSecret>,
) -> Result<Opened, StartError> {
    let buckets = embedded::buckets(config);
    let embedded = embedded::start(config, &buckets).await?;
    let ledger = match secret {
        None => None,
        Some(secret) => Some(state::open(config, secret, &buckets, embedded.as_ref()).await?),
    };
    let mut caches: Vec<Arc<Cache>> = Vec::new();
    let mut syncs = Vec::new();
    for declared in &config.caches {
        let (cache, sync) = open(
            config,
            declared,
            cache_url,
            metrics,
            (&buckets, embedded.as_ref()),
            schedule,
        )
        .await?;
        warn_of_shared_keys(&cache, &caches);
        caches.push(Arc::new(cache));
        syncs.push(sync);
    }
    Ok(Opened {
        caches,
        syncs,
        ledger,
        embedded,
    })
}

async fn open(
    config: &Config,
    declared: &CacheConfig,
    cache_url: &PublicUrl,
    metrics: &Metrics,
    (buckets, embedded): (&Buckets, Option<&EmbeddedS3>),
    schedule: Schedule,
) -> Result<(Cache, SyncHandle), StartError> {
    let slug = &declared.slug;
    let (own_keys, signers) = own_keys(config, declared, cache_url)?;
    let upstream_keys = declared
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.keys.clone())
        .collect();
    let url = cache_url.join(slug.as_str());
    let address: SubstituterUrl =
        url.parse()
            .map_err(|reason: snowbank_shared::nix_conf::SubstituterUrlError| {
                StartError::Address {
                    cache: slug.to_string(),
                    reason: reason.to_string(),
                }
            })?;
    let upstream = declared
        .upstreams
        .iter()
        .flat_map(|upstream| &upstream.keys);
    let known = |key: &PublicKey, purpose| KnownKey {
        key: key.clone(),
        purpose,
        state: KeyState::Active,
    };
    let key_ring = KeyRing::new(
        own_keys
            .iter()
            .map(|key| known(key, KeyPurpose::Cache))
            .chain(upstream.map(|key| known(key, KeyPurpose::Upstream))),
    );
    let key_ring = Arc::new(key_ring.with_upstreams());

    let bucket_config = BucketConfig {
        hidden: hidden(config, declared),
        ..place(&declared.source, buckets, embedded)
    };
    let bucket = Bucket::connect(&bucket_config)
        .await
        .map_err(|source| StartError::Bucket {
            cache: slug.to_string(),
            source,
        })?;
    let location = match &declared.source {
        Source::Bucket { .. } => bucket.location().to_owned(),
        Source::Folder { .. } => "folder".to_owned(),
    };

    let params = IndexParams {
        store_dir: declared.store_dir.clone(),
        key_ring: Arc::clone(&key_ring),
    };
    let dir = index_dir(&config.data_dir, declared, &bucket_config);
    let opening = tokio::task::spawn_blocking(move || Index::open(&dir, &params));
    let index = match opening.await {
        Ok(opened) => opened.map_err(|source| StartError::Index {
            cache: slug.to_string(),
            source,
        })?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };

    let begins_empty = index.view().swept_at().is_none();

    let defaults = match &declared.source {
        Source::Bucket { .. } => SyncParams::s3(),
        Source::Folder { .. } => SyncParams::embedded(),
    };
    let params = SyncParams {
        schedule,
        sweep: declared.sweep,
        whole_sweep: declared.full_sweep,
        store_dir: declared.store_dir.clone(),
        ..defaults
    };
    let sync = Sync::spawn(&bucket, index.clone(), Arc::clone(&key_ring), params);
    let withheld = Withheld::remembering(&index.view());
    let areas = std::iter::once(STATE_AREA.to_owned()).chain(config.state.hidden_from(declared));
    let sizes = Sizes::new(sync.whole(), areas, bucket.prefix());
    let inventory = inventory::open(declared, sizes.areas(), (buckets, embedded)).await?;
    let sizes = sizes.with_inventory(inventory);
    let cache = Cache {
        slug: slug.clone(),
        title: declared.title.clone(),
        url,
        visibility: declared.visibility,
        store_dir: declared.store_dir.clone(),
        priority: declared.priority,
        serve: declared.serve,
        misses: declared.misses,
        nar: declared.nar,
        location,
        bucket_url: declared.source.substituter(),
        noting: tokio::sync::Mutex::default(),
        bucket,
        index,
        status: sync.status(),
        answered: sync.answered(),
        trust: Trust::new(
            address,
            own_keys.clone(),
            beside(&declared.upstreams),
            !signers.is_empty(),
        ),
        keys: OwnKeys::new(key_ring, own_keys, signers),
        upstream_keys,
        max_nar_size: declared.max_nar_size,
        max_bytes: declared.max_bytes,
        archives: Archives::default(),
        lookups: Lookups::default(),
        counters: CacheCounters::of(metrics, slug.as_str()),
        opened_at: time::OffsetDateTime::now_utc(),
        upstreams: Upstreams::new(
            declared
                .upstreams
                .iter()
                .map(|upstream| Upstream {
                    url: upstream.url.clone(),
                    keys: upstream.keys.clone(),
                    mode: upstream.mode,
                })
                .collect(),
            declared.store_dir.clone(),
            Outbound::new(Policy::new(&config.outbound_allow)),
        ),
        withheld,
        condemned: Condemned::default(),
        usage: Usage::new(declared.usage, !declared.upstreams.is_empty())?
            .with_logs(logs::open(declared, cache_url, (buckets, embedded)).await?),
        sizes,
        proofs: Proofs::new(Rate::of(declared.verify_rate), begins_empty),
        elsewhere: Elsewhere::default(),
    };
    Ok((cache, sync))
}

/// What clients use beside the cache: the virtual upstreams, whose paths do not lie in it.
fn beside(upstreams: &[config::Upstream]) -> Vec<ClientSettings> {
    let is_virtual = |upstream: &&config::Upstream| upstream.mode == UpstreamMode::Virtual;
    upstreams
        .iter()
        .filter(is_virtual)
        // One whose URL cannot stand in nix.conf was refused with the configuration.
        .filter_map(|upstream| {
            let url = upstream.url.parse().ok()?;
            Some(ClientSettings::new(url, upstream.keys.iter().cloned()))
        })
        .collect()
}

/// The public keys that clients of the cache trust: of its secret keys, then those declared. And the
/// secret keys.
fn own_keys(
    config: &Config,
    declared: &CacheConfig,
    cache_url: &PublicUrl,
) -> Result<(Vec<PublicKey>, Vec<SecretKey>), StartError> {
    let mut signers = Vec::new();
    for path in &declared.signing_key_files {
        let key = format!("caches.{}.signing_key_files", declared.slug);
        let secret = secrets::read_key(path).map_err(StartError::secret_of(key))?;
        signers.push(secret);
    }
    if declared.make_key {
        let path = key_path(&config.data_dir, declared);
        if !path.exists() && holds_narinfos(&declared.source) {
            tracing::warn!(
                cache = %declared.slug,
                "its folder holds narinfos already, which a new key would not have signed, so none was made: \
                 name the key that signed them with caches.{0}.public_keys, or its file with caches.{0}.signing_key_files",
                declared.slug
            );
        } else {
            let name = key_name(declared, cache_url)?;
            let secret = secrets::read_or_make_key(&path, &name);
            let secret = secret.map_err(StartError::secret_of(super::DATA_DIR))?;
            signers.push(secret);
        }
    }
    let own = signers.iter().map(SecretKey::public_key);
    let keys = own.chain(declared.public_keys.iter().cloned()).collect();
    Ok((keys, signers))
}

/// Whether a cache in a folder has a narinfo. One that cannot be read has none here: that is
/// reported where it is opened.
fn holds_narinfos(source: &Source) -> bool {
    let Source::Folder { folder, .. } = source else {
        return false;
    };
    std::fs::read_dir(folder.join(source.prefix())).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            name.to_str()
                .and_then(StorePathHash::from_narinfo_key)
                .is_some()
        })
    })
}

/// Where secret keys are that the server made.
pub(super) fn keys_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("keys")
}

/// Where the key is that was made for a cache.
fn key_path(data_dir: &Path, declared: &CacheConfig) -> PathBuf {
    keys_dir(data_dir).join(format!("{}.secret", declared.slug))
}

/// The name of a key that is made: unique over servers, because of two keys with one name a
/// client believes only the first (PROTOCOL.md §5). A public host name is that already.
fn key_name(declared: &CacheConfig, cache_url: &PublicUrl) -> Result<String, StartError> {
    let host = cache_url.host();
    let public = host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
    if public {
        return Ok(format!("{host}-{}-1", declared.slug));
    }
    let random: [u8; 5] = secrets::random()?;
    let tail = snowbank_shared::hash::nix32::encode(&random);
    Ok(format!("snowbank-{tail}-{}-1", declared.slug))
}

/// Where the bucket is and who we are to it.
pub(super) fn place(
    source: &Source,
    buckets: &Buckets,
    embedded: Option<&EmbeddedS3>,
) -> BucketConfig {
    match source {
        Source::Bucket {
            bucket,
            prefix,
            endpoint,
            region,
            path_style,
            credentials,
        } => BucketConfig {
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            endpoint: endpoint.clone(),
            region: region.clone(),
            path_style: *path_style,
            credentials: credentials.clone(),
            ..BucketConfig::default()
        },
        Source::Folder { folder, prefix } => embedded::place(buckets, embedded, folder, prefix),
    }
}

/// What in the cache's bucket belongs to others: caches below it, and the server's state.
fn hidden(config: &Config, declared: &CacheConfig) -> Vec<String> {
    let own = declared.source.prefix();
    let below = config
        .caches
        .iter()
        .filter(|other| other.slug != declared.slug && other.source.shares_bucket(&declared.source))
        .map(|other| other.source.prefix())
        .filter(|prefix| {
            prefix
                .strip_prefix(own)
                .is_some_and(|rest| !rest.is_empty() && (own.is_empty() || rest.starts_with('/')))
        })
        .map(|prefix| format!("{prefix}/"));
    below
        .chain(std::iter::once(STATE_AREA.to_owned()))
        .chain(config.state.hidden_from(declared))
        .collect()
}

/// The folder of the local index. Its name holds where the bytes are, so that a slug that
/// now means another bucket does not show the old one's paths.
fn index_dir(data_dir: &Path, declared: &CacheConfig, bucket: &BucketConfig) -> PathBuf {
    let identity = match &declared.source {
        Source::Bucket { .. } => format!(
            "s3\0{}\0{}\0{}",
            bucket.endpoint.as_deref().unwrap_or_default(),
            bucket.bucket,
            declared.source.prefix()
        ),
        Source::Folder { folder, prefix } => format!("folder\0{}\0{prefix}", folder.display()),
    };
    data_dir.join("index").join(format!(
        "{}-{:016x}",
        declared.slug,
        xxh3_64(identity.as_bytes())
    ))
}

/// One key for two caches means that who may publish in one can publish in the other.
fn warn_of_shared_keys(cache: &Cache, others: &[Arc<Cache>]) {
    for other in others {
        if cache
            .trust
            .own()
            .iter()
            .any(|key| other.trust.own().contains(key))
        {
            tracing::warn!(cache = %cache.slug, other = %other.slug, "two caches share a key; each should have its own");
        }
    }
}
