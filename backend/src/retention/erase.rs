//! Erasing what lies in the bucket of a purged path, with all that the bucket remembers of it.

use std::sync::Arc;

use snowbank_shared::api::retention::Purged;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::store_path::StorePathHash;

use super::PurgeError;
use crate::bucket::{BucketError, BucketErrorKind, Version, Versioning};
use crate::index::Change;
use crate::site::{Cache, Site};
use crate::withheld::Pair;

/// How often the versions of an object are looked for: a listing has an end, and what it left is found
/// by the next.
const ROUNDS: usize = 50;

/// Refuses where the bucket has another content of the path than the index. That it has none is what a
/// purge leaves that was broken off.
pub(super) async fn as_shown(cache: &Cache, pair: Pair) -> Result<(), PurgeError> {
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

/// Tells everybody that a path is gone.
pub(super) async fn told(site: &Site, cache: &Arc<Cache>, hash: StorePathHash) {
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
pub(super) struct Eraser<'a> {
    cache: &'a Cache,
    /// Whether there may be old versions, and the bucket lists them as far as is known.
    lists: bool,
    pub(super) done: Purged,
}

impl<'a> Eraser<'a> {
    pub(super) async fn new(cache: &'a Cache) -> Self {
        // Where it does not say whether it keeps any, it is asked for them.
        let never = matches!(cache.bucket.versioning().await, Ok(Versioning::Never));
        Self {
            cache,
            lists: !never,
            done: Purged {
                objects: 0,
                versions: Some(0),
                freed: 0,
                shared_with: 0,
            },
        }
    }

    /// Deletes an object. That there is none is no error.
    pub(super) async fn erase(&mut self, key: &str) -> Result<(), BucketError> {
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
