//! How fast archives are read where nobody waits for them.
//!
//! A budget is bytes a second, as they come from the bucket. The bytes are let through one piece after
//! the other ([`Budget::spend`]); what was not used is kept for half a second, so that the mean over
//! ten seconds is never more than a twentieth above it.
//!
//! **Slow budgets.** A store does not hold an answer open for a day. So a single archive is read at
//! [`LEAST`] at least, and what that is beyond the budget is waited for before the next one
//! ([`Budget::settled`]).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Bytes a second at which an archive is read at least, once it is begun: 1 MiB.
pub const LEAST: u64 = 1 << 20;
/// For how long what was not used is kept.
const KEPT: Duration = Duration::from_millis(500);
/// Longest sleep at once, so that another rate counts soon.
const NAP: Duration = Duration::from_secs(5);

/// A bucket of tokens, told the time by who uses it.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    /// Bytes a second; never 0.
    rate: f64,
    /// When all that was taken is paid for, since the beginning.
    paid_at: Duration,
}

impl Tokens {
    fn new(rate: u64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a rate of 2^53 is none")]
        let rate = rate.max(1) as f64;
        Self {
            rate,
            paid_at: Duration::ZERO,
        }
    }

    /// Takes so many bytes at this moment.
    fn take(&mut self, bytes: u64, now: Duration) {
        #[allow(
            clippy::cast_precision_loss,
            reason = "an archive of 2^53 bytes is none"
        )]
        let cost = Duration::try_from_secs_f64(bytes as f64 / self.rate).unwrap_or(Duration::MAX);
        let from = self.paid_at.max(now.saturating_sub(KEPT));
        self.paid_at = from.saturating_add(cost);
    }

    /// How long to wait until what was taken is paid for.
    fn debt(&self, now: Duration) -> Duration {
        self.paid_at.saturating_sub(now)
    }

    /// From now on another rate; what is owed stays as many bytes.
    fn set_rate(&mut self, rate: u64, now: Duration) {
        let owed = self.debt(now);
        let next = Self::new(rate);
        if owed > Duration::ZERO {
            let seconds = owed.as_secs_f64() * self.rate / next.rate;
            let owed = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            self.paid_at = now.saturating_add(owed);
        }
        self.rate = next.rate;
    }
}

#[derive(Debug)]
struct Both {
    /// The budget itself.
    mean: Tokens,
    /// The pace at which an archive is read.
    reading: Tokens,
}

/// Bytes a second that may be read.
#[derive(Debug)]
pub struct Budget {
    both: Mutex<Both>,
    began: Instant,
    stop: CancellationToken,
}

impl Budget {
    /// So many bytes a second, until it is stopped.
    pub fn new(rate: u64, stop: CancellationToken) -> Self {
        Self {
            both: Mutex::new(Both {
                mean: Tokens::new(rate),
                reading: Tokens::new(rate.max(LEAST)),
            }),
            began: Instant::now(),
            stop,
        }
    }

    /// From now on so many bytes a second.
    pub fn set_rate(&self, rate: u64) {
        let now = self.began.elapsed();
        let mut both = self.lock();
        both.mean.set_rate(rate, now);
        both.reading.set_rate(rate.max(LEAST), now);
    }

