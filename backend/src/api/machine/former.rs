//! Keys that clients of a cache were told to trust once and are not any more.
//!
//! The configuration holds the keys of today. So each key that the server hands out is a record of
//! the ledger, and what is there beyond today's was used before: files of machines may still name
//! it, and Connect offers to take it out.

use serde::{Deserialize, Serialize};
use snowbank_shared::hash::Sha256;
use snowbank_shared::signature::{PublicKey, UPSTREAM_KEYS};

use super::noted::note;
use crate::ledger::{self, Kind, Ledger, Record, RecordId, Scope};
use crate::site::{Cache, Site};

/// Keys that are remembered of a cache at most.
const MOST: usize = 1000;

/// A key that clients of a cache were told to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UsedKey {
    key: PublicKey,
}

impl Record for UsedKey {
    const KIND: Kind = ledger::kind::USED_KEYS;
}

/// Remembers the keys of today. Where that fails they are only not offered for removal one day.
pub async fn remember(ledger: &Ledger, cache: &Cache) {
    for key in &cache.trust.now().keys {
        let name = Sha256::digest(key.to_string().as_bytes()).to_base16();
        let Ok(id) = name.parse::<RecordId>() else {
            continue;
        };
        let record = || UsedKey { key: key.clone() };
        let lost = "a key that clients trust could not be noted";
        if !note(ledger, cache, &id, MOST, record, lost).await {
            return;
        }
    }
}

/// Those that no cache of this server uses now, nor an upstream.
pub fn keys(site: &Site, cache: &Cache) -> Vec<PublicKey> {
    let in_use = |key: &PublicKey| {
        let text = key.to_string();
        UPSTREAM_KEYS.contains(&text.as_str())
            || site
                .caches
                .iter()
                .any(|other| other.trusts(key) || other.trust.now().settings.keys().contains(key))
    };
    site.ledger
        .view()
        .list::<UsedKey>(Scope::Cache(cache.slug.as_str()))
        .map(|entry| entry.record.key.clone())
        .filter(|key| !in_use(key))
        .collect()
}
