//! Proving content: an archive is read from its first byte to its last, and is its narinfo's or is not.
//!
//! ```text
//!  POST …/check ──▶ the look under way, or a new one ──▶ archive: unpack, parse, NarHash, NarSize
//!                                                          │
//!                    index (word, findings) ◀── verdict ◀──┤
//!                    ledger (receipt, where proven) ◀──────┘
//! ```
//!
//! A verdict is about one narinfo and the archive that it names. Where another narinfo took its place
//! meanwhile, nothing is said of it. What could not be read (the bucket fails, a codec that is not
//! known here) is no verdict: the word of before stays. Who asks for a path that is being looked at
//! waits for that look; so many at most are under way ([`MOST`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::content::ContentCheck;
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::archive::{Archive, ArchiveError};
use crate::index::{Change, View};
use crate::ledger::Receipt;
use crate::site::{Cache, Site};

/// Looks under way at once, over all caches.
const MOST: usize = 64;
/// How long who asks waits for the end of a look.
const PATIENCE: Duration = Duration::from_secs(8);

/// The looks under way. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Proofs(Arc<Mutex<HashMap<Place, Looking>>>);

/// A path of a cache.
type Place = (String, StorePathHash);

/// A look: how far it is, and what came of it.
#[derive(Debug, Clone)]
struct Looking {
    read: Arc<AtomicU64>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What the content is, or why that is not known.
type Outcome = Result<ContentStatus, String>;

/// Why no look begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The cache does not have the path.
    #[error("the path is not here")]
    Absent,
    /// Too many are under way.
    #[error("{MOST} archives are being read already; try again in a moment")]
    Busy,
}

impl Proofs {
    /// Looks at a path's archive, or waits for the look under way, for some seconds. The flag says
    /// whether this call began it.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub async fn check(
        &self,
        site: &Arc<Site>,
        cache: &Arc<Cache>,
        hash: StorePathHash,
        by: &str,
    ) -> Result<(ContentCheck, bool), ProofError> {
        let (looking, begun) = self.join(site, cache, hash, by)?;
        let mut outcome = looking.outcome.clone();
        let ended = tokio::time::timeout(PATIENCE, outcome.wait_for(Option::is_some)).await;
        let outcome = match ended {
            Ok(Ok(outcome)) => outcome.clone(),
            // Who looked panicked: the log has it.
            Ok(Err(_)) => Some(Err("looking at the archive failed in the server".to_owned())),
            Err(_) => None,
        };
        let view = cache.index.view();
        let known = view.find(&hash).map(|id| view.content(id));
        let check = ContentCheck {
            running: outcome.is_none(),
            read_bytes: looking.read.load(Ordering::Relaxed),
            content: known.unwrap_or(ContentStatus::NotChecked),
            reason: outcome.and_then(Result::err),
        };
        Ok((check, begun))
    }

    fn join(
        &self,
        site: &Arc<Site>,
        cache: &Arc<Cache>,
        hash: StorePathHash,
        by: &str,
    ) -> Result<(Looking, bool), ProofError> {
        let narinfo = narinfo(cache, &cache.index.view(), hash).ok_or(ProofError::Absent)?;
        let place = (cache.slug.to_string(), hash);
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = looks.len();
        let entry = match looks.entry(place.clone()) {
            Entry::Occupied(looking) => return Ok((looking.get().clone(), false)),
            Entry::Vacant(_) if under_way >= MOST => return Err(ProofError::Busy),
            Entry::Vacant(entry) => entry,
        };
        let (done, outcome) = watch::channel(None);
        let looking = Looking {
            read: Arc::default(),
            outcome,
        };
        entry.insert(looking.clone());
        let ends = Ends(self.clone(), place);
        let (site, cache, by) = (Arc::clone(site), Arc::clone(cache), by.to_owned());
        let read = Arc::clone(&looking.read);
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = prove(&site, &cache, &narinfo, read, &by) => outcome,
                () = site.closing.cancelled() => Err("the server ends".to_owned()),
            };
            drop(ends);
            done.send_replace(Some(outcome));
        });
        Ok((looking, true))
    }
}

/// Takes a look off the list, also where it panics.
struct Ends(Proofs, Place);

impl Drop for Ends {
    fn drop(&mut self) {
        let mut looks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.remove(&self.1);
    }
}

/// The narinfo of a path, as the index has it.
fn narinfo(cache: &Cache, view: &View, hash: StorePathHash) -> Option<NarInfo> {
    let id = view.find(&hash)?;
    NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).ok()
}

/// Whether both name one archive with one content.
fn same_archive(one: &NarInfo, other: &NarInfo) -> bool {
    one.nar_hash() == other.nar_hash()
        && one.nar_size() == other.nar_size()
        && one.nar_key() == other.nar_key()
}

async fn prove(
    site: &Site,
    cache: &Arc<Cache>,
    narinfo: &NarInfo,
    read: Arc<AtomicU64>,
    by: &str,
) -> Outcome {
    let archive = Archive::of(narinfo);
    let hash = archive.hash;
    let proven = cache.archives.proven(&cache.bucket, &archive, read).await;
    let content = match proven {
        Ok(()) => ContentStatus::Verified,
        Err(ArchiveError::Missing) => ContentStatus::NarMissing,
        Err(ArchiveError::Differs | ArchiveError::Broken(_)) => ContentStatus::Mismatch,
        Err(error) => return Err(error.to_string()),
    };
    let (of, wanted) = (Arc::clone(cache), narinfo.clone());
    let shown = tokio::task::spawn_blocking(move || {
        let view = of.index.view();
        let now = self::narinfo(&of, &view, hash)?;
        if !same_archive(&now, &wanted) {
            return None;
        }
        let seen = view.find(&hash).map(|id| view.added_at(id));
        of.index.apply(vec![Change::Content(hash, content)]);
        seen.map(|seen| (seen, now))
    });
    let shown = shown
        .await
        .map_err(|error| format!("showing what was found failed: {error}"))?;
    let Some((first_seen, narinfo)) = shown else {
        return Err("another narinfo took its place meanwhile: look again".to_owned());
    };
    if content == ContentStatus::Verified {
        let receipt = receipt(&narinfo, hash, first_seen, by);
        // What is not kept is known until the index is made again.
        if let Err(error) = site.ledger.receipt(cache.slug.as_str(), &receipt).await {
            tracing::warn!(path = %hash, %error, "a receipt of a check could not be written");
        }
    }
    Ok(content)
}

/// That the content of a path was proven, now.
fn receipt(narinfo: &NarInfo, hash: StorePathHash, first_seen: i64, by: &str) -> Receipt {
    Receipt {
        path: hash.to_string(),
        nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
        nar_key: narinfo.nar_key().into_owned(),
        nar_etag: None,
        narinfo: Sha256::digest(narinfo.to_bytes()).to_base16(),
        by: by.to_owned(),
        key: None,
        first_seen,
        verified_at: Some(OffsetDateTime::now_utc().unix_timestamp()),
        verified_by: Some("check".to_owned()),
    }
}
