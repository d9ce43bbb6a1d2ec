//! `/lookup`: is it here? Across all caches that the caller may read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use http::HeaderMap;
use snowbank_shared::api::{Lookup, LookupCache, LookupItem, Problem};

use super::problem::ApiError;
use super::request::{heavy, nothing_left, pairs};
use crate::auth::{self, Act, Caller};
use crate::index::PathQuery;
use crate::site::Site;

/// Texts in one request.
const MOST: usize = 50;
/// Rows for each text and cache.
const ROWS: usize = 10;

/// Looks texts up in every cache: store paths, hashes or their beginnings, words of names, `.narinfo` URLs.
#[utoipa::path(
    get,
    path = "/lookup",
    tag = "server",
    operation_id = "lookup",
    params(("q" = Vec<String>, Query, description = "What to look for; up to 50 times")),
    responses(
        (status = 200, body = Lookup),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Nothing to look for, or too much"),
    ),
)]
pub(super) async fn lookup(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Lookup>, ApiError> {
    let (texts, rest): (Vec<_>, Vec<_>) = pairs(query.as_deref())?
        .into_iter()
        .partition(|(name, _)| name == "q");
    nothing_left(&rest)?;
    let texts: Vec<String> = texts
        .into_iter()
        .map(|(_, text)| text)
        .filter(|text| !text.trim().is_empty())
        .collect();
    if texts.is_empty() || texts.len() > MOST {
        return Err(ApiError::bad_parameter(format!(
            "`q` says what to look for, once or up to {MOST} times"
        )));
    }
    let caller = Caller::of(&headers);
    let caches: Vec<_> = site
        .caches
        .iter()
        .filter(|cache| auth::may(caller, Act::Read, cache.visibility).is_ok())
        .cloned()
        .collect();
    heavy(&site, move || {
        let mut items = Vec::with_capacity(texts.len());
        for text in texts {
            let query = PathQuery {
                limit: ROWS,
                ..PathQuery::from_pairs([("q", text.as_str())])?
            };
            let mut found = Vec::with_capacity(caches.len());
            for cache in &caches {
                let page = cache.index.view().query(&query)?;
                found.push(LookupCache {
                    cache: cache.slug.to_string(),
                    paths: page.items,
                    total: page.total,
                    complete: page.complete,
                });
            }
            items.push(LookupItem {
                q: text,
                caches: found,
            });
        }
        Ok(Json(Lookup { items }))
    })
    .await
}
