//! Uploads in parts: for what exceeds memory, and copies of what exceeds one request.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::write::{PutOptions, WriteCondition, Written};
use super::{Bucket, BucketError, BucketErrorKind, ETag, Operation};

/// An upload in parts, begun. Until it is completed, the object does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    pub(super) key: String,
    pub(super) absolute: String,
    pub(super) upload_id: String,
}

impl Multipart {
    /// The key that it is for.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The store's name for it.
    pub fn id(&self) -> &str {
        &self.upload_id
    }
}

/// A part that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: u32,
    /// Bytes in it.
    pub size: u64,
    /// What the store called it.
    pub etag: ETag,
}

/// What one request of a larger copy takes.
const COPY_PART: u64 = 512 << 20;

impl Bucket {
    /// Copies an object of this size, part by part.
    pub(super) async fn copy_in_parts(
        &self,
        source: &str,
        to: &str,
        size: u64,
        options: &PutOptions,
    ) -> Result<(), BucketError> {
        let upload = self.multipart_create(to, options).await?;
        let mut parts = Vec::new();
        let copied = async {
            let mut first = 0;
            while first < size {
                let number = u32::try_from(parts.len() + 1).unwrap_or(u32::MAX);
                let last = (first + COPY_PART).min(size) - 1;
                parts.push(self.copy_part(&upload, source, number, first, last).await?);
                first = last + 1;
            }
            Ok(())
        }
        .await;
        match copied {
            Ok(()) => self
                .multipart_complete(&upload, &parts, None)
                .await
                .map(drop),
            Err(error) => {
                // The copy's own failure is the one to report; what is left over is found
                // again as an incomplete upload.
                let _ = self.multipart_abort(&upload).await;
                Err(error)
            }
        }
    }

    async fn copy_part(
        &self,
        upload: &Multipart,
        source: &str,
        number: u32,
        first: u64,
        last: u64,
    ) -> Result<Part, BucketError> {
        self.attempt(Operation::Copy, |_| {
            let request = self
                .inner
                .clients
                .write
                .upload_part_copy()
                .bucket(&self.inner.name)
                .key(&upload.absolute)
                .upload_id(&upload.upload_id)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .copy_source(source)
                .copy_source_range(format!("bytes={first}-{last}"));
            async move {
                let output = request
                    .send()
                    .await
                    .map_err(|error| self.sdk_error(Operation::Copy, &upload.absolute, &error))?;
                let result = output.copy_part_result();
                let etag = result.and_then(|result| result.e_tag());
                self.part(upload, number, last - first + 1, etag)
            }
        })
        .await
    }

