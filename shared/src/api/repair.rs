//! Repairing what the checks of Health found: shown object by object first, then done as it was shown.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::access::Act;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RepairAct {
    /// The object is deleted.
    Delete,
    /// An upload in parts is given up; its parts are gone.
    GiveUp,
    /// A narinfo is written again as plain text, with the headers that say so.
    Rewrite,
    /// Clients get 404 for the path until it is lifted from quarantine. Nothing is deleted.
    Hide,
}

impl RepairAct {
    /// How the findings of a check are repaired; `None` where no repair is safe enough to be done here.
    pub fn of(check: &str) -> Option<Self> {
        match check {
            "orphan-nar" => Some(Self::Delete),
            "unfinished-upload" => Some(Self::GiveUp),
            "content-encoding" => Some(Self::Rewrite),
            "nar-missing" => Some(Self::Hide),
            _ => None,
        }
    }

    /// What it needs: what takes something away from clients or the bucket is an owner's.
    pub const fn needs(self) -> Act {
        match self {
            Self::Delete | Self::Hide => Act::Manage,
            Self::GiveUp | Self::Rewrite => Act::Maintain,
        }
    }
}

/// What a caller wants of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RepairWish {
    /// Only show what would be done.
    pub dry_run: bool,
    /// The `plan` of the dry run that was looked at; needed to do it.
    #[serde(default)]
    pub plan: Option<String>,
}

/// What is done to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RepairStep {
    /// Its key.
    pub object: String,
    /// Bytes that it no longer needs afterwards, where that is known.
    pub bytes: Option<u64>,
    /// What is done to it, in words.
    pub text: String,
    /// Why it was left as it is; `null` where it was done, or in a dry run.
    pub left: Option<String>,
}

/// A repair, shown or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Repair {
    /// The check whose findings it repairs.
    pub check: String,
    /// What is done to each object.
    pub act: RepairAct,
    /// Names exactly these steps on exactly these objects as they are now.
    pub plan: String,
    /// Nothing was done.
    pub dry_run: bool,
    /// The steps, by object; at most 500.
    pub steps: Vec<RepairStep>,
    /// Findings of the check that are not among the steps: past the first 500, or no longer so.
    pub others: u64,
    /// Steps that were done.
    pub done: u64,
}

/// Whom a missing NAR concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Affected {
    /// The object of the finding.
    pub object: String,
    /// Paths whose closures contain the path, itself left out.
    pub closures: u64,
    /// Those of them to which nothing refers, or the path itself where nothing refers to it:
    /// `hash-name`, at most 10.
    pub roots: Vec<String>,
    /// How many such roots there are.
    pub root_count: u64,
    /// Pins that keep one of these closures, with the revision: `prod@14`; at most 50.
    pub pins: Vec<String>,
}
