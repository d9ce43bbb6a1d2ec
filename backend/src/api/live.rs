//! `/caches/{cache}/live`: does a machine use this cache?

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::HeaderMap;
use snowbank_shared::api::{LiveCheck, Problem};

use super::problem::ApiError;
use super::request::{Asked, readable};
use crate::auth::Caller;
use crate::site::{LiveError, Site, Viewer};

/// Begins a live check: makes a path that only this check knows, signed by the cache's key.
///
/// Realise it on the machine (`nix-store -r PATH`) and ask for the check again: it says how far
/// the machine came. The path is forgotten after 30 minutes.
#[utoipa::path(
    post,
    path = "/caches/{cache}/live",
    tag = "caches",
    operation_id = "begin_live_check",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = LiveCheck),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The server does not have the cache's secret key"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many checks from this address"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many checks at once"),
    ),
)]
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<LiveCheck>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let check = site.live.begin(&cache, viewer(&asked))?;
    Ok(Json(check))
}

/// A live check as it is now: the machines that asked for its path, and how far each came.
#[utoipa::path(
    get,
    path = "/caches/{cache}/live/{token}",
    tag = "caches",
    operation_id = "get_live_check",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("token" = String, Path, description = "Names the check"),
    ),
    responses(
        (status = 200, body = LiveCheck),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, or the check is over"),
    ),
)]
pub(super) async fn look(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, token)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<LiveCheck>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let found = site.live.look(cache.slug.as_str(), &token, viewer(&asked));
    found.map(Json).ok_or_else(|| {
        ApiError::nothing_there(
            "This live check is over, or the server was restarted since: a check lasts 30 minutes. Begin another one.",
        )
    })
}

fn viewer(asked: &Asked) -> Viewer {
    Viewer {
        address: asked.client,
        known: !matches!(asked.caller, Caller::Stranger(_)),
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::NoSigningKey => Self::unacceptable(
                "no-signing-key",
                "This server does not have the cache's secret key, so it cannot sign a path for the check. Fetch any path of the cache instead.",
            ),
            LiveError::TooOften(wait) => Self::too_often(wait),
            LiveError::TooMany => Self::busy(
                "Too many live checks are under way. Each ends after 30 minutes; try again in a while.",
            ),
            LiveError::Failed => Self::internal(),
        }
    }
}
