//! An upload that is refused: one line for the person at the terminal.

use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use snowbank_shared::nar::NarError;
use snowbank_shared::narinfo::NarInfoError;

use crate::bucket::{BucketError, BucketErrorKind};
use crate::condemned::KeepError;
use crate::web::{Response, headers};

/// Why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Never a 5xx and never a 202 (PROTOCOL.md §11).
    pub status: StatusCode,
    /// The code of PROTOCOL.md §19, or one of ours.
    pub code: &'static str,
    /// What is wrong and what to do, on one line.
    pub text: String,
}

/// Bytes of a line at most: Nix does not show an answer of 1,024.
const LONGEST: usize = 900;

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
        }
    }

    /// What is sent is wrong in itself.
    pub fn unprocessable(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, text)
    }

    /// What is sent does not go with what is there.
    pub fn conflict(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, text)
    }

    /// The sender may not.
    pub fn forbidden(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, text)
    }

    /// It has more bytes than are taken.
    pub fn too_large(text: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
    }

    /// Something that we need does not work. Nothing is wrong with the upload.
    pub fn dependency(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FAILED_DEPENDENCY, "unavailable", text)
    }

    /// The cache should add its own signature and has no key.
    pub fn no_signing_key() -> Self {
        Self::forbidden(
            "no-signing-key",
            "this cache is to sign what is uploaded and has no secret key, so its clients would not take it: an owner names a key with signing_key_files, or lets the policy pass contributors' signatures through",
        )
    }

    /// The answer.
    pub fn answer(&self) -> Response {
        let mut response = headers::line(self.status, self.line());
        let fields = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => headers::ask_for_token(fields),
            StatusCode::METHOD_NOT_ALLOWED => {
                fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT"));
            }
            _ => {}
        }
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        response
    }

    /// The answer's text: code and reason, with nothing in it that moves a terminal's cursor.
    pub fn line(&self) -> String {
        let mut line = format!("{}: ", self.code);
        for character in self.text.chars() {
            let plain = matches!(character, '\'' | '"' | '\\');
            if line.len() > LONGEST {
                line.push('…');
                break;
            }
            match plain {
                true => line.push(character),
                false => line.extend(character.escape_debug()),
            }
        }
        line.push('\n');
        line
    }
}

impl From<BucketError> for Refusal {
    fn from(error: BucketError) -> Self {
        tracing::warn!(%error, "the bucket failed during an upload");
        Self::of_bucket(&error.kind())
    }
}

impl From<KeepError> for Refusal {
    fn from(error: KeepError) -> Self {
        tracing::info!(%error, "an upload could not hold back what it needs");
        Self::dependency(format!("{error}: nothing was published"))
    }
}

impl Refusal {
    /// A bucket that failed so.
    fn of_bucket(kind: &BucketErrorKind) -> Self {
        match kind {
            BucketErrorKind::AccessDenied { action } => Self {
                code: "bucket-refused",
                ..Self::dependency(format!(
                    "S3 refused (403, {action} is missing): this is a problem of the server's setup, and nothing is wrong with your files; tell an owner of the cache"
                ))
            },
            _ => Self::dependency(
                "the bucket behind this cache failed: nothing was published; run the same command again",
            ),
        }
    }
}

impl From<NarInfoError> for Refusal {
    fn from(error: NarInfoError) -> Self {
        let status =
            StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, error.code.as_str(), format!("the narinfo: {error}"))
    }
}

impl From<NarError> for Refusal {
    fn from(error: NarError) -> Self {
        Self::unprocessable(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_does_not_let_us_write_is_a_word_of_its_own() {
        let refused = |kind| {
            let refusal = Refusal::of_bucket(&kind);
            (refusal.status.as_u16(), refusal.line())
        };
        let action = "s3:PutObject";
        let (status, line) = refused(BucketErrorKind::AccessDenied { action });
        assert_eq!(status, 424);
        assert!(
            line.starts_with("bucket-refused: S3 refused (403, s3:PutObject is missing)"),
            "{line}"
        );
        let (status, line) = refused(BucketErrorKind::Timeout);
        assert_eq!((status, line.starts_with("unavailable: ")), (424, true));
    }

    #[test]
    fn a_line_is_one_line_and_short_enough_to_be_shown() {
        let nasty = Refusal::unprocessable(
            "bad-nar",
            format!("it's\n\x1b[2J\u{202e}{}", "é".repeat(2000)),
        );
        let line = nasty.line();
        assert!(line.len() < 1024, "{}", line.len());
        assert!(
            line.starts_with("bad-nar: it's\\n\\u{1b}[2J\\u{202e}é"),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1);
    }
}
