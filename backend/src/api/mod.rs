//! The API under `/api/v1`: JSON of [`snowbank_shared::api`], one module per resource.
//!
//! Handlers are thin: parse, authorise, call, answer. The OpenAPI document is made of the
//! very lines that route. Errors are [`problem::ApiError`]; lists are paged by key. What
//! walks the graph runs off the reactor under a limit ([`request::heavy`]).

mod about;
mod browse;
mod caches;
mod events;
mod export;
mod health;
mod keys;
mod lookup;
pub mod machine;
mod paths;
pub mod problem;
mod request;

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method};
use tower::ServiceExt as _;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::site::Site;
use crate::web::{Body, RequestId, Response, headers};

use problem::ApiError;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Snowbank",
        description = "What lies in Nix binary caches: paths, closures, signatures, findings. Sizes are bytes, \
            times RFC 3339 in UTC, hashes `sha256:` and nix32. Lists are paged by key: ask again with \
            `cursor` set to `next`. Errors are `application/problem+json` with a stable `code`.",
        license(name = "MIT OR Apache-2.0"),
        contact(),
    ),
    servers((url = "/api/v1")),
    components(schemas(snowbank_shared::api::Problem)),
    tags(
        (name = "caches", description = "The caches of this server"),
        (name = "paths", description = "Store paths of a cache"),
        (name = "server", description = "The server itself"),
    ),
)]
struct Document;

fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(caches::list))
        .routes(routes!(caches::one))
        .routes(routes!(caches::growth))
        .routes(routes!(paths::list))
        .routes(routes!(browse::facets))
        .routes(routes!(browse::selection))
        .routes(routes!(paths::one))
        .routes(routes!(paths::closure))
        .routes(routes!(paths::referrers))
        .routes(routes!(paths::signatures))
        .routes(routes!(paths::raw))
        .routes(routes!(keys::list))
        .routes(routes!(health::list))
        .routes(routes!(events::stream))
        .routes(routes!(lookup::lookup))
        .routes(routes!(about::about))
}

/// The OpenAPI document, as JSON.
pub fn document() -> String {
    routes().into_openapi().to_pretty_json().unwrap_or_default()
}

/// The API of a server.
pub struct Api {
    router: axum::Router,
}

impl Api {
    /// The API over these caches.
    pub fn new(site: Arc<Site>) -> Self {
        let (router, _) = routes().split_for_parts();
        let document: Arc<str> = document().into();
        let router = router
            .route("/openapi.json", get(openapi).with_state(document))
            .fallback(|| async { ApiError::no_endpoint() })
            .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
            .with_state(site);
        Self { router }
    }

    /// Answers a request; `path` is what follows `/api`, as sent. Bodies are not read: nothing
    /// takes one yet.
    pub async fn answer(&self, path: &str, request: &Parts, id: RequestId) -> Response {
        let Some(path) = path.strip_prefix("/v1") else {
            return sealed(ApiError::no_endpoint().answer(id));
        };
        let address = match request.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let inner = http::Request::builder()
            .method(&request.method)
            .uri(address)
            .body(axum::body::Body::empty());
        let Ok(mut inner) = inner else {
            return sealed(ApiError::no_endpoint().answer(id));
        };
        *inner.headers_mut() = request.headers.clone();
        let answered = match self.router.clone().oneshot(inner).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        if let Some(error) = answered.extensions().get::<ApiError>() {
            let mut response = error.answer(id);
            if response.status() == http::StatusCode::METHOD_NOT_ALLOWED {
                response
                    .headers_mut()
                    .insert(http::header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            return sealed(response);
        }
        let is_ours = answered.status().is_success() || answered.status().is_redirection();
        if !is_ours {
            // Only axum's own extractors answer like this, and only to what cannot be decoded.
            return sealed(ApiError::bad_parameter("the address cannot be decoded").answer(id));
        }
        let (head, body) = answered.into_parts();
        let body = if request.method == Method::HEAD {
            body_of_head(&head)
        } else {
            Body::Router(body)
        };
        sealed(Response::from_parts(head, body))
    }
}

/// Axum has counted the body of a GET already.
fn body_of_head(head: &http::response::Parts) -> Body {
    let length = head
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    length.map_or_else(Body::empty, Body::Sized)
}

/// Adds what every answer of the API has.
fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers::data(headers);
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn openapi(State(document): State<Arc<str>>) -> axum::response::Response {
    (
        [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "no-cache"),
        ],
        document.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_changes_only_on_purpose() {
        insta::assert_snapshot!("openapi", super::document());
    }
}
