//! Taking one path out now and for ever, because what is in it leaked.
//!
//! *The tombstone first.* It is permanent ([`crate::withheld`]): from then on no replica serves the path
//! with this content, and none takes it again, whatever becomes of the bytes. A path that a run moved
//! into the trash is purged there: no undo brings it back.
//!
//! *Then a sweep*, so that no narinfo is overlooked that names the same NAR; runs that can be undone are
//! asked too.
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

use std::collections::HashSet;
use std::sync::Arc;

use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::api::retention::{KeepStep, PurgePreview, PurgeWish, Purged};
use snowbank_shared::narinfo::{NarInfo, object_key};
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::bin::Thrown;
use super::erase::{Eraser, as_shown, told};
use super::{Retention, RetentionError, off_reactor, pinned};
use crate::auth::records::spelled;
use crate::auth::{AccessError, By};
use crate::bucket::{BucketError, Versioning};
use crate::condemned::TurnRecord;
use crate::index::{Id, PathQuery, View};
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};
use crate::sync::ObjectClass;
use crate::usage::Fetched;
use crate::withheld::Pair;

/// Referrers that are listed.
const MOST_LISTED: usize = 100;
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
    /// There is no such path.
    #[error("The path is neither here nor in the trash. Nothing was done.")]
    Absent,
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
    Unfinished(String),
}

