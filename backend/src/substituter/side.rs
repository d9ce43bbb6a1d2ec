//! Objects beside: listings, logs, debug links, realisations and build traces.
//!
//! They are text or JSON and small, except for logs. All but logs are read whole and sent
//! decoded, because tools lose the header that says how they were encoded.

use crate::bucket::BucketError;
use crate::site::Cache;
use crate::web::{Body, Response};

use super::key::Side;
use super::{Freshness, absent, decode, failed, object};

/// Bytes of an object that is read whole, at most.
const LARGEST: usize = 32 * 1024 * 1024;

/// Answers a request for one of them.
pub(super) async fn answer(cache: &Cache, side: Side, key: &str) -> Response {
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
