//! The HTTP protocol that Nix speaks: GET and HEAD of narinfos, NARs and what lies beside.
//!
//! Narinfos are answered from the index in memory ([`narinfo::from_memory`], before any
//! router); a path that the index lacks is looked for in the bucket where the cache says so
//! ([`lookup`]). NARs are streamed from the bucket, or the client is sent there ([`nar`]).
//! Only objects of an allowed form can be named ([`key`]), and a NAR only where a served
//! narinfo names it. What would crash a client is 404.
//!
//! Statuses are chosen by what old clients make of them (PROTOCOL.md §10): an absent path is
//! 404 and nothing else, and only what a retry may cure is a 503.

mod decode;
pub mod key;
mod live;
pub mod lookup;
pub mod nar;
pub mod narinfo;
mod side;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, VARY};
use http::{Method, StatusCode, request::Parts};
use snowbank_shared::api::Visibility;
use snowbank_shared::cache_info::CacheInfo;

use crate::auth::{self, Act, Caller, Refusal, Stranger};
use crate::bucket::{BucketError, BucketErrorKind};
use crate::site::{Cache, Site};
use crate::web::{Body, RequestId, Response, accept, headers};

use key::Wanted;

/// Answers what lies below `/{cache}/`; `rest` is the path behind that, as sent.
pub async fn answer(
    site: &Site,
    cache: &Arc<Cache>,
    rest: &str,
    request: &Parts,
    (id, client): (RequestId, IpAddr),
) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return headers::method_not_allowed(
            "GET, HEAD, PUT",
            "objects of a cache are read with GET and HEAD, and uploaded with PUT\n",
        );
    }
    let wanted = key::parse(rest);
    if wanted == Some(Wanted::Cache) {
        return home(site, cache, request);
    }
    let caller = caller(site, cache, request).await;
    let asking = live::Asking {
        checks: &site.live,
        cache,
        wanted: wanted.as_ref(),
        request,
        client,
    };
    if let Err(refusal) = auth::may(&caller, Act::Read, cache.on()) {
        let response = refused(site, cache, &refusal, &caller, id);
        if matches!(response.status().as_u16(), 401 | 403) {
            asking.refused(response.status().as_u16());
        }
        return response;
    }
    if let Some(response) = asking.answer() {
        return response;
    }
    let turn = match &caller {
        Caller::Token(token) => match site.access.turns.turn(&token.id).await {
            Some(turn) => Some(turn),
            None => return too_much(),
        },
        _ => None,
    };
    let response = match wanted {
        None | Some(Wanted::Cache) => absent(cache, "a Nix binary cache has no such address\n"),
        Some(Wanted::CacheInfo) => cache_info(cache),
        Some(Wanted::Narinfo(hash)) => lookup::narinfo(cache, hash).await,
        Some(Wanted::Side(side, key)) => side::answer(cache, side, &key).await,
        Some(Wanted::Nar(key)) => nar::answer(cache, &key, request).await,
    };
    match turn {
        // As long as bytes flow, the turn is taken.
        Some(turn) => response.map(|body| body.watched(move |_, _| drop(turn))),
        None => response,
    }
}

/// Who asks, where it matters: a public cache is read by everybody and looks nobody up.
async fn caller(site: &Site, cache: &Cache, request: &Parts) -> Caller {
    if cache.visibility == Visibility::Public {
        return Caller::ANONYMOUS;
    }
    site.access.patient_caller(&request.headers).await
}

