//! One-time links, and the sessions that they begin.
//!
//! A link is made by an owner and kept as a record until it expires; used, it is marked, by a
//! compare-and-retry write, so that of two who use it at once one gets in. An *owner link* is made by
//! whoever holds the state secret, on the server's own machine: its secret part is a code
//! (HMAC-SHA-256) over its id, which holds its expiry. Nothing is written when it is made, so
//! `snowbank owner-link` needs no bucket and works beside a running server; using it writes the
//! record that says it was used.

use std::fmt::Write as _;

use snowbank_shared::api::access::{Grant, Link, LinkKind, NewLink, Role};

use super::access::{Access, By, is_open, member};
use super::caller::MemberCaller;
use super::credential::{Credential, Kind, code};
use super::error::AccessError;
use super::permission::owns_server;
use super::records::{LinkRecord, MemberRecord, SessionRecord, now, now_ms, spelled};
use crate::config::PublicUrl;
use crate::ledger::kind::SESSIONS;
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::secrets::{self, SecretError, StateSecret};

/// Seconds that a link lives.
pub const LINK_LIVES: i64 = 15 * 60;
/// Seconds that an invitation lives: it travels by mail.
pub const INVITATION_LIVES: i64 = 7 * 86_400;
/// Seconds of a session that began at the identity provider, which is asked again after that.
pub const PROVIDER_SESSION_LIVES: i64 = 12 * 3600;
/// What the code of an owner link is over, before its id.
const PURPOSE: &[u8] = b"snowbank owner link 1\0";

/// A session that began: what the cookie holds and for how many seconds.
pub struct Begun {
    /// The cookie's value.
    pub cookie: String,
    /// Seconds.
    pub lives: i64,
    /// Whose.
    pub member: String,
}

/// An owner link, for the terminal of the server's machine: its address and the time it ends.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn owner_link(
    secret: &StateSecret,
    public_url: &PublicUrl,
) -> Result<(String, i64), SecretError> {
    let expires = now() + LINK_LIVES;
    let seconds = u32::try_from(expires).unwrap_or(u32::MAX);
    let mut id = [0; 10];
    id[..4].copy_from_slice(&seconds.to_be_bytes());
    id[4..].copy_from_slice(&secrets::random::<6>()?);
    let id = snowbank_shared::hash::nix32::encode(&id);
    let code = code(&secret.keys()[0], PURPOSE, id.as_bytes());
    let credential = Credential::with_secret(Kind::Link, id, &code);
    Ok((address(public_url, &credential), expires))
}

fn address(public_url: &PublicUrl, credential: &Credential) -> String {
    public_url.join(&format!("invite/{}", credential.reveal()))
}

/// When an owner link ends, where this is one: any key of the secret may have made it.
fn owner_link_expiry(secret: &StateSecret, credential: &Credential) -> Option<i64> {
    let id = credential.id();
    let ours = secret.keys().iter().any(|key| {
        Credential::with_secret(
            Kind::Link,
            id.to_owned(),
            &code(key, PURPOSE, id.as_bytes()),
        )
        .hash()
            == credential.hash()
    });
    let bytes = snowbank_shared::hash::nix32::decode(id, 10).ok()?;
    let seconds = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    ours.then_some(i64::from(seconds))
}

impl Access {
    /// What a link is for, without using it.
    ///
    /// # Errors
    /// Where it is not one, was used, or has expired.
    pub fn look_at_link(&self, text: &str) -> Result<Link, AccessError> {
        let (_, _, link) = self.link(text)?;
        Ok(Link {
            kind: link.kind,
            name: link.name,
            grants: link.grants,
            made_by: link.made_by,
            expires_at: spelled(link.expires_at),
        })
    }

