//! The build log of a path, as its cache has it: known by the derivation that made the path.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use snowbank_shared::api::Problem;
use snowbank_shared::narinfo::NarInfo;

use super::cut::{self, at_most};
use super::files::held_back;
use super::problem::ApiError;
use super::request::{self, Asked, find, readable};
use crate::archive::ArchiveError;
use crate::site::Site;

/// The log of the build that made a path, as text, unpacked. It is what the builder printed, and
/// covered by no signature. A browser that opens it shows text and runs nothing of it.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/log",
    tag = "paths",
    operation_id = "get_log",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("head" = Option<u64>, Query, description = "Bytes at most"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path; no derivation in its narinfo (`no-deriver`), or no log of that one here (`no-log`)"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The log cannot be read"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let most = cut::head(query.as_deref())?;
    let view = cache.index.view();
    let id = find(&cache, &view, request::hash(&hash)?)?;
    if held_back(&cache, &view, id) {
        return Err(ApiError::nothing_there(
            "This path is held back: clients are not served it, and its log is not shown either.",
        ));
    }
    let narinfo = view.narinfo_bytes(id);
    let deriver = NarInfo::parse(&narinfo, &cache.store_dir)
        .ok()
        .and_then(|narinfo| narinfo.deriver().map(|deriver| deriver.to_string()))
        .ok_or_else(|| {
            ApiError::no_log(
                "no-deriver",
                "Its narinfo does not say which derivation made it, and logs are kept by derivation.",
            )
        })?;
    let key = format!("log/{deriver}");
    let opened = cache
        .archives
        .log(&cache.bucket, &key, &asked.reader())
        .await;
    let mut text = opened.map_err(|error| match error {
        ArchiveError::Missing => ApiError::no_log(
            "no-log",
            format!(
                "This cache has no {key}. Whoever builds can send logs with nix store copy-log."
            ),
        ),
        error => ApiError::log(&error),
    })?;
    // One that cannot be read at all is said with a status.
    let first = match text.next().await {
        None => Bytes::new(),
        Some(Ok(piece)) => piece,
        Some(Err(error)) => {
            return Err(ApiError::unacceptable(
                "log-unreadable",
                format!("The log cannot be shown: {error}."),
            ));
        }
    };
    let mut response = at_most(first, text, most).into_response();
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    // The name of a derivation has nothing that would have to be escaped here.
    if let Ok(value) = HeaderValue::try_from(format!("inline; filename=\"{deriver}.log\"")) {
        fields.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
