//! What crosses the wire: the JSON of `/api/v1`, one type per shape, used by
//! the server to write and by the dashboard to read.
//!
//! Names are `snake_case`, sizes are bytes, times are RFC 3339 in UTC, hashes
//! are `sha256:` followed by nix32. A field that may be unknown is an
//! [`Option`] and is sent as `null`: unknown is not zero.

use serde::{Deserialize, Serialize};

pub mod access;
pub mod alerts;
pub mod approvals;
pub mod audit;
mod browse;
pub mod conflicts;
pub mod connect;
pub mod contributors;
mod explore;
pub mod files;
mod flat;
mod growth;
pub mod history;
mod live;
mod lookup;
pub mod pins;
pub mod policy;
pub mod quarantine;
pub mod repair;
pub mod retention;
pub mod rotation;
pub mod signing;
pub mod storage;
pub mod uploads;
mod upstream;
pub mod usage;
pub mod verify;
pub mod vouching;

pub use browse::{FacetCount, Facets, Selection};
pub use explore::{
    ClosureGraph, Diff, DiffKind, DiffRow, DiffSide, GraphNode, Mentions, PackagePath, PackageRow,
    Why, WhyStep,
};
pub use growth::{Growth, GrowthDay, Recent, Served};
pub use live::{LiveCheck, LiveMachine, LiveState, MachineState};
pub use lookup::{Lookup, LookupCache, LookupItem, Presence, UpstreamAnswer};
pub use upstream::{CacheUpstream, Signing, Skipped, SkippedPath, UpstreamMode};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// One page of a list, paged by key: ask again with `cursor` set to [`next`](Self::next).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Page<T> {
    /// The rows, in the order asked for.
    pub items: Vec<T>,
    /// Opaque cursor of the next page; `null` on the last one.
    pub next: Option<String>,
    /// How many rows match, over all pages.
    pub total: u64,
    /// Opaque name of the state of the index that answered.
    pub revision: String,
    /// False while the first index of the cache is still being built:
    /// totals are then lower bounds and are shown with `≈`.
    pub complete: bool,
}

impl<T> Page<T> {
    /// A list that is always answered whole.
    pub fn whole(items: Vec<T>, revision: String) -> Self {
        Self {
            total: items.len() as u64,
            items,
            next: None,
            revision,
            complete: true,
        }
    }
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time and what to do about it.
    pub detail: String,
    /// Stable, machine-readable code, such as `path-not-found`.
    pub code: String,
    /// The request's id, also in the `x-request-id` header and in the server's log.
    pub request_id: String,
}

/// Who may read a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anybody.
    Public,
    /// Members with a role in the cache; its existence is listed to them only.
    Private,
    /// Like private, and its keys and configuration need a login too.
    Unlisted,
}

/// A binary cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Cache {
    /// Its name in URLs.
    pub slug: String,
    /// Its name for people.
    pub title: String,
    /// The substituter URL, as it goes into nix.conf.
    pub url: String,
    /// The store directory, normally `/nix/store`.
    pub store_dir: String,
    /// What `nix-cache-info` says; smaller is asked first. cache.nixos.org has 40.
    pub priority: u32,
    /// Who may read it.
    pub visibility: Visibility,
    /// Store paths in the index.
    pub paths: u64,
    /// Bytes of the NARs as stored, each file counted once; `null` until the whole bucket was listed.
    pub stored_bytes: Option<u64>,
    /// Objects below the cache's prefix, of every kind; `null` until the whole bucket was listed.
    #[serde(default)]
    pub objects: Option<u64>,
    /// Bytes of all these objects; `null` until the whole bucket was listed.
    #[serde(default)]
    pub object_bytes: Option<u64>,
    /// Sum of NarSize: bytes unpacked.
    pub nar_bytes: u64,
    /// Bytes of a NAR that may be uploaded at most.
    #[serde(default)]
    pub max_nar_size: u64,
    /// Bytes of the NARs as stored at most; `null`: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// The keys a client has to trust to use this cache.
    pub keys: Vec<Key>,
    /// Who signs what is published here.
    pub signing: Signing,
    /// The caches that it knows to have paths of its own.
    pub upstreams: Vec<CacheUpstream>,
    /// How many paths have each signature word.
    pub signatures: Vec<SignatureCount>,
    /// Objects or paths with something wrong; see `/caches/{c}/health`.
    pub findings: u64,
    /// Uploads that wait and that the caller may see; `null` where that is none of their affair.
    #[serde(default)]
    pub waiting: Option<u64>,
    /// Until when its figures of usage, sizes and health are made up; `null` where all were measured.
    #[serde(default)]
    pub generated_until: Option<String>,
    /// The state of the index.
    pub index: IndexStatus,
    /// Where the bytes lie, for people: `s3://bucket/prefix` or `folder`.
    pub source: String,
    /// What was added lately.
    pub recent: Recent,
    /// What clients asked for since the server started.
    pub served: Served,
}

