//! Access logs of caches: opening where they lie, and reading what is new every few minutes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::StartError;
use super::embedded::Buckets;
use super::open::place;
use crate::bucket::embedded::EmbeddedS3;
use crate::bucket::{Bucket, BucketConfig};
use crate::config::{AccessLogs, CacheConfig, LogOrigin, PublicUrl, Source};
use crate::site::{Cache, Site};
use crate::usage::{LogError, LogReader, LogSource};

/// Between two looks for new logs.
const EVERY: Duration = Duration::from_secs(300);
/// Between two requests that only show who we are: keys of a role are others after an hour.
const SHOWN_EVERY: Duration = Duration::from_secs(3_600);
/// How long the first look waits for the state to open.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the logs of a cache, where it has them. Nothing is read yet.
pub(super) async fn open(
    declared: &CacheConfig,
    cache_url: &PublicUrl,
    (buckets, embedded): (&Buckets, Option<&EmbeddedS3>),
) -> Result<Option<LogReader>, StartError> {
    let Some(logs) = declared.access_logs.as_ref().filter(|_| declared.usage) else {
        return Ok(None);
    };
    let (Source::Bucket { prefix, .. } | Source::Folder { prefix, .. }) = &logs.source;
    // What names begin with need not be whole folders.
    let (folder, begin) = match prefix.rfind('/') {
        Some(slash) => prefix.split_at(slash + 1),
        None => ("", prefix.as_str()),
    };
    let config = BucketConfig {
        prefix: folder.trim_matches('/').to_owned(),
        ..place(&logs.source, buckets, embedded)
    };
    let bucket = Bucket::connect(&config)
        .await
        .map_err(|source| StartError::Bucket {
            cache: format!("{}, its access logs", declared.slug),
            source,
        })?;
    let reader = LogReader::new(&bucket, begin.to_owned(), source(declared, logs, cache_url))?;
    Ok(Some(reader))
}

/// Which of the lines are the cache's.
fn source(declared: &CacheConfig, logs: &AccessLogs, cache_url: &PublicUrl) -> LogSource {
    let bucket = match &declared.source {
        Source::Bucket { bucket, .. } => Some(bucket.clone()),
        Source::Folder { .. } => None,
    };
    let within = |path: &str| match path.trim_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let prefix = match logs.origin {
        LogOrigin::Bucket => within(declared.source.prefix()),
        LogOrigin::Server => {
            let url = cache_url.join(declared.slug.as_str());
            let path = url.parse::<http::Uri>().map(|url| url.path().to_owned());
            within(&path.unwrap_or_default())
        }
    };
    LogSource {
        format: logs.format,
        origin: logs.origin,
        bucket,
        prefix,
    }
}

/// Reads the logs of all caches that have them, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let with_logs = site
        .caches
        .iter()
        .filter(|cache| cache.usage.logs().is_some());
    let reading: Vec<_> = with_logs.map(|cache| one(&site, cache)).collect();
    if reading.is_empty() {
        return;
    }
    tokio::select! {
        () = site.closing.cancelled() => {}
        _ = join_all(reading) => {}
    }
}

async fn one(site: &Site, cache: &Cache) {
    let Some(logs) = cache.usage.logs() else {
        return;
    };
    site.ledger.settled(PATIENCE).await;
    let slug = cache.slug.as_str();
    let mut shown = None::<Instant>;
    loop {
        if shown.is_none_or(|shown| shown.elapsed() >= SHOWN_EVERY) {
            match logs.show(&site.ledger, slug, &cache.bucket).await {
                Ok(()) => shown = Some(Instant::now()),
                Err(error) => {
                    tracing::warn!(cache = slug, %error, "own requests are not told from others' in the access logs yet");
                }
            }
        }
        match logs
            .read(&site.ledger, slug, &cache.index, &cache.upstreams)
            .await
        {
            Ok(true) => continue,
            Ok(false) => {}
            Err(LogError::Busy) => {
                tracing::debug!(cache = %cache.slug, "another server reads the access logs");
            }
            Err(error) => {
                tracing::warn!(cache = %cache.slug, %error, "access logs could not be read, it is tried again");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
