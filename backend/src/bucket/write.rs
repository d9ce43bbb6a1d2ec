//! Writing, through the SDK: whole objects, conditional ones, in parts, copies, deletion.
//!
//! Bodies are bytes in memory (an object or a part), so that a failed attempt can be sent
//! again whole. What exceeds memory goes up in parts.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use http::header;

use super::config::Sources;
use super::error::ErrorAnswer;
use super::sign::encode_path;
use super::transport::{causes, sdk_http_client};
use super::{Bucket, BucketConfig, BucketError, BucketErrorKind, ETag, Operation};

/// What goes with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
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

/// An upload in parts, begun. Until it is completed, the object does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    key: String,
    absolute: String,
    upload_id: String,
}

impl Multipart {
    /// The key that it is for.
    pub fn key(&self) -> &str {
        &self.key
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

/// The largest object that one copy request takes.
const COPY_AT_ONCE: u64 = 5 << 30;

/// What one request of a larger copy takes.
const COPY_PART: u64 = 512 << 20;

/// The SDK's clients, one for each set of credentials.
pub(super) struct WriteClients {
    read: Client,
    write: Client,
    delete: Client,
}

impl WriteClients {
    pub(super) fn new(config: &BucketConfig, sources: &Sources) -> Self {
        let http = sdk_http_client();
        let client = |provider: Option<&SharedCredentialsProvider>| {
            let limits = &config.limits;
            let mut builder = Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .http_client(http.clone())
                .region(Region::new(sources.region.clone()))
                .force_path_style(config.uses_path_style())
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                // Retries, their pauses and counts are `Bucket::attempt`'s.
                .retry_config(RetryConfig::disabled())
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(limits.connect_timeout)
                        .read_timeout(limits.write_timeout)
                        .operation_attempt_timeout(limits.write_timeout)
                        .build(),
                )
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            if let Some(endpoint) = &config.endpoint {
                builder = builder.endpoint_url(endpoint);
            }
            builder = match provider {
                Some(provider) => builder.credentials_provider(provider.clone()),
                None => builder.allow_no_auth(),
            };
            Client::from_conf(builder.build())
        };
        let read = client(sources.read.as_ref());
        let write = if sources.write_differs {
            client(sources.write.as_ref())
        } else {
            read.clone()
        };
        let delete = if sources.delete_differs {
            client(sources.delete.as_ref())
        } else {
            write.clone()
        };
        Self {
            read,
            write,
            delete,
        }
    }

    pub(super) async fn presign(
        &self,
        bucket: &str,
        absolute: &str,
        lasting: Duration,
    ) -> Result<String, String> {
        let config = PresigningConfig::expires_in(lasting).map_err(|error| error.to_string())?;
        let request = self.read.get_object().bucket(bucket).key(absolute);
        let presigned = request.presigned(config).await;
        presigned
            .map(|request| request.uri().to_owned())
            .map_err(|error| causes(&error))
    }
}

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
        let absolute = self.absolute(Operation::Delete, key)?;
        let outcome = self
            .attempt(Operation::Delete, |_| {
                let request = self
                    .inner
                    .clients
                    .delete
                    .delete_object()
                    .bucket(&self.inner.name)
                    .key(&absolute);
                let absolute = &absolute;
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::Delete, absolute, &error))
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

    async fn copy_in_parts(
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
                .set_cache_control(options.cache_control.clone());
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

    /// What the SDK says, in our words.
    fn sdk_error<E>(
        &self,
        operation: Operation,
        absolute: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> BucketError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let local = |kind, detail: String| self.error(operation, absolute, kind, detail);
        let why = || causes(error);
        match error {
            SdkError::TimeoutError(_) => local(BucketErrorKind::Timeout, why()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                local(BucketErrorKind::Timeout, why())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                local(BucketErrorKind::Network, why())
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                let why = why();
                let kind = if why.contains("credentials") {
                    BucketErrorKind::BadCredentials
                } else if matches!(error, SdkError::DispatchFailure(_)) {
                    BucketErrorKind::Network
                } else {
                    BucketErrorKind::Other
                };
                local(kind, why)
            }
            other => {
                let Some(response) = other.raw_response() else {
                    return local(BucketErrorKind::Other, why());
                };
                let status = response.status().as_u16();
                if (200..300).contains(&status) && other.code().is_none() {
                    return local(BucketErrorKind::Corrupt, why());
                }
                let answer = ErrorAnswer {
                    status,
                    code: other.code().unwrap_or_default().to_owned(),
                    message: other.message().unwrap_or_default().to_owned(),
                    retry_after: response
                        .headers()
                        .get("retry-after")
                        .and_then(|seconds| seconds.trim().parse().ok())
                        .map(Duration::from_secs),
                };
                BucketError::answered(operation, &self.inner.name, absolute, &answer)
            }
        }
    }
}
