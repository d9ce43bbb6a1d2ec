//! How a contributor's key comes to be and ends.
//!
//! ```text
//!  register ──▶ prove ──▶ accept ──▶ active ──▶ expired, retired, suspended ◀──▶ active
//!  (its owner)  (its     (Owner, or                └──▶ revoked, for good
//!               owner)    Maintainer of its caches)
//! ```
//!
//! Who registers says what the key is to sign; who accepts decides it. Whoever may publish runs code
//! on every machine that trusts the cache, so `*` is nothing that a contributor gives to itself.
//!
//! The nonce of a challenge is a time and a code over it and the key, made with the state secret: any
//! replica can check it, and nothing is kept for who asks. A proof can do one thing, once: say that
//! the key is held.

use snowbank_shared::api::access::Act;
use snowbank_shared::api::contributors::{
    self as wire, AcceptKey, ContributorKey, KeyChallenge, ProveKey, RegisterKey,
};
use snowbank_shared::api::{KeyState, Visibility};
use snowbank_shared::hash::nix32;
use snowbank_shared::key_proof::KeyProof;
use snowbank_shared::signature::{PublicKey, Signature, UPSTREAM_KEYS};

use super::access::{Access, By};
use super::caller::{Caller, MemberCaller};
use super::contributors::{Contributor, key_id, name_id};
use super::credential::{code, same};
use super::error::AccessError;
use super::key_values;
use super::permission::{self, On};
use super::records::{ContributorRecord, KeyNameRecord, KeyScope, now, spelled};
use crate::ledger::kind::CONTRIBUTORS;
use crate::ledger::{LedgerError, Scope};

/// Seconds that a challenge lives.
const CHALLENGE: i64 = 15 * 60;
/// Keys of one member that are not revoked.
const MOST_KEYS: usize = 50;
/// Why a key may be revoked.
pub const REASONS: [&str; 4] = ["lost", "left", "compromised", "superseded"];
/// What the code in a nonce is for, so that it is one of nothing else.
const PURPOSE: &[u8] = b"snowbank key proof\0";

impl Access {
    /// The keys that the caller may see: all for those who accept and audit them, else their own.
    pub fn contributors_for(&self, caller: &MemberCaller) -> Vec<ContributorKey> {
        let whole = Caller::member(caller.clone());
        let all = self
            .caches
            .iter()
            .any(|slug| permission::may(&whole, Act::Maintain, on(slug)).is_ok())
            || permission::may(&whole, Act::ReadWholeAudit, On::Server).is_ok();
        self.contributors()
            .iter()
            .filter(|contributor| all || contributor.owner == caller.name)
            .map(describe)
            .collect()
    }

