//! What is sealed: a record with who wrote it, when, and as which write.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::kind::Record;

/// Writes that a record remembers, so that one whose answer got lost is known again.
const RECENT: usize = 16;

/// The plaintext of a record's object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The write that made this version, 128 random bits in hex.
    pub(super) write: String,
    /// The writes before it, latest first.
    #[serde(default)]
    pub(super) recent: Vec<String>,
    /// When it was written, seconds since 1970.
    pub(super) at: i64,
    /// Who wrote it: `member:…`, `server`.
    pub(super) author: String,
    /// When it ends by itself, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<i64>,
    /// The record; for a tombstone, the reason; `null` where there is none, and the next version
    /// counts on from here.
    pub(super) record: Value,
}

impl Envelope {
    /// The writes that led here, this one first.
    pub(super) fn lineage(&self) -> Vec<String> {
        let mut lineage = vec![self.write.clone()];
        lineage.extend(self.recent.iter().take(RECENT - 1).cloned());
        lineage
    }

    /// Whether a write is this version or went into it.
    pub(super) fn includes(&self, write: &str) -> bool {
        self.write == write || self.recent.iter().any(|recent| recent == write)
    }

    pub(super) fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.expires
            .is_some_and(|expires| expires <= now.unix_timestamp())
    }

    pub(super) fn is_void(&self) -> bool {
        self.record.is_null()
    }

    pub(super) fn written_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.at).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// A record that verified, decoded when first asked for.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) sequence: u64,
    pub(super) envelope: Envelope,
    /// The value of the type that first asked; `None` where it is no such value.
    decoded: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Believed {
    pub(super) fn new(sequence: u64, envelope: Envelope) -> Self {
        Self {
            sequence,
            envelope,
            decoded: OnceLock::new(),
        }
    }

    /// The record as its type; `None` where another version wrote what this one cannot read.
    pub(super) fn decode<R: Record>(&self) -> Option<Arc<R>> {
        self.decoded
            .get_or_init(|| {
                let record = R::deserialize(&self.envelope.record).ok()?;
                Some(Arc::new(record) as Arc<dyn Any + Send + Sync>)
            })
            .clone()
            .and_then(|any| any.downcast().ok())
    }
}
