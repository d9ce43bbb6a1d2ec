//! `/caches/{cache}/paths/{hash}/graph`, `/why`, `/diff`, `/packages`: how paths hang together.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use snowbank_shared::api::{ClosureGraph, Diff, PackagePath, PackageRow, Page, Problem, Why};
use snowbank_shared::route::{ExploreRoute, PIN, pin_at};
use snowbank_shared::store_path::StorePathHash;

use super::export::{Export, Table, by_cursor, fields};
use super::problem::{ApiError, excerpt};
use super::request::{self, Paging, find, heavy, nothing_left, pairs, readable, taken};
use crate::index::{MAX_CHAINS, MAX_PACKAGES, PackageQuery, PackageSort};
use crate::pins;
use crate::site::{Cache, Site};

/// Chains where the request does not say.
const CHAINS: usize = 10;
/// Packages of a page where the request does not say.
const PACKAGES: usize = 50;
/// Bytes of `q` at most.
const MOST_TEXT: usize = 200;

/// Columns of an export of what differs: the fields of its rows.
const DIFF_COLUMNS: &[&str] = &[
    "kind",
    "name",
    "from_versions",
    "to_versions",
    "nar_delta",
    "file_delta",
    "download",
    "from_hashes",
    "to_hashes",
];
/// Columns of an export of packages: the fields of its rows.
const PACKAGE_COLUMNS: &[&str] = &[
    "name",
    "newest",
    "versions",
    "paths",
    "nar_size",
    "file_size",
    "added_at",
];

/// The path that an end of a comparison names: one by its hash part, or what a pin names.
fn end(site: &Site, cache: &Cache, text: &str) -> Result<StorePathHash, ApiError> {
    let Some(pin) = text.strip_prefix(PIN) else {
        return request::hash(text);
    };
    let (name, revision) = pin_at(pin).ok_or_else(|| {
        ApiError::bad_parameter(format!(
            "`{}` is no pin: one is `pin:NAME` or `pin:NAME@REVISION`",
            excerpt(text)
        ))
    })?;
    let found = pins::one(&site.ledger, cache.slug.as_str(), name).ok_or_else(|| {
        ApiError::nothing_there(format!("There is no pin `{name}` in this cache."))
    })?;
    let named = match revision {
        None => found.newest(),
        Some(number) => found.revision(number),
    };
    let named = named.map(|revision| revision.path.hash());
    named
        .ok_or_else(|| ApiError::nothing_there(format!("The pin `{name}` keeps no such revision.")))
}

/// The two paths that a request compares.
fn two(
    site: &Site,
    cache: &Cache,
    pairs: &mut Vec<(String, String)>,
) -> Result<(StorePathHash, StorePathHash), ApiError> {
    let mut named = |name: &str| {
        let text = taken(pairs, name).ok_or_else(|| {
            ApiError::bad_parameter(format!("`{name}` names a path by its hash part, or a pin"))
        })?;
        end(site, cache, &text)
    };
    Ok((named("from")?, named("to")?))
}

/// What differs between the closures of two ends.
pub(super) async fn diff_of(
    site: &Site,
    cache: &Arc<Cache>,
    from: &str,
    to: &str,
) -> Result<Diff, ApiError> {
    let (from, to) = (end(site, cache, from)?, end(site, cache, to)?);
    let cache = Arc::clone(cache);
    heavy(site, move || {
        let view = cache.index.view();
        let (from, to) = (find(&cache, &view, from)?, find(&cache, &view, to)?);
        Ok(view.diff(from, to))
    })
    .await
}

/// Whether what a page of the explorer is about is in its cache; also where that is not known yet.
pub async fn is_there(site: &Site, cache: &Arc<Cache>, route: &ExploreRoute) -> bool {
    if !cache.is_complete() {
        return true;
    }
    match route {
        ExploreRoute::Packages { .. } => true,
        ExploreRoute::Why { from, to, .. } | ExploreRoute::Diff { from, to, .. } => {
            let view = cache.index.view();
            let mut ends = [from, to].into_iter().flatten();
            ends.all(|text| end(site, cache, text).is_ok_and(|hash| view.find(&hash).is_some()))
        }
        ExploreRoute::Package { name, .. } => {
            let (cache, name) = (Arc::clone(cache), name.clone());
            let known = heavy(site, move || {
                Ok(cache.index.view().package(&name).is_some())
            });
            known.await.unwrap_or(true)
        }
    }
}

/// A closure as a graph: references, dominators, added sizes.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/graph",
    tag = "paths",
    operation_id = "get_closure_graph",
    description = "Everything that a path needs, in one answer: what each refers to, and what each adds to the closure. Up to 20,000 paths; of larger closures the 500 paths that add most.",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = ClosureGraph),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn graph(
    State(site): State<Arc<Site>>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<ClosureGraph>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    heavy(&site, move || {
        let view = cache.index.view();
        Ok(Json(view.closure_graph(find(&cache, &view, hash)?)))
    })
    .await
}

