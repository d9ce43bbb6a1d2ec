//! What a cache's quota leaves, and who may count on it.
//!
//! A question alone is not enough: of two uploads that ask at one moment each would be told that there
//! is room for it. So whoever is told so holds the room until it shows in what is counted: an archive
//! while it comes, then it is remembered as come ([`pending`](super::pending)) or is nowhere; a path
//! while it is published, then the index has it or has it not. The question and the holding are one
//! step under one lock. Other replicas hold their own: each may overshoot by what it is told at the
//! moment, until it hears of the others' publications.
//!
//! What is announced and comes slowly does not keep the room for ever: an announcement counts for as
//! long as a usual line needs ([`announced_for`]), and then no more. Who takes longer is asked for room
//! again when all has come.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::{Intake, Refusal, waiting};
use crate::index::View;
use crate::site::Cache;

/// What to say where the quota cannot be held against anything.
const UNCOUNTED: &str = "what the cache holds could not be counted";

/// What is held of one archive.
#[derive(Debug, Clone, Copy)]
struct Hold {
    bytes: u64,
    holders: usize,
    /// Until when; `None`: until it is let go.
    until: Option<Instant>,
}

impl Hold {
    fn counts(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Whatever its size, an announcement counts so long.
const AT_LEAST: Duration = Duration::from_secs(10 * 60);
/// Bytes a second that a usual line moves: 8 Mbit/s.
const USUAL: u64 = 1_000_000;

/// How long the announcement of an archive counts.
fn announced_for(bytes: u64) -> Duration {
    AT_LEAST + Duration::from_secs(bytes / USUAL)
}

/// The archives for which room is held, by cache and key: one archive is held once, however many
/// hold it.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<HashMap<(String, String), Hold>>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds room for an archive `until` then, where there is any: `count` gets the sizes of what others hold in
    /// the cache, by key, and says how many bytes are taken and how many this one needs.
    ///
    /// # Errors
    /// The bytes that are needed and left, where they are too few.
    fn hold(
        &self,
        cache: &str,
        key: &str,
        most: u64,
        until: Option<Instant>,
        count: impl FnOnce(&HashMap<String, u64>) -> (u64, u64),
    ) -> Result<Holding, (u64, u64)> {
        let mut held = self.lock();
        let now = Instant::now();
        let others: HashMap<String, u64> = held
            .iter()
            .filter(|((of, other), hold)| of == cache && other != key && hold.counts(now))
            .map(|((_, other), hold)| (other.clone(), hold.bytes))
            .collect();
        let (taken, bytes) = count(&others);
        if taken.saturating_add(bytes) > most {
            return Err((bytes, most.saturating_sub(taken)));
        }
        let place = (cache.to_owned(), key.to_owned());
        let hold = held.entry(place.clone()).or_insert(Hold {
            bytes: 0,
            holders: 0,
            until,
        });
        hold.bytes = hold.bytes.max(bytes);
        hold.until = match (hold.until, until) {
            (Some(one), Some(other)) => Some(one.max(other)),
            _ => None,
        };
        hold.holders += 1;
        Ok(Holding {
            held: self.clone(),
            place,
            until,
        })
    }
}

/// Room that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Holding {
    held: Held,
    place: (String, String),
    until: Option<Instant>,
}

impl Holding {
    /// Whether the room may be others' by now.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        let Some(hold) = held.get_mut(&self.place) else {
            return;
        };
        hold.holders -= 1;
        if hold.holders == 0 {
            held.remove(&self.place);
        }
    }
}

/// Bytes of an archive as it is sent, at most: what is packed may be a little larger than what is not.
pub(super) fn largest_file(cache: &Cache) -> u64 {
    let most = cache.max_nar_size;
    most.saturating_add(most / 64 + 4096)
}

fn published_bytes(view: &View) -> u64 {
    view.totals().stored_bytes.unwrap_or(0)
}

