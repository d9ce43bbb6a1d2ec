//! Receipts as they were read last, for who asks again.
//!
//! They are objects of the bucket, and reading them lists and fetches many. So what was read counts
//! for a short while, or until this process writes one; who asks while they are read gets the same
//! answer. Where something is decided on them, they are read anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Ledger, LedgerError, Receipt, lock};

/// How long another replica's receipts may stay unseen.
const AGE: Duration = Duration::from_secs(10);
/// More than so many are not kept: they would be tens of megabytes.
const MOST: usize = 50_000;

type Place = Arc<tokio::sync::Mutex<Option<Read>>>;

/// What was read, by cache and by how many were wanted.
#[derive(Default)]
pub(super) struct Remembered {
    read: Mutex<HashMap<(String, Option<usize>), Place>>,
    /// How many this process wrote.
    written: AtomicU64,
}

struct Read {
    at: Instant,
    written: u64,
    receipts: Arc<Vec<Receipt>>,
}

impl Remembered {
    /// What was read counts no more.
    pub(super) fn one_more(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }
}

impl Ledger {
    /// As [`receipts`](Self::receipts) and, where `most` is given,
    /// [`latest_receipts`](Self::latest_receipts); those of other replicas up to ten seconds late.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn known_receipts(
        &self,
        cache: &str,
        most: Option<usize>,
    ) -> Result<Arc<Vec<Receipt>>, LedgerError> {
        let remembered = &self.0.remembered;
        let place = {
            let mut read = lock(&remembered.read);
            Arc::clone(read.entry((cache.to_owned(), most)).or_default())
        };
        let mut last = place.lock().await;
        let (at, written) = (Instant::now(), remembered.written.load(Ordering::Acquire));
        if let Some(last) = &*last
            && last.written == written
            && last.at.elapsed() < AGE
        {
            return Ok(Arc::clone(&last.receipts));
        }
        let receipts = match most {
            Some(most) => self.latest_receipts(cache, most).await?,
            None => self.receipts(cache).await?.receipts,
        };
        let receipts = Arc::new(receipts);
        *last = (receipts.len() <= MOST).then(|| Read {
            at,
            written,
            receipts: Arc::clone(&receipts),
        });
        Ok(receipts)
    }
}