/// How many paths carry one signature word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SignatureCount {
    /// The word.
    pub signature: SignatureStatus,
    /// Paths.
    pub paths: u64,
}

/// The name of the server-sent event of `/caches/{c}/events` whose data is an
/// [`IndexStatus`]: one at once, then one whenever it changed, at most two a second.
pub const INDEX_EVENT: &str = "index";

/// What the index knows, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct IndexStatus {
    /// Opaque name of the state of the index.
    pub revision: String,
    /// When the last complete sweep began; `null` before the first.
    pub as_of: Option<String>,
    /// What it is doing.
    pub state: IndexState,
    /// The running sweep.
    pub progress: Option<Progress>,
    /// Why the last sweep failed, and what to do.
    pub error: Option<String>,
    /// Seconds between two sweeps; older than three times this is stale.
    pub sweep_seconds: u64,
}

/// What the index is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// Never swept, nothing known.
    New,
    /// The first index is being built; answers are partial.
    Indexing,
    /// Complete as of `as_of`.
    Ready,
    /// Complete as of `as_of`, and a sweep is looking for changes.
    Refreshing,
    /// The last sweep failed; what is shown is as of `as_of`.
    Failed,
}

/// A sweep under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Progress {
    /// Narinfos found in the listing so far.
    pub found: u64,
    /// Narinfos fetched, of those that have to be.
    pub fetched: u64,
    /// Narinfos that could not be fetched or parsed.
    pub failed: u64,
    /// False while the listing goes on: `found` still grows.
    pub listed: bool,
    /// Narinfos a second, lately.
    pub rate: u64,
    /// Estimated seconds left; `null` while the listing goes on.
    pub eta_seconds: Option<u64>,
}

/// Whether a path's signatures vouch for it. One word per path, the first that
/// is present in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SignatureStatus {
    /// The key is known and active, and the Ed25519 check passed.
    Valid,
    /// Content-addressed, and the claim was recomputed and holds.
    NotNeeded,
    /// Passed, by a key that is retired or expired.
    ValidRetired,
    /// Several known keys share the name.
    NameClash,
    /// Passed, by a key that is suspended or revoked.
    ValidRevoked,
    /// The key is known and the check failed.
    Invalid,
    /// Not `name:base64(64 bytes)`.
    Malformed,
    /// No public key of that name is known: nothing can be said.
    UnknownKey,
    /// No `Sig` line.
    Unsigned,
}

impl SignatureStatus {
    /// Every word, best first.
    pub const ALL: [Self; 9] = [
        Self::Valid,
        Self::NotNeeded,
        Self::ValidRetired,
        Self::NameClash,
        Self::ValidRevoked,
        Self::Invalid,
        Self::Malformed,
        Self::UnknownKey,
        Self::Unsigned,
    ];

