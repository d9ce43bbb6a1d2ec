//! From a request's headers to a [`Caller`], by what the ledger says of their credential.
//!
//! A lookup takes no request and no lock: the ledger's view is in memory, at most seconds old. A
//! credential that is well formed and not there may have been made by another replica a moment
//! ago: [`Access::patient_caller`] looks into the bucket then, once a second at most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::caller::{Caller, MemberCaller, Stranger, TokenCaller};
use super::cookie::Cookies;
use super::credential::{Credential, Kind};
use super::limits::{PerAddress, PerToken, QUERIES, SIGN_IN};
use super::oidc::issuer::Issuers;
use super::origin::{self, ForeignOrigin};
use super::permission;
use super::records::{MemberRecord, SessionRecord, SettingsRecord, TokenRecord, now};
use crate::config::{Config, OidcConfig, PublicUrl};
use crate::ledger::kind::{SESSIONS, TOKENS};
use crate::ledger::{Entry, Ledger, RecordId, Scope, View};
use crate::outbound::{Outbound, Policy};
use crate::secrets::{SecretError, StateKey, StateSecret};

/// Between two looks into the bucket for a credential that another replica may have made.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Tokens whose last use is remembered.
const MOST_USED: usize = 100_000;
/// Bytes of an `Authorization` header.
const LONGEST: usize = 4096;

/// Everything that decides who is asking.
pub struct Access {
    pub(super) ledger: Ledger,
    pub(super) secret: StateSecret,
    pub(super) oidc: Option<OidcConfig>,
    pub(super) issuers: Issuers,
    pub(super) public_url: PublicUrl,
    pub(super) cache_url: PublicUrl,
    /// Slugs of the caches there are.
    pub(super) caches: Vec<String>,
    /// Our cookies.
    pub cookies: Cookies,
    /// Calls that owners configure.
    pub outbound: Outbound,
    /// Calls that a member asks for: to the open internet only, whatever the owner has listed.
    pub outbound_for_members: Outbound,
    /// How often an address may try to sign in.
    pub sign_ins: PerAddress,
    /// How often an address may ask what computes.
    pub queries: PerAddress,
    /// How many requests of a token run at once.
    pub turns: PerToken,
    used: Mutex<HashMap<String, i64>>,
    looked: Mutex<Option<Instant>>,
}

/// Who does something, for the audit.
#[derive(Debug, Clone)]
pub struct By {
    /// As [`Caller::actor`] names them.
    pub actor: String,
    /// How they came: `web`, `api`, `oidc`, `link`, `cli`.
    pub via: &'static str,
    /// The request, for the log.
    pub request: String,
    /// The address they came from.
    pub address: Option<IpAddr>,
}

