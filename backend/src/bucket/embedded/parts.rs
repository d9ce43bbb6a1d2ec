//! The multipart API over [`uploads`].

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::{
    Checksum, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput,
    Part, Range, StorageClass, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::conditions::{Preconditions, for_write};
use super::errors::{change_error, io_error, parse_key};
use super::folder::Folder;
use super::incoming::{Announced, MAX_PUT, receive};
use super::lists::owner;
use super::uploads::{self, CompleteError, MAX_PART_NUMBER, Upload};
use super::writes::{blocking, headers_of_upload, open_source, source};

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn find(folder: &Folder, id: &str, key: &str) -> S3Result<Upload> {
    uploads::find(folder, id, key)
        .map_err(|error| io_error("read the upload", &error))?
        .ok_or_else(no_such_upload)
}

fn check_number(number: i32) -> S3Result<()> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        Ok(())
    } else {
        Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive"
        ))
    }
}

/// CreateMultipartUpload.
///
/// # Errors
/// 400 for a key that a folder cannot hold.
pub async fn create(
    folder: &Arc<Folder>,
    mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    let headers = headers_of_upload(&mut input.clone(), parse_key(&input.key)?)?;
    let key = std::mem::take(&mut input.key);
    let folder = folder.clone();
    let (key, id) = blocking(move || {
        let id = uploads::create(&folder, parse_key(&key)?, &headers)
            .map_err(|error| io_error("begin the upload", &error))?;
        Ok((key, id))
    })
    .await?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    })
}

/// UploadPart.
///
/// # Errors
/// `NoSuchUpload`, or a body that does not match what was announced.
pub async fn put(
    folder: &Arc<Folder>,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let S3Request {
        mut input,
        headers,
        trailing_headers,
        ..
    } = request;
    check_number(input.part_number)?;
    let upload = find(folder, &input.upload_id, &input.key)?;
    let announced = announced(&mut input, &headers);
    let received = receive(folder, input.body.take(), announced, trailing_headers).await?;
    let checksum = received.checksum.clone();
    let (folder, number) = (folder.clone(), input.part_number);
    let version = blocking(move || {
        let part = received
            .into_temporary(&folder)
            .map_err(|error| io_error("write the part", &error))?;
        let kept = uploads::put_part(&folder, &upload, number, part)
            .map_err(|error| io_error("keep the part", &error))?;
        kept.ok_or_else(no_such_upload)
    })
    .await?;
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(version.etag())),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..UploadPartOutput::default()
    })
}

fn announced(input: &mut UploadPartInput, headers: &HeaderMap) -> Announced {
    Announced {
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
        trailers: Announced::trailers(headers),
    }
}

/// UploadPartCopy.
///
/// # Errors
/// `NoSuchUpload`, a missing source, a range outside of it.
pub async fn copy(
    from: Arc<Folder>,
    to: Arc<Folder>,
    mut input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    check_number(input.part_number)?;
    let version = blocking(move || {
        let upload = find(&to, &input.upload_id, &input.key)?;
        let key = parse_key(source(&input.copy_source)?.1)?;
        let asked = Preconditions {
            matches: input.copy_source_if_match.take(),
            none_match: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let (mut file, version) = open_source(&from, key, &asked)?;
        let range = match &input.copy_source_range {
            None => 0..version.size,
            Some(text) => match Range::parse(text) {
                Ok(Range::Int {
                    first,
                    last: Some(last),
                }) if last < version.size => first..last + 1,
                _ => {
                    return Err(s3_error!(
                        InvalidArgument,
                        "the copy source range must be bytes=first-last within the object"
                    ));
                }
            },
        };
        let length = range.end - range.start;
        if length > MAX_PUT {
            return Err(s3_error!(
                EntityTooLarge,
                "one part may have {MAX_PUT} bytes at most"
            ));
        }
        let copied = || {
            let mut part = to.temporary()?;
            file.seek(SeekFrom::Start(range.start))?;
            if std::io::copy(&mut file.take(length), &mut part.file)? != length {
                return Err(std::io::Error::other(
                    "the source changed while it was copied",
                ));
            }
            uploads::put_part(&to, &upload, input.part_number, part)
        };
        copied()
            .map_err(|error| io_error("copy the part", &error))?
            .ok_or_else(no_such_upload)
    })
    .await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(ETag::Strong(version.etag())),
            last_modified: Some(version.modified().into()),
            ..CopyPartResult::default()
        }),
        ..UploadPartCopyOutput::default()
    })
}

