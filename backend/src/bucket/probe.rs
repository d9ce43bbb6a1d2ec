//! What a store can do beyond the least common denominator, found out by trying.
//!
//! Garage accepts `If-None-Match` and `If-Match` on a PUT and ignores them (measured), so
//! that a store answers 200 says nothing. Correctness never rests on conditional writes;
//! where they work, several replicas may write at once.

use bytes::Bytes;

use super::{Bucket, BucketError, BucketErrorKind, ETag, PutOptions};

/// Which conditional writes a store honours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// `If-None-Match: *`: of two that create an object, one fails.
    pub create_if_absent: bool,
    /// `If-Match`: of two that change an object, one fails.
    pub replace_if_unchanged: bool,
}

impl Bucket {
    /// Tries conditional writes on `key`, an object of one's own that is overwritten and
    /// then deleted.
    ///
    /// # Errors
    /// Where writing or deleting fails for another reason than the condition.
    pub async fn probe(&self, key: &str) -> Result<Capabilities, BucketError> {
        let options = PutOptions::default();
        let first = Bytes::from_static(b"snowbank tries conditional writes, 1\n");
        let second = Bytes::from_static(b"snowbank tries conditional writes, 2\n");
        let written = self.put(key, first, &options).await?;
        let tried = async {
            let create = self.put_if_absent(key, second.clone(), &options).await;
            let create_if_absent = refused(create.err())?;
            let another = ETag::new("\"00000000000000000000000000000000\"");
            let replace = self
                .put_if_match(key, second.clone(), &options, &another)
                .await;
            let mut replace_if_unchanged = refused(replace.err())?;
            // A store that refuses every If-Match does not honour it either.
            if replace_if_unchanged && create_if_absent {
                replace_if_unchanged = match &written.etag {
                    Some(etag) => {
                        let right = self.put_if_match(key, second, &options, etag).await;
                        !refused(right.err())?
                    }
                    None => false,
                };
            }
            Ok(Capabilities {
                create_if_absent,
                replace_if_unchanged,
            })
        }
        .await;
        self.delete(key).await?;
        tried
    }
}

/// Whether a write failed on its condition, or for lack of any support for conditions.
fn refused(error: Option<BucketError>) -> Result<bool, BucketError> {
    match error {
        None => Ok(false),
        Some(error) => match (error.kind(), error.status()) {
            (BucketErrorKind::PreconditionFailed, _) => Ok(true),
            (BucketErrorKind::Other, Some(400 | 501)) => Ok(false),
            _ => Err(error),
        },
    }
}
