//! What handlers need of a request: the cache, the path, pages, and a place to compute.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use snowbank_shared::store_path::StorePathHash;

use crate::auth::{self, Act, Caller, Refusal};
use crate::index::{Id, QueryError, View};
use crate::site::{Cache, Site};
use crate::web::query;

use super::problem::{ApiError, excerpt};

/// How long a query waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cache of this slug, where the caller may read it.
pub(super) fn readable(
    site: &Site,
    slug: &str,
    headers: &HeaderMap,
) -> Result<Arc<Cache>, ApiError> {
    let cache = site.cache(slug).ok_or_else(|| ApiError::no_cache(slug))?;
    match auth::may(Caller::of(headers), Act::Read, cache.visibility) {
        Ok(()) => Ok(Arc::clone(cache)),
        Err(Refusal::WhoAreYou) => Err(ApiError::login_needed()),
    }
}

/// The pairs of the query string.
pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, ApiError> {
    query::pairs(query).map_err(|error| ApiError::bad_parameter(error.to_string()))
}

/// The hash part of `{hash}` or `{hash}-{name}`.
pub(super) fn hash(text: &str) -> Result<StorePathHash, ApiError> {
    let hash = text.split('-').next().unwrap_or_default();
    hash.parse().map_err(|error| {
        ApiError::bad_parameter(format!(
            "`{}` is not a store path's hash: {error}",
            excerpt(text)
        ))
    })
}

/// The path of this hash in a view.
pub(super) fn find(cache: &Cache, view: &View, hash: StorePathHash) -> Result<Id, ApiError> {
    view.find(&hash)
        .ok_or_else(|| ApiError::no_path(&hash.to_string(), cache.is_complete()))
}

/// `limit` and `cursor`, where a list has no other parameters.
pub(super) struct Paging {
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
}

impl Paging {
    /// Takes them out of the pairs.
    pub(super) fn take(
        pairs: &mut Vec<(String, String)>,
        default: usize,
        most: usize,
    ) -> Result<Self, ApiError> {
        let mut paging = Self {
            limit: default,
            cursor: None,
        };
        let mut wrong = None;
        pairs.retain(|(name, value)| match name.as_str() {
            "limit" if !value.is_empty() => {
                match value.parse::<usize>() {
                    Ok(limit) if (1..=most).contains(&limit) => paging.limit = limit,
                    _ => {
                        wrong = Some(format!(
                            "`limit` cannot be `{}`: it is a number from 1 to {most}",
                            excerpt(value)
                        ));
                    }
                }
                false
            }
            "cursor" => {
                paging.cursor = (!value.is_empty()).then(|| value.clone());
                false
            }
            "limit" => false,
            _ => true,
        });
        match wrong {
            Some(wrong) => Err(ApiError::bad_parameter(wrong)),
            None => Ok(paging),
        }
    }
}

/// Refuses parameters that nobody took.
pub(super) fn nothing_left(pairs: &[(String, String)]) -> Result<(), ApiError> {
    match pairs.first() {
        None => Ok(()),
        Some((name, _)) => Err(ApiError::bad_parameter(format!(
            "there is no parameter `{}` here",
            excerpt(name)
        ))),
    }
}

/// Runs what walks the graph off the reactor, a few at once.
pub(super) async fn heavy<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = tokio::time::timeout(PATIENCE, Arc::clone(&site.heavy).acquire_owned())
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| {
            ApiError::busy("Too many queries are being answered; try again in a few seconds.")
        })?;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .unwrap_or_else(|error| {
        tracing::error!(%error, "a query panicked");
        Err(ApiError::internal())
    })
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::bad_parameter(error.to_string())
    }
}