    /// The credential, whether its record is still to be made, and the link.
    fn link(&self, text: &str) -> Result<(Credential, bool, LinkRecord), AccessError> {
        let credential =
            Credential::parse(Kind::Link, text.trim()).map_err(|_| AccessError::LinkUnknown)?;
        let view = self.ledger.view();
        let known =
            record_id(&credential).and_then(|id| view.get::<LinkRecord>(Scope::Server, &id));
        if let Some(known) = known {
            if !credential.is(&known.hash) {
                return Err(AccessError::LinkUnknown);
            }
            if known.used_at.is_some() {
                return Err(AccessError::LinkSpent);
            }
            return Ok((credential, false, LinkRecord::clone(&known)));
        }
        let expires_at =
            owner_link_expiry(&self.secret, &credential).ok_or(AccessError::LinkUnknown)?;
        if expires_at <= now() {
            return Err(AccessError::LinkExpired);
        }
        let owners = self.owners();
        let (kind, name) = match owners.first() {
            Some(owner) => (LinkKind::Login, owner.clone()),
            None => (LinkKind::Invitation, String::new()),
        };
        let link = LinkRecord {
            hash: credential.hash(),
            kind,
            name,
            grants: vec![Grant {
                role: Role::Owner,
                cache: None,
            }],
            made_by: None,
            expires_at,
            used_at: None,
        };
        Ok((credential, true, link))
    }

    /// Uses a link and begins a session. `name` is what an invited person wants to be called; with
    /// an owner link it chooses the owner.
    ///
    /// # Errors
    /// Where the link does not work (any more), or the name cannot be.
    pub async fn use_link(
        &self,
        text: &str,
        name: Option<&str>,
        by: &By,
    ) -> Result<Begun, AccessError> {
        // An invitation may have been made by another replica a moment ago.
        let found = match self.link(text) {
            Err(AccessError::LinkUnknown) if self.ledger.look().await.is_ok() => self.link(text),
            found => found,
        };
        let (credential, is_new, link) = found?;
        let given = name.map(str::trim).filter(|name| !name.is_empty());
        let name = match link.kind {
            // The machine's own link may name any owner; an owner's link is for the one it names.
            LinkKind::Login if link.made_by.is_some() => link.name.clone(),
            _ => given.unwrap_or(&link.name).to_owned(),
        };
        let id = member_id(&name)?;
        let view = self.ledger.view();
        let known = member(&view, &name);
        match (&known, link.kind) {
            (Some(_), LinkKind::Invitation) if link.made_by.is_some() => {
                return Err(AccessError::NameTaken(name));
            }
            (Some(known), _) if known.suspended && link.made_by.is_some() => {
                return Err(AccessError::Suspended(name));
            }
            (None, LinkKind::Login) if link.made_by.is_some() => {
                return Err(AccessError::NoSuch {
                    what: "member",
                    name,
                });
            }
            _ => {}
        }
        let by = By {
            actor: name.clone(),
            via: "link",
            ..by.clone()
        };
        self.spend(&credential, is_new, &link, &by).await?;
        let entered = self.enter_by_link(&id, &name, &link, &by).await;
        if let Err(error) = entered {
            // Somebody took the name between look and write: the link is given back.
            self.give_back(&credential, &by).await;
            return Err(error);
        }
        // Long: without an identity provider the next one needs an owner's help.
        let lives = i64::from(self.settings().session_days) * 86_400;
        self.begin_session(&name, lives, &by).await
    }

    /// Marks the link as used, once.
    async fn spend(
        &self,
        credential: &Credential,
        is_new: bool,
        link: &LinkRecord,
        by: &By,
    ) -> Result<(), AccessError> {
        let id = record_id(credential).ok_or(AccessError::LinkUnknown)?;
        let used = LinkRecord {
            used_at: Some(now()),
            ..link.clone()
        };
        if is_new {
            return match self
                .ledger
                .create(Scope::Server, &id, &by.actor, used)
                .await
            {
                Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => Err(AccessError::LinkSpent),
                made => Ok(made.map(drop)?),
            };
        }
        let spent = self
            .ledger
            .update(Scope::Server, &id, &by.actor, |link: &LinkRecord| {
                if link.used_at.is_some() {
                    return Err(AccessError::LinkSpent);
                }
                if link.expires_at <= now() {
                    return Err(AccessError::LinkExpired);
                }
                Ok(used.clone())
            })
            .await;
        match spent {
            Err(AccessError::Ledger(LedgerError::Exists(_))) => Err(AccessError::LinkExpired),
            Err(AccessError::Ledger(LedgerError::Absent(_) | LedgerError::Buried(_))) => {
                Err(AccessError::LinkUnknown)
            }
            spent => spent.map(drop),
        }
    }

