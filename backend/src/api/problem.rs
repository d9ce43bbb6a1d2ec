//! Errors of the API: small constructors, one shape on the wire.
//!
//! A handler returns an [`ApiError`]; the request's id is added at the edge, where the
//! error becomes `application/problem+json`.

use std::time::Duration;

use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use snowbank_shared::api::Problem;

use crate::archive::ArchiveError;
use crate::auth::{AccessError, Caller, Refusal, Stranger};
use crate::ledger::LedgerError;
use crate::web::{Body, RequestId, Response};

/// A refusal: whose fault it is, what was attempted, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
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
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5),
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

    /// 401: who asks is not known.
    pub fn login_needed(stranger: Stranger) -> Self {
        let (code, detail) = match stranger {
            Stranger::NoCredential => (
                "login-needed",
                "Only members may do this, and this request did not say who you are. Sign in, or send a token.",
            ),
            Stranger::Unknown => (
                "login-needed",
                "Only members may do this, and this session or token is not known here.",
            ),
            Stranger::Expired => (
                "login-expired",
                "Your session or token has expired. Sign in again, or make another token.",
            ),
            Stranger::Ended => (
                "login-ended",
                "This session or token was ended, or its owner may not enter any more.",
            ),
            Stranger::Unavailable => (
                "state-unavailable",
                "Only members may do this, and who is a member cannot be read at the moment.",
            ),
        };
        let (status, title) = match stranger {
            Stranger::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The server's state cannot be read",
            ),
            _ => (StatusCode::UNAUTHORIZED, "This needs a login"),
        };
        Self::new(status, code, title, detail)
    }

    /// 403: known, and not allowed; says what it needs and who can help.
    pub fn not_allowed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not-allowed",
            "You may not do this",
            detail,
        )
    }

    /// 403: from a page that is not ours.
    pub fn foreign_origin(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "This request comes from another page",
            detail,
        )
    }

    /// 429: too often, from one address.
    pub fn too_often(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-often",
            "Too many tries",
            format!(
                "Too many requests of this kind came from your address. Try again in {seconds} s."
            ),
        );
        error.retry_after = Some(seconds);
        error
    }

    /// 413: more than any request here needs.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            "No request to this address needs so many bytes.",
        )
    }

    /// 400: a body that means nothing.
    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-body",
            "The request cannot be understood",
            detail,
        )
    }

    /// 422: understood, and cannot be.
    pub fn unacceptable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            code,
            "This cannot be done",
            detail,
        )
    }

    /// 409: against what there is.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            code,
            "This does not go with what there is",
            detail,
        )
    }

    /// 404: nothing of that name.
    pub fn nothing_there(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing",
            detail,
        )
    }

    /// 404: the path is there, its build log is not.
    pub fn no_log(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no log", detail)
    }

    /// A build log that cannot be read, as [`archive`](Self::archive) says it of files.
    pub fn log(error: &ArchiveError) -> Self {
        let detail = format!("The log cannot be shown: {error}.");
        match error {
            ArchiveError::Busy => Self::busy(format!("{detail} Try again in a few seconds.")),
            ArchiveError::Bucket => Self::bucket_unavailable(detail),
            _ => Self::unacceptable("log-unreadable", detail),
        }
    }

    /// 503: the bucket.
    pub(super) fn bucket_unavailable(detail: String) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "bucket-unavailable",
            "The bucket does not answer",
            detail,
        )
    }

    /// 503: the ledger.
    pub fn state_unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "state-unavailable",
            "The server's state cannot be changed",
            detail,
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

    /// 404: no path of the cache has a name that begins so.
    pub fn no_package(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "package-not-found",
            "No such package",
            format!(
                "No path of this cache belongs to a package `{}`.",
                excerpt(name)
            ),
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
            "This address takes another method; /api/v1/openapi.json says which.",
        )
    }

    /// An archive that cannot be looked into: 404, 422 or 503.
    pub fn archive(error: &ArchiveError) -> Self {
        let detail = format!("The files cannot be shown: {error}.");
        match error {
            ArchiveError::Missing => Self::new(
                StatusCode::NOT_FOUND,
                "nar-missing",
                "The archive is not there",
                detail,
            ),
            ArchiveError::Busy => Self::busy(format!("{detail} Try again in a few seconds.")),
            ArchiveError::Bucket => Self::bucket_unavailable(detail),
            ArchiveError::Unsupported(_)
            | ArchiveError::Broken(_)
            | ArchiveError::Differs
            | ArchiveError::TooLarge(_)
            | ArchiveError::TooLong => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "archive-unreadable",
                "The archive cannot be read",
                detail,
            ),
        }
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
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl ApiError {
    /// What a refusal of the table means for this caller.
    pub fn refused(refusal: &Refusal, caller: &Caller, owners: &[String]) -> Self {
        match (refusal, caller) {
            (Refusal::WhoAreYou, Caller::Stranger(stranger)) => Self::login_needed(*stranger),
            (Refusal::WhoAreYou, _) => Self::login_needed(Stranger::NoCredential),
            (refusal, _) => Self::not_allowed(refusal.explained(owners)),
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Exists(_) | LedgerError::Buried(_) => {
                Self::conflict("name-taken", format!("This cannot be made: {error}."))
            }
            LedgerError::Absent(_) => Self::nothing_there(format!("It is gone: {error}.")),
            LedgerError::Contended(_) => Self::conflict("changed-meanwhile", format!("{error}.")),
            _ => {
                tracing::warn!(%error, "the ledger refused a change");
                Self::state_unavailable(format!("Nothing was changed: {error}."))
            }
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let text = error.to_string();
        match error {
            AccessError::Ledger(error) => error.into(),
            AccessError::Secret(error) => {
                tracing::error!(%error, "a secret cannot be made");
                Self::internal()
            }
            AccessError::NoSuch { .. } => Self::nothing_there(text),
            AccessError::NameTaken(_) => Self::conflict("name-taken", text),
            AccessError::Conflict => Self::conflict("changed-meanwhile", text),
            AccessError::LastOwner(_) => Self::conflict("last-owner", text),
            AccessError::LinkUnknown | AccessError::LinkSpent | AccessError::LinkExpired => {
                Self::unacceptable("link-invalid", text)
            }
            AccessError::Bad(_) | AccessError::Rule(_) => {
                Self::unacceptable("not-acceptable", text)
            }
            AccessError::Suspended(_) | AccessError::Beyond(_) => Self::not_allowed(text),
            AccessError::Replay => Self::conflict("identity-replayed", text),
            AccessError::PullRequest | AccessError::NoRule(_) => Self::not_allowed(text),
            AccessError::Oidc(_) | AccessError::SignIn(_) => {
                Self::unacceptable("identity-refused", text)
            }
            AccessError::NoProvider => Self::nothing_there(text),
        }
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
