//! `/caches/{cache}/health`: what is wrong in the bucket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use snowbank_shared::api::{Health, Problem};

use super::export::{Export, Table, by_cursor, fields};
use super::problem::ApiError;
use super::request::{Paging, heavy, nothing_left, pairs, readable};
use crate::index::MAX_FINDINGS_LIMIT;
use crate::site::Site;

/// Columns of an export: the fields of a finding.
const COLUMNS: &[&str] = &["check", "severity", "object", "line", "reason", "hash"];

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
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all rows instead of a page, as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
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
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, COLUMNS)?;
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
    let Some(export) = export else {
        let page = heavy(&site, move || {
            let view = cache.index.view();
            Ok(view.health(check.as_deref(), paging.limit, paging.cursor.as_deref())?)
        });
        return Ok(Json(page.await?).into_response());
    };
    let table = heavy(&site, move || {
        let view = cache.index.view();
        Ok(Table {
            name: format!("{}-health", cache.slug),
            rows: view.health(check.as_deref(), 1, None)?.total,
            revision: view.revision().to_owned(),
            complete: view.swept_at().is_some(),
            next: by_cursor(move |cursor| {
                let page = view
                    .health(check.as_deref(), MAX_FINDINGS_LIMIT, cursor)
                    .ok()?;
                Some((page.items.iter().map(fields).collect(), page.next))
            }),
        })
    })
    .await?;
    export.answer(&site, table)
}