    /// Registers a key for a member.
    ///
    /// # Errors
    /// Where its name or the key is taken, or a value cannot be.
    pub async fn register_key(
        &self,
        owner: &str,
        asked: &RegisterKey,
        reserved: &[String],
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let key: PublicKey = asked.public_key.trim().parse().map_err(|error| {
            AccessError::Bad(format!("This is no public key: {error}. It is one line, `name:base64`, as `nix key convert-secret-to-public` prints it."))
        })?;
        key_values::check_name(key.name())?;
        let scope = key_values::scope(&asked.scope, &self.caches)?;
        if scope
            .names
            .iter()
            .any(|glob| key_values::is_everything(glob))
        {
            return Err(AccessError::Bad(
                "Name what the key is to sign, such as `myapp-*`: who accepts it can widen that to `*`.".into(),
            ));
        }
        let days = key_values::days(asked.days)?;
        let upstream = UPSTREAM_KEYS
            .iter()
            .filter_map(|text| text.split(':').next());
        if upstream
            .chain(reserved.iter().map(String::as_str))
            .any(|name| name.eq_ignore_ascii_case(key.name()))
        {
            return Err(AccessError::NameTaken(key.name().to_owned()));
        }
        let own = self.contributors();
        let own = own
            .iter()
            .filter(|known| known.owner == owner && known.state != KeyState::Revoked);
        if own.count() >= MOST_KEYS {
            return Err(AccessError::Bad(format!(
                "You have {MOST_KEYS} keys: revoke some first."
            )));
        }
        let registered = || {
            AccessError::Bad(
                "This key is registered already, or was once: one key is one person's, and a revoked one does not come back. Make another.".into(),
            )
        };
        let view = self.ledger.view();
        let there = view.get::<ContributorRecord>(Scope::Server, &key_id(&key));
        // Who never proved to hold it keeps nobody from it who does.
        let claimed = there
            .as_ref()
            .is_some_and(|there| there.proven_at.is_none() && there.owner != owner);
        if there.is_some() && !claimed
            || view
                .tombstone(CONTRIBUTORS, Scope::Server, &key_id(&key))
                .is_some()
        {
            return Err(registered());
        }
        self.reserve_name(&key, owner, by).await?;
        let fresh = ContributorRecord {
            public_key: key.to_string(),
            owner: owner.to_owned(),
            scope,
            created_at: now(),
            expires_at: now() + days,
            proven_at: None,
            accepted_by: None,
            retired_at: None,
            suspended: false,
        };
        match self
            .ledger
            .create(Scope::Server, &key_id(&key), &by.actor, fresh.clone())
            .await
        {
            Ok(_) => {}
            Err(LedgerError::Exists(_)) if claimed => {
                let taking = |there: &ContributorRecord| match there.proven_at {
                    None => Ok(fresh.clone()),
                    Some(_) => Err(registered()),
                };
                self.ledger
                    .update(Scope::Server, &key_id(&key), &by.actor, taking)
                    .await?;
            }
            Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => return Err(registered()),
            Err(error) => return Err(error.into()),
        }
        self.note(by, "key.register", key.name(), &[("key", key.to_string())])
            .await;
        self.key_described(key.name())
    }

