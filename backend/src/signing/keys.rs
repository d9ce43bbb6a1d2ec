//! The ledger's word on a cache's own keys: which were added to those of the configuration, which one
//! signs, which are retired or revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::rotation::KeyPlace;
use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey};

use super::SigningError;
use crate::ledger::kind::{CACHE_KEYS, Kind, Record};
use crate::ledger::{RecordId, Scope};
use crate::secrets;
use crate::site::{Cache, KeysNow, Site};

/// A key, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// `name:base64`.
    pub key: String,
    /// Pending: made, and clients are not told of it. Active: they trust it. Retired, revoked: they are
    /// told of it no more.
    pub state: KeyState,
    /// Where its secret is.
    pub place: KeyPlace,
    /// When this became so.
    pub at: i64,
    /// By whom.
    pub by: String,
}

/// The keys of a cache, beside and over those of its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeysRecord {
    /// Keys that were added, and keys of the configuration whose state was changed.
    pub keys: Vec<KeptKey>,
    /// The keys that sign what is published, `name:base64`, the first one for everything that has
    /// one signature; `None`: as the configuration says.
    pub sign: Option<Vec<String>>,
}

impl Record for KeysRecord {
    const KIND: Kind = CACHE_KEYS;
}

impl KeysRecord {
    /// The record of a cache; empty where nobody changed anything.
    pub fn of(site: &Site, cache: &str) -> Self {
        site.ledger.view().only(Scope::Cache(cache))
    }

    /// What it says of a key.
    pub(super) fn find(&self, key: &PublicKey) -> Option<&KeptKey> {
        let text = key.to_string();
        self.keys.iter().find(|kept| kept.key == text)
    }

    /// Sets a key's state, and adds the key where it is not there.
    pub(super) fn set(&mut self, key: KeptKey) {
        match self.keys.iter_mut().find(|kept| kept.key == key.key) {
            Some(kept) => *kept = key,
            None => self.keys.push(key),
        }
    }

    /// Refuses keys among which clients are told to trust none, once this one is gone.
    ///
    /// # Errors
    /// Where there is no other.
    pub(super) fn leave_one(&self, cache: &Cache, gone: &str) -> Result<(), SigningError> {
        match self.over(cache.keys.configured()).trusted.is_empty() {
            true => Err(SigningError::Blocked(the_last(gone))),
            false => Ok(()),
        }
    }

    /// The keys as they are with it.
    pub(super) fn over(&self, configured: &KeysNow) -> KeysNow {
        let state = |key: &PublicKey| self.find(key).map(|kept| kept.state);
        let mut known: Vec<KnownKey> = configured
            .ring
            .keys()
            .iter()
            .map(|known| match (known.purpose, state(&known.key)) {
                (KeyPurpose::Cache, Some(state)) => KnownKey {
                    state,
                    ..known.clone()
                },
                _ => known.clone(),
            })
            .collect();
        let added = |kept: &KeptKey| {
            let key: PublicKey = kept.key.parse().ok()?;
            let is_new = configured.ring.keys().iter().all(|known| known.key != key);
            is_new.then_some(KnownKey {
                key,
                purpose: KeyPurpose::Cache,
                state: kept.state,
            })
        };
        let added: Vec<KnownKey> = self.keys.iter().filter_map(added).collect();
        let is_trusted =
            |key: &&PublicKey| state(key).is_none_or(|state| state == KeyState::Active);
        let mut trusted: Vec<PublicKey> = configured
            .trusted
            .iter()
            .filter(is_trusted)
            .cloned()
            .collect();
        let new = added.iter().filter(|known| known.state == KeyState::Active);
        trusted.extend(new.map(|known| known.key.clone()));
        known.extend(added);
        let sign = match &self.sign {
            Some(sign) => sign.iter().filter_map(|text| text.parse().ok()).collect(),
            None => configured.sign.clone(),
        };
        KeysNow {
            ring: Arc::new(KeyRing::new(known)),
            sign: sign
                .into_iter()
                .filter(|key| trusted.contains(key))
                .collect(),
            trusted,
        }
    }
}

/// Why the last key stays.
pub(super) fn the_last(name: &str) -> String {
    format!(
        "{name} is the last key that clients are told to trust: without another one they could accept nothing. Create the next key and distribute it first; that takes a minute."
    )
}

/// Where a secret key is kept that the server made for a cache.
pub(super) fn file_of(keys_dir: &Path, cache: &str, name: &str) -> PathBuf {
    keys_dir.join(cache).join(format!("{name}.secret"))
}

