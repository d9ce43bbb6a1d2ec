//! What kinds of records there are, and how a record is named.
//!
//! A part that keeps facts adds its kind here, to [`KINDS`], and implements [`Record`] for
//! its type. That is all: listing, sealing, refreshing, tombstones, export and rekeying work
//! on every kind alike.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A type whose values are kept in the ledger.
///
/// Its JSON is its form in the bucket for years: add fields with `#[serde(default)]`, never
/// change a field's meaning.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its kind, one of [`KINDS`].
    const KIND: Kind;

    /// After this it is as if it were not there, and may be removed without a tombstone.
    fn expires_at(&self) -> Option<OffsetDateTime> {
        None
    }
}

/// A kind of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its folder, and its name in errors, audit and exports.
    pub folder: &'static str,
    /// Whose they are.
    pub scope: ScopeKind,
    /// What it means that one does not verify, is older than one that was seen, or is gone.
    pub unverified: Unverified,
}

/// Whether a kind belongs to the server or to a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// One set of records for the whole server.
    Server,
    /// A set for each cache.
    Cache,
}

/// What it means that a record cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// It gives something to somebody: then it gives nothing.
    GrantsNothing,
    /// It holds something back: then every plan, run and purge stops until it is settled.
    StopsRuns,
}

const fn granting(folder: &'static str, scope: ScopeKind) -> Kind {
    Kind {
        folder,
        scope,
        unverified: Unverified::GrantsNothing,
    }
}

const fn holding(folder: &'static str) -> Kind {
    Kind {
        folder,
        scope: ScopeKind::Cache,
        unverified: Unverified::StopsRuns,
    }
}

/// People and their roles.
pub const MEMBERS: Kind = granting("members", ScopeKind::Server);
/// Invitations and one-time links, by the hash of their secret.
pub const INVITATIONS: Kind = granting("invitations", ScopeKind::Server);
/// Sessions of people, by the hash of their cookie.
pub const SESSIONS: Kind = granting("sessions", ScopeKind::Server);
/// Tokens of machines, by the hash of their secret.
pub const TOKENS: Kind = granting("tokens", ScopeKind::Server);
/// Rules by which CI exchanges its identity for a token.
pub const EXCHANGES: Kind = granting("exchanges", ScopeKind::Server);
/// Identity tokens that were exchanged, so that none is twice.
pub const EXCHANGED: Kind = granting("exchanged", ScopeKind::Server);
/// Contributors' keys, by the SHA-256 of the public key.
pub const CONTRIBUTORS: Kind = granting("contributors", ScopeKind::Server);
/// Names of contributors' keys, in lower case: given once, for ever.
pub const KEY_NAMES: Kind = granting("keynames", ScopeKind::Server);
/// Settings of the whole server.
pub const SERVER_SETTINGS: Kind = granting("server", ScopeKind::Server);
/// Policy and rules of a cache.
pub const SETTINGS: Kind = holding("settings");
/// Which paths may go: a cache's rules of retention.
pub const RETENTION: Kind = holding("retention");
/// What must stay.
pub const PINS: Kind = holding("pins");
/// What clients are not served, by the act that put it there.
pub const WITHHELD: Kind = holding("withheld");
/// What was taken out and stays out: tombstones only, by hash part and NAR hash.
pub const PURGED: Kind = holding("purged");
/// Frozen plans of what may go.
pub const PLANS: Kind = holding("plans");
/// Plans that are or were carried out.
pub const RUNS: Kind = holding("runs");
/// Which run of a cache acts now: one at most.
pub const TURNS: Kind = holding("turns");
/// Open upload sessions.
pub const UPLOADS: Kind = granting("uploads", ScopeKind::Cache);
/// Builds that came with other content than what is published.
pub const CONFLICTS: Kind = granting("conflicts", ScopeKind::Cache);
/// What waits for approval.
pub const APPROVALS: Kind = granting("approvals", ScopeKind::Cache);
/// What was not uploaded because an upstream has it, by day and uploader.
pub const SKIPPED: Kind = granting("skipped", ScopeKind::Cache);
/// What was counted of the traffic of a cache, by day and process.
pub const USAGE: Kind = granting("usage", ScopeKind::Cache);
/// Which paths were fetched, by day and process.
pub const FETCHED: Kind = granting("fetched", ScopeKind::Cache);
/// What access logs told of the traffic of a cache, by day.
pub const LOGGED: Kind = granting("logged", ScopeKind::Cache);
/// How far the access logs of a cache are read.
pub const LOGS: Kind = granting("logs", ScopeKind::Cache);

