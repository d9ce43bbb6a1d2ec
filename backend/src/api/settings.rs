//! `/settings`: what owners change while the server runs.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::{Act, ServerSettings};

use super::problem::ApiError;
use super::request::{Asked, body};
use crate::auth::On;
use crate::site::Site;

/// The settings of the server.
#[utoipa::path(
    get,
    path = "/settings",
    tag = "server",
    operation_id = "get_settings",
    responses(
        (status = 200, body = ServerSettings),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not for tokens"),
    ),
)]
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<ServerSettings>, ApiError> {
    asked.must(&site, Act::SeeMembers, On::Server)?;
    Ok(Json(site.access.server_settings()))
}

/// Changes the settings; `revision` is the one that was read, so that nobody overwrites what they
/// did not see.
#[utoipa::path(
    put,
    path = "/settings",
    tag = "server",
    operation_id = "change_settings",
    request_body = ServerSettings,
    responses(
        (status = 200, body = ServerSettings),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed them meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<Json<ServerSettings>, ApiError> {
    asked.must(&site, Act::ChangeSettings, On::Server)?;
    let wish: ServerSettings = body(&bytes)?;
    let changed = site.access.change_settings(&wish, &asked.by()).await?;
    Ok(Json(changed))
}
