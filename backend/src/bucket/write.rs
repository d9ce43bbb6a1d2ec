//! Writing whole objects: plain, conditional, copied, deleted.
//!
//! Bodies are bytes in memory, so that a failed attempt can be sent again whole. What
//! exceeds memory goes up in parts: see [`multipart`](super::multipart).

use std::collections::HashMap;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use http::header;

use super::sign::encode_path;
use super::{Bucket, BucketError, BucketErrorKind, ETag, Operation};

/// What goes with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// A word of ours that stays with the object, as `x-amz-meta-snowbank-mark`.
    pub mark: Option<String>,
}

/// The name of the metadata that holds an object's mark, behind `x-amz-meta-`.
const MARK: &str = "snowbank-mark";

impl PutOptions {
    /// A Content-Type and nothing else.
    pub fn of_type(content_type: &str) -> Self {
        Self {
            content_type: Some(content_type.to_owned()),
            ..Self::default()
        }
    }

    /// What the store is to keep beside the object.
    pub(super) fn metadata(&self) -> Option<HashMap<String, String>> {
        let mark = self.mark.clone()?;
        Some(HashMap::from([(MARK.to_owned(), mark)]))
    }
}

/// When a write may happen. Not every store heeds it: see [`super::Capabilities`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteCondition {
    /// Only where nothing is.
    Absent,
    /// Only over this very version.
    Unchanged(ETag),
}

/// A write that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new object's tag, where the store says.
    pub etag: Option<ETag>,
}

/// The largest object that one copy request takes.
const COPY_AT_ONCE: u64 = 5 << 30;

impl Bucket {
    /// Writes an object, over whatever is there.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        options: &PutOptions,
    ) -> Result<Written, BucketError> {
        self.put_when(key, bytes, options, None).await
    }

    /// Writes an object where there is none. Where the store ignores the condition
    /// ([`super::Capabilities`]), this is a plain put.
    ///
    /// A repeated attempt that finds the very bytes there succeeded: its first answer got lost.
    ///
    /// # Errors
    /// [`BucketErrorKind::PreconditionFailed`] where there is one, else see
    /// [`BucketErrorKind`].
    pub async fn put_if_absent(
        &self,
        key: &str,
        bytes: Bytes,
        options: &PutOptions,
    ) -> Result<Written, BucketError> {
        self.put_when(key, bytes, options, Some(WriteCondition::Absent))
            .await
    }

    /// Writes an object over a known version of it. See [`put_if_absent`](Self::put_if_absent).
    ///
    /// # Errors
    /// [`BucketErrorKind::PreconditionFailed`] where it has another tag by now (some stores
    /// say [`BucketErrorKind::NotFound`] where it is gone), else see [`BucketErrorKind`].
    pub async fn put_if_match(
        &self,
        key: &str,
        bytes: Bytes,
        options: &PutOptions,
        unchanged: &ETag,
    ) -> Result<Written, BucketError> {
        let condition = WriteCondition::Unchanged(unchanged.clone());
        self.put_when(key, bytes, options, Some(condition)).await
    }

    async fn put_when(
        &self,
        key: &str,
        bytes: Bytes,
        options: &PutOptions,
        condition: Option<WriteCondition>,
    ) -> Result<Written, BucketError> {
        let absolute = self.absolute(Operation::Put, key)?;
        let mut attempts = 0;
        let outcome = self
            .attempt(Operation::Put, |number| {
                attempts = number;
                let request = self
                    .inner
                    .clients
                    .write
                    .put_object()
                    .bucket(&self.inner.name)
                    .key(&absolute)
                    .set_content_type(options.content_type.clone())
                    .set_content_encoding(options.content_encoding.clone())
                    .set_cache_control(options.cache_control.clone())
                    .set_metadata(options.metadata())
                    .body(ByteStream::from(bytes.clone()));
                let request = match &condition {
                    None => request,
                    Some(WriteCondition::Absent) => request.if_none_match("*"),
                    Some(WriteCondition::Unchanged(etag)) => request.if_match(etag.as_str()),
                };
                let absolute = &absolute;
                async move {
                    let output = request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::Put, absolute, &error))?;
                    Ok(Written {
                        etag: output.e_tag().map(ETag::new),
                    })
                }
            })
            .await;
        match outcome {
            Err(error) if attempts > 1 && error.kind() == BucketErrorKind::PreconditionFailed => {
                self.written_already(key, &bytes).await.ok_or(error)
            }
            outcome => outcome,
        }
    }

    /// Whether an object holds these very bytes.
    async fn written_already(&self, key: &str, bytes: &Bytes) -> Option<Written> {
        let object = self.get(key).await.ok()?;
        let etag = object.meta.etag.clone();
        let there = object.body.collect(bytes.len()).await.ok()?;
        (there == *bytes).then_some(Written { etag })
    }

    /// Deletes an object. That there is none is no error.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.delete_as(Operation::Delete, key, None, None).await
    }

    /// Deletes this very version of an object. Where the store ignores the condition, this is a plain
    /// delete. That there is none is no error.
    ///
    /// # Errors
    /// [`BucketErrorKind::PreconditionFailed`] where it has another tag by now, else see
    /// [`BucketErrorKind`].
    pub async fn delete_if_match(&self, key: &str, unchanged: &ETag) -> Result<(), BucketError> {
        self.delete_as(Operation::Delete, key, Some(unchanged), None)
            .await
    }

    /// Deletes an object where it is unchanged, or one version of it. That there is none is no error.
    pub(super) async fn delete_as(
        &self,
        operation: Operation,
        key: &str,
        unchanged: Option<&ETag>,
        version: Option<&str>,
    ) -> Result<(), BucketError> {
        let absolute = self.absolute(operation, key)?;
        let outcome = self
            .attempt(operation, |_| {
                let request = self
                    .inner
                    .clients
                    .delete
                    .delete_object()
                    .bucket(&self.inner.name)
                    .key(&absolute)
                    .set_if_match(unchanged.map(|etag| etag.as_str().to_owned()))
                    .set_version_id(version.map(str::to_owned));
                let absolute = &absolute;
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(operation, absolute, &error))
                }
            })
            .await;
        match outcome {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Copies an object within the prefix, with what goes with it; above 5 GiB in parts.
    ///
    /// # Errors
    /// See [`BucketErrorKind`]; reading needs `s3:GetObject` for the writing credentials too.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), BucketError> {
        let source = self.absolute(Operation::Copy, from)?;
        let absolute = self.absolute(Operation::Copy, to)?;
        let head = self.head_response(&source).await?;
        let text = |name: header::HeaderName| {
            let value = head.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let size: u64 = text(header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .unwrap_or_default();
        let encoded = encode_path(&format!("{}/{source}", self.inner.name));
        if size > COPY_AT_ONCE {
            let options = PutOptions {
                content_type: text(header::CONTENT_TYPE),
                content_encoding: text(header::CONTENT_ENCODING),
                cache_control: text(header::CACHE_CONTROL),
                mark: super::read::mark(head.headers()),
            };
            return self.copy_in_parts(&encoded, to, size, &options).await;
        }
        self.attempt(Operation::Copy, |_| {
            let request = self
                .inner
                .clients
                .write
                .copy_object()
                .bucket(&self.inner.name)
                .key(&absolute)
                .copy_source(&encoded);
            let absolute = &absolute;
            async move {
                request
                    .send()
                    .await
                    .map_err(|error| self.sdk_error(Operation::Copy, absolute, &error))
            }
        })
        .await?;
        Ok(())
    }
}