    async fn give_back(&self, credential: &Credential, by: &By) {
        let Some(id) = record_id(credential) else {
            return;
        };
        let given = self
            .ledger
            .update(Scope::Server, &id, &by.actor, |link: &LinkRecord| {
                Ok::<_, AccessError>(LinkRecord {
                    used_at: None,
                    ..link.clone()
                })
            })
            .await;
        if let Err(error) = given {
            tracing::warn!(link = id.as_str(), %error, "a link that did not help stays used");
        }
    }

    /// Makes the member that a link makes, or lets in the one there is.
    async fn enter_by_link(
        &self,
        id: &RecordId,
        name: &str,
        link: &LinkRecord,
        by: &By,
    ) -> Result<(), AccessError> {
        if link.kind == LinkKind::Login && link.made_by.is_some() {
            return Ok(());
        }
        let is_machine = link.made_by.is_none();
        let made = self
            .ledger
            .put(
                Scope::Server,
                id,
                &by.actor,
                |known: Option<&MemberRecord>| {
                    match known {
                        None => Ok(MemberRecord {
                            grants: link.grants.clone(),
                            identity: None,
                            suspended: false,
                            signed_out_at_ms: 0,
                            created_at: now(),
                        }),
                        // Whoever holds the machine may always be its owner.
                        Some(known) if is_machine => {
                            let mut known = known.clone();
                            known.suspended = false;
                            if !owns_server(&known.grants) {
                                known.grants.extend(link.grants.iter().cloned());
                            }
                            Ok(known)
                        }
                        Some(_) => Err(AccessError::NameTaken(name.to_owned())),
                    }
                },
            )
            .await;
        match made {
            Err(AccessError::Ledger(LedgerError::Buried(_))) => {
                Err(AccessError::NameTaken(name.to_owned()))
            }
            Err(error) => Err(error),
            Ok(_) => {
                self.note(
                    by,
                    "member.enter",
                    name,
                    &[("grants", spelled_grants(&link.grants))],
                )
                .await;
                Ok(())
            }
        }
    }

    /// Begins a session of a member.
    pub(super) async fn begin_session(
        &self,
        name: &str,
        lives: i64,
        by: &By,
    ) -> Result<Begun, AccessError> {
        let credential = Credential::generate(Kind::Session)?;
        let id = record_id(&credential).ok_or(AccessError::LinkUnknown)?;
        let session = SessionRecord {
            hash: credential.hash(),
            member: name.to_owned(),
            begun_at_ms: now_ms(),
            expires_at: now() + lives,
        };
        self.ledger
            .create(Scope::Server, &id, name, session)
            .await?;
        self.note(by, "session.begin", name, &[("session", id.to_string())])
            .await;
        Ok(Begun {
            cookie: credential.reveal(),
            lives,
            member: name.to_owned(),
        })
    }

    /// Ends the session of a caller.
    ///
    /// # Errors
    /// Where the ledger cannot write it.
    pub async fn sign_out(&self, caller: &MemberCaller, by: &By) -> Result<(), AccessError> {
        let id: RecordId = caller.session.parse().map_err(|_| AccessError::Conflict)?;
        self.ledger
            .tombstone(SESSIONS, Scope::Server, &id, &by.actor, "signed out")
            .await?;
        self.note(
            by,
            "session.end",
            &caller.name,
            &[("session", id.to_string())],
        )
        .await;
        Ok(())
    }

    /// Ends every session that a member has now.
    ///
    /// # Errors
    /// Where there is no such member, or the ledger cannot write it.
    pub async fn sign_out_everywhere(&self, name: &str, by: &By) -> Result<(), AccessError> {
        self.change_member(name, by, |member| {
            Ok(MemberRecord {
                signed_out_at_ms: now_ms(),
                ..member.clone()
            })
        })
        .await?;
        self.note(by, "session.end-all", name, &[]).await;
        Ok(())
    }

