//! How far a sweep is, live.
//!
//! The sweep counts on atomics; a ticker turns them into [`Progress`] a few times a
//! second, so that a million narinfos are not a million messages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use snowbank_shared::api::Progress;

/// Over how long the rate is taken.
const WINDOW: Duration = Duration::from_secs(5);

/// Whether a sweep has had any answer of the bucket since the program began: a page of its
/// listing, or an error after all tries.
#[derive(Debug, Clone, Default)]
pub struct Answered(Arc<AtomicBool>);

impl Answered {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a running sweep has counted.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Narinfos in the listing.
    found: AtomicU64,
    /// Those of them that have to be fetched.
    wanted: AtomicU64,
    /// Those of these that were.
    fetched: AtomicU64,
    /// Those that could not be fetched or read.
    failed: AtomicU64,
    listed: AtomicBool,
    answered: Answered,
    recent: Mutex<VecDeque<(Instant, u64)>>,
}

impl Live {
    /// Of a sweep that tells when the bucket answers.
    pub(super) fn telling(answered: &Answered) -> Self {
        Self {
            answered: answered.clone(),
            ..Self::default()
        }
    }

    pub(super) fn answered(&self) {
        self.answered.set();
    }

    pub(super) fn found(&self, narinfos: u64) {
        self.found.fetch_add(narinfos, Ordering::Relaxed);
    }

    pub(super) fn wanted(&self, narinfos: u64) {
        self.wanted.fetch_add(narinfos, Ordering::Relaxed);
    }

    pub(super) fn fetched(&self) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn listed(&self) {
        self.listed.store(true, Ordering::Relaxed);
    }

    pub(super) fn fetched_so_far(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    pub(super) fn found_so_far(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// The state at `now`. Called at intervals: the rate is that between the calls of
    /// the last seconds.
    pub(super) fn at(&self, now: Instant) -> Progress {
        let fetched = self.fetched_so_far();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((now, fetched));
        while recent.len() > 2
            && recent
                .get(1)
                .is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW)
        {
            recent.pop_front();
        }
        let rate = recent.front().map_or(0.0, |(then, before)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            if seconds > 0.0 {
                (fetched - before) as f64 / seconds
            } else {
                0.0
            }
        });
        let listed = self.listed.load(Ordering::Relaxed);
        let left = self.wanted.load(Ordering::Relaxed).saturating_sub(fetched);
        let eta_seconds = match (listed, left) {
            (false, _) => None,
            (true, 0) => Some(0),
            (true, left) => (rate >= 0.1).then(|| (left as f64 / rate).ceil() as u64),
        };
        Progress {
            found: self.found_so_far(),
            fetched,
            failed: self.failed.load(Ordering::Relaxed),
            listed,
            rate: rate.round() as u64,
            eta_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_estimate_follow_the_last_seconds() {
        let live = Live::default();
        let start = Instant::now();
        live.found(1000);
        live.wanted(1000);
        assert_eq!(live.at(start).rate, 0);
        assert_eq!(live.at(start).eta_seconds, None, "the listing goes on");
        live.listed();
        for second in 1..=10 {
            (0..50).for_each(|_| live.fetched());
            let progress = live.at(start + Duration::from_secs(second));
            assert_eq!(progress.rate, 50, "after {second} s");
        }
        let progress = live.at(start + Duration::from_secs(10));
        assert_eq!((progress.fetched, progress.eta_seconds), (500, Some(10)));
        // A store that stops answering is seen, and no estimate is made up.
        let stalled = live.at(start + Duration::from_secs(60));
        let stalled = live
            .at(start + Duration::from_secs(66))
            .rate
            .min(stalled.rate);
        assert_eq!(stalled, 0);
    }
}
