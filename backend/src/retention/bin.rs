//! The trash: narinfos that runs took out, byte for byte, with what is needed to put them back.
//!
//! Bundles `trash/RUN/PLACE-PART`, in the order in which they were taken out: who refers comes before
//! what is referred to. A bundle is written and read again before any of its narinfos is deleted. A
//! narinfo in it may have stayed after all: putting back writes only where nothing is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::api::retention::KeptSince;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use super::work::{Hold, Stop};
use crate::bucket::encoding::{DecodeLimits, decode_text};
use crate::bucket::{BucketErrorKind, ObjectMeta, PutOptions};
use crate::index::{Change, ChangeToken, ParsedEntry};

/// Bytes of a bundle, about.
const BUNDLE: usize = 1 << 20;
/// Objects in hand at once.
pub(super) const AT_ONCE: usize = 16;

/// A narinfo in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thrown {
    /// Hash part of its path.
    pub(super) hash: StorePathHash,
    /// Its path's name.
    pub(super) name: String,
    /// The object's bytes as stored, base64.
    bytes: String,
    /// Its Content-Type.
    content_type: Option<String>,
    /// Its Content-Encoding.
    content_encoding: Option<String>,
    /// What it refers to, itself left out.
    pub(super) references: Vec<StorePathHash>,
    /// What of that was not here when it was taken out.
    lacking: Vec<StorePathHash>,
    /// The key of its NAR.
    pub(super) nar: String,
    /// When its path was first seen, seconds since 1970.
    added_at: i64,
    /// What was known of its content.
    content: ContentStatus,
}

/// A narinfo as it lies in the bucket.
pub(super) struct Lying {
    pub(super) meta: ObjectMeta,
    stored: Bytes,
    content_type: Option<String>,
    content_encoding: Option<String>,
    /// Its text.
    pub(super) text: Bytes,
}

impl Thrown {
    /// What is kept of a narinfo.
    pub(super) fn of(
        lying: &Lying,
        narinfo: &NarInfo,
        (added_at, content): (i64, ContentStatus),
        is_here: impl Fn(&StorePathHash) -> bool,
    ) -> Self {
        let hash = narinfo.store_path().hash();
        let references: Vec<StorePathHash> = narinfo
            .references()
            .map(|reference| reference.hash())
            .filter(|reference| *reference != hash)
            .collect();
        Self {
            hash,
            name: narinfo.store_path().name().to_owned(),
            bytes: STANDARD.encode(&lying.stored),
            content_type: lying.content_type.clone(),
            content_encoding: lying.content_encoding.clone(),
            lacking: references
                .iter()
                .copied()
                .filter(|reference| !is_here(reference))
                .collect(),
            references,
            nar: narinfo.nar_key().into_owned(),
            added_at,
            content,
        }
    }

    /// The object's bytes as stored, and what they say; `None` where that cannot be read.
    pub(super) fn read(&self, store_dir: &StoreDir) -> Option<(Bytes, NarInfo)> {
        let stored: Bytes = STANDARD.decode(&self.bytes).ok()?.into();
        let limits = DecodeLimits::text(MAX_BYTES);
        let coding = self.content_encoding.as_deref();
        let (text, _) = decode_text(coding, stored.clone(), limits).ok()?;
        let narinfo = NarInfo::parse(&text, store_dir).ok()?;
        Some((stored, narinfo))
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.name.len() + self.nar.len() + 70 * self.references.len() + 400
    }
}

/// What became of a narinfo that was to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Back {
    /// It is back.
    Put,
    /// There is one.
    There,
    /// It stays in the trash.
    Left(KeptSince, String),
}

