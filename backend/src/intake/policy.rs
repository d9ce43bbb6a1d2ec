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
    /// Whose signatures clients are to trust.
    pub mode: SigningMode,
    /// URLs of upstreams, of those that the configuration names, that may hold what a path refers to.
    pub reference_upstreams: Vec<String>,
}

/// Whose signatures clients of a cache trust.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigningMode {
    /// The cache's: it signs what it has verified, and people come and go without a change at clients.
    #[default]
    CounterSign,
    /// The contributors': the cache adds nothing, and clients trust each contributor's key.
    PassThrough,
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