    /// How long an archive that unpacks to so many bytes may take, beside what any may.
    pub(super) fn allowance(&self, nar_size: u64) -> Duration {
        let rate = self.lock().reading.rate;
        #[allow(
            clippy::cast_precision_loss,
            reason = "an archive of 2^53 bytes is none"
        )]
        let needed = nar_size as f64 / rate;
        // Packed it may be a little longer than that.
        Duration::try_from_secs_f64(needed * 1.5).unwrap_or(Duration::MAX)
    }

    /// Takes so many bytes and waits until the next may be read. False: the server ends, and nothing
    /// more is to be read.
    pub async fn spend(&self, bytes: u64) -> bool {
        {
            let now = self.began.elapsed();
            let mut both = self.lock();
            both.mean.take(bytes, now);
            both.reading.take(bytes, now);
        }
        self.wait(|both| &both.reading).await
    }

    /// Waits until all that was read is paid for. False: the server ends.
    pub async fn settled(&self) -> bool {
        self.wait(|both| &both.mean).await
    }

    /// Whether the server ends.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    async fn wait(&self, of: impl Fn(&Both) -> &Tokens) -> bool {
        loop {
            if self.stop.is_cancelled() {
                return false;
            }
            let debt = {
                let both = self.lock();
                of(&both).debt(self.began.elapsed())
            };
            if debt.is_zero() {
                return true;
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(debt.min(NAP)) => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Both> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the pieces are and however late their reader is, on a clock that the test moves:
        /// in no window of ten seconds do more bytes go than the budget and a tenth.
        #[test]
        fn no_ten_seconds_have_more_than_the_budget_and_a_tenth(
            rate in 1_000_000u64..200_000_000,
            pieces in prop::collection::vec((1u64..65_536, 0u64..40), 200..1_000),
        ) {
            let mut tokens = Tokens::new(rate);
            let mut now = Duration::ZERO;
            let mut sent: Vec<(Duration, u64)> = Vec::new();
            for (bytes, late) in pieces {
                // Scaled, so that every run takes some ten seconds.
                let bytes = bytes * rate / 1_000_000;
                tokens.take(bytes, now);
                sent.push((now, bytes));
                now += tokens.debt(now) + Duration::from_millis(late);
            }
            let window = Duration::from_secs(10);
            for (at, (begin, _)) in sent.iter().enumerate() {
                let within: u64 = sent[at..]
                    .iter()
                    .take_while(|(time, _)| *time < *begin + window)
                    .map(|(_, bytes)| bytes)
                    .sum();
                prop_assert!(within <= rate * 11, "{within} at {rate}");
            }
        }
    }

    #[test]
    fn who_is_never_late_gets_the_whole_budget_and_a_pause_gives_no_burst() {
        let (mut tokens, mut now, mut sent) = (Tokens::new(4_000_000), Duration::ZERO, 0u64);
        while now < Duration::from_secs(10) {
            tokens.take(65_536, now);
            sent += 65_536;
            now += tokens.debt(now);
        }
        assert!((38_000_000..=42_000_000).contains(&sent), "{sent}");
        // An hour of nothing, then as much as can be had at once: half a second's worth.
        now += Duration::from_secs(3600);
        let mut at_once = 0u64;
        while tokens.debt(now).is_zero() {
            tokens.take(65_536, now);
            at_once += 65_536;
        }
        assert!((2_000_000..=2_100_000).contains(&at_once), "{at_once}");
    }

    #[test]
    fn another_rate_counts_at_once_and_forgives_nothing() {
        let now = Duration::from_secs(100);
        let mut tokens = Tokens::new(1_000);
        tokens.take(10_000, now);
        let owed = tokens.debt(now).as_secs_f64();
        assert!((9.0..=10.0).contains(&owed), "{owed}");
        tokens.set_rate(2_000, now);
        let less = tokens.debt(now).as_secs_f64();
        assert!((less - owed / 2.0).abs() < 0.001, "{less}");
        tokens.set_rate(1, now);
        assert!(tokens.debt(now) > Duration::from_secs(9_000));
    }

    #[tokio::test]
    async fn a_slow_budget_reads_an_archive_at_the_least_pace_and_waits_before_the_next() {
        let stop = CancellationToken::new();
        let budget = Budget::new(1_000, stop.clone());
        assert!(budget.allowance(LEAST * 60) >= Duration::from_secs(60));
        assert!(budget.allowance(LEAST * 60) <= Duration::from_secs(100));
        assert!(budget.spend(1_000).await);
        let debt = budget.lock().mean.debt(budget.began.elapsed());
        assert!(debt > Duration::from_millis(300), "{debt:?}");
        assert!(budget.lock().reading.debt(budget.began.elapsed()).is_zero());
        stop.cancel();
        assert!(!budget.settled().await && !budget.spend(1).await && budget.is_stopped());
    }
}
