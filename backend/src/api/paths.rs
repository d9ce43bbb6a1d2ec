//! `/caches/{cache}/paths`: search, one path, and what hangs on it. The lists are pages, or
//! with `format` whole tables ([`super::export`]).

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use snowbank_shared::api::{
    Closure, ContentStatus, Page, PathDetail, PathRow, Problem, Reproducer, SignatureStatus,
    SignatureVerdict, Signatures,
};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::export::{Export, Table, by_cursor, fields};
use super::problem::{ApiError, excerpt};
use super::quarantine::{mark_detail, mark_rows};
use super::request::{self, Asked, Paging, find, heavy, nothing_left, pairs, readable};
use super::vouching;
use crate::auth::records::spelled;
use crate::index::{Id, MAX_CLOSURE_LIMIT, NOBODY, PathQuery, Sort, SortField, View};
use crate::intake::conflict;
use crate::pins;
use crate::site::{Cache, Site};

/// Rows of a page of a closure where the request does not say.
const CLOSURE_ROWS: usize = 1_000;
/// Most rows of a page of a closure.
const MOST_CLOSURE_ROWS: usize = MAX_CLOSURE_LIMIT;
/// A closure of at most so many paths is walked where it is asked for: some tens of microseconds.
const FEW_PATHS: u32 = 300;

/// Columns of an export of paths: the fields of [`PathRow`].
const PATH_COLUMNS: &[&str] = &[
    "path",
    "hash",
    "name",
    "nar_size",
    "file_size",
    "closure_size",
    "closure_paths",
    "reference_count",
    "referrer_count",
    "signature",
    "signature_problem",
    "content",
    "signers",
    "added_at",
    "compression",
];
/// Columns of an export of a closure: the fields of its rows.
const CLOSURE_COLUMNS: &[&str] = &[
    "path",
    "hash",
    "name",
    "present",
    "depth",
    "nar_size",
    "file_size",
    "closure_size",
    "reference_count",
    "signature",
    "content",
];

/// Search and filter the paths of a cache.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths",
    tag = "paths",
    operation_id = "list_paths",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("q" = Option<String>, Query, description = "Words of the name, a hash or its beginning, a store path, a `.narinfo` URL"),
        ("sort" = Option<String>, Query, description = "A field of the rows, with `-` before it for descending; `-added_at` where it is not given"),
        ("sig" = Option<String>, Query, description = "Signature words, separated by commas"),
        ("content" = Option<String>, Query, description = "Content words, separated by commas"),
        ("key" = Option<String>, Query, description = "Name of a key among the signers"),
        ("compression" = Option<String>, Query, description = "The narinfo's Compression word"),
        ("pin" = Option<String>, Query, description = "Only what the pin of this name keeps; `*`: what any pin keeps"),
        ("package" = Option<String>, Query, description = "Only the paths of this package: the name before the version"),
        ("vouch" = Option<String>, Query, description = "What vouches for a path: `valid:NAME`, `only:NAME` (nothing else does), `invalid:NAME`, `closure:NAME` (for its whole closure), `closure` (its closure is here whole)"),
        ("by" = Option<String>, Query, description = "Who put it, by the receipts of this server; `-`: no receipt says. Members only"),
        ("unreferenced" = Option<bool>, Query, description = "Only paths that no other refers to"),
        ("reproduced" = Option<String>, Query, description = "`yes`: only paths for whose content the keys of two people or more vouch"),
        ("min" = Option<u64>, Query, description = "NarSize at least, bytes"),
        ("max" = Option<u64>, Query, description = "NarSize at most, bytes"),
        ("since" = Option<String>, Query, description = "First seen then or later: a date or RFC 3339"),
        ("until" = Option<String>, Query, description = "First seen before: RFC 3339, or a date, which is included"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("offset" = Option<u32>, Query, description = "The number of the first row, from 0, instead of a cursor: any part of a long list. Between two requests rows may move; `revision` says whether they did"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all rows instead of a page, as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Page<PathRow>),
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
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, PATH_COLUMNS)?;
    let query = path_query(&site, &asked, &cache, &pairs, NEWEST).await?;
    let Some(export) = export else {
        let page = heavy(&site, move || {
            let mut page = cache.index.view().query(&query)?;
            mark_rows(&cache, &mut page.items);
            Ok(page)
        });
        return Ok(Json(page.await?).into_response());
    };
    let table = heavy(&site, move || {
        let view = cache.index.view();
        let ids = view.query_all(&query);
        Ok(path_table(&cache, "paths", view, ids))
    })
    .await?;
    export.answer(&site, table)
}

