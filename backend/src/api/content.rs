//! `/caches/{cache}/paths/{hash}/check`: is the archive the one that the narinfo names?

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::content::ContentCheck;

use super::problem::ApiError;
use super::request::{self, Asked};
use crate::proof::{ProofError, Proofs};
use crate::site::Site;

/// Reads a path's archive from its first byte to its last and holds it against NarHash and NarSize.
/// Answers after some seconds; while `running`, ask again. What was found is kept.
#[utoipa::path(
    post,
    path = "/caches/{cache}/paths/{hash}/check",
    tag = "paths",
    operation_id = "check_content",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = ContentCheck),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many archives are being read"),
    ),
)]
pub(super) async fn check(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(proofs): Extension<Proofs>,
    Path((slug, hash)): Path<(String, String)>,
) -> Result<Json<ContentCheck>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let hash = request::hash(&hash)?;
    request::find(&cache, &cache.index.view(), hash)?;
    let by = asked.by();
    let checked = proofs.check(&site, &cache, hash, &by.actor).await;
    let (check, begun) = checked.map_err(|error| match error {
        ProofError::Absent => ApiError::no_path(&hash.to_string(), cache.is_complete()),
        ProofError::Busy => ApiError::busy(error.to_string()),
    })?;
    if begun {
        let found = match check.running {
            true => "running".to_owned(),
            false => check.content.as_str().to_owned(),
        };
        let detail = [("found", found)];
        site.access
            .note_in(&slug, &by, "content.check", &hash.to_string(), &detail)
            .await;
    }
    Ok(Json(check))
}
