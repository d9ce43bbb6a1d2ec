//! PUT, copy and removal of objects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use s3s::dto::{
    Checksum, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
    CreateMultipartUploadInput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    MetadataDirective, PutObjectInput, PutObjectOutput, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::conditions::{Preconditions, for_write};
use super::errors::{change_error, io_error, no_such_key, parse_key};
use super::folder::{Condition, Folder};
use super::headers::{Headers, MAX_USER_METADATA};
use super::incoming::{Announced, receive};
use super::key::ObjectKey;
use super::version::Version;

/// Most keys that one DeleteObjects may name, as on S3.
const MAX_DELETE: usize = 1000;

fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Takes the headers out of a request; the three kinds of request name them alike.
macro_rules! headers_of {
    ($input:expr, $key:expr) => {
        checked(
            Headers {
                content_type: $input.content_type.take(),
                content_encoding: $input.content_encoding.take(),
                content_language: $input.content_language.take(),
                content_disposition: $input.content_disposition.take(),
                cache_control: $input.cache_control.take(),
                expires: $input.expires.take().as_ref().and_then(http_date),
                user: $input
                    .metadata
                    .take()
                    .unwrap_or_default()
                    .into_iter()
                    .collect::<BTreeMap<_, _>>(),
            },
            $key,
        )
    };
}

fn checked(headers: Headers, key: ObjectKey<'_>) -> S3Result<Headers> {
    if headers.user_bytes() > MAX_USER_METADATA {
        return Err(s3_error!(
            MetadataTooLarge,
            "user metadata may have {MAX_USER_METADATA} bytes at most"
        ));
    }
    Ok(headers.without_defaults(key))
}

/// The headers that an upload in parts will give its object.
///
/// # Errors
/// `MetadataTooLarge`.
pub fn headers_of_upload(
    input: &mut CreateMultipartUploadInput,
    key: ObjectKey<'_>,
) -> S3Result<Headers> {
    headers_of!(input, key)
}

/// Runs work that may block.
///
/// # Errors
/// Its own, or 500 if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(S3Error::internal_error)?
}

/// PutObject.
///
/// # Errors
/// 400 for a body that does not match what was announced or a key that clashes, 404 and 412 by condition.
pub async fn put(
    folder: &Arc<Folder>,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let S3Request {
        mut input,
        headers: sent,
        trailing_headers,
        ..
    } = request;
    if input.write_offset_bytes.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "appending to an object is not supported"
        ));
    }
    let key = parse_key(&input.key)?;
    let headers = headers_of!(input, key)?;
    let condition = for_write(input.if_match.take(), input.if_none_match.take())?;
    // A put that cannot succeed is refused before its body is taken in; it is judged again with the rename.
    let early = match (
        &condition,
        folder
            .version(key)
            .map_err(|error| io_error("look at the object", &error))?,
    ) {
        (Condition::Absent, Some(_)) => {
            Some(s3_error!(PreconditionFailed, "the object exists already"))
        }
        (Condition::Present | Condition::Matches(_), None) => Some(no_such_key()),
        _ => None,
    };
    let announced = Announced {
        length: input.content_length,
        md5: input.content_md5.take(),
        checksum: Checksum {
            checksum_crc32: input.checksum_crc32.take(),
            checksum_crc32c: input.checksum_crc32c.take(),
            checksum_crc64nvme: input.checksum_crc64nvme.take(),
            checksum_sha1: input.checksum_sha1.take(),
            checksum_sha256: input.checksum_sha256.take(),
            ..Checksum::default()
        },
        trailers: Announced::trailers(&sent),
    };
    if let Some(error) = early {
        return Err(error);
    }
    let received = receive(folder, input.body.take(), announced, trailing_headers).await?;
    let checksum = received.checksum.clone();
    let (folder, name) = (folder.clone(), input.key);
    let version = blocking(move || {
        let key = parse_key(&name)?;
        let temporary = received
            .into_temporary(&folder)
            .map_err(|error| io_error("write the body", &error))?;
        folder
            .publish(temporary, key, &headers, &condition)
            .map_err(|error| change_error("publish the object", &error))
    })
    .await?;
    Ok(PutObjectOutput {
        e_tag: Some(ETag::Strong(version.etag())),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..PutObjectOutput::default()
    })
}

/// The bucket and key that a copy reads.
///
/// # Errors
/// `NotImplemented` for access points and old versions, which a folder does not have.
pub fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id: None,
        } => Ok((bucket, key)),
        CopySource::Bucket { .. } => {
            Err(s3_error!(NotImplemented, "objects have one version here"))
        }
        _ => Err(s3_error!(NotImplemented, "there are no access points here")),
    }
}

