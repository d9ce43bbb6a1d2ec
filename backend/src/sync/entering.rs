//! How a sweep's changes get into the index.
//!
//! The index takes a few changes at once and shows them before it returns, and thousands
//! through a backlog that costs less and shows a little later. A refresh brings a few, a
//! first sweep thousands: which it is shows while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::index::{Change, Index};

/// So many changes of a sweep show at once. Beyond, its end waits for a merge of all paths:
/// that is worth it for thousands.
const SHOWN_AT_ONCE: u64 = 2048;

/// The changes of one sweep on their way into the index.
#[derive(Debug)]
pub(super) struct Entering {
    index: Index,
    entered: AtomicU64,
    bulk: AtomicBool,
}

impl Entering {
    pub(super) fn new(index: Index) -> Self {
        Self {
            index,
            entered: AtomicU64::new(0),
            bulk: AtomicBool::new(false),
        }
    }

    /// Enters changes. May wait for the index: not for the reactor.
    pub(super) fn enter(&self, changes: Vec<Change>) {
        let count = changes.len() as u64;
        if count == 0 {
            return;
        }
        let before = self.entered.fetch_add(count, Ordering::Relaxed);
        if before + count <= SHOWN_AT_ONCE {
            self.index.apply(changes);
        } else {
            self.bulk.store(true, Ordering::Relaxed);
            self.index.apply_bulk(changes);
        }
    }

    /// Waits until everything entered shows. Not for the reactor.
    pub(super) fn show(&self) {
        if self.bulk.load(Ordering::Relaxed) {
            self.index.flush();
        }
    }
}
