//! Tokens: made by people for their machines, and by machines for their OIDC identity.

use snowbank_shared::api::Visibility;
use snowbank_shared::api::access::{Act, CreateToken, NewToken, Token, TrustRule, Verb};

use super::access::{Access, By};
use super::caller::Caller;
use super::credential::{Credential, Kind};
use super::error::AccessError;
use super::links::record_id;
use super::oidc::jwt::{Claims, JwtError, Unverified};
use super::oidc::machines;
use super::permission::{self, On};
use super::records::{ExchangedRecord, TokenRecord, TrustRecord, now, spelled};
use crate::ledger::kind::{EXCHANGES, TOKENS};
use crate::ledger::{Entry, LedgerError, RecordId, Scope};

/// Seconds that a token lives that a machine got for its identity.
const EXCHANGED_LIVES: i64 = 15 * 60;
/// Seconds that an identity may live: what nobody can replay has to be remembered that long.
const IDENTITY_LIVES: i64 = 24 * 3600;
/// Tokens of one member, and trust rules of a server.
const MOST: usize = 500;

impl Access {
    /// Tokens, newest first: those of a member, or all.
    pub fn tokens(&self, owner: Option<&str>) -> Vec<Token> {
        let view = self.ledger.view();
        let mut tokens: Vec<_> = view
            .list::<TokenRecord>(Scope::Server)
            .filter(|token| owner.is_none() || token.owner.as_deref() == owner)
            .collect();
        tokens.sort_by_key(|token| std::cmp::Reverse((token.created_at, token.id.clone())));
        tokens.iter().map(|token| self.described(token)).collect()
    }

    fn described(&self, entry: &Entry<TokenRecord>) -> Token {
        describe(
            entry.id.as_str(),
            &entry.record,
            self.last_used(entry.id.as_str()),
        )
    }

