//! `/connections/test`: the wizard of the empty start page.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::{Act, Connection, ConnectionReport};

use super::problem::ApiError;
use super::request::{Asked, body};
use crate::auth::On;
use crate::site::Site;
use crate::wizard;

/// Tries a connection to a bucket, check by check, and writes the TOML to add. Nothing is kept.
#[utoipa::path(
    post,
    path = "/connections/test",
    tag = "server",
    operation_id = "test_connection",
    request_body = Connection,
    responses(
        (status = 200, body = ConnectionReport),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
    ),
)]
pub(super) async fn test(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<Json<ConnectionReport>, ApiError> {
    asked.must(&site, Act::TestConnection, On::Server)?;
    let connection: Connection = body(&bytes)?;
    let report = wizard::test(&connection, &site.access.outbound).await;
    let by = asked.by();
    site.access
        .note(
            &by,
            "connection.test",
            &connection.bucket,
            &[("endpoint", connection.endpoint.clone())],
        )
        .await;
    Ok(Json(report))
}
