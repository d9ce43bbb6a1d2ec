//! An object with everything that its bucket remembers of it, and how nothing of that is left.

use super::{Bucket, BucketError, Operation};

/// Pages of one object's versions that are read at most; each has a thousand.
const MOST_PAGES: usize = 20;

/// What a bucket remembers under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name; `null` where it was written while no versions were kept.
    pub id: String,
    /// Its bytes; 0 of a mark.
    pub size: u64,
    /// Whether it is what a plain request gets.
    pub newest: bool,
    /// Whether it only marks that the object was deleted.
    pub mark: bool,
}

impl Bucket {
    /// The versions of an object, marks of deletion included, the newest last: who deletes them in this
    /// order never lets an old one become the newest.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind). A store that knows no versions often answers
    /// with the status 501. Of more than 20,000 only the newest are found; ask again when these are
    /// gone.
    pub async fn versions_of(&self, key: &str) -> Result<Vec<Version>, BucketError> {
        let absolute = self.absolute(Operation::Versions, key)?;
        let mut found = Vec::new();
        let (mut marker, mut id) = (None::<String>, None::<String>);
        for _ in 0..MOST_PAGES {
            let page = self
                .attempt(Operation::Versions, |_| {
                    let request = self
                        .inner
                        .clients
                        .read
                        .list_object_versions()
                        .bucket(&self.inner.name)
                        .prefix(&absolute)
                        .set_key_marker(marker.clone())
                        .set_version_id_marker(id.clone());
                    let absolute = &absolute;
                    async move {
                        request
                            .send()
                            .await
                            .map_err(|error| self.sdk_error(Operation::Versions, absolute, &error))
                    }
                })
                .await?;
            let known = found.len();
            found.extend(page.versions().iter().filter_map(|listed| {
                let own = listed.key() == Some(absolute.as_str());
                let size = listed.size().and_then(|size| u64::try_from(size).ok());
                Some(Version {
                    id: listed.version_id().filter(|_| own)?.to_owned(),
                    size: size.unwrap_or_default(),
                    newest: listed.is_latest() == Some(true),
                    mark: false,
                })
            }));
            found.extend(page.delete_markers().iter().filter_map(|listed| {
                let own = listed.key() == Some(absolute.as_str());
                Some(Version {
                    id: listed.version_id().filter(|_| own)?.to_owned(),
                    size: 0,
                    newest: listed.is_latest() == Some(true),
                    mark: true,
                })
            }));
            let next = page.next_key_marker().map(str::to_owned);
            // Keys come in order, and of those that begin so this one is the first.
            let over = page.is_truncated() != Some(true) || found.len() == known;
            if over || next.as_deref() != Some(absolute.as_str()) {
                break;
            }
            (marker, id) = (next, page.next_version_id_marker().map(str::to_owned));
        }
        found.sort_by_key(|version| version.newest);
        Ok(found)
    }

    /// Deletes one version of an object for ever. That there is none is no error.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind).
    pub async fn delete_version(&self, key: &str, version: &Version) -> Result<(), BucketError> {
        self.delete_as(Operation::DeleteVersion, key, None, Some(&version.id))
            .await
    }
}
