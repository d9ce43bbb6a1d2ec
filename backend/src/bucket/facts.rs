//! What a bucket itself does with the objects in it: versions, locks, storage classes, its clock.
//!
//! Nothing here is needed to serve a cache, and many stores do not answer these questions: an error
//! says so, and nothing else fails for it.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{BucketVersioningStatus, EncodingType, ObjectLockEnabled};
use http::header::{DATE, HeaderMap};
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use super::transport::Target;
use super::{Bucket, BucketError, ListRequest, Operation};

/// Pages of a listing of versions that are read at most; each has a thousand.
const MOST_PAGES: usize = 2_000;

/// Whether a bucket keeps what is overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Never,
    /// It does.
    Enabled,
    /// It did once: versions of that time are still there.
    Suspended,
}

/// What is no longer the newest of its key, and still costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldVersions {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether all were counted: of very many only the first two million versions are looked at.
    pub complete: bool,
}

impl Bucket {
    /// Whether the bucket keeps old versions.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn versioning(&self) -> Result<Versioning, BucketError> {
        let answer = self
            .attempt(Operation::Versioning, |_| {
                let request = self
                    .inner
                    .clients
                    .read
                    .get_bucket_versioning()
                    .bucket(&self.inner.name);
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::Versioning, "", &error))
                }
            })
            .await?;
        Ok(match answer.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Never,
        })
    }

    /// Counts the versions below this handle's prefix that are not the newest of their key.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn old_versions(&self) -> Result<OldVersions, BucketError> {
        let mut old = OldVersions::default();
        let (mut key, mut version) = (None::<String>, None::<String>);
        for _ in 0..MOST_PAGES {
            let page = self
                .attempt(Operation::Versions, |_| {
                    let request = self
                        .inner
                        .clients
                        .read
                        .list_object_versions()
                        .bucket(&self.inner.name)
                        .prefix(&self.inner.prefix)
                        .encoding_type(EncodingType::Url)
                        .set_key_marker(key.clone())
                        .set_version_id_marker(version.clone());
                    async move {
                        request
                            .send()
                            .await
                            .map_err(|error| self.sdk_error(Operation::Versions, "", &error))
                    }
                })
                .await?;
            for listed in page.versions() {
                let own = listed.key().is_some_and(|key| self.is_own(key));
                if own && listed.is_latest() != Some(true) {
                    let size = listed.size().and_then(|size| u64::try_from(size).ok());
                    old.objects += 1;
                    old.bytes = old.bytes.saturating_add(size.unwrap_or_default());
                }
            }
            let next = (
                page.next_key_marker().map(str::to_owned),
                page.next_version_id_marker().map(str::to_owned),
            );
            if page.is_truncated() != Some(true) || next.0.is_none() {
                old.complete = true;
                break;
            }
            (key, version) = next;
        }
        Ok(old)
    }

    /// Whether a key of a listing, encoded as in an address, is not hidden.
    fn is_own(&self, encoded: &str) -> bool {
        !self.is_hidden(&percent_decode_str(encoded).decode_utf8_lossy())
    }

    /// Whether new objects are locked against deletion, in words: `governance, 30 days`; `None`: they
    /// are not.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn object_lock(&self) -> Result<Option<String>, BucketError> {
        let answer = self
            .attempt(Operation::ObjectLock, |_| {
                let request = self
                    .inner
                    .clients
                    .read
                    .get_object_lock_configuration()
                    .bucket(&self.inner.name);
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::ObjectLock, "", &error))
                }
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            // `ObjectLockConfigurationNotFoundError`: nobody made one.
            Err(error) if error.is_not_found() || error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(lock) = answer.object_lock_configuration() else {
            return Ok(None);
        };
        if lock.object_lock_enabled() != Some(&ObjectLockEnabled::Enabled) {
            return Ok(None);
        }
        let retention = lock.rule().and_then(|rule| rule.default_retention());
        Ok(retention.map(|retention| {
            let mode = retention
                .mode()
                .map_or_else(String::new, |mode| mode.as_str().to_lowercase());
            match (retention.days(), retention.years()) {
                (Some(days), _) => format!("{mode}, {days} days"),
                (None, Some(years)) => format!("{mode}, {years} years"),
                (None, None) => mode,
            }
        }))
    }

    /// The storage classes of the first thousand objects below this handle's prefix, with how many
    /// have each. A store that does not say has `STANDARD`.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn storage_classes(&self) -> Result<BTreeMap<String, u64>, BucketError> {
        let page = self
            .attempt(Operation::List, |_| {
                let request = self
                    .inner
                    .clients
                    .read
                    .list_objects_v2()
                    .bucket(&self.inner.name)
                    .prefix(&self.inner.prefix)
                    .encoding_type(EncodingType::Url);
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::List, "", &error))
                }
            })
            .await?;
        let mut classes = BTreeMap::new();
        for object in page.contents() {
            if object.key().is_some_and(|key| self.is_own(key)) {
                let class = object
                    .storage_class()
                    .map_or("STANDARD", |class| class.as_str());
                *classes.entry(class.to_owned()).or_default() += 1;
            }
        }
        Ok(classes)
    }

    /// Seconds by which the store's clock is ahead of this machine's; `None`: it does not tell its
    /// time. Right to a second or two.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn clock_ahead(&self) -> Result<Option<i64>, BucketError> {
        let request = ListRequest {
            max_keys: Some(1),
            ..ListRequest::default()
        };
        let prefix = self.inner.prefix.as_str();
        let query = &self.query(&request, None, prefix);
        self.attempt(Operation::List, |_| async move {
            let target = Target::Listing { prefix, query };
            let answer = self
                .inner
                .transport
                .send(Operation::List, target, HeaderMap::new())
                .await?;
            let said = answer.headers().get(DATE);
            let said = said
                .and_then(|date| date.to_str().ok())
                .and_then(super::read::http_date);
            Ok::<_, BucketError>(
                said.map(|said| (said - OffsetDateTime::now_utc()).whole_seconds()),
            )
        })
        .await
    }
}
