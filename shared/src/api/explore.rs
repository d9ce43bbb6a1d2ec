//! How paths hang together: a closure as a graph, why one path needs another, what differs
//! between two closures, packages and their versions.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::SignatureStatus;
use super::files::Reading;
use crate::contents::Mention;

/// A closure as a graph, in one answer: what every view of it is drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ClosureGraph {
    /// The path it is the closure of.
    pub path: String,
    /// Paths present in the closure, itself included.
    pub paths: u64,
    /// Sum of their NarSizes.
    pub nar_size: u64,
    /// Sum of their download sizes; `null` where one is unknown.
    pub file_size: Option<u64>,
    /// References that this cache lacks.
    pub missing: u64,
    /// The nodes; the first is the path itself. All of the closure and what is missing of it,
    /// nearest first; where it has more than 20,000 paths, the 500 with the largest added size.
    pub items: Vec<GraphNode>,
    /// False where nodes were left out.
    pub complete: bool,
    /// State of the index that answered.
    pub revision: String,
}

/// A path of a [`ClosureGraph`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct GraphNode {
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// False where it is referred to and not in this cache; its sizes are then unknown.
    pub present: bool,
    /// Steps from the root.
    pub depth: u32,
    /// Bytes unpacked.
    pub nar_size: Option<u64>,
    /// Bytes to download.
    pub file_size: Option<u64>,
    /// Added size: the sum of NarSize over what would leave this closure if this path left it.
    /// Of the root it is the whole closure; over the children of a dominator they never overlap.
    pub added_size: Option<u64>,
    /// The same in bytes to download; `null` where one is unknown.
    pub added_file_size: Option<u64>,
    /// Paths that would leave with it, itself included.
    pub added_paths: Option<u64>,
    /// Its immediate dominator, as a place in `items`: the nearest path through which every chain
    /// from the root to it goes. `null` for the root and for what is missing.
    pub dominator: Option<u32>,
    /// What it refers to, as places in `items`, itself left out.
    pub references: Vec<u32>,
    /// What its signatures are worth.
    pub signature: Option<SignatureStatus>,
}

/// Why one path needs another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Why {
    /// The path that needs.
    pub from: String,
    /// The path that is needed.
    pub to: String,
    /// Whether it does.
    pub depends: bool,
    /// Whether it is the other way round: `to` needs `from`.
    pub reverse: bool,
    /// How many chains of references lead from one to the other; `null` where references go in a
    /// circle on the way and they cannot be counted. The largest number stands for all above it.
    pub chains: Option<u64>,
    /// Chains, the shortest first, at most as many as asked for; each from `from` to `to`.
    pub items: Vec<Vec<WhyStep>>,
    /// State of the index that answered.
    pub revision: String,
}

/// A path on a chain of references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WhyStep {
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Bytes unpacked.
    pub nar_size: u64,
}

/// What differs between two closures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Diff {
    /// The closure on the left.
    pub from: DiffSide,
    /// The closure on the right.
    pub to: DiffSide,
    /// Paths that both have.
    pub common: u64,
    /// Sum of NarSize of what only the right has.
    pub new_nar_size: u64,
    /// Bytes that a machine that has the left downloads to have the right; `null` where the
    /// download size of one path is unknown.
    pub download: Option<u64>,
    /// Packages that differ, by name within each kind.
    pub items: Vec<DiffRow>,
    /// State of the index that answered.
    pub revision: String,
}

/// One of two closures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DiffSide {
    /// The path it is the closure of.
    pub path: String,
    /// Its paths.
    pub paths: u64,
    /// Sum of their NarSizes.
    pub nar_size: u64,
    /// Sum of their download sizes; `null` where one is unknown.
    pub file_size: Option<u64>,
}

/// How a package differs between two closures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DiffKind {
    /// The right has a newer version.
    Upgraded,
    /// The right has an older version.
    Downgraded,
    /// Only the right has it.
    Added,
    /// Only the left has it.
    Removed,
    /// The same versions, other paths.
    Rebuilt,
}

impl DiffKind {
    /// All of them, in the order shown.
    pub const ALL: [Self; 5] = [
        Self::Upgraded,
        Self::Downgraded,
        Self::Added,
        Self::Removed,
        Self::Rebuilt,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Rebuilt => "rebuilt",
        }
    }
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DiffRow {
    /// How.
    pub kind: DiffKind,
    /// The package.
    pub name: String,
    /// Its versions on the left, newest first; an empty text for none in the name.
    pub from_versions: Vec<String>,
    /// Its versions on the right, newest first.
    pub to_versions: Vec<String>,
    /// Hash parts of its paths that only the left has.
    pub from_hashes: Vec<String>,
    /// Hash parts of its paths that only the right has.
    pub to_hashes: Vec<String>,
    /// NarSize of its paths on the right less those on the left.
    pub nar_delta: i64,
    /// The same in bytes to download; `null` where one is unknown.
    pub file_delta: Option<i64>,
    /// Bytes to download for its paths that only the right has; `null` where one is unknown.
    pub download: Option<u64>,
}

/// Which files of a path mention another one: why the first refers to the second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Mentions {
    /// The full store path whose archive is looked through.
    pub path: String,
    /// The hash part that is looked for.
    pub of: String,
    /// Bytes of that archive, unpacked.
    pub nar_size: u64,
    /// It is large, and was not read: ask again with `large=true`.
    pub asks: bool,
    /// The archive is still being read: ask again in a moment. Then there are no items.
    pub reading: Option<Reading>,
    /// The files, in the order of the archive; at most 1,000.
    pub items: Vec<Mention>,
    /// How many there are.
    pub total: u64,
}

/// A package of a cache, over all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PackageRow {
    /// Its name.
    pub name: String,
    /// Its newest version, as Nix compares them; empty where its names have none.
    pub newest: String,
    /// Versions.
    pub versions: u64,
    /// Paths, outputs of each version included.
    pub paths: u64,
    /// Sum of their NarSizes.
    pub nar_size: u64,
    /// Sum of their download sizes, as far as known.
    pub file_size: u64,
    /// When the newest path was first seen here.
    pub added_at: String,
}

/// A path of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PackagePath {
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its output, where its name ends in one.
    pub output: Option<String>,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes to download.
    pub file_size: Option<u64>,
    /// Sum of NarSize over its closure; `null` until computed.
    pub closure_size: Option<u64>,
    /// First time seen here.
    pub added_at: String,
    /// What its signatures are worth.
    pub signature: SignatureStatus,
}
