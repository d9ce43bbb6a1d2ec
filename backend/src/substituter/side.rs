//! Objects beside: listings, logs, debug links, realisations and build traces.
//!
//! They are text or JSON and small, except for logs. All but logs are read whole and sent
//! decoded, because tools lose the header that says how they were encoded.

use crate::bucket::BucketError;
use crate::site::Cache;
use crate::web::{Body, Response};

use super::key::Side;
use super::{Freshness, QUARANTINED, absent, decode, failed, object};

/// Bytes of an object that is read whole, at most.
const LARGEST: usize = 32 * 1024 * 1024;

/// Answers a request for one of them.
pub(super) async fn answer(cache: &Cache, side: Side, key: &str) -> Response {
    if side == Side::Listing && is_held_back(cache, key) {
        return absent(cache, QUARANTINED);
    }
    let result = match side {
        Side::Log => log(cache, key).await,
        Side::Listing | Side::DebugInfo | Side::Realisation | Side::BuildTrace => cache
            .bucket
            .get_small(key, LARGEST)
            .await
            .map(|found| object(cache, "application/json", Freshness::Minutes, found.bytes)),
    };
    result.unwrap_or_else(|error| failed(cache, &error))
}

/// Whether the path of a listing is held back: its files are not shown either.
fn is_held_back(cache: &Cache, key: &str) -> bool {
    let hash = key.strip_suffix(".ls").and_then(|hash| hash.parse().ok());
    let Some(hash) = hash else {
        return false;
    };
    let view = cache.index.view();
    let nar_hash = || view.find(&hash).map(|id| view.nar_hash(id));
    cache.withheld.holds(&hash, nar_hash)
}

/// A log may be large, so it is streamed.
async fn log(cache: &Cache, key: &str) -> Result<Response, BucketError> {
    let found = cache.bucket.get(key).await?;
    let body = match found.content_encoding.as_deref() {
        None => Body::stream(found.body, found.length),
        Some(coding) => match decode::stream(coding, found.body) {
            Some(decoded) => Body::stream(decoded, None),
            None => {
                return Ok(absent(
                    cache,
                    "the log is stored in an encoding that this server cannot undo\n",
                ));
            }
        },
    };
    Ok(object(
        cache,
        "text/plain; charset=utf-8",
        Freshness::Minutes,
        body,
    ))
}
