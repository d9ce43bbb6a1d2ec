//! `/caches/{cache}/health`: what is wrong in the bucket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::HeaderMap;
use snowbank_shared::api::{Health, Problem};

use super::problem::ApiError;
use super::request::{Paging, heavy, nothing_left, pairs, readable};
use crate::site::Site;

/// Findings of a cache, errors first, with their counts by check.
#[utoipa::path(
    get,
    path = "/caches/{cache}/health",
    tag = "caches",
    operation_id = "get_health",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("check" = Option<String>, Query, description = "Only findings of this check"),
        ("limit" = Option<u32>, Query, description = "Findings, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Health),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Health>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let paging = Paging::take(&mut pairs, 50, 200)?;
    let mut check = None;
    pairs.retain(|(name, value)| {
        let ours = name == "check";
        if ours && !value.is_empty() {
            check = Some(value.clone());
        }
        !ours
    });
    nothing_left(&pairs)?;
    heavy(&site, move || {
        let view = cache.index.view();
        Ok(Json(view.health(
            check.as_deref(),
            paging.limit,
            paging.cursor.as_deref(),
        )?))
    })
    .await
}
