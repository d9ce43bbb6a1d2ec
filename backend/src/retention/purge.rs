//! Taking one path out now and for ever, because what is in it leaked.
//!
//! *The tombstone first.* It is permanent ([`crate::withheld`]): from then on no replica serves the path
//! with this content, and none takes it again, whatever becomes of the bytes.
//!
//! *Then what leaked, and last what tells of it*: the NAR, unless another path has the same; the listing;
//! the build log, unless another path was made by the same derivation; at the very end the narinfo. Old
//! versions go too where the bucket lists them, each object's newest last. Killed between any two steps,
//! the narinfo still lies there, so the index and Health still show the path, held back; the same call
//! again finds it and goes on.
//!
//! *Last* the index and the other replicas are told.
//!
//! Nothing is purged while the index is not complete, a record of the cache cannot be believed, or a run
//! goes on: whether another path needs the NAR could not be said.

use std::sync::Arc;

use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::api::retention::{KeepStep, PurgePreview, PurgeWish, Purged};
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo, object_key};
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::pinned;
use crate::auth::records::spelled;
use crate::auth::{AccessError, By};
use crate::bucket::{BucketError, BucketErrorKind, Version, Versioning};
use crate::condemned::TurnRecord;
use crate::index::{Change, Id, PathQuery, View};
use crate::ledger::{RecordId, Scope};
use crate::site::{Cache, Site};
use crate::sync::ObjectClass;
use crate::usage::Fetched;
use crate::withheld::Pair;

/// Referrers that are listed.
const MOST_LISTED: usize = 100;
/// How often the versions of an object are looked for: a listing has an end, and what it left is found
/// by the next.
const ROUNDS: usize = 50;

/// Why a path was not purged, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// It cannot be now. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The path has another content than what was shown. Nothing was done.
    #[error(
        "The path has another content than the one that was shown. Nothing was done. Look at it again."
    )]
    Changed,
    /// The tombstone could not be written. Nothing was done.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Before anything was done.
    #[error("Nothing was done: {0}.")]
    Unread(BucketError),
    /// Some of its objects are there still.
    #[error(
        "The path is held back for ever and nobody is served it, but not all of it could be deleted: {0}. Send the same again when that is mended."
    )]
    Unfinished(BucketError),
}

/// What is deleted of a path.
struct Doomed {
    pair: Pair,
    nar: String,
    /// Whether other paths have the same NAR.
    shared: bool,
    /// The key of its build log, where no other path has the same.
    log: Option<String>,
}

/// Why nothing can be purged now; `None` where it can. Not for the reactor.
fn refusal(site: &Site, cache: &Cache) -> Option<String> {
    if !cache.is_complete() {
        return Some("The index is not complete yet: a path that is not in it could have the same NAR. Wait for the first sweep, or hide the path from clients meanwhile.".to_owned());
    }
    let view = site.ledger.view();
    let slug = cache.slug.as_str();
    if let Some(finding) = view.stops(slug).first() {
        return Some(format!(
            "`{}` cannot be believed, and it may hold something back: {}. Nothing is purged until Health's finding is settled. Hide the path from clients meanwhile.",
            finding.path, finding.trouble
        ));
    }
    let turn = view.get::<TurnRecord>(Scope::Cache(slug), &RecordId::only());
    let run = turn.and_then(|turn| turn.run.clone())?;
    Some(format!(
        "The run {run} of retention acts on this cache. Wait until it is through, or stop it. Hide the path from clients meanwhile."
    ))
}

/// The paths with the same NAR that are not purged themselves.
fn sharers(cache: &Cache, view: &View, id: Id, nar: &str) -> u64 {
    let held = cache.withheld.held();
    let others = view.ids_by_nar(nar).into_iter().filter(|other| {
        let purged = held
            .find(&view.hash(*other), &view.nar_hash(*other))
            .is_some_and(|holding| holding.state == HeldBack::Purged);
        *other != id && !purged
    });
    others.count() as u64
}

/// The key of a NAR as the index has it.
fn nar_key(view: &View, id: Id) -> String {
    object_key(&view.url(id)).into_owned()
}

