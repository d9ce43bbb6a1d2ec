//! Is what lies in the bucket what its narinfo says? One engine for whoever asks: a maintainer at a path's
//! page, a job that signs, `snowbank verify`.
//!
//! ```text
//!  narinfo (bucket) ──▶ archive ──▶ thread: FileHash, FileSize, unpack, NAR form, NarHash, NarSize, names
//!                                         │
//!                        verdict ◀────────┘──▶ index (content status), receipt where it was proven
//! ```
//!
//! **A verdict needs every byte.** Where the bucket fails, the archive takes too long, or it is packed with
//! what is not unpacked here, there is none: what was known of the path stays ([`ArchiveError`]).
//!
//! **References change no verdict.** A path may name what it does not declare (disk images do on
//! purpose), and declare what it does not name (packed jars): both are told.
//!
//! **What is kept.** The index keeps the word; it falls back to what the next check finds. What was found
//! is also a receipt, from which an index that was lost learns it again: that it was proven, and as well
//! that it was not, so that an older proof does not lift a mismatch.
//!
//! **Without being asked** the same is done path by path, within a budget of bytes ([`background`]).

pub mod background;
mod lease;

use std::collections::BTreeSet;
use std::sync::Arc;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::verify::{ContentCheck, ContentFault};
use snowbank_shared::hash::{Hash, HashAlgorithm, Sha256};
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::store_path::StorePathHash;

use crate::archive::{Archive, ArchiveError, Budget, Examined};
use crate::auth::records::now;
use crate::bucket::BucketErrorKind;
use crate::index::Change;
use crate::ledger::{Receipt, Refuted, claims_of};
use crate::site::{Cache, Site};

/// Paths that are named of those that are undeclared or unnamed.
const MOST_NAMED: usize = 20;