/// The sum of those archives that no narinfo of the index names.
fn unpublished(view: &View, sizes: &HashMap<String, u64>) -> u64 {
    sizes
        .iter()
        .filter(|(key, _)| view.ids_by_nar(key).is_empty())
        .fold(0, |sum, (_, size)| sum.saturating_add(*size))
}

fn exceeded(needed: u64, left: u64, most: u64, what: &str) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "quota",
        format!(
            "not enough quota: it needs {needed} bytes, and {left} of {most} are left (max_bytes); nothing was {what}"
        ),
    )
}

impl Intake {
    /// Room for an archive of so many bytes by this uploader, until it has come. `None`: the cache has
    /// no quota.
    ///
    /// # Errors
    /// Where the cache does not take it.
    pub(super) async fn room(
        &self,
        cache: &Arc<Cache>,
        owner: &str,
        key: &str,
        length: Option<u64>,
    ) -> Result<Option<Holding>, Refusal> {
        let length = length.unwrap_or(0);
        if length > largest_file(cache) {
            return Err(Refusal::too_large(format!(
                "the archive has {length} bytes, and this cache takes {} (max_nar_size)",
                cache.max_nar_size
            )));
        }
        let Some(most) = cache.max_bytes else {
            return Ok(None);
        };
        let (intake, cache) = (self.clone(), Arc::clone(cache));
        let (owner, key) = (owner.to_owned(), key.to_owned());
        let until = Instant::now() + announced_for(length);
        let counted = move || {
            // Counted before the lock is taken: the first sum of a version looks at every path.
            published_bytes(&cache.index.view());
            let held =
                intake
                    .0
                    .arriving
                    .hold(cache.slug.as_str(), &key, most, Some(until), |arriving| {
                        let asked_about = HashSet::from([key.as_str()]);
                        let taken = intake.taken(&cache, &owner, &asked_about, arriving);
                        // A body whose length nobody said needs some room too; when it has come it is
                        // asked about again.
                        (taken, length.max(1))
                    });
            held.map(Some)
                .map_err(|(_, left)| exceeded(length, left, most, "kept"))
        };
        tokio::task::spawn_blocking(counted)
            .await
            .map_err(|_| Refusal::dependency(UNCOUNTED))?
    }

    /// Bytes that the cache's quota leaves to an uploader; `None` where it has none. What is published
    /// counts, and each archive that came and is not: whose narinfo waits, or is still to come; but
    /// not the uploader's own that are asked about.
    pub(super) async fn left(
        &self,
        cache: &Arc<Cache>,
        owner: &str,
        asked_about: &HashSet<&str>,
    ) -> Result<Option<u64>, Refusal> {
        let Some(most) = cache.max_bytes else {
            return Ok(None);
        };
        let (intake, cache, owner) = (self.clone(), Arc::clone(cache), owner.to_owned());
        let asked_about: HashSet<String> =
            asked_about.iter().map(|key| (*key).to_owned()).collect();
        let counted = move || {
            let asked_about = asked_about.iter().map(String::as_str).collect();
            most.saturating_sub(intake.taken(&cache, &owner, &asked_about, &HashMap::new()))
        };
        let left = tokio::task::spawn_blocking(counted).await;
        Ok(Some(left.map_err(|_| Refusal::dependency(UNCOUNTED))?))
    }

    /// Bytes that count at this moment, with what is `arriving`.
    fn taken(
        &self,
        cache: &Cache,
        owner: &str,
        asked_about: &HashSet<&str>,
        arriving: &HashMap<String, u64>,
    ) -> u64 {
        let slug = cache.slug.as_str();
        // Before the index: what is published meanwhile is in that already. Another uploader's archive
        // counts even where its key is asked about: that it is here is nothing to be found out.
        let mut sizes = arriving.clone();
        sizes.extend(self.0.pending.sizes(slug, owner, asked_about));
        let waiting = waiting::sizes_of_nars(&self.0.site.ledger, slug, owner, asked_about);
        sizes.extend(waiting);
        let view = cache.index.view();
        published_bytes(&view).saturating_add(unpublished(&view, &sizes))
    }

