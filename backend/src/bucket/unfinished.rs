//! Uploads in parts that were begun and neither completed nor given up: they cost money and show
//! nowhere.

use super::{Bucket, BucketError, Multipart, Operation};

/// Pages of a listing that are read at most; each has a thousand uploads.
const MOST_PAGES: usize = 100;

/// An upload in parts that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The upload, so that it can be given up.
    pub upload: Multipart,
    /// When it was begun, seconds since 1970; `None` where the store does not say.
    pub began_at: Option<i64>,
}

impl Bucket {
    /// The uploads in parts of objects below `prefix` that are not completed, those of this handle.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn multipart_unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, BucketError> {
        let mut found = Vec::new();
        let (mut key, mut id) = (None, None);
        for _ in 0..MOST_PAGES {
            let page = self
                .attempt(Operation::MultipartList, |_| {
                    let request = self
                        .inner
                        .clients
                        .write
                        .list_multipart_uploads()
                        .bucket(&self.inner.name)
                        .prefix(format!("{}{prefix}", self.inner.prefix))
                        .set_key_marker(key.clone())
                        .set_upload_id_marker(id.clone());
                    async move {
                        request.send().await.map_err(|error| {
                            self.sdk_error(Operation::MultipartList, prefix, &error)
                        })
                    }
                })
                .await?;
            for upload in page.uploads() {
                let (Some(absolute), Some(upload_id)) = (upload.key(), upload.upload_id()) else {
                    continue;
                };
                let own = absolute
                    .strip_prefix(self.inner.prefix.as_str())
                    .filter(|key| !key.is_empty() && !self.is_hidden(absolute));
                if let Some(key) = own {
                    found.push(Unfinished {
                        upload: Multipart {
                            key: key.to_owned(),
                            absolute: absolute.to_owned(),
                            upload_id: upload_id.to_owned(),
                        },
                        began_at: upload
                            .initiated()
                            .map(aws_sdk_s3::primitives::DateTime::secs),
                    });
                }
            }
            let next = page.next_key_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || next.is_none() {
                break;
            }
            (key, id) = (next, page.next_upload_id_marker().map(str::to_owned));
        }
        Ok(found)
    }

    /// The bytes that an unfinished upload holds so far.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind). One that ended meanwhile is not found.
    pub async fn multipart_bytes(&self, upload: &Multipart) -> Result<u64, BucketError> {
        let mut bytes = 0u64;
        let mut after = None::<String>;
        for _ in 0..MOST_PAGES {
            let page = self
                .attempt(Operation::Parts, |_| {
                    let request = self
                        .inner
                        .clients
                        .write
                        .list_parts()
                        .bucket(&self.inner.name)
                        .key(&upload.absolute)
                        .upload_id(&upload.upload_id)
                        .set_part_number_marker(after.clone());
                    async move {
                        request.send().await.map_err(|error| {
                            self.sdk_error(Operation::Parts, &upload.absolute, &error)
                        })
                    }
                })
                .await?;
            for part in page.parts() {
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                bytes = bytes.saturating_add(size.unwrap_or_default());
            }
            let next = page.next_part_number_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || next.is_none() || next == after {
                break;
            }
            after = next;
        }
        Ok(bytes)
    }
}