    /// Makes a token of the caller, who is a member at a browser.
    ///
    /// # Errors
    /// Where it would be for more than the caller may do, or a value cannot be.
    pub async fn create_token(
        &self,
        owner: &str,
        caller: &Caller,
        asked: &CreateToken,
        by: &By,
    ) -> Result<NewToken, AccessError> {
        let name = asked.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(AccessError::Bad(
                "Say what the token is for, in 1 to 100 characters: `laptop`, `CI of team/app`."
                    .into(),
            ));
        }
        let most = self.settings().token_days;
        if !(1..=most).contains(&asked.days) {
            return Err(AccessError::Bad(format!(
                "On this server a token lives 1 to {most} days."
            )));
        }
        if self.tokens(Some(owner)).len() >= MOST {
            return Err(AccessError::Bad(format!(
                "You have {MOST} tokens: end some first."
            )));
        }
        let (caches, verbs) = self.checked_scope(asked.caches.as_deref(), &asked.verbs)?;
        self.within(caller, caches.as_deref(), &verbs)?;
        let record = TokenRecord {
            hash: String::new(),
            name: name.to_owned(),
            owner: Some(owner.to_owned()),
            machine: None,
            rule: None,
            caches,
            verbs,
            created_at: now(),
            expires_at: now() + i64::from(asked.days) * 86_400,
        };
        self.hand_out(record, by).await
    }

    /// Caches that there are, verbs once each.
    fn checked_scope(
        &self,
        caches: Option<&[String]>,
        verbs: &[Verb],
    ) -> Result<(Option<Vec<String>>, Vec<Verb>), AccessError> {
        let mut verbs = verbs.to_vec();
        verbs.sort();
        verbs.dedup();
        if verbs.is_empty() {
            return Err(AccessError::Bad(
                "Say what the token can be used for.".into(),
            ));
        }
        let Some(caches) = caches else {
            return Ok((None, verbs));
        };
        let mut caches = caches.to_vec();
        caches.sort();
        caches.dedup();
        if caches.is_empty() {
            return Err(AccessError::Bad(
                "Name the caches that the token is for, or leave them out for all.".into(),
            ));
        }
        match caches.iter().find(|cache| !self.caches.contains(cache)) {
            None => Ok((Some(caches), verbs)),
            Some(unknown) => Err(AccessError::NoSuch {
                what: "cache",
                name: unknown.chars().take(64).collect(),
            }),
        }
    }

    /// Whether the caller may do all that in every cache named; in one at least where none is.
    fn within(
        &self,
        caller: &Caller,
        caches: Option<&[String]>,
        verbs: &[Verb],
    ) -> Result<(), AccessError> {
        let may = |verb: Verb, slug: &str| {
            let on = On::Cache {
                slug,
                // The strictest: a token to read what everybody may read is for later.
                visibility: Visibility::Unlisted,
            };
            permission::may(caller, act_of(verb), on)
        };
        for verb in verbs {
            let refused = match caches {
                Some(caches) => caches.iter().find_map(|slug| may(*verb, slug).err()),
                None => {
                    let mut refusals = self.caches.iter().map(|slug| may(*verb, slug).err());
                    match refusals.next() {
                        // No caches yet: what the roles on the server say.
                        None => permission::may(caller, Act::OwnTokens, On::Server).err(),
                        Some(None) => None,
                        Some(first) if refusals.all(|refusal| refusal.is_some()) => first,
                        Some(_) => None,
                    }
                }
            };
            if let Some(refusal) = refused {
                return Err(AccessError::Beyond(format!(
                    "A token can do no more than you may, and `{verb}` is more: {}",
                    refusal.explained(&self.owners())
                )));
            }
        }
        Ok(())
    }

    /// Makes the secret and keeps its hash.
    async fn hand_out(&self, mut record: TokenRecord, by: &By) -> Result<NewToken, AccessError> {
        let credential = Credential::generate(Kind::Token)?;
        let id = record_id(&credential).ok_or(AccessError::Conflict)?;
        record.hash = credential.hash();
        let made = self
            .ledger
            .create(Scope::Server, &id, &by.actor, record)
            .await?;
        let caches = match &made.caches {
            None => "all".to_owned(),
            Some(caches) => caches.join(", "),
        };
        let verbs: Vec<&str> = made.verbs.iter().map(|verb| verb.as_str()).collect();
        self.note(
            by,
            "token.create",
            id.as_str(),
            &[
                ("name", made.name.clone()),
                ("caches", caches),
                ("verbs", verbs.join(", ")),
                ("expires", spelled(made.expires_at)),
            ],
        )
        .await;
        Ok(NewToken {
            token: describe(id.as_str(), &made, None),
            netrc: netrc(self.cache_url.host(), &credential.reveal()),
            secret: credential.reveal(),
        })
    }

    /// Ends a token. `owner` limits it to the tokens of one member.
    ///
    /// # Errors
    /// Where there is no such token, or it is somebody else's.
    pub async fn end_token(
        &self,
        id: &str,
        owner: Option<&str>,
        by: &By,
    ) -> Result<(), AccessError> {
        let unknown = || AccessError::NoSuch {
            what: "token",
            name: id.chars().take(64).collect(),
        };
        let record_id: RecordId = id.parse().map_err(|_| unknown())?;
        let view = self.ledger.view();
        let token = view
            .get::<TokenRecord>(Scope::Server, &record_id)
            .filter(|token| owner.is_none() || token.owner.as_deref() == owner)
            .ok_or_else(unknown)?;
        self.ledger
            .tombstone(TOKENS, Scope::Server, &record_id, &by.actor, "ended")
            .await?;
        self.note(by, "token.end", id, &[("name", token.name.clone())])
            .await;
        Ok(())
    }

    /// Trust rules, by name.
    pub fn trust_rules(&self) -> Vec<TrustRule> {
        self.ledger
            .view()
            .list::<TrustRecord>(Scope::Server)
            .map(|rule| TrustRule {
                name: rule.id.to_string(),
                issuer: rule.issuer.clone(),
                audience: rule.audience.clone(),
                claims: rule.claims.clone(),
                caches: rule.caches.clone(),
                verbs: rule.verbs.clone(),
                made_by: rule.made_by.clone(),
                created_at: spelled(rule.created_at),
            })
            .collect()
    }

    /// Adds a trust rule.
    ///
    /// # Errors
    /// Where its name is or was another's, or it cannot be kept.
    pub async fn add_trust_rule(&self, rule: &TrustRule, by: &By) -> Result<(), AccessError> {
        let id = super::links::member_id(&rule.name)
            .map_err(|error| AccessError::Bad(format!("The rule's name: {error}")))?;
        let https = rule.issuer.starts_with("https://") || rule.issuer.starts_with("http://");
        if !https || rule.issuer.len() > 300 || rule.issuer.contains(['?', '#', ' ']) {
            return Err(AccessError::Bad(
                "The issuer is a URL, exactly as in the identity's `iss`: https://token.actions.githubusercontent.com".into(),
            ));
        }
        if rule.audience.trim().is_empty() || rule.audience.len() > 300 {
            return Err(AccessError::Bad(format!(
                "Say what the identity's `aud` has to be; the address of this server, {}, is a good one.",
                self.public_url.origin()
            )));
        }
        machines::check_rule(&rule.claims)?;
        let (caches, verbs) = self.checked_scope(rule.caches.as_deref(), &rule.verbs)?;
        if verbs
            .iter()
            .any(|verb| matches!(verb, Verb::Manage | Verb::Audit))
        {
            return Err(AccessError::Bad(
                "A machine can read, push and maintain; managing and the audit are for people."
                    .into(),
            ));
        }
        if self.trust_rules().len() >= MOST {
            return Err(AccessError::Bad(format!(
                "There are {MOST} rules: remove some first."
            )));
        }
        let record = TrustRecord {
            issuer: rule.issuer.clone(),
            audience: rule.audience.clone(),
            claims: rule.claims.clone(),
            caches,
            verbs,
            made_by: by.actor.clone(),
            created_at: now(),
        };
        match self
            .ledger
            .create(Scope::Server, &id, &by.actor, record)
            .await
        {
            Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => {
                return Err(AccessError::NameTaken(rule.name.clone()));
            }
            made => made?,
        };
        self.note(
            by,
            "trust.add",
            id.as_str(),
            &[("issuer", rule.issuer.clone())],
        )
        .await;
        Ok(())
    }

    /// Removes a trust rule. Tokens that it gave end within 15 minutes by themselves.
    ///
    /// # Errors
    /// Where there is no such rule.
    pub async fn remove_trust_rule(&self, name: &str, by: &By) -> Result<(), AccessError> {
        let unknown = || AccessError::NoSuch {
            what: "trust rule",
            name: name.chars().take(64).collect(),
        };
        let id: RecordId = name.parse().map_err(|_| unknown())?;
        let view = self.ledger.view();
        view.get::<TrustRecord>(Scope::Server, &id)
            .ok_or_else(unknown)?;
        self.ledger
            .tombstone(EXCHANGES, Scope::Server, &id, &by.actor, "removed")
            .await?;
        self.note(by, "trust.remove", name, &[]).await;
        Ok(())
    }

    /// Exchanges a CI job's identity for a token of 15 minutes.
    ///
    /// # Errors
    /// Where no rule fits, the identity is not believed, was exchanged before, or is of a pull request.
    pub async fn exchange(&self, identity: &str, by: &By) -> Result<NewToken, AccessError> {
        let identity = identity.trim();
        let claimed = Unverified::parse(identity)
            .map_err(|error| AccessError::Oidc(super::oidc::issuer::OidcError::Jwt(error)))?;
        let issuer = claimed.issuer().unwrap_or_default().to_owned();
        let view = self.ledger.view();
        let rules: Vec<_> = view
            .list::<TrustRecord>(Scope::Server)
            .filter(|rule| rule.issuer == issuer)
            .collect();
        if rules.is_empty() {
            // Nobody is asked about an issuer that no owner named.
            let issuer: String = issuer
                .chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect();
            return Err(AccessError::NoRule(format!("of `{issuer}`")));
        }
        let mut audiences: Vec<&str> = rules.iter().map(|rule| rule.audience.as_str()).collect();
        audiences.sort_unstable();
        audiences.dedup();
        let mut believed: Option<(Claims, String)> = None;
        let mut refused = JwtError::Audience.into();
        for audience in audiences {
            match self.issuers.verify(identity, &issuer, audience).await {
                Ok(claims) => {
                    believed = Some((claims, audience.to_owned()));
                    break;
                }
                Err(error) => refused = error,
            }
        }
        let (claims, audience) = believed.ok_or(AccessError::Oidc(refused))?;
        if machines::is_pull_request(&claims) {
            return Err(AccessError::PullRequest);
        }
        let rule = rules
            .iter()
            .filter(|rule| rule.audience == audience)
            .find(|rule| machines::matches(&rule.claims, &claims))
            .ok_or_else(|| AccessError::NoRule(said(&claims)))?;
        self.remember_exchange(identity, &issuer, &claims, by)
            .await?;
        let subject: String = claims
            .text("sub")
            .unwrap_or_default()
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        let by = By {
            actor: format!("machine {subject}"),
            via: "oidc",
            ..by.clone()
        };
        let record = TokenRecord {
            hash: String::new(),
            name: format!("exchanged by {}", rule.id),
            owner: None,
            machine: Some(subject),
            rule: Some(rule.id.to_string()),
            caches: rule.caches.clone(),
            verbs: rule.verbs.clone(),
            created_at: now(),
            expires_at: now() + EXCHANGED_LIVES,
        };
        self.hand_out(record, &by).await
    }

    /// Remembers an identity until it ends, so that it is exchanged once; over all replicas,
    /// because of two who create the same record one succeeds.
    async fn remember_exchange(
        &self,
        identity: &str,
        issuer: &str,
        claims: &Claims,
        by: &By,
    ) -> Result<(), AccessError> {
        let ends = claims.seconds("exp").unwrap_or_default();
        if ends > now() + IDENTITY_LIVES {
            return Err(AccessError::Bad(
                "The identity lives longer than a day: ask the provider for a short one.".into(),
            ));
        }
        // Without a `jti`, the signed text itself is what cannot come again.
        let signed = identity
            .rsplit_once('.')
            .map_or(identity, |(signed, _)| signed);
        let unique = claims.text("jti").unwrap_or(signed);
        let id = RecordId::hash_of(format!("{issuer}\0{unique}").as_bytes());
        let record = ExchangedRecord {
            expires_at: ends + 300,
        };
        match self
            .ledger
            .create(Scope::Server, &id, &by.actor, record)
            .await
        {
            Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => Err(AccessError::Replay),
            made => Ok(made.map(drop)?),
        }
    }
}

