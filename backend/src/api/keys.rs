//! `/caches/{cache}/keys`: the keys that signatures are judged by.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;
use snowbank_shared::api::{Key, Page, Problem};

use super::problem::ApiError;
use super::request::{heavy, readable};
use crate::site::Site;

/// The keys of a cache: its own first, then those of upstream caches.
#[utoipa::path(
    get,
    path = "/caches/{cache}/keys",
    tag = "caches",
    operation_id = "list_keys",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Key>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Page<Key>>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    heavy(&site, move || {
        let view = cache.index.view();
        let mut items = cache.describe_keys(&view);
        items.sort_by_key(|key| key.purpose as u8);
        Ok(Json(Page {
            total: items.len() as u64,
            items,
            next: None,
            revision: view.revision().to_owned(),
            complete: cache.is_complete(),
        }))
    })
    .await
}
