//! `/tokens`: what machines send.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use snowbank_shared::api::access::{Act, CreateToken, NewToken, Token};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, body, nothing_left, pairs};
use crate::auth::{self, On};
use crate::site::Site;

/// One's own tokens, newest first; with `of=all` everybody's, for owners.
#[utoipa::path(
    get,
    path = "/tokens",
    tag = "people",
    operation_id = "list_tokens",
    params(("of" = Option<String>, Query, description = "`all`: those of every member and machine")),
    responses(
        (status = 200, body = Page<Token>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not for tokens; all of them need Owner"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Token>>, ApiError> {
    asked.must(&site, Act::OwnTokens, On::Server)?;
    let (of, rest): (Vec<_>, Vec<_>) = pairs(query.as_deref())?
        .into_iter()
        .partition(|(name, _)| name == "of");
    nothing_left(&rest)?;
    let items = match of.first().map(|(_, value)| value.as_str()) {
        None | Some("" | "me") => site.access.tokens(Some(&asked.member()?.name)),
        Some("all") => {
            asked.must(&site, Act::ManageMembers, On::Server)?;
            site.access.tokens(None)
        }
        Some(_) => return Err(ApiError::bad_parameter("`of` is `me` or `all`")),
    };
    let revision = site.access.ledger().view().revision().to_string();
    Ok(Json(Page::whole(items, revision)))
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/tokens",
    tag = "people",
    operation_id = "create_token",
    request_body = CreateToken,
    responses(
        (status = 201, body = NewToken),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "It would be for more than the caller may do"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<NewToken>), ApiError> {
    asked.must(&site, Act::OwnTokens, On::Server)?;
    let wish: CreateToken = body(&bytes)?;
    let owner = &asked.member()?.name;
    let made = site
        .access
        .create_token(owner, &asked.caller, &wish, &asked.by())
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Ends a token: it stops working with the next request.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    tag = "people",
    operation_id = "end_token",
    params(("id" = String, Path, description = "Id of the token")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not for tokens"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such token, or somebody else's"),
    ),
)]
pub(super) async fn end(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::OwnTokens, On::Server)?;
    let all = auth::may(&asked.caller, Act::ManageMembers, On::Server).is_ok();
    let owner = if all {
        None
    } else {
        Some(asked.member()?.name.as_str())
    };
    site.access.end_token(&id, owner, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
