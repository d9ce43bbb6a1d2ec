//! What was found out about archives, and what is being found out: each once, however many ask.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{ArchiveError, Reader};

/// Archives that are read, or wait for that, at most.
const MOST_JOBS: usize = 16;
/// Of these for strangers, all together.
const FOR_STRANGERS: usize = 10;
/// For one stranger.
const FOR_ONE_STRANGER: usize = 3;
/// How long a failure is remembered, so that who asks again in a moment hears of it.
const FAILED_FOR: Duration = Duration::from_secs(20);

/// What is known.
#[derive(Debug)]
pub enum Look<T> {
    /// All of it.
    Ready(Arc<T>),
    /// So many bytes of the unpacked archive were read.
    Reading(u64),
}

type Outcome<T> = Result<Arc<T>, ArchiveError>;

struct Kept<T> {
    value: Arc<T>,
    weight: usize,
    used: u64,
}

struct Job<T> {
    read: Arc<AtomicU64>,
    outcome: watch::Receiver<Option<Outcome<T>>>,
    /// For whom it was begun.
    by: Reader,
}

struct Inner<T> {
    kept: HashMap<String, Kept<T>>,
    weight: usize,
    /// Counts looks.
    clock: u64,
    jobs: HashMap<String, Job<T>>,
    failed: HashMap<String, (ArchiveError, Instant)>,
}

impl<T> Inner<T> {
    /// Whether one more can be begun for this reader.
    fn has_room_for(&self, reader: &Reader) -> bool {
        let jobs = || self.jobs.values().map(|job| &job.by);
        let strangers = jobs().filter(|by| by.is_stranger()).count();
        let own = jobs().filter(|by| *by == reader).count();
        let fits = !reader.is_stranger() || (strangers < FOR_STRANGERS && own < FOR_ONE_STRANGER);
        fits && self.jobs.len() < MOST_JOBS
    }
}

/// Values by the name of their archive; together they weigh no more than so much.
pub(super) struct Shelf<T> {
    inner: Arc<Mutex<Inner<T>>>,
    most: usize,
    weigh: fn(&T) -> usize,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            most: self.most,
            weigh: self.weigh,
        }
    }
}

