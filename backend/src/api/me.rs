//! `/me`: who asks, and what they may do.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use snowbank_shared::api::access::{Act, CachePermissions, CallerKind, Grant, Me};

use super::request::Asked;
use crate::auth::permission::{ON_CACHES, ON_SERVER, permissions};
use crate::auth::records::spelled;
use crate::auth::{self, Caller, On};
use crate::ledger::Phase;
use crate::site::Site;

/// Who asks and what they may do, each act with the reason where not: what a disabled button says.
#[utoipa::path(
    get,
    path = "/me",
    tag = "people",
    operation_id = "get_me",
    responses((status = 200, body = Me)),
)]
pub(super) async fn me(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Json<Me> {
    let caller = &asked.caller;
    let (kind, grants, expires_at): (_, &[Grant], _) = match caller {
        Caller::Stranger(_) => (CallerKind::Anonymous, &[], None),
        Caller::Member(member) => (CallerKind::Member, &member.grants, Some(member.expires_at)),
        Caller::Token(token) => (
            CallerKind::Token,
            token.owner_grants.as_deref().unwrap_or_default(),
            Some(token.expires_at),
        ),
    };
    // Strangers are not told who the members are.
    let owners = match caller {
        Caller::Stranger(_) => Vec::new(),
        _ => site.access.owners(),
    };
    let caches = site
        .caches
        .iter()
        .filter(|cache| auth::may(caller, Act::Discover, cache.on()).is_ok())
        .map(|cache| CachePermissions {
            cache: cache.slug.to_string(),
            acts: permissions(caller, &ON_CACHES, cache.on(), &owners),
        })
        .collect();
    let sign_in_problem = match &*site.access.ledger().phase().borrow() {
        Phase::Open => None,
        phase => Some(format!("Nobody can sign in at the moment: {phase}.")),
    };
    Json(Me {
        kind,
        name: caller.name().map(str::to_owned),
        grants: grants.to_vec(),
        expires_at: expires_at.map(spelled),
        server: permissions(caller, &ON_SERVER, On::Server, &owners),
        caches,
        owners,
        single_sign_on: site
            .access
            .provider()
            .map(|provider| provider.label.clone()),
        sign_in_problem,
        has_caches: !site.caches.is_empty(),
    })
}
