//! How long runs of retention wait for other replicas. No settings: how old a replica may believe its
//! ledger to be is no choice.

use std::time::Duration;

/// The periods of runs. Tests with one replica shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPeriods {
    /// From the moment that a run is known to be about to take something out, until it does: twice as
    /// long as a replica believes what it read of the ledger.
    pub wait: Duration,
    /// After so long without a word another process takes a run over. Far more than 15 s, within which
    /// the first may still begin to delete something: what it cut off then may arrive later.
    pub silence: Duration,
}

impl Default for RetentionPeriods {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            silence: Duration::from_secs(120),
        }
    }
}
