//! Looking at an archive that lies in the bucket already.
//!
//! It decodes as much as an upload does, so it counts as one ([`UPLOADS`](super::UPLOADS)): whoever
//! holds a permit already does not come here.

use std::sync::Arc;

use futures_util::StreamExt as _;
use snowbank_shared::content_address::ContentAddress;
use snowbank_shared::store_path::StorePathHash;

use super::examine::{Bounds, Examination, Facts};
use super::{Intake, Refusal};
use crate::bucket::{BucketError, ObjectBody};
use crate::site::Cache;

impl Intake {
    /// Everything about an archive; `None` where there is none.
    pub(super) async fn facts_of_stored(
        &self,
        cache: &Cache,
        key: &str,
    ) -> Result<Option<Arc<Facts>>, Refusal> {
        let _permit = Arc::clone(&self.0.uploads).acquire_owned().await;
        let Some(body) = open(cache, key).await? else {
            return Ok(None);
        };
        let examination = Examination::begin(&self.0.gate, Bounds::of(cache, key));
        let facts = through(body, examination).await?;
        Ok(Some(Arc::new(facts)))
    }

    /// Whether an archive in the bucket is what a content address claims.
    pub(super) async fn content_is(
        &self,
        cache: &Cache,
        key: &str,
        ca: &ContentAddress,
        own: StorePathHash,
    ) -> Result<bool, Refusal> {
        let _permit = Arc::clone(&self.0.uploads).acquire_owned().await;
        let Some(body) = open(cache, key).await? else {
            return Ok(false);
        };
        let examination = Examination::hash(&self.0.gate, Bounds::of(cache, key), ca, own);
        let hashes = through(body, examination).await?;
        Ok(hashes.include(&ca.hash))
    }
}

async fn open(cache: &Cache, key: &str) -> Result<Option<ObjectBody>, Refusal> {
    match cache.bucket.bulk().get(key).await {
        Ok(object) if object.content_encoding.is_some() => Err(Refusal::conflict(
            "nar-missing",
            "the archive in the bucket is stored with a Content-Encoding: upload it again under another compression",
        )),
        Ok(object) => Ok(Some(object.body)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn through<T: Send + 'static>(
    mut body: ObjectBody,
    examination: Examination<T>,
) -> Result<T, Refusal> {
    let mut broken: Option<BucketError> = None;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => {
                if !examination.push(piece).await {
                    break;
                }
            }
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let found = examination.finish().await;
    match broken {
        Some(error) => Err(error.into()),
        None => found,
    }
}
