//! `/session`, `/links` and `/login`: how people come in and go.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::{Link, LinkSecret, UseLink};
use snowbank_shared::route::{AccessRoute, Route};

use super::problem::ApiError;
use super::request::{Asked, body, pairs};
use crate::auth::oidc::people::{self, PATIENCE, UnderWay};
use crate::auth::{AccessError, By};
use crate::site::Site;

/// What a one-time link is for, without using it up.
#[utoipa::path(
    post,
    path = "/links/look",
    tag = "people",
    operation_id = "look_at_link",
    request_body = LinkSecret,
    responses(
        (status = 200, body = Link),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Not a link of this server, used, or expired"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many tries from this address"),
    ),
)]
pub(super) async fn look_at_link(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<Json<Link>, ApiError> {
    asked.may_try(&site)?;
    let given: LinkSecret = body(&bytes)?;
    Ok(Json(site.access.look_at_link(&given.link)?))
}

/// Uses a one-time link and begins a session, whose cookie the answer sets.
#[utoipa::path(
    post,
    path = "/session",
    tag = "people",
    operation_id = "begin_session",
    request_body = UseLink,
    responses(
        (status = 204, description = "Signed in; the cookie is set"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The name is taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Not a link of this server, used, or expired"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many tries from this address"),
    ),
)]
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    asked.may_try(&site)?;
    let given: UseLink = body(&bytes)?;
    let by = asked.by();
    let begun = site
        .access
        .use_link(&given.link, given.name.as_deref(), &by)
        .await
        .inspect_err(|error| site.access.note_refused(&by, "session.begin", error))?;
    let cookie = site.access.cookies.set_session(&begun.cookie, begun.lives);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// Ends this session.
#[utoipa::path(
    delete,
    path = "/session",
    tag = "people",
    operation_id = "end_session",
    responses(
        (status = 204, description = "Signed out; the cookie is gone"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "There is no session"),
    ),
)]
pub(super) async fn end(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Response, ApiError> {
    site.access.sign_out(asked.member()?, &asked.by()).await?;
    Ok(signed_out(&site))
}

/// Ends every session of the caller, this one too.
#[utoipa::path(
    delete,
    path = "/sessions",
    tag = "people",
    operation_id = "end_own_sessions",
    responses(
        (status = 204, description = "Signed out everywhere"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "There is no session"),
    ),
)]
pub(super) async fn end_all(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Response, ApiError> {
    let name = &asked.member()?.name;
    site.access.sign_out_everywhere(name, &asked.by()).await?;
    Ok(signed_out(&site))
}

fn signed_out(site: &Site) -> Response {
    let cookie = site.access.cookies.clear_session();
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

/// Sends the browser to the identity provider; `back` is the page to return to.
#[utoipa::path(
    get,
    path = "/login/oidc",
    tag = "people",
    operation_id = "begin_single_sign_on",
    params(("back" = Option<String>, Query, description = "Page of this server to return to, such as `/c/main/paths?q=hello`")),
    responses(
        (status = 303, description = "To the identity provider"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "This server has none"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It cannot be asked"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many tries from this address"),
    ),
)]
pub(super) async fn provider(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    asked.may_try(&site)?;
    let config = site.access.provider().ok_or(AccessError::NoProvider)?;
    let pairs = pairs(query.as_deref())?;
    let back = pairs
        .iter()
        .find(|(name, _)| name == "back")
        .map_or("/", |(_, back)| back.as_str());
    let under_way = UnderWay::begin(&page_of_ours(back)).map_err(AccessError::from)?;
    let address = people::address(site.access.issuers(), config, &callback(&site), &under_way)
        .await
        .map_err(AccessError::from)?;
    let cookie = site
        .access
        .cookies
        .set_sign_in(&under_way.to_cookie(), PATIENCE);
    Ok((
        StatusCode::SEE_OTHER,
        [(LOCATION, address), (SET_COOKIE, cookie)],
    )
        .into_response())
}

/// Where the identity provider sends the browser back to. Begins a session and goes to the page
/// that was left; where that does not work, to the login page, which says why.
#[utoipa::path(
    get,
    path = "/login/oidc/callback",
    tag = "people",
    operation_id = "finish_single_sign_on",
    params(
        ("state" = Option<String>, Query, description = "As sent"),
        ("code" = Option<String>, Query, description = "To exchange at the provider"),
        ("error" = Option<String>, Query, description = "Why the provider refused"),
    ),
    responses((status = 303, description = "To a page of this server")),
)]
pub(super) async fn provider_callback(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    asked.may_try(&site)?;
    let pairs = pairs(query.as_deref())?;
    let by = By {
        via: "oidc",
        ..asked.by()
    };
    let cookies = &site.access.cookies;
    let finished = finish(&site, &headers, &pairs, &by).await;
    let (address, session) = match finished {
        Ok((back, session)) => (back, Some(session)),
        Err(error) => {
            site.access.note_refused(&by, "session.begin", &error);
            tracing::warn!(request_id = by.request, %error, "a sign-in at the identity provider failed");
            let route = Route::Access(AccessRoute::Login {
                back: None,
                problem: Some(problem_of(&error).to_owned()),
            });
            (route.to_string(), None)
        }
    };
    let base = site.public_url.base().trim_end_matches('/');
    let mut response = (
        StatusCode::SEE_OTHER,
        [(LOCATION, format!("{base}{address}"))],
    )
        .into_response();
    let set = response.headers_mut();
    for cookie in std::iter::once(cookies.clear_sign_in()).chain(session) {
        if let Ok(value) = cookie.parse() {
            set.append(SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// The page to go to, and the session's cookie.
async fn finish(
    site: &Site,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    by: &By,
) -> Result<(String, String), AccessError> {
    let access = &site.access;
    let config = access.provider().ok_or(AccessError::NoProvider)?;
    let under_way = access
        .cookies
        .sign_in(headers)
        .and_then(UnderWay::from_cookie)
        .ok_or(people::SignInError::NotOurs)?;
    let person =
        people::finish(access.issuers(), config, &callback(site), &under_way, pairs).await?;
    let begun = access
        .enter_by_provider(&config.issuer, &person, by)
        .await?;
    let cookie = access.cookies.set_session(&begun.cookie, begun.lives);
    Ok((page_of_ours(&under_way.back), cookie))
}

/// The code that the login page explains. A text in the address could be anybody's.
fn problem_of(error: &AccessError) -> &'static str {
    use people::SignInError;
    match error {
        AccessError::SignIn(SignInError::NotOurs) => "begin-again",
        AccessError::SignIn(SignInError::Refused(_)) => "refused",
        AccessError::SignIn(SignInError::NoRole) => "no-role",
        AccessError::Suspended(_) => "suspended",
        AccessError::Ledger(_) => "state",
        _ => "provider",
    }
}

fn callback(site: &Site) -> String {
    site.public_url.join("api/v1/login/oidc/callback")
}

/// The page in canonical form, so that nobody sends people elsewhere with our address; `/` where it is none.
fn page_of_ours(back: &str) -> String {
    back.parse::<Route>()
        .map_or_else(|_| "/".to_owned(), |route| route.to_string())
}