    /// Makes a one-time link: an invitation, or a login of a member there is.
    pub(super) async fn make_link(
        &self,
        kind: LinkKind,
        name: &str,
        grants: Vec<Grant>,
        by: &By,
    ) -> Result<NewLink, AccessError> {
        let credential = Credential::generate(Kind::Link)?;
        let id = record_id(&credential).ok_or(AccessError::LinkUnknown)?;
        let lives = match kind {
            LinkKind::Invitation => INVITATION_LIVES,
            LinkKind::Login => LINK_LIVES,
        };
        let link = LinkRecord {
            hash: credential.hash(),
            kind,
            name: name.to_owned(),
            grants,
            made_by: Some(by.actor.clone()),
            expires_at: now() + lives,
            used_at: None,
        };
        let expires_at = spelled(link.expires_at);
        self.ledger
            .create(Scope::Server, &id, &by.actor, link)
            .await?;
        Ok(NewLink {
            url: address(&self.public_url, &credential),
            expires_at,
        })
    }

    /// Sessions that are open, by member.
    pub(super) fn open_sessions(&self, name: &str) -> u64 {
        let view = self.ledger.view();
        let Some(member) = member(&view, name) else {
            return 0;
        };
        view.list::<SessionRecord>(Scope::Server)
            .filter(|session| session.member == name && is_open(session, &member))
            .count() as u64
    }
}

/// Where the record of a credential is.
pub(super) fn record_id(credential: &Credential) -> Option<RecordId> {
    credential.id().parse().ok()
}

/// Roles on one line.
pub(super) fn spelled_grants(grants: &[Grant]) -> String {
    let mut text = String::new();
    for grant in grants {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{}", grant.role);
        if let Some(cache) = &grant.cache {
            let _ = write!(text, " of {cache}");
        }
    }
    text
}

/// A member's name: what the audit shows for years.
///
/// # Errors
/// Where it has another form.
pub(super) fn member_id(name: &str) -> Result<RecordId, AccessError> {
    let fine = (2..=40).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        })
        && name.as_bytes()[0].is_ascii_alphanumeric();
    // The words that the audit uses for those who are no members.
    let reserved = matches!(name, "anonymous" | "server" | "machine" | "token");
    if !fine || reserved {
        return Err(AccessError::Bad(
            "A name has 2 to 40 lower-case letters, digits, dashes, dots and underscores, and begins with a letter or digit."
                .to_owned(),
        ));
    }
    name.parse()
        .map_err(|_| AccessError::Bad("This name cannot be used.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_link_is_of_one_secret_and_time() {
        let secret = StateSecret::generate("k1").expect("random bytes");
        let url: PublicUrl = "https://cache.example.org/nix".parse().expect("a URL");
        let (link, expires) = owner_link(&secret, &url).expect("a link");
        let text = link
            .strip_prefix("https://cache.example.org/nix/invite/")
            .expect("an address");
        let credential = Credential::parse(Kind::Link, text).expect("a link");
        assert_eq!(owner_link_expiry(&secret, &credential), Some(expires));
        let rotated = secret.led_by(&StateSecret::generate("k2").expect("random bytes"));
        assert_eq!(owner_link_expiry(&rotated, &credential), Some(expires));
        let other = StateSecret::generate("k1").expect("random bytes");
        assert_eq!(owner_link_expiry(&other, &credential), None);
        let forged = Credential::with_secret(Kind::Link, credential.id().to_owned(), &[7; 32]);
        assert_eq!(owner_link_expiry(&secret, &forged), None);
    }

    #[test]
    fn names_are_plain() {
        for good in ["alice", "a1", "alice.b-c_d", "7up"] {
            assert!(member_id(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "Alice",
            "a b",
            "-a",
            "a/b",
            "anonymous",
            "ä1",
            &"a".repeat(41),
        ] {
            assert!(member_id(bad).is_err(), "{bad}");
        }
    }
}
