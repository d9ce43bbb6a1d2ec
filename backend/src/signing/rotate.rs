//! The steps of a rotation, each with its guard.
//!
//! A key always comes under a new name: clients look keys up by name and of two with one name believe
//! only the first (PROTOCOL.md §5). While both are distributed both sign what is published, so that
//! nothing new is by the old one alone.

use std::sync::Arc;

use snowbank_shared::api::KeyState;
use snowbank_shared::api::rotation::{BeginRotation, GoStep, KeyPlace, RotationStep as Step};
use snowbank_shared::api::signing::{JobAct, JobWish};
use snowbank_shared::signature::{PublicKey, check_key_name};

use super::keys::{KeptKey, KeysRecord, file_of, follow_keys};
use super::rotation::RotationRecord;
use super::{Order, Signing, SigningError, off_reactor};
use crate::auth::By;
use crate::auth::records::{KeyNameRecord, now};
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::secrets;
use crate::site::{Cache, Site};

/// Characters of a reason at most.
pub(super) const LONGEST_REASON: usize = 200;

/// Refuses a name that a new key cannot have.
pub(super) fn free_name(site: &Site, name: &str) -> Result<RecordId, SigningError> {
    let fine = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && check_key_name(name).is_ok();
    if !fine {
        return Err(SigningError::Bad(
            "A key's name has 1 to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit: `team-2`.".to_owned(),
        ));
    }
    let known = site.caches.iter().any(|cache| {
        let ring = cache.key_ring();
        ring.keys()
            .iter()
            .any(|known| known.key.name().eq_ignore_ascii_case(name))
    });
    let id: RecordId = name
        .to_lowercase()
        .parse()
        .map_err(|_| SigningError::Bad("No key can have this name.".to_owned()))?;
    let given = site.ledger.view().get::<KeyNameRecord>(Scope::Server, &id);
    match known || given.is_some() {
        true => Err(taken(name)),
        false => Ok(id),
    }
}

fn taken(name: &str) -> SigningError {
    SigningError::NameTaken(format!(
        "The name {name} is taken. Nix looks a key up by its name, and of two keys with one name the first one wins: the second is ignored without a word. Choose a name that was never used."
    ))
}

/// A reason as it is kept.
pub(super) fn reason(text: &str) -> Result<String, SigningError> {
    let text = text.trim();
    match text.chars().count() {
        1..=LONGEST_REASON => Ok(text.to_owned()),
        _ => Err(SigningError::Bad(format!(
            "Say why, in 1 to {LONGEST_REASON} characters."
        ))),
    }
}

impl Signing {
    /// Begins a rotation: the new key is made, or made known. Clients are not told of it yet.
    ///
    /// # Errors
    /// Where one is under way, the name was used, or the key cannot be had.
    pub async fn begin_rotation(
        &self,
        cache: &Cache,
        wish: &BeginRotation,
        by: &By,
    ) -> Result<(), SigningError> {
        let site = &self.0.site;
        let slug = cache.slug.as_str();
        if RotationRecord::of(site, slug).is_some_and(|record| record.is_open()) {
            return Err(SigningError::Blocked(
                "A rotation of this cache is under way: end it, or give it up.".to_owned(),
            ));
        }
        let trusted = cache.keys.now().trusted.clone();
        let old = trusted.iter().find(|key| key.name() == wish.old);
        let old = old.ok_or_else(|| {
            SigningError::Bad("The old key is none that clients are told to trust.".to_owned())
        })?;
        let name = wish.name.trim();
        let new = match wish.place {
            KeyPlace::Config => {
                let configured = &cache.keys.configured().trusted;
                let found = configured
                    .iter()
                    .find(|key| key.name() == name && *key != old);
                found.cloned().ok_or_else(|| {
                    SigningError::Bad(format!(
                        "The configuration has no key {name}: name its file with caches.{slug}.signing_key_files, after the one that signs now, and start the server again."
                    ))
                })?
            }
            KeyPlace::Server => {
                let id = free_name(site, name)?;
                let path = file_of(&self.0.keys_dir, slug, name);
                let secret = secrets::read_or_make_key(&path, name)?;
                if secret.name() != name {
                    return Err(SigningError::Bad(format!(
                        "{} holds another key.",
                        path.display()
                    )));
                }
                self.reserve(&id, &secret.public_key(), slug, by).await?;
                let key = secret.public_key();
                cache.keys.add_secret(secret);
                key
            }
            KeyPlace::Offline => {
                let text = wish.public_key.as_deref().unwrap_or_default().trim();
                let key: PublicKey = text.parse().map_err(|_| {
                    SigningError::Bad(
                        "Paste the new key's public half, `name:base64`: `snowbank key convert` prints it.".to_owned(),
                    )
                })?;
                if key.name() != name {
                    return Err(SigningError::Bad(format!(
                        "The public key is called {}, not {name}.",
                        key.name()
                    )));
                }
                let ring = cache.key_ring();
                if ring
                    .keys()
                    .iter()
                    .any(|known| known.key.bytes() == key.bytes())
                {
                    return Err(SigningError::Bad(
                        "This is a key that is known here already, under another name: a rotation takes a new key.".to_owned(),
                    ));
                }
                let id = free_name(site, name)?;
                self.reserve(&id, &key, slug, by).await?;
                key
            }
        };
        let state = match wish.place {
            KeyPlace::Config => KeyState::Active,
            KeyPlace::Server | KeyPlace::Offline => KeyState::Pending,
        };
        let kept = KeptKey {
            key: new.to_string(),
            state,
            place: wish.place,
            at: now(),
            by: by.actor.clone(),
        };
        self.change_keys(cache, by, |keys| {
            keys.set(kept.clone());
            Ok(())
        })
        .await?;
        let record = RotationRecord {
            old: old.to_string(),
            new: new.to_string(),
            place: wish.place,
            by: by.actor.clone(),
            begun_at: now(),
            distributed_at: None,
            job: None,
            overlap_from: None,
            shortened: None,
            switched_at: None,
            retired_at: None,
            abandoned_at: None,
        };
        site.ledger
            .put(
                Scope::Cache(slug),
                &RecordId::only(),
                &by.actor,
                |current: Option<&RotationRecord>| match current {
                    Some(current) if current.is_open() => Err(SigningError::Blocked(
                        "A rotation of this cache is under way.".to_owned(),
                    )),
                    _ => Ok(record.clone()),
                },
            )
            .await?;
        let detail = [
            ("old", old.name().to_owned()),
            ("new", new.to_string()),
            ("place", wish.place.text().to_owned()),
        ];
        site.access
            .note_in(slug, by, "rotation.begin", new.name(), &detail)
            .await;
        Ok(())
    }