/// ListParts.
///
/// # Errors
/// `NoSuchUpload`.
pub async fn list(folder: &Arc<Folder>, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let max = usize::try_from(input.max_parts.unwrap_or(1000).clamp(0, 1000)).unwrap_or(0);
    let marker = input.part_number_marker.unwrap_or(0);
    let folder = folder.clone();
    let (id, key) = (input.upload_id.clone(), input.key.clone());
    let all = blocking(move || {
        let upload = find(&folder, &id, &key)?;
        uploads::parts(&folder, &upload).map_err(|error| io_error("list the parts", &error))
    })
    .await?;
    let mut rest = all
        .into_iter()
        .filter(|part| part.number > marker)
        .peekable();
    let mut parts = Vec::new();
    while parts.len() < max
        && let Some(part) = rest.next()
    {
        parts.push(Part {
            part_number: Some(part.number),
            size: i64::try_from(part.version.size).ok(),
            e_tag: Some(ETag::Strong(part.version.etag())),
            last_modified: Some(part.version.modified().into()),
            ..Part::default()
        });
    }
    let truncated = max > 0 && rest.peek().is_some();
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: i32::try_from(max).ok(),
        part_number_marker: Some(marker),
        next_part_number_marker: parts
            .last()
            .and_then(|part| part.part_number)
            .filter(|_| truncated),
        is_truncated: Some(truncated),
        parts: Some(parts),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    })
}

/// CompleteMultipartUpload.
///
/// # Errors
/// `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`, or by condition.
pub async fn complete(
    folder: &Arc<Folder>,
    mut input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let condition = for_write(input.if_match.take(), input.if_none_match.take())?;
    let named = input
        .multipart_upload
        .take()
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let named: Vec<(i32, Option<String>)> = named
        .into_iter()
        .map(|part| {
            (
                part.part_number.unwrap_or(0),
                part.e_tag.map(ETag::into_value),
            )
        })
        .collect();
    let (folder, id, key, size) = (
        folder.clone(),
        input.upload_id,
        input.key.clone(),
        input.mpu_object_size,
    );
    let version = blocking(move || {
        let upload = find(&folder, &id, &key)?;
        if let Some(size) = size {
            let found = uploads::parts(&folder, &upload)
                .map_err(|error| io_error("list the parts", &error))?;
            let total: u64 = found
                .iter()
                .filter(|part| named.iter().any(|(number, _)| *number == part.number))
                .map(|part| part.version.size)
                .sum();
            if u64::try_from(size) != Ok(total) {
                return Err(s3_error!(
                    InvalidRequest,
                    "the parts have {total} bytes instead of the announced {size}"
                ));
            }
        }
        uploads::complete(&folder, &upload, parse_key(&key)?, &named, &condition)
            .map_err(|error| complete_error(&error))
    })
    .await?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(version.etag())),
        ..CompleteMultipartUploadOutput::default()
    })
}

fn complete_error(error: &CompleteError) -> S3Error {
    match error {
        CompleteError::Empty => s3_error!(MalformedXML, "{error}"),
        CompleteError::Order => s3_error!(InvalidPartOrder, "{error}"),
        CompleteError::Part(_) => s3_error!(InvalidPart, "{error}"),
        CompleteError::TooSmall { .. } => s3_error!(EntityTooSmall, "{error}"),
        CompleteError::TooLarge => s3_error!(EntityTooLarge, "{error}"),
        CompleteError::Change(error) => change_error("publish the object", error),
    }
}

/// AbortMultipartUpload.
///
/// # Errors
/// `NoSuchUpload`.
pub async fn abort(folder: &Arc<Folder>, id: String, key: String) -> S3Result<()> {
    let folder = folder.clone();
    blocking(move || {
        let upload = find(&folder, &id, &key)?;
        uploads::abort(&folder, &upload).map_err(|error| io_error("drop the upload", &error))
    })
    .await
}
