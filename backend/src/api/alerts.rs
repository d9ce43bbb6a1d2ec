//! `/caches/{cache}/alerts`: who is told by a webhook when a figure is too low or too high. For owners
//! of the cache, at a browser: a webhook makes this server call an address.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::alerts::{Alert, AlertDelivery, AlertWish, NewAlert};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, body};
use crate::alerts;
use crate::site::{Cache, Site};

/// The cache, where its alerts are the caller's to see and change.
fn owned(site: &Site, asked: &Asked, slug: &str) -> Result<Arc<Cache>, ApiError> {
    let cache = asked.cache(site, slug, Act::Manage)?;
    asked.member()?;
    Ok(cache)
}

/// The alerts of a cache, by name, with their figures as they are now. Secrets are left out, and of a
/// webhook's URL all but its host.
#[utoipa::path(
    get,
    path = "/caches/{cache}/alerts",
    tag = "alerts",
    operation_id = "list_alerts",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Alert>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
) -> Result<Json<Page<Alert>>, ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    let items = alerts::list(&site, &cache).await;
    let revision = site.ledger.view().revision().to_string();
    Ok(Json(Page::whole(items, revision)))
}

/// Makes an alert. Its secret is in this answer and in no other; messages are signed with it.
#[utoipa::path(
    post,
    path = "/caches/{cache}/alerts",
    tag = "alerts",
    operation_id = "create_alert",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = AlertWish,
    responses(
        (status = 201, body = NewAlert),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be, the webhook may not be called, or there are too many"),
    ),
)]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<NewAlert>), ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    let wish: AlertWish = body(&bytes)?;
    let made = alerts::create(&site, &cache, &wish, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes an alert; `revision` is the one that was read, so that nobody overwrites what they did not
/// see. Its secret stays; without `url` its webhook does too.
#[utoipa::path(
    put,
    path = "/caches/{cache}/alerts/{id}",
    tag = "alerts",
    operation_id = "change_alert",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The alert's id"),
    ),
    request_body = AlertWish,
    responses(
        (status = 200, body = Alert),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or alert"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed it meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be, or the webhook may not be called"),
    ),
)]
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Alert>, ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    let wish: AlertWish = body(&bytes)?;
    let changed = alerts::change(&site, &cache, &id, &wish, &asked.by()).await?;
    Ok(Json(changed))
}

/// Takes an alert away. Nothing is sent, also where it fires.
#[utoipa::path(
    delete,
    path = "/caches/{cache}/alerts/{id}",
    tag = "alerts",
    operation_id = "remove_alert",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The alert's id"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or alert"),
    ),
)]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    alerts::remove(&site, &cache, &id, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message to the webhook, once, and says how that went: within 15 seconds, and of the
/// answer only the status.
#[utoipa::path(
    post,
    path = "/caches/{cache}/alerts/{id}/test",
    tag = "alerts",
    operation_id = "test_alert",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The alert's id"),
    ),
    responses(
        (status = 200, body = AlertDelivery, description = "How it went; that it did not arrive is said here too"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or alert"),
    ),
)]
pub(super) async fn test(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<AlertDelivery>, ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    let went = alerts::test(&site, &cache, &id, &asked.by()).await?;
    Ok(Json(went))
}

/// Gives an alert a new secret. It is in this answer and in no other; from now on messages are signed
/// with it, and with the old one no more.
#[utoipa::path(
    post,
    path = "/caches/{cache}/alerts/{id}/secret",
    tag = "alerts",
    operation_id = "renew_alert_secret",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "The alert's id"),
    ),
    responses(
        (status = 200, body = NewAlert),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or alert"),
    ),
)]
pub(super) async fn renew(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<NewAlert>, ApiError> {
    let cache = owned(&site, &asked, &slug)?;
    let renewed = alerts::renew(&site, &cache, &id, &asked.by()).await?;
    Ok(Json(renewed))
}