/// `/{cache}`: browsers are shown the cache's page, programs what to do with the address.
fn home(site: &Site, cache: &Cache, request: &Parts) -> Response {
    let page = format!("{}c/{}", site.public_url.base(), cache.slug);
    let mut response = if accept::wants_html(&request.headers) {
        let mut response = headers::line(StatusCode::SEE_OTHER, "");
        if let Ok(location) = HeaderValue::from_str(&page) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    } else if auth::may(
        &site.access.caller(&request.headers),
        Act::Configure,
        cache.on(),
    )
    .is_ok()
    {
        let text = format!(
            "This is a Nix binary cache. To use it, add to nix.conf:\n\n{}\nIts page: {}\n",
            cache.nix_conf(),
            site.public_url.join(&format!("c/{}", cache.slug))
        );
        headers::line(StatusCode::OK, text)
    } else {
        headers::line(
            StatusCode::OK,
            "This is a Nix binary cache that needs a login.\n",
        )
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// `nix-cache-info`: always there, whatever lies in the bucket. Without it clients try to
/// PUT one, and without a numeric priority they fail (PROTOCOL.md §1).
fn cache_info(cache: &Cache) -> Response {
    let info = CacheInfo {
        store_dir: cache.store_dir.clone(),
        want_mass_query: true,
        priority: cache.priority,
    };
    object(
        cache,
        "text/x-nix-cache-info",
        Freshness::Minutes,
        info.to_string(),
    )
}

/// How long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// The object never changes under its name.
    Forever,
    /// It may change, rarely.
    Minutes,
    /// It may come into being at any moment.
    Seconds,
}

/// The Cache-Control of an answer: what is private is kept by nobody.
fn cache_control(visibility: Visibility, freshness: Freshness) -> HeaderValue {
    HeaderValue::from_static(match (visibility, freshness) {
        (Visibility::Private | Visibility::Unlisted, _) => "private, no-store",
        (Visibility::Public, Freshness::Forever) => "public, max-age=31536000, immutable",
        (Visibility::Public, Freshness::Minutes) => "public, max-age=60",
        (Visibility::Public, Freshness::Seconds) => "public, max-age=5",
    })
}

/// An object with its headers.
fn object(
    cache: &Cache,
    content_type: &'static str,
    freshness: Freshness,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, cache_control(cache.visibility, freshness));
    headers::object(headers);
    response
}

/// What clients are told of a path that an owner holds back.
const QUARANTINED: &str = "this path is in quarantine: an owner of this cache holds it back\n";

/// 404: clients remember it for an hour, so intermediaries must not for long.
fn absent(cache: &Cache, text: &'static str) -> Response {
    let mut response = object(cache, "text/plain; charset=utf-8", Freshness::Seconds, text);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// What the bucket's failure means for the client.
fn failed(cache: &Cache, error: &BucketError) -> Response {
    match error.kind() {
        BucketErrorKind::NotFound | BucketErrorKind::InvalidKey => {
            absent(cache, "this cache does not have it\n")
        }
        // A bucket that may not be listed says 403 for what is not there, and nothing tells
        // the two apart: clients treat both as absent.
        BucketErrorKind::AccessDenied { .. } => {
            tracing::warn!(cache = %cache.slug, error = %error, "the bucket refuses a read; answered as absent");
            absent(cache, "this cache does not have it\n")
        }
        _ => {
            tracing::warn!(cache = %cache.slug, error = %error, "the bucket failed");
            let mut response = headers::line(
                StatusCode::SERVICE_UNAVAILABLE,
                "the bucket behind this cache does not answer at the moment\n",
            );
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

/// 401 or 403, the same whether a path exists or not. Nix prints the text, where it has less than
/// 1,024 bytes, so it says what to do.
fn refused(
    site: &Site,
    cache: &Cache,
    refusal: &Refusal,
    caller: &Caller,
    id: RequestId,
) -> Response {
    let why = match (refusal, caller) {
        (Refusal::WhoAreYou, Caller::Stranger(Stranger::Expired)) => "your token has expired",
        (Refusal::WhoAreYou, Caller::Stranger(Stranger::Ended)) => {
            "your token was ended, or its owner may not enter any more"
        }
        (Refusal::WhoAreYou, Caller::Stranger(Stranger::Unavailable)) => {
            return unavailable();
        }
        (Refusal::WhoAreYou, _) => "your request had no valid token",
        (_, _) => {
            let text = format!(
                "The token is valid and not for the cache `{}`: make one that names it, or ask an owner for a role.\nTokens: {} (request {id})\n",
                cache.slug,
                site.public_url.join("me/tokens"),
            );
            let mut response = headers::line(StatusCode::FORBIDDEN, text);
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
            return response;
        }
    };
    let text = format!(
        "This cache is private and {why}.\n\
         Get a token and the exact netrc lines: {}\n\
         Then, because Nix remembers this answer: rm -f ~/.cache/nix/binary-cache-v*.sqlite* (root's too)\n\
         (request {id})\n",
        site.public_url
            .join(&format!("connect?caches={}&target=netrc", cache.slug)),
    );
    let mut response = headers::line(StatusCode::UNAUTHORIZED, text);
    let headers = response.headers_mut();
    headers::ask_for_token(headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// 503: who may read cannot be read itself. Not 401, which old clients remember for an hour.
fn unavailable() -> Response {
    let text = "This cache is private, and who may read it cannot be looked up at the moment.\n";
    let mut response = headers::line(StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// 503: this token has more requests under way than a fleet needs.
fn too_much() -> Response {
    let text = "This token has too many requests under way at once.\n";
    let mut response = headers::line(StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
