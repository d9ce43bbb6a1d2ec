//! Where the ledger lies: the few things it asks of a bucket.
//!
//! A trait, so that tests can put a conductor between the ledger and the real bucket, who
//! decides which of several replicas moves next, and who ignores conditions as some stores do.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use crate::bucket::{
    Bucket, BucketConfig, BucketError, Capabilities, CredentialSource, Credentials, ETag,
    ListRequest, ObjectMeta, PutOptions, Written,
};

/// The largest sealed object that is read, in bytes.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// An object of the state area.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its tag, where the store gives one.
    pub etag: Option<ETag>,
}

/// When a write may happen, where the store heeds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Whatever is there.
    Always,
    /// Only where nothing is.
    Absent,
    /// Only over this very version.
    Unchanged(ETag),
}

/// A state area.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What every key begins with in the bucket; empty, or ending with `/`.
    fn prefix(&self) -> &str;
    /// Where it is, for people.
    fn location(&self) -> &str;
    /// Every object below a prefix.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, BucketError>;
    /// The folders right below a prefix, each ending with `/`.
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, BucketError>;
    /// An object; `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Stored>, BucketError>;
    /// Writes an object.
    async fn put(&self, key: &str, bytes: Bytes, when: &When) -> Result<Written, BucketError>;
    /// Deletes an object.
    async fn delete(&self, key: &str) -> Result<(), BucketError>;
    /// Which conditions are heeded, tried on an object of one's own.
    async fn probe(&self, key: &str) -> Result<Capabilities, BucketError>;
    /// Whether somebody without credentials can read this object.
    async fn open_to_anyone(&self, key: &str) -> Result<bool, BucketError>;
}

/// A state area in a bucket.
#[derive(Debug, Clone)]
pub struct BucketStore {
    bucket: Bucket,
    stranger: Bucket,
}

impl BucketStore {
    /// Makes the handles; nothing is sent. Patience is cut to what a refresh every two
    /// seconds can bear.
    ///
    /// # Errors
    /// Where the place cannot be right.
    pub async fn connect(config: &BucketConfig) -> Result<Self, BucketError> {
        let mut config = config.clone();
        config.limits.answer_timeout = Duration::from_secs(5);
        config.limits.small_timeout = Duration::from_secs(10);
        config.limits.write_timeout = Duration::from_secs(15);
        let stranger = BucketConfig {
            credentials: Credentials {
                read: CredentialSource::Anonymous,
                write: None,
                delete: None,
            },
            ..config.clone()
        };
        Ok(Self {
            bucket: Bucket::connect(&config).await?,
            stranger: Bucket::connect(&stranger).await?,
        })
    }
}

#[async_trait]
impl Store for BucketStore {
    fn prefix(&self) -> &str {
        self.bucket.prefix()
    }

    fn location(&self) -> &str {
        self.bucket.location()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, BucketError> {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            ..ListRequest::default()
        };
        let mut pages = Box::pin(self.bucket.list(request));
        let mut objects = Vec::new();
        while let Some(page) = pages.try_next().await? {
            objects.extend(page.objects);
        }
        Ok(objects)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            delimiter: true,
            ..ListRequest::default()
        };
        let mut pages = Box::pin(self.bucket.list(request));
        let mut folders = Vec::new();
        while let Some(page) = pages.try_next().await? {
            folders.extend(page.prefixes);
        }
        Ok(folders)
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, BucketError> {
        match self.bucket.get_small(key, MOST_BYTES).await {
            Ok(object) => Ok(Some(Stored {
                bytes: object.bytes,
                etag: object.meta.etag,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, when: &When) -> Result<Written, BucketError> {
        let options = PutOptions {
            content_type: Some("application/octet-stream".to_owned()),
            content_encoding: None,
            cache_control: Some("no-store".to_owned()),
            mark: None,
        };
        match when {
            When::Always => self.bucket.put(key, bytes, &options).await,
            When::Absent => self.bucket.put_if_absent(key, bytes, &options).await,
            When::Unchanged(etag) => {
                let bucket = &self.bucket;
                bucket.put_if_match(key, bytes, &options, etag).await
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.bucket.delete(key).await
    }

    async fn probe(&self, key: &str) -> Result<Capabilities, BucketError> {
        self.bucket.probe(key).await
    }

    async fn open_to_anyone(&self, key: &str) -> Result<bool, BucketError> {
        match self.stranger.get_small(key, MOST_BYTES).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_retryable() => Err(error),
            Err(_) => Ok(false),
        }
    }
}
