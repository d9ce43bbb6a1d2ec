//! Contributors' keys, as they cross the wire.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::KeyState;
use super::quarantine::Then;

/// What a contributor's key may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct KeyScope {
    /// The caches; `null`: all.
    #[serde(default)]
    pub caches: Option<Vec<String>>,
    /// Patterns of paths' names (what follows the hash), in which `*` stands for any text.
    pub names: Vec<String>,
    /// Bytes of a NAR at most; `null`: as the cache allows.
    #[serde(default)]
    pub max_nar_size: Option<u64>,
}

/// A contributor's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ContributorKey {
    /// Its name, before the colon: given once, for ever.
    pub name: String,
    /// `name:base64`.
    pub public_key: String,
    /// SHA-256 of the 32 raw bytes, hex.
    pub fingerprint: String,
    /// The member whose it is.
    pub owner: String,
    /// Whether its signatures are believed.
    pub state: KeyState,
    /// Whether its owner proved to hold it.
    pub proven: bool,
    /// Who accepted it.
    pub accepted_by: Option<String>,
    /// What it may sign; `null` where it was revoked.
    pub scope: Option<KeyScope>,
    /// Paths with a signature by this name, in all caches; 0 where they were not counted.
    #[serde(default)]
    pub paths: u64,
    /// When it was registered.
    pub created_at: Option<String>,
    /// When it ends.
    pub expires_at: Option<String>,
}

/// Registers a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RegisterKey {
    /// `name:base64`.
    pub public_key: String,
    /// What it is to sign. Who accepts the key may change it.
    pub scope: KeyScope,
    /// Days that it lives.
    #[serde(default = "a_year")]
    pub days: u16,
}

const fn a_year() -> u16 {
    365
}

/// What to sign with the key, to prove that one holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct KeyChallenge {
    /// The message, with the line end at its end: `snowbank key prove` signs it.
    pub message: String,
    /// Until when its signature is taken.
    pub expires_at: String,
}

/// A proof that one holds a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProveKey {
    /// The message of the challenge.
    pub message: String,
    /// `name:base64`: its signature.
    pub signature: String,
}

/// Accepts a key, or changes what an accepted one may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AcceptKey {
    /// What it may sign from now on.
    pub scope: KeyScope,
    /// Days that it lives from now on; `null`: as it was registered.
    #[serde(default)]
    pub days: Option<u16>,
}

/// Ends a key for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RevokeKey {
    /// `lost`, `left`, `compromised` or `superseded`.
    pub reason: String,
    /// What becomes of the paths that came in under it.
    #[serde(default)]
    pub then: Then,
    /// Only paths first seen then or later are hidden: a date or RFC 3339; `null`: all.
    #[serde(default)]
    pub since: Option<String>,
}
