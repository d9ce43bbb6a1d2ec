//! Batches for a machine that holds a key and never meets the server: narinfos go out whole, with the
//! signatures that they have; signatures come back and nothing else.
//!
//! Neither side believes the other. The machine judges each narinfo by keys that its owner gave it
//! (`snowbank key sign`); here each signature has to verify over the narinfo as it lies in the bucket
//! now, and is put in as any other change is: over the version that was read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use snowbank_shared::api::signing::{
    BATCH_FORMAT, BatchTaken, MOST_IN_BATCH, SignedBatch, SigningBatch, SkipReason,
};
use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::signature::{PublicKey, Signature};
use snowbank_shared::store_path::StorePathHash;

use super::choose::{MOST_SIGNATURES, chosen};
use super::one::{self, Became, Change};
use super::record::{Counts, Selected, skip_counts};
use super::shown::show;
use super::{Signing, SigningError};
use crate::auth::By;
use crate::site::Cache;

/// Narinfos in hand at once.
const AT_ONCE: usize = 16;

/// A key of the cache that may sign batches.
fn own_key(cache: &Cache, name: &str, states: &[KeyState]) -> Result<PublicKey, SigningError> {
    let ring = cache.key_ring();
    let found = ring.keys().iter().find(|known| {
        known.purpose == KeyPurpose::Cache
            && known.key.name() == name
            && states.contains(&known.state)
    });
    found
        .map(|known| known.key.clone())
        .ok_or_else(|| SigningError::NoSuch {
            what: "key of the cache that signs, named",
            name: name.chars().take(64).collect(),
        })
}

impl Signing {
    /// The next batch of paths that a key has not signed. Looks at every path of the selection: call it
    /// off the reactor.
    ///
    /// # Errors
    /// Where there is no such key, or the selection means nothing.
    pub fn batch_for(
        &self,
        cache: &Cache,
        key: &str,
        selected: &Selected,
        after: Option<StorePathHash>,
    ) -> Result<SigningBatch, SigningError> {
        let key = own_key(cache, key, &[KeyState::Pending, KeyState::Active])?;
        let view = cache.index.view();
        let mut skipped: BTreeMap<SkipReason, u64> = BTreeMap::new();
        let mut narinfos = Vec::new();
        let mut last = None;
        let mut more = false;
        for hash in chosen(&self.0.site, cache, &view, selected, after)? {
            if narinfos.len() == MOST_IN_BATCH {
                more = true;
                break;
            }
            last = Some(hash);
            let Some(id) = view.find(&hash) else {
                *skipped.entry(SkipReason::Gone).or_default() += 1;
                continue;
            };
            if view.verdicts(id).any(|(name, _)| name == key.name()) {
                continue;
            }
            let reason = if cache.holds_back(&view, id) {
                Some(SkipReason::HeldBack)
            } else if view.withheld(id).is_some() {
                Some(SkipReason::Unsafe)
            } else if view.verdicts(id).count() >= MOST_SIGNATURES {
                Some(SkipReason::TooMany)
            } else {
                None
            };
            let text = String::from_utf8(view.narinfo_bytes(id).to_vec());
            match (reason, text) {
                (None, Ok(text)) => narinfos.push(text),
                (reason, _) => {
                    let reason = reason.unwrap_or(SkipReason::Unreadable);
                    *skipped.entry(reason).or_default() += 1;
                }
            }
        }
        let known = view.key_ring();
        let believed = known
            .keys()
            .iter()
            .filter(|known| known.state == KeyState::Active);
        Ok(SigningBatch {
            format: BATCH_FORMAT.to_owned(),
            cache: cache.url.clone(),
            store_dir: cache.store_dir.as_str().to_owned(),
            key: key.to_string(),
            known_keys: believed.map(|known| known.key.to_string()).collect(),
            narinfos,
            next: last.filter(|_| more).map(|hash| hash.to_string()),
            skipped: skip_counts(&skipped),
        })
    }

    /// Takes signatures that came back. Each has to verify; what was done stays where the bucket fails.
    ///
    /// # Errors
    /// Where it is no such file, its key is none that clients are told to trust, or the bucket fails.
    pub async fn take_signed(
        &self,
        cache: &Arc<Cache>,
        signed: &SignedBatch,
        by: &By,
    ) -> Result<BatchTaken, SigningError> {
        let bad = |text: &str| SigningError::Bad(text.to_owned());
        if signed.format != BATCH_FORMAT {
            return Err(bad("This is not what `snowbank key sign` wrote."));
        }
        if signed.signatures.len() > MOST_IN_BATCH {
            return Err(SigningError::Bad(format!(
                "A batch has {MOST_IN_BATCH} signatures at most."
            )));
        }
        let name = signed.key.split(':').next().unwrap_or_default();
        let key = own_key(cache, name, &[KeyState::Active])?;
        if key.to_string() != signed.key {
            return Err(bad("These signatures are by another key of that name."));
        }
        let mut seen = HashSet::new();
        let mut wanted: Vec<(StorePathHash, Signature)> = Vec::new();
        for line in &signed.signatures {
            let hash = line.hash.parse::<StorePathHash>();
            let signature = line.signature.parse::<Signature>();
            let (Ok(hash), Ok(signature)) = (hash, signature) else {
                return Err(bad(
                    "A line of the batch is no path's hash with a signature.",
                ));
            };
            if !seen.insert(hash) {
                return Err(bad("A path comes twice in the batch."));
            }
            wanted.push((hash, signature));
        }
        let ring = cache.index.key_ring();
        let given = wanted.into_iter().map(|(hash, signature)| {
            let change = Arc::new(Change::Give(Box::new(key.clone()), signature));
            one::path(Arc::clone(cache), Arc::clone(&ring), change, hash)
        });
        let given = stream::iter(given).buffer_unordered(AT_ONCE);
        let looked: Vec<one::Looked> = given.collect().await;
        let mut counts = Counts::default();
        let (mut refused, mut failed) = (0, None);
        for path in &looked {
            counts.count(&path.became);
            match &path.became {
                Became::Refused => refused += 1,
                Became::Failed(error) => failed = Some(error.clone()),
                _ => {}
            }
        }
        show(&self.0.site, cache, looked, &by.actor).await;
        let detail = [
            ("changed", counts.changed.to_string()),
            ("refused", refused.to_string()),
        ];
        self.0
            .site
            .access
            .note_in(
                cache.slug.as_str(),
                by,
                "signatures.import",
                key.name(),
                &detail,
            )
            .await;
        match failed {
            Some(error) => Err(SigningError::Bucket(error)),
            None => Ok(BatchTaken {
                changed: counts.changed,
                same: counts.same,
                refused,
                skipped: skip_counts(&counts.skipped),
            }),
        }
    }
}
