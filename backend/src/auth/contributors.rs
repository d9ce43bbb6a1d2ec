//! Contributors' keys, as the ledger has them: who may sign what, and until when.
//!
//! Two records for each key. `keynames/NAME` reserves the name, for ever and whatever its case:
//! clients believe only the first of two keys with one name (PROTOCOL.md §5), so none is given
//! twice. `contributors/SHA-256` is the key itself, so that one key belongs to one person.
//! Revoking buries the second and keeps the first: the name stays taken, and it stays known what
//! its signatures were worth.
//!
//! Here is what is asked of them, from memory. How they come to be is in `registration`.

use std::collections::BTreeMap;

use snowbank_shared::api::KeyState;
use snowbank_shared::pattern;
use snowbank_shared::signature::PublicKey;

use super::access::{Access, member};
use super::records::{ContributorRecord, KeyNameRecord, now};
use crate::ledger::kind::CONTRIBUTORS;
use crate::ledger::{RecordId, Scope, View};

/// A contributor's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributor {
    /// The key, with its name.
    pub key: PublicKey,
    /// The member whose it is.
    pub owner: String,
    /// Whether its signatures are believed.
    pub state: KeyState,
    /// What it may sign; `None` where it was revoked.
    pub record: Option<ContributorRecord>,
}

/// Why a key may not publish a path. Each says what to do about it, on one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// It waits for its proof or for an owner's yes.
    #[error("key {0} waits: prove that you hold it, or ask an owner to accept it")]
    Pending(String),
    /// It has ended, or was kept out.
    #[error("key {name} {how}: register another one")]
    Ended {
        /// The key's name.
        name: String,
        /// `expired on …`, `was revoked`, `is suspended`, `was retired`.
        how: String,
    },
    /// It is for other caches.
    #[error("key {key} is not for the cache {cache}: ask an owner to widen it")]
    Cache {
        /// The key's name.
        key: String,
        /// The cache.
        cache: String,
    },
    /// It is for other names.
    #[error("key {key} may sign {allowed}, and not {name}: ask an owner to widen it")]
    Name {
        /// The key's name.
        key: String,
        /// The path's name.
        name: String,
        /// The patterns that it may sign.
        allowed: String,
    },
    /// It is for smaller paths.
    #[error("key {key} may sign paths of {most} bytes at most, and this one has {size}")]
    Size {
        /// The key's name.
        key: String,
        /// Bytes of NAR that it may sign.
        most: u64,
        /// Bytes of this one.
        size: u64,
    },
}

impl Contributor {
    /// Whether it may sign anything at all in this cache, whatever its state.
    pub fn is_for(&self, cache: &str) -> bool {
        self.record.as_ref().is_some_and(|record| {
            let caches = record.scope.caches.as_ref();
            !record.scope.names.is_empty()
                && caches.is_none_or(|caches| caches.iter().any(|allowed| allowed == cache))
        })
    }

    /// Whether a path with this signature may be published in a cache now.
    ///
    /// # Errors
    /// Where not, with the reason.
    pub fn may_publish(&self, cache: &str, name: &str, nar_size: u64) -> Result<(), KeyRefusal> {
        let key = self.key.name().to_owned();
        let record = match (&self.record, self.state) {
            (Some(record), KeyState::Active) => record,
            (_, KeyState::Pending) => return Err(KeyRefusal::Pending(key)),
            (record, state) => {
                let how = match (state, record) {
                    (KeyState::Expired, Some(record)) => {
                        let spelled = super::records::spelled(record.expires_at);
                        format!("expired on {}", spelled.get(..10).unwrap_or(&spelled))
                    }
                    (KeyState::Suspended, _) => "is suspended".to_owned(),
                    (KeyState::Retired, _) => "was retired".to_owned(),
                    _ => "was revoked".to_owned(),
                };
                return Err(KeyRefusal::Ended { name: key, how });
            }
        };
        let scope = &record.scope;
        if let Some(caches) = &scope.caches
            && !caches.iter().any(|allowed| allowed == cache)
        {
            let cache = cache.to_owned();
            return Err(KeyRefusal::Cache { key, cache });
        }
        if !scope.names.iter().any(|glob| pattern::fits(glob, name)) {
            return Err(KeyRefusal::Name {
                key,
                name: name.to_owned(),
                allowed: match scope.names.as_slice() {
                    [] => "nothing yet".to_owned(),
                    names => names.join(", "),
                },
            });
        }
        match scope.max_nar_size {
            Some(most) if nar_size > most => Err(KeyRefusal::Size {
                key,
                most,
                size: nar_size,
            }),
            _ => Ok(()),
        }
    }
}

/// The record's name of a key's name: names differ in more than their case.
pub(super) fn name_id(name: &str) -> Option<RecordId> {
    name.to_ascii_lowercase().parse().ok()
}

/// The record's name of a public key.
pub(super) fn key_id(key: &PublicKey) -> RecordId {
    RecordId::hash_of(key.bytes())
}

/// Whether its signatures are believed now.
fn state_of(record: &ContributorRecord) -> KeyState {
    if record.suspended {
        KeyState::Suspended
    } else if record.retired_at.is_some() {
        KeyState::Retired
    } else if record.accepted_by.is_none() || record.proven_at.is_none() {
        KeyState::Pending
    } else if record.expires_at <= now() {
        KeyState::Expired
    } else {
        KeyState::Active
    }
}

