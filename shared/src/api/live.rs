//! The live check: what the server saw of the machines that tried a path made for it.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// A path made for one check, and who has asked for it.
///
/// It is signed by the cache's own key and lies in the server's memory only: never in the
/// bucket, in no list and in no total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LiveCheck {
    /// Names the check: the hash part of its path.
    pub token: String,
    /// Slug of the cache.
    pub cache: String,
    /// The store path to realise on the machine: `nix-store -r PATH`.
    pub path: String,
    /// Name of the key that signed it.
    pub key: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// When it is forgotten, RFC 3339.
    pub expires_at: String,
    /// Seconds after which a machine that found the path and did not fetch it has refused it.
    pub quiet_seconds: u32,
    /// Seconds after which nobody is expected to ask any more.
    pub silence_seconds: u32,
    /// What is known as a whole.
    pub state: LiveState,
    /// The machines, the first that asked first.
    pub machines: Vec<LiveMachine>,
    /// Machines that are not listed, because there are too many.
    pub unlisted: u64,
}

/// What is known of a check as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LiveState {
    /// Nobody has asked so far.
    Waiting,
    /// Nobody has asked for longer than a machine takes: it is not configured, or ignores what is.
    NeverAsked,
    /// Somebody has asked; each machine has its own state.
    Asked,
}

/// What a machine did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// It asked which store the cache is for, and not for the path.
    Introduced,
    /// It was refused: no token, or one that is not for this cache.
    NoToken,
    /// It found the path a moment ago; whether it takes it is not known yet.
    Found,
    /// It found the path and did not fetch it: it does not trust the key.
    NotTrusted,
    /// It fetched the path.
    Works,
}

/// A machine that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LiveMachine {
    /// Its address; strangers see that of others without its end.
    pub address: String,
    /// What it says it is: `Nix 2.28.3`.
    pub client: String,
    /// What it did.
    pub state: MachineState,
    /// When it asked first, RFC 3339.
    pub first_at: String,
    /// When it asked last, RFC 3339.
    pub last_at: String,
    /// When it asked for `nix-cache-info`.
    pub cache_info_at: Option<String>,
    /// When it got the narinfo.
    pub narinfo_at: Option<String>,
    /// When it got the NAR.
    pub nar_at: Option<String>,
    /// When it was refused.
    pub refused_at: Option<String>,
    /// The status of that refusal: 401 without a valid token, 403 with one for another cache.
    pub refused_with: Option<u16>,
}
