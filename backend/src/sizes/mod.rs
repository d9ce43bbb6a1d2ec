//! What the bucket of a cache holds and costs.
//!
//! After each whole sweep the objects that it counted by class, the server's own below the cache's
//! prefix, the parts of unfinished uploads and the old versions are put together ([`Sizes::measure`])
//! and written down as the day's record ([`SizesRecord`]): one a day, whoever measured last. Each
//! question that the bucket does not answer leaves its figure unknown, with the reason; none is zero
//! for lack of a permission.
//!
//! [`inventory`] tells what S3 itself lists, [`facts`] is what the bucket itself does, [`forecast`] how it goes on, [`prices`] what it costs.

pub mod facts;
pub mod forecast;
pub mod inventory;
pub mod prices;
mod record;

use std::sync::Arc;

use futures_util::StreamExt as _;
use snowbank_shared::api::storage::{ClassSize, ObjectClass};
use tokio::sync::watch;

use self::inventory::Inventory;
use crate::bucket::{Bucket, BucketError, BucketErrorKind, ListRequest, Versioning};
use crate::sync::{ObjectClass as Swept, Tally, WholeSummary};

pub use record::{SizesRecord, date, days};

/// Unfinished uploads whose parts are asked for; each is a request.
const MOST_UPLOADS: usize = 1_000;

/// What is known of the sizes of a cache in this process.
#[derive(Debug)]
pub struct Sizes {
    whole: watch::Receiver<Option<Arc<WholeSummary>>>,
    /// What below the cache's prefix is the server's, relative to it.
    areas: Vec<String>,
    measured: watch::Sender<Option<Arc<SizesRecord>>>,
    /// The inventories that S3 writes, where the cache has them.
    inventory: Option<Inventory>,
}

impl Sizes {
    /// Of a cache whose whole sweeps tell here what they counted. `areas` are the prefixes in the
    /// bucket that are the server's, `prefix` the cache's.
    pub fn new(
        whole: watch::Receiver<Option<Arc<WholeSummary>>>,
        areas: impl IntoIterator<Item = String>,
        prefix: &str,
    ) -> Self {
        let below = |area: String| area.strip_prefix(prefix).map(str::to_owned);
        let mut areas: Vec<String> = areas.into_iter().filter_map(below).collect();
        areas.sort_unstable();
        areas.dedup();
        Self {
            whole,
            areas,
            measured: watch::Sender::new(None),
            inventory: None,
        }
    }

    /// The same with the inventories that S3 writes.
    #[must_use]
    pub fn with_inventory(self, inventory: Option<Inventory>) -> Self {
        Self { inventory, ..self }
    }

    /// The inventories that S3 writes, where the cache has them.
    pub fn inventory(&self) -> Option<&Inventory> {
        self.inventory.as_ref()
    }

    /// What below the cache's prefix is the server's, relative to it.
    pub fn areas(&self) -> &[String] {
        &self.areas
    }

    /// What whole sweeps count, as they end.
    pub fn whole(&self) -> watch::Receiver<Option<Arc<WholeSummary>>> {
        self.whole.clone()
    }

    /// What was measured last in this process, whether it could be written down or not.
    pub fn measured(&self) -> watch::Receiver<Option<Arc<SizesRecord>>> {
        self.measured.subscribe()
    }

    /// Puts together what a whole sweep counted and what it does not see. What cannot be asked of the
    /// bucket is unknown; this never fails.
    pub async fn measure(
        &self,
        bucket: &Bucket,
        swept: &WholeSummary,
        unpacked: u64,
    ) -> Arc<SizesRecord> {
        let mut classes: Vec<ClassSize> = CLASSES
            .iter()
            .map(|&(class, of)| {
                let tally = of.iter().filter_map(|swept_as| swept.classes.get(swept_as));
                let sum = tally.fold(Tally::default(), |sum, class| Tally {
                    objects: sum.objects + class.objects,
                    bytes: sum.bytes + class.bytes,
                });
                size(class, Ok(sum))
            })
            .collect();
        classes.push(size(ObjectClass::State, self.state(bucket).await));
        classes.push(size(ObjectClass::Unfinished, self.unfinished(bucket).await));
        classes.push(size(ObjectClass::OldVersions, old_versions(bucket).await));
        let record = Arc::new(SizesRecord {
            at: swept.began_at,
            classes,
            unpacked,
            facts: facts::of(bucket).await,
        });
        self.measured.send_replace(Some(Arc::clone(&record)));
        record
    }