    /// Begins an upload in parts.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn multipart_create(
        &self,
        key: &str,
        options: &PutOptions,
    ) -> Result<Multipart, BucketError> {
        let absolute = self.absolute(Operation::MultipartCreate, key)?;
        self.attempt(Operation::MultipartCreate, |_| {
            let request = self
                .inner
                .clients
                .write
                .create_multipart_upload()
                .bucket(&self.inner.name)
                .key(&absolute)
                .set_content_type(options.content_type.clone())
                .set_content_encoding(options.content_encoding.clone())
                .set_cache_control(options.cache_control.clone())
                .set_metadata(options.metadata());
            let absolute = &absolute;
            async move {
                let output = request.send().await.map_err(|error| {
                    self.sdk_error(Operation::MultipartCreate, absolute, &error)
                })?;
                let upload_id = output.upload_id().ok_or_else(|| {
                    self.error(
                        Operation::MultipartCreate,
                        absolute,
                        BucketErrorKind::Corrupt,
                        "the answer has no upload id",
                    )
                })?;
                Ok(Multipart {
                    key: key.to_owned(),
                    absolute: absolute.clone(),
                    upload_id: upload_id.to_owned(),
                })
            }
        })
        .await
    }

    /// Sends a part: number 1 to 10,000, at least 5 MiB but for the last.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn multipart_part(
        &self,
        upload: &Multipart,
        number: u32,
        bytes: Bytes,
    ) -> Result<Part, BucketError> {
        let size = bytes.len() as u64;
        self.attempt(Operation::MultipartPart, |_| {
            let request = self
                .inner
                .clients
                .write
                .upload_part()
                .bucket(&self.inner.name)
                .key(&upload.absolute)
                .upload_id(&upload.upload_id)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .body(ByteStream::from(bytes.clone()));
            async move {
                let output = request.send().await.map_err(|error| {
                    self.sdk_error(Operation::MultipartPart, &upload.absolute, &error)
                })?;
                self.part(upload, number, size, output.e_tag())
            }
        })
        .await
    }

    fn part(
        &self,
        upload: &Multipart,
        number: u32,
        size: u64,
        etag: Option<&str>,
    ) -> Result<Part, BucketError> {
        let etag = etag.ok_or_else(|| {
            self.error(
                Operation::MultipartPart,
                &upload.absolute,
                BucketErrorKind::Corrupt,
                "the answer has no ETag for the part",
            )
        })?;
        Ok(Part {
            number,
            size,
            etag: ETag::new(etag),
        })
    }

    /// Makes the object out of its parts, in the order of their numbers.
    ///
    /// # Errors
    /// See [`BucketErrorKind`]. Where the answer got lost or makes no sense, the object
    /// itself tells: if it is there and of the right size, it was made.
    pub async fn multipart_complete(
        &self,
        upload: &Multipart,
        parts: &[Part],
        condition: Option<&WriteCondition>,
    ) -> Result<Written, BucketError> {
        let completed = CompletedMultipartUpload::builder()
            .set_parts(Some(
                parts
                    .iter()
                    .map(|part| {
                        CompletedPart::builder()
                            .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                            .e_tag(part.etag.as_str())
                            .build()
                    })
                    .collect(),
            ))
            .build();
        let mut attempts = 0;
        let outcome = self
            .attempt(Operation::MultipartComplete, |number| {
                attempts = number;
                let request = self
                    .inner
                    .clients
                    .write
                    .complete_multipart_upload()
                    .bucket(&self.inner.name)
                    .key(&upload.absolute)
                    .upload_id(&upload.upload_id)
                    .multipart_upload(completed.clone());
                let request = match condition {
                    None => request,
                    Some(WriteCondition::Absent) => request.if_none_match("*"),
                    Some(WriteCondition::Unchanged(etag)) => request.if_match(etag.as_str()),
                };
                async move {
                    let output = request.send().await.map_err(|error| {
                        self.sdk_error(Operation::MultipartComplete, &upload.absolute, &error)
                    })?;
                    Ok(Written {
                        etag: output.e_tag().map(ETag::new),
                    })
                }
            })
            .await;
        let error = match outcome {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        // A repeated attempt finds the upload gone where the first one made the object.
        let unclear =
            error.kind() == BucketErrorKind::Corrupt || (attempts > 1 && error.is_not_found());
        if unclear
            && let Ok(made) = self.head(&upload.key).await
            && made.size == parts.iter().map(|part| part.size).sum::<u64>()
        {
            return Ok(Written { etag: made.etag });
        }
        Err(error)
    }

    /// Gives an upload up; its parts are gone. That there is none is no error.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn multipart_abort(&self, upload: &Multipart) -> Result<(), BucketError> {
        let outcome = self
            .attempt(Operation::MultipartAbort, |_| {
                let request = self
                    .inner
                    .clients
                    .write
                    .abort_multipart_upload()
                    .bucket(&self.inner.name)
                    .key(&upload.absolute)
                    .upload_id(&upload.upload_id);
                async move {
                    request.send().await.map_err(|error| {
                        self.sdk_error(Operation::MultipartAbort, &upload.absolute, &error)
                    })
                }
            })
            .await;
        match outcome {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
