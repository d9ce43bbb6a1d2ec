//! How many requests went to the bucket, by operation.
//!
//! Tests assert on these (a refresh with k changes is exactly k GETs), `/metrics` exports
//! them, and on AWS they are money.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Operation;

/// Counters since the handle was made. Every attempt counts, because every attempt costs.
#[derive(Debug, Default)]
pub struct RequestCounts {
    operations: [Cell; Operation::ALL.len()],
    received_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Cell {
    sent: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
}

/// The counters of one operation at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent, repeated ones included.
    pub sent: u64,
    /// Of these, how many were repetitions.
    pub retried: u64,
    /// Of these, how many failed.
    pub failed: u64,
}

impl RequestCounts {
    pub(super) fn sent(&self, operation: Operation, again: bool) {
        let cell = &self.operations[operation as usize];
        cell.sent.fetch_add(1, Ordering::Relaxed);
        if again {
            cell.retried.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, operation: Operation) {
        self.operations[operation as usize]
            .failed
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The counters of one operation.
    pub fn of(&self, operation: Operation) -> Counts {
        let cell = &self.operations[operation as usize];
        Counts {
            sent: cell.sent.load(Ordering::Relaxed),
            retried: cell.retried.load(Ordering::Relaxed),
            failed: cell.failed.load(Ordering::Relaxed),
        }
    }

    /// The counters of every operation, for export.
    pub fn all(&self) -> impl Iterator<Item = (Operation, Counts)> + '_ {
        Operation::ALL
            .into_iter()
            .map(|operation| (operation, self.of(operation)))
    }

    /// Bytes of object bodies received.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }
}
