//! `/caches/{cache}/paths/{hash}/verify`: is an archive what its narinfo says?

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::verify::ContentCheck;

use super::problem::ApiError;
use super::request::{self, Asked, find};
use crate::archive::ArchiveError;
use crate::site::Site;
use crate::verify::{self, NoVerdict};

/// Reads the archive of a path from its first byte to its last, and keeps what it was found to be. Answers when it is read.
#[utoipa::path(
    post,
    path = "/caches/{cache}/paths/{hash}/verify",
    tag = "paths",
    operation_id = "check_content",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "The path's hash part, or `hash-name`"),
    ),
    responses(
        (status = 200, body = ContentCheck),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No verdict: the narinfo or the archive cannot be read here"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "No verdict: the bucket failed, or too many checks are asked for"),
    ),
)]
pub(super) async fn check(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
) -> Result<Json<ContentCheck>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let hash = request::hash(&hash)?;
    find(&cache, &cache.index.view(), hash)?;
    let place = cache.archives.place().map_err(NoVerdict::from)?;
    let by = asked.by();
    // Goes on where the browser leaves: what was read is kept.
    let checking = tokio::spawn(async move {
        let _place = place;
        let checked = verify::path(&cache, hash).await?;
        checked.keep(&site, &cache, &by.actor).await;
        let shown = checked.shown(&cache);
        let path = format!("{}-{}", shown.hash, shown.name);
        let detail = [("content", shown.content.to_string())];
        site.access
            .note_in(cache.slug.as_str(), &by, "content.check", &path, &detail)
            .await;
        Ok::<_, NoVerdict>(shown)
    });
    let checked = checking.await.map_err(|error| {
        tracing::error!(%error, "a check of content panicked");
        ApiError::internal()
    })?;
    Ok(Json(checked?))
}

impl From<NoVerdict> for ApiError {
    fn from(none: NoVerdict) -> Self {
        let detail = format!("The content was not checked: {none}.");
        match none {
            NoVerdict::Gone => Self::nothing_there(detail),
            NoVerdict::Bucket | NoVerdict::Archive(ArchiveError::Bucket) => {
                Self::bucket_unavailable(detail)
            }
            NoVerdict::Archive(ArchiveError::Busy) => Self::busy(detail),
            NoVerdict::Unreadable(_) | NoVerdict::Archive(_) => {
                Self::unacceptable("content-unchecked", detail)
            }
        }
    }
}
