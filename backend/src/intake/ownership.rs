//! Whose archive it is, before a narinfo names it.
//!
//! An archive's name is its hash, so whoever knows the hash could name it: a narinfo by another, and
//! what waits for its approval would be out. So a narinfo may name an archive only where a published
//! one does, or where its sender has put the archive: has shown every byte of it. To everybody else it
//! is as if it were not here, whatever they ask, and their PUT of the same archive is taken as the
//! first one's was: it is read, looked at and held against the quota, and at the end nothing is
//! written, because the very bytes lie there.
//!
//! Who put it is in memory while it is fresh ([`pending`](super::pending)), in the ledger while it
//! waits ([`waiting`]), and for other replicas and later starts in a mark on the object: a code of
//! uploader and key that only the server can make. An object without a mark was put past this
//! server, and is nobody's secret.

use super::{Intake, waiting};
use crate::bucket::ObjectMeta;
use crate::site::Cache;

/// What a mark is of.
fn marked(cache: &str, key: &str, owner: &str) -> Vec<u8> {
    [cache, key, owner].join("\n").into_bytes()
}

impl Intake {
    /// The mark for an uploader's archive.
    pub(super) fn mark_of(&self, cache: &Cache, key: &str, owner: &str) -> String {
        let what = marked(cache.slug.as_str(), key, owner);
        self.0.site.access.mark(&what)
    }

    /// Whether an archive that lies in the bucket may be named by this uploader.
    pub(super) fn is_theirs(&self, cache: &Cache, there: &ObjectMeta, owner: &str) -> bool {
        let (slug, key) = (cache.slug.as_str(), there.key.as_str());
        if self.0.pending.of(slug, key, owner).is_some() {
            return true;
        }
        let (own, others) = waiting::owners_of_nar(&self.0.site.ledger, slug, key, owner);
        if own || !cache.index.view().ids_by_nar(key).is_empty() {
            return true;
        }
        if others || self.0.pending.is_only_others(slug, key, owner) {
            return false;
        }
        there.mark.as_deref().is_none_or(|mark| {
            let what = marked(slug, key, owner);
            self.0.site.access.is_mark(mark, &what)
        })
    }
}
