//! `/caches/{cache}/skipped`: what nobody had to upload, because a virtual upstream has it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use snowbank_shared::api::access::Act;
use snowbank_shared::api::{Page, Problem, Skipped};

use super::problem::ApiError;
use super::request::Asked;
use crate::intake;
use crate::site::Site;

/// Days and uploaders of one answer.
const MOST: usize = 500;

/// What was not uploaded in the last 30 days because a virtual upstream has it, by day and uploader:
/// the newest day first. Up to 200 paths of each are listed.
#[utoipa::path(
    get,
    path = "/caches/{cache}/skipped",
    tag = "people",
    operation_id = "list_skipped",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Skipped>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
) -> Result<Json<Page<Skipped>>, ApiError> {
    asked.cache(&site, &slug, Act::Upload)?;
    let mut items = intake::skipped(&site.ledger, &slug);
    let total = items.len() as u64;
    items.truncate(MOST);
    Ok(Json(Page {
        complete: items.len() as u64 == total,
        items,
        next: None,
        total,
        revision: site.ledger.view().revision().to_string(),
    }))
}