/// What a cache's bucket held, by day.
pub const SIZES: Kind = granting("sizes", ScopeKind::Cache);
/// What the newest S3 Inventory of a cache's bucket says.
pub const INVENTORY: Kind = granting("inventory", ScopeKind::Cache);
/// What a cache's owner pays for its bucket.
pub const PRICES: Kind = granting("prices", ScopeKind::Cache);
/// Jobs that add or remove signatures.
pub const SIGN_JOBS: Kind = granting("signjobs", ScopeKind::Cache);
/// A cache's own keys: which sign, which are retired, which are no longer believed.
pub const CACHE_KEYS: Kind = holding("cachekeys");
/// How far a cache's change from one key to another has come.
pub const ROTATIONS: Kind = granting("rotations", ScopeKind::Cache);
/// What a cache's flake held once, by the SHA-256 of its archive: lock files name it.
pub const FLAKES: Kind = granting("flakes", ScopeKind::Cache);
/// Install scripts that a cache offered once, by their SHA-256: people keep their addresses.
pub const SCRIPTS: Kind = granting("scripts", ScopeKind::Cache);
/// Keys that clients of a cache were told to trust, by the SHA-256 of their text.
pub const USED_KEYS: Kind = granting("usedkeys", ScopeKind::Cache);
/// When somebody is told of a cache's figures, and by which webhook.
pub const ALERTS: Kind = granting("alerts", ScopeKind::Cache);
/// How a cache's alerts stand, and what is still to be told.
pub const ALERT_STATES: Kind = granting("alertstates", ScopeKind::Cache);
/// How many findings a cache had, by day.
pub const HEALTH_DAYS: Kind = granting("health", ScopeKind::Cache);
/// Which process proves the content of a cache.
pub const PROVING: Kind = granting("proving", ScopeKind::Cache);

/// Every kind. A folder of records that is not of one of them was written by a newer version.
pub const KINDS: &[Kind] = &[
    MEMBERS,
    INVITATIONS,
    SESSIONS,
    TOKENS,
    EXCHANGES,
    EXCHANGED,
    CONTRIBUTORS,
    KEY_NAMES,
    SERVER_SETTINGS,
    SETTINGS,
    RETENTION,
    PINS,
    WITHHELD,
    PURGED,
    PLANS,
    RUNS,
    TURNS,
    UPLOADS,
    CONFLICTS,
    APPROVALS,
    SKIPPED,
    USAGE,
    FETCHED,
    LOGGED,
    LOGS,
    SIZES,
    INVENTORY,
    PRICES,
    SIGN_JOBS,
    CACHE_KEYS,
    ROTATIONS,
    FLAKES,
    SCRIPTS,
    USED_KEYS,
    ALERTS,
    ALERT_STATES,
    HEALTH_DAYS,
    PROVING,
];

/// Whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The server's.
    Server,
    /// That of the cache of this slug.
    Cache(&'a str),
}

/// A record's name within its kind: 1 to 128 lower-case letters, digits, `-`, `_` and `.`,
/// beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId(Box<str>);

/// A text that is no record's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record's name is 1 to 128 lower-case letters, digits, `-`, `_` and `.`")]
pub struct RecordIdError;

impl RecordId {
    /// The name of the only record of a kind in its scope, such as a cache's settings.
    pub fn only() -> Self {
        Self("this".into())
    }

    /// A fresh name of 128 random bits.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn random() -> Result<Self, crate::secrets::SecretError> {
        let bytes: [u8; 16] = crate::secrets::random()?;
        Ok(Self(super::seal::hex(&bytes).into()))
    }

    /// The name that stands for something secret or long: the SHA-256 of it, in hex.
    pub fn hash_of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(super::seal::hex(&sha2::Sha256::digest(bytes)).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<Self, RecordIdError> {
        is_name(text)
            .then(|| Self(text.into()))
            .ok_or(RecordIdError)
    }
}

impl TryFrom<String> for RecordId {
    type Error = RecordIdError;

