//! What ending a key or a member would mean, counted before it is done; and hiding what came in under it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use snowbank_shared::api::access::Act;
use snowbank_shared::api::quarantine::{BlastCache, BlastRadius, QUARANTINE_NEEDS, Then};
use snowbank_shared::api::{KeyPurpose, Problem};

use super::contributors::keyholder;
use super::problem::ApiError;
use super::quarantine::hide;
use super::request::{Asked, heavy, nothing_left, pairs};
use crate::auth::{self, Contributor, On};
use crate::index::{PathQuery, SignedBy, View};
use crate::intake::{self, waiting};
use crate::site::{Cache, Site};
use crate::withheld::Pair;

/// The moment of `since`: a date or RFC 3339; all time where it is not given.
pub(super) fn since(text: Option<&str>) -> Result<i64, ApiError> {
    let query = PathQuery::from_pairs(text.map(|text| ("since", text.trim())))?;
    Ok(query.since.unwrap_or(i64::MIN))
}

/// `since` of a query string, and nothing else.
fn since_of(query: Option<&str>) -> Result<i64, ApiError> {
    let (since_pairs, rest): (Vec<_>, Vec<_>) = pairs(query)?
        .into_iter()
        .partition(|(name, _)| name == "since");
    nothing_left(&rest)?;
    since(since_pairs.first().map(|(_, text)| text.as_str()))
}

/// What came into a cache under these keys. Looks at every path.
fn signed_by(cache: &Cache, view: &View, keys: &[Contributor], since: i64) -> SignedBy {
    let keys: HashSet<&str> = keys.iter().map(|key| key.key.name()).collect();
    let ring = cache.key_ring();
    let own = ring
        .keys()
        .iter()
        .filter(|known| known.purpose == KeyPurpose::Cache);
    let own: HashSet<&str> = own.map(|known| known.key.name()).collect();
    view.signed_by(&keys, &own, since)
}

async fn radius(
    site: &Arc<Site>,
    asked: &Asked,
    owner: String,
    keys: Vec<Contributor>,
    since: i64,
) -> Result<BlastRadius, ApiError> {
    let (counting, caller) = (Arc::clone(site), asked.caller.clone());
    heavy(site, move || {
        let site = counting;
        let owners = site.access.owners();
        let mut caches = Vec::new();
        for cache in &site.caches {
            let found = signed_by(cache, &cache.index.view(), &keys, since);
            if found.paths.is_empty() {
                continue;
            }
            let refusal = auth::may(&caller, QUARANTINE_NEEDS, cache.on()).err();
            caches.push(BlastCache {
                cache: cache.slug.to_string(),
                paths: found.paths.len() as u64,
                nar_size: found.nar_size,
                signed_by_cache: found.by_cache,
                signed_by_others: found.by_others,
                only: found.only,
                refusal: refusal.map(|refusal| refusal.explained(&owners)),
            });
        }
        let standing = site.access.standing(&owner);
        // By whose they are: who wrote a record last may be whoever approved it, or the server.
        let uploads = site.caches.iter().map(|cache| {
            let (ledger, slug) = (&site.ledger, cache.slug.as_str());
            intake::count_open(ledger, slug, &format!("member:{owner}"))
                + waiting::count_of_member(ledger, slug, &owner)
        });
        let waiting_uploads: u64 = uploads.sum();
        Ok(BlastRadius {
            keys: keys.iter().map(|key| key.key.name().to_owned()).collect(),
            owner,
            caches,
            tokens: standing.tokens,
            sessions: standing.sessions,
            waiting_keys: standing.waiting_keys,
            open_invitations: standing.invitations,
            waiting_uploads,
        })
    })
    .await
}

/// What revoking a key would mean: paths and bytes that came in under it, what else vouches for them,
/// and what its owner has open.
#[utoipa::path(
    get,
    path = "/contributors/{name}/blast-radius",
    tag = "keys",
    operation_id = "measure_contributor",
    params(
        ("name" = String, Path, description = "The key's name"),
        ("since" = Option<String>, Query, description = "Only paths first seen then or later: a date or RFC 3339"),
    ),
    responses(
        (status = 200, body = BlastRadius),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Neither one's own nor of caches that one maintains"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
    ),
)]
pub(super) async fn of_key(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<BlastRadius>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let key = site.access.ending(&name, member)?;
    let since = since_of(query.as_deref())?;
    let owner = key.owner.clone();
    Ok(Json(radius(&site, &asked, owner, vec![key], since).await?))
}

/// What removing a member would mean: as for a key, with all keys of theirs.
#[utoipa::path(
    get,
    path = "/members/{name}/blast-radius",
    tag = "people",
    operation_id = "measure_member",
    params(
        ("name" = String, Path, description = "The member's name"),
        ("since" = Option<String>, Query, description = "Only paths first seen then or later: a date or RFC 3339"),
    ),
    responses(
        (status = 200, body = BlastRadius),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such member"),
    ),
)]
pub(super) async fn of_member(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<BlastRadius>, ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    let keys = site.access.keys_of_member(&name)?;
    let since = since_of(query.as_deref())?;
    Ok(Json(radius(&site, &asked, name, keys, since).await?))
}

/// What is hidden after keys have ended: chosen before, so that what is refused changes nothing.
pub(super) struct Hiding(Vec<(Arc<Cache>, Vec<Pair>)>);

impl Hiding {
    /// The paths that came in under these keys, where they are to be hidden.
    pub(super) async fn choose(
        site: &Arc<Site>,
        asked: &Asked,
        keys: Vec<Contributor>,
        then: Then,
        since: i64,
    ) -> Result<Self, ApiError> {
        if then == Then::Keep {
            return Ok(Self(Vec::new()));
        }
        let choosing = Arc::clone(site);
        let chosen = heavy(site, move || {
            let mut chosen = Vec::new();
            for cache in &choosing.caches {
                let view = cache.index.view();
                let found = signed_by(cache, &view, &keys, since);
                let pairs: Vec<Pair> = found
                    .paths
                    .into_iter()
                    .map(|id| Pair {
                        path: view.hash(id),
                        nar_hash: view.nar_hash(id),
                    })
                    .collect();
                if !pairs.is_empty() {
                    chosen.push((Arc::clone(cache), pairs));
                }
            }
            Ok(chosen)
        })
        .await?;
        for (cache, _) in &chosen {
            asked.must(site, QUARANTINE_NEEDS, cache.on())?;
        }
        Ok(Self(chosen))
    }

    /// Hides them. The keys have ended, whatever comes of this.
    pub(super) async fn carry_out(
        self,
        site: &Site,
        reason: &str,
        asked: &Asked,
    ) -> Result<(), ApiError> {
        for (cache, pairs) in self.0 {
            hide(site, &cache, pairs, reason, asked).await?;
        }
        Ok(())
    }
}
