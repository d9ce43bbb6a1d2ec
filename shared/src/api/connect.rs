//! What the pages of Connect need beside the list of caches, and another cache that is tried.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// What the pages of Connect need of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Connect {
    /// The caches that the caller may see, by slug.
    pub caches: Vec<ConnectCache>,
}

/// What they need of one cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ConnectCache {
    /// Its name in URLs.
    pub slug: String,
    /// The address of its page below the server's `public_url`, whatever address the caller used.
    pub page: String,
    /// The bucket as a substituter of its own, `s3://…`; `null` where clients cannot read one.
    pub bucket: Option<String>,
    /// Keys that clients were told to trust once and are not any more, `name:base64`.
    pub former_keys: Vec<String>,
    /// Whether this server has the cache's secret key, which a live check needs.
    pub signs: bool,
}

/// A cache that is not of this server, to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TestCache {
    /// Its substituter URL, `https://…`.
    pub url: String,
    /// The key that signs there, `name:base64`.
    pub key: String,
    /// A store path that it has, or its hash part. Without one, paths of this server's public
    /// caches are tried that carry a signature of that key.
    #[serde(default)]
    pub path: Option<String>,
}

/// What was found at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TestedCache {
    /// Its substituter URL, as given.
    pub url: String,
    /// The key, as given.
    pub key: String,
    /// SHA-256 of the key's 32 bytes, hex.
    pub fingerprint: String,
    /// The store directory that its paths are for.
    pub store_dir: String,
    /// What its `nix-cache-info` says; the smaller is asked first, cache.nixos.org has 40.
    pub priority: i32,
    /// Whether it says that it may be asked for many paths at once.
    pub want_mass_query: bool,
    /// What the key is worth there.
    pub signature: TestedSignature,
    /// The path whose signature was looked at.
    pub path: Option<String>,
}

/// What a key is worth at a cache that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TestedSignature {
    /// A narinfo of the cache carries a signature that the key verifies.
    Valid,
    /// A signature of this name is there, and the key does not verify it.
    Invalid,
    /// The narinfo has no signature of this name.
    Unsigned,
    /// No narinfo was found to test it on.
    Untested,
}
