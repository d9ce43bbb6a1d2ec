//! `/members`: people and their roles.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::access::{Act, ChangeMember, Invite, Member, NewLink};
use snowbank_shared::api::quarantine::Then;
use snowbank_shared::api::{Page, Problem};

use super::ending::{Hiding, since};
use super::problem::ApiError;
use super::request::{Asked, body, nothing_left, pairs};
use crate::auth::{self, On};
use crate::site::Site;

/// The members, by name. Sessions and tokens are counted for owners only.
#[utoipa::path(
    get,
    path = "/members",
    tag = "people",
    operation_id = "list_members",
    responses(
        (status = 200, body = Page<Member>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not for tokens"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Page<Member>>, ApiError> {
    asked.must(&site, Act::SeeMembers, On::Server)?;
    let whole = auth::may(&asked.caller, Act::ManageMembers, On::Server).is_ok();
    let items = site.access.members(whole);
    let revision = site.access.ledger().view().revision().to_string();
    Ok(Json(Page::whole(items, revision)))
}

/// Invites somebody: a link for the person, shown this once, that works once within a week.
#[utoipa::path(
    post,
    path = "/members",
    tag = "people",
    operation_id = "invite_member",
    request_body = Invite,
    responses(
        (status = 201, body = NewLink),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The name is taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Name or roles cannot be"),
    ),
)]
pub(super) async fn invite(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<NewLink>), ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    let invite: Invite = body(&bytes)?;
    let link = site.access.invite(&invite, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(link)))
}

/// Changes a member's roles, or keeps them out for now.
#[utoipa::path(
    patch,
    path = "/members/{name}",
    tag = "people",
    operation_id = "change_member",
    params(("name" = String, Path, description = "The member's name")),
    request_body = ChangeMember,
    responses(
        (status = 204, description = "Changed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such member"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Nobody would own the server"),
    ),
)]
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    let change: ChangeMember = body(&bytes)?;
    site.access
        .update_member(&name, &change, &asked.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a member for ever: no session, no token and no key of theirs works any more. What came in
/// under their keys stays, or is put into quarantine.
#[utoipa::path(
    delete,
    path = "/members/{name}",
    tag = "people",
    operation_id = "remove_member",
    params(
        ("name" = String, Path, description = "The member's name"),
        ("then" = Option<Then>, Query, description = "What becomes of the paths that came in under their keys: keep, or hide; keep where it is not given"),
        ("since" = Option<String>, Query, description = "With hide: only paths first seen then or later, a date or RFC 3339"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such member"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Nobody would own the server"),
    ),
)]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    let (mut then, mut from) = (Then::Keep, None);
    for (parameter, value) in pairs(query.as_deref())? {
        match (parameter.as_str(), value.as_str()) {
            ("then", "" | "keep") => {}
            ("then", "hide") => then = Then::Hide,
            ("then", _) => return Err(ApiError::bad_parameter("`then` is keep or hide")),
            ("since", _) => from = Some(value),
            _ => nothing_left(&[(parameter, value)])?,
        }
    }
    let keys = site.access.keys_of_member(&name)?;
    let hiding = Hiding::choose(&site, &asked, keys, then, since(from.as_deref())?).await?;
    site.access.remove_member(&name, &asked.by()).await?;
    let reason = format!("member {name} was removed");
    hiding.carry_out(&site, &reason, &asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fresh link for a member's next session, shown this once, that works once within 15 minutes.
#[utoipa::path(
    post,
    path = "/members/{name}/link",
    tag = "people",
    operation_id = "make_login_link",
    params(("name" = String, Path, description = "The member's name")),
    responses(
        (status = 201, body = NewLink),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such member"),
    ),
)]
pub(super) async fn link(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<NewLink>), ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    let link = site.access.login_link(&name, &asked.by()).await?;
    Ok((StatusCode::CREATED, Json(link)))
}

/// Ends every session of a member.
#[utoipa::path(
    delete,
    path = "/members/{name}/sessions",
    tag = "people",
    operation_id = "end_member_sessions",
    params(("name" = String, Path, description = "The member's name")),
    responses(
        (status = 204, description = "Signed out everywhere"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such member"),
    ),
)]
pub(super) async fn sign_out(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::ManageMembers, On::Server)?;
    site.access.sign_out_everywhere(&name, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
