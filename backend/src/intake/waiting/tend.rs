//! What waits is looked at again by itself: upstreams are asked with growing pauses, what is too old
//! expires, and what a replica that was killed left half done is brought to its end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use snowbank_shared::api::approvals::WaitsFor;

use super::super::Intake;
use super::{Others, Waiting, entries};
use crate::ledger::RecordId;
use crate::site::Cache;

/// Between two looks into memory.
const LOOK: Duration = Duration::from_secs(3);
/// Before the second question to an upstream that did not answer; twice as long before each next.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Between two questions at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Entries that are tried at each look at most.
const MOST_AT_ONCE: usize = 50;

/// When entries were tried last, by cache and id; only a memory.
#[derive(Debug, Default)]
pub(in super::super) struct Tries(Mutex<HashMap<(String, String), (u32, Instant)>>);

impl Tries {
    /// Whether an entry is due; then it counts as tried.
    fn is_due(&self, cache: &str, entry: &Waiting) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (cache.to_owned(), entry.id.to_string());
        let now = Instant::now();
        match tries.get_mut(&place) {
            Some((_, due)) if *due > now => false,
            Some((count, due)) => {
                *count = count.saturating_add(1);
                *due = now + pause(*count);
                true
            }
            None => {
                tries.insert(place, (0, now + pause(0)));
                // It was looked at a moment ago, when it came; of others nothing is known.
                !matches!(entry.waits, WaitsFor::Upstream { .. })
            }
        }
    }

    /// Forgets what waits no more.
    fn keep(&self, cache: &str, waiting: &[Waiting]) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: std::collections::HashSet<&str> =
            waiting.iter().map(|entry| entry.id.as_str()).collect();
        tries.retain(|(of, id), _| of != cache || ids.contains(id.as_str()));
    }
}

/// Before the next try, after so many.
fn pause(tries: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(tries.min(16)))
        .min(LONGEST_PAUSE)
}

impl Intake {
    /// Looks after what waits, until the server ends.
    pub async fn tend(self) {
        let closing = self.0.site.closing.clone();
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = self.look_after() => {}
            }
        }
    }

    async fn look_after(&self) {
        let ledger = &self.0.site.ledger;
        if !ledger.freshness().may_publish() {
            return;
        }
        for cache in &self.0.site.caches {
            let due = self.due(cache);
            if !due.is_empty() {
                self.settle_all(cache, due).await;
            }
        }
    }

    /// Entries of a cache that are to be looked at now.
    fn due(&self, cache: &Cache) -> Vec<RecordId> {
        let slug = cache.slug.as_str();
        let mut waiting = entries(&self.0.site.ledger, slug);
        waiting.retain(|entry| entry.is_waiting());
        self.0.tries.keep(slug, &waiting);
        let others = Others::of(&waiting);
        waiting
            .iter()
            .filter(|entry| {
                self.may_move(cache, entry, &others) && self.0.tries.is_due(slug, entry)
            })
            .take(MOST_AT_ONCE)
            .map(|entry| entry.id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        assert_eq!(pause(0), Duration::from_secs(10));
        assert_eq!(pause(3), Duration::from_secs(80));
        assert_eq!(pause(9), LONGEST_PAUSE);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