    /// Room for an archive that came beside what is published, until its path is. `None`: the cache
    /// has no quota.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) async fn fits(
        &self,
        cache: &Arc<Cache>,
        key: &str,
        size: u64,
    ) -> Result<Option<Holding>, Refusal> {
        let Some(most) = cache.max_bytes else {
            return Ok(None);
        };
        let (publishing, cache) = (self.0.publishing.clone(), Arc::clone(cache));
        let key = key.to_owned();
        let counted = move || {
            published_bytes(&cache.index.view());
            let held = publishing.hold(cache.slug.as_str(), &key, most, None, |others| {
                // Under the lock: who held room before and shows by now is in this view.
                let view = cache.index.view();
                let needed = match view.ids_by_nar(&key).is_empty() {
                    true => size,
                    false => 0,
                };
                let taken = published_bytes(&view).saturating_add(unpublished(&view, others));
                (taken, needed)
            });
            held.map(Some)
                .map_err(|(needed, left)| exceeded(needed, left, most, "published"))
        };
        tokio::task::spawn_blocking(counted)
            .await
            .map_err(|_| Refusal::dependency(UNCOUNTED))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes, beside what others hold.
    fn needs(bytes: u64) -> impl FnOnce(&HashMap<String, u64>) -> (u64, u64) {
        move |others| (others.values().sum(), bytes)
    }

    #[test]
    fn room_that_is_held_is_nobody_elses_until_it_is_let_go() {
        let held = Held::default();
        let first = held.hold("main", "a", 10, None, needs(6)).expect("room");
        assert_eq!(
            held.hold("main", "b", 10, None, needs(6))
                .expect_err("none"),
            (6, 4)
        );
        let second = held
            .hold("main", "b", 10, None, needs(4))
            .expect("the rest");
        // The same archive is held once; another cache has a quota of its own.
        let again = held
            .hold("main", "a", 10, None, needs(6))
            .expect("the same");
        let other = held
            .hold("other", "b", 10, None, needs(10))
            .expect("its own");
        drop(first);
        assert_eq!(
            held.hold("main", "c", 10, None, needs(1))
                .expect_err("none"),
            (1, 0)
        );
        drop(again);
        let third = held
            .hold("main", "c", 10, None, needs(6))
            .expect("room again");
        drop((second, third, other));
        assert!(held.lock().is_empty());
    }

    #[test]
    fn of_many_at_one_moment_only_as_many_are_told_yes_as_fit() {
        let held = Held::default();
        let start = std::sync::Barrier::new(8);
        let told: Vec<Option<Holding>> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|number| {
                    let (held, start) = (&held, &start);
                    scope.spawn(move || {
                        start.wait();
                        held.hold("main", &number.to_string(), 10, None, needs(3))
                            .ok()
                    })
                })
                .collect();
            let all = all.into_iter();
            all.map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(told.iter().flatten().count(), 3);
    }

    #[tokio::test]
    async fn an_announcement_counts_for_a_while_only() {
        let held = Held::default();
        let soon = Instant::now() + Duration::from_millis(50);
        let slow = held
            .hold("main", "a", 10, Some(soon), needs(10))
            .expect("room");
        assert!(!slow.is_over());
        held.hold("main", "b", 10, Some(soon), needs(1))
            .expect_err("none");
        tokio::time::sleep(soon.saturating_duration_since(Instant::now())).await;
        assert!(slow.is_over());
        let other = held.hold("main", "b", 10, None, needs(10)).expect("room");
        // Who was too slow is asked again, and finds it taken.
        held.hold("main", "a", 10, Some(soon), needs(10))
            .expect_err("none");
        drop((slow, other));
        assert!(held.lock().is_empty());
        assert_eq!(announced_for(0), AT_LEAST);
        assert_eq!(
            announced_for(60 * USUAL),
            AT_LEAST + Duration::from_secs(60)
        );
    }
}
