//! The three listings: objects (both versions of the API) and unfinished uploads.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, MultipartUpload,
    Object, ObjectStorageClass, Owner, StorageClass,
};
use s3s::{S3Error, S3Result, s3_error};

use super::errors::io_error;
use super::folder::Folder;
use super::listing::{self, Item, Page, Query};
use super::tokens::Tokens;
use super::uploads;

/// Most items of one page, as on S3.
pub const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'*');

/// Writes keys into the answer as the client asked.
#[derive(Clone, Copy)]
struct Encoding(bool);

impl Encoding {
    fn asked(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some("url") => Ok(Self(true)),
            Some(_) => Err(s3_error!(InvalidArgument, "encoding-type must be url")),
        }
    }

    fn write(self, text: &str) -> String {
        if self.0 {
            utf8_percent_encode(text, PLAIN).to_string()
        } else {
            text.to_owned()
        }
    }
}

fn limit(asked: Option<i32>, name: &str) -> S3Result<i32> {
    match asked.unwrap_or(MAX_KEYS) {
        n if n < 0 => Err(s3_error!(InvalidArgument, "{name} must not be negative")),
        n => Ok(n.min(MAX_KEYS)),
    }
}

/// What of a page goes into either version's answer.
struct Lines {
    contents: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
}

fn lines(page: Page, encoding: Encoding, owner: Option<&Owner>) -> Lines {
    let mut lines = Lines {
        contents: Vec::new(),
        prefixes: Vec::new(),
    };
    for item in page.items {
        match item {
            Item::Object { key, version } => lines.contents.push(Object {
                key: Some(encoding.write(&key)),
                size: i64::try_from(version.size).ok(),
                e_tag: Some(ETag::Strong(version.etag())),
                last_modified: Some(version.modified().into()),
                storage_class: Some(ObjectStorageClass::from_static(
                    ObjectStorageClass::STANDARD,
                )),
                owner: owner.cloned(),
                ..Object::default()
            }),
            Item::Prefix(prefix) => lines.prefixes.push(CommonPrefix {
                prefix: Some(encoding.write(&prefix)),
            }),
        }
    }
    lines
}

async fn page(folder: &Arc<Folder>, query: OwnedQuery) -> S3Result<Page> {
    let folder = folder.clone();
    let listed = tokio::task::spawn_blocking(move || {
        listing::list(
            &folder,
            &Query {
                prefix: &query.prefix,
                delimiter: &query.delimiter,
                after: &query.after,
                limit: query.limit,
                since: query.since,
                hidden: &query.hidden,
            },
        )
    });
    listed
        .await
        .map_err(S3Error::internal_error)?
        .map_err(|error| io_error("list the folder", &error))
}

struct OwnedQuery {
    prefix: String,
    delimiter: String,
    after: String,
    limit: usize,
    since: Option<Instant>,
    hidden: Arc<[String]>,
}

/// Who owns everything here; clients that ask for owners get this one.
pub fn owner() -> Owner {
    Owner {
        display_name: Some("snowbank".to_owned()),
        id: Some("snowbank".to_owned()),
    }
}

/// ListObjectsV2.
///
/// # Errors
/// `InvalidArgument` for a token that is not ours, a negative `max-keys` or another encoding than `url`.
pub async fn objects_v2(
    folder: &Arc<Folder>,
    hidden: Arc<[String]>,
    tokens: &Tokens,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys, "max-keys")?;
    let place = match &input.continuation_token {
        Some(token) => Some(tokens.read(token).ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect"
            )
        })?),
        None => None,
    };
    let now = Instant::now();
    let since = place.as_ref().and_then(|place| place.since);
    let after = place
        .map(|place| place.after)
        .or_else(|| input.start_after.clone())
        .unwrap_or_default();
    let query = OwnedQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after,
        limit: usize::try_from(max_keys).unwrap_or(0),
        since,
        hidden,
    };
    let page = page(folder, query).await?;
    let next = page
        .items
        .last()
        .filter(|_| page.truncated)
        .map(|item| tokens.make(item.name(), since.unwrap_or(now)));
    let truncated = page.truncated;
    let owner = input.fetch_owner.unwrap_or(false).then(owner);
    let lines = lines(page, encoding, owner.as_ref());
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.as_deref().unwrap_or(""))),
        delimiter: input
            .delimiter
            .as_deref()
            .map(|delimiter| encoding.write(delimiter)),
        start_after: input
            .start_after
            .as_deref()
            .map(|after| encoding.write(after)),
        max_keys: Some(max_keys),
        key_count: i32::try_from(lines.contents.len() + lines.prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        is_truncated: Some(truncated),
        contents: Some(lines.contents),
        common_prefixes: Some(lines.prefixes),
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    })
}

