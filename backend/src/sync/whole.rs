//! The whole sweep: every object once, for exact totals and for what does not fit.
//!
//! Narinfos say which NARs there should be; the listing says which there are, and how
//! large. Held against each other ([`Census`]) they give the NARs that are missing, those
//! whose size is not their narinfo's FileSize, and those that no narinfo names. The
//! listing is gone through as it comes: nothing of it is kept but counters and what is wrong.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::listing::{self, Scope};
use super::{SyncError, off_the_reactor};
use crate::bucket::Bucket;
use crate::index::{Census, Index};

/// What kind of object a key is for (PROTOCOL.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectClass {
    /// `<hash>.narinfo`
    Narinfo,
    /// An archive.
    Nar,
    /// `<hash>.ls`
    Listing,
    /// `log/…`
    Log,
    /// `debuginfo/…`
    Debuginfo,
    /// `realisations/…` and `build-trace-v2/…`
    Realisation,
    /// `nix-cache-info`
    CacheInfo,
    /// Nothing that Nix put there.
    Other,
}

impl ObjectClass {
    /// The class of a key, relative to the cache.
    pub fn of(key: &str) -> Self {
        match key.split_once('/') {
            Some(("nar", _)) => Self::Nar,
            Some(("log", _)) => Self::Log,
            Some(("debuginfo", _)) => Self::Debuginfo,
            Some(("realisations" | "build-trace-v2", _)) => Self::Realisation,
            Some(_) => Self::Other,
            None if key == snowbank_shared::cache_info::KEY => Self::CacheInfo,
            None if StorePathHash::from_narinfo_key(key).is_some() => Self::Narinfo,
            None => match key.strip_suffix(".ls") {
                Some(hash) if StorePathHash::parse(hash.as_bytes()).is_ok() => Self::Listing,
                _ => Self::Other,
            },
        }
    }

    /// A word for pages and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Narinfo => "narinfo",
            Self::Nar => "nar",
            Self::Listing => "listing",
            Self::Log => "log",
            Self::Debuginfo => "debuginfo",
            Self::Realisation => "realisation",
            Self::CacheInfo => "cache-info",
            Self::Other => "other",
        }
    }
}

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a whole sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WholeSummary {
    /// When it began, seconds since 1970.
    pub began_at: i64,
    /// Every object, by class.
    pub classes: BTreeMap<ObjectClass, Tally>,
}

impl WholeSummary {
    /// All objects.
    pub fn total(&self) -> Tally {
        self.classes
            .values()
            .fold(Tally::default(), |sum, class| Tally {
                objects: sum.objects + class.objects,
                bytes: sum.bytes + class.bytes,
            })
    }
}

/// A whole sweep's means.
pub(super) struct WholeSweep<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) index: &'a Index,
    pub(super) listings: usize,
    /// When it began, seconds since 1970.
    pub(super) began_at: i64,
}

impl WholeSweep<'_> {
    /// Sweeps; on an error nothing is entered.
    pub(super) async fn run(self) -> Result<WholeSummary, SyncError> {
        let mut summary = WholeSummary {
            began_at: self.began_at,
            classes: BTreeMap::new(),
        };
        let census = Census::new(self.index.view(), self.began_at);
        let mut census = census.with_trash(self.index.trash());
        let mut pages = listing::pages(self.bucket, Scope::Whole, self.listings);
        while let Some(page) = pages.next().await {
            for object in page?.objects {
                let class = summary.classes.entry(ObjectClass::of(&object.key));
                class.or_default().add(object.size);
                // Without a date it may be on its way: as if it were of now.
                let written = object
                    .last_modified
                    .map_or(self.began_at, OffsetDateTime::unix_timestamp);
                census.object(&object.key, object.size, written);
            }
            // A page is a millisecond of work: let others have their turn.
            tokio::task::yield_now().await;
        }
        let index = self.index.clone();
        off_the_reactor(move || index.apply_census(census)).await?;
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_classes() {
        let hash = "00bgd045z0d4icpbc2yyz4gx48ak44la";
        for (key, class) in [
            (format!("{hash}.narinfo"), ObjectClass::Narinfo),
            (format!("{hash}.ls"), ObjectClass::Listing),
            ("nar/x.nar.xz".to_owned(), ObjectClass::Nar),
            ("nix-cache-info".to_owned(), ObjectClass::CacheInfo),
            ("log/x.drv".to_owned(), ObjectClass::Log),
            ("debuginfo/x.debug".to_owned(), ObjectClass::Debuginfo),
            ("realisations/x.doi".to_owned(), ObjectClass::Realisation),
            (
                "build-trace-v2/x/out.doi".to_owned(),
                ObjectClass::Realisation,
            ),
            (format!("x/{hash}.narinfo"), ObjectClass::Other),
            ("eeee.narinfo".to_owned(), ObjectClass::Other),
            ("index.html".to_owned(), ObjectClass::Other),
        ] {
            assert_eq!(ObjectClass::of(&key), class, "{key}");
        }
    }
}
