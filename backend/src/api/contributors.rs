//! `/contributors`: the keys with which people sign what they upload.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::contributors::{
    AcceptKey, ContributorKey, KeyChallenge, ProveKey, RegisterKey, RevokeKey,
};
use snowbank_shared::api::{Page, Problem};

use super::ending::{Hiding, since};
use super::problem::ApiError;
use super::request::{Asked, body, heavy};
use crate::auth::{MemberCaller, On};
use crate::site::Site;

/// The member at a browser who may have keys.
pub(super) fn keyholder<'a>(site: &Site, asked: &'a Asked) -> Result<&'a MemberCaller, ApiError> {
    asked.must(site, Act::OwnKeys, On::Server)?;
    asked.member()
}

/// Keys, by name: one's own, or all for Maintainers, Owners and Auditors.
#[utoipa::path(
    get,
    path = "/contributors",
    tag = "keys",
    operation_id = "list_contributors",
    responses(
        (status = 200, body = Page<ContributorKey>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not by a token"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Page<ContributorKey>>, ApiError> {
    asked.must(&site, Act::SeeMembers, On::Server)?;
    let mut items = site.access.contributors_for(asked.member()?);
    let counting = Arc::clone(&site);
    let items = heavy(&site, move || {
        for cache in &counting.caches {
            let view = cache.index.view();
            let signed = &view.totals().keys;
            for key in &mut items {
                key.paths += signed.get(&key.name).copied().unwrap_or_default();
            }
        }
        Ok(items)
    })
    .await?;
    let revision = site.access.ledger().view().revision().to_string();
    Ok(Json(Page::whole(items, revision)))
}

/// Registers a key of one's own. It waits for its proof, and for somebody who accepts it.
#[utoipa::path(
    post,
    path = "/contributors",
    tag = "keys",
    operation_id = "register_contributor",
    request_body = RegisterKey,
    responses(
        (status = 201, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The name is taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn register(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<ContributorKey>), ApiError> {
    let member = keyholder(&site, &asked)?;
    let wish: RegisterKey = body(&bytes)?;
    let reserved: Vec<String> = site
        .caches
        .iter()
        .flat_map(|cache| cache.key_ring().keys().to_vec())
        .map(|known| known.key.name().to_owned())
        .collect();
    let made = site
        .access
        .register_key(&member.name, &wish, &reserved, &asked.by())
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// What to sign with a key, to prove that one holds it: `snowbank key prove` does.
#[utoipa::path(
    post,
    path = "/contributors/{name}/challenge",
    tag = "keys",
    operation_id = "challenge_contributor",
    params(("name" = String, Path, description = "The key's name")),
    responses(
        (status = 200, body = KeyChallenge),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "It is somebody else's"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn challenge(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<Json<KeyChallenge>, ApiError> {
    let member = keyholder(&site, &asked)?;
    Ok(Json(site.access.key_challenge(&name, &member.name)?))
}

/// Proves that one holds a key.
#[utoipa::path(
    post,
    path = "/contributors/{name}/prove",
    tag = "keys",
    operation_id = "prove_contributor",
    params(("name" = String, Path, description = "The key's name")),
    request_body = ProveKey,
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "It is somebody else's"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn prove(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let proof: ProveKey = body(&bytes)?;
    let proven = site
        .access
        .prove_key(&name, member, &proof, &asked.by())
        .await?;
    Ok(Json(proven))
}

/// Accepts a key, or changes what it may sign. Whoever uploads can run code on every machine that trusts the cache.
#[utoipa::path(
    post,
    path = "/contributors/{name}/accept",
    tag = "keys",
    operation_id = "accept_contributor",
    params(("name" = String, Path, description = "The key's name")),
    request_body = AcceptKey,
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer of all its caches"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn accept(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let wish: AcceptKey = body(&bytes)?;
    let accepted = site
        .access
        .accept_key(&name, member, &wish, &asked.by())
        .await?;
    Ok(Json(accepted))
}

/// Keeps a key out for now.
#[utoipa::path(
    post,
    path = "/contributors/{name}/suspend",
    tag = "keys",
    operation_id = "suspend_contributor",
    params(("name" = String, Path, description = "The key's name")),
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer of all its caches"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn suspend(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let changed = site
        .access
        .suspend_key(&name, member, true, &asked.by())
        .await?;
    Ok(Json(changed))
}

/// Lets a suspended key in again.
#[utoipa::path(
    post,
    path = "/contributors/{name}/resume",
    tag = "keys",
    operation_id = "resume_contributor",
    params(("name" = String, Path, description = "The key's name")),
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer of all its caches"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn resume(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let changed = site
        .access
        .suspend_key(&name, member, false, &asked.by())
        .await?;
    Ok(Json(changed))
}

/// Retires a key: what it signed stays good, and it signs no more.
#[utoipa::path(
    post,
    path = "/contributors/{name}/retire",
    tag = "keys",
    operation_id = "retire_contributor",
    params(("name" = String, Path, description = "The key's name")),
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Neither one's own nor of caches that one maintains"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn retire(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let changed = site.access.retire_key(&name, member, &asked.by()).await?;
    Ok(Json(changed))
}

/// Revokes a key for good: its signatures are believed no more, and neither it nor its name comes back.
/// What came in under it stays, or is put into quarantine.
#[utoipa::path(
    post,
    path = "/contributors/{name}/revoke",
    tag = "keys",
    operation_id = "revoke_contributor",
    params(("name" = String, Path, description = "The key's name")),
    request_body = RevokeKey,
    responses(
        (status = 200, body = ContributorKey),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Neither one's own nor of caches that one maintains"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<ContributorKey>, ApiError> {
    let member = keyholder(&site, &asked)?;
    let wish: RevokeKey = body(&bytes)?;
    let key = site.access.ending(&name, member)?;
    let since = since(wish.since.as_deref())?;
    let hiding = Hiding::choose(&site, &asked, vec![key], wish.then, since).await?;
    let revoked = site
        .access
        .revoke_key(&name, member, &wish.reason, &asked.by())
        .await?;
    let reason = format!("key {name} was revoked: {}", wish.reason);
    hiding.carry_out(&site, &reason, &asked).await?;
    Ok(Json(revoked))
}
