//! What may happen to an index.

use snowbank_shared::api::{ContentStatus, Finding};
use snowbank_shared::narinfo::{NarInfo, NarInfoError};
use snowbank_shared::signature::Judgement;
use snowbank_shared::store_path::StorePathHash;
use xxhash_rust::xxh3::Xxh3;

use crate::bucket::{ETag, ObjectMeta};

/// How a listing tells that an object is still the same: its size, its time and
/// its ETag where the listing has one. What was just written has no time yet, and is told by its ETag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChangeToken {
    /// Bytes of the object as stored.
    pub size: u64,
    /// Last-modified, milliseconds since 1970; 0 where it is not known.
    pub last_modified: i64,
    /// The ETag, as listed.
    pub etag: Option<String>,
}

impl From<&ObjectMeta> for ChangeToken {
    fn from(object: &ObjectMeta) -> Self {
        Self {
            size: object.size,
            last_modified: milliseconds(object),
            etag: object.etag.as_ref().map(|etag| etag.as_str().to_owned()),
        }
    }
}

impl ChangeToken {
    /// That of an object that was written a moment ago, by the ETag of the answer. When it was written
    /// only the store knows: [`ChangeToken::is_of`] goes without.
    pub fn written(size: u64, etag: Option<&ETag>) -> Self {
        Self {
            size,
            last_modified: 0,
            etag: etag.map(|etag| etag.as_str().to_owned()),
        }
    }

    /// Whether a fingerprint is that of this object: as it was listed before, or as it was written.
    pub fn is_of(fingerprint: u64, object: &ObjectMeta) -> bool {
        let as_written = || {
            let etag = object.etag.as_ref()?;
            Some(Self::written(object.size, Some(etag)).fingerprint())
        };
        fingerprint == Self::fingerprint_of(object) || Some(fingerprint) == as_written()
    }

    /// 64 bits that stand for the token; the index keeps no more.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.size, self.last_modified, self.etag.as_deref())
    }

    /// The fingerprint of an object's token, which need not be made for it.
    pub fn fingerprint_of(object: &ObjectMeta) -> u64 {
        let etag = object.etag.as_ref().map(ETag::as_str);
        fingerprint(object.size, milliseconds(object), etag)
    }
}

fn fingerprint(size: u64, last_modified: i64, etag: Option<&str>) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&size.to_le_bytes());
    hash.update(&last_modified.to_le_bytes());
    if let Some(etag) = etag {
        hash.update(etag.as_bytes());
    }
    hash.digest()
}

/// Last-modified, milliseconds since 1970; 0 where it is not known.
fn milliseconds(object: &ObjectMeta) -> i64 {
    object
        .last_modified
        .map_or(0, |at| at.unix_timestamp() * 1000)
}

/// A narinfo that was read and judged.
#[derive(Debug, Clone)]
pub struct ParsedEntry {
    /// The narinfo, with its original bytes.
    pub narinfo: NarInfo,
    /// What its signatures are worth, by the key ring of the index.
    pub judgement: Judgement,
    /// The object's change token, from the listing or the answer to a PUT.
    pub token: ChangeToken,
    /// First time seen here, seconds since 1970. A rewrite of a known path does not move it.
    pub added_at: i64,
}

/// One change of an index. Changes are applied in order.
#[derive(Debug, Clone)]
pub enum Change {
    /// A narinfo appeared or changed. Its object's name is `<hash>.narinfo`.
    Put(Box<ParsedEntry>),
    /// The narinfo is gone.
    Remove(StorePathHash),
    /// The narinfo is gone, unless it was written again since its token was this one
    /// ([`ChangeToken::fingerprint`]).
    RemoveUnchanged(StorePathHash, u64),
    /// An object that is named like a narinfo cannot be read as one. It stays known
    /// with its token, so that it is not fetched again until it changes.
    Unparsable {
        /// The object's key, relative to the cache.
        key: String,
        /// Its change token.
        token: ChangeToken,
        /// What is wrong with it.
        error: NarInfoError,
    },
    /// An object that could not be read is gone.
    Forget(String),
    /// The content of a path was checked.
    Content(StorePathHash, ContentStatus),
    /// Something else is wrong in the bucket. One finding is kept per check and object.
    Finding(Finding),
    /// What a finding said is over: its check and object.
    Settled(String, String),
    /// A complete sweep of the narinfos ended well.
    Swept {
        /// When it began, seconds since 1970.
        began_at: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_by_its_etag_and_nothing_else_is() {
        let object = |size, etag: Option<&str>, seconds: i64| ObjectMeta {
            key: "k".to_owned(),
            size,
            etag: etag.map(ETag::new),
            last_modified: time::OffsetDateTime::from_unix_timestamp(seconds).ok(),
            mark: None,
        };
        let etag = ETag::new("a");
        let written = ChangeToken::written(7, Some(&etag)).fingerprint();
        assert!(ChangeToken::is_of(written, &object(7, Some("a"), 5)));
        assert!(!ChangeToken::is_of(written, &object(7, Some("b"), 5)));
        assert!(!ChangeToken::is_of(written, &object(8, Some("a"), 5)));
        // Without an ETag there is nothing to go by.
        let untold = ChangeToken::written(7, None).fingerprint();
        assert!(!ChangeToken::is_of(untold, &object(7, Some("a"), 5)));
        assert!(!ChangeToken::is_of(untold, &object(7, None, 5)));
        // What was listed is known by all of it.
        let listed = ChangeToken::fingerprint_of(&object(7, Some("a"), 5));
        assert!(ChangeToken::is_of(listed, &object(7, Some("a"), 5)));
        assert!(!ChangeToken::is_of(listed, &object(7, Some("a"), 6)));
    }
}