/// What purging a path would mean; `versioning` is the bucket's answer. Walks the graph: call it off the
/// reactor.
pub fn preview(
    site: &Site,
    cache: &Cache,
    view: &View,
    id: Id,
    versioning: Option<Versioning>,
) -> PurgePreview {
    let slug = cache.slug.as_str();
    let hash = view.hash(id);
    let affected = view.affecting(id).paths;
    let mut hashes: Vec<StorePathHash> = affected.iter().map(|id| view.hash(*id)).collect();
    hashes.sort_unstable();
    let mut pins: Vec<String> = pinned(&site.ledger, slug)
        .into_iter()
        .filter(|pinned| hashes.binary_search(&pinned.path).is_ok())
        .map(|pinned| format!("{}@{}", pinned.pin, pinned.revision))
        .collect();
    pins.sort_unstable();
    let referrers = view.referrers_all(id, &PathQuery::default());
    let step = |id: &Id| KeepStep {
        hash: view.hash(*id).to_string(),
        name: view.name(*id).to_owned(),
    };
    let (fetched_at, measured_since) = match cache.usage.fetched(&site.ledger, slug, &hash) {
        Fetched::NotMeasured => (None, None),
        Fetched::Never { since } => (None, Some(since)),
        Fetched::At { day } => (Some(day), Some(day)),
    };
    PurgePreview {
        hash: hash.to_string(),
        name: view.name(id).to_owned(),
        nar_hash: format!("sha256:{}", view.nar_hash(id).to_nix32()),
        bytes: view.file_size(id),
        shared_with: sharers(cache, view, id, &nar_key(view, id)),
        referrers: referrers.iter().take(MOST_LISTED).map(step).collect(),
        referrers_total: referrers.len() as u64,
        affected: affected.len().saturating_sub(1) as u64,
        pins,
        fetched_at: fetched_at.map(spelled),
        measured_since: measured_since.map(spelled),
        versioned: versioning.map(|versioning| versioning != Versioning::Never),
        refusal: refusal(site, cache),
    }
}

/// What would be deleted of a path. Looks at many names: call it off the reactor.
///
/// # Errors
/// [`PurgeError::Refused`].
fn doomed(site: &Site, cache: &Cache, view: &View, id: Id) -> Result<Doomed, PurgeError> {
    if let Some(refusal) = refusal(site, cache) {
        return Err(PurgeError::Refused(refusal));
    }
    let nar = nar_key(view, id);
    let path = view.hash(id);
    let narinfo = NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).ok();
    let deriver: Option<StorePath> = narinfo
        .as_ref()
        .and_then(|narinfo| narinfo.deriver()?.to_string().parse().ok());
    let log = deriver.filter(|deriver| {
        let made = view.made_by(deriver);
        made.iter().all(|made| made.store_path().hash() == path)
    });
    Ok(Doomed {
        pair: Pair {
            path,
            nar_hash: view.nar_hash(id),
        },
        shared: sharers(cache, view, id, &nar) > 0,
        nar,
        log: log.map(|deriver| format!("log/{deriver}")),
    })
}

/// Purges a path of the index.
///
/// # Errors
/// See [`PurgeError`].
pub async fn purge(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    hash: StorePathHash,
    wish: &PurgeWish,
    by: &By,
) -> Result<Purged, PurgeError> {
    let (asking, looked) = (Arc::clone(site), Arc::clone(cache));
    let found = tokio::task::spawn_blocking(move || {
        let view = looked.index.view();
        let id = view.find(&hash).ok_or(PurgeError::Changed)?;
        doomed(&asking, &looked, &view, id)
    });
    let doomed = found.await.unwrap_or_else(|error| {
        tracing::error!(%error, "looking at what is purged failed");
        Err(PurgeError::Refused(
            "The index could not be asked. Nothing was done.".to_owned(),
        ))
    })?;
    if format!("sha256:{}", doomed.pair.nar_hash.to_nix32()) != wish.nar_hash {
        return Err(PurgeError::Changed);
    }
    as_shown(cache, doomed.pair).await?;
    let slug = cache.slug.as_str();
    let pair = doomed.pair;
    // Where it was purged before, this goes on with that.
    let before = cache.withheld.held();
    let before = before.find(&pair.path, &pair.nar_hash);
    if before.is_none_or(|holding| holding.state != HeldBack::Purged) {
        let access = &site.access;
        let noted = cache.withheld.purged(access, slug, pair, &wish.reason, by);
        noted.await?;
    }
    let mut eraser = Eraser::new(cache).await;
    let erased = erase(&mut eraser, &doomed).await;
    if erased.is_ok() {
        told(site, cache, hash).await;
    }
    let outcome = match &erased {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    };
    let Eraser { done, .. } = eraser;
    let versions = done
        .versions
        .map_or_else(|| "not listed".to_owned(), |count| count.to_string());
    site.access
        .note_in(
            slug,
            by,
            "path.erase",
            &pair.to_string(),
            &[
                ("outcome", outcome),
                ("objects", done.objects.to_string()),
                ("versions", versions),
                ("bytes", done.freed.to_string()),
            ],
        )
        .await;
    erased.map_err(PurgeError::Unfinished)?;
    Ok(done)
}

