//! `/caches`: what this server has.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;
use snowbank_shared::api::{self, Page, Problem};

use super::problem::ApiError;
use super::request::{heavy, readable};
use crate::auth::{self, Act, Caller};
use crate::intake::{self, waiting};
use crate::site::{Cache, Site};

/// All caches that the caller may see, by slug.
#[utoipa::path(
    get,
    path = "/caches",
    tag = "caches",
    operation_id = "list_caches",
    responses((status = 200, body = Page<api::Cache>)),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
) -> Result<Json<Page<api::Cache>>, ApiError> {
    let caller = site.access.caller(&headers);
    let visible: Vec<_> = site
        .caches
        .iter()
        .filter(|cache| auth::may(&caller, Act::Discover, cache.on()).is_ok())
        .cloned()
        .collect();
    let waits: Vec<Option<u64>> = visible
        .iter()
        .map(|cache| waiting_for(&site, cache, &caller))
        .collect();
    let complete = visible.iter().all(|cache| cache.is_complete());
    let items = heavy(&site, move || {
        Ok(visible
            .iter()
            .zip(waits)
            .map(|(cache, waiting)| api::Cache {
                waiting,
                ..cache.describe()
            })
            .collect::<Vec<_>>())
    })
    .await?;
    let revision = items
        .iter()
        .map(|cache| cache.index.revision.as_str())
        .collect::<Vec<_>>()
        .join(".");
    Ok(Json(Page {
        total: items.len() as u64,
        items,
        next: None,
        revision,
        complete,
    }))
}

/// One cache: its address and keys, what it holds, and how fresh that is.
#[utoipa::path(
    get,
    path = "/caches/{cache}",
    tag = "caches",
    operation_id = "get_cache",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = api::Cache),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<api::Cache>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let waiting = waiting_for(&site, &cache, &site.access.caller(&headers));
    heavy(&site, move || {
        Ok(Json(api::Cache {
            waiting,
            ..cache.describe()
        }))
    })
    .await
}

/// How many uploads wait that the caller may see.
fn waiting_for(site: &Site, cache: &Cache, caller: &Caller) -> Option<u64> {
    let may = |act| auth::may(caller, act, cache.on()).is_ok();
    let slug = cache.slug.as_str();
    if may(Act::Maintain) || may(Act::ReadAudit) {
        Some(waiting::count(&site.ledger, slug, None))
    } else if may(Act::Upload) {
        let owner = intake::owner(caller);
        Some(waiting::count(&site.ledger, slug, Some(&owner)))
    } else {
        None
    }
}

/// How a cache grew: what is in it, by the day on which it was first seen.
#[utoipa::path(
    get,
    path = "/caches/{cache}/growth",
    tag = "caches",
    operation_id = "get_growth",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = api::Growth),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn growth(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<api::Growth>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    heavy(&site, move || Ok(Json(cache.growth()))).await
}
