//! One narinfo: read, judged, changed in its `Sig` lines and nowhere else.
//!
//! It is written over the version that was read (`If-Match`, where the store heeds that). Where
//! somebody was faster it is read and judged again: what they wrote stays, and gets the same change.

use std::sync::Arc;

use snowbank_shared::api::signing::{ContentRule, SkipReason};
use snowbank_shared::api::{ContentStatus, SignatureStatus};
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::signature::{Judgement, KeyRing, PublicKey, SecretKey, Signature};
use snowbank_shared::store_path::StorePathHash;
use tokio_util::task::AbortOnDropHandle;

use super::choose::MOST_SIGNATURES;
use super::record::Counts;
use crate::archive::{Archive, ArchiveError};
use crate::bucket::{Bucket, BucketErrorKind, PutOptions};
use crate::index::ChangeToken;
use crate::site::Cache;
use crate::verify;

/// How often a narinfo is read again that others change.
const TRIES: u32 = 8;

/// What is done to narinfos.
pub(super) enum Change {
    /// A signature by this key is added.
    Sign(Arc<SecretKey>, ContentRule),
    /// A signature that came from elsewhere is added, where it is by the key.
    Give(Box<PublicKey>, Signature),
    /// The signatures of keys of this name are removed.
    Strip { name: String, leave_unsigned: bool },
}

/// A narinfo as it was written.
pub(super) struct Written {
    pub(super) narinfo: NarInfo,
    pub(super) judgement: Judgement,
    pub(super) token: ChangeToken,
}

/// What became of a path.
pub(super) enum Became {
    /// Its narinfo was written.
    Changed(Box<Written>),
    /// It is as wanted; with its narinfo where the index has another one, as after a kill between
    /// the bucket and the index.
    Same(Option<Box<Written>>),
    /// It was left as it is.
    Skipped(SkipReason),
    /// The signature is not one of the path.
    Refused,
    /// The bucket failed: try again.
    Failed(String),
}

/// A path that was looked at.
pub(super) struct Looked {
    pub(super) hash: StorePathHash,
    pub(super) became: Became,
    /// What its archive was found to be.
    pub(super) content: Option<ContentStatus>,
    /// What it took: requests, bytes, tries.
    pub(super) cost: Counts,
}

/// An archive that was proven, so that it is not read again because a signature came meanwhile.
type Proven = Option<(String, snowbank_shared::hash::Sha256, u64)>;

/// Changes a path's narinfo, in a task of its own: to sign and to judge takes about as long as the requests,
/// and others of the batch need not wait for it.
pub(super) async fn path(
    cache: Arc<Cache>,
    ring: Arc<KeyRing>,
    change: Arc<Change>,
    hash: StorePathHash,
) -> Looked {
    let task = tokio::spawn(async move { changed(&cache, &ring, &change, hash).await });
    let looked = AbortOnDropHandle::new(task).await;
    looked.unwrap_or_else(|error| {
        tracing::error!(%hash, %error, "changing the signatures of a path failed");
        Looked {
            hash,
            became: Became::Failed("the server failed at it".to_owned()),
            content: None,
            cost: Counts::default(),
        }
    })
}

async fn changed(cache: &Cache, ring: &KeyRing, change: &Change, hash: StorePathHash) -> Looked {
    let mut looked = Looked {
        hash,
        became: Became::Skipped(SkipReason::Contended),
        content: None,
        cost: Counts::default(),
    };
    let bucket = cache.bucket.bulk();
    let mut proven = None;
    for _ in 0..TRIES {
        match once(cache, &bucket, ring, change, &mut looked, &mut proven).await {
            Ok(Some(became)) => {
                looked.became = became;
                return looked;
            }
            Ok(None) => looked.cost.read_again += 1,
            Err(error) => {
                looked.became = Became::Failed(error);
                return looked;
            }
        }
    }
    looked
}

/// One try; `None` where somebody was faster.
async fn once(
    cache: &Cache,
    bucket: &Bucket,
    ring: &KeyRing,
    change: &Change,
    looked: &mut Looked,
    proven: &mut Proven,
) -> Result<Option<Became>, String> {
    let skipped = |reason| Ok(Some(Became::Skipped(reason)));
    let key = looked.hash.narinfo_key();
    looked.cost.requests.get += 1;
    let object = match bucket.get_small(&key, MAX_BYTES).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return skipped(SkipReason::Gone),
        Err(error) => match error.kind() {
            BucketErrorKind::TooLarge | BucketErrorKind::Corrupt => {
                return skipped(SkipReason::Unreadable);
            }
            _ => return Err(error.to_string()),
        },
    };
    let Ok(narinfo) = NarInfo::parse(&object.bytes, &cache.store_dir) else {
        return skipped(SkipReason::Unreadable);
    };
    if narinfo.check_key(looked.hash).is_err() {
        return skipped(SkipReason::Unreadable);
    }
    let (next, judgement) = match wanted(ring, change, &narinfo) {
        Wanted::This(next, judgement) => (*next, judgement),
        Wanted::Nothing => {
            let view = cache.index.view();
            let known = view
                .find(&looked.hash)
                .is_some_and(|id| view.narinfo_bytes(id) == narinfo.to_bytes());
            let judgement = (!known).then(|| ring.judge(&narinfo));
            return Ok(Some(Became::Same(judgement.map(|judgement| {
                Box::new(Written {
                    narinfo,
                    judgement,
                    token: ChangeToken::from(&object.meta),
                })
            }))));
        }
        Wanted::Skip(reason) => return skipped(reason),
        Wanted::Refuse => return Ok(Some(Became::Refused)),
    };
    if !matches!(change, Change::Strip { .. }) {
        let nar_hash = narinfo.nar_hash();
        if cache.withheld.holds(&looked.hash, || Some(nar_hash)) {
            return skipped(SkipReason::HeldBack);
        }
        if narinfo.crash_risk().is_some() {
            return skipped(SkipReason::Unsafe);
        }
    }
    if let Change::Sign(_, ContentRule::Verify) = change
        && let Some(reason) = content(cache, &narinfo, looked, proven).await?
    {
        return skipped(reason);
    }
    // Where the store heeds no conditions, writing would bring back what a run takes out at this moment.
    if cache.condemned.lists(&looked.hash) {
        return Ok(None);
    }
    let bytes = bytes::Bytes::copy_from_slice(next.to_bytes());
    let options = PutOptions::of_type("text/x-nix-narinfo");
    looked.cost.requests.put += 1;
    let put = match &object.meta.etag {
        Some(etag) => bucket.put_if_match(&key, bytes, &options, etag).await,
        None => bucket.put(&key, bytes, &options).await,
    };
    match put {
        Ok(put) => Ok(Some(Became::Changed(Box::new(Written {
            token: ChangeToken::written(next.to_bytes().len() as u64, put.etag.as_ref()),
            narinfo: next,
            judgement,
        })))),
        Err(error) => match error.kind() {
            BucketErrorKind::PreconditionFailed | BucketErrorKind::NotFound => Ok(None),
            _ => Err(error.to_string()),
        },
    }
}