/// Refuses where the bucket has another content of the path than the index. That it has none is what a
/// purge leaves that was broken off.
async fn as_shown(cache: &Cache, pair: Pair) -> Result<(), PurgeError> {
    let object = match cache
        .bucket
        .get_small(&pair.path.narinfo_key(), MAX_BYTES)
        .await
    {
        Ok(object) => object,
        Err(error) => match error.kind() {
            // What cannot be read as a narinfo may go as well.
            BucketErrorKind::NotFound | BucketErrorKind::Corrupt | BucketErrorKind::TooLarge => {
                return Ok(());
            }
            _ => return Err(PurgeError::Unread(error)),
        },
    };
    match NarInfo::parse(&object.bytes, &cache.store_dir) {
        Ok(narinfo) if narinfo.nar_hash() != pair.nar_hash => Err(PurgeError::Changed),
        _ => Ok(()),
    }
}

/// Deletes the objects of a path, the narinfo last.
async fn erase(eraser: &mut Eraser<'_>, doomed: &Doomed) -> Result<(), BucketError> {
    // A narinfo may name whatever it likes.
    let class = ObjectClass::of(&doomed.nar);
    if !doomed.shared && matches!(class, ObjectClass::Nar | ObjectClass::Other) {
        eraser.erase(&doomed.nar).await?;
    }
    eraser.erase(&format!("{}.ls", doomed.pair.path)).await?;
    if let Some(log) = &doomed.log {
        eraser.erase(log).await?;
    }
    eraser.erase(&doomed.pair.path.narinfo_key()).await
}

/// Tells everybody that a path is gone.
async fn told(site: &Site, cache: &Arc<Cache>, hash: StorePathHash) {
    let showing = Arc::clone(cache);
    let shown = tokio::task::spawn_blocking(move || {
        showing.index.apply(vec![Change::Remove(hash)]);
        showing.withheld.show(&showing.index);
    });
    if let Err(error) = shown.await {
        tracing::error!(%error, "a purged path is shown until the next sweep");
    }
    cache.lookups.forget(&hash);
    site.ledger
        .announce(cache.slug.as_str(), &hash.narinfo_key());
}

/// Deletes objects with all that the bucket remembers of them, and counts.
struct Eraser<'a> {
    cache: &'a Cache,
    /// Whether there may be old versions, and the bucket lists them as far as is known.
    lists: bool,
    done: Purged,
}

impl<'a> Eraser<'a> {
    async fn new(cache: &'a Cache) -> Self {
        // Where it does not say whether it keeps any, it is asked for them.
        let never = matches!(cache.bucket.versioning().await, Ok(Versioning::Never));
        Self {
            cache,
            lists: !never,
            done: Purged {
                objects: 0,
                versions: Some(0),
                freed: 0,
            },
        }
    }

    /// Deletes an object. That there is none is no error.
    async fn erase(&mut self, key: &str) -> Result<(), BucketError> {
        let bucket = &self.cache.bucket;
        for _ in 0..ROUNDS {
            if !self.lists {
                break;
            }
            match bucket.versions_of(key).await {
                Ok(versions) if versions.is_empty() => break,
                Ok(versions) => self.versions(key, &versions).await?,
                Err(error) => {
                    tracing::info!(%error, "old versions of what is purged cannot be listed");
                    self.lists = false;
                    self.done.versions = None;
                }
            }
        }
        // What has no name as a version: where none are kept, or listed.
        let Some(meta) = bucket.find(key).await? else {
            return Ok(());
        };
        bucket.delete(key).await?;
        self.done.objects += 1;
        self.done.freed = self.done.freed.saturating_add(meta.size);
        Ok(())
    }

    async fn versions(&mut self, key: &str, versions: &[Version]) -> Result<(), BucketError> {
        for version in versions {
            self.cache.bucket.delete_version(key, version).await?;
            match &mut self.done.versions {
                _ if version.mark => {}
                Some(count) if !version.newest => *count += 1,
                _ => self.done.objects += 1,
            }
            self.done.freed = self.done.freed.saturating_add(version.size);
        }
        Ok(())
    }
}