/// Newest first.
const NEWEST: Sort = Sort {
    field: SortField::AddedAt,
    descending: true,
};

/// These paths as a table.
fn path_table(cache: &Cache, name: &str, view: Arc<View>, ids: Vec<Id>) -> Table {
    Table {
        name: format!("{}-{name}", cache.slug),
        rows: ids.len() as u64,
        revision: view.revision().to_owned(),
        complete: view.swept_at().is_some(),
        next: {
            let mut ids = ids.into_iter();
            Box::new(move |count| {
                let next = ids.by_ref().take(count);
                next.map(|id| fields(&view.row(id))).collect()
            })
        },
    }
}

/// The parameters of a list of paths; `sort` where the request does not say.
pub(super) async fn path_query(
    site: &Site,
    asked: &Asked,
    cache: &Cache,
    pairs: &[(String, String)],
    sort: Sort,
) -> Result<PathQuery, ApiError> {
    let sorted = pairs
        .iter()
        .any(|(name, value)| name == "sort" && !value.is_empty());
    let mut query = PathQuery::from_pairs(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    if !sorted {
        query.sort = sort;
    }
    if query.reproduced {
        query.makers = Some(Arc::new(site.access.makers()));
    }
    if let Some(pin) = &query.pin {
        let roots = pins::roots(&site.ledger, cache.slug.as_str(), pin);
        query.roots = Some(roots.ok_or_else(|| {
            ApiError::bad_parameter(format!("there is no pin `{}` in this cache", excerpt(pin)))
        })?);
    }
    if let Some(by) = &query.by {
        let who = vouching::uploaders(site, asked, cache).await?;
        let (view, by) = (cache.index.view(), by.clone());
        // Looks at every path, or at every receipt.
        let among: HashSet<StorePathHash> = heavy(site, move || {
            Ok(match by.as_str() {
                NOBODY => view
                    .hashes()
                    .filter(|hash| !who.contains_key(hash))
                    .collect(),
                by => who
                    .into_iter()
                    .filter(|(_, put)| put == by)
                    .map(|(hash, _)| hash)
                    .collect(),
            })
        })
        .await?;
        query.among = Some(Arc::new(among));
    }
    Ok(query)
}

/// When the content of a path was proven last, where that is what it is still held for.
fn proven_at(cache: &Cache, view: &View, id: Id) -> Option<String> {
    if view.content(id) != ContentStatus::Verified {
        return None;
    }
    let narinfo = NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).ok()?;
    let proof = cache.proofs.of(&narinfo)?;
    (proof.content == ContentStatus::Verified).then(|| spelled(proof.at))
}

/// One path, whole.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}",
    tag = "paths",
    operation_id = "get_path",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path, 32 characters; `-name` may follow"),
    ),
    responses(
        (status = 200, body = PathDetail),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<PathDetail>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    let pins = pins::naming(&site.ledger, cache.slug.as_str(), hash);
    let marking = asked.clone();
    let mut detail = heavy(&site, move || {
        let view = cache.index.view();
        let id = find(&cache, &view, hash)?;
        let mut detail = view.detail(id);
        detail.proven_at = proven_at(&cache, &view, id);
        detail.pins = pins;
        mark_detail(&cache, &view, &marking, &mut detail);
        Ok(detail)
    })
    .await?;
    if asked.is_known() {
        let contributors = site.access.contributors();
        for verdict in &mut detail.signatures {
            let holder = contributors
                .iter()
                .find(|holder| holder.key.name() == verdict.key);
            verdict.owner = holder.map(|holder| holder.owner.clone());
        }
    }
    let good = |verdict: &&SignatureVerdict| {
        matches!(
            verdict.status,
            SignatureStatus::Valid | SignatureStatus::ValidRetired
        )
    };
    let signed = detail.signatures.iter().filter(good);
    let vouching = site
        .access
        .vouching(signed.map(|verdict| verdict.key.as_str()));
    detail.reproduced_by = vouching
        .into_iter()
        .map(|(owner, keys)| Reproducer {
            owner: asked.is_known().then_some(owner),
            keys,
        })
        .collect();
    let differing = conflict::reports(&site, &slug, Some(hash));
    let open = differing
        .iter()
        .filter(|report| report.dismissed.is_none() && report.kept.nar_hash == detail.nar_hash);
    detail.conflicts = open.count() as u64;
    Ok(Json(detail))
}

