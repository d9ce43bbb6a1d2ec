//! `/caches/{cache}/uploads`: plans of uploads, their sessions and receipts. The bytes go to the
//! cache itself, as `nix copy` sends them.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::uploads::{PlanAnswer, UploadPlan, UploadReceipt, UploadSession};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, body, heavy, nothing_left, pairs};
use crate::intake::{Intake, SessionError};
use crate::ledger::RecordId;
use crate::site::Site;

fn named(id: &str) -> Result<RecordId, ApiError> {
    id.parse().map_err(|_| SessionError::Absent.into())
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        let words = error.to_string();
        match error {
            SessionError::Absent => Self::nothing_there(words),
            SessionError::NotYours(_) => Self::not_allowed(words),
            SessionError::Ended => Self::conflict("upload-ended", words),
            SessionError::Bad(_) => Self::unacceptable("bad-plan", words),
            SessionError::TooMany(_) => Self::conflict("too-many-uploads", words),
            SessionError::Quota { .. } => Self::unacceptable("quota", words),
            SessionError::Unavailable(_) => Self::busy(words),
            SessionError::Ledger(error) => error.into(),
        }
    }
}

/// Says of each path of a plan what will happen with it, before a byte is sent, and begins a
/// session where `begin` is set. The same plan again by the same person is the same session.
/// Archives of 16 MiB and more then go up in parts of 8 MiB, in order, as
/// `PUT /{cache}/nar/….nar.zst?upload={id}&part={n}` outside of the API; the rest as `nix copy` sends it.
#[utoipa::path(
    post,
    path = "/caches/{cache}/uploads",
    tag = "uploads",
    operation_id = "plan_upload",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = UploadPlan,
    responses(
        (status = 200, body = PlanAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login or a token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Too many sessions"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The plan cannot be, or exceeds the quota"),
    ),
)]
pub(super) async fn plan(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(intake): Extension<Intake>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<PlanAnswer>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Upload)?;
    let plan: UploadPlan = body(&bytes)?;
    let by = asked.by();
    Ok(Json(intake.plan(&cache, &asked.caller, &by, &plan).await?))
}

/// The sessions of the last seven days, the newest first: one's own; for Maintainers those of all
/// with `all=true`.
#[utoipa::path(
    get,
    path = "/caches/{cache}/uploads",
    tag = "uploads",
    operation_id = "list_uploads",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("all" = Option<bool>, Query, description = "Those of other people too, for Maintainers"),
    ),
    responses(
        (status = 200, body = Page<UploadSession>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter cannot be"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login or a token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(intake): Extension<Intake>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<UploadSession>>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Upload)?;
    let mut pairs = pairs(query.as_deref())?;
    let mut all = false;
    pairs.retain(|(name, value)| match (name.as_str(), value.as_str()) {
        ("all", "true") => {
            all = true;
            false
        }
        ("all", "false" | "") => false,
        _ => true,
    });
    nothing_left(&pairs)?;
    let revision = site.ledger.view().revision().to_string();
    let items = heavy(&site, move || {
        Ok(intake.sessions(&cache, &asked.caller, all))
    })
    .await?;
    Ok(Json(Page::whole(items, revision)))
}

/// A session with what has come of each path: how far it is, and at its end the receipt. Whoever
/// may upload to the cache can follow it.
#[utoipa::path(
    get,
    path = "/caches/{cache}/uploads/{id}",
    tag = "uploads",
    operation_id = "get_upload",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The session"),
    ),
    responses(
        (status = 200, body = UploadReceipt),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login or a token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or session"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(intake): Extension<Intake>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<UploadReceipt>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Upload)?;
    let id = named(&id)?;
    heavy(&site, move || {
        Ok(Json(intake.receipt(&cache, &id, &asked.caller)?))
    })
    .await
}

/// Ends a session of one's own: what was to be published is, or is given up.
#[utoipa::path(
    post,
    path = "/caches/{cache}/uploads/{id}/commit",
    tag = "uploads",
    operation_id = "commit_upload",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The session"),
    ),
    responses(
        (status = 200, body = UploadReceipt),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login or a token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "It is somebody else's"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or session"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It was given up"),
    ),
)]
pub(super) async fn commit(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(intake): Extension<Intake>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<UploadReceipt>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Upload)?;
    let (id, by) = (named(&id)?, asked.by());
    Ok(Json(intake.commit(&cache, &id, &asked.caller, &by).await?))
}

/// Gives a session up: one's own, or for Maintainers anybody's. What is published stays; what is on
/// its way is taken out of the bucket.
#[utoipa::path(
    delete,
    path = "/caches/{cache}/uploads/{id}",
    tag = "uploads",
    operation_id = "cancel_upload",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The session"),
    ),
    responses(
        (status = 200, body = UploadReceipt),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login or a token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "It is somebody else's"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or session"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It was committed"),
    ),
)]
pub(super) async fn cancel(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(intake): Extension<Intake>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<UploadReceipt>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Upload)?;
    let (id, by) = (named(&id)?, asked.by());
    Ok(Json(intake.cancel(&cache, &id, &asked.caller, &by).await?))
}
