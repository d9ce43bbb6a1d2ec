//! The keys of a cache as they are now: who judges, who is told to clients, who signs.
//!
//! The configuration says with which it begins. The ledger's record of a cache's keys, where there is
//! one, moves them while the server runs: a key is added, another one signs, an old one retires.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use snowbank_shared::signature::{KeyRing, PublicKey, SecretKey};

/// Who judges, who is told to clients, who signs, at one moment.
#[derive(Debug, Clone)]
pub struct KeysNow {
    /// The cache's keys and those of upstreams, with their states. Contributors are not among them.
    pub ring: Arc<KeyRing>,
    /// The cache's own keys that clients are told to trust, in their order.
    pub trusted: Vec<PublicKey>,
    /// The keys that sign what is published: one, two while one takes over from the other, or none.
    pub sign: Vec<PublicKey>,
}

/// The keys of a cache.
pub struct OwnKeys {
    /// As the configuration has them.
    configured: KeysNow,
    now: ArcSwap<KeysNow>,
    /// Secret keys at hand. Never shown.
    secrets: Mutex<Vec<Arc<SecretKey>>>,
}

impl OwnKeys {
    /// Those of the configuration: of its secret keys the first signs.
    pub fn new(ring: Arc<KeyRing>, trusted: Vec<PublicKey>, secrets: Vec<SecretKey>) -> Self {
        let configured = KeysNow {
            ring,
            trusted,
            sign: secrets
                .first()
                .map(SecretKey::public_key)
                .into_iter()
                .collect(),
        };
        Self {
            now: ArcSwap::from_pointee(configured.clone()),
            configured,
            secrets: Mutex::new(secrets.into_iter().map(Arc::new).collect()),
        }
    }

    /// As the configuration has them.
    pub fn configured(&self) -> &KeysNow {
        &self.configured
    }

    /// As they are now.
    pub fn now(&self) -> Arc<KeysNow> {
        self.now.load_full()
    }

    /// From now on these.
    pub fn set(&self, keys: KeysNow) {
        self.now.store(Arc::new(keys));
    }

    /// The secret key of a public one, where this server has it.
    pub fn secret(&self, key: &PublicKey) -> Option<Arc<SecretKey>> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = secrets.iter().find(|secret| secret.public_key() == *key);
        found.cloned()
    }

    /// Takes a secret key in hand.
    pub fn add_secret(&self, secret: SecretKey) {
        if self.secret(&secret.public_key()).is_none() {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.push(Arc::new(secret));
        }
    }

    /// The secret keys that sign what is published, those that this server has.
    pub fn signers(&self) -> Vec<Arc<SecretKey>> {
        let now = self.now();
        now.sign.iter().filter_map(|key| self.secret(key)).collect()
    }

    /// The first of them, for what has one signature of the cache.
    pub fn signer(&self) -> Option<Arc<SecretKey>> {
        self.signers().into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_secret_signs_until_another_is_set() {
        let key = |name: &str, seed| SecretKey::generate(name, [seed; 32]).expect("a key");
        let (old, new) = (key("team-1", 1), key("team-2", 2));
        let ring = Arc::new(KeyRing::new([]));
        let keys = OwnKeys::new(ring, vec![old.public_key()], vec![old.clone()]);
        assert_eq!(keys.signer().expect("signs").name(), "team-1");
        keys.set(KeysNow {
            sign: vec![new.public_key()],
            ..keys.configured().clone()
        });
        assert!(keys.signer().is_none(), "its secret is elsewhere");
        keys.add_secret(new.clone());
        keys.add_secret(new);
        assert_eq!(keys.signer().expect("signs").name(), "team-2");
        assert_eq!(keys.configured().sign, [old.public_key()]);
    }
}