/// Everything a path needs, nearest first; what this cache lacks comes last.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/closure",
    tag = "paths",
    operation_id = "get_closure",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 10,000; 1,000 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all rows instead of a page, as a file; markdown up to 200 rows. dot: a graph for Graphviz, what is missing included. paths: one store path a line, what is missing left out"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Closure),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn closure(
    State(site): State<Arc<Site>>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take_closure(&mut pairs, CLOSURE_COLUMNS)?;
    let paging = Paging::take(&mut pairs, CLOSURE_ROWS, MOST_CLOSURE_ROWS)?;
    nothing_left(&pairs)?;
    let Some(export) = export else {
        let view = cache.index.view();
        let id = find(&cache, &view, hash)?;
        // To hand over the walk of a few paths costs more than the walk.
        let few = view
            .closure_paths(id)
            .is_some_and(|paths| paths <= FEW_PATHS);
        let page = move || Ok(view.closure(id, paging.limit, paging.cursor.as_deref())?);
        let page = match few && paging.limit <= CLOSURE_ROWS {
            true => page(),
            false => heavy(&site, page).await,
        };
        return Ok(Json(page?).into_response());
    };
    let of_paths = export.is_of_paths();
    let table = heavy(&site, move || {
        let view = cache.index.view();
        let id = find(&cache, &view, hash)?;
        if of_paths {
            let revision = view.revision().to_owned();
            let complete = view.swept_at().is_some();
            let mut walked = view.walked(id);
            return Ok(Table {
                name: format!("{}-closure-{hash}", cache.slug),
                rows: walked.paths(),
                revision,
                complete,
                next: Box::new(move |count| walked.next(&view, count).iter().map(fields).collect()),
            });
        }
        let all = view.closure(id, 1, None)?;
        Ok(Table {
            name: format!("{}-closure-{hash}", cache.slug),
            rows: all.paths + all.missing,
            revision: all.revision,
            complete: view.swept_at().is_some(),
            next: by_cursor(move |cursor| {
                let page = view.closure(id, MAX_CLOSURE_LIMIT, cursor).ok()?;
                Some((page.items.iter().map(fields).collect(), page.next))
            }),
        })
    })
    .await?;
    export.answer(&site, table)
}

/// The paths of this cache that refer to a path, itself left out.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/referrers",
    tag = "paths",
    operation_id = "list_referrers",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("sort" = Option<String>, Query, description = "A field of the rows, with `-` before it for descending; `name` where it is not given"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("offset" = Option<u32>, Query, description = "The number of the first row, from 0, instead of a cursor: any part of a long list. Between two requests rows may move; `revision` says whether they did"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all rows instead of a page, as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Page<PathRow>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn referrers(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, PATH_COLUMNS)?;
    let by_name = Sort {
        field: SortField::Name,
        descending: false,
    };
    let query = path_query(&site, &asked, &cache, &pairs, by_name).await?;
    let Some(export) = export else {
        let page = heavy(&site, move || {
            let view = cache.index.view();
            let id = find(&cache, &view, hash)?;
            let mut page = view.referrers(id, &query)?;
            mark_rows(&cache, &mut page.items);
            Ok(page)
        });
        return Ok(Json(page.await?).into_response());
    };
    let table = heavy(&site, move || {
        let view = cache.index.view();
        let id = find(&cache, &view, hash)?;
        let ids = view.referrers_all(id, &query);
        Ok(path_table(&cache, &format!("referrers-{hash}"), view, ids))
    })
    .await?;
    export.answer(&site, table)
}

/// A path's signatures, each judged, and the text that they cover.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/signatures",
    tag = "paths",
    operation_id = "get_signatures",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = Signatures),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn signatures(
    State(site): State<Arc<Site>>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Signatures>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    heavy(&site, move || {
        let view = cache.index.view();
        let detail = view.detail(find(&cache, &view, hash)?);
        Ok(Json(Signatures {
            path: detail.row.path,
            signature: detail.row.signature,
            signature_problem: detail.row.signature_problem,
            fingerprint: detail.fingerprint,
            items: detail.signatures,
            revision: detail.revision,
        }))
    })
    .await
}

/// The narinfo byte for byte as it lies in the bucket, decoded where it is stored compressed.
/// Also one that Nix clients are not served.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/raw",
    tag = "paths",
    operation_id = "get_raw",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/x-nix-narinfo"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn raw(
    State(site): State<Arc<Site>>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let view = cache.index.view();
    let id = find(&cache, &view, request::hash(&hash)?)?;
    Ok((
        [(CONTENT_TYPE, "text/x-nix-narinfo")],
        view.narinfo_bytes(id),
    )
        .into_response())
}
