//! What a bucket holds and costs, as it crosses the wire.
//!
//! Sizes are bytes of objects as billed, but for those called unpacked: bytes of NARs. Money is in
//! millionths of the currency's unit, so that it is added without loss. Days are of UTC. What could
//! not be asked of the bucket is `null`, never zero.
//!
//! `/caches/{cache}/storage?from=2026-11-01&to=2026-11-23` answers with [`Storage`]; both days are
//! included, and only [`days`](Storage::days) depends on them.

use serde::{Deserialize, Serialize};

use super::usage::UsageEvent;

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// What an object of the bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ObjectClass {
    /// Archives.
    Nar,
    /// Narinfos.
    Narinfo,
    /// Listings of archives: `.ls`.
    Listing,
    /// Build logs.
    Log,
    /// Debug information.
    Debuginfo,
    /// Realisations of content-addressed derivations.
    Realisation,
    /// What this server keeps there.
    State,
    /// Anything else.
    Other,
    /// Parts of uploads that were never finished.
    Unfinished,
    /// Old versions of objects.
    OldVersions,
}

/// All objects of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ClassSize {
    /// Which class.
    pub class: ObjectClass,
    /// How many; `null` where the bucket could not be asked.
    pub objects: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Why they are not known, or from which older listing they are.
    pub unknown: Option<String>,
}

/// All distinct NARs compressed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CodecSize {
    /// The narinfo's `Compression`.
    pub compression: String,
    /// NARs.
    pub nars: u64,
    /// Their bytes as stored.
    pub stored: u64,
    /// Their bytes unpacked.
    pub unpacked: u64,
}

/// A NAR that several paths have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SharedNar {
    /// Its URL as the narinfos have it.
    pub url: String,
    /// Its bytes.
    pub bytes: u64,
    /// How many narinfos name it.
    pub paths: u64,
}

/// What a bucket held at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SizeDay {
    /// The day: `2026-11-23`.
    pub day: String,
    /// By class.
    pub classes: Vec<ClassSize>,
    /// Bytes unpacked of its distinct NARs.
    pub unpacked: u64,
    /// Bytes that came on this day; `null` where the day before was not measured.
    pub added: Option<u64>,
}

/// Who or what made a cache grow, over the last 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct GrowthShare {
    /// The uploader's or the package's name.
    pub name: String,
    /// Paths that came.
    pub paths: u64,
    /// Their bytes as stored.
    pub bytes: u64,
}

/// When a quota is reached if it goes on like in the last 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Forecast {
    /// Bytes a day, the slower and the faster quarter.
    pub slow: u64,
    /// The faster one.
    pub fast: u64,
    /// The quota, where there is one.
    pub quota: Option<u64>,
    /// The day on which it is reached at the faster pace; `null`: not within ten years.
    pub soonest: Option<String>,
    /// The day at the slower one.
    pub latest: Option<String>,
}

/// What an owner pays. In millionths of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Prices {
    /// The currency, as it is shown: `$`, `EUR`.
    pub currency: String,
    /// A GB (10⁹ bytes) kept for a month.
    pub gb_month: u64,
    /// A thousand GETs.
    pub get_1000: u64,
    /// A thousand PUTs and LISTs.
    pub put_1000: u64,
    /// A GB sent out.
    pub egress_gb: u64,
    /// The revision that was read: a change of another one is refused.
    pub revision: u64,
}

/// How a fact about a bucket is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FactState {
    /// Well.
    Ok,
    /// To be looked at.
    Warn,
    /// The bucket could not be asked.
    Unknown,
}

/// What the bucket itself does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BucketFact {
    /// What it is about: “Versioning”.
    pub name: String,
    /// How it is to be taken.
    pub state: FactState,
    /// What is so.
    pub words: String,
    /// What to do about it; `null` where nothing has to be done.
    pub remedy: Option<String>,
}

/// What a cache holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Storage {
    /// When the bucket was listed whole; `null`: not yet.
    pub as_of: Option<String>,
    /// By class.
    pub classes: Vec<ClassSize>,
    /// All objects together, in bytes.
    pub stored: u64,
    /// Bytes unpacked of the distinct NARs.
    pub unpacked: u64,
    /// By compression.
    pub codecs: Vec<CodecSize>,
    /// Bytes that need not be kept because paths share NARs.
    pub saved: u64,
    /// The NARs that save most, at most 50.
    pub shared: Vec<SharedNar>,
    /// What it held day by day in the range, oldest first; days that nobody measured are left out.
    pub days: Vec<SizeDay>,
    /// What happened on these days, oldest first.
    #[serde(default)]
    pub events: Vec<UsageEvent>,
    /// Who uploaded most lately, at most 20.
    pub uploaders: Vec<GrowthShare>,
    /// Which packages grew most lately, at most 20.
    pub packages: Vec<GrowthShare>,
    /// How it goes on; `null` where fewer than seven days are known.
    pub forecast: Option<Forecast>,
    /// The owner's prices; `null` where none are set.
    pub prices: Option<Prices>,
    /// What the bucket itself does.
    pub facts: Vec<BucketFact>,
}