    /// The word of the API and of URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotNeeded => "not-needed",
            Self::ValidRetired => "valid-retired",
            Self::NameClash => "name-clash",
            Self::ValidRevoked => "valid-revoked",
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown-key",
            Self::Unsigned => "unsigned",
        }
    }
}

/// Whether the bytes behind a narinfo are what it says. Independent of [`SignatureStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContentStatus {
    /// The NAR was decompressed and hashed, and equals NarHash and NarSize.
    Verified,
    /// Nobody looked yet.
    NotChecked,
    /// The NAR is another one than NarHash names.
    Mismatch,
    /// There is no object at the narinfo's URL.
    NarMissing,
    /// The object's size is not FileSize.
    SizeDiffers,
}

impl ContentStatus {
    /// Every word.
    pub const ALL: [Self; 5] = [
        Self::Verified,
        Self::NotChecked,
        Self::Mismatch,
        Self::NarMissing,
        Self::SizeDiffers,
    ];

    /// The word of the API and of URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NotChecked => "not-checked",
            Self::Mismatch => "mismatch",
            Self::NarMissing => "nar-missing",
            Self::SizeDiffers => "size-differs",
        }
    }
}

macro_rules! word {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $type {
            type Err = UnknownWord;
            fn from_str(s: &str) -> Result<Self, UnknownWord> {
                Self::ALL
                    .into_iter()
                    .find(|word| word.as_str() == s)
                    .ok_or(UnknownWord)
            }
        }
    };
}
word!(SignatureStatus);
word!(ContentStatus);

/// A status word that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the status words")]
pub struct UnknownWord;

/// A store path in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PathRow {
    /// The full store path.
    pub path: String,
    /// Its 32-character hash part.
    pub hash: String,
    /// Its name, after the hash and the dash.
    pub name: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes to download; `null` where the narinfo does not say and the object was not listed.
    pub file_size: Option<u64>,
    /// Sum of `nar_size` over the closure; `null` until computed.
    pub closure_size: Option<u64>,
    /// Paths in the closure, itself included; `null` until computed.
    pub closure_paths: Option<u64>,
    /// References, itself not counted.
    pub reference_count: u64,
    /// Paths of this cache that refer to it, itself not counted.
    pub referrer_count: u64,
    /// What its signatures are worth.
    pub signature: SignatureStatus,
    /// The worst word beside a better one: an invalid or malformed signature.
    pub signature_problem: Option<SignatureStatus>,
    /// Whether the bytes were checked.
    pub content: ContentStatus,
    /// Names of the keys in its `Sig` lines, in their order.
    pub signers: Vec<String>,
    /// First time seen here.
    pub added_at: String,
    /// The narinfo's Compression word.
    pub compression: String,
    /// Whether it is in quarantine: clients get 404. Left out where it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