fn contributor(view: &View, name: &KeyNameRecord) -> Option<Contributor> {
    let key: PublicKey = name.public_key.parse().ok()?;
    let id = key_id(&key);
    let found = view.get::<ContributorRecord>(Scope::Server, &id);
    let (state, record) = match found {
        // Of two records that disagree neither grants anything.
        Some(found) if found.public_key == name.public_key && found.owner == name.owner => {
            // Who is kept out, or is no member any more, signs nothing.
            let enters = member(view, &name.owner).is_some_and(|member| !member.suspended);
            let state = match state_of(&found) {
                KeyState::Active | KeyState::Pending if !enters => KeyState::Suspended,
                state => state,
            };
            (state, Some((*found.record).clone()))
        }
        Some(_) => return None,
        None => {
            // A name without its key was only reserved.
            view.tombstone(CONTRIBUTORS, Scope::Server, &id)?;
            (KeyState::Revoked, None)
        }
    };
    Some(Contributor {
        key,
        owner: name.owner.clone(),
        state,
        record,
    })
}

impl Access {
    /// The key of this very name, whatever its state. No request is made.
    pub fn contributor(&self, name: &str) -> Option<Contributor> {
        let view = self.ledger.view();
        let record = view.get::<KeyNameRecord>(Scope::Server, &name_id(name)?)?;
        contributor(&view, &record).filter(|contributor| contributor.key.name() == name)
    }

    /// The members by whose keys good signatures were made, each with these keys: those who say to have made a
    /// content. `signed` are the names of the keys of signatures that are good.
    pub fn vouching<'a>(
        &self,
        signed: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, Vec<String>> {
        let mut vouching: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in signed {
            let Some(known) = self.contributor(name) else {
                continue;
            };
            let good = matches!(
                known.state,
                KeyState::Active | KeyState::Retired | KeyState::Expired
            );
            let keys = vouching.entry(known.owner).or_default();
            if good && !keys.iter().any(|key| key == name) {
                keys.push(name.to_owned());
            }
        }
        vouching.retain(|_, keys| !keys.is_empty());
        vouching
    }

    /// The member behind each key whose good signatures say that they have made a content, by the
    /// key's name.
    pub fn makers(&self) -> BTreeMap<String, String> {
        let counts = |contributor: &Contributor| {
            matches!(
                contributor.state,
                KeyState::Active | KeyState::Retired | KeyState::Expired
            )
        };
        let all = self.contributors().into_iter().filter(counts);
        all.map(|known| (known.key.name().to_owned(), known.owner))
            .collect()
    }

    /// All contributors' keys, by name.
    pub fn contributors(&self) -> Vec<Contributor> {
        let view = self.ledger.view();
        view.list::<KeyNameRecord>(Scope::Server)
            .filter_map(|name| contributor(&view, &name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::records::KeyScope;

    fn alice(change: impl FnOnce(&mut ContributorRecord)) -> Contributor {
        let key = crate::secrets::generate_key("alice-1")
            .expect("a key")
            .public_key();
        let mut record = ContributorRecord {
            public_key: key.to_string(),
            owner: "alice".into(),
            scope: KeyScope {
                caches: Some(vec!["main".into()]),
                names: vec!["app-*".into()],
                max_nar_size: Some(1000),
            },
            created_at: 0,
            expires_at: now() + 60,
            proven_at: Some(1),
            accepted_by: Some("carol".into()),
            retired_at: None,
            suspended: false,
        };
        change(&mut record);
        Contributor {
            key,
            owner: "alice".into(),
            state: state_of(&record),
            record: Some(record),
        }
    }

    #[test]
    fn a_key_signs_what_it_is_for_and_no_more() {
        let active = alice(|_| {});
        assert_eq!(active.may_publish("main", "app-1", 1000), Ok(()));
        let refused = |cache, name, size| active.may_publish(cache, name, size).expect_err("no");
        assert!(matches!(
            refused("other", "app-1", 1),
            KeyRefusal::Cache { .. }
        ));
        assert!(matches!(
            refused("main", "lib-1", 1),
            KeyRefusal::Name { .. }
        ));
        assert!(matches!(
            refused("main", "app-1", 1001),
            KeyRefusal::Size { .. }
        ));
        let nothing = alice(|record| record.scope.names.clear());
        assert!(nothing.may_publish("main", "app-1", 1).is_err());
    }

    #[test]
    fn only_an_active_key_publishes_and_the_others_say_why_not() {
        let said = |contributor: &Contributor| {
            contributor
                .may_publish("main", "app-1", 1)
                .expect_err("not active")
                .to_string()
        };
        let unproven = alice(|record| record.proven_at = None);
        assert!(said(&unproven).contains("prove that you hold it"));
        let waiting = alice(|record| record.accepted_by = None);
        assert_eq!(waiting.state, KeyState::Pending);
        let expired = alice(|record| record.expires_at = 86_400);
        assert!(
            said(&expired).contains("expired on 1970-01-02"),
            "{}",
            said(&expired)
        );
        assert!(said(&alice(|record| record.suspended = true)).contains("is suspended"));
        assert!(said(&alice(|record| record.retired_at = Some(1))).contains("was retired"));
    }
}
