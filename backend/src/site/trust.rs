//! What clients of a cache are told to use and whom to trust, as it is now.
//!
//! The addresses and the cache's own keys are of the configuration. Whose signatures count is the
//! policy's to say and changes while the server runs: where the cache signs nothing, clients trust
//! each contributor by their own key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use snowbank_shared::api::Signing;
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl};
use snowbank_shared::signature::PublicKey;

/// Whom clients of a cache trust.
pub struct Trust {
    address: SubstituterUrl,
    own: ArcSwap<Vec<PublicKey>>,
    /// Caches that clients use as well.
    beside: Vec<ClientSettings>,
    signs: AtomicBool,
    now: ArcSwap<Trusted>,
}

/// The same, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Who signs what is published.
    pub signing: Signing,
    /// The cache's keys, or those of its contributors and its own after them.
    pub keys: Vec<PublicKey>,
    /// The lines for clients, with the caches that they use as well.
    pub settings: ClientSettings,
}

impl Trust {
    /// At the start, when the policy is not known yet: by the cache's own keys. `signs` is whether it
    /// has a secret one.
    pub fn new(
        address: SubstituterUrl,
        own: Vec<PublicKey>,
        beside: Vec<ClientSettings>,
        signs: bool,
    ) -> Self {
        let settings = ClientSettings::new(address.clone(), own.iter().cloned());
        let now = Trusted {
            signing: Signing::CounterSign,
            keys: own.clone(),
            settings,
        };
        let trust = Self {
            address,
            own: ArcSwap::from_pointee(own),
            beside,
            signs: AtomicBool::new(signs),
            now: ArcSwap::from_pointee(now),
        };
        trust.counter_signs();
        trust
    }

    /// The cache's own keys.
    pub fn own(&self) -> Arc<Vec<PublicKey>> {
        self.own.load_full()
    }

    /// From now on these are the cache's own keys, and `signs` is whether it has a secret one.
    pub fn set_own(&self, keys: &[PublicKey], signs: bool) {
        let before = self.own.swap(Arc::new(keys.to_vec()));
        self.signs.store(signs, Ordering::Relaxed);
        let now = self.now();
        match now.signing {
            Signing::PassThrough => {
                let contributors = now.keys.iter().filter(|key| !before.contains(key));
                self.passes_through(contributors.cloned());
            }
            Signing::CounterSign | Signing::NoKey => self.counter_signs(),
        }
    }

    /// As it is now.
    pub fn now(&self) -> Arc<Trusted> {
        self.now.load_full()
    }

    /// From now on the cache signs what it has verified, where it has a key.
    pub fn counter_signs(&self) {
        let signing = match self.signs.load(Ordering::Relaxed) {
            true => Signing::CounterSign,
            false => Signing::NoKey,
        };
        self.set(signing, self.own().to_vec());
    }

    /// From now on clients trust these keys of contributors, and the cache's own for what it signed
    /// before.
    pub fn passes_through(&self, contributors: impl IntoIterator<Item = PublicKey>) {
        let own = self.own();
        let keys = contributors.into_iter().chain(own.iter().cloned());
        self.set(Signing::PassThrough, keys.collect());
    }

    fn set(&self, signing: Signing, keys: Vec<PublicKey>) {
        let own = ClientSettings::new(self.address.clone(), keys);
        let keys = own.keys().to_vec();
        let settings = self.beside.iter().cloned().fold(own, ClientSettings::and);
        let next = Trusted {
            signing,
            keys,
            settings,
        };
        if **self.now.load() != next {
            self.now.store(Arc::new(next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    const THEIRS: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

    #[test]
    fn clients_are_told_of_virtual_upstreams_and_in_pass_through_of_contributors() {
        let key = |text: &str| text.parse::<PublicKey>().expect("a key");
        let upstream = ClientSettings::new(
            "https://cache.nixos.org".parse().expect("a URL"),
            [key(THEIRS)],
        );
        let url = "https://cache.example.org/team".parse().expect("a URL");
        let trust = Trust::new(url, vec![key(KEY)], vec![upstream], true);
        assert_eq!(trust.now().signing, Signing::CounterSign);
        assert_eq!(trust.now().keys, [key(KEY)]);
        assert_eq!(
            trust.now().settings.nix_conf(),
            format!(
                "extra-substituters = https://cache.example.org/team https://cache.nixos.org\nextra-trusted-public-keys = {KEY} {THEIRS}\n"
            )
        );
        let alice = PublicKey::new("alice-1", key(KEY).bytes()).expect("a key");
        trust.passes_through([alice.clone()]);
        assert_eq!(trust.now().signing, Signing::PassThrough);
        assert_eq!(trust.now().keys, [alice, key(KEY)]);
        trust.counter_signs();
        assert_eq!(trust.now().keys, [key(KEY)]);
    }
}