impl Access {
    /// Over a ledger.
    pub fn new(
        ledger: Ledger,
        secret: StateSecret,
        config: &Config,
        public_url: &PublicUrl,
        cache_url: &PublicUrl,
    ) -> Self {
        let outbound = Outbound::new(Policy::new(&config.outbound_allow));
        Self {
            ledger,
            secret,
            oidc: config.oidc.clone(),
            issuers: Issuers::new(outbound.clone()),
            public_url: public_url.clone(),
            cache_url: cache_url.clone(),
            caches: config
                .caches
                .iter()
                .map(|cache| cache.slug.to_string())
                .collect(),
            cookies: Cookies::of(public_url),
            outbound,
            outbound_for_members: Outbound::new(Policy::default()),
            sign_ins: PerAddress::new(SIGN_IN),
            queries: PerAddress::new(QUERIES),
            turns: PerToken::default(),
            used: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// The ledger behind it.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A fresh owner link.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn owner_link(&self) -> Result<String, SecretError> {
        super::links::owner_link(&self.secret, &self.public_url).map(|(link, _)| link)
    }

    /// A word that only this server can say of some bytes, 26 characters of nix32: it tells nobody
    /// what they are.
    pub fn mark(&self, what: &[u8]) -> String {
        mark_by(&self.secret.keys()[0], what)
    }

    /// Whether a word is the one of these bytes, by any of the secret's keys.
    pub fn is_mark(&self, word: &str, what: &[u8]) -> bool {
        let mut keys = self.secret.keys().iter();
        keys.any(|key| super::credential::same(mark_by(key, what).as_bytes(), word.as_bytes()))
    }

    /// What is known of issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// The identity provider at which people sign in.
    pub fn provider(&self) -> Option<&OidcConfig> {
        self.oidc.as_ref()
    }

    /// Whether a request may change something, as far as the page goes that it comes from: a browser
    /// sends our cookie along from whatever page asks it to.
    ///
    /// # Errors
    /// Where it is unsafe and not from a page of ours.
    pub fn from_our_page(&self, request: &Parts) -> Result<(), ForeignOrigin> {
        let has_session = self.cookies.session(&request.headers).is_some();
        origin::check(
            &request.method,
            &request.headers,
            &self.public_url,
            has_session,
        )
    }

    /// Who sent these headers. Credentials that nothing can be made of leave the caller a
    /// stranger: a public cache answers a client whose netrc names another server's password.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        // Who names a credential outright means that one, whatever cookies the browser adds.
        let found = match headers.get(AUTHORIZATION) {
            Some(value) => match token_of(value.as_bytes()) {
                Some(token) => self.by_token(&token),
                None => Err(Stranger::Unknown),
            },
            None => match self.cookies.session(headers) {
                Some(text) => self.by_session(text),
                None => Err(Stranger::NoCredential),
            },
        };
        found.unwrap_or_else(Caller::Stranger)
    }

    /// The same; for a credential that is not known it looks into the bucket first.
    pub async fn patient_caller(&self, headers: &HeaderMap) -> Caller {
        let caller = self.caller(headers);
        if !matches!(caller, Caller::Stranger(Stranger::Unknown)) || !self.may_look_again() {
            return caller;
        }
        match self.ledger.look().await {
            Ok(()) => self.caller(headers),
            Err(error) => {
                tracing::warn!(%error, "the state cannot be read for a credential that is not known");
                caller
            }
        }
    }

    fn may_look_again(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }

    fn by_token(&self, text: &str) -> Result<Caller, Stranger> {
        let credential = Credential::parse(Kind::Token, text).map_err(|_| Stranger::Unknown)?;
        let id: RecordId = credential.id().parse().map_err(|_| Stranger::Unknown)?;
        let view = self.ledger.view();
        let Some(token) = view.get::<TokenRecord>(Scope::Server, &id) else {
            return Err(match view.tombstone(TOKENS, Scope::Server, &id) {
                Some(_) => Stranger::Ended,
                None => self.unknown(),
            });
        };
        if !credential.is(&token.hash) {
            return Err(Stranger::Unknown);
        }
        let now = now();
        if token.expires_at <= now {
            return Err(Stranger::Expired);
        }
        let owner_grants = match &token.owner {
            None => None,
            Some(owner) => match member(&view, owner) {
                Some(member) if !member.suspended => Some(member.grants.clone()),
                _ => return Err(Stranger::Ended),
            },
        };
        self.note_use(credential.id(), now);
        Ok(Caller::token(TokenCaller {
            id: credential.id().to_owned(),
            owner: token.owner.clone(),
            machine: token.machine.clone(),
            rule: token.rule.clone(),
            verbs: token.verbs.clone(),
            caches: token.caches.clone(),
            owner_grants,
            expires_at: token.expires_at,
        }))
    }