/// A store path, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "flat::FlatPathDetail")]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PathDetail {
    /// What lists show of it.
    #[serde(flatten)]
    pub row: PathRow,
    /// SHA-256 of the NAR.
    pub nar_hash: String,
    /// Hash of the compressed file, where the narinfo says.
    pub file_hash: Option<String>,
    /// The NAR's address, relative to the cache.
    pub url: String,
    /// Base name of the derivation, where known.
    pub deriver: Option<String>,
    /// Whether the deriver's `.drv` is in this cache.
    pub deriver_present: bool,
    /// System, where an old narinfo says.
    pub system: Option<String>,
    /// The content address, as claimed.
    pub ca: Option<String>,
    /// Full store paths it refers to, itself included where it does.
    pub references: Vec<String>,
    /// Its signatures, each judged.
    pub signatures: Vec<SignatureVerdict>,
    /// The text that a signature covers.
    pub fingerprint: String,
    /// What is odd about the narinfo though it can be read.
    pub oddities: Vec<Oddity>,
    /// Why no client is served this narinfo, where it would crash one.
    pub withheld: Option<String>,
    /// The narinfo as it lies in the bucket, decoded; bytes that are not UTF-8 are replaced.
    pub narinfo: String,
    /// Bytes to download for the whole closure; `null` where one is unknown.
    pub closure_file_size: Option<u64>,
    /// Sum of NarSize of what would go from this cache if this path went: itself, and all that
    /// nothing else here refers to then.
    pub added_size: u64,
    /// Paths that would go with it, itself included.
    pub added_paths: u64,
    /// References of the closure that this cache lacks, as base names, at most 1,000.
    pub closure_missing: Vec<String>,
    /// The pins that name it.
    #[serde(default)]
    pub pins: Vec<pins::PinnedAs>,
    /// Why it is held back, where it is in quarantine or was purged.
    #[serde(default)]
    pub held: Option<quarantine::HeldPath>,
    /// The contributors whose good signatures it carries: each says to have made this NarHash.
    /// Two or more, and the build was reproduced.
    #[serde(default)]
    pub reproduced_by: Vec<Reproducer>,
    /// Builds of this path that came later with other content, and were not put aside.
    #[serde(default)]
    pub conflicts: u64,
    /// Base names of other paths whose narinfos name the same NAR and say another content: at
    /// most one of them is right. At most 20.
    #[serde(default)]
    pub disputed_by: Vec<String>,
    /// When its archive was last read to its end and found to be the one of this narinfo; `null`: it is
    /// not known that it ever was.
    #[serde(default)]
    pub proven_at: Option<String>,
    /// State of the index that answered.
    pub revision: String,
}

/// A contributor who vouches for a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Reproducer {
    /// The member; `null` for those who are not members themselves.
    pub owner: Option<String>,
    /// Names of this member's keys that signed it.
    pub keys: Vec<String>,
}

/// A signature and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SignatureVerdict {
    /// The key's name, as the `Sig` line says.
    pub key: String,
    /// The whole value of the `Sig` line.
    pub signature: String,
    /// The verdict.
    pub status: SignatureStatus,
    /// The member whose key of this name is registered; `null` for other keys, and for who is not a
    /// member.
    pub owner: Option<String>,
}

/// Something odd in a narinfo that can be read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Oddity {
    /// Line in the narinfo, from 1; `null` where it concerns the whole.
    pub line: Option<u32>,
    /// What is odd, in words.
    pub message: String,
}

/// A closure: everything a path needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Closure {
    /// The path it is the closure of.
    pub path: String,
    /// Paths present, itself included.
    pub paths: u64,
    /// Sum of NarSize.
    pub nar_size: u64,
    /// Sum of download sizes; `null` where one is unknown.
    pub file_size: Option<u64>,
    /// References that this cache lacks.
    pub missing: u64,
    /// The rows, nearest to the root first; those the cache lacks are last.
    pub items: Vec<ClosureRow>,
    /// Opaque cursor of the next page.
    pub next: Option<String>,
    /// State of the index that answered.
    pub revision: String,
}

/// A path of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ClosureRow {
    /// The full store path.
    pub path: String,
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// False where it is referenced and not in this cache; the rest is then unknown.
    pub present: bool,
    /// Steps from the root.
    pub depth: u32,
    /// Bytes unpacked.
    pub nar_size: Option<u64>,
    /// Bytes to download.
    pub file_size: Option<u64>,
    /// Sum of NarSize over its own closure.
    pub closure_size: Option<u64>,
    /// References, itself not counted.
    pub reference_count: Option<u64>,
    /// What its signatures are worth.
    pub signature: Option<SignatureStatus>,
    /// Whether the bytes were checked.
    pub content: Option<ContentStatus>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyPurpose {
    /// The cache's own.
    Cache,
    /// A contributor's.
    Contributor,
    /// Of another cache, such as cache.nixos.org.
    Upstream,
}