    /// Goes a step of the rotation.
    ///
    /// # Errors
    /// Where there is none, or a guard is in the way.
    pub async fn go(&self, cache: &Arc<Cache>, wish: &GoStep, by: &By) -> Result<(), SigningError> {
        let site = &self.0.site;
        let slug = cache.slug.as_str();
        let record = open(site, slug)?;
        let (this, of, asked) = (self.clone(), Arc::clone(cache), record.clone());
        let facts = off_reactor(move || {
            let view = of.index.view();
            Ok(this.coverage(&of, &view, &asked).1)
        })
        .await?;
        let again = matches!(wish.step, Step::Resign | Step::Overlap);
        if !again && record.done_at(wish.step, facts.only_old).is_some() {
            return Err(SigningError::Blocked(
                "This step is done already.".to_owned(),
            ));
        }
        let ends_waiting = wish.step == Step::Overlap && wish.shorten.is_some();
        if let Some(text) = record.blocked(wish.step, &facts) {
            return Err(SigningError::Blocked(text));
        }
        let (old, new) = (record.old.clone(), record.new.clone());
        let mut next = record.clone();
        match wish.step {
            Step::Create => {}
            Step::Distribute => {
                let both = vec![old.clone(), new.clone()];
                let at = new_key(&record, KeyState::Active, by);
                self.change_keys(cache, by, |keys| {
                    keys.set(at.clone());
                    keys.sign = Some(both.clone());
                    Ok(())
                })
                .await?;
                next.distributed_at = next.distributed_at.or(Some(now()));
            }
            Step::Resign => {
                let wish = JobWish {
                    act: JobAct::CounterSign,
                    key: Some(record.new_name().to_owned()),
                    paths: Vec::new(),
                    filter: Some(format!("key={}", record.old_name())),
                    content: wish.content,
                    leave_unsigned: false,
                    reason: format!("rotation from {}", record.old_name()),
                };
                let order = Order::of(site, cache, &wish)?;
                let total = self.counted(cache, &order).await?;
                next.job = Some(self.begin(cache, order, total, by).await?.id);
            }
            Step::Overlap => {
                next.overlap_from = next.overlap_from.or(Some(now()));
                if ends_waiting {
                    next.shortened = Some(reason(wish.shorten.as_deref().unwrap_or_default())?);
                }
            }
            Step::Switch => {
                if !facts.new_at_hand && !wish.accept {
                    return Err(SigningError::Blocked(format!(
                        "The secret of {} is not on this server: from then on nothing that is uploaded can be signed, and uploads are refused. Say that this is meant.",
                        record.new_name()
                    )));
                }
                let alone = vec![new.clone()];
                self.change_keys(cache, by, |keys| {
                    keys.sign = Some(alone.clone());
                    Ok(())
                })
                .await?;
                next.switched_at = next.switched_at.or(Some(now()));
            }
            Step::Retire => {
                let retired = KeptKey {
                    key: old.clone(),
                    state: KeyState::Retired,
                    place: kept_place(site, cache, &old),
                    at: now(),
                    by: by.actor.clone(),
                };
                self.change_keys(cache, by, |keys| {
                    keys.set(retired.clone());
                    keys.leave_one(cache, record.old_name())
                })
                .await?;
                next.retired_at = Some(now());
            }
        }
        self.keep(cache, by, &record, &next).await?;
        let detail = [
            ("old", record.old_name().to_owned()),
            ("step", wish.step.as_str().to_owned()),
        ];
        site.access
            .note_in(slug, by, "rotation.step", record.new_name(), &detail)
            .await;
        Ok(())
    }

