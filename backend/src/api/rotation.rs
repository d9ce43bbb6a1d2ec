//! `/caches/{cache}/rotation` and `/revocation`: from one key of a cache to the next.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::Problem;
use snowbank_shared::api::rotation::{
    BeginRotation, GoStep, ROTATION_NEEDS, Revocation, RevokeOwnKey, RevokeThen, Revoked, Rotation,
};

use super::ending::since;
use super::problem::ApiError;
use super::quarantine::hide;
use super::request::{Asked, body, heavy, nothing_left, pairs, taken};
use crate::signing::Signing;
use crate::site::{Cache, Site};

async fn shown(
    site: &Site,
    signing: &Signing,
    cache: &Arc<Cache>,
) -> Result<Json<Rotation>, ApiError> {
    let (signing, cache) = (signing.clone(), Arc::clone(cache));
    heavy(site, move || Ok(Json(signing.rotation(&cache)))).await
}

/// The keys of a cache, and how far its rotation has come.
#[utoipa::path(
    get,
    path = "/caches/{cache}/rotation",
    tag = "signatures",
    operation_id = "get_rotation",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Rotation),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
) -> Result<Json<Rotation>, ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    shown(&site, &signing, &cache).await
}

/// Begins a rotation with a key of a new name. Clients are not told of it yet.
#[utoipa::path(
    post,
    path = "/caches/{cache}/rotation",
    tag = "signatures",
    operation_id = "begin_rotation",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = BeginRotation,
    responses(
        (status = 201, body = Rotation),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The name is taken, or a rotation is under way"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Rotation>), ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    let wish: BeginRotation = body(&bytes)?;
    signing.begin_rotation(&cache, &wish, &asked.by()).await?;
    Ok((StatusCode::CREATED, shown(&site, &signing, &cache).await?))
}

/// Goes a step of the rotation, where no guard is in the way.
#[utoipa::path(
    post,
    path = "/caches/{cache}/rotation/step",
    tag = "signatures",
    operation_id = "go_rotation",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = GoStep,
    responses(
        (status = 200, body = Rotation),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A guard is in the way"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn step(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Rotation>, ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    signing
        .go(&cache, &body::<GoStep>(&bytes)?, &asked.by())
        .await?;
    shown(&site, &signing, &cache).await
}

/// Gives a rotation up, before the old key stops signing.
#[utoipa::path(
    post,
    path = "/caches/{cache}/rotation/abandon",
    tag = "signatures",
    operation_id = "abandon_rotation",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Rotation),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is too late, or none is under way"),
    ),
)]
pub(super) async fn abandon(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
) -> Result<Json<Rotation>, ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    signing.abandon(&cache, &asked.by()).await?;
    shown(&site, &signing, &cache).await
}

/// What revoking a key of the cache would mean, and the notice to send.
#[utoipa::path(
    get,
    path = "/caches/{cache}/revocation",
    tag = "signatures",
    operation_id = "get_revocation",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("key" = String, Query, description = "Name of the key"),
        ("since" = Option<String>, Query, description = "When somebody else may have had it: a date or RFC 3339"),
    ),
    responses(
        (status = 200, body = Revocation),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or key"),
    ),
)]
pub(super) async fn revocation(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Revocation>, ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    let mut pairs = pairs(query.as_deref())?;
    let key = taken(&mut pairs, "key")
        .ok_or_else(|| ApiError::bad_parameter("`key` names the key that is revoked"))?;
    let since = since(taken(&mut pairs, "since").as_deref())?;
    nothing_left(&pairs)?;
    heavy(&site, move || {
        Ok(Json(signing.revocation(&cache, &key, since)?))
    })
    .await
}

/// Revokes a key of the cache at once: it signs no more, and clients are told of it no more.
#[utoipa::path(
    post,
    path = "/caches/{cache}/revocation",
    tag = "signatures",
    operation_id = "revoke_own_key",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = RevokeOwnKey,
    responses(
        (status = 200, body = Revoked),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or key"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is the last key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Revoked>, ApiError> {
    let cache = asked.cache(&site, &slug, ROTATION_NEEDS)?;
    let wish: RevokeOwnKey = body(&bytes)?;
    let since = since(wish.since.as_deref())?;
    let pairs = match wish.then {
        RevokeThen::Hide => {
            let (signing, cache, key) = (signing.clone(), Arc::clone(&cache), wish.key.clone());
            heavy(&site, move || {
                Ok(signing.vouched_only_by(&cache, &key, since)?)
            })
            .await?
        }
        RevokeThen::Keep | RevokeThen::Strip => Vec::new(),
    };
    let (notice, job) = signing.revoke(&cache, &wish, &asked.by()).await?;
    let hidden = match pairs.is_empty() {
        true => 0,
        false => hide(&site, &cache, pairs, &wish.reason, &asked).await?,
    };
    Ok(Json(Revoked {
        hidden,
        job,
        notice,
    }))
}
