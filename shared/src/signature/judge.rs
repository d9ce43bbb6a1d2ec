//! What the signatures of a path are worth, by the keys that are known
//! (DESIGN.md, "Status words"; ux/signatures.md 4.1).

use std::collections::HashMap;

use super::{PublicKey, SignatureParts};
use crate::api::{KeyPurpose, KeyState, SignatureStatus, SignatureVerdict};
use crate::narinfo::{NarInfo, Oddity, OddityKind};

/// Public keys of caches that everybody knows. Their signatures are shown as
/// what they are, and not as "unknown key".
pub const UPSTREAM_KEYS: &[&str] =
    &["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="];

/// A public key and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The key.
    pub key: PublicKey,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Whether its signatures are believed.
    pub state: KeyState,
}

/// The keys by which signatures are judged. Cheap to share behind an `Arc`.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: Vec<KnownKey>,
    /// Positions in `keys` of those that count, by name: all but pending ones.
    by_name: HashMap<String, Vec<usize>>,
}

/// What the signatures of one path are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The path's word: the best that is present.
    pub status: SignatureStatus,
    /// An invalid or malformed signature beside that better word.
    pub problem: Option<SignatureStatus>,
    /// Each `Sig` line, judged, in their order.
    pub signatures: Vec<SignatureVerdict>,
    /// What only the check brought to light, such as a signature over unsorted references.
    pub oddities: Vec<Oddity>,
}

impl KeyRing {
    /// A ring of these keys and no others. The same key given twice counts once,
    /// with the state that binds more: revoked, suspended, active, retired, expired, pending.
    pub fn new(keys: impl IntoIterator<Item = KnownKey>) -> Self {
        let mut ring = Self::default();
        for known in keys {
            ring.insert(known);
        }
        ring.link();
        ring
    }

    /// This ring and the keys of [`UPSTREAM_KEYS`] that it lacks.
    #[must_use]
    pub fn with_upstreams(mut self) -> Self {
        for text in UPSTREAM_KEYS {
            if let Ok(key) = text.parse() {
                let upstream = KnownKey {
                    key,
                    purpose: KeyPurpose::Upstream,
                    state: KeyState::Active,
                };
                if !self.keys.iter().any(|known| known.key == upstream.key) {
                    self.keys.push(upstream);
                }
            }
        }
        self.link();
        self
    }

    /// The keys, pending ones included, in the order given.
    pub fn keys(&self) -> &[KnownKey] {
        &self.keys
    }

    fn insert(&mut self, new: KnownKey) {
        match self.keys.iter_mut().find(|known| known.key == new.key) {
            None => self.keys.push(new),
            Some(known) if weight(new.state) > weight(known.state) => *known = new,
            Some(_) => {}
        }
    }

    fn link(&mut self) {
        self.by_name.clear();
        for (position, known) in self.keys.iter().enumerate() {
            if known.state != KeyState::Pending {
                let same_name = self.by_name.entry(known.key.name().to_owned()).or_default();
                same_name.push(position);
            }
        }
    }

    /// Judges every signature of a narinfo, and the path by them.
    pub fn judge(&self, narinfo: &NarInfo) -> Judgement {
        let mut fingerprint = Vec::new();
        let mut oddities = Vec::new();
        let signatures = narinfo
            .signatures()
            .enumerate()
            .map(|(n, text)| {
                let parts = match SignatureParts::parse(text) {
                    Ok(parts) => parts,
                    Err(_) => return verdict(text, SignatureStatus::Malformed),
                };
                let Some(known) = self.by_name.get(parts.key_name) else {
                    return verdict(text, SignatureStatus::UnknownKey);
                };
                let [position] = known.as_slice() else {
                    return verdict(text, SignatureStatus::NameClash);
                };
                let known = &self.keys[*position];
                if fingerprint.is_empty() {
                    fingerprint = narinfo.fingerprint().into_bytes();
                }
                if known.key.verifies(&fingerprint, &parts.bytes) {
                    return verdict(text, passed(known.state));
                }
                if let Some(unsorted) = narinfo.file_order_fingerprint()
                    && known.key.verifies(unsorted.as_bytes(), &parts.bytes)
                {
                    oddities.push(Oddity {
                        line: narinfo.signature_line(n),
                        kind: OddityKind::SignedInFileOrder,
                    });
                }
                verdict(text, SignatureStatus::Invalid)
            })
            .collect();
        Judgement::of(narinfo, signatures, oddities)
    }

    /// Judges many narinfos, as [`judge`](Self::judge) does each.
    pub fn judge_batch(&self, narinfos: &[NarInfo]) -> Vec<Judgement> {
        narinfos.iter().map(|narinfo| self.judge(narinfo)).collect()
    }
}

impl Judgement {
    fn of(narinfo: &NarInfo, signatures: Vec<SignatureVerdict>, oddities: Vec<Oddity>) -> Self {
        let words = signatures.iter().map(|verdict| verdict.status);
        let not_needed = narinfo
            .is_content_addressed()
            .then_some(SignatureStatus::NotNeeded);
        let status = words
            .clone()
            .chain(not_needed)
            .min()
            .unwrap_or(SignatureStatus::Unsigned);
        let bad = |word: &SignatureStatus| {
            matches!(word, SignatureStatus::Invalid | SignatureStatus::Malformed)
        };
        let problem = words.filter(bad).max().filter(|worst| *worst > status);
        Self {
            status,
            problem,
            signatures,
            oddities,
        }
    }
}

/// Which state wins where one key is known twice.
fn weight(state: KeyState) -> u8 {
    match state {
        KeyState::Revoked => 5,
        KeyState::Suspended => 4,
        KeyState::Active => 3,
        KeyState::Retired => 2,
        KeyState::Expired => 1,
        KeyState::Pending => 0,
    }
}

/// The word for a signature that passed the check.
fn passed(state: KeyState) -> SignatureStatus {
    match state {
        KeyState::Active => SignatureStatus::Valid,
        KeyState::Retired | KeyState::Expired => SignatureStatus::ValidRetired,
        KeyState::Suspended | KeyState::Revoked => SignatureStatus::ValidRevoked,
        KeyState::Pending => SignatureStatus::UnknownKey,
    }
}

fn verdict(text: &str, status: SignatureStatus) -> SignatureVerdict {
    SignatureVerdict {
        key: text.split_once(':').map_or("", |(name, _)| name).to_owned(),
        signature: text.to_owned(),
        status,
    }
}
