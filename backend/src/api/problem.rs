//! Errors of the API: small constructors, one shape on the wire.
//!
//! A handler returns an [`ApiError`]; the request's id is added at the edge, where the
//! error becomes `application/problem+json`.

use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use snowbank_shared::api::Problem;

use crate::web::{Body, RequestId, Response};

/// A refusal: whose fault it is, what was attempted, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
}

impl ApiError {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
        }
    }

    /// 400: a parameter that means nothing.
    pub fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            "The request cannot be understood",
            detail,
        )
    }

    /// 401: a private cache.
    pub fn login_needed() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "login-needed",
            "This cache is private",
            "Only members may read it, and this request did not say who you are.",
        )
    }

    /// 404: no cache of this slug.
    pub fn no_cache(slug: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "cache-not-found",
            "No such cache",
            format!("There is no cache `{}` here.", excerpt(slug)),
        )
    }

    /// 404: the cache has no such path. While the index is being built, it may not know yet.
    pub fn no_path(hash: &str, complete: bool) -> Self {
        let hash = excerpt(hash);
        let detail = if complete {
            format!("No store path with the hash `{hash}` lies in this cache.")
        } else {
            format!(
                "No store path with the hash `{hash}` was found yet: the first index is still being built."
            )
        };
        Self::new(
            StatusCode::NOT_FOUND,
            "path-not-found",
            "No such path",
            detail,
        )
    }

    /// 404: no such address below `/api`.
    pub fn no_endpoint() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-endpoint",
            "No such address",
            "The API has nothing here; /api/v1/openapi.json lists what it has.",
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This cannot be done here",
            "This address is read with GET.",
        )
    }

    /// 503: too much is going on.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "The server is busy",
            detail,
        )
    }

    /// 500: our fault. The reason is in the log only.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            "This is a fault of the server; its log has the reason under the request id.",
        )
    }

    /// The answer, with the request's id.
    pub fn answer(&self, id: RequestId) -> Response {
        let problem = Problem {
            kind: format!("urn:snowbank:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            request_id: id.to_string(),
        };
        let json = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::Bytes(json.into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    /// The error travels as an extension to the edge, which knows the request's id.
    fn into_response(self) -> axum::response::Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What somebody sent, as an error repeats it: short and without control characters.
pub(super) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        excerpt.push('…');
    }
    excerpt
}
