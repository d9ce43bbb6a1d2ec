//! `/caches/{cache}/gc/plans` and `/runs`: frozen lists of what is to go, and carrying them out.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use snowbank_shared::api::retention::{
    ListedPath, Plan, PlanWish, RETENTION_NEEDS, RetentionHistory, Run, SIMULATING_NEEDS,
};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, Paging, body, nothing_left, pairs};
use crate::retention::{Retention, RetentionError};
use crate::site::Site;

/// Paths of a page, where the request does not say and at most.
const PATHS: usize = 100;
const MOST_PATHS: usize = 1_000;

impl From<RetentionError> for ApiError {
    fn from(error: RetentionError) -> Self {
        let text = error.to_string();
        match error {
            RetentionError::Ledger(error) => error.into(),
            RetentionError::Bad(_) | RetentionError::Nothing(_) => {
                Self::unacceptable("not-acceptable", text)
            }
            RetentionError::Blocked(_) => Self::conflict("blocked", text),
            RetentionError::Foreign(_) => Self::conflict("foreign-paths", text),
            RetentionError::NoSuch { .. } => Self::nothing_there(text),
            RetentionError::Failed => Self::internal(),
        }
    }
}

/// Plans that can be started and runs of a cache, newest first.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/plans",
    tag = "retention",
    operation_id = "list_retention_plans",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = RetentionHistory),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn plans(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path(slug): Path<String>,
) -> Result<Json<RetentionHistory>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    Ok(Json(retention.history(&cache)))
}

/// Makes a plan: a frozen list of what these rules would remove now. Nothing is removed by it.
#[utoipa::path(
    post,
    path = "/caches/{cache}/gc/plans",
    tag = "retention",
    operation_id = "make_retention_plan",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = PlanWish,
    responses(
        (status = 201, body = Plan),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The index is not complete, a record cannot be believed, a rule cannot be applied; `foreign-paths`: others write to the bucket, and nobody said yes to that"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be, or nothing would go"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The server's state cannot be written"),
    ),
)]
pub(super) async fn plan(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Plan>), ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    let wish: PlanWish = body(&bytes)?;
    let plan = retention.plan(&cache, &wish, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(plan)))
}

/// A plan, and what of it became needed since.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/plans/{plan}",
    tag = "retention",
    operation_id = "get_retention_plan",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("plan" = String, Path, description = "The plan's id"),
    ),
    responses(
        (status = 200, body = Plan),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or plan"),
    ),
)]
pub(super) async fn one_plan(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, plan)): Path<(String, String)>,
) -> Result<Json<Plan>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    Ok(Json(retention.plan_shown(&cache, &plan).await?))
}

/// The paths of a plan, in the order in which they would go: who refers comes first.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/plans/{plan}/paths",
    tag = "retention",
    operation_id = "list_planned_paths",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("plan" = String, Path, description = "The plan's id"),
        ("limit" = Option<usize>, Query, description = "At most 1,000; 100 where it is not given"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses(
        (status = 200, body = Page<ListedPath>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or plan"),
    ),
)]
pub(super) async fn plan_paths(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, plan)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ListedPath>>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    let mut pairs = pairs(query.as_deref())?;
    let paging = Paging::take(&mut pairs, PATHS, MOST_PATHS)?;
    nothing_left(&pairs)?;
    let from: usize = match &paging.cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| ApiError::bad_parameter("`cursor` is not one of this list"))?,
    };
    let paths = retention.plan_paths(&cache, &plan).await?;
    let total = paths.len();
    let items: Vec<ListedPath> = paths.into_iter().skip(from).take(paging.limit).collect();
    let next = from.saturating_add(items.len());
    Ok(Json(Page {
        next: (next < total && !items.is_empty()).then(|| next.to_string()),
        items,
        total: total as u64,
        // The list is frozen.
        revision: plan,
        complete: true,
    }))
}

/// The whole list of a plan as CSV.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/plans/{plan}/export",
    tag = "retention",
    operation_id = "export_retention_plan",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("plan" = String, Path, description = "The plan's id"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or plan"),
    ),
)]
pub(super) async fn export(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, plan)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    let paths = retention.plan_paths(&cache, &plan).await?;
    let short: String = plan.chars().take(8).collect();
    Ok((
        [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (
                CONTENT_DISPOSITION,
                format!("attachment; filename=\"{slug}-plan-{short}.csv\""),
            ),
        ],
        csv(&paths),
    )
        .into_response())
}

/// Starts a plan. It runs in the background, goes on after a restart, and removes exactly the plan less
/// what became needed since.
#[utoipa::path(
    post,
    path = "/caches/{cache}/gc/plans/{plan}/run",
    tag = "retention",
    operation_id = "start_retention_run",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("plan" = String, Path, description = "The plan's id"),
    ),
    responses(
        (status = 201, body = Run),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or plan"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It was started, has expired, another run is under way, or a record cannot be believed"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The server's state cannot be written"),
    ),
)]
pub(super) async fn start(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, plan)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Run>), ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    let run = retention.start(&cache, &plan, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(run)))
}

/// A run and how far it is.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/runs/{run}",
    tag = "retention",
    operation_id = "get_retention_run",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, body = Run),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or run"),
    ),
)]
pub(super) async fn one_run(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, run)): Path<(String, String)>,
) -> Result<Json<Run>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    Ok(Json(retention.run_shown(&cache, &run)?))
}

/// Stops a run: what is in hand is brought to its end, nothing more is taken out. What is in the trash can
/// be put back.
#[utoipa::path(
    post,
    path = "/caches/{cache}/gc/runs/{run}/stop",
    tag = "retention",
    operation_id = "stop_retention_run",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, body = Run),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or run"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not under way"),
    ),
)]
pub(super) async fn stop(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, run)): Path<(String, String)>,
) -> Result<Json<Run>, ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    Ok(Json(retention.stop(&cache, &run, &asked.by()).await?))
}

/// Puts back what a run took out, byte for byte, as far as its NARs are there.
#[utoipa::path(
    post,
    path = "/caches/{cache}/gc/runs/{run}/undo",
    tag = "retention",
    operation_id = "undo_retention_run",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("run" = String, Path, description = "The run's id"),
    ),
    responses(
        (status = 200, body = Run),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or run"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It took nothing out, is under way, was undone, or its NARs were deleted; or another run is under way"),
    ),
)]
pub(super) async fn undo(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, run)): Path<(String, String)>,
) -> Result<Json<Run>, ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    Ok(Json(retention.undo(&cache, &run, &asked.by()).await?))
}

/// RFC 4180. The first cell begins with a hash, so that no spreadsheet takes it for a formula.
fn csv(paths: &[ListedPath]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("path,bytes,fetched_at,added_at\r\n");
    for path in paths {
        let bytes = path.bytes.map(|bytes| bytes.to_string());
        // Writing to a string does not fail. Names of store paths have no commas or quotes.
        let _ = write!(
            text,
            "{}-{},{},{},{}\r\n",
            path.hash,
            path.name,
            bytes.unwrap_or_default(),
            path.fetched_at.as_deref().unwrap_or_default(),
            path.added_at.as_deref().unwrap_or_default(),
        );
    }
    text
}
