//! How often and how soon a failed request is tried again.

use std::time::Duration;

/// Exponential pauses with full jitter, a bounded number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most, the first time counted. At least 1.
    pub attempts: u32,
    /// Upper end of the first pause; each further one doubles it.
    pub base: Duration,
    /// No pause is longer, whatever `Retry-After` says.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts within about six seconds of pauses at most.
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// The pause after attempt `number` (from 1) failed: random between nothing and the
    /// doubled base, so that many clients do not come back together; at least what the
    /// server asked for, at most [`cap`](Self::cap).
    pub fn pause(&self, number: u32, retry_after: Option<Duration>) -> Duration {
        let doublings = number.saturating_sub(1).min(16);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        let jittered = ceiling.mul_f64(random_fraction());
        jittered
            .max(retry_after.unwrap_or(Duration::ZERO))
            .min(self.cap)
    }
}

/// Random in 0..=1. Where the system has no randomness, a half: a pause without jitter.
pub(crate) fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_under_the_cap_and_differ() {
        let policy = RetryPolicy::default();
        for number in 1..40 {
            assert!(policy.pause(number, None) <= policy.cap);
        }
        let mut seen: Vec<_> = (0..20).map(|_| policy.pause(4, None)).collect();
        seen.dedup();
        assert!(seen.len() > 1, "no jitter");
        assert!(seen.iter().all(|pause| *pause <= policy.base * 8));
    }

    #[test]
    fn the_server_may_ask_for_patience_but_not_for_ever() {
        let policy = RetryPolicy::default();
        let second = Duration::from_secs(1);
        assert!(policy.pause(1, Some(second)) >= second);
        assert_eq!(policy.pause(1, Some(Duration::from_secs(3600))), policy.cap);
    }
}