impl Hold<'_> {
    /// The narinfo of a path as it lies in the bucket; `None` where there is none.
    pub(super) async fn lying(&self, hash: &StorePathHash) -> Result<Option<Lying>, Stop> {
        let bucket = self.cache.bucket.bulk();
        let object = match bucket.get(&hash.narinfo_key()).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (content_type, content_encoding) = (object.content_type, object.content_encoding);
        let meta = object.meta;
        let stored = match object.body.collect(MAX_BYTES).await {
            Ok(stored) => stored,
            // Whatever it is, it is not what is on the list.
            Err(error) if error.kind() == BucketErrorKind::TooLarge => Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        let limits = DecodeLimits::text(MAX_BYTES);
        let decoded = decode_text(content_encoding.as_deref(), stored.clone(), limits);
        Ok(Some(Lying {
            meta,
            content_type,
            content_encoding,
            // What cannot be decoded is not what is on the list.
            text: decoded.map(|(text, _)| text).unwrap_or_default(),
            stored,
        }))
    }

    /// Where the bundles of this run's trash begin.
    fn trash(&self) -> String {
        format!("trash/{}/", self.id)
    }

    /// Puts narinfos into the trash, those of one batch, and reads them again.
    pub(super) async fn throw(&self, from: u32, thrown: &[Thrown]) -> Result<(), Stop> {
        let ledger = &self.retention.0.site.ledger;
        let mut parts: Vec<Vec<&Thrown>> = Vec::new();
        let mut size = BUNDLE;
        for one in thrown {
            if size + one.size() > BUNDLE {
                parts.push(Vec::new());
                size = 0;
            }
            size += one.size();
            if let Some(part) = parts.last_mut() {
                part.push(one);
            }
        }
        for (number, part) in parts.iter().enumerate() {
            let name = format!("{}{from:07}-{number:04}", self.trash());
            ledger.put_bundle(self.slug(), &name, part).await?;
            let again = self.thrown(&name).await?;
            if again.len() != part.len() || again.iter().zip(part).any(|(one, two)| one != *two) {
                return Err(Stop::Trouble(
                    "what was put into the trash is not what lies there".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The bundles of the trash of this run, in the order in which it was filled; of one batch, where
    /// its place is given.
    pub(super) async fn trash_names(&self, from: Option<u32>) -> Result<Vec<String>, Stop> {
        let folder = self.trash();
        let bundles = self
            .retention
            .0
            .site
            .ledger
            .bundles(self.slug(), &folder)
            .await?;
        let batch = from.map(|from| format!("{from:07}-"));
        Ok(bundles
            .into_iter()
            .filter(|bundle| {
                batch
                    .as_ref()
                    .is_none_or(|batch| bundle.name.starts_with(batch))
            })
            .map(|bundle| format!("{folder}{}", bundle.name))
            .collect())
    }

    /// What lies in a bundle of the trash.
    pub(super) async fn thrown(&self, name: &str) -> Result<Vec<Thrown>, Stop> {
        let ledger = &self.retention.0.site.ledger;
        let thrown = ledger.bundle::<Vec<Thrown>>(self.slug(), name).await?;
        thrown.ok_or_else(|| Stop::Trouble(format!("`{name}` is gone from the trash")))
    }

    /// Puts narinfos back, in this order, some at once: what one needs comes before it.
    pub(super) async fn put_back(&self, thrown: Vec<Thrown>) -> Result<Vec<(Thrown, Back)>, Stop> {
        let mut done = Vec::with_capacity(thrown.len());
        for together in apart(thrown, |one| (one.hash, &one.references)) {
            self.beat().await?;
            let putting = stream::iter(together).map(|one| async move {
                let back = self.put_one_back(&one).await?;
                Ok::<_, Stop>((one, back))
            });
            let mut putting = std::pin::pin!(putting.buffer_unordered(AT_ONCE));
            while let Some(back) = putting.next().await {
                done.push(back?);
            }
        }
        Ok(done)
    }

    /// Whether a NAR is not there. One that lies elsewhere, by its URL, is not ours to look for.
    async fn nar_is_gone(&self, key: &str) -> Result<bool, Stop> {
        match self.cache.bucket.find(key).await {
            Ok(found) => Ok(found.is_none()),
            Err(error) if error.kind() == BucketErrorKind::InvalidKey => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_one_back(&self, one: &Thrown) -> Result<Back, Stop> {
        let cache = self.cache;
        let bucket = &cache.bucket;
        let key = one.hash.narinfo_key();
        let left = |reason, words: &str| Ok(Back::Left(reason, words.to_owned()));
        if bucket.find(&key).await?.is_some() {
            return Ok(Back::There);
        }
        let Some((stored, narinfo)) = one.read(&cache.store_dir) else {
            return left(
                KeptSince::Failed,
                "its narinfo cannot be read from the trash",
            );
        };
        let held = cache.withheld.held();
        let is_purged = |path: &StorePathHash| {
            let mut held = held.iter();
            held.any(|(other, holding)| other == path && holding.state == HeldBack::Purged)
        };
        if held
            .find(&one.hash, &narinfo.nar_hash())
            .is_some_and(|holding| holding.state == HeldBack::Purged)
        {
            return left(KeptSince::Gone, "it was purged since");
        }
        if self.nar_is_gone(&one.nar).await? {
            return left(KeptSince::Gone, "its NAR is gone");
        }
        for reference in &one.references {
            let known = cache.index.view().find(reference).is_some();
            // What was purged leaves its referrers where they are.
            if !known
                && !one.lacking.contains(reference)
                && !is_purged(reference)
                && bucket.find(&reference.narinfo_key()).await?.is_none()
            {
                return left(KeptSince::Referenced, "something that it refers to is gone");
            }
        }
        let options = PutOptions {
            content_type: one.content_type.clone(),
            content_encoding: one.content_encoding.clone(),
            cache_control: None,
            mark: None,
        };
        match bucket.put_if_absent(&key, stored, &options).await {
            Ok(_) => {}
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => {
                return Ok(Back::There);
            }
            Err(error) => return Err(error.into()),
        }
        let token = match bucket.head(&key).await {
            Ok(meta) => ChangeToken::from(&meta),
            // The next sweep reads it again.
            Err(_) => ChangeToken {
                size: narinfo.to_bytes().len() as u64,
                last_modified: 0,
                etag: None,
            },
        };
        let judgement = cache.index.key_ring().judge(&narinfo);
        self.show(
            vec![
                Change::Put(Box::new(ParsedEntry {
                    narinfo,
                    judgement,
                    token,
                    added_at: one.added_at,
                })),
                Change::Content(one.hash, one.content),
            ],
            &[one.hash],
        )
        .await?;
        Ok(Back::Put)
    }

    /// Shows what changed: in the index, to who waits for the paths, to the other replicas.
    pub(super) async fn show(
        &self,
        changes: Vec<Change>,
        hashes: &[StorePathHash],
    ) -> Result<(), Stop> {
        let index = self.cache.index.clone();
        tokio::task::spawn_blocking(move || index.apply(changes))
            .await
            .map_err(|error| Stop::Trouble(format!("the index could not be changed: {error}")))?;
        for hash in hashes {
            self.cache.lookups.forget(hash);
            let ledger = &self.retention.0.site.ledger;
            ledger.announce(self.slug(), &hash.narinfo_key());
        }
        Ok(())
    }
}

/// The same in the same order, cut so that nothing of a part refers to something else of it, or is
/// referred to by it.
pub(super) fn apart<T>(
    all: Vec<T>,
    links: impl Fn(&T) -> (StorePathHash, &Vec<StorePathHash>),
) -> Vec<Vec<T>> {
    use std::collections::HashSet;
    let mut parts: Vec<Vec<T>> = Vec::new();
    let (mut names, mut named) = (HashSet::new(), HashSet::new());
    for one in all {
        let (hash, references) = links(&one);
        let tied = named.contains(&hash) || references.iter().any(|it| names.contains(it));
        if tied || parts.is_empty() {
            parts.push(Vec::new());
            names.clear();
            named.clear();
        }
        names.insert(hash);
        named.extend(references.iter().copied());
        if let Some(part) = parts.last_mut() {
            part.push(one);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_one_another_is_kept_apart() {
        let hash = |number: u8| StorePathHash::from_bytes([number; 20]);
        let of = |number: u8, references: &[u8]| {
            let references: Vec<_> = references.iter().map(|it| hash(*it)).collect();
            (hash(number), references)
        };
        let all = vec![
            of(1, &[9]),
            of(2, &[3]),
            of(3, &[4]),
            of(5, &[]),
            of(4, &[]),
        ];
        let parts = apart(all, |(hash, references)| (*hash, references));
        let numbers: Vec<Vec<u8>> = parts
            .iter()
            .map(|part| part.iter().map(|(hash, _)| hash.as_bytes()[0]).collect())
            .collect();
        assert_eq!(numbers, [vec![1, 2], vec![3, 5], vec![4]]);
        assert!(
            apart(
                Vec::<(StorePathHash, Vec<StorePathHash>)>::new(),
                |(hash, refs)| (*hash, refs)
            )
            .is_empty()
        );
    }
}
