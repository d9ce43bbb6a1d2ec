//! Who fetches what from a cache, as it crosses the wire.
//!
//! Requests are counted by hour and by day of UTC. Narinfos are counted over GET and HEAD; probes of
//! the live check, refusals (401, 403) and the dashboard itself are not. Sizes are bytes, times of
//! answering are microseconds. A step that nobody measured is `null`, never zero.
//!
//! | address below `/caches/{cache}` | answer |
//! |---|---|
//! | `/usage?from=&to=&step=` | [`Usage`]; without a range the last seven days |
//! | `/usage/paths?from=&to=` | [`UsageList`] of [`UsagePath`], most bytes first |
//! | `/usage/clients?from=&to=` | [`UsageList`] of [`UsageClient`], last seen first; not for everybody |
//! | `/usage/misses?from=&to=` | [`UsageList`] of [`UsageMiss`], most clients first |

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// How long a step of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum UsageStep {
    /// An hour.
    Hour,
    /// A day, from midnight to midnight.
    Day,
}

impl UsageStep {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Who measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UsageOrigin {
    /// This server counts what it serves.
    Own,
    /// The bucket's server access logs.
    S3Logs,
    /// The access logs of a CDN in front of the bucket.
    CdnLogs,
}

/// A time that nobody measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageGap {
    /// From when.
    pub from: String,
    /// Until when.
    pub to: String,
}

/// A source of figures and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageSource {
    /// Which.
    pub source: UsageOrigin,
    /// Whether it is set up.
    pub connected: bool,
    /// The first moment it knows of; `null` where it knows nothing.
    pub first: Option<String>,
    /// The last moment it knows of.
    pub last: Option<String>,
    /// Seconds by which it usually lags behind.
    pub lag_seconds: Option<u64>,
    /// Times between both that it does not know, oldest first, at most 100.
    pub gaps: Vec<UsageGap>,
    /// Its figures are best effort: some requests may be missing.
    pub approximate: bool,
    /// What is wrong with it, or what it lacks, in words.
    pub note: Option<String>,
}

/// What was counted in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageCounts {
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not there.
    pub misses: u64,
    /// Those of [`misses`](Self::misses) that no upstream of the cache answers.
    pub useful_misses: u64,
    /// NARs asked for.
    pub nar_requests: u64,
    /// Bytes of NARs sent.
    pub nar_bytes: u64,
    /// Answers of 4xx that are neither a miss nor a refusal.
    pub client_errors: u64,
    /// Answers of 5xx.
    pub server_errors: u64,
    /// Microseconds within which half of the narinfos were answered; `null` where none was asked for.
    pub narinfo_p50: Option<u64>,
    /// The same for 95 of 100.
    pub narinfo_p95: Option<u64>,
    /// Microseconds within which half of the NARs began to arrive.
    pub nar_p50: Option<u64>,
    /// The same for 95 of 100.
    pub nar_p95: Option<u64>,
}

/// A step of the series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageItem {
    /// When it begins.
    pub from: String,
    /// What was counted; `null`: nobody measured.
    pub counts: Option<UsageCounts>,
}

/// Something that happened meanwhile and may explain a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageEvent {
    /// When.
    pub at: String,
    /// What, in a few words: “Started”, “Garbage collection ended”, “Key rotated”.
    pub words: String,
}

/// How a cache was used in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Usage {
    /// The first moment of the range.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// How long a step is.
    pub step: UsageStep,
    /// When it was counted.
    pub as_of: String,
    /// Why nothing is known of this range; `null` where something is.
    pub not_measured: Option<String>,
    /// Who measures.
    pub sources: Vec<UsageSource>,
    /// Every step of the range, oldest first.
    pub items: Vec<UsageItem>,
    /// All steps together; `null` where none was measured.
    pub total: Option<UsageCounts>,
    /// What happened meanwhile, oldest first, at most 100.
    pub events: Vec<UsageEvent>,
    /// What was uploaded and never asked for; `null` where it was not measured for long enough.
    pub never_fetched: Option<NeverFetched>,
}

/// What was uploaded more than 30 days ago and not fetched since measuring began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NeverFetched {
    /// When measuring began.
    pub since: String,
    /// Paths.
    pub paths: u64,
    /// Their bytes as downloaded; archives that others share are counted once.
    pub bytes: u64,
}

/// A path by how much it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsagePath {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// How often its NAR was fetched.
    pub fetches: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Clients that fetched it.
    pub clients: u64,
    /// Whether nothing here refers to it: the root of a closure.
    pub root: bool,
}

/// Somebody who fetches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageClient {
    /// The label of its token, or how clients without one are grouped.
    pub name: String,
    /// Its newest version of Nix, where it says one.
    pub nix_version: Option<String>,
    /// When it asked last.
    pub last_seen: String,
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not.
    pub misses: u64,
    /// Bytes of NARs sent to it.
    pub bytes: u64,
}

/// A path that was asked for and is neither here nor on an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageMiss {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name; `null`: a request for a narinfo does not say it, and nothing here refers to it.
    pub name: Option<String>,
    /// How many clients asked for it.
    pub clients: u64,
    /// How often it was asked for.
    pub requests: u64,
    /// When it was asked for first.
    pub first: String,
    /// When it was asked for last.
    pub last: String,
    /// When it was uploaded after that.
    pub uploaded_at: Option<String>,
}

/// The most of a list, by its own order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UsageList<T> {
    /// The first rows.
    pub items: Vec<T>,
    /// How many there are.
    pub total: u64,
    /// Why nothing is known of this range; `null` where something is.
    pub not_measured: Option<String>,
}
