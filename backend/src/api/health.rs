//! `/caches/{cache}/health`: what is wrong in the bucket.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use http::HeaderMap;
use snowbank_shared::api::repair::Affected;
use snowbank_shared::api::verify::Verification;
use snowbank_shared::api::{Finding, Health, Problem};
use snowbank_shared::store_path::StorePathHash;

use super::export::{Export, Table, by_cursor, fields};
use super::problem::ApiError;
use super::request::{Paging, heavy, nothing_left, pairs, readable};
use crate::auth::records::{now, spelled};
use crate::index::{MAX_FINDINGS_LIMIT, View};
use crate::pins;
use crate::site::elsewhere::{self, Where};
use crate::site::{Cache, Site, surroundings};
use crate::verify::background;

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
        let looked = Arc::clone(&cache);
        let days = surroundings::days(&site.ledger, cache.slug.as_str(), check.as_deref());
        let page = heavy(&site, move || {
            let view = looked.index.view();
            let page = view.health(check.as_deref(), paging.limit, paging.cursor.as_deref())?;
            Ok((page, view))
        });
        let (mut page, view) = page.await?;
        say_what_is_upstream(&cache, &view, &mut page).await;
        let asking = Arc::clone(&site);
        let page = heavy(&site, move || {
            page.days = days;
            page.verification = verification(&asking, &cache, &view);
            page.missing = cache.elsewhere.found().map(|found| (*found).clone());
            page.affected = affected(&asking, &cache, &view, &page.items);
            Ok(page)
        })
        .await?;
        return Ok(Json(page).into_response());
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

/// How far the content is proven.
fn verification(site: &Site, cache: &Cache, view: &View) -> Option<Verification> {
    let figures = cache.proofs.figures_of(view, now())?;
    Some(Verification {
        rate: figures.rate,
        paths: figures.paths,
        proven_paths: figures.proven_paths,
        bytes: figures.bytes,
        proven_bytes: figures.proven_bytes,
        oldest: figures.oldest.map(spelled),
        due: figures.due,
        running: background::is_running(&site.ledger, cache.slug.as_str()),
        behind: figures.is_behind(),
        as_of: spelled(figures.at),
    })
}

/// Missing NARs of a page whose closures and pins are named, with roots and pins of each.
const TRACED: usize = 20;
const MOST_ROOTS: usize = 10;
const MOST_PINS: usize = 50;

/// Whom the missing NARs of a page concern. The walk is over what refers to each, so only for the
/// first of them.
fn affected(site: &Site, cache: &Cache, view: &View, items: &[Finding]) -> Vec<Affected> {
    let missing = items
        .iter()
        .filter(|finding| finding.check == "nar-missing")
        .take(TRACED);
    let mut all = Vec::new();
    let mut known = None;
    for finding in missing {
        let hash = finding.hash.as_deref().and_then(|hash| hash.parse().ok());
        let Some(id) = hash.and_then(|hash| view.find(&hash)) else {
            continue;
        };
        let concerned = view.affecting(id);
        let paths: HashSet<StorePathHash> =
            concerned.paths.iter().map(|&id| view.hash(id)).collect();
        let mut keeping = Vec::new();
        for pin in known.get_or_insert_with(|| pins::all(&site.ledger, cache.slug.as_str())) {
            for revision in &pin.revisions {
                if keeping.len() < MOST_PINS && paths.contains(&revision.path.hash()) {
                    keeping.push(format!("{}@{}", pin.id, revision.number));
                }
            }
        }
        let roots = concerned.roots.iter().take(MOST_ROOTS);
        all.push(Affected {
            object: finding.object.clone(),
            closures: paths.len() as u64 - 1,
            roots: roots
                .map(|&id| format!("{}-{}", view.hash(id), view.name(id)))
                .collect(),
            root_count: concerned.roots.len() as u64,
            pins: keeping,
        });
    }
    all
}

/// Findings of a page that the upstreams are asked about, and references of each.
const ASKED: usize = 20;
const REFERENCES_ASKED: usize = 5;

/// Says of references that are not here where they are, where an upstream has signed them. Those are
/// asked within their own bounds, of the first findings of a page.
async fn say_what_is_upstream(cache: &Cache, view: &View, page: &mut Health) {
    if cache.upstreams.is_empty() {
        return;
    }
    let findings = page
        .items
        .iter_mut()
        .filter(|finding| finding.check == "reference-missing")
        .take(ASKED);
    join_all(findings.map(|finding| say_where(cache, view, finding))).await;
}

async fn say_where(cache: &Cache, view: &View, finding: &mut Finding) {
    let path = finding.hash.as_deref().and_then(|hash| hash.parse().ok());
    let Some(id) = path.and_then(|hash| view.find(&hash)) else {
        return;
    };
    let missing = view.missing_references(id);
    let asked = missing.iter().take(REFERENCES_ASKED).map(async |path| {
        let place = elsewhere::place(cache, path).await;
        (path, place)
    });
    let mut there = Vec::new();
    let mut nowhere = missing.len().saturating_sub(REFERENCES_ASKED);
    for (path, place) in join_all(asked).await {
        match place {
            Where::Upstream(url) => there.push(format!("{path} is on {url}")),
            Where::Nowhere | Where::Unknown => nowhere += 1,
        }
    }
    if there.is_empty() {
        return;
    }
    let rest = match nowhere {
        0 => "clients that use it too have all".to_owned(),
        1 => "1 more is not known to be anywhere".to_owned(),
        more => format!("{more} more are not known to be anywhere"),
    };
    finding.reason = format!(
        "it refers to what is not in this cache: {}; {rest}",
        there.join(", ")
    );
}
