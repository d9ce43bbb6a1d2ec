//! `/trust` and `/oidc/exchange`: machines that show who they are instead of keeping a secret.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use snowbank_shared::api::access::{Act, Exchange, NewToken, TrustRule};
use snowbank_shared::api::{Page, Problem};

use super::problem::ApiError;
use super::request::{Asked, body};
use crate::auth::{By, On};
use crate::site::Site;

/// The trust rules, by name.
#[utoipa::path(
    get,
    path = "/trust",
    tag = "people",
    operation_id = "list_trust_rules",
    responses(
        (status = 200, body = Page<TrustRule>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Page<TrustRule>>, ApiError> {
    asked.must(&site, Act::ManageTrust, On::Server)?;
    let items = site.access.trust_rules();
    let revision = site.access.ledger().view().revision().to_string();
    Ok(Json(Page::whole(items, revision)))
}

/// Adds a trust rule: which jobs of which provider get which tokens.
#[utoipa::path(
    post,
    path = "/trust",
    tag = "people",
    operation_id = "add_trust_rule",
    request_body = TrustRule,
    responses(
        (status = 204, description = "Added"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The name is taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The rule cannot be kept"),
    ),
)]
pub(super) async fn add(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::ManageTrust, On::Server)?;
    let rule: TrustRule = body(&bytes)?;
    site.access.add_trust_rule(&rule, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a trust rule.
#[utoipa::path(
    delete,
    path = "/trust/{name}",
    tag = "people",
    operation_id = "remove_trust_rule",
    params(("name" = String, Path, description = "The rule's name")),
    responses(
        (status = 204, description = "Removed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such rule"),
    ),
)]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    asked.must(&site, Act::ManageTrust, On::Server)?;
    site.access.remove_trust_rule(&name, &asked.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchanges a CI job's OIDC identity for a token of 15 minutes. With `Accept: text/plain` the
/// answer is the lines for netrc: `curl … >> ~/.netrc`. The body is `{"identity": "…"}` or the
/// identity itself.
#[utoipa::path(
    post,
    path = "/oidc/exchange",
    tag = "people",
    operation_id = "exchange_identity",
    request_body = Exchange,
    responses(
        (status = 201, body = NewToken),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "No rule fits, or it is of a pull request"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "This identity was exchanged before"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The identity is not believed"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many tries from this address"),
    ),
)]
pub(super) async fn exchange(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    asked.may_try(&site)?;
    let identity = if bytes.first() == Some(&b'{') {
        body::<Exchange>(&bytes)?.identity
    } else {
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let by = By {
        via: "oidc",
        ..asked.by()
    };
    let made = site
        .access
        .exchange(&identity, &by)
        .await
        .inspect_err(|error| site.access.note_refused(&by, "identity.exchange", error))?;
    let wants_text = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.trim_start().starts_with("text/plain"));
    Ok(if wants_text {
        (
            StatusCode::CREATED,
            [(CONTENT_TYPE, "text/plain; charset=utf-8")],
            made.netrc,
        )
            .into_response()
    } else {
        (StatusCode::CREATED, Json(made)).into_response()
    })
}
