//! What goes wrong with a bucket, whose fault it is, and what to do about it.

use std::time::Duration;

use super::Operation;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BucketErrorKind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    NoSuchBucket,
    /// The credentials are good, and not allowed to do this.
    AccessDenied {
        /// The IAM action that is missing.
        action: &'static str,
    },
    /// No credentials, or the store does not accept them.
    BadCredentials,
    /// Endpoint, region, addressing style or bucket name cannot be right.
    Misconfigured,
    /// The store asks for fewer requests.
    Throttled,
    /// The store failed.
    Server,
    /// No answer, or no further byte, in time.
    Timeout,
    /// Could not connect, or the connection broke.
    Network,
    /// A conditional write whose condition does not hold.
    PreconditionFailed,
    /// The answer makes no sense: not S3, cut short, repeating itself.
    Corrupt,
    /// Larger than what the caller can take.
    TooLarge,
    /// The part asked for begins after the object's end.
    RangeNotSatisfiable,
    /// Not a key that an object of this prefix can have.
    InvalidKey,
    /// Something else.
    Other,
}

/// A failed request: what was attempted, on which object, and why it failed.
#[derive(Debug, Clone)]
pub struct BucketError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    operation: Operation,
    bucket: String,
    key: String,
    kind: BucketErrorKind,
    status: Option<u16>,
    code: Option<String>,
    detail: String,
    attempts: u32,
    retry_after: Option<Duration>,
}

impl BucketError {
    pub(super) fn new(
        operation: Operation,
        bucket: &str,
        key: &str,
        kind: BucketErrorKind,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            operation,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            kind,
            status: None,
            code: None,
            detail: shortened(detail.into()),
            attempts: 1,
            retry_after: None,
        }))
    }

    /// An error from what the store answered.
    pub(super) fn answered(
        operation: Operation,
        bucket: &str,
        key: &str,
        answer: &ErrorAnswer,
    ) -> Self {
        let kind = answer.kind(operation);
        let mut error = Self::new(operation, bucket, key, kind, answer.message.clone());
        error.0.status = Some(answer.status);
        error.0.code = (!answer.code.is_empty()).then(|| shortened(answer.code.clone()));
        error.0.retry_after = answer.retry_after;
        error
    }

    pub(super) fn after(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> BucketErrorKind {
        self.0.kind
    }

    /// What was attempted.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The object, or for a listing the prefix, as a key in the bucket.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What happened, without the rest of the text.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Whether the object is simply not there.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == BucketErrorKind::NotFound
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            BucketErrorKind::Throttled
            | BucketErrorKind::Server
            | BucketErrorKind::Timeout
            | BucketErrorKind::Network => true,
            BucketErrorKind::NotFound
            | BucketErrorKind::NoSuchBucket
            | BucketErrorKind::AccessDenied { .. }
            | BucketErrorKind::BadCredentials
            | BucketErrorKind::Misconfigured
            | BucketErrorKind::PreconditionFailed
            | BucketErrorKind::Corrupt
            | BucketErrorKind::TooLarge
            | BucketErrorKind::RangeNotSatisfiable
            | BucketErrorKind::InvalidKey
            | BucketErrorKind::Other => false,
        }
    }

    /// How long the store asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What somebody who runs the server can do about it.
    pub fn advice(&self) -> &'static str {
        match self.0.kind {
            BucketErrorKind::NotFound => "there is no such object",
            BucketErrorKind::NoSuchBucket => {
                "there is no such bucket: check its name, the endpoint and the region"
            }
            BucketErrorKind::AccessDenied { action } => match action {
                "s3:ListBucket" => {
                    "allow `s3:ListBucket` on the bucket for these credentials (it is a permission on the bucket, not on its objects)"
                }
                "s3:GetObject" => {
                    "allow `s3:GetObject` on the bucket's objects for these credentials"
                }
                "s3:PutObject" => {
                    "allow `s3:PutObject` on the bucket's objects for the writing credentials"
                }
                "s3:DeleteObject" => {
                    "allow `s3:DeleteObject` on the bucket's objects for the deleting credentials"
                }
                "s3:DeleteObjectVersion" => {
                    "allow `s3:DeleteObjectVersion` on the bucket's objects for the deleting credentials"
                }
                "s3:GetLifecycleConfiguration" => {
                    "allow `s3:GetLifecycleConfiguration` on the bucket for these credentials"
                }
                "s3:GetBucketVersioning" => {
                    "allow `s3:GetBucketVersioning` on the bucket for these credentials"
                }
                "s3:ListBucketVersions" => {
                    "allow `s3:ListBucketVersions` on the bucket for these credentials"
                }
                "s3:GetBucketObjectLockConfiguration" => {
                    "allow `s3:GetBucketObjectLockConfiguration` on the bucket for these credentials"
                }
                "s3:ListBucketMultipartUploads" => {
                    "allow `s3:ListBucketMultipartUploads` on the bucket for the writing credentials"
                }
                "s3:ListMultipartUploadParts" => {
                    "allow `s3:ListMultipartUploadParts` on the bucket's objects for the writing credentials"
                }
                _ => {
                    "allow `s3:AbortMultipartUpload` on the bucket's objects for the writing credentials"
                }
            },
            BucketErrorKind::BadCredentials => {
                "check the access key, the secret key, the session's expiry and this machine's clock"
            }
            BucketErrorKind::Misconfigured => {
                "check bucket, endpoint, region and path_style in the configuration"
            }
            BucketErrorKind::Throttled => {
                "the store asks for fewer requests: lower the concurrency or wait"
            }
            BucketErrorKind::Server => "the store failed: its own log says why",
            BucketErrorKind::Timeout => {
                "the store is slow or cannot be reached: check endpoint and network"
            }
            BucketErrorKind::Network => {
                "could not talk to the store: check endpoint, network and TLS certificates"
            }
            BucketErrorKind::PreconditionFailed => "somebody else changed it: read it again",
            BucketErrorKind::Corrupt => {
                "the answer is not what S3 answers: check that the endpoint is an S3 endpoint and that nothing in between alters it"
            }
            BucketErrorKind::TooLarge => "it is larger than this use allows",
            BucketErrorKind::RangeNotSatisfiable => "the object ends before that",
            BucketErrorKind::InvalidKey => "this cannot be a key of this cache",
            BucketErrorKind::Other => "see the detail",
        }
    }
}

