//! `/caches/{cache}/pins`: names for paths that must stay.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use snowbank_shared::api::access::Act;
use snowbank_shared::api::pins::{Pin, PinDetail, RollBackPin, SetPin};
use snowbank_shared::api::{Page, Problem};
use snowbank_shared::store_path::StorePathHash;

use super::problem::{ApiError, excerpt};
use super::request::{self, Asked, Paging, body, heavy, nothing_left, pairs, readable};
use crate::pins::{self, MOST_LISTED, PinError, Wish};
use crate::site::{Cache, Site};

/// The hash part of a path: full, `hash-name` or the hash.
pub(super) fn path_of(text: &str) -> Result<StorePathHash, ApiError> {
    let text = text.trim();
    request::hash(text.rsplit('/').next().unwrap_or(text))
}

/// The pin as it is now.
async fn now(site: &Arc<Site>, cache: &Arc<Cache>, name: String) -> Result<PinDetail, ApiError> {
    let (asking, cache) = (Arc::clone(site), Arc::clone(cache));
    heavy(site, move || {
        pins::detail(&asking, &cache, &name).ok_or_else(|| no_pin(&name))
    })
    .await
}

fn no_pin(name: &str) -> ApiError {
    ApiError::nothing_there(format!(
        "There is no pin `{}` in this cache.",
        excerpt(name)
    ))
}

/// Takes out who made and changed a pin.
fn without_names(pin: &mut Pin) {
    pin.created_by.clear();
    pin.changed_by.clear();
}

/// The pins of a cache, by name.
#[utoipa::path(
    get,
    path = "/caches/{cache}/pins",
    tag = "pins",
    operation_id = "list_pins",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("limit" = Option<u32>, Query, description = "Pins, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<Pin>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Page<Pin>>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let paging = Paging::take(&mut pairs, 50, MOST_LISTED)?;
    nothing_left(&pairs)?;
    let asking = Arc::clone(&site);
    heavy(&site, move || {
        let cursor = paging.cursor.as_deref();
        let mut page = pins::list(&asking, &cache, paging.limit, cursor);
        if !asked.is_known() {
            page.items.iter_mut().for_each(without_names);
        }
        Ok(Json(page))
    })
    .await
}

/// One pin with its revisions.
#[utoipa::path(
    get,
    path = "/caches/{cache}/pins/{pin}",
    tag = "pins",
    operation_id = "get_pin",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("pin" = String, Path, description = "The pin's name"),
    ),
    responses(
        (status = 200, body = PinDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or pin"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, pin)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<PinDetail>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut detail = now(&site, &cache, pin).await?;
    if !asked.is_known() {
        without_names(&mut detail.pin);
        for revision in &mut detail.revisions {
            revision.by.clear();
        }
    }
    Ok(Json(detail))
}

/// Makes a pin, or its next revision. Everything that the path needs has to be in the cache.
#[utoipa::path(
    put,
    path = "/caches/{cache}/pins/{pin}",
    tag = "pins",
    operation_id = "set_pin",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("pin" = String, Path, description = "The pin's name: 1 to 64 lower-case letters, digits, `.`, `_` and `-`"),
    ),
    request_body = SetPin,
    responses(
        (status = 200, body = PinDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed it meanwhile, or something that the path needs is not here"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn set(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, pin)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<PinDetail>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let wish: SetPin = body(&bytes)?;
    let wish = Wish {
        path: path_of(&wish.path)?,
        expected: Some(wish.expected),
        note: wish.note,
        keep: wish.keep,
    };
    pins::pin(&site, &cache, &pin, &wish, &asked.by()).await?;
    Ok(Json(now(&site, &cache, pin).await?))
}

/// Makes the path of an older revision the newest again.
#[utoipa::path(
    post,
    path = "/caches/{cache}/pins/{pin}/roll-back",
    tag = "pins",
    operation_id = "roll_back_pin",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("pin" = String, Path, description = "The pin's name"),
    ),
    request_body = RollBackPin,
    responses(
        (status = 200, body = PinDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, pin or revision"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed it meanwhile, or something that the path needs is not here"),
    ),
)]
pub(super) async fn roll_back(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, pin)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<PinDetail>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let wish: RollBackPin = body(&bytes)?;
    pins::roll_back(&site, &cache, &pin, wish.to, wish.expected, &asked.by()).await?;
    Ok(Json(now(&site, &cache, pin).await?))
}

/// Ends a pin: it keeps nothing any more. Its name can be given again, and its numbers go on.
#[utoipa::path(
    delete,
    path = "/caches/{cache}/pins/{pin}",
    tag = "pins",
    operation_id = "remove_pin",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("pin" = String, Path, description = "The pin's name"),
        ("expected" = u64, Query, description = "The newest revision that was seen"),
    ),
    responses(
        (status = 204, description = "Unpinned"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or pin"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed it meanwhile"),
    ),
)]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, pin)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let (expected, rest): (Vec<_>, Vec<_>) = pairs(query.as_deref())?
        .into_iter()
        .partition(|(name, _)| name == "expected");
    nothing_left(&rest)?;
    let expected = match expected.as_slice() {
        [(_, number)] => number.parse().ok(),
        _ => None,
    };
    let expected = expected.ok_or_else(|| {
        ApiError::bad_parameter("`expected` is the newest revision of the pin that you saw")
    })?;
    pins::unpin(&site, &cache, &pin, expected, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<PinError> for ApiError {
    fn from(error: PinError) -> Self {
        let text = error.to_string();
        match error {
            PinError::Bad(_) => Self::unacceptable("not-acceptable", text),
            PinError::Absent(_) | PinError::NoRevision { .. } => Self::nothing_there(text),
            PinError::NotHere(_) => Self::nothing_there(text),
            PinError::Changed { .. } => Self::conflict("changed-meanwhile", text),
            PinError::Incomplete { .. } => Self::conflict("closure-incomplete", text),
            PinError::HeldBack { .. } => Self::conflict("held-back", text),
            PinError::Indexing => Self::conflict("indexing", text),
            PinError::TooMany(_) => Self::conflict("too-many", text),
            PinError::Ledger(error) => error.into(),
            PinError::Keep(_) => Self::busy(text),
            PinError::Bucket(error) => {
                tracing::warn!(%error, "the bucket failed while a pin was made");
                Self::busy("Nothing was changed: the bucket does not answer at the moment.")
            }
            PinError::Failed => Self::internal(),
        }
    }
}