/// Opens the object that a copy reads, where it is what was asked for.
///
/// # Errors
/// 404 for a missing one, 412 by condition.
pub fn open_source(
    from: &Folder,
    key: ObjectKey<'_>,
    asked: &Preconditions,
) -> S3Result<(File, Version)> {
    let opened = from
        .open_object(key)
        .map_err(|error| io_error("open the source", &error))?;
    let (file, version) = opened.ok_or_else(no_such_key)?;
    asked.check_source(&version)?;
    Ok((file, version))
}

/// CopyObject. The bytes are copied by the kernel; the copy is a file of its own, because other
/// programs may write into either.
///
/// # Errors
/// 404 for a missing source, 412 by condition, 400 for a key that clashes.
pub async fn copy(
    from: Arc<Folder>,
    to: Arc<Folder>,
    mut input: CopyObjectInput,
) -> S3Result<CopyObjectOutput> {
    let replace = match input
        .metadata_directive
        .as_ref()
        .map(MetadataDirective::as_str)
    {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-metadata-directive must be COPY or REPLACE"
            ));
        }
    };
    let same = source(&input.copy_source)? == (input.bucket.as_str(), input.key.as_str());
    if same && !replace {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing its headers."
        ));
    }
    let version = blocking(move || {
        let key = parse_key(&input.key)?;
        let given = headers_of!(input, key)?;
        let source_key = parse_key(source(&input.copy_source)?.1)?;
        let asked = Preconditions {
            matches: input.copy_source_if_match.take(),
            none_match: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let (mut file, version) = open_source(&from, source_key, &asked)?;
        let headers = if replace {
            given
        } else {
            let mut kept = from
                .headers(source_key, &version)
                .map_err(|error| io_error("read the source's headers", &error))?;
            kept.content_type = Some(kept.content_type(source_key));
            kept.without_defaults(key)
        };
        let temporary = copy_bytes(&to, &mut file, version)
            .map_err(|error| io_error("copy the object", &error))?;
        to.publish(temporary, key, &headers, &Condition::Always)
            .map_err(|error| change_error("publish the copy", &error))
    })
    .await?;
    Ok(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: Some(ETag::Strong(version.etag())),
            last_modified: Some(version.modified().into()),
            ..CopyObjectResult::default()
        }),
        ..CopyObjectOutput::default()
    })
}

fn copy_bytes(
    to: &Folder,
    file: &mut File,
    version: Version,
) -> io::Result<super::folder::Temporary> {
    let mut temporary = to.temporary()?;
    if io::copy(file, &mut temporary.file)? == version.size {
        Ok(temporary)
    } else {
        Err(io::Error::other("the source changed while it was copied"))
    }
}

/// DeleteObject.
///
/// # Errors
/// 412 and 404 by condition. A missing object is no error.
pub async fn delete(folder: &Arc<Folder>, key: String, condition: Condition) -> S3Result<()> {
    let folder = folder.clone();
    blocking(move || {
        let mut changed = Vec::new();
        folder
            .remove(parse_key(&key)?, &condition, &mut changed)
            .map_err(|error| change_error("remove the object", &error))?;
        folder
            .sync(&changed)
            .map_err(|error| io_error("remove the object", &error))
    })
    .await
}

/// DeleteObjects. `hidden` prefixes are refused one by one.
///
/// # Errors
/// For more than 1,000 keys; what goes wrong with one key is in the answer.
pub async fn delete_many(
    folder: &Arc<Folder>,
    hidden: Arc<[String]>,
    input: DeleteObjectsInput,
) -> S3Result<DeleteObjectsOutput> {
    if input.delete.objects.len() > MAX_DELETE {
        return Err(s3_error!(
            MalformedXML,
            "one request may name {MAX_DELETE} keys at most"
        ));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let folder = folder.clone();
    blocking(move || {
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        let mut changed = Vec::new();
        for object in input.delete.objects {
            let condition = object.e_tag.map_or(Condition::Always, |etag| {
                Condition::Matches(etag.into_value())
            });
            match delete_one(&folder, &hidden, &object.key, &condition, &mut changed) {
                Ok(()) if quiet => {}
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    ..DeletedObject::default()
                }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        // Many keys of one folder need one flush of it, but handles of the same folder differ; the file
        // system makes the second flush of an unchanged folder cheap.
        folder
            .sync(&changed)
            .map_err(|error| io_error("remove the objects", &error))?;
        Ok(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            request_charged: None,
        })
    })
    .await
}

fn delete_one(
    folder: &Folder,
    hidden: &[String],
    key: &str,
    condition: &Condition,
    changed: &mut Vec<OwnedFd>,
) -> S3Result<()> {
    if hidden.iter().any(|hidden| key.starts_with(hidden.as_str())) {
        return Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "this key is not served here",
        ));
    }
    match folder.remove(parse_key(key)?, condition, changed) {
        Ok(_) => Ok(()),
        Err(error) => Err(change_error("remove the object", &error)),
    }
}
