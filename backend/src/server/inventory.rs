//! Inventories that S3 writes of caches' buckets: opening where they lie, and reading the newest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::StartError;
use super::embedded::Buckets;
use super::open::place;
use crate::bucket::embedded::EmbeddedS3;
use crate::bucket::{Bucket, BucketConfig};
use crate::config::{CacheConfig, Source};
use crate::site::{Cache, Site};
use crate::sizes::inventory::Inventory;

/// Between two looks for a new one: they come once a day.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long the first look waits for the state to open.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the inventories of a cache, where it has them. Nothing is read yet. `areas`: what below the
/// cache's prefix is the server's.
pub(super) async fn open(
    declared: &CacheConfig,
    areas: &[String],
    (buckets, embedded): (&Buckets, Option<&EmbeddedS3>),
) -> Result<Option<Inventory>, StartError> {
    let Some(source) = &declared.inventory else {
        return Ok(None);
    };
    let config = BucketConfig {
        prefix: String::new(),
        ..place(source, buckets, embedded)
    };
    let bucket = Bucket::connect(&config)
        .await
        .map_err(|source| StartError::Bucket {
            cache: format!("{}, its inventories", declared.slug),
            source,
        })?;
    let of = match &declared.source {
        Source::Bucket { bucket, .. } => Some(bucket.clone()),
        Source::Folder { .. } => None,
    };
    let within = |prefix: &str| match prefix {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    Ok(Some(Inventory::new(
        &bucket,
        within(source.prefix()),
        of,
        within(declared.source.prefix()),
        areas.to_vec(),
    )))
}

/// Reads the newest inventory of each cache that has them, every hour until the server ends. Servers
/// that share the caches may read one at the same time; what they write down is the same.
pub(super) async fn follow(site: Arc<Site>) {
    let caches = site.caches.iter().map(|cache| one(&site, cache));
    tokio::select! {
        () = site.closing.cancelled() => {}
        _ = join_all(caches) => {}
    }
}

async fn one(site: &Site, cache: &Cache) {
    let Some(inventory) = cache.sizes.inventory() else {
        return;
    };
    site.ledger.settled(PATIENCE).await;
    loop {
        if let Err(error) = inventory.read(&site.ledger, cache.slug.as_str()).await {
            tracing::warn!(cache = %cache.slug, %error, "the newest S3 Inventory could not be read");
        }
        tokio::time::sleep(EVERY).await;
    }
}
