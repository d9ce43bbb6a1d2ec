//! References that are not in a cache: has an upstream signed them, or are they nowhere?
//!
//! Upstreams are asked now and then, of so many references at most, and remembered: a page that is asked
//! for waits for none of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};
use snowbank_shared::api::MissingReferences;
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::Cache;
use crate::auth::records::{now, spelled};
use crate::upstream::Holding;

/// Paths that are looked at.
const MOST_PATHS: usize = 5_000;
/// References that upstreams are asked for.
const MOST_ASKED: usize = 2_000;
/// Of these at once.
const AT_ONCE: usize = 4;

/// What the last look found; nothing before the first, and where there are no upstreams.
#[derive(Debug, Default)]
pub struct Elsewhere(Mutex<Option<Arc<MissingReferences>>>);

impl Elsewhere {
    /// What the last look found.
    pub fn found(&self) -> Option<Arc<MissingReferences>> {
        let found = self.0.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, found: MissingReferences) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Some(Arc::new(found));
    }
}

/// Where a path is that is not in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// An upstream of this URL has signed it.
    Upstream(String),
    /// Every upstream said that it has none that it signed.
    Nowhere,
    /// One did not say.
    Unknown,
}

/// Where this very path is.
pub async fn place(cache: &Cache, path: &StorePath) -> Where {
    let mut silent = false;
    for held in cache.upstreams.holdings_to_show(path.hash()).await {
        match held.holding {
            Holding::Signed(theirs) if theirs.store_path() == path.as_ref() => {
                return Where::Upstream(held.url);
            }
            Holding::Unknown(_) => silent = true,
            _ => {}
        }
    }
    match silent {
        true => Where::Unknown,
        false => Where::Nowhere,
    }
}

/// Looks, and remembers what was found.
pub async fn look(cache: &Arc<Cache>) {
    if cache.upstreams.is_empty() {
        return;
    }
    let of = Arc::clone(cache);
    let reading = tokio::task::spawn_blocking(move || {
        let view = of.index.view();
        let lacking = view.lacking();
        let missing = lacking.iter().take(MOST_PATHS);
        let missing: Vec<_> = missing.map(|&id| view.missing_references(id)).collect();
        (missing, lacking.len())
    });
    let Ok((missing, all)) = reading.await else {
        return;
    };
    let mut asked: HashMap<StorePathHash, StorePath> = HashMap::new();
    for path in missing.iter().flatten() {
        if asked.len() < MOST_ASKED {
            asked.entry(path.hash()).or_insert_with(|| path.clone());
        }
    }
    let asking = stream::iter(asked).map(|(hash, path)| async move {
        let place = place(cache, &path).await;
        (hash, place)
    });
    let places: HashMap<StorePathHash, Where> = asking.buffer_unordered(AT_ONCE).collect().await;
    let mut found = MissingReferences {
        upstream: 0,
        nowhere: 0,
        unknown: all.saturating_sub(missing.len()) as u64,
        at: spelled(now()),
    };
    for references in &missing {
        let mut places = references.iter().map(|path| places.get(&path.hash()));
        let mut seen = places.clone();
        if seen.any(|place| place == Some(&Where::Nowhere)) {
            found.nowhere += 1;
        } else if places.all(|place| matches!(place, Some(Where::Upstream(_)))) {
            found.upstream += 1;
        } else {
            found.unknown += 1;
        }
    }
    cache.elsewhere.show(found);
}
