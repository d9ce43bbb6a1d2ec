//! `/caches/{cache}/facets` and `/selection`: what the path browser asks besides its rows.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use http::HeaderMap;
use snowbank_shared::api::{Facets, Problem, Selection};
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::paths::path_query;
use super::problem::ApiError;
use super::request::{self, Asked, heavy, nothing_left, pairs, readable};
use crate::index::Sort;
use crate::site::Site;

/// Paths of a selection at most.
const MOST_SELECTED: usize = 200;

/// How many paths each value of each filter would show.
#[utoipa::path(
    get,
    path = "/caches/{cache}/facets",
    tag = "paths",
    operation_id = "get_facets",
    description = "Takes the filters of `/caches/{cache}/paths`. Each facet is counted without its own filter, so that its numbers say what choosing another value would show.",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("q" = Option<String>, Query, description = "As for the list of paths, and so are the others"),
        ("sig" = Option<String>, Query),
        ("content" = Option<String>, Query),
        ("key" = Option<String>, Query),
        ("compression" = Option<String>, Query),
        ("pin" = Option<String>, Query),
        ("package" = Option<String>, Query),
        ("vouch" = Option<String>, Query),
        ("by" = Option<String>, Query),
        ("unreferenced" = Option<bool>, Query),
        ("reproduced" = Option<String>, Query),
        ("min" = Option<u64>, Query),
        ("max" = Option<u64>, Query),
        ("since" = Option<String>, Query),
        ("until" = Option<String>, Query),
    ),
    responses(
        (status = 200, body = Facets),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn facets(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Facets>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut query = path_query(
        &site,
        &asked,
        &cache,
        &pairs(query.as_deref())?,
        Sort::default(),
    )
    .await?;
    query.makers = Some(Arc::new(site.access.makers()));
    let now = OffsetDateTime::now_utc().unix_timestamp();
    heavy(&site, move || {
        Ok(Json(cache.index.view().facets(&query, now)))
    })
    .await
}

/// What some paths weigh together, what they share counted once.
#[utoipa::path(
    get,
    path = "/caches/{cache}/selection",
    tag = "paths",
    operation_id = "get_selection",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("p" = Vec<String>, Query, description = "Hash part of a store path, `-name` may follow; 1 to 200 times"),
    ),
    responses(
        (status = 200, body = Selection),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash, none, or too many"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn selection(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Selection>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let (chosen, rest): (Vec<_>, Vec<_>) = pairs(query.as_deref())?
        .into_iter()
        .partition(|(name, _)| name == "p");
    nothing_left(&rest)?;
    let hashes = chosen
        .iter()
        .map(|(_, text)| request::hash(text))
        .collect::<Result<Vec<StorePathHash>, _>>()?;
    if hashes.is_empty() || hashes.len() > MOST_SELECTED {
        return Err(ApiError::bad_parameter(format!(
            "`p` names the paths that are selected, 1 to {MOST_SELECTED} times"
        )));
    }
    heavy(&site, move || {
        Ok(Json(cache.index.view().selection(&hashes)))
    })
    .await
}