/// What an archive was found to be.
#[derive(Debug, Clone)]
pub struct Found {
    /// The verdict.
    pub content: ContentStatus,
    /// What differs from the narinfo.
    pub faults: Vec<ContentFault>,
    /// The same in words; empty where nothing does.
    pub reason: String,
    /// What was read, where it was read to its end.
    pub examined: Option<Examined>,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoVerdict {
    /// There is no narinfo.
    #[error("there is no narinfo of this path in the bucket")]
    Gone,
    /// The narinfo says nothing that could be checked.
    #[error("its narinfo cannot be read: {0}")]
    Unreadable(String),
    /// The bucket failed at the narinfo.
    #[error("the bucket behind this cache does not answer at the moment")]
    Bucket,
    /// The archive could not be read to its end.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// A path that was checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The narinfo as it was.
    pub narinfo: NarInfo,
    /// What its archive was found to be.
    pub found: Found,
}

/// Reads the archive of a narinfo and compares it with everything the narinfo says of it.
///
/// # Errors
/// Where it could not be read to its end: no verdict.
pub async fn examine(cache: &Cache, narinfo: &NarInfo) -> Result<Found, ArchiveError> {
    examine_within(cache, narinfo, None).await
}

async fn examine_within(
    cache: &Cache,
    narinfo: &NarInfo,
    budget: Option<&Arc<Budget>>,
) -> Result<Found, ArchiveError> {
    let archive = Archive::of(narinfo);
    let (archives, bucket) = (&cache.archives, &cache.bucket);
    let examined = match budget {
        None => archives.examined(bucket, &archive).await,
        Some(budget) => archives.examined_within(bucket, &archive, budget).await,
    };
    match examined {
        Ok(examined) => Ok(compared(narinfo, examined)),
        Err(ArchiveError::Missing) => Ok(without(
            ContentStatus::NarMissing,
            Vec::new(),
            "there is no object at its URL".to_owned(),
        )),
        Err(ArchiveError::Differs) => Ok(without(
            ContentStatus::Mismatch,
            vec![ContentFault::NarSize],
            format!("it unpacks to more than NarSize, {}", archive.nar_size),
        )),
        Err(ArchiveError::Broken(text)) => Ok(without(
            ContentStatus::Mismatch,
            vec![ContentFault::NarForm],
            text,
        )),
        Err(error) => Err(error),
    }
}

fn without(content: ContentStatus, faults: Vec<ContentFault>, reason: String) -> Found {
    Found {
        content,
        faults,
        reason,
        examined: None,
    }
}

/// What follows from an archive that was read to its end.
fn compared(narinfo: &NarInfo, examined: Examined) -> Found {
    let mut faults = Vec::new();
    let mut reasons = Vec::new();
    let mut differs = |fault: ContentFault, field: &str, says: String, is: String| {
        faults.push(fault);
        reasons.push(format!("{field} is {is}, the narinfo says {says}"));
    };
    let hash = |hash: Sha256| Hash::from(hash).to_string();
    if let Some(says) = narinfo.file_hash()
        // Others are not computed: FileHash is SHA-256 wherever Nix wrote it.
        && says.algorithm() == HashAlgorithm::Sha256
        && says != Hash::from(examined.file_hash)
    {
        let is = hash(examined.file_hash);
        differs(ContentFault::FileHash, "FileHash", says.to_string(), is);
    }
    if let Some(says) = narinfo.file_size()
        && says != examined.file_size
    {
        let is = examined.file_size.to_string();
        differs(ContentFault::FileSize, "FileSize", says.to_string(), is);
    }
    if narinfo.nar_hash() != examined.nar_hash {
        let (says, is) = (hash(narinfo.nar_hash()), hash(examined.nar_hash));
        differs(ContentFault::NarHash, "NarHash", says, is);
    }
    if narinfo.nar_size() != examined.nar_size {
        let (says, is) = (narinfo.nar_size(), examined.nar_size);
        differs(
            ContentFault::NarSize,
            "NarSize",
            says.to_string(),
            is.to_string(),
        );
    }
    let content = match faults.as_slice() {
        [] => ContentStatus::Verified,
        [ContentFault::FileSize] => ContentStatus::SizeDiffers,
        _ => ContentStatus::Mismatch,
    };
    Found {
        content,
        faults,
        reason: reasons.join("; "),
        examined: Some(examined),
    }
}

/// Reads a path's narinfo from the bucket, and its archive.
///
/// # Errors
/// See [`NoVerdict`].
pub async fn path(cache: &Cache, hash: StorePathHash) -> Result<Checked, NoVerdict> {
    path_within(cache, hash, None).await
}

async fn path_within(
    cache: &Cache,
    hash: StorePathHash,
    budget: Option<&Arc<Budget>>,
) -> Result<Checked, NoVerdict> {
    let bucket = cache.bucket.bulk();
    let object = match bucket.get_small(&hash.narinfo_key(), MAX_BYTES).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return Err(NoVerdict::Gone),
        Err(error) => {
            return Err(match error.kind() {
                BucketErrorKind::TooLarge | BucketErrorKind::Corrupt => {
                    NoVerdict::Unreadable(error.to_string())
                }
                _ => {
                    tracing::warn!(%error, "the bucket failed while a path was checked");
                    NoVerdict::Bucket
                }
            });
        }
    };
    if let Some(budget) = budget
        && !budget.spend(object.bytes.len() as u64).await
    {
        return Err(NoVerdict::Bucket);
    }
    let narinfo = NarInfo::parse(&object.bytes, &cache.store_dir)
        .map_err(|error| NoVerdict::Unreadable(error.to_string()))?;
    narinfo
        .check_key(hash)
        .map_err(|error| NoVerdict::Unreadable(error.to_string()))?;
    let found = examine_within(cache, &narinfo, budget).await?;
    Ok(Checked { narinfo, found })
}

