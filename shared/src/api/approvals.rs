//! Uploads that wait for somebody or something, as they cross the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{PathRow, UnknownWord};

/// The state of something that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// It waits.
    Waiting,
    /// It is published.
    Published,
    /// A Maintainer said no.
    Rejected,
    /// It cannot be published any more: its key ended, an upstream has other content.
    Refused,
    /// Nobody decided in time.
    Expired,
}

impl ApprovalState {
    /// Every state, in the order shown.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Published,
        Self::Rejected,
        Self::Refused,
        Self::Expired,
    ];

    /// The word of the API and of addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Published => "published",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ApprovalState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownWord)
    }
}

/// For what an upload waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum WaitsFor {
    /// People who approve it.
    Approval {
        /// How many have to.
        needed: u8,
        /// How many did.
        given: u8,
    },
    /// Contributors who built the same.
    Builders {
        /// How many have to agree.
        needed: u8,
        /// How many do.
        agreeing: u8,
    },
    /// An upstream that did not say whether it has the path.
    Upstream {
        /// Its URL.
        url: String,
        /// Why it did not.
        reason: String,
    },
    /// A reference that waits itself.
    Reference {
        /// The reference's store path.
        path: String,
    },
    /// A part of this server that failed; it tries again.
    Server {
        /// What failed.
        reason: String,
    },
}

impl WaitsFor {
    /// It as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Approval { needed: 1, .. } => {
                "It waits for 1 approval by a Maintainer who is not the uploader.".to_owned()
            }
            Self::Approval { needed, given } => format!(
                "It waits for {needed} approvals by different Maintainers who are not the uploader, and has {given}."
            ),
            Self::Builders { needed, agreeing } => format!(
                "It waits until {needed} contributors have sent the same content, each with a key of their own; so far {agreeing}."
            ),
            Self::Upstream { url, reason } => format!(
                "It waits until {url} says whether it has the path too: {reason}. It is asked again by itself."
            ),
            Self::Reference { path } => {
                format!("It waits for {path}, which it refers to and which waits itself.")
            }
            Self::Server { reason } => {
                format!(
                    "It waits because the server could not go on: {reason}. It tries again by itself."
                )
            }
        }
    }
}

/// What somebody said to something that waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Decision {
    /// Who: a member, or `server`.
    pub by: String,
    /// When.
    pub at: String,
    /// Why; empty for an approval without words.
    pub reason: String,
}

/// An upload that waits, or waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ApprovalRow {
    /// Its id.
    pub id: String,
    /// The full store path.
    pub path: String,
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes of its archive.
    pub file_size: u64,
    /// Who uploaded it: a member, or a machine.
    pub uploader: String,
    /// The name of the key that vouches, where one does.
    pub key: Option<String>,
    /// How it stands.
    pub state: ApprovalState,
    /// For what it waits; `null` where it does no more.
    pub waits: Option<WaitsFor>,
    /// The rule that sent it here, as a sentence; `null` where none did.
    pub rule: Option<String>,
    /// Who approved it.
    pub approvals: Vec<Decision>,
    /// How it ended; `null` while it waits.
    pub decision: Option<Decision>,
    /// When it was uploaded.
    pub created_at: String,
    /// When it stops to wait, whatever happens.
    pub expires_at: String,
    /// Counts what changed about it. Sent back with a decision, so that nobody decides about what they did not see.
    pub revision: u64,
    /// Why the caller cannot approve it; `null`: they can.
    pub refusal: Option<String>,
}

/// A path beside another one, for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ComparedPath {
    /// The full store path.
    pub path: String,
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes of its closure; `null` where they are not known.
    pub closure_size: Option<u64>,
    /// When it was first seen here; `null` for what is not here yet.
    pub added_at: Option<String>,
}

impl From<PathRow> for ComparedPath {
    fn from(row: PathRow) -> Self {
        Self {
            path: row.path,
            hash: row.hash,
            name: row.name,
            nar_size: row.nar_size,
            closure_size: row.closure_size,
            added_at: Some(row.added_at),
        }
    }
}

/// Paths of one side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ChangedPaths {
    /// How many.
    pub paths: u64,
    /// Bytes of them unpacked.
    pub nar_size: u64,
    /// The largest of them, at most 100; what waits comes first.
    pub items: Vec<ComparedPath>,
}

/// What an upload would change of a closure that is pinned, were the pin to name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PinnedChange {
    /// The pin.
    pub pin: String,
    /// Its newest revision.
    pub revision: u64,
    /// The path that it names now.
    pub path: ComparedPath,
    /// Paths of the upload's closure that are here or wait with it.
    pub closure_paths: u64,
    /// Bytes of these unpacked.
    pub closure_size: u64,
    /// Paths of the pinned closure that are here.
    pub pinned_closure_paths: u64,
    /// Bytes of these unpacked.
    pub pinned_closure_size: u64,
    /// What only the upload's closure has.
    pub added: ChangedPaths,
    /// What only the pinned closure has.
    pub removed: ChangedPaths,
}

/// Something that was noticed about an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Notice {
    /// Stable code, such as `secret`.
    pub check: String,
    /// What it is.
    pub text: String,
}

/// An upload that waits, with all that helps to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ApprovalDetail {
    /// What it is.
    #[serde(flatten)]
    pub row: ApprovalRow,
    /// The narinfo as it was sent.
    pub narinfo: String,
    /// What would be new in the cache with it: itself, and what waits and it needs.
    pub new_paths: Vec<ComparedPath>,
    /// Bytes of these unpacked.
    pub new_nar_size: u64,
    /// Its references that are here already.
    pub present_references: u64,
    /// What was noticed: archives that name what they do not declare, secrets.
    pub notices: Vec<Notice>,
    /// The newest path of the same package that is here; `null`: none.
    pub previous: Option<ComparedPath>,
    /// What it would change of the closures of the pins of its name, by pin, at most 5.
    pub pinned: Vec<PinnedChange>,
    /// Other content under the same path that waits too, by other uploaders or at other times.
    pub rivals: Vec<ApprovalRow>,
}

/// Says yes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Approve {
    /// The revision that was looked at.
    pub revision: u64,
    /// Words for the audit; may be empty.
    #[serde(default)]
    pub note: String,
}

/// Says no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Reject {
    /// The revision that was looked at.
    pub revision: u64,
    /// Why, for the uploader and the audit.
    pub reason: String,
}
