//! `/connect`: what the pages of Connect need beside the list of caches, and other caches.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use snowbank_shared::api::connect::{Connect, ConnectCache, TestCache, TestedCache};
use snowbank_shared::api::{Problem, Visibility};
use snowbank_shared::nix_conf::SubstituterUrl;
use snowbank_shared::signature::PublicKey;
use snowbank_shared::store_path::StorePathHash;

use super::machine::former;
use super::problem::{ApiError, excerpt};
use super::request::{Asked, body, hash, heavy};
use crate::auth::{self, Act, On};
use crate::index::{PathQuery, Sort, SortField};
use crate::outbound::OutboundError;
use crate::site::{Cache, ForeignError, MOST_PATHS, Site, Wanted};

/// What the pages of Connect need of the caches that the caller may see.
#[utoipa::path(
    get,
    path = "/connect",
    tag = "caches",
    operation_id = "get_connect",
    responses((status = 200, body = Connect)),
)]
pub(super) async fn connect(State(site): State<Arc<Site>>, headers: HeaderMap) -> Json<Connect> {
    let caller = site.access.caller(&headers);
    let mut caches = Vec::new();
    for cache in &site.caches {
        if auth::may(&caller, Act::Discover, cache.on()).is_err() {
            continue;
        }
        // Who sees this page is told to trust these keys.
        former::remember(&site.ledger, cache).await;
        caches.push(describe(&site, cache));
    }
    Json(Connect { caches })
}

fn describe(site: &Site, cache: &Cache) -> ConnectCache {
    let former = former::keys(site, cache);
    ConnectCache {
        slug: cache.slug.to_string(),
        page: site.public_url.join(&format!("c/{}", cache.slug)),
        bucket: cache.bucket_url.as_ref().map(ToString::to_string),
        former_keys: former.iter().map(ToString::to_string).collect(),
        signs: cache.signer().is_some(),
    }
}

/// Asks a cache that is not of this server: reads its `nix-cache-info`, and verifies a signature of
/// one narinfo with the key. Nothing is kept. Only an owner can have private addresses asked, and of
/// these only what `outbound_allow` lists.
#[utoipa::path(
    post,
    path = "/connect/test",
    tag = "caches",
    operation_id = "test_cache",
    request_body = TestCache,
    responses(
        (status = 200, body = TestedCache),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "No URL, key or store path"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It cannot be reached, or is no binary cache"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many from this address"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many at once"),
    ),
)]
pub(super) async fn test(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<Json<TestedCache>, ApiError> {
    asked.must(&site, Act::TestCache, On::Server)?;
    let wish: TestCache = body(&bytes)?;
    let url: SubstituterUrl = wish.url.trim().parse().map_err(|error| {
        ApiError::bad_parameter(format!(
            "`url` cannot be `{}`: {error}.",
            excerpt(&wish.url)
        ))
    })?;
    // It is not repeated: people paste secret keys.
    let key: PublicKey =
        wish.key.trim().parse().map_err(|error| {
            ApiError::bad_parameter(format!("`key` is no public key: {error}."))
        })?;
    let path = wish.path.as_deref().map(str::trim);
    let path = path
        .filter(|path| !path.is_empty())
        .map(path_of)
        .transpose()?;
    site.foreign
        .rate
        .take(asked.client)
        .map_err(ApiError::too_often)?;
    let paths = match path {
        Some(path) => vec![path],
        None => signed_here(&site, &key).await?,
    };
    let wanted = Wanted { url, key, paths };
    // What is listed is meant for what owners configure: it is no way for others to look around in there.
    let is_owner = auth::may(&asked.caller, Act::TestConnection, On::Server).is_ok();
    let outbound = match is_owner {
        true => &site.access.outbound,
        false => &site.access.outbound_for_members,
    };
    let tested = site.foreign.test(outbound, &wanted).await;
    let tested = tested.map_err(|error| match error {
        ForeignError::Outbound(OutboundError::Private { host }) if !is_owner => {
            ApiError::unacceptable(
                "cache-not-reached",
                format!(
                    "{host} is at a private or special address: only an owner can have the server ask there."
                ),
            )
        }
        error => error.into(),
    })?;
    tracing::info!(url = %tested.url, signature = ?tested.signature, "another cache was asked");
    Ok(Json(tested))
}

/// The hash part of a store path, whole or not.
fn path_of(text: &str) -> Result<StorePathHash, ApiError> {
    hash(text.rsplit('/').next().unwrap_or(text))
}

/// Paths of public caches of this server that carry a signature of this name: the cache that
/// signed them may well have them. Of other caches nothing is told to a stranger.
async fn signed_here(site: &Arc<Site>, key: &PublicKey) -> Result<Vec<StorePathHash>, ApiError> {
    let views: Vec<_> = site
        .caches
        .iter()
        .filter(|cache| cache.visibility == Visibility::Public)
        .map(|cache| cache.index.view())
        .collect();
    let query = PathQuery {
        key: Some(key.name().to_owned()),
        sort: Sort {
            field: SortField::AddedAt,
            descending: true,
        },
        limit: MOST_PATHS,
        ..PathQuery::default()
    };
    heavy(site, move || {
        let mut found = Vec::new();
        for view in views {
            let page = view.query(&query)?;
            let hashes = page.items.iter();
            found.extend(hashes.filter_map(|row| row.hash.parse::<StorePathHash>().ok()));
        }
        found.truncate(MOST_PATHS);
        Ok(found)
    })
    .await
}

impl From<ForeignError> for ApiError {
    fn from(error: ForeignError) -> Self {
        match error {
            ForeignError::Busy => Self::busy(
                "Other caches are being asked, or this one answers too slowly. Try again in a while.",
            ),
            ForeignError::Scheme(_) => Self::bad_parameter(format!("{error}.")),
            ForeignError::NoCache(_) => Self::unacceptable("no-cache-there", format!("{error}.")),
            ForeignError::Outbound(_) => {
                Self::unacceptable("cache-not-reached", format!("{error}."))
            }
        }
    }
}