    fn by_session(&self, text: &str) -> Result<Caller, Stranger> {
        let credential = Credential::parse(Kind::Session, text).map_err(|_| Stranger::Unknown)?;
        let id: RecordId = credential.id().parse().map_err(|_| Stranger::Unknown)?;
        let view = self.ledger.view();
        let Some(session) = view.get::<SessionRecord>(Scope::Server, &id) else {
            return Err(match view.tombstone(SESSIONS, Scope::Server, &id) {
                Some(_) => Stranger::Ended,
                None => self.unknown(),
            });
        };
        if !credential.is(&session.hash) {
            return Err(Stranger::Unknown);
        }
        if session.expires_at <= now() {
            return Err(Stranger::Expired);
        }
        match member(&view, &session.member) {
            Some(member) if is_open(&session, &member) => Ok(Caller::member(MemberCaller {
                name: session.member.clone(),
                grants: member.grants.clone(),
                session: credential.id().to_owned(),
                expires_at: session.expires_at,
            })),
            _ => Err(Stranger::Ended),
        }
    }

    /// A credential that is not there, or that we cannot see.
    fn unknown(&self) -> Stranger {
        match self.ledger.freshness() {
            crate::ledger::Freshness::Never => Stranger::Unavailable,
            _ => Stranger::Unknown,
        }
    }

    fn note_use(&self, token: &str, now: i64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = used.get_mut(token) {
            *last = now;
            return;
        }
        if used.len() >= MOST_USED {
            used.clear();
        }
        used.insert(token.to_owned(), now);
    }

    /// When a token was last used with this replica.
    pub(super) fn last_used(&self, token: &str) -> Option<i64> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(token).copied()
    }

    /// Members who own the server, by name: who can help.
    pub fn owners(&self) -> Vec<String> {
        self.ledger
            .view()
            .list::<MemberRecord>(Scope::Server)
            .filter(|member| !member.suspended && permission::owns_server(&member.grants))
            .map(|member| member.id.as_str().to_owned())
            .collect()
    }

    /// The settings of the server.
    pub fn settings(&self) -> Arc<SettingsRecord> {
        let view = self.ledger.view();
        view.get::<SettingsRecord>(Scope::Server, &RecordId::only())
            .map_or_else(Arc::default, |entry| entry.record)
    }
}

/// The word of some bytes by one key.
fn mark_by(key: &StateKey, what: &[u8]) -> String {
    let code = super::credential::code(key, b"snowbank-mark-v1\0", what);
    snowbank_shared::hash::nix32::encode(&code[..16])
}

/// A member by name.
pub(super) fn member(view: &View, name: &str) -> Option<Entry<MemberRecord>> {
    view.get(Scope::Server, &name.parse().ok()?)
}

/// Whether neither the member was kept out nor signed out everywhere since.
pub(super) fn is_open(session: &SessionRecord, member: &MemberRecord) -> bool {
    !member.suspended && session.begun_at_ms > member.signed_out_at_ms
}

/// The token in an `Authorization` header: a bearer, or the password of Basic; the login may be
/// anything. As netrc has it, or as `https://token@host/` makes curl send it.
fn token_of(value: &[u8]) -> Option<String> {
    if value.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD
        .decode(rest)
        .or_else(|_| STANDARD_NO_PAD.decode(rest))
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (login, password) = decoded.split_once(':')?;
    let token = if password.is_empty() { login } else { password };
    Some(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::token_of;

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        let of = |text: &str| token_of(text.as_bytes());
        assert_eq!(of("Bearer snb_x"), Some("snb_x".into()));
        assert_eq!(of("bearer  snb_x "), Some("snb_x".into()));
        // "ci:snb_x", "snb_x:"
        assert_eq!(of("Basic Y2k6c25iX3g="), Some("snb_x".into()));
        assert_eq!(of("Basic Y2k6c25iX3g"), Some("snb_x".into()));
        assert_eq!(of("Basic c25iX3g6"), Some("snb_x".into()));
        for nonsense in ["", "Basic", "Basic !!", "Digest x", "Basic /w==", "snb_x"] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
        assert_eq!(token_of(&[b'a'; 5000]), None);
        assert_eq!(token_of(b"Bearer \xff"), None);
    }
}
