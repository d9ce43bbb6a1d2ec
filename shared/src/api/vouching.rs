//! Who vouches for what: the keys that signed here, how much of a cache each of them covers, and
//! what a machine that trusts some keys would accept.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{Key, KeyPurpose, KeyState, SignatureStatus};

/// A name under which paths of a cache are signed, and what rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Signer {
    /// The name, as `Sig` lines have it.
    pub name: String,
    /// The known keys of that name: none where nobody knows one, several where names clash.
    pub keys: Vec<Key>,
    /// The member who holds it; `null` where it is nobody's, or where the caller is not told.
    #[serde(default)]
    pub owner: Option<String>,
    /// When it ends by itself; `null`: never, or not known.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Paths with a `Sig` line of that name.
    pub lines: u64,
    /// Paths with a signature of that name that passes the check.
    pub paths: u64,
    /// Their NarSizes together, bytes.
    pub nar_size: u64,
    /// Of these the paths for which nothing else vouches: no other known key passes, and they are
    /// not content-addressed.
    pub only_paths: u64,
    /// Their NarSizes together, bytes.
    pub only_nar_size: u64,
    /// Paths with a signature of that name that fails the check.
    pub invalid: u64,
    /// When the first of `paths` was first seen.
    pub first_at: Option<String>,
    /// When the last of `paths` was first seen.
    pub last_at: Option<String>,
}

/// By what a cache is cut into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CoverageBy {
    /// What each pin keeps; pins may share paths.
    Pin,
    /// The name before the version.
    Package,
    /// Who put it here, by the receipts of this server.
    Uploader,
    /// The month in which it was first seen, UTC: `2026-11`.
    Month,
}

impl CoverageBy {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Pin, Self::Package, Self::Uploader, Self::Month];

    /// The word of the API and of URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Package => "package",
            Self::Uploader => "uploader",
            Self::Month => "month",
        }
    }
}

/// How much of a cache each key vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Coverage {
    /// What a row is.
    pub by: CoverageBy,
    /// The columns of keys: what is known by name, the cache's own first; at most 60.
    pub keys: Vec<CoverageKey>,
    /// The columns of paths for which no key vouches, by the path's word.
    pub words: Vec<SignatureStatus>,
    /// The whole cache.
    pub total: CoverageRow,
    /// The rows with most paths; months the latest first.
    pub items: Vec<CoverageRow>,
    /// How many rows there are.
    pub rows: u64,
    /// State of the index that answered.
    pub revision: String,
    /// False while the first index of the cache is still being built.
    pub complete: bool,
}

/// A column of [`Coverage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CoverageKey {
    /// The key's name.
    pub name: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Whether it is believed.
    pub state: KeyState,
}

/// A row of [`Coverage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CoverageRow {
    /// The pin, the package, the uploader (`-`: no receipt says who) or the month; empty for the
    /// whole cache.
    pub name: String,
    /// All paths of the row. Its `closures` are those that this cache has whole.
    pub all: CoverageSum,
    /// For each key what it vouches for.
    pub keys: Vec<CoverageSum>,
    /// For each word the paths that have it. No closure counts there.
    pub words: Vec<CoverageSum>,
}

/// Paths, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CoverageSum {
    /// Paths with a signature that passes.
    pub paths: u64,
    /// Their NarSizes together, bytes.
    pub nar_size: u64,
    /// Paths of the row whose whole closure is here, each path of it signed by the key or
    /// content-addressed.
    pub closures: u64,
    /// Paths with a signature of the key that fails the check.
    pub invalid: u64,
}

/// What a machine that trusts some keys would accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Acceptance {
    /// The keys that count, in their order.
    pub keys: Vec<TrustedKey>,
    /// Hash part of the path whose closure was judged; `null`: the whole cache.
    pub path: Option<String>,
    /// Paths judged.
    pub paths: u64,
    /// Paths that the machine accepts with all of `keys` but the dropped ones.
    pub accepted: u64,
    /// Paths that it refuses; where keys are dropped, those that it accepts with them.
    pub refused: u64,
    /// NarSizes of the refused paths together, bytes.
    pub refused_nar_size: u64,
    /// Where keys are dropped: paths that it refuses with them, too.
    pub refused_anyway: u64,
    /// Paths that were not judged: their signatures have to be checked one by one, and there are
    /// too many.
    pub unchecked: u64,
    /// References that this cache lacks: the machine looks for them elsewhere.
    pub missing: u64,
    /// Paths that could be had whole before and cannot any more, because their closure holds a
    /// refused path.
    pub broken_closures: u64,
    /// Pins whose newest path is among them.
    pub pins: Vec<RefusedPin>,
    /// The refused paths by name, at most 200.
    pub items: Vec<RefusedPath>,
    /// State of the index that answered.
    pub revision: String,
    /// False while the first index of the cache is still being built.
    pub complete: bool,
}

/// A key of a trust set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TrustedKey {
    /// Its name.
    pub name: String,
    /// `name:base64`.
    pub public_key: String,
    /// It is left out on purpose, to see what that breaks.
    pub dropped: bool,
    /// An earlier key has its name: Nix passes it over, silently.
    pub passed_over: bool,
}

/// A pin that a machine cannot have whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RefusedPin {
    /// The pin.
    pub name: String,
    /// Its newest revision.
    pub revision: u64,
    /// Refused paths of that closure.
    pub refused: u64,
    /// Paths of that closure.
    pub paths: u64,
}

/// A path that a machine refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RefusedPath {
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// What its signatures are worth here.
    pub signature: SignatureStatus,
    /// Names of the keys in its `Sig` lines.
    pub signers: Vec<String>,
}