/// What is purged.
struct Target {
    pair: Pair,
    nar: String,
    /// What it was made by.
    deriver: Option<StorePath>,
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

/// The paths with this NAR but this one that are not purged themselves.
fn sharers(cache: &Cache, view: &View, path: &StorePathHash, nar: &str) -> u64 {
    let held = cache.withheld.held();
    let others = view.ids_by_nar(nar).into_iter().filter(|other| {
        let hash = view.hash(*other);
        let purged = held
            .find(&hash, &view.nar_hash(*other))
            .is_some_and(|holding| holding.state == HeldBack::Purged);
        hash != *path && !purged
    });
    others.count() as u64
}

/// The key of a NAR as the index has it.
fn nar_key(view: &View, id: Id) -> String {
    object_key(&view.url(id)).into_owned()
}

/// What purging a path would mean; `versioning` is the bucket's answer. Walks the graph: call it off the
/// reactor.
fn preview(
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
        shared_with: sharers(cache, view, &hash, &nar_key(view, id)),
        in_trash: None,
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

/// The log of what a path was made by, where no other path was. Looks at many names: call it off the
/// reactor.
fn own_log(view: &View, target: &Target) -> Option<String> {
    let deriver = target.deriver.as_ref()?;
    let made = view.made_by(deriver);
    let alone = made
        .iter()
        .all(|made| made.store_path().hash() == target.pair.path);
    alone.then(|| format!("log/{deriver}"))
}

impl Target {
    fn of(narinfo: &NarInfo, nar: String) -> Self {
        Self {
            pair: Pair {
                path: narinfo.store_path().hash(),
                nar_hash: narinfo.nar_hash(),
            },
            nar,
            deriver: narinfo
                .deriver()
                .and_then(|deriver| deriver.to_string().parse().ok()),
        }
    }
}

/// What lies in the trash of a run.
struct Trashed {
    run: String,
    name: String,
    bytes: Option<u64>,
    target: Target,
}

impl Retention {
    /// What purging a path would mean; `None` where it is neither here nor in the trash.
    ///
    /// # Errors
    /// Where the trash cannot be read, or the server is shutting down.
    pub async fn purge_preview(
        &self,
        cache: &Arc<Cache>,
        hash: StorePathHash,
    ) -> Result<Option<PurgePreview>, RetentionError> {
        let versioning = cache.bucket.versioning().await.ok();
        let (site, asked) = (Arc::clone(&self.0.site), Arc::clone(cache));
        let shown = off_reactor(move || {
            let view = asked.index.view();
            Ok(view.find(&hash).map(|id| {
                let pair = Pair {
                    path: hash,
                    nar_hash: view.nar_hash(id),
                };
                (
                    preview(&site, &asked, &view, id, versioning),
                    nar_key(&view, id),
                    pair,
                )
            }))
        });
        if let Some((mut shown, nar, pair)) = shown.await? {
            shown.shared_with += self.sharers_in_trash(cache, &pair, &nar).await?;
            return Ok(Some(shown));
        }
        let Some(trashed) = self.in_trash(cache, &hash).await? else {
            return Ok(None);
        };
        let Target { pair, nar, .. } = trashed.target;
        let (site, asked) = (Arc::clone(&self.0.site), Arc::clone(cache));
        let (shared, refusal, nar) = off_reactor(move || {
            let shared = sharers(&asked, &asked.index.view(), &hash, &nar);
            Ok((shared, refusal(&site, &asked), nar))
        })
        .await?;
        Ok(Some(PurgePreview {
            hash: hash.to_string(),
            name: trashed.name,
            nar_hash: format!("sha256:{}", pair.nar_hash.to_nix32()),
            bytes: trashed.bytes,
            shared_with: shared + self.sharers_in_trash(cache, &pair, &nar).await?,
            in_trash: Some(trashed.run),
            // Who referred to it went before it.
            referrers: Vec::new(),
            referrers_total: 0,
            affected: 0,
            pins: Vec::new(),
            fetched_at: None,
            measured_since: None,
            versioned: versioning.map(|versioning| versioning != Versioning::Never),
            refusal,
        }))
    }

    /// Purges a path that is here or in the trash.
    ///
    /// # Errors
    /// See [`PurgeError`].
    pub async fn purge(
        &self,
        cache: &Arc<Cache>,
        hash: StorePathHash,
        wish: &PurgeWish,
        by: &By,
    ) -> Result<Purged, PurgeError> {
        let site = &self.0.site;
        let target = self.target(cache, hash).await?;
        if format!("sha256:{}", target.pair.nar_hash.to_nix32()) != wish.nar_hash {
            return Err(PurgeError::Changed);
        }
        as_shown(cache, target.pair).await?;
        let slug = cache.slug.as_str();
        let pair = target.pair;
        // Where it was purged before, this goes on with that.
        let before = cache.withheld.held();
        let before = before.find(&pair.path, &pair.nar_hash);
        if before.is_none_or(|holding| holding.state != HeldBack::Purged) {
            let access = &site.access;
            let noted = cache.withheld.purged(access, slug, pair, &wish.reason, by);
            noted.await?;
        }
        let mut eraser = Eraser::new(cache).await;
        let erased = self.erase(&mut eraser, cache, target).await;
        if erased.is_ok() {
            told(site, cache, hash).await;
        }
        let outcome = match &erased {
            Ok(()) => "done",
            Err(error) => error,
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
                    ("outcome", outcome.to_owned()),
                    ("objects", done.objects.to_string()),
                    ("versions", versions),
                    ("bytes", done.freed.to_string()),
                ],
            )
            .await;
        erased.map_err(PurgeError::Unfinished)?;
        Ok(done)
    }

    /// What is purged of a path: of the index, else of the trash.
    async fn target(&self, cache: &Arc<Cache>, hash: StorePathHash) -> Result<Target, PurgeError> {
        let (site, looked) = (Arc::clone(&self.0.site), Arc::clone(cache));
        let found = off_reactor(move || {
            if let Some(refusal) = refusal(&site, &looked) {
                return Ok(Err(PurgeError::Refused(refusal)));
            }
            let view = looked.index.view();
            Ok(Ok(view.find(&hash).map(|id| Target {
                pair: Pair {
                    path: hash,
                    nar_hash: view.nar_hash(id),
                },
                nar: nar_key(&view, id),
                deriver: NarInfo::parse(&view.narinfo_bytes(id), &looked.store_dir)
                    .ok()
                    .and_then(|narinfo| narinfo.deriver()?.to_string().parse().ok()),
            })))
        });
        let unread = |error: RetentionError| {
            PurgeError::Refused(format!(
                "It could not be looked for: {error} Nothing was done."
            ))
        };
        if let Some(target) = found.await.map_err(unread)?? {
            return Ok(target);
        }
        let trashed = self.in_trash(cache, &hash).await;
        let trashed = trashed.map_err(|error| unread(error.into()))?;
        Ok(trashed.ok_or(PurgeError::Absent)?.target)
    }

    /// Deletes the objects of a path, the narinfo last. Who else needs them is looked for right before, in
    /// the bucket and in the trash.
    async fn erase(
        &self,
        eraser: &mut Eraser<'_>,
        cache: &Arc<Cache>,
        target: Target,
    ) -> Result<(), String> {
        let sweeps = self.0.sweeps.get(cache.slug.as_str());
        let sweeps = sweeps.ok_or("nobody sweeps this cache")?;
        let swept = sweeps.sweep().await;
        swept.map_err(|error| {
            format!("whether another path has the same NAR could not be read: {error}")
        })?;
        let path = target.pair.path;
        let in_trash = self
            .sharers_in_trash(cache, &target.pair, &target.nar)
            .await;
        let in_trash = in_trash.map_err(|error| {
            format!("whether a path of the trash has the same NAR could not be read: {error}")
        })?;
        let looked = Arc::clone(cache);
        let (target, shared, log) = off_reactor(move || {
            let view = looked.index.view();
            let shared = sharers(&looked, &view, &path, &target.nar);
            let log = own_log(&view, &target);
            Ok((target, shared, log))
        })
        .await
        .map_err(|error| error.to_string())?;
        eraser.done.shared_with = shared + in_trash;
        let erased = async {
            // A narinfo may name whatever it likes.
            let class = ObjectClass::of(&target.nar);
            if eraser.done.shared_with == 0
                && matches!(class, ObjectClass::Nar | ObjectClass::Other)
            {
                eraser.erase(&target.nar).await?;
            }
            eraser.erase(&format!("{path}.ls")).await?;
            if let Some(log) = &log {
                eraser.erase(log).await?;
            }
            eraser.erase(&path.narinfo_key()).await
        };
        erased.await.map_err(|error: BucketError| error.to_string())
    }

    /// The paths in the trash with this NAR, but this one, that may come back and are not purged.
    async fn sharers_in_trash(
        &self,
        cache: &Cache,
        Pair { path, nar_hash }: &Pair,
        nar: &str,
    ) -> Result<u64, LedgerError> {
        let mut sharers = HashSet::new();
        for run in self.undoable_runs(cache) {
            let list = self.list_of(cache, &run).await?;
            let same = list.iter().filter(|other| other.nar == nar);
            sharers.extend(same.map(|other| other.hash));
        }
        sharers.remove(path);
        let (view, held) = (cache.index.view(), cache.withheld.held());
        // The same NAR is the same content.
        let is_purged = |other: &StorePathHash| {
            let holding = held.find(other, nar_hash);
            holding.is_some_and(|holding| holding.state == HeldBack::Purged)
        };
        // Those that are here are counted there.
        sharers.retain(|other| view.find(other).is_none() && !is_purged(other));
        Ok(sharers.len() as u64)
    }

    /// A path as it lies in the trash.
    async fn in_trash(
        &self,
        cache: &Cache,
        hash: &StorePathHash,
    ) -> Result<Option<Trashed>, LedgerError> {
        let ledger = &self.0.site.ledger;
        let slug = cache.slug.as_str();
        for run in self.undoable_runs(cache) {
            let list = self.list_of(cache, &run).await?;
            let Some(at) = list.iter().position(|path| path.hash == *hash) else {
                continue;
            };
            let folder = format!("trash/{}/", run.id);
            let bundles = ledger.bundles(slug, &folder).await?;
            // Bundles are named by the place at which their batch begins.
            let begins = |name: &str| name.split('-').next()?.parse::<usize>().ok();
            let names = bundles.iter().map(|bundle| bundle.name.as_str());
            let batch = names.clone().filter_map(begins).filter(|from| *from <= at);
            let Some(batch) = batch.max() else { continue };
            for name in names.filter(|name| begins(name) == Some(batch)) {
                let bundle = format!("{folder}{name}");
                let thrown: Option<Vec<Thrown>> = ledger.bundle(slug, &bundle).await?;
                let found = thrown.iter().flatten().find(|one| one.hash == *hash);
                let Some(one) = found else { continue };
                let Some((_, narinfo)) = one.read(&cache.store_dir) else {
                    continue;
                };
                return Ok(Some(Trashed {
                    run: run.id.to_string(),
                    name: one.name.clone(),
                    bytes: narinfo.file_size(),
                    target: Target::of(&narinfo, one.nar.clone()),
                }));
            }
        }
        Ok(None)
    }
}
