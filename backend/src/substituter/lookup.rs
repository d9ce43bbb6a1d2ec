//! Narinfos that the index lacks: one look into the bucket for however many clients ask,
//! and its outcome remembered for a few seconds.
//!
//! What is found goes into the index, so the next request is answered from memory and the
//! NAR that it names can be fetched. What cannot be parsed, or would crash clients, is
//! absent for them; the sweep makes a finding of it.

use std::sync::Arc;

use snowbank_shared::api::ContentStatus;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use crate::bucket::BucketError;
use crate::index::{Change, ChangeToken, ParsedEntry};
use crate::site::{Cache, Outcome};
use crate::web::{Body, Response};

use super::{Freshness, absent, failed, narinfo, object};

/// Bytes of a narinfo at most; the largest real one known has 208 kB.
const LARGEST_NARINFO: usize = 2 * 1024 * 1024;

/// The narinfo of this hash: from memory, else by a look into the bucket.
pub async fn narinfo(cache: &Arc<Cache>, hash: StorePathHash) -> Response {
    if let Some(response) = narinfo::from_memory(cache, &hash) {
        return response;
    }
    match cache
        .lookups
        .join(hash, || look(Arc::clone(cache), hash))
        .await
    {
        Outcome::Found(bytes) => {
            cache.counters.found_in_bucket.inc();
            object(
                cache,
                "text/x-nix-narinfo",
                Freshness::Minutes,
                Body::Bytes(bytes),
            )
        }
        Outcome::Absent => {
            cache.counters.misses.inc();
            absent(cache, "this cache does not have it\n")
        }
        Outcome::HeldBack => {
            cache.counters.held_back.inc();
            absent(
                cache,
                "this path is held back: its narinfo is broken, not vouched for, or in quarantine\n",
            )
        }
        Outcome::Failed(error) => {
            cache.lookups.forget(&hash);
            failed(cache, &error)
        }
    }
}

/// Looks into the bucket for a narinfo that the index lacks, and takes it in where it is there. Says
/// whether it is.
///
/// # Errors
/// Where the bucket cannot say.
pub async fn bring(cache: &Arc<Cache>, hash: StorePathHash) -> Result<bool, BucketError> {
    match look(Arc::clone(cache), hash).await {
        Outcome::Found(_) | Outcome::HeldBack => Ok(true),
        Outcome::Absent => Ok(false),
        Outcome::Failed(error) => Err(error),
    }
}

async fn look(cache: Arc<Cache>, hash: StorePathHash) -> Outcome {
    let key = format!("{hash}.narinfo");
    let object = match cache.bucket.get_small(&key, LARGEST_NARINFO).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return Outcome::Absent,
        Err(error) => return Outcome::Failed(error),
    };
    let now = OffsetDateTime::now_utc();
    let token = ChangeToken::from(&object.meta);
    let narinfo = match NarInfo::parse(&object.bytes, &cache.store_dir) {
        Ok(narinfo) => match narinfo.check_key(hash) {
            Ok(()) => narinfo,
            Err(error) => {
                cache
                    .index
                    .apply(vec![Change::Unparsable { key, token, error }]);
                return Outcome::HeldBack;
            }
        },
        Err(error) => {
            cache
                .index
                .apply(vec![Change::Unparsable { key, token, error }]);
            return Outcome::HeldBack;
        }
    };
    let judgement = cache.index.key_ring().judge(&narinfo);
    let served = narinfo.crash_risk().is_none()
        && !cache.withheld.holds(&hash, || Some(narinfo.nar_hash()))
        && narinfo::allowed(cache.serve, || {
            Some((judgement.status, ContentStatus::NotChecked))
        });
    let added_at = object.meta.last_modified.unwrap_or(now).unix_timestamp();
    cache.index.apply(vec![Change::Put(Box::new(ParsedEntry {
        narinfo,
        judgement,
        token,
        added_at,
    }))]);
    if served {
        Outcome::Found(object.bytes)
    } else {
        Outcome::HeldBack
    }
}
