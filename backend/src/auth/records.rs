//! What the ledger keeps of people and their credentials. JSON for years: fields are added with
//! a default and never change their meaning. Times are seconds since 1970.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::access::{Grant, LinkKind, Verb};
use time::OffsetDateTime;

use crate::ledger::kind::{
    CONTRIBUTORS, EXCHANGED, EXCHANGES, INVITATIONS, KEY_NAMES, Kind, MEMBERS, Record,
    SERVER_SETTINGS, SESSIONS, TOKENS,
};

/// Now, in seconds since 1970.
pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A time in seconds since 1970 as RFC 3339.
pub fn spelled(seconds: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    time(seconds)
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn time(seconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// A person. The record's name is the member's, and is never given to anybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The roles.
    pub grants: Vec<Grant>,
    /// Who they are to the identity provider.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Whether they are kept out for now: no session and no token of theirs works.
    #[serde(default)]
    pub suspended: bool,
    /// Sessions that began at this moment or before have ended: sign-out everywhere. In
    /// milliseconds since 1970.
    #[serde(default)]
    pub signed_out_at_ms: i64,
    /// When they became a member.
    pub created_at: i64,
}

impl Record for MemberRecord {
    const KIND: Kind = MEMBERS;
}

/// Who somebody is to an identity provider. The subject, not the address: addresses are reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
}

/// A one-time link, by its id. Used, it stays until it expires, so that it works once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Of the secret.
    pub hash: String,
    /// What it is for.
    pub kind: LinkKind,
    /// The member, or the name that is proposed.
    pub name: String,
    /// The roles of a new member.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Who made it; `None`: the server, on its own machine.
    pub made_by: Option<String>,
    /// When it ends.
    pub expires_at: i64,
    /// When it was used.
    #[serde(default)]
    pub used_at: Option<i64>,
}

impl Record for LinkRecord {
    const KIND: Kind = INVITATIONS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        time(self.expires_at)
    }
}

/// A session of a browser, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Of the secret.
    pub hash: String,
    /// Whose.
    pub member: String,
    /// When it began, in milliseconds since 1970, so that a sign-out everywhere ends what began before.
    pub begun_at_ms: i64,
    /// When it ends.
    pub expires_at: i64,
}

impl Record for SessionRecord {
    const KIND: Kind = SESSIONS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        time(self.expires_at)
    }
}

/// A token, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Of the secret.
    pub hash: String,
    /// What it is called.
    pub name: String,
    /// The member whose it is.
    pub owner: Option<String>,
    /// The machine whose it is: the identity's subject.
    pub machine: Option<String>,
    /// The trust rule by which that machine got it; tokens from before this was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The caches it is for; `None`: all.
    pub caches: Option<Vec<String>>,
    /// What it can be used for.
    pub verbs: Vec<Verb>,
    /// When it was made.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
}

impl Record for TokenRecord {
    const KIND: Kind = TOKENS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        // A while longer, so that its user is told that it expired.
        time(self.expires_at.saturating_add(AFTERLIFE))
    }
}

/// Seconds that an expired token is remembered: long enough for whoever still uses it to be told so.
const AFTERLIFE: i64 = 14 * 86_400;

/// A contributor's key, by the SHA-256 of its 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributorRecord {
    /// `name:base64`.
    pub public_key: String,
    /// The member whose it is.
    pub owner: String,
    /// What it may sign.
    pub scope: KeyScope,
    /// When it was registered.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// When its owner proved to hold it.
    #[serde(default)]
    pub proven_at: Option<i64>,
    /// Who accepted it with this scope.
    #[serde(default)]
    pub accepted_by: Option<String>,
    /// When its owner retired it: what it signed stays good, and it signs no more.
    #[serde(default)]
    pub retired_at: Option<i64>,
    /// Whether it is kept out for now.
    #[serde(default)]
    pub suspended: bool,
}

impl Record for ContributorRecord {
    const KIND: Kind = CONTRIBUTORS;
}

/// What a contributor's key may sign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScope {
    /// The caches; `None`: all.
    pub caches: Option<Vec<String>>,
    /// Patterns of paths' names, in which `*` stands for any text. None: nothing.
    pub names: Vec<String>,
    /// Bytes of a NAR at most.
    #[serde(default)]
    pub max_nar_size: Option<u64>,
}

/// A key's name that was given, by the name in lower case: for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNameRecord {
    /// `name:base64`.
    pub public_key: String,
    /// The member whose it is.
    pub owner: String,
}

impl Record for KeyNameRecord {
    const KIND: Kind = KEY_NAMES;
}

/// Which machines get which tokens, by the rule's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustRecord {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// Claims and their patterns.
    pub claims: BTreeMap<String, String>,
    /// The caches of the tokens; `None`: all.
    pub caches: Option<Vec<String>>,
    /// What the tokens can be used for.
    pub verbs: Vec<Verb>,
    /// Who made the rule.
    pub made_by: String,
    /// When.
    pub created_at: i64,
}

impl Record for TrustRecord {
    const KIND: Kind = EXCHANGES;
}

/// An identity that was exchanged, by the digest of issuer and `jti`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangedRecord {
    /// When the identity ends by itself.
    pub expires_at: i64,
}

impl Record for ExchangedRecord {
    const KIND: Kind = EXCHANGED;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        time(self.expires_at)
    }
}

/// Settings of the server that owners change while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsRecord {
    /// Days that a session lives which began with a link.
    pub session_days: u16,
    /// Days that a token may live.
    pub token_days: u16,
    /// Whether the audit notes the addresses that acts came from.
    pub note_addresses: bool,
}

impl Default for SettingsRecord {
    fn default() -> Self {
        Self {
            session_days: 30,
            token_days: 366,
            note_addresses: true,
        }
    }
}

impl Record for SettingsRecord {
    const KIND: Kind = SERVER_SETTINGS;
}
