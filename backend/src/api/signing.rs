//! `/caches/{cache}/jobs` and `/caches/{cache}/batches`: adding and removing signatures.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::signing::{
    BatchTaken, ControlJob, Job, JobEstimate, JobWish, SIGNING_NEEDS, SignedBatch, SigningBatch,
};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, body, heavy, pairs, taken};
use crate::signing::{Order, Selected, Signing, SigningError};
use crate::site::Site;

impl From<SigningError> for ApiError {
    fn from(error: SigningError) -> Self {
        let text = error.to_string();
        match error {
            SigningError::Ledger(error) => error.into(),
            SigningError::Bad(_) => Self::unacceptable("not-acceptable", text),
            SigningError::NameTaken(_) => Self::conflict("name-taken", text),
            SigningError::Blocked(_) => Self::conflict("blocked", text),
            SigningError::NoSuch { .. } => Self::nothing_there(text),
            SigningError::Bucket(_) => Self::busy(text),
            SigningError::Secret(error) => {
                tracing::error!(%error, "a secret key cannot be kept");
                Self::internal()
            }
        }
    }
}

/// The jobs of a cache that add or remove signatures, newest first.
#[utoipa::path(
    get,
    path = "/caches/{cache}/jobs",
    tag = "signatures",
    operation_id = "list_jobs",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Job>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
) -> Result<Json<Page<Job>>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let revision = site.ledger.view().revision().to_string();
    Ok(Json(Page::whole(signing.jobs(&cache), revision)))
}

/// What a job would do, by what the index knows. Nothing is asked of the bucket, and nothing written.
#[utoipa::path(
    post,
    path = "/caches/{cache}/jobs/estimate",
    tag = "signatures",
    operation_id = "estimate_job",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = JobWish,
    responses(
        (status = 200, body = JobEstimate),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn estimate(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<JobEstimate>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let order = Order::of(&site, &cache, &body::<JobWish>(&bytes)?)?;
    let counting = Arc::clone(&site);
    heavy(&site, move || Ok(Json(order.estimate(&counting, &cache)?))).await
}

/// Begins a job that adds or removes signatures. It runs in the background and goes on after a restart.
#[utoipa::path(
    post,
    path = "/caches/{cache}/jobs",
    tag = "signatures",
    operation_id = "begin_job",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = JobWish,
    responses(
        (status = 201, body = Job),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Job>), ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let order = Order::of(&site, &cache, &body::<JobWish>(&bytes)?)?;
    let total = signing.counted(&cache, &order).await?;
    let job = signing.begin(&cache, order, total, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// A job and how far it has come.
#[utoipa::path(
    get,
    path = "/caches/{cache}/jobs/{job}",
    tag = "signatures",
    operation_id = "get_job",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("job" = String, Path, description = "The job's id"),
    ),
    responses(
        (status = 200, body = Job),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or job"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<Job>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    Ok(Json(signing.job(&cache, &id)?))
}

/// Pauses, resumes or cancels a job. What was done stays.
#[utoipa::path(
    post,
    path = "/caches/{cache}/jobs/{job}",
    tag = "signatures",
    operation_id = "control_job",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("job" = String, Path, description = "The job's id"),
    ),
    request_body = ControlJob,
    responses(
        (status = 200, body = Job),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or job"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over"),
    ),
)]
pub(super) async fn control(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path((slug, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Job>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let command = body::<ControlJob>(&bytes)?.command;
    let job = signing.control(&cache, &id, command, &asked.by()).await?;
    Ok(Json(job))
}

/// The next batch of narinfos that a key has not signed, for `snowbank key sign` on the machine that holds it. Takes the filters of `/caches/{cache}/paths`.
#[utoipa::path(
    get,
    path = "/caches/{cache}/batches",
    tag = "signatures",
    operation_id = "get_batch",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("by" = String, Query, description = "Name of the key that is to sign: one of the cache's own"),
        ("after" = Option<String>, Query, description = "`next` of the batch before"),
    ),
    responses(
        (status = 200, body = SigningBatch),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or key"),
    ),
)]
pub(super) async fn batch(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<SigningBatch>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let mut pairs = pairs(query.as_deref())?;
    let key = taken(&mut pairs, "by")
        .ok_or_else(|| ApiError::bad_parameter("`by` names the key that is to sign"))?;
    let after = match taken(&mut pairs, "after") {
        None => None,
        Some(text) => Some(super::request::hash(&text)?),
    };
    let filter: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            )
        })
        .collect();
    let selected = Selected::Filter(filter.join("&"));
    heavy(&site, move || {
        Ok(Json(signing.batch_for(&cache, &key, &selected, after)?))
    })
    .await
}

/// Takes the signatures that `snowbank key sign` made. Each has to verify over the narinfo as it is now.
#[utoipa::path(
    post,
    path = "/caches/{cache}/batches/signed",
    tag = "signatures",
    operation_id = "take_batch",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = SignedBatch,
    responses(
        (status = 200, body = BatchTaken),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It is no such file"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The bucket failed; what was done stays"),
    ),
)]
pub(super) async fn signed(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(signing): Extension<Signing>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<BatchTaken>, ApiError> {
    let cache = asked.cache(&site, &slug, SIGNING_NEEDS)?;
    let signed: SignedBatch = body(&bytes)?;
    Ok(Json(
        signing.take_signed(&cache, &signed, &asked.by()).await?,
    ))
}
