//! What the signatures of a path are worth, by the keys that are known
//! (DESIGN.md, "Status words"; ux/signatures.md 4.1).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::multiples::PreparedKey;
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

/// After how many checks a key is prepared for more. Preparing costs as much as 25 checks save.
const PREPARE_AFTER: u32 = 50;

/// How many keys of a ring are prepared at most: 6 MB. The others are checked one by one.
const MOST_PREPARED: u32 = 16;

/// The keys by which signatures are judged. Cheap to clone: clones share all.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Arc<[KnownKey]>,
    /// Positions in `keys` of those that count, by name: all but pending ones.
    by_name: Arc<HashMap<String, Vec<usize>>>,
    /// For each of `keys`.
    prepared: Arc<Preparation>,
}

#[derive(Default)]
struct Preparation {
    slots: Vec<Slot>,
    started: AtomicU32,
}

/// A key's way from being checked one by one to being prepared for many.
#[derive(Default)]
struct Slot {
    checks: AtomicU32,
    key: OnceLock<Option<PreparedKey>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter()).finish()
    }
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
        let mut unique: Vec<KnownKey> = Vec::new();
        let mut position_of = HashMap::new();
        for new in keys {
            let identity = (new.key.name().to_owned(), *new.key.bytes());
            match position_of.entry(identity) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(unique.len());
                    unique.push(new);
                }
                std::collections::hash_map::Entry::Occupied(entry) => {
                    let known = &mut unique[*entry.get()];
                    if weight(new.state) > weight(known.state) {
                        *known = new;
                    }
                }
            }
        }
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, known) in unique.iter().enumerate() {
            if known.state != KeyState::Pending {
                by_name
                    .entry(known.key.name().to_owned())
                    .or_default()
                    .push(position);
            }
        }
        let prepared = Preparation {
            slots: unique.iter().map(|_| Slot::default()).collect(),
            started: AtomicU32::new(0),
        };
        Self {
            keys: unique.into(),
            by_name: Arc::new(by_name),
            prepared: Arc::new(prepared),
        }
    }

    /// This ring and the keys of [`UPSTREAM_KEYS`] that it lacks, as active upstream keys.
    #[must_use]
    pub fn with_upstreams(self) -> Self {
        let lacking = UPSTREAM_KEYS
            .iter()
            .filter_map(|text| text.parse().ok())
            .filter(|key| self.keys.iter().all(|known| known.key != *key))
            .map(|key| KnownKey {
                key,
                purpose: KeyPurpose::Upstream,
                state: KeyState::Active,
            });
        Self::new(self.keys.iter().cloned().chain(lacking))
    }

    /// The keys, pending ones included, in the order given.
    pub fn keys(&self) -> &[KnownKey] {
        &self.keys
    }

    /// True where `signature` over `message` is by the key at `position`. A key that is
    /// asked for often is prepared for it; the verdict is the same either way.
    fn verifies(&self, position: usize, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = &self.keys[position].key;
        let slot = &self.prepared.slots[position];
        if let Some(Some(prepared)) = slot.key.get() {
            return prepared.verifies(message, signature);
        }
        if slot.checks.fetch_add(1, Ordering::Relaxed) == PREPARE_AFTER
            && self.prepared.started.fetch_add(1, Ordering::Relaxed) < MOST_PREPARED
        {
            slot.key.get_or_init(|| PreparedKey::new(key.bytes()));
        }
        key.verifies(message, signature)
    }

    /// Judges every signature of a narinfo, and the path by them.
    pub fn judge(&self, narinfo: &NarInfo) -> Judgement {
        self.judge_with(narinfo, None)
    }

    /// The same, where one of the signatures is known to be by a key, because it was just made by it or
    /// checked: it is not verified once more.
    pub fn judge_signed(&self, narinfo: &NarInfo, by: &PublicKey, signature: &str) -> Judgement {
        self.judge_with(narinfo, Some((by, signature)))
    }

    fn judge_with(&self, narinfo: &NarInfo, verified: Option<(&PublicKey, &str)>) -> Judgement {
        let mut fingerprint = Vec::new();
        let mut oddities = Vec::new();
        let signatures = narinfo
            .signatures()
            .enumerate()
            .map(|(n, text)| {
                let Ok(parts) = SignatureParts::parse(text) else {
                    return verdict(text, SignatureStatus::Malformed);
                };
                let Some(known) = self.by_name.get(parts.key_name) else {
                    return verdict(text, SignatureStatus::UnknownKey);
                };
                if fingerprint.is_empty() {
                    fingerprint = narinfo.fingerprint().into_bytes();
                }
                let [position] = known.as_slice() else {
                    let maker = known
                        .iter()
                        .find(|position| self.verifies(**position, &fingerprint, &parts.bytes));
                    oddities.push(Oddity {
                        line: narinfo.signature_line(n),
                        kind: OddityKind::NameClash {
                            name: parts.key_name.to_owned(),
                            verifies: maker.map(|position| self.keys[*position].key.fingerprint()),
                        },
                    });
                    return verdict(text, SignatureStatus::NameClash);
                };
                let known = &self.keys[*position];
                let is_known = verified.is_some_and(|(by, line)| line == text && known.key == *by);
                if is_known || self.verifies(*position, &fingerprint, &parts.bytes) {
                    return verdict(text, passed(known.state));
                }
                if let Some(unsorted) = narinfo.file_order_fingerprint()
                    && self.verifies(*position, unsorted.as_bytes(), &parts.bytes)
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

    /// Judges many narinfos, as [`judge`](Self::judge) does each: one by one, because
    /// keys that sign many are prepared for it (see the source of `multiples`), which makes
    /// it as fast as a check of sums and keeps every verdict independent of its neighbours.
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
        owner: None,
    }
}