impl<T: Send + Sync + 'static> Shelf<T> {
    pub(super) fn new(most: usize, weigh: fn(&T) -> usize) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                kept: HashMap::new(),
                weight: 0,
                clock: 0,
                jobs: HashMap::new(),
                failed: HashMap::new(),
            })),
            most,
            weigh,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of this name, where it is there within `patience`; `make` makes it, for this reader,
    /// where nobody does.
    /// That goes on when who asked has left.
    pub(super) async fn look<F>(
        &self,
        name: String,
        reader: &Reader,
        patience: Duration,
        make: impl FnOnce(Arc<AtomicU64>) -> F,
    ) -> Result<Look<T>, ArchiveError>
    where
        F: Future<Output = Result<T, ArchiveError>> + Send + 'static,
    {
        let (read, mut outcome) = {
            let mut inner = self.lock();
            inner.clock += 1;
            let now = inner.clock;
            if let Some(kept) = inner.kept.get_mut(&name) {
                kept.used = now;
                return Ok(Look::Ready(Arc::clone(&kept.value)));
            }
            inner.failed.retain(|_, (_, at)| at.elapsed() < FAILED_FOR);
            if let Some((error, _)) = inner.failed.get(&name) {
                return Err(error.clone());
            }
            match inner.jobs.get(&name) {
                Some(job) => (Arc::clone(&job.read), job.outcome.clone()),
                None if !inner.has_room_for(reader) => return Err(ArchiveError::Busy),
                None => {
                    let read = Arc::new(AtomicU64::new(0));
                    let outcome = self.begin(name.clone(), make(Arc::clone(&read)));
                    let job = Job {
                        read: Arc::clone(&read),
                        outcome: outcome.clone(),
                        by: reader.clone(),
                    };
                    inner.jobs.insert(name, job);
                    (read, outcome)
                }
            }
        };
        match tokio::time::timeout(patience, outcome.wait_for(Option::is_some)).await {
            Err(_) => Ok(Look::Reading(read.load(Ordering::Relaxed))),
            Ok(Ok(done)) => match &*done {
                Some(outcome) => outcome.clone().map(Look::Ready),
                None => Err(ArchiveError::Busy),
            },
            Ok(Err(_)) => Err(ArchiveError::Broken(
                "reading it failed in the server".to_owned(),
            )),
        }
    }

    /// The value of this name, where it is there already.
    pub(super) fn kept(&self, name: &str) -> Option<Arc<T>> {
        let mut inner = self.lock();
        inner.clock += 1;
        let now = inner.clock;
        let kept = inner.kept.get_mut(name)?;
        kept.used = now;
        Some(Arc::clone(&kept.value))
    }

    /// Keeps a value that was made elsewhere.
    pub(super) fn keep(&self, name: &str, value: &Arc<T>) {
        self.put(&mut self.lock(), name, value);
    }

    fn begin(
        &self,
        name: String,
        work: impl Future<Output = Result<T, ArchiveError>> + Send + 'static,
    ) -> watch::Receiver<Option<Outcome<T>>> {
        let (done, outcome) = watch::channel(None);
        let shelf = self.clone();
        tokio::spawn(async move {
            let made = work.await.map(Arc::new);
            shelf.settle(&name, &made);
            // Who waited may have left.
            let _ = done.send(Some(made));
        });
        outcome
    }

    /// A job is done.
    fn settle(&self, name: &str, made: &Outcome<T>) {
        let mut inner = self.lock();
        inner.jobs.remove(name);
        let value = match made {
            Ok(value) => value,
            Err(error) => {
                let failure = (error.clone(), Instant::now());
                inner.failed.insert(name.to_owned(), failure);
                return;
            }
        };
        self.put(&mut inner, name, value);
    }

    fn put(&self, inner: &mut Inner<T>, name: &str, value: &Arc<T>) {
        let weight = (self.weigh)(value).max(1);
        let used = inner.clock;
        let kept = Kept {
            value: Arc::clone(value),
            weight,
            used,
        };
        inner.weight += weight;
        if let Some(before) = inner.kept.insert(name.to_owned(), kept) {
            inner.weight -= before.weight;
        }
        while inner.weight > self.most && inner.kept.len() > 1 {
            let oldest = inner
                .kept
                .iter()
                .filter(|(kept, _)| *kept != name)
                .min_by_key(|(_, kept)| kept.used)
                .map(|(name, _)| name.clone());
            let Some(gone) = oldest.and_then(|oldest| inner.kept.remove(&oldest)) else {
                return;
            };
            inner.weight -= gone.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn ada() -> Reader {
        Reader::Known("member:ada".to_owned())
    }

    async fn ready(shelf: &Shelf<usize>, name: &str, value: usize) -> Arc<usize> {
        let ada = ada();
        let look = shelf.look(
            name.to_owned(),
            &ada,
            PATIENCE,
            |_| async move { Ok(value) },
        );
        match look.await.expect("made") {
            Look::Ready(value) => value,
            Look::Reading(_) => panic!("not ready"),
        }
    }

    #[tokio::test]
    async fn what_was_made_is_kept_and_the_oldest_goes() {
        let shelf = Shelf::new(10, |value: &usize| *value);
        assert_eq!(*ready(&shelf, "a", 4).await, 4);
        assert_eq!(*ready(&shelf, "a", 5).await, 4, "kept");
        ready(&shelf, "b", 4).await;
        ready(&shelf, "a", 0).await;
        ready(&shelf, "c", 4).await;
        assert_eq!(*ready(&shelf, "a", 7).await, 4, "used last");
        assert_eq!(*ready(&shelf, "b", 3).await, 3, "gone");
        assert_eq!(*ready(&shelf, "large", 99).await, 99);
        assert_eq!(shelf.lock().kept.len(), 1);
    }

    #[tokio::test]
    async fn many_who_ask_wait_for_one() {
        let shelf = Shelf::<usize>::new(10, |_| 1);
        let ada = ada();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let first = shelf.look("a".to_owned(), &ada, Duration::ZERO, |read| async move {
            read.store(7, Ordering::Relaxed);
            let _ = wait.await;
            Ok(1)
        });
        assert!(matches!(first.await, Ok(Look::Reading(_))));
        tokio::task::yield_now().await;
        let again = shelf.look("a".to_owned(), &ada, Duration::ZERO, |_| async { Ok(2) });
        assert!(matches!(again.await, Ok(Look::Reading(7))));
        go.send(()).expect("it waits");
        assert_eq!(*ready(&shelf, "a", 3).await, 1);
        let failed = shelf.look("x".to_owned(), &ada, PATIENCE, |_| async {
            Err(ArchiveError::Missing)
        });
        assert!(matches!(failed.await, Err(ArchiveError::Missing)));
        let told = shelf.look("x".to_owned(), &ada, PATIENCE, |_| async { Ok(1) });
        assert!(
            matches!(told.await, Err(ArchiveError::Missing)),
            "for a while"
        );
    }

    #[tokio::test]
    async fn strangers_leave_room_for_members() {
        let shelf = Shelf::<usize>::new(10, |_| 1);
        let begun = async |name: String, reader: Reader| {
            let look = shelf.look(name, &reader, Duration::ZERO, |_| std::future::pending());
            matches!(look.await, Ok(Look::Reading(_)))
        };
        let stranger = |last| Reader::stranger([192, 0, 2, last].into());
        let mut count = 0;
        for last in 1..=9 {
            for number in 0..9 {
                count += usize::from(begun(format!("{last} {number}"), stranger(last)).await);
            }
            assert!(count <= usize::from(last) * FOR_ONE_STRANGER);
        }
        assert_eq!(count, FOR_STRANGERS);
        // What is read already is waited for by anybody.
        assert!(begun("1 0".to_owned(), stranger(200)).await);
        for number in 0..MOST_JOBS {
            count += usize::from(begun(format!("ada {number}"), ada()).await);
        }
        assert_eq!(count, MOST_JOBS);
    }
}