impl std::fmt::Display for BucketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = &*self.0;
        write!(
            f,
            "{} s3://{}/{} failed",
            inner.operation.doing(),
            inner.bucket.escape_debug(),
            inner.key.escape_debug()
        )?;
        let mut reasons = Vec::new();
        if let Some(status) = inner.status {
            reasons.push(format!("status {status}"));
        }
        if let Some(code) = &inner.code {
            reasons.push(code.escape_debug().to_string());
        }
        if inner.attempts > 1 {
            reasons.push(format!("{} attempts", inner.attempts));
        }
        if !reasons.is_empty() {
            write!(f, " ({})", reasons.join(", "))?;
        }
        if !inner.detail.is_empty() {
            write!(f, ": {}", inner.detail.escape_debug())?;
        }
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for BucketError {}

/// What a store says when it refuses.
#[derive(Debug, Clone, Default)]
pub(super) struct ErrorAnswer {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl ErrorAnswer {
    /// The code decides where there is one, the status otherwise: a HEAD has no body.
    fn kind(&self, operation: Operation) -> BucketErrorKind {
        let denied = BucketErrorKind::AccessDenied {
            action: operation.action(),
        };
        match self.code.as_str() {
            "NoSuchKey" | "NotFound" | "NoSuchUpload" => BucketErrorKind::NotFound,
            "NoSuchBucket" => BucketErrorKind::NoSuchBucket,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => denied,
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed"
            | "InvalidSecurity"
            | "MissingSecurityHeader" => BucketErrorKind::BadCredentials,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidBucketName" => BucketErrorKind::Misconfigured,
            "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "ConditionalRequestConflict" => BucketErrorKind::Throttled,
            "RequestTimeout" => BucketErrorKind::Timeout,
            // A copy or a completion may say so within an answer of status 200.
            "InternalError" => BucketErrorKind::Server,
            "PreconditionFailed" => BucketErrorKind::PreconditionFailed,
            "InvalidRange" => BucketErrorKind::RangeNotSatisfiable,
            _ => match self.status {
                301 | 302 | 307 | 308 => BucketErrorKind::Misconfigured,
                401 => BucketErrorKind::BadCredentials,
                403 => denied,
                404 | 410 => BucketErrorKind::NotFound,
                408 => BucketErrorKind::Timeout,
                412 => BucketErrorKind::PreconditionFailed,
                416 => BucketErrorKind::RangeNotSatisfiable,
                429 | 503 => BucketErrorKind::Throttled,
                501 | 505 | 511 => BucketErrorKind::Other,
                status if status >= 500 => BucketErrorKind::Server,
                _ => BucketErrorKind::Other,
            },
        }
    }
}

/// What a store says goes into logs and pages: keep it short.
fn shortened(mut text: String) -> String {
    const MOST: usize = 400;
    if text.len() > MOST {
        let end = (0..=MOST)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> ErrorAnswer {
        ErrorAnswer {
            status,
            code: code.to_owned(),
            ..ErrorAnswer::default()
        }
    }

    #[test]
    fn a_refused_listing_names_the_action_on_the_bucket() {
        let error =
            BucketError::answered(Operation::List, "cache", "", &answer(403, "AccessDenied"));
        assert_eq!(
            error.kind(),
            BucketErrorKind::AccessDenied {
                action: "s3:ListBucket"
            }
        );
        assert!(error.to_string().contains("s3:ListBucket"), "{error}");
        assert!(!error.is_retryable());
    }

    #[test]
    fn a_refused_get_names_get_object() {
        let error = BucketError::answered(Operation::Get, "cache", "a.narinfo", &answer(403, ""));
        assert!(error.to_string().contains("`s3:GetObject`"), "{error}");
        assert!(error.to_string().contains("s3://cache/a.narinfo"));
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, ""),
            (429, ""),
            (504, ""),
            (408, ""),
        ] {
            let error = BucketError::answered(Operation::Get, "b", "k", &answer(status, code));
            assert!(error.is_retryable(), "{status} {code}");
        }
        for (status, code) in [
            (404, "NoSuchKey"),
            (403, ""),
            (412, ""),
            (501, ""),
            (400, ""),
        ] {
            let error = BucketError::answered(Operation::Get, "b", "k", &answer(status, code));
            assert!(!error.is_retryable(), "{status} {code}");
        }
    }

    #[test]
    fn what_the_store_says_cannot_forge_lines_nor_fill_the_log() {
        let mut said = answer(400, "Bad\nCode");
        said.message = "x\u{202e}\n".repeat(1000);
        let text = BucketError::answered(Operation::Put, "b", "k\n", &said).to_string();
        assert!(!text.contains('\n') && !text.contains('\u{202e}'));
        assert!(text.len() < 4096);
    }
}