/// ListObjects, the first version of the API.
///
/// # Errors
/// As [`objects_v2`].
pub async fn objects_v1(
    folder: &Arc<Folder>,
    hidden: Arc<[String]>,
    input: ListObjectsInput,
) -> S3Result<ListObjectsOutput> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys, "max-keys")?;
    let query = OwnedQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.marker.clone().unwrap_or_default(),
        limit: usize::try_from(max_keys).unwrap_or(0),
        since: None,
        hidden,
    };
    let page = page(folder, query).await?;
    // S3 gives it only with a delimiter; giving it always costs nothing and helps whoever looks.
    let next_marker = page
        .items
        .last()
        .filter(|_| page.truncated)
        .map(|item| encoding.write(item.name()));
    let truncated = page.truncated;
    let lines = lines(page, encoding, Some(&owner()));
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.as_deref().unwrap_or(""))),
        delimiter: input
            .delimiter
            .as_deref()
            .map(|delimiter| encoding.write(delimiter)),
        marker: Some(encoding.write(input.marker.as_deref().unwrap_or(""))),
        max_keys: Some(max_keys),
        is_truncated: Some(truncated),
        next_marker,
        contents: Some(lines.contents),
        common_prefixes: Some(lines.prefixes),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

/// ListMultipartUploads.
///
/// # Errors
/// As [`objects_v2`].
pub async fn unfinished(
    folder: &Arc<Folder>,
    hidden: &[String],
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let max = limit(input.max_uploads, "max-uploads")?;
    let all = {
        let folder = folder.clone();
        let read = tokio::task::spawn_blocking(move || uploads::all(&folder));
        read.await
            .map_err(S3Error::internal_error)?
            .map_err(|error| io_error("list the uploads", &error))?
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().unwrap_or_default();
    let (key_marker, id_marker) = (
        input.key_marker.as_deref().unwrap_or(""),
        input.upload_id_marker.as_deref().unwrap_or(""),
    );
    let mut shown = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut truncated = false;
    let mut last: Option<(String, String)> = None;
    for upload in all {
        // Without an id marker the key marker stands for all uploads of that key.
        let behind = match upload.key.as_str().cmp(key_marker) {
            Ordering::Less => true,
            Ordering::Equal => {
                !key_marker.is_empty() && (id_marker.is_empty() || upload.id.as_str() <= id_marker)
            }
            Ordering::Greater => false,
        };
        if behind
            || !upload.key.starts_with(&prefix)
            || hidden.iter().any(|hidden| upload.key.starts_with(hidden))
        {
            continue;
        }
        let common = (!delimiter.is_empty())
            .then(|| upload.key[prefix.len()..].find(&delimiter))
            .flatten()
            .map(|found| upload.key[..prefix.len() + found + delimiter.len()].to_owned());
        if common
            .as_ref()
            .is_some_and(|common| prefixes.last() == Some(common) || common.as_str() <= key_marker)
        {
            continue;
        }
        if shown.len() + prefixes.len() >= usize::try_from(max).unwrap_or(0) {
            truncated = max > 0;
            break;
        }
        match common {
            Some(common) => {
                last = Some((common.clone(), String::new()));
                prefixes.push(common);
            }
            None => {
                last = Some((upload.key.clone(), upload.id.clone()));
                shown.push(MultipartUpload {
                    key: Some(encoding.write(&upload.key)),
                    upload_id: Some(upload.id),
                    initiated: Some(upload.initiated.into()),
                    owner: Some(owner()),
                    storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                    ..MultipartUpload::default()
                });
            }
        }
    }
    let last = last.filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoding.write(&prefix)),
        delimiter: input
            .delimiter
            .as_deref()
            .map(|delimiter| encoding.write(delimiter)),
        key_marker: Some(encoding.write(key_marker)),
        upload_id_marker: Some(id_marker.to_owned()),
        next_key_marker: last.as_ref().map(|(key, _)| encoding.write(key)),
        next_upload_id_marker: last.map(|(_, id)| id).filter(|id| !id.is_empty()),
        max_uploads: Some(max),
        is_truncated: Some(truncated),
        uploads: Some(shown),
        common_prefixes: Some(
            prefixes
                .iter()
                .map(|prefix| CommonPrefix {
                    prefix: Some(encoding.write(prefix)),
                })
                .collect(),
        ),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    })
}
