//! Members: invited, changed, kept out, removed. Names are never given twice.

use snowbank_shared::api::access::{ChangeMember, Grant, Invite, LinkKind, Member, NewLink};

use super::access::{Access, By, member};
use super::error::AccessError;
use super::links::{Begun, PROVIDER_SESSION_LIVES, member_id, spelled_grants};
use super::oidc::people::Person;
use super::permission::owns_server;
use super::records::{Identity, MemberRecord, TokenRecord, now, spelled};
use crate::ledger::kind::{MEMBERS, TOKENS};
use crate::ledger::{Event, LedgerError, Scope};

/// Roles of one member at most.
const MOST_GRANTS: usize = 200;

impl Access {
    /// Every member, by name. Counts of sessions and tokens only where `whole`.
    pub fn members(&self, whole: bool) -> Vec<Member> {
        let view = self.ledger.view();
        view.list::<MemberRecord>(Scope::Server)
            .map(|entry| {
                let name = entry.id.as_str().to_owned();
                Member {
                    grants: entry.grants.clone(),
                    single_sign_on: entry.identity.is_some(),
                    suspended: entry.suspended,
                    sessions: whole.then(|| self.open_sessions(&name)),
                    tokens: whole.then(|| self.working_tokens(&name)),
                    created_at: spelled(entry.created_at),
                    name,
                }
            })
            .collect()
    }

    fn working_tokens(&self, name: &str) -> u64 {
        let now = now();
        self.ledger
            .view()
            .list::<TokenRecord>(Scope::Server)
            .filter(|token| token.owner.as_deref() == Some(name) && token.expires_at > now)
            .count() as u64
    }

    /// Invites somebody: a link that lives a week.
    ///
    /// # Errors
    /// Where name or roles cannot be.
    pub async fn invite(&self, invite: &Invite, by: &By) -> Result<NewLink, AccessError> {
        let name = invite.name.trim();
        if !name.is_empty() {
            let id = member_id(name)?;
            let view = self.ledger.view();
            if member(&view, name).is_some()
                || view.tombstone(MEMBERS, Scope::Server, &id).is_some()
            {
                return Err(AccessError::NameTaken(name.to_owned()));
            }
        }
        let grants = self.checked_grants(&invite.grants)?;
        let roles = spelled_grants(&grants);
        let link = self
            .make_link(LinkKind::Invitation, name, grants, by)
            .await?;
        let object = if name.is_empty() { "somebody" } else { name };
        self.note(by, "member.invite", object, &[("grants", roles)])
            .await;
        Ok(link)
    }

    /// A fresh link for a member's next session.
    ///
    /// # Errors
    /// Where there is no such member, or they are suspended.
    pub async fn login_link(&self, name: &str, by: &By) -> Result<NewLink, AccessError> {
        let known = member(&self.ledger.view(), name).ok_or_else(|| no_member(name))?;
        if known.suspended {
            return Err(AccessError::Suspended(name.to_owned()));
        }
        let link = self
            .make_link(LinkKind::Login, name, Vec::new(), by)
            .await?;
        self.note(by, "member.link", name, &[]).await;
        Ok(link)
    }

    /// Changes roles, or keeps somebody out.
    ///
    /// # Errors
    /// Where there is no such member, roles cannot be, or nobody would own the server.
    pub async fn update_member(
        &self,
        name: &str,
        change: &ChangeMember,
        by: &By,
    ) -> Result<(), AccessError> {
        let grants = match &change.grants {
            None => None,
            Some(grants) => Some(self.checked_grants(grants)?),
        };
        let stays = |record: &MemberRecord| !record.suspended && owns_server(&record.grants);
        let others = self.owners().iter().any(|owner| owner != name);
        self.change_member(name, by, |record| {
            let mut next = record.clone();
            if let Some(grants) = &grants {
                next.grants.clone_from(grants);
            }
            if let Some(suspended) = change.suspended {
                next.suspended = suspended;
            }
            if stays(record) && !stays(&next) && !others {
                return Err(AccessError::LastOwner(name.to_owned()));
            }
            Ok(next)
        })
        .await?;
        let mut detail = Vec::new();
        if let Some(grants) = &grants {
            detail.push(("grants", spelled_grants(grants)));
        }
        if let Some(suspended) = change.suspended {
            detail.push(("suspended", suspended.to_string()));
        }
        self.note(by, "member.change", name, &detail).await;
        Ok(())
    }

