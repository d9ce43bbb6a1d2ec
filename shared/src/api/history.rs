//! What happened to a path, as it crosses the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// A kind of thing that happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The index saw it in the bucket for the first time.
    Seen,
    /// An upload brought it, was verified and published.
    Received,
    /// An upload waits, or waited, for a decision.
    Waits,
    /// Somebody said yes to it.
    Approved,
    /// It was decided: published, rejected, expired.
    Decided,
    /// A pin names it from then on.
    Pinned,
    /// An owner holds it back.
    HeldBack,
    /// A build with other content came and was not published.
    Conflict,
    /// A report of such a build was put aside.
    Dismissed,
    /// Any other line of the audit.
    Act,
}

/// Something that happened to a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct HistoryEntry {
    /// When; `null` where only that it happened is known.
    pub at: Option<String>,
    /// What kind of thing.
    pub what: Happening,
    /// What happened, in a few words; of an audit line its word, such as `pin.remove`.
    pub words: String,
    /// Who; `null` where nobody is known, and for those who are not members.
    pub by: Option<String>,
    /// More: a reason, a note, a key.
    pub detail: Option<String>,
    /// What has a page of its own: the name of a pin.
    pub pin: Option<String>,
}

/// What is known of what happened to a path, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct History {
    /// Hash part of the store path.
    pub hash: String,
    /// Whether it is here now.
    pub present: bool,
    /// What happened.
    pub items: Vec<HistoryEntry>,
    /// Whether the narinfo is the one that this server published last; `null` where it published none.
    pub as_published: Option<bool>,
    /// False where older receipts were not looked at: there are more than one answer reads.
    pub all_receipts: bool,
    /// The first day of the audit that was looked at, `2026-11-23`; `null` for those who may not
    /// read the audit.
    pub audit_since: Option<String>,
    /// Whether there are older days of the audit that were not looked at.
    pub audit_goes_on: bool,
}
