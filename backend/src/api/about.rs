//! `/about`: the program.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use snowbank_shared::api::About;
use time::format_description::well_known::Rfc3339;

use crate::site::Site;

/// Version and start of this server.
#[utoipa::path(
    get,
    path = "/about",
    tag = "server",
    operation_id = "get_about",
    responses((status = 200, body = About)),
)]
pub(super) async fn about(State(site): State<Arc<Site>>) -> Json<About> {
    Json(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: site.started_at.format(&Rfc3339).unwrap_or_default(),
    })
}
