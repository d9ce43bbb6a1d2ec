//! What a cache's maintainers decided about uploads: a record of the ledger, changed while it runs.

use serde::{Deserialize, Serialize};

use crate::ledger::kind::{Kind, Record, SETTINGS};
use crate::ledger::{Ledger, RecordId, Scope};

/// The rules for uploads to a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UploadPolicy {
    /// Whether who uploads may send paths that another contributor's key has signed.
    pub relay: bool,
    /// Whether a path is refused that names paths which it does not declare as references. It is
    /// noted in any case. Disk images discard references on purpose.
    pub refuse_undeclared_references: bool,
}

impl Record for UploadPolicy {
    const KIND: Kind = SETTINGS;
}

impl UploadPolicy {
    /// The rules of this cache; the default where nobody decided anything.
    pub fn of(ledger: &Ledger, cache: &str) -> Self {
        ledger
            .view()
            .get::<Self>(Scope::Cache(cache), &RecordId::only())
            .map(|entry| (*entry.record).clone())
            .unwrap_or_default()
    }
}
