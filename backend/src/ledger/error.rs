//! Why the ledger did not do something: what was attempted, and whether to try again.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::RecordPath;
use super::view::Trouble;
use crate::bucket::BucketError;
use crate::secrets::SecretError;

/// The largest record, in bytes as sealed.
pub(super) const MOST_RECORD: usize = 256 << 10;

/// Why the ledger did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The state area is not open, or may not be written.
    #[error("the server's state cannot be changed now: {0}")]
    Closed(String),
    /// It was not readable for too long.
    #[error("the server's state could not be read for {} s: nothing is changed until it can", .0.as_secs())]
    Lost(Duration),
    /// There is such a record already.
    #[error("there is a `{0}` already")]
    Exists(RecordPath),
    /// There is no such record.
    #[error("there is no `{0}`")]
    Absent(RecordPath),
    /// It was revoked or deleted, and that is for ever.
    #[error("`{0}` was revoked: its name is never used again")]
    Buried(RecordPath),
    /// What lies there cannot be believed.
    #[error("`{path}` cannot be changed: {trouble}")]
    Unbelievable {
        /// The record.
        path: RecordPath,
        /// What is wrong with it.
        trouble: Trouble,
    },
    /// Others changed it again and again.
    #[error("`{0}` was changed by others at every try: try again")]
    Contended(RecordPath),
    /// It is too large.
    #[error("`{path}` has {size} bytes; a record has at most {MOST_RECORD}")]
    TooLarge {
        /// The record.
        path: RecordPath,
        /// Bytes of its JSON.
        size: usize,
    },
    /// The bucket failed. A write may have happened all the same.
    #[error("{0}")]
    Bucket(#[from] BucketError),
    /// The memory's file cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The system gives no random bytes.
    #[error("{0}")]
    Random(String),
}

impl From<SecretError> for LedgerError {
    fn from(error: SecretError) -> Self {
        Self::Random(error.to_string())
    }
}

impl LedgerError {
    /// Whether the same request may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contended(_) | Self::Lost(_) => true,
            Self::Bucket(error) => error.is_retryable(),
            _ => false,
        }
    }
}