/// The act that a verb is for.
const fn act_of(verb: Verb) -> Act {
    match verb {
        Verb::Read => Act::Read,
        Verb::Push => Act::Upload,
        Verb::Maintain => Act::Maintain,
        Verb::Manage => Act::Manage,
        Verb::Audit => Act::ReadAudit,
    }
}

fn describe(id: &str, record: &TokenRecord, last_used: Option<i64>) -> Token {
    Token {
        id: id.to_owned(),
        name: record.name.clone(),
        owner: record.owner.clone(),
        machine: record.machine.clone(),
        caches: record.caches.clone(),
        verbs: record.verbs.clone(),
        created_at: spelled(record.created_at),
        expires_at: spelled(record.expires_at),
        last_used_at: last_used.map(spelled),
    }
}

/// The lines for netrc, as Nix and curl read them (PROTOCOL.md §10).
pub fn netrc(host: &str, token: &str) -> String {
    format!("machine {host}\nlogin snowbank\npassword {token}\n")
}

/// What an identity says of itself, for its owner to see why no rule fits.
fn said(claims: &Claims) -> String {
    let mut said = String::new();
    for name in ["sub", "repository", "ref", "environment", "workflow_ref"] {
        if let Some(value) = claims.spelled(name) {
            let value: String = value
                .chars()
                .take(120)
                .flat_map(char::escape_debug)
                .collect();
            said.push_str(&format!(
                "{}{name} `{value}`",
                if said.is_empty() { "" } else { ", " }
            ));
        }
    }
    said
}