/// Why one path needs another: chains of references, the shortest first, and how many there are.
#[utoipa::path(
    get,
    path = "/caches/{cache}/why",
    tag = "paths",
    operation_id = "get_why",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = String, Query, description = "Hash part of the path that needs, `-name` may follow; or `pin:NAME`, `pin:NAME@REVISION`"),
        ("to" = String, Query, description = "The path that is needed, in the same way"),
        ("limit" = Option<u32>, Query, description = "Chains, 1 to 100; 10 where it is not given"),
    ),
    responses(
        (status = 200, body = Why),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter is missing or means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path or pin"),
    ),
)]
pub(super) async fn why(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Why>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let (from, to) = two(&site, &cache, &mut pairs)?;
    let paging = Paging::take(&mut pairs, CHAINS, MAX_CHAINS)?;
    nothing_left(&pairs)?;
    heavy(&site, move || {
        let view = cache.index.view();
        let from = find(&cache, &view, from)?;
        let to = find(&cache, &view, to)?;
        Ok(Json(view.why(from, to, paging.limit)))
    })
    .await
}

/// What differs between the closures of two paths, by package, and what an upgrade downloads.
#[utoipa::path(
    get,
    path = "/caches/{cache}/diff",
    tag = "paths",
    operation_id = "get_diff",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = String, Query, description = "Hash part of the path on the left, `-name` may follow; or `pin:NAME`, `pin:NAME@REVISION`"),
        ("to" = String, Query, description = "The path on the right, in the same way"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: the rows as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Diff),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter is missing or means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path or pin"),
    ),
)]
pub(super) async fn diff(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, DIFF_COLUMNS)?;
    let (from, to) = two(&site, &cache, &mut pairs)?;
    nothing_left(&pairs)?;
    let name = format!("{}-diff-{from}-{to}", cache.slug);
    let (diff, complete) = heavy(&site, move || {
        let view = cache.index.view();
        let from = find(&cache, &view, from)?;
        let to = find(&cache, &view, to)?;
        Ok((view.diff(from, to), view.swept_at().is_some()))
    })
    .await?;
    let Some(export) = export else {
        return Ok(Json(diff).into_response());
    };
    let table = Table {
        name,
        rows: diff.items.len() as u64,
        revision: diff.revision,
        complete,
        next: {
            let mut rows = diff.items.into_iter();
            Box::new(move |count| rows.by_ref().take(count).map(|row| fields(&row)).collect())
        },
    };
    export.answer(&site, table)
}

/// The packages of a cache: its paths by the name before their version.
#[utoipa::path(
    get,
    path = "/caches/{cache}/packages",
    tag = "paths",
    operation_id = "list_packages",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("q" = Option<String>, Query, description = "Part of the name, in any case"),
        ("sort" = Option<String>, Query, description = "`name`, `-paths`, `-nar_size` or `-added_at`; `name` where it is not given"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all rows instead of a page, as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Page<PackageRow>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn packages(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, PACKAGE_COLUMNS)?;
    let paging = Paging::take(&mut pairs, PACKAGES, MAX_PACKAGES)?;
    let q = taken(&mut pairs, "q").unwrap_or_default();
    if q.len() > MOST_TEXT {
        return Err(ApiError::bad_parameter(format!(
            "`q` has at most {MOST_TEXT} bytes"
        )));
    }
    let sort = match taken(&mut pairs, "sort").as_deref() {
        None | Some("name") => PackageSort::Name,
        Some("-paths") => PackageSort::Paths,
        Some("-nar_size") => PackageSort::NarSize,
        Some("-added_at") => PackageSort::AddedAt,
        Some(other) => {
            return Err(ApiError::bad_parameter(format!(
                "`sort` cannot be `{}`: it is name, -paths, -nar_size or -added_at",
                excerpt(other)
            )));
        }
    };
    nothing_left(&pairs)?;
    let mut query = PackageQuery {
        q,
        sort,
        limit: paging.limit,
        cursor: paging.cursor,
    };
    let Some(export) = export else {
        let page = heavy(&site, move || Ok(cache.index.view().packages(&query)?));
        return Ok(Json(page.await?).into_response());
    };
    query.limit = MAX_PACKAGES;
    let table = heavy(&site, move || {
        let view = cache.index.view();
        let first = view.packages(&query)?;
        Ok(Table {
            name: format!("{}-packages", cache.slug),
            rows: first.total,
            revision: first.revision,
            complete: first.complete,
            next: by_cursor(move |cursor| {
                let query = PackageQuery {
                    cursor: cursor.map(ToOwned::to_owned),
                    ..query.clone()
                };
                let page = view.packages(&query).ok()?;
                Some((page.items.iter().map(fields).collect(), page.next))
            }),
        })
    })
    .await?;
    export.answer(&site, table)
}

/// The paths of a package, newest version first; at most 2,000.
#[utoipa::path(
    get,
    path = "/caches/{cache}/packages/{package}",
    tag = "paths",
    operation_id = "get_package",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("package" = String, Path, description = "The package, without version"),
    ),
    responses(
        (status = 200, body = Page<PackagePath>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or package"),
    ),
)]
pub(super) async fn package(
    State(site): State<Arc<Site>>,
    Path((slug, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Page<PackagePath>>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    heavy(&site, move || {
        let view = cache.index.view();
        let (items, total) = view
            .package(&name)
            .ok_or_else(|| ApiError::no_package(&name))?;
        Ok(Json(Page {
            items,
            next: None,
            total,
            revision: view.revision().to_owned(),
            complete: view.swept_at().is_some(),
        }))
    })
    .await
}