    /// Removes a member for ever, and their tokens.
    ///
    /// # Errors
    /// Where there is no such member, or nobody would own the server.
    pub async fn remove_member(&self, name: &str, by: &By) -> Result<(), AccessError> {
        let view = self.ledger.view();
        let known = member(&view, name).ok_or_else(|| no_member(name))?;
        let is_owner = !known.suspended && owns_server(&known.grants);
        if is_owner && !self.owners().iter().any(|owner| owner != name) {
            return Err(AccessError::LastOwner(name.to_owned()));
        }
        let (ledger, author) = (&self.ledger, by.actor.as_str());
        // The member first: without an owner no token of theirs works.
        ledger
            .tombstone(MEMBERS, Scope::Server, &known.id, author, "removed")
            .await?;
        self.note(by, "member.remove", name, &[]).await;
        for token in view.list::<TokenRecord>(Scope::Server) {
            if token.owner.as_deref() == Some(name) {
                let buried = ledger
                    .tombstone(
                        TOKENS,
                        Scope::Server,
                        &token.id,
                        author,
                        "its owner was removed",
                    )
                    .await;
                if let Err(error) = buried {
                    tracing::warn!(token = token.id.as_str(), %error, "a removed member's token grants nothing and could not be removed yet");
                }
            }
        }
        Ok(())
    }

    /// Lets in somebody for whom the identity provider vouches; at the first time they become a
    /// member. Roles are those of their groups, anew at each sign-in.
    ///
    /// # Errors
    /// Where they are suspended, or the ledger cannot write it.
    pub async fn enter_by_provider(
        &self,
        issuer: &str,
        person: &Person,
        by: &By,
    ) -> Result<Begun, AccessError> {
        let identity = Identity {
            issuer: issuer.to_owned(),
            subject: person.subject.clone(),
        };
        let known = self
            .ledger
            .view()
            .list::<MemberRecord>(Scope::Server)
            .find(|member| member.identity.as_ref() == Some(&identity));
        let name = match known {
            Some(known) if known.suspended => {
                return Err(AccessError::Suspended(known.id.to_string()));
            }
            Some(known) => {
                let name = known.id.to_string();
                if known.grants != person.grants {
                    let by = as_member(by, &name);
                    self.change_member(&name, &by, |record| {
                        Ok(MemberRecord {
                            grants: person.grants.clone(),
                            ..record.clone()
                        })
                    })
                    .await?;
                    let roles = spelled_grants(&person.grants);
                    self.note(&by, "member.change", &name, &[("grants", roles)])
                        .await;
                }
                name
            }
            None => self.enroll(&identity, person, by).await?,
        };
        let by = as_member(by, &name);
        self.begin_session(&name, PROVIDER_SESSION_LIVES, &by).await
    }

