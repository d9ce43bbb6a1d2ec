//! What handlers need of a request: the cache, the path, pages, and a place to compute.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use snowbank_shared::store_path::StorePathHash;

use crate::archive::Reader;
use crate::auth::{self, Act, By, Caller, MemberCaller, On, Refusal};
use crate::index::{Id, QueryError, View};
use crate::site::{Cache, Site};
use crate::web::{RequestId, query};

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
    let caller = site.access.caller(headers);
    match auth::may(&caller, Act::Read, cache.on()) {
        Ok(()) => Ok(Arc::clone(cache)),
        Err(refusal) => Err(ApiError::refused(&refusal, &caller, &site.access.owners())),
    }
}

/// Who sent a request, and how to speak of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks.
    pub caller: Caller,
    /// The request's id.
    pub id: RequestId,
    /// The address it came from.
    pub client: IpAddr,
}

impl Asked {
    /// For the audit.
    pub fn by(&self) -> By {
        By {
            actor: self.caller.actor(),
            via: match &self.caller {
                Caller::Token(_) => "api",
                Caller::Member(_) | Caller::Stranger(_) => "web",
            },
            request: self.id.to_string(),
            address: Some(self.client),
        }
    }

    /// Refuses what the table does not allow, in words.
    pub(super) fn must(&self, site: &Site, act: Act, on: On<'_>) -> Result<(), ApiError> {
        auth::may(&self.caller, act, on)
            .map_err(|refusal| ApiError::refused(&refusal, &self.caller, &site.access.owners()))
    }

    /// The cache of this slug, where the table allows the caller to do that to it.
    pub(super) fn cache(&self, site: &Site, slug: &str, act: Act) -> Result<Arc<Cache>, ApiError> {
        let cache = site.cache(slug).ok_or_else(|| ApiError::no_cache(slug))?;
        self.must(site, act, cache.on())?;
        Ok(Arc::clone(cache))
    }

    /// The member at a browser; the table has said that it is one.
    pub(super) fn member(&self) -> Result<&MemberCaller, ApiError> {
        match &self.caller {
            Caller::Member(member) => Ok(member),
            Caller::Token(_) => Err(ApiError::not_allowed(Refusal::NeedsSession.explained(&[]))),
            Caller::Stranger(stranger) => Err(ApiError::login_needed(*stranger)),
        }
    }

    /// Whether it is somebody we know: strangers are not told who the members are, nor who did something.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.caller, Caller::Stranger(_))
    }

    /// Whether whoever asks may read this cache's part of the audit.
    pub(super) fn may_audit(&self, cache: &Cache) -> bool {
        auth::may(&self.caller, Act::ReadAudit, cache.on()).is_ok()
    }

    /// For whom something is unpacked.
    pub(super) fn reader(&self) -> Reader {
        match &self.caller {
            Caller::Stranger(_) => Reader::stranger(self.client),
            Caller::Member(_) | Caller::Token(_) => Reader::Known(self.caller.actor()),
        }
    }

    /// Counts a try to sign in.
    pub(super) fn may_try(&self, site: &Site) -> Result<(), ApiError> {
        let taken = site.access.sign_ins.take(self.client);
        taken.map_err(ApiError::too_often)
    }
}

/// The JSON of a body.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::bad_body(format!(
            "The body is not the JSON that is taken here: {}.",
            excerpt(&error.to_string())
        ))
    })
}

/// The pairs of the query string.
pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, ApiError> {
    query::pairs(query).map_err(|error| ApiError::bad_parameter(error.to_string()))
}

/// Takes the first parameter of a name out of the pairs; `None` where it is absent or empty.
pub(super) fn taken(pairs: &mut Vec<(String, String)>, wanted: &str) -> Option<String> {
    let at = pairs.iter().position(|(name, _)| name == wanted)?;
    Some(pairs.remove(at).1).filter(|value| !value.is_empty())
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
