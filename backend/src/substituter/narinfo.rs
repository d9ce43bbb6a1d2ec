//! Narinfos from memory: the request that Nix sends by the thousand.
//!
//! This path takes no lock, no router and no allocation beyond the answer's headers, and
//! sends the very bytes that lie in the bucket.

use std::sync::Arc;

use snowbank_shared::api::{ContentStatus, SignatureStatus};
use snowbank_shared::store_path::StorePathHash;

use crate::config::{Misses, Serve};
use crate::site::Cache;
use crate::web::{Body, Response};

use super::{Freshness, QUARANTINED, absent, object};

/// The answer, where memory alone gives it: the path is there, or is held back, or the
/// index is complete and decides that it is absent.
pub fn from_memory(cache: &Arc<Cache>, hash: &StorePathHash) -> Option<Response> {
    let view = cache.index.view();
    if let Some(bytes) = view.served(hash) {
        if !allowed(cache.serve, || {
            let id = view.find(hash)?;
            Some((view.signature(id), view.content(id)))
        }) {
            cache.counters.held_back.inc();
            return Some(absent(
                cache,
                "this cache serves only what is vouched for, and this path is not\n",
            ));
        }
        if cache
            .withheld
            .holds(hash, || view.find(hash).map(|id| view.nar_hash(id)))
        {
            cache.counters.held_back.inc();
            return Some(absent(cache, QUARANTINED));
        }
        cache.counters.hits.inc();
        return Some(object(
            cache,
            "text/x-nix-narinfo",
            Freshness::Minutes,
            Body::Bytes(bytes),
        ));
    }
    if view.find(hash).is_some() {
        cache.counters.held_back.inc();
        return Some(absent(
            cache,
            "this path is held back: its narinfo would crash the client\n",
        ));
    }
    if cache.misses == Misses::Index && cache.is_complete() {
        cache.counters.misses.inc();
        return Some(absent(cache, "this cache does not have it\n"));
    }
    None
}

/// Whether the cache serves a path of this standing.
pub fn allowed(
    serve: Serve,
    standing: impl FnOnce() -> Option<(SignatureStatus, ContentStatus)>,
) -> bool {
    match serve {
        Serve::All => true,
        Serve::Signed => standing().is_some_and(|(signature, _)| {
            matches!(
                signature,
                SignatureStatus::Valid | SignatureStatus::NotNeeded | SignatureStatus::ValidRetired
            )
        }),
        Serve::Verified => {
            standing().is_some_and(|(_, content)| content == ContentStatus::Verified)
        }
    }
}