    fn try_from(text: String) -> Result<Self, RecordIdError> {
        text.parse()
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    (1..=128).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Where a record lies below `records/`: `members/ID`, or `caches/SLUG/pins/ID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordPath(Box<str>);

/// A text that is no record's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is `KIND/NAME` or `caches/SLUG/KIND/NAME`")]
pub struct RecordPathError;

impl RecordPath {
    /// The path of a record.
    ///
    /// # Panics
    /// Where kind and scope do not belong together: a fault of the program.
    pub fn new(kind: Kind, scope: Scope<'_>, id: &RecordId) -> Self {
        Self(format!("{}{id}", Self::folder(kind, scope)).into())
    }

    /// The folder of a kind, with its slash.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub(super) fn folder(kind: Kind, scope: Scope<'_>) -> String {
        match (kind.scope, scope) {
            (ScopeKind::Server, Scope::Server) => format!("{}/", kind.folder),
            (ScopeKind::Cache, Scope::Cache(slug)) => format!("caches/{slug}/{}/", kind.folder),
            _ => panic!("`{}` is not kept in {scope:?}", kind.folder),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The record's kind; `None` where it is not one of [`KINDS`].
    pub fn kind(&self) -> Option<Kind> {
        let (cache, folder, _) = parts(&self.0)?;
        let scope = match cache {
            None => ScopeKind::Server,
            Some(_) => ScopeKind::Cache,
        };
        let known = |kind: &&Kind| kind.folder == folder && kind.scope == scope;
        KINDS.iter().find(known).copied()
    }

    /// The cache whose record it is.
    pub fn cache(&self) -> Option<&str> {
        parts(&self.0).and_then(|(cache, _, _)| cache)
    }

    /// The record's name within its kind.
    pub fn id(&self) -> RecordId {
        let id = self.0.rsplit('/').next().unwrap_or_default();
        RecordId(id.into())
    }
}

/// Cache, folder and name.
fn parts(path: &str) -> Option<(Option<&str>, &str, &str)> {
    let (cache, rest) = match path.strip_prefix("caches/") {
        Some(rest) => {
            let (slug, rest) = rest.split_once('/')?;
            (Some(slug), rest)
        }
        None => (None, path),
    };
    let (folder, id) = rest.split_once('/')?;
    let fine = is_name(folder) && is_name(id) && cache.is_none_or(is_name);
    fine.then_some((cache, folder, id))
}

impl FromStr for RecordPath {
    type Err = RecordPathError;

    fn from_str(text: &str) -> Result<Self, RecordPathError> {
        match parts(text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(RecordPathError),
        }
    }
}

impl TryFrom<String> for RecordPath {
    type Error = RecordPathError;

    fn try_from(text: String) -> Result<Self, RecordPathError> {
        text.parse()
    }
}

impl From<RecordPath> for String {
    fn from(path: RecordPath) -> Self {
        path.0.into()
    }
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_folder_of_its_own() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(is_name(kind.folder));
            // A record is deleted after its tombstone is made: a listing that goes on while
            // that happens must come to the tombstones last.
            assert!(kind.folder < "tombstones" || kind.scope == ScopeKind::Cache);
            assert!(!matches!(kind.folder, "caches" | "bulletins" | "witness"));
            assert!(
                KINDS[at + 1..]
                    .iter()
                    .all(|other| other.folder != kind.folder)
            );
        }
    }

    #[test]
    fn paths_say_whose_record_it_is() {
        let id: RecordId = "a-1".parse().expect("a name");
        let member = RecordPath::new(MEMBERS, Scope::Server, &id);
        assert_eq!(member.as_str(), "members/a-1");
        assert_eq!((member.kind(), member.cache()), (Some(MEMBERS), None));
        let pin = RecordPath::new(PINS, Scope::Cache("main"), &id);
        assert_eq!(pin.as_str(), "caches/main/pins/a-1");
        assert_eq!((pin.kind(), pin.cache()), (Some(PINS), Some("main")));
        assert_eq!(pin.id(), id);
        for bad in [
            "",
            "members",
            "members/",
            "members/A",
            "members/a/b",
            "caches/main/x",
            "a//b",
            "../a/b",
        ] {
            assert!(bad.parse::<RecordPath>().is_err(), "{bad}");
        }
        // A newer version's.
        assert_eq!("dreams/a".parse::<RecordPath>().expect("fine").kind(), None);
    }
}
