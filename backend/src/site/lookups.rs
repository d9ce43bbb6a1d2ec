//! Lookups in the bucket that several clients may wait for together.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use snowbank_shared::store_path::StorePathHash;

use crate::bucket::BucketError;

/// How long an outcome is believed.
const REMEMBERED: Duration = Duration::from_secs(3);
/// How many are remembered at most.
const MOST: usize = 100_000;

/// How a lookup of a narinfo ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is there, and these are its bytes.
    Found(Bytes),
    /// It is not there.
    Absent,
    /// It is there, and clients do not get it.
    HeldBack,
    /// The bucket could not say.
    Failed(BucketError),
}

type Running = Shared<BoxFuture<'static, Outcome>>;

struct Lookup {
    outcome: Running,
    begun: Instant,
}

/// The lookups of a cache, under way or just done.
#[derive(Default)]
pub struct Lookups(Mutex<HashMap<StorePathHash, Lookup>>);

impl Lookups {
    /// Joins the lookup of this hash, or begins it.
    ///
    /// It runs on a task of its own: a client that leaves does not end it for the others.
    pub fn join<F>(&self, hash: StorePathHash, look: impl FnOnce() -> F) -> Running
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut lookups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = lookups.get(&hash)
            && lookup.is_fresh()
        {
            return lookup.outcome.clone();
        }
        if lookups.len() >= MOST {
            lookups.retain(|_, lookup| lookup.is_fresh());
            if lookups.len() >= MOST {
                lookups.clear();
            }
        }
        let task = tokio::spawn(look());
        let outcome = async move {
            // A task that panicked found nothing out; soon another one tries again.
            task.await.unwrap_or(Outcome::Absent)
        };
        let outcome = outcome.boxed().shared();
        lookups.insert(
            hash,
            Lookup {
                outcome: outcome.clone(),
                begun: Instant::now(),
            },
        );
        outcome
    }

    /// Forgets an outcome that is not to be remembered.
    pub fn forget(&self, hash: &StorePathHash) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(hash);
    }
}

impl Lookup {
    /// Under way, or done a moment ago.
    fn is_fresh(&self) -> bool {
        self.outcome.peek().is_none() || self.begun.elapsed() < REMEMBERED
    }
}