    /// Gives a rotation up: the old key alone signs again, and clients are told of it alone. What the
    /// new key has signed keeps its signature.
    ///
    /// # Errors
    /// Where there is none, or the old key has stopped signing already.
    pub async fn abandon(&self, cache: &Cache, by: &By) -> Result<(), SigningError> {
        let site = &self.0.site;
        let record = open(site, cache.slug.as_str())?;
        if record.switched_at.is_some() {
            return Err(SigningError::Blocked(format!(
                "{} has stopped signing: go on, or begin a rotation the other way.",
                record.old_name()
            )));
        }
        let ended = new_key(&record, KeyState::Retired, by);
        let alone = vec![record.old.clone()];
        self.change_keys(cache, by, |keys| {
            match record.place {
                // It is the configuration's to say.
                KeyPlace::Config => keys.keys.retain(|kept| kept.key != ended.key),
                KeyPlace::Server | KeyPlace::Offline => keys.set(ended.clone()),
            }
            keys.sign = Some(alone.clone());
            Ok(())
        })
        .await?;
        let mut next = record.clone();
        next.abandoned_at = Some(now());
        self.keep(cache, by, &record, &next).await?;
        let detail = [("old", record.old_name().to_owned())];
        site.access
            .note_in(
                cache.slug.as_str(),
                by,
                "rotation.abandon",
                record.new_name(),
                &detail,
            )
            .await;
        Ok(())
    }

    /// Takes a key's name for ever.
    async fn reserve(
        &self,
        id: &RecordId,
        key: &PublicKey,
        slug: &str,
        by: &By,
    ) -> Result<(), SigningError> {
        let record = KeyNameRecord {
            public_key: key.to_string(),
            owner: format!("cache:{slug}"),
        };
        let made = self
            .0
            .site
            .ledger
            .create(Scope::Server, id, &by.actor, record)
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => Err(taken(key.name())),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the cache's keys, here at once and on other replicas when they look. `change` gets them
    /// as they lie in the ledger, once more where somebody was faster; what it refuses is refused.
    pub(super) async fn change_keys(
        &self,
        cache: &Cache,
        by: &By,
        mut change: impl FnMut(&mut KeysRecord) -> Result<(), SigningError>,
    ) -> Result<(), SigningError> {
        let site = &self.0.site;
        let scope = Scope::Cache(cache.slug.as_str());
        site.ledger
            .put(
                scope,
                &RecordId::only(),
                &by.actor,
                |current: Option<&KeysRecord>| {
                    let mut next = current.cloned().unwrap_or_default();
                    change(&mut next)?;
                    Ok::<_, SigningError>(next)
                },
            )
            .await?;
        follow_keys(site, cache, &self.0.keys_dir);
        Ok(())
    }

    /// Keeps how far a rotation has come, where nobody went on with it meanwhile.
    pub(super) async fn keep(
        &self,
        cache: &Cache,
        by: &By,
        from: &RotationRecord,
        next: &RotationRecord,
    ) -> Result<(), SigningError> {
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        ledger
            .update(
                scope,
                &RecordId::only(),
                &by.actor,
                |current: &RotationRecord| match current == from {
                    true => Ok(next.clone()),
                    false => Err(SigningError::Blocked(
                        "Somebody went a step meanwhile: look again, then decide.".to_owned(),
                    )),
                },
            )
            .await?;
        Ok(())
    }
}

/// The new key of a rotation in another state.
fn new_key(record: &RotationRecord, state: KeyState, by: &By) -> KeptKey {
    KeptKey {
        key: record.new.clone(),
        state,
        place: record.place,
        at: now(),
        by: by.actor.clone(),
    }
}

/// The rotation under way.
fn open(site: &Site, slug: &str) -> Result<RotationRecord, SigningError> {
    RotationRecord::of(site, slug)
        .filter(RotationRecord::is_open)
        .ok_or_else(|| SigningError::Blocked("No rotation of this cache is under way.".to_owned()))
}

/// Where a key's secret is, as far as known.
pub(super) fn kept_place(site: &Site, cache: &Cache, key: &str) -> KeyPlace {
    let kept = KeysRecord::of(site, cache.slug.as_str());
    let found = kept.keys.iter().find(|kept| kept.key == key);
    found.map_or(KeyPlace::Config, |kept| kept.place)
}