enum Wanted {
    This(Box<NarInfo>, Judgement),
    Nothing,
    Skip(SkipReason),
    Refuse,
}

/// The narinfo as it is to be, judged.
fn wanted(ring: &KeyRing, change: &Change, narinfo: &NarInfo) -> Wanted {
    match change {
        Change::Sign(key, rule) => {
            let signature = key.sign(narinfo.fingerprint().as_bytes());
            let others = match rule {
                ContentRule::Verify => false,
                ContentRule::AcceptSignature => true,
            };
            added(ring, narinfo, (&key.public_key(), &signature), others)
        }
        Change::Give(key, signature) => {
            let fingerprint = narinfo.fingerprint();
            if signature.key_name() != key.name()
                || !key.verifies(fingerprint.as_bytes(), signature.bytes())
            {
                return Wanted::Refuse;
            }
            added(ring, narinfo, (key, signature), false)
        }
        Change::Strip {
            name,
            leave_unsigned,
        } => {
            let is_theirs = |line: &&str| line.split(':').next() == Some(name.as_str());
            let lines: Vec<&str> = narinfo.signatures().filter(is_theirs).collect();
            if lines.is_empty() {
                return Wanted::Nothing;
            }
            let mut next = narinfo.clone();
            for line in lines {
                match next.remove_signature(line) {
                    Ok(without) => next = without,
                    Err(_) => return Wanted::Skip(SkipReason::Unreadable),
                }
            }
            let judgement = ring.judge(&next);
            let good = matches!(
                judgement.status,
                SignatureStatus::Valid | SignatureStatus::NotNeeded
            );
            match good || *leave_unsigned {
                true => Wanted::This(Box::new(next), judgement),
                false => Wanted::Skip(SkipReason::OnlySignature),
            }
        }
    }
}

/// The narinfo with one signature more, which is by this key; `vouched` where another one has to be valid.
fn added(
    ring: &KeyRing,
    narinfo: &NarInfo,
    (by, signature): (&PublicKey, &Signature),
    vouched: bool,
) -> Wanted {
    let text = signature.to_string();
    if narinfo.signatures().any(|line| line == text) {
        return Wanted::Nothing;
    }
    if narinfo.signatures().len() >= MOST_SIGNATURES {
        return Wanted::Skip(SkipReason::TooMany);
    }
    let Ok(next) = narinfo.add_signature(signature) else {
        return Wanted::Skip(SkipReason::Unreadable);
    };
    let judgement = ring.judge_signed(&next, by, &text);
    let other = |verdict: &&snowbank_shared::api::SignatureVerdict| {
        verdict.status == SignatureStatus::Valid && verdict.signature != text
    };
    if vouched && !judgement.signatures.iter().any(|verdict| other(&verdict)) {
        return Wanted::Skip(SkipReason::NotVouched);
    }
    Wanted::This(Box::new(next), judgement)
}

/// Reads the archive, where it was not proven a moment ago; why the path cannot be signed.
async fn content(
    cache: &Cache,
    narinfo: &NarInfo,
    looked: &mut Looked,
    proven: &mut Proven,
) -> Result<Option<SkipReason>, String> {
    let archive = Archive::of(narinfo);
    let name = (archive.key.clone(), archive.nar_hash, archive.nar_size);
    if proven.as_ref() == Some(&name) {
        return Ok(None);
    }
    looked.cost.requests.get += 1;
    looked.cost.read_bytes += narinfo.file_size().unwrap_or(archive.nar_size);
    match verify::examine(cache, narinfo).await {
        Ok(found) => {
            looked.content = Some(found.content);
            Ok(match found.content {
                ContentStatus::Verified => {
                    *proven = Some(name);
                    None
                }
                ContentStatus::NarMissing => Some(SkipReason::NarMissing),
                _ => Some(SkipReason::ContentDiffers),
            })
        }
        Err(error @ (ArchiveError::Bucket | ArchiveError::Busy)) => Err(error.to_string()),
        Err(_) => Ok(Some(SkipReason::Unchecked)),
    }
}