    async fn state(&self, bucket: &Bucket) -> Result<Tally, String> {
        let bucket = bucket.with_hidden();
        let mut sum = Tally::default();
        for area in &self.areas {
            let mut pages = Box::pin(bucket.list(ListRequest {
                prefix: area.clone(),
                ..ListRequest::default()
            }));
            while let Some(page) = pages.next().await {
                for object in page.map_err(|error| unknown(&error))?.objects {
                    sum.objects += 1;
                    sum.bytes += object.size;
                }
            }
        }
        Ok(sum)
    }

    /// Uploads in parts that nobody ended, the server's own among them.
    async fn unfinished(&self, bucket: &Bucket) -> Result<Tally, String> {
        let listed = bucket.multipart_unfinished("").await;
        let mut uploads = listed.map_err(|error| unknown(&error))?;
        let all = bucket.with_hidden();
        for area in &self.areas {
            let listed = all.multipart_unfinished(area).await;
            uploads.extend(listed.map_err(|error| unknown(&error))?);
        }
        if uploads.len() > MOST_UPLOADS {
            return Err(format!(
                "There are {} unfinished uploads: more than are looked into. A lifecycle rule that gives up unfinished uploads after some days is safe for a cache.",
                uploads.len()
            ));
        }
        let mut sum = Tally::default();
        for begun in uploads {
            match bucket.multipart_bytes(&begun.upload).await {
                Ok(bytes) => {
                    sum.objects += 1;
                    sum.bytes += bytes;
                }
                // It ended meanwhile.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(unknown(&error)),
            }
        }
        Ok(sum)
    }
}

/// The classes of the wire, and what of a sweep is of them.
const CLASSES: [(ObjectClass, &[Swept]); 7] = [
    (ObjectClass::Nar, &[Swept::Nar]),
    (ObjectClass::Narinfo, &[Swept::Narinfo]),
    (ObjectClass::Listing, &[Swept::Listing]),
    (ObjectClass::Log, &[Swept::Log]),
    (ObjectClass::Debuginfo, &[Swept::Debuginfo]),
    (ObjectClass::Realisation, &[Swept::Realisation]),
    (ObjectClass::Other, &[Swept::CacheInfo, Swept::Other]),
];

fn size(class: ObjectClass, counted: Result<Tally, String>) -> ClassSize {
    match counted {
        Ok(tally) => ClassSize {
            class,
            objects: Some(tally.objects),
            bytes: Some(tally.bytes),
            unknown: None,
        },
        Err(unknown) => ClassSize {
            class,
            objects: None,
            bytes: None,
            unknown: Some(unknown),
        },
    }
}

async fn old_versions(bucket: &Bucket) -> Result<Tally, String> {
    match bucket.versioning().await {
        Ok(Versioning::Never) => return Ok(Tally::default()),
        Ok(Versioning::Enabled | Versioning::Suspended) => {}
        // A store that does not know the question has no versions.
        Err(error) if is_unheard_of(&error) => return Ok(Tally::default()),
        Err(error) => return Err(unknown(&error)),
    }
    match bucket.old_versions().await {
        Ok(old) if old.complete => Ok(Tally {
            objects: old.objects,
            bytes: old.bytes,
        }),
        Ok(old) => Err(format!(
            "At least {} old versions with {} bytes: there are more versions than are looked at. A lifecycle rule that deletes noncurrent versions after some days is safe for a cache.",
            old.objects, old.bytes
        )),
        Err(error) => Err(unknown(&error)),
    }
}

/// Whether the store does not know what it was asked.
fn is_unheard_of(error: &BucketError) -> bool {
    matches!(error.status(), Some(400 | 405 | 501))
}

/// Why something is not known, for people.
fn unknown(error: &BucketError) -> String {
    match error.kind() {
        BucketErrorKind::AccessDenied { action } => {
            format!("The credentials lack `{action}`.")
        }
        _ => "The bucket did not answer this question.".to_owned(),
    }
}
