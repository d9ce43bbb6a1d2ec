//! What goes wrong in a folder, said as S3 says it.

use std::io;

use s3s::{S3Error, S3ErrorCode, s3_error};

use super::folder::ChangeError;
use super::key::{KeyError, ObjectKey};

/// A key that a folder cannot hold: 400.
pub fn key_error(error: KeyError) -> S3Error {
    match error {
        KeyError::TooLong => S3Error::with_message(S3ErrorCode::KeyTooLongError, error.to_string()),
        other => S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            format!("this key cannot be stored in a folder: {other}"),
        ),
    }
}

/// Checks a key.
///
/// # Errors
/// 400 with what is wrong with it.
pub fn parse_key(key: &str) -> Result<ObjectKey<'_>, S3Error> {
    ObjectKey::parse(key).map_err(key_error)
}

/// The system refused: 500, logged, with what was attempted. A full disk is named.
pub fn io_error(attempted: &'static str, error: &io::Error) -> S3Error {
    tracing::error!(error = %error, attempted, "the embedded S3 server failed");
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            s3_error!(AccessDenied, "the server may not {attempted}: {error}")
        }
        _ => s3_error!(InternalError, "the server could not {attempted}: {error}"),
    }
}

/// An object that was not changed.
pub fn change_error(attempted: &'static str, error: &ChangeError) -> S3Error {
    match error {
        ChangeError::ConditionFailed => {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )
        }
        ChangeError::NoObject => s3_error!(NoSuchKey, "The specified key does not exist."),
        ChangeError::Clash { .. } => s3_error!(
            InvalidArgument,
            "this key cannot be stored in the folder: {error}"
        ),
        ChangeError::Io(error) => io_error(attempted, error),
    }
}

/// No such object: 404.
pub fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}