/// Brings a cache's keys to what the ledger says, and lets its index judge by them and by the
/// contributors'.
pub fn follow_keys(site: &Site, cache: &Cache, keys_dir: &Path) {
    follow_record(site, cache, keys_dir);
    let own = cache.key_ring();
    // A name of the cache's own keys is nobody else's, whatever the registry says.
    let others = site
        .access
        .contributors()
        .into_iter()
        .filter(|contributor| {
            let name = contributor.key.name();
            own.keys()
                .iter()
                .all(|own| !own.key.name().eq_ignore_ascii_case(name))
        });
    let others = others.map(|contributor| KnownKey {
        key: contributor.key,
        purpose: KeyPurpose::Contributor,
        state: contributor.state,
    });
    let ring = KeyRing::new(own.keys().iter().cloned().chain(others));
    if ring.keys() != cache.index.key_ring().keys() {
        cache.index.set_key_ring(Arc::new(ring));
    }
}

/// While the ledger was never read, or its word cannot be believed, nothing changes.
fn follow_record(site: &Site, cache: &Cache, keys_dir: &Path) {
    let slug = cache.slug.as_str();
    let view = site.ledger.view();
    let Some(record) = view.get::<KeysRecord>(Scope::Cache(slug), &RecordId::only()) else {
        return;
    };
    for kept in &record.keys {
        let ended = matches!(kept.state, KeyState::Retired | KeyState::Revoked);
        let Ok(key) = kept.key.parse::<PublicKey>() else {
            continue;
        };
        if kept.place != KeyPlace::Server || ended || cache.keys.secret(&key).is_some() {
            continue;
        }
        // Another replica made it: there is its file, and here somebody has to put it.
        match secrets::read_key(&file_of(keys_dir, slug, key.name())) {
            Ok(secret) if secret.public_key() == key => cache.keys.add_secret(secret),
            Ok(_) => tracing::warn!(
                cache = slug,
                key = key.name(),
                "a key's file holds another key"
            ),
            Err(error) => {
                tracing::debug!(cache = slug, key = key.name(), %error, "a key is not here");
            }
        }
    }
    let next = record.over(cache.keys.configured());
    let now = cache.keys.now();
    let same =
        now.ring.keys() == next.ring.keys() && now.trusted == next.trusted && now.sign == next.sign;
    if !same {
        cache.keys.set(next);
    }
    let now = cache.keys.now();
    cache
        .trust
        .set_own(&now.trusted, cache.keys.signer().is_some());
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::signature::SecretKey;

    fn key(name: &str, seed: u8) -> PublicKey {
        let key = SecretKey::generate(name, [seed; 32]).expect("a key");
        key.public_key()
    }

    fn kept(key: &PublicKey, state: KeyState) -> KeptKey {
        KeptKey {
            key: key.to_string(),
            state,
            place: KeyPlace::Server,
            at: 1,
            by: "member:olga".into(),
        }
    }

    #[test]
    fn a_rotation_moves_the_keys_step_by_step() {
        let (old, new) = (key("team-1", 1), key("team-2", 2));
        let known = KnownKey {
            key: old.clone(),
            purpose: KeyPurpose::Cache,
            state: KeyState::Active,
        };
        let configured = KeysNow {
            ring: Arc::new(KeyRing::new([known]).with_upstreams()),
            trusted: vec![old.clone()],
            sign: vec![old.clone()],
        };
        let mut record = KeysRecord::default();
        assert_eq!(record.over(&configured).trusted, configured.trusted);
        record.set(kept(&new, KeyState::Pending));
        let now = record.over(&configured);
        assert_eq!(
            (now.trusted, now.sign),
            (vec![old.clone()], vec![old.clone()])
        );
        assert!(now.ring.keys().iter().any(|known| known.key == new));
        record.set(kept(&new, KeyState::Active));
        record.sign = Some(vec![old.to_string(), new.to_string()]);
        let now = record.over(&configured);
        assert_eq!(now.trusted, [old.clone(), new.clone()]);
        assert_eq!(now.sign, now.trusted);
        record.sign = Some(vec![new.to_string()]);
        record.set(kept(&old, KeyState::Retired));
        let now = record.over(&configured);
        assert_eq!((now.trusted, now.sign), (vec![new.clone()], vec![new]));
        let judged = now.ring.keys().iter().find(|known| known.key == old);
        assert_eq!(judged.expect("still known").state, KeyState::Retired);
        // A key that clients are told of no more signs nothing, whatever the record says.
        record.sign = Some(vec![old.to_string()]);
        assert!(record.over(&configured).sign.is_empty());
    }
}