impl Checked {
    /// As it crosses the wire.
    pub fn shown(&self, cache: &Cache) -> ContentCheck {
        let path = self.narinfo.store_path();
        let declared: BTreeSet<StorePathHash> = self
            .narinfo
            .references()
            .map(|reference| reference.hash())
            .collect();
        let (mut undeclared, mut unnamed) = (Vec::new(), Vec::new());
        if let Some(examined) = &self.found.examined {
            let view = cache.index.view();
            let mentions = &examined.mentions;
            let foreign = mentions
                .found()
                .filter(|hash| *hash != path.hash() && !declared.contains(hash))
                .filter_map(|hash| view.find(&hash))
                .map(|id| {
                    let row = view.row(id);
                    format!("{}-{}", row.hash, row.name)
                });
            undeclared.extend(foreign.take(MOST_NAMED));
            let silent = self
                .narinfo
                .references()
                // Where there were more names than are kept, nothing can be said.
                .filter(|reference| !mentions.is_cut() && !mentions.contains(&reference.hash()))
                .map(|reference| reference.to_string());
            unnamed.extend(silent.take(MOST_NAMED));
        }
        ContentCheck {
            hash: path.hash().to_string(),
            name: path.name().to_string(),
            content: self.found.content,
            faults: self.found.faults.clone(),
            reason: self.found.reason.clone(),
            file_size: self
                .found
                .examined
                .as_ref()
                .map_or(0, |examined| examined.file_size),
            undeclared,
            unnamed,
        }
    }

    /// Keeps what was found: in the index, where the path still has this narinfo, and in a receipt. A
    /// receipt that cannot be written is in the log: the index knows all the same.
    pub async fn keep(&self, site: &Site, cache: &Cache, by: &str) {
        let Some(first_seen) = self.show(cache).await else {
            return;
        };
        let receipt = self.receipt(by, "check", first_seen);
        cache.proofs.note(std::slice::from_ref(&receipt));
        if let Err(error) = site.ledger.receipt(cache.slug.as_str(), &receipt).await {
            tracing::warn!(path = receipt.path, %error, "a receipt of a check could not be written");
        }
    }

    /// Shows in the index what was found, and says when the path was first seen. `None`: it has another
    /// narinfo by now, and nothing was shown.
    async fn show(&self, cache: &Cache) -> Option<i64> {
        let (index, of, content) = (
            cache.index.clone(),
            self.narinfo.clone(),
            self.found.content,
        );
        let store_dir = cache.store_dir.clone();
        let applied = tokio::task::spawn_blocking(move || {
            let hash = of.store_path().hash();
            let view = index.view();
            let id = view.find(&hash)?;
            let known = NarInfo::parse(&view.narinfo_bytes(id), &store_dir).ok()?;
            // Signatures may have come meanwhile; another archive is another matter.
            if claims_of(&known) != claims_of(&of) {
                return None;
            }
            let (seen, before) = (view.added_at(id), view.content(id));
            drop(view);
            // Each change makes another version of the index, of which much is counted anew.
            if before != content {
                index.apply(vec![Change::Content(hash, content)]);
            }
            Some(seen)
        });
        applied.await.unwrap_or_else(|error| {
            tracing::error!(%error, "showing what a check found panicked");
            None
        })
    }

    /// That the archive was read now, and what it was found to be.
    fn receipt(&self, by: &str, how: &str, first_seen: i64) -> Receipt {
        let (narinfo, content) = (&self.narinfo, self.found.content);
        let at = now();
        let proven = content == ContentStatus::Verified;
        Receipt {
            path: narinfo.store_path().hash().to_string(),
            nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
            nar_key: narinfo.nar_key().into_owned(),
            nar_etag: None,
            narinfo: Sha256::digest(narinfo.to_bytes()).to_base16(),
            by: by.to_owned(),
            key: None,
            first_seen,
            verified_at: proven.then_some(at),
            verified_by: Some(how.to_owned()),
            claims: Some(claims_of(narinfo).to_string()),
            refuted: (!proven).then_some(Refuted { at, content }),
        }
    }
}
