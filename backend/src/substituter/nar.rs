//! NARs: streamed from the bucket with back-pressure and ranges, or fetched there by the
//! client itself.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION, RANGE,
};
use http::{Method, StatusCode, request::Parts};

use crate::bucket::{BucketError, BucketErrorKind, ByteRange, Object};
use crate::config::{NarDelivery, Serve};
use crate::site::Cache;
use crate::web::range::Wanted;
use crate::web::{Body, Response};

use super::{Freshness, absent, cache_control, decode, failed, narinfo, object};

/// How long a redirect may be followed.
const REDIRECT: Duration = Duration::from_secs(15 * 60);

/// The NAR under this key, where a served narinfo names it.
pub async fn answer(cache: &Arc<Cache>, key: &str, request: &Parts) -> Response {
    // Who asks before an upload is told what is named now.
    let remembered = request.method == Method::GET && is_remembered(cache, key);
    if !remembered && !is_named(cache, key) {
        return absent(cache, "no path of this cache has its archive there\n");
    }
    let result = match (&request.method, cache.nar) {
        (&Method::HEAD, _) => head(cache, key).await,
        (_, NarDelivery::Redirect) => redirect(cache, key, &request.headers).await,
        (_, NarDelivery::Proxy) => stream(cache, key, &request.headers).await,
    };
    result.unwrap_or_else(|error| match error.kind() {
        // The index names it and the bucket lacks it.
        BucketErrorKind::NotFound => absent(cache, "the archive is missing in the bucket\n"),
        _ => failed(cache, &error),
    })
}

/// Whether a narinfo that clients get names this archive.
fn is_named(cache: &Cache, key: &str) -> bool {
    let view = cache.index.view();
    if cache.serve == Serve::All && cache.withheld.is_empty() {
        return view.names_nar(key);
    }
    view.ids_by_nar(key).into_iter().any(|id| {
        view.withheld(id).is_none()
            && !cache.holds_back(&view, id)
            && narinfo::allowed(cache.serve, || Some((view.signature(id), view.content(id))))
    })
}

/// Whether a narinfo that clients may remember named this archive: retention took it out, and may still
/// put it back. What was put into quarantine or purged since is not served.
fn is_remembered(cache: &Cache, key: &str) -> bool {
    let paths = cache.condemned.trashed(key);
    if paths.is_empty() || cache.withheld.is_empty() {
        return !paths.is_empty();
    }
    let held = cache.withheld.held();
    paths
        .iter()
        .any(|path| held.iter().all(|(other, _)| other != path))
}

/// The range that is asked for. A condition on the version (`If-Range`) is never fulfilled:
/// the answers carry no validators, so the whole is sent.
fn wanted(headers: &HeaderMap) -> Option<Wanted> {
    if headers.contains_key(http::header::IF_RANGE) {
        return None;
    }
    headers.get(RANGE)?.to_str().ok().and_then(Wanted::parse)
}

async fn head(cache: &Cache, key: &str) -> Result<Response, BucketError> {
    let described = cache.bucket.describe(key).await?;
    if described.content_encoding.is_some() {
        // Sent decoded, so its length is not known.
        return Ok(nar(cache, Body::empty()));
    }
    let size = described.meta.size;
    // Range is defined for GET only.
    let mut response = nar(cache, Body::Sized(size));
    response
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

async fn redirect(cache: &Cache, key: &str, request: &HeaderMap) -> Result<Response, BucketError> {
    let described = cache.bucket.describe(key).await?;
    if described.content_encoding.is_some() {
        // The store would pass its Content-Encoding on, which is ours to undo.
        return stream(cache, key, request).await;
    }
    let presigned = cache.bucket.presign_get(key, REDIRECT).await?;
    let Ok(location) = HeaderValue::from_str(&presigned.url) else {
        return stream(cache, key, request).await;
    };
    let mut response = nar(cache, Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    // The URL is a secret of short life.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

/// The same range in numbers that every store reads; `None` where it begins beyond every object.
fn asked_of_store(wanted: Wanted) -> Option<ByteRange> {
    // More than any object has, and still a signed number.
    const BEYOND: u64 = 1 << 62;
    match wanted {
        Wanted::From(first, _) if first >= BEYOND => None,
        Wanted::From(first, Some(last)) if last < BEYOND => Some(ByteRange::Between(first, last)),
        Wanted::From(first, _) => Some(ByteRange::From(first)),
        Wanted::Last(0) => None,
        Wanted::Last(count) => Some(ByteRange::Last(count.min(BEYOND))),
    }
}

async fn stream(cache: &Cache, key: &str, request: &HeaderMap) -> Result<Response, BucketError> {
    let Some(wanted) = wanted(request) else {
        return Ok(whole(cache, cache.bucket.get(key).await?));
    };
    let Some(range) = asked_of_store(wanted) else {
        let size = cache.bucket.describe(key).await?.meta.size;
        return Ok(not_satisfiable(cache, size));
    };
    let part = match cache.bucket.get_range(key, range, None).await {
        Ok(part) => part,
        Err(error) if error.kind() == BucketErrorKind::RangeNotSatisfiable => {
            let size = cache.bucket.describe(key).await?.meta.size;
            return Ok(not_satisfiable(cache, size));
        }
        Err(error) => return Err(error),
    };
    if part.content_encoding.is_some() {
        // A part of encoded bytes is of no use: the whole, decoded.
        drop(part);
        return Ok(whole(cache, cache.bucket.get(key).await?));
    }
    let Some(got) = part.range else {
        return Ok(whole(cache, part));
    };
    let length = got.last - got.first + 1;
    let mut response = nar(cache, Body::stream(counted(cache, part), Some(length)));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(value) =
        HeaderValue::from_str(&format!("bytes {}-{}/{}", got.first, got.last, got.total))
    {
        headers.insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

/// The whole object. Where it is stored with a Content-Encoding, that is undone, because
/// clients differ in what they take (PROTOCOL.md §10).
fn whole(cache: &Cache, object: Object) -> Response {
    if let Some(coding) = object.content_encoding.clone() {
        return match decode::stream(&coding, object.body) {
            Some(decoded) => nar(cache, Body::stream(decoded, None)),
            None => {
                tracing::warn!(cache = %cache.slug, key = %object.meta.key, coding, "cannot undo this Content-Encoding");
                absent(
                    cache,
                    "the archive is stored in an encoding that this server cannot undo\n",
                )
            }
        };
    }
    let length = object.length;
    let mut response = nar(cache, Body::stream(counted(cache, object), length));
    response
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn counted(
    cache: &Cache,
    object: Object,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes, BucketError>> + Send + 'static {
    use futures_util::StreamExt as _;
    let sent = cache.counters.nar_bytes.clone();
    object.body.inspect(move |piece| {
        if let Ok(piece) = piece {
            sent.inc_by(piece.len() as u64);
        }
    })
}

fn nar(cache: &Cache, body: Body) -> Response {
    object(cache, "application/x-nix-nar", Freshness::Forever, body)
}

fn not_satisfiable(cache: &Cache, size: u64) -> Response {
    let mut response = absent(cache, "the archive has no bytes there\n");
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        cache_control(cache.visibility, Freshness::Seconds),
    );
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        headers.insert(CONTENT_RANGE, value);
    }
    response
}