    /// Gives a key's name to it, for ever. The same once more does nothing: the last time broke off
    /// after the name.
    async fn reserve_name(&self, key: &PublicKey, owner: &str, by: &By) -> Result<(), AccessError> {
        let taken = || AccessError::NameTaken(key.name().to_owned());
        let id = name_id(key.name()).ok_or_else(taken)?;
        let name = KeyNameRecord {
            public_key: key.to_string(),
            owner: owner.to_owned(),
        };
        let made = self
            .ledger
            .create(Scope::Server, &id, &by.actor, name.clone())
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(LedgerError::Exists(_)) => {
                let view = self.ledger.view();
                match view.get::<KeyNameRecord>(Scope::Server, &id) {
                    Some(there) if *there.record == name => Ok(()),
                    _ => Err(taken()),
                }
            }
            Err(LedgerError::Buried(_)) => Err(taken()),
            Err(error) => Err(error.into()),
        }
    }

    /// What to sign with a key, to prove that one holds it.
    ///
    /// # Errors
    /// Where the key is not this member's.
    pub fn key_challenge(&self, name: &str, owner: &str) -> Result<KeyChallenge, AccessError> {
        let known = self.owned(name, owner)?;
        let expires = now() + CHALLENGE;
        Ok(KeyChallenge {
            message: self.proof_of(&known.key, expires).to_string(),
            expires_at: spelled(expires),
        })
    }

    fn proof_of(&self, key: &PublicKey, expires: i64) -> KeyProof {
        let what = [&expires.to_le_bytes(), key.to_string().as_bytes()].concat();
        let code = nix32::encode(&code(&self.secret.keys()[0], PURPOSE, &what)[..20]);
        KeyProof {
            origin: self.public_url.origin().to_owned(),
            key: key.clone(),
            nonce: format!("{expires}-{code}"),
        }
    }

    /// Takes a proof. Where its owner could accept the key as well, it is accepted with it.
    ///
    /// # Errors
    /// Where the message is not a challenge of this server, or not signed by the key.
    pub async fn prove_key(
        &self,
        name: &str,
        caller: &MemberCaller,
        proof: &ProveKey,
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let known = self.owned(name, &caller.name)?;
        let bad = |text: &str| AccessError::Bad(text.to_owned());
        let message: KeyProof = proof.message.parse().map_err(|error| {
            AccessError::Bad(format!("This is not the message to sign: {error}."))
        })?;
        let expires: i64 = message
            .nonce
            .split_once('-')
            .and_then(|(at, _)| at.parse().ok())
            .ok_or_else(|| bad("This is not a challenge of this server."))?;
        let ours = self.proof_of(&known.key, expires).to_string();
        if !same(ours.as_bytes(), message.to_string().as_bytes()) {
            return Err(bad(
                "This is not a challenge of this server for this key: ask for a fresh one.",
            ));
        }
        if expires < now() {
            return Err(bad("This challenge has expired: ask for a fresh one."));
        }
        let signature: Signature = proof
            .signature
            .trim()
            .parse()
            .map_err(|error| AccessError::Bad(format!("This is no signature: {error}.")))?;
        let signs = signature.key_name() == name
            && known
                .key
                .verifies(message.to_string().as_bytes(), signature.bytes());
        if !signs {
            return Err(bad(
                "The signature is not by this key: was the right secret key file used?",
            ));
        }
        let accepts = known
            .record
            .as_ref()
            .is_some_and(|record| self.may_accept(caller, &record.scope).is_ok());
        let actor = by.actor.clone();
        self.change(&known.key, by, "key.prove", move |record| {
            record.proven_at.get_or_insert(now());
            if accepts && record.accepted_by.is_none() {
                record.accepted_by = Some(actor.clone());
            }
        })
        .await
    }

    /// Accepts a key with a scope, or gives an accepted one another.
    ///
    /// # Errors
    /// Where the caller maintains not all its caches, or it was revoked.
    pub async fn accept_key(
        &self,
        name: &str,
        caller: &MemberCaller,
        asked: &AcceptKey,
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let known = self.known(name)?;
        let scope = key_values::scope(&asked.scope, &self.caches)?;
        self.may_accept(caller, &scope)?;
        if let Some(record) = &known.record {
            self.may_accept(caller, &record.scope)?;
        }
        let expires = asked
            .days
            .map(key_values::days)
            .transpose()?
            .map(|days| now() + days);
        let actor = by.actor.clone();
        self.change(&known.key, by, "key.accept", move |record| {
            record.scope = scope.clone();
            record.expires_at = expires.unwrap_or(record.expires_at);
            record.accepted_by = Some(actor.clone());
        })
        .await
    }

    /// Keeps a key out for now, or lets it in again.
    ///
    /// # Errors
    /// As [`Self::accept_key`].
    pub async fn suspend_key(
        &self,
        name: &str,
        caller: &MemberCaller,
        suspended: bool,
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let known = self.known(name)?;
        if let Some(record) = &known.record {
            self.may_accept(caller, &record.scope)?;
        }
        let act = if suspended {
            "key.suspend"
        } else {
            "key.resume"
        };
        self.change(&known.key, by, act, move |record| {
            record.suspended = suspended;
        })
        .await
    }

    /// Retires a key: what it signed stays good, and it signs no more.
    ///
    /// # Errors
    /// Where it is neither the caller's nor one that the caller could accept.
    pub async fn retire_key(
        &self,
        name: &str,
        caller: &MemberCaller,
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let known = self.ends(name, caller)?;
        self.change(&known.key, by, "key.retire", |record| {
            record.retired_at.get_or_insert(now());
        })
        .await
    }

    /// Revokes a key, for good: its signatures are believed no more, and neither it nor its name
    /// comes back.
    ///
    /// # Errors
    /// As [`Self::retire_key`], and where the reason is none that there is.
    pub async fn revoke_key(
        &self,
        name: &str,
        caller: &MemberCaller,
        reason: &str,
        by: &By,
    ) -> Result<ContributorKey, AccessError> {
        let known = self.ends(name, caller)?;
        if !REASONS.contains(&reason) {
            return Err(AccessError::Bad(format!(
                "Say why: {}.",
                REASONS.join(", ")
            )));
        }
        if known
            .record
            .as_ref()
            .is_some_and(|record| record.proven_at.is_none())
        {
            return Err(AccessError::Bad(
                "Nobody has proven to hold this key: it signs nothing, and there is nothing to revoke. Retire it.".into(),
            ));
        }
        self.ledger
            .tombstone(
                CONTRIBUTORS,
                Scope::Server,
                &key_id(&known.key),
                &by.actor,
                reason,
            )
            .await?;
        self.note(by, "key.revoke", name, &[("reason", reason.to_owned())])
            .await;
        self.key_described(name)
    }

    async fn change(
        &self,
        key: &PublicKey,
        by: &By,
        act: &'static str,
        change: impl Fn(&mut ContributorRecord) + Send + Sync,
    ) -> Result<ContributorKey, AccessError> {
        let changed = self
            .ledger
            .update(
                Scope::Server,
                &key_id(key),
                &by.actor,
                |record: &ContributorRecord| {
                    let mut record = record.clone();
                    change(&mut record);
                    Ok::<_, LedgerError>(record)
                },
            )
            .await?;
        let scope = changed.scope.names.join(" ");
        self.note(
            by,
            act,
            key.name(),
            &[("owner", changed.owner.clone()), ("names", scope)],
        )
        .await;
        self.key_described(key.name())
    }

    fn key_described(&self, name: &str) -> Result<ContributorKey, AccessError> {
        self.known(name).map(|known| describe(&known))
    }

    /// A key by name.
    pub(super) fn known(&self, name: &str) -> Result<Contributor, AccessError> {
        self.contributor(name).ok_or_else(|| AccessError::NoSuch {
            what: "key",
            name: name.chars().take(64).collect(),
        })
    }

    fn owned(&self, name: &str, owner: &str) -> Result<Contributor, AccessError> {
        let known = self.known(name)?;
        if known.owner == owner {
            return Ok(known);
        }
        Err(AccessError::Beyond(format!(
            "Key {name} belongs to {}: only they can prove that they hold it.",
            known.owner
        )))
    }

    pub(super) fn ends(
        &self,
        name: &str,
        caller: &MemberCaller,
    ) -> Result<Contributor, AccessError> {
        let known = self.known(name)?;
        if known.owner != caller.name
            && let Some(record) = &known.record
        {
            self.may_accept(caller, &record.scope)?;
        }
        Ok(known)
    }

    /// Whether a member decides what is published in all these caches.
    fn may_accept(&self, caller: &MemberCaller, scope: &KeyScope) -> Result<(), AccessError> {
        let caller = Caller::member(caller.clone());
        let allowed = match &scope.caches {
            None => permission::may(&caller, Act::ManageMembers, On::Server),
            Some(caches) => caches
                .iter()
                .try_for_each(|slug| permission::may(&caller, Act::Maintain, on(slug))),
        };
        allowed.map_err(|refusal| AccessError::Beyond(refusal.explained(&self.owners())))
    }
}

fn on(slug: &str) -> On<'_> {
    On::Cache {
        slug,
        visibility: Visibility::Unlisted,
    }
}

fn describe(known: &Contributor) -> ContributorKey {
    let record = known.record.as_ref();
    ContributorKey {
        name: known.key.name().to_owned(),
        public_key: known.key.to_string(),
        fingerprint: known.key.fingerprint(),
        owner: known.owner.clone(),
        state: known.state,
        proven: record.is_some_and(|record| record.proven_at.is_some()),
        accepted_by: record.and_then(|record| record.accepted_by.clone()),
        scope: record.map(|record| wire::KeyScope {
            caches: record.scope.caches.clone(),
            names: record.scope.names.clone(),
            max_nar_size: record.scope.max_nar_size,
        }),
        paths: 0,
        created_at: record.map(|record| spelled(record.created_at)),
        expires_at: record.map(|record| spelled(record.expires_at)),
    }
}
