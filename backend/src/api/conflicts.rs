//! `/caches/{cache}/conflicts`: builds that came with other content than what is here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::conflicts::{Build, Comparison, Conflict, DismissConflict, Dismissal};
use snowbank_shared::api::{Page, Problem};
use snowbank_shared::contents::Difference;

use super::files::held_back;
use super::problem::ApiError;
use super::request::{self, Asked, body, heavy, readable};
use crate::auth::records::now;
use crate::index::rfc3339;
use crate::intake::conflict::{BuildRecord, ConflictRecord, DismissalRecord, report_id, reports};
use crate::ledger::Scope;
use crate::site::{Cache, Site};

/// Characters of a reason.
const LONGEST_REASON: usize = 500;

/// How a report's comparison ended, with the differing files or only their numbers.
fn comparison(record: &ConflictRecord, with_files: bool) -> Comparison {
    match &record.comparison {
        Comparison::Done { difference } if !with_files => Comparison::Done {
            difference: Difference {
                added: difference.added,
                removed: difference.removed,
                changed: difference.changed,
                same: difference.same,
                items: Vec::new(),
            },
        },
        comparison => comparison.clone(),
    }
}

/// Whether the files of the builds of a path may be told: not where clients are not served it.
fn tells_files(cache: &Cache, record: &ConflictRecord) -> bool {
    let Ok(hash) = request::hash(&record.path) else {
        return false;
    };
    let view = cache.index.view();
    let is_held = view
        .find(&hash)
        .is_some_and(|id| held_back(cache, &view, id));
    let was_withheld = [&record.kept, &record.newcomer]
        .into_iter()
        .any(|build| cache.withheld.holds(&hash, || build.nar_hash.parse().ok()));
    !is_held && !was_withheld
}

/// A report, for somebody who may (`known`) or may not be told who the members are.
fn shown(cache: &Cache, record: &ConflictRecord, known: bool, with_files: bool) -> Conflict {
    let build = |build: &BuildRecord| Build {
        nar_hash: build.nar_hash.clone(),
        nar_size: build.nar_size,
        by: if known { build.by.clone() } else { Vec::new() },
        keys: build.keys.clone(),
        at: build.at.clone(),
    };
    let (hash, name) = record.path.split_once('-').unwrap_or((&record.path, ""));
    Conflict {
        path: format!("{}/{}", cache.store_dir, record.path),
        hash: hash.to_owned(),
        name: name.to_owned(),
        kept: build(&record.kept),
        newcomer: build(&record.newcomer),
        times: record.times,
        comparison: comparison(record, with_files),
        dismissed: record.dismissed.as_ref().map(|dismissed| Dismissal {
            by: known.then(|| dismissed.by.clone()),
            at: rfc3339(dismissed.at),
            reason: dismissed.reason.clone(),
        }),
    }
}

/// Builds that differ from what is in the cache, of all paths, the newest first; without the
/// differing files themselves.
#[utoipa::path(
    get,
    path = "/caches/{cache}/conflicts",
    tag = "paths",
    operation_id = "list_conflicts",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Conflict>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Page<Conflict>>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let (known, of) = (asked.is_known(), Arc::clone(&site));
    heavy(&site, move || {
        let items = reports(&of, &slug, None)
            .iter()
            .map(|report| shown(&cache, report, known, false))
            .collect();
        let revision = of.ledger.view().revision().to_string();
        Ok(Json(Page::whole(items, revision)))
    })
    .await
}

/// Builds that differ from what is in the cache under one path, with the files in which they differ.
#[utoipa::path(
    get,
    path = "/caches/{cache}/conflicts/{hash}",
    tag = "paths",
    operation_id = "get_conflicts",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = Page<Conflict>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn of_path(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Page<Conflict>>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    let (known, of) = (asked.is_known(), Arc::clone(&site));
    heavy(&site, move || {
        let items = reports(&of, &slug, Some(hash))
            .iter()
            .map(|report| shown(&cache, report, known, tells_files(&cache, report)))
            .collect();
        let revision = of.ledger.view().revision().to_string();
        Ok(Json(Page::whole(items, revision)))
    })
    .await
}

/// Puts a report aside: it stays, and is shown as settled.
#[utoipa::path(
    post,
    path = "/caches/{cache}/conflicts/{hash}/dismiss",
    tag = "paths",
    operation_id = "dismiss_conflict",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    request_body = DismissConflict,
    responses(
        (status = 200, body = Conflict),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "The body means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such report"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A reason is missing, or too long"),
    ),
)]
pub(super) async fn dismiss(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Conflict>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let hash = request::hash(&hash)?;
    let wish: DismissConflict = body(&bytes)?;
    let reason = wish.reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(ApiError::unacceptable(
            "not-acceptable",
            format!("Say why, in up to {LONGEST_REASON} characters."),
        ));
    }
    let none = || {
        ApiError::nothing_there(
            "There is no report of such a build: its NarHash is that of the newcomer.",
        )
    };
    let id = report_id(hash, &wish.nar_hash).ok_or_else(none)?;
    let scope = Scope::Cache(&slug);
    if site
        .ledger
        .view()
        .get::<ConflictRecord>(scope, &id)
        .is_none()
    {
        return Err(none());
    }
    let by = asked.by();
    let dismissed = site
        .ledger
        .update::<ConflictRecord, ApiError>(scope, &id, &by.actor, |known| {
            Ok(ConflictRecord {
                dismissed: Some(DismissalRecord {
                    by: by.actor.clone(),
                    at: now(),
                    reason: reason.to_owned(),
                }),
                ..known.clone()
            })
        })
        .await?;
    let detail = [
        ("nar_hash", wish.nar_hash.clone()),
        ("reason", reason.to_owned()),
    ];
    site.access
        .note_in(&slug, &by, "conflict.dismiss", &dismissed.path, &detail)
        .await;
    let with_files = tells_files(&cache, &dismissed);
    Ok(Json(shown(&cache, &dismissed, true, with_files)))
}
