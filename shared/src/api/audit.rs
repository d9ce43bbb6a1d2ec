//! The audit, as it crosses the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AuditEntry {
    /// Its place in the audit; unique, and stays the same.
    pub id: String,
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What, such as `token.create`.
    pub action: String,
    /// To what.
    pub object: String,
    /// The cache that it concerns; `null`: the server.
    pub cache: Option<String>,
    /// Whether it was refused.
    pub refused: bool,
    /// More: how they came, the request's id, what changed.
    pub detail: BTreeMap<String, String>,
    /// The address it came from, as long as that is kept.
    pub client: Option<String>,
}

/// A part of the audit, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AuditPage {
    /// The entries.
    pub items: Vec<AuditEntry>,
    /// Opaque cursor of the next page; there may be one though nothing was found yet.
    pub next: Option<String>,
    /// Where the chains of the days that were read are broken: somebody changed what was written.
    pub breaks: Vec<String>,
    /// The first day that was read, `2026-11-23`; `null`: none.
    pub since: Option<String>,
}

/// What a check of every chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AuditCheck {
    /// Chains: one for each process that ever wrote.
    pub chains: u64,
    /// Segments read.
    pub segments: u64,
    /// Entries in them.
    pub entries: u64,
    /// Where a chain is broken; empty: everything is as it was written.
    pub breaks: Vec<String>,
    /// False where there was more than one check reads.
    pub whole: bool,
}