/// Whether a key's signatures are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Not yet; its signatures count as by an unknown key.
    Pending,
    /// Believed.
    Active,
    /// Believed, signs no more.
    Retired,
    /// Its time is over.
    Expired,
    /// Held back for now.
    Suspended,
    /// No longer believed.
    Revoked,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Key {
    /// Its name, before the colon.
    pub name: String,
    /// `name:base64`, as it goes into nix.conf.
    pub public_key: String,
    /// SHA-256 of the 32 raw bytes, hex.
    pub fingerprint: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Whether it is believed.
    pub state: KeyState,
    /// Paths of this cache with a valid signature of it.
    pub paths: u64,
}

/// Something wrong in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Finding {
    /// Stable code of the check, such as `bad-narinfo`.
    pub check: String,
    /// How bad.
    pub severity: Severity,
    /// The object it is about.
    pub object: String,
    /// Line in the object, from 1.
    pub line: Option<u32>,
    /// What is wrong and why it matters.
    pub reason: String,
    /// Hash part of the path it concerns, where that path can be opened.
    pub hash: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Clients fail or crash on it.
    Error,
    /// Works, and should be looked at.
    Warning,
    /// As it should be, and told so that nobody wonders.
    Note,
}

/// The findings of a cache, with their counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Health {
    /// One entry per check that found something.
    pub checks: Vec<CheckCount>,
    /// The findings, most severe first.
    pub items: Vec<Finding>,
    /// Opaque cursor of the next page.
    pub next: Option<String>,
    /// How many there are.
    pub total: u64,
    /// State of the index that answered.
    pub revision: String,
    /// When the bucket was last swept; `null`: not yet.
    pub as_of: Option<String>,
    /// Objects of the last listing of the whole bucket; `null`: not yet.
    #[serde(default)]
    pub counted: Option<Counted>,
    /// Of the first missing NARs of this page: the closures and pins that they concern.
    #[serde(default)]
    pub affected: Vec<repair::Affected>,
    /// How many findings there were, of the check that was asked for or of all: the last 30 days on
    /// which they were counted, oldest first.
    #[serde(default)]
    pub days: Vec<DayCount>,
    /// How far the content of the cache is proven; `null`: not counted yet.
    #[serde(default)]
    pub verification: Option<verify::Verification>,
    /// Of the paths that refer to what is not here: whether an upstream has that. `null`: no upstream is
    /// configured, or they were not asked yet.
    #[serde(default)]
    pub missing: Option<MissingReferences>,
}

/// Paths that refer to what is not in the cache, by where that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MissingReferences {
    /// An upstream has signed all that they lack.
    pub upstream: u64,
    /// Something that they lack is neither here nor on an upstream.
    pub nowhere: u64,
    /// An upstream did not answer, or was not asked of all.
    pub unknown: u64,
    /// When the upstreams were asked.
    pub at: String,
}

/// How many there were on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DayCount {
    /// The day (UTC): `2026-11-23`.
    pub day: String,
    /// Findings, as they were counted last on it.
    pub count: u64,
}

/// What the last listing of the whole bucket looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Counted {
    /// Narinfos that the index holds.
    pub narinfos: u64,
    /// Objects that were listed.
    pub objects: u64,
    /// When the listing began.
    pub at: String,
}

/// How often one check found something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CheckCount {
    /// The check's code.
    pub check: String,
    /// How bad.
    pub severity: Severity,
    /// Findings.
    pub count: u64,
}

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct About {
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started_at: String,
}

/// A path's signatures, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Signatures {
    /// The full store path.
    pub path: String,
    /// What they are worth together.
    pub signature: SignatureStatus,
    /// The worst word beside a better one: an invalid or malformed signature.
    pub signature_problem: Option<SignatureStatus>,
    /// The text that each of them covers.
    pub fingerprint: String,
    /// Each of them, in the order of the narinfo.
    pub items: Vec<SignatureVerdict>,
    /// State of the index that answered.
    pub revision: String,
}
