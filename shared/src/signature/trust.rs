//! Whom a machine trusts, and what it would accept: the judgement of `nix store verify
//! --sigs-needed 1` and of every substitution, for any list of keys.

use super::{KeyRing, KnownKey, PublicKey};
use crate::api::{KeyPurpose, KeyState, SignatureStatus};
use crate::narinfo::NarInfo;

/// The keys of a machine's `trusted-public-keys`, as Nix reads them: of two with one name the
/// first counts, silently (ux/ground-truths.md, T3).
#[derive(Debug, Clone, Default)]
pub struct TrustSet {
    keys: Vec<PublicKey>,
    passed_over: Vec<PublicKey>,
    ring: KeyRing,
}

/// What a machine makes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// A signature by a trusted key passes the check; the key's name.
    By(String),
    /// Content-addressed, and the claim holds: no signature is asked for.
    ByContentAddress,
    /// Nothing that it trusts vouches for the path.
    No,
}

impl TrustSet {
    /// The set of these keys, in the order of the configuration. A key given twice counts once.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut set = Self::default();
        for key in keys {
            match set.keys.iter().find(|known| known.name() == key.name()) {
                None => set.keys.push(key),
                Some(known) if *known == key || set.passed_over.contains(&key) => {}
                Some(_) => set.passed_over.push(key),
            }
        }
        set.ring = KeyRing::new(set.keys.iter().map(|key| KnownKey {
            key: key.clone(),
            purpose: KeyPurpose::Upstream,
            state: KeyState::Active,
        }));
        set
    }

    /// The keys that count, in their order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Keys that Nix passes over, because an earlier one has the name.
    pub fn passed_over(&self) -> &[PublicKey] {
        &self.passed_over
    }

    /// The key that counts for a name.
    pub fn named(&self, name: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.name() == name)
    }

    /// Judges a narinfo as a machine with these keys does.
    pub fn judge(&self, narinfo: &NarInfo) -> Accepted {
        let judged = self.ring.judge(narinfo);
        let by = judged
            .signatures
            .into_iter()
            .find(|verdict| verdict.status == SignatureStatus::Valid);
        match by {
            Some(verdict) => Accepted::By(verdict.key),
            None if narinfo.is_content_addressed() => Accepted::ByContentAddress,
            None => Accepted::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SecretKey;
    use crate::store_path::StoreDir;

    #[test]
    fn a58_the_first_key_of_a_name_counts_and_content_addresses_need_none() {
        let dir = StoreDir::default();
        let key = |name: &str, seed: u8| SecretKey::generate(name, [seed; 32]).expect("a key");
        let (ours, imposter, other) = (key("team-1", 1), key("team-1", 2), key("ci-1", 3));
        let bare = "StorePath: /nix/store/0mg3mag909yg8pk14cjsppxs2px7iqfv-openapv-0.2.1.2\nURL: nar/x.nar\nCompression: none\nNarHash: sha256:1gas028j4n2yial0csbcxzyfswwc8jb58is2x4mrblzx3zx5721y\nNarSize: 797328\nReferences: \n";
        let unsigned = NarInfo::parse(bare.as_bytes(), &dir).expect("a narinfo");
        let line = ours.sign(unsigned.fingerprint().as_bytes());
        let signed =
            NarInfo::parse(format!("{bare}Sig: {line}\n").as_bytes(), &dir).expect("a narinfo");
        let set = |keys: &[&SecretKey]| TrustSet::new(keys.iter().map(|key| key.public_key()));
        let by_ours = Accepted::By("team-1".to_owned());
        assert_eq!(set(&[&ours, &imposter]).judge(&signed), by_ours);
        assert_eq!(set(&[&other, &ours, &ours]).judge(&signed), by_ours);
        let wrong_first = set(&[&imposter, &ours]);
        assert_eq!(wrong_first.judge(&signed), Accepted::No);
        assert_eq!(wrong_first.passed_over(), [ours.public_key()]);
        assert_eq!(set(&[&ours]).judge(&unsigned), Accepted::No);
        assert_eq!(set(&[]).judge(&signed), Accepted::No);
    }
}
