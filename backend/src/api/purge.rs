//! `/caches/{cache}/paths/{hash}/purge`: taking one path out now and for ever, because what is in it
//! leaked.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::Problem;
use snowbank_shared::api::retention::{PurgePreview, PurgeWish, Purged, RETENTION_NEEDS};

use super::problem::ApiError;
use super::request::{self, Asked, body, find};
use crate::retention::{PurgeError, Retention};
use crate::site::Site;

/// What purging a path would mean: who refers to it, what stays. Nothing is changed.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/purge",
    tag = "retention",
    operation_id = "preview_purge",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path, or `hash-name`"),
    ),
    responses(
        (status = 200, body = PurgePreview),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn preview(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, hash)): Path<(String, String)>,
) -> Result<Json<PurgePreview>, ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    let hash = request::hash(&hash)?;
    if let Some(shown) = retention.purge_preview(&cache, hash).await? {
        return Ok(Json(shown));
    }
    find(&cache, &cache.index.view(), hash)?;
    // It came this moment.
    Err(PurgeError::Changed.into())
}

/// Purges a path: a permanent tombstone first, then its NAR where no other path has the same, its
/// listing, its build log, old versions where the bucket lists them, its narinfo. There is no undo. The
/// same again goes on where it was broken off.
#[utoipa::path(
    post,
    path = "/caches/{cache}/paths/{hash}/purge",
    tag = "retention",
    operation_id = "purge_path",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path, or `hash-name`"),
    ),
    request_body = PurgeWish,
    responses(
        (status = 200, body = Purged),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It cannot be purged now, or has another content than was shown"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The bucket refused a part: the path is held back, and the same again goes on"),
    ),
)]
pub(super) async fn purge(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, hash)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Purged>, ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    let hash = request::hash(&hash)?;
    let wish: PurgeWish = body(&bytes)?;
    // Who asks may go away: what was begun is done all the same.
    let (by, of) = (asked.by(), Arc::clone(&cache));
    let purged = tokio::spawn(async move { retention.purge(&of, hash, &wish, &by).await });
    let purged = purged.await.map_err(|error| {
        tracing::error!(%error, "a purge panicked");
        ApiError::internal()
    })?;
    if let Err(PurgeError::Absent) = purged {
        find(&cache, &cache.index.view(), hash)?;
    }
    Ok(Json(purged?))
}

impl From<PurgeError> for ApiError {
    fn from(error: PurgeError) -> Self {
        let text = error.to_string();
        match error {
            PurgeError::Refused(_) => Self::conflict("no-purge-now", text),
            PurgeError::Changed | PurgeError::Absent => Self::conflict("changed-meanwhile", text),
            PurgeError::Access(error) => error.into(),
            PurgeError::Unread(_) | PurgeError::Unfinished(_) => Self::bucket_unavailable(text),
        }
    }
}