    /// Makes the member under a name that nobody has or had.
    async fn enroll(
        &self,
        identity: &Identity,
        person: &Person,
        by: &By,
    ) -> Result<String, AccessError> {
        let wish = name_from(&person.name);
        for number in 1..100 {
            let name = if number == 1 {
                wish.clone()
            } else {
                format!("{wish}-{number}")
            };
            let Ok(id) = member_id(&name) else { continue };
            let record = MemberRecord {
                grants: person.grants.clone(),
                identity: Some(identity.clone()),
                suspended: false,
                signed_out_at_ms: 0,
                created_at: now(),
            };
            match self.ledger.create(Scope::Server, &id, &name, record).await {
                Ok(_) => {
                    let roles = spelled_grants(&person.grants);
                    self.note(
                        &as_member(by, &name),
                        "member.enter",
                        &name,
                        &[("grants", roles), ("issuer", identity.issuer.clone())],
                    )
                    .await;
                    return Ok(name);
                }
                Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccessError::NameTaken(wish))
    }

    pub(super) async fn change_member(
        &self,
        name: &str,
        by: &By,
        mut change: impl FnMut(&MemberRecord) -> Result<MemberRecord, AccessError>,
    ) -> Result<(), AccessError> {
        let id = name.parse().map_err(|_| no_member(name))?;
        let changed = self
            .ledger
            .update(Scope::Server, &id, &by.actor, |record: &MemberRecord| {
                change(record)
            })
            .await;
        match changed {
            Err(AccessError::Ledger(LedgerError::Absent(_) | LedgerError::Buried(_))) => {
                Err(no_member(name))
            }
            changed => changed.map(drop),
        }
    }

    /// Roles in order and once each, in caches that there are.
    fn checked_grants(&self, grants: &[Grant]) -> Result<Vec<Grant>, AccessError> {
        if grants.is_empty() || grants.len() > MOST_GRANTS {
            return Err(AccessError::Bad(format!(
                "Give a member one role at least, and {MOST_GRANTS} at most."
            )));
        }
        for grant in grants {
            if let Some(cache) = &grant.cache
                && !self.caches.contains(cache)
            {
                return Err(AccessError::NoSuch {
                    what: "cache",
                    name: cache.chars().take(64).collect(),
                });
            }
        }
        let mut grants = grants.to_vec();
        grants.sort();
        grants.dedup();
        Ok(grants)
    }

    /// Writes what was done into the audit. What was done is done: where the audit cannot be
    /// written, the log says so.
    pub async fn note(&self, by: &By, act: &'static str, object: &str, detail: &[(&str, String)]) {
        self.noted(by, None, act, object, detail).await;
    }

    /// The same of an act that concerns one cache.
    pub async fn note_in(
        &self,
        by: &By,
        cache: &str,
        act: &'static str,
        object: &str,
        detail: &[(&str, String)],
    ) {
        self.noted(by, Some(cache), act, object, detail).await;
    }

    async fn noted(
        &self,
        by: &By,
        cache: Option<&str>,
        act: &'static str,
        object: &str,
        detail: &[(&str, String)],
    ) {
        let mut event = Event::new(&by.actor, act, object)
            .with("via", by.via)
            .with("request", &by.request);
        if let Some(cache) = cache {
            event = event.in_cache(cache);
        }
        for (name, value) in detail {
            event = event.with(name, value);
        }
        if let Some(address) = by.address
            && self.settings().note_addresses
        {
            event = event.at_address(address);
        }
        tracing::info!(target: "snowbank::audit", actor = by.actor, act, object, request_id = by.request, "done");
        if let Err(error) = self.ledger.audit(&event).await {
            tracing::error!(act, object, %error, "the audit could not be written; this line is all there is");
        }
    }
}

impl Access {
    /// Notes that somebody was refused, without waiting: who tries doors shows in the audit.
    pub fn note_refused(&self, by: &By, act: &'static str, error: &AccessError) {
        let mut event = Event::new(&by.actor, act, "sign-in")
            .refused()
            .with("via", by.via)
            .with("request", &by.request)
            .with("why", error.to_string());
        if let Some(address) = by.address
            && self.settings().note_addresses
        {
            event = event.at_address(address);
        }
        self.ledger.note(&event);
    }
}

fn as_member(by: &By, name: &str) -> By {
    By {
        actor: name.to_owned(),
        via: "oidc",
        ..by.clone()
    }
}

fn no_member(name: &str) -> AccessError {
    AccessError::NoSuch {
        what: "member",
        name: name.chars().take(64).collect(),
    }
}

/// A name of our form from what a provider calls somebody: `Zoë.Smith@example.org` is `zo.smith`.
fn name_from(text: &str) -> String {
    let local = text.split('@').next().unwrap_or_default();
    let mut name: String = local
        .chars()
        .map(|character| match character.to_ascii_lowercase() {
            ' ' => '.',
            lower => lower,
        })
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(36)
        .collect();
    while name.contains("..") {
        name = name.replace("..", ".");
    }
    if name.len() < 2 {
        name = "member".to_owned();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::name_from;

    #[test]
    fn providers_names_become_ours() {
        for (given, ours) in [
            ("alice", "alice"),
            ("Alice B. Smith", "alice.b.smith"),
            ("Zoë@example.org", "zo"),
            ("_x", "member"),
            ("../../etc", "etc"),
            ("", "member"),
            ("山田", "member"),
        ] {
            assert_eq!(name_from(given), ours, "{given}");
        }
    }
}
