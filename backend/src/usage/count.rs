//! What is counted of a time: sums, and how long answers took.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::usage::UsageCounts;

/// Microseconds above which all are alike: 12 days.
const LONGEST: u64 = 1 << 40;

/// How many answers took how long, in classes a quarter of a power of two wide: a percentile is known
/// to a fifth of its value, and classes of different times and servers add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(Vec<(u8, u64)>);

/// The class of a time in microseconds.
fn class(micros: u64) -> u8 {
    let micros = micros.min(LONGEST);
    if micros < 4 {
        return micros as u8;
    }
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    ((power - 1) * 4) as u8 + quarter as u8
}

/// The first time that lies above a class.
fn end_of(class: u8) -> u64 {
    let next = u64::from(class) + 1;
    if next < 4 {
        return next;
    }
    (4 + next % 4) << (next / 4 - 1)
}

impl Times {
    /// Counts an answer that took so many microseconds.
    pub fn note(&mut self, micros: u64) {
        self.put(class(micros), 1);
    }

    fn put(&mut self, class: u8, count: u64) {
        match self.0.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, (class, count)),
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            self.put(*class, *count);
        }
    }

    /// Microseconds within which so many of 100 were answered; `None` where there were none.
    pub fn percentile(&self, of_100: u64) -> Option<u64> {
        let all: u64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = (all * of_100).div_ceil(100).max(1);
        let mut seen = 0;
        for (class, count) in &self.0 {
            seen += count;
            if seen >= wanted {
                return Some(end_of(*class));
            }
        }
        None
    }
}

/// What was counted in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Narinfos that were there.
    pub hits: u64,
    /// Narinfos that were not there, or were held back.
    pub misses: u64,
    /// Those of `misses` that an upstream has.
    pub elsewhere: u64,
    /// NARs that were asked for and are there.
    pub nar_requests: u64,
    /// Bytes of NARs sent, or that clients were sent to the bucket for.
    pub nar_bytes: u64,
    /// Answers of 4xx that are neither a miss nor a refusal.
    pub client_errors: u64,
    /// Answers of 5xx.
    pub server_errors: u64,
    /// How long narinfos took.
    pub narinfo: Times,
    /// How long NARs took to begin.
    pub nar: Times,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.elsewhere += other.elsewhere;
        self.nar_requests += other.nar_requests;
        self.nar_bytes += other.nar_bytes;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.narinfo.add(&other.narinfo);
        self.nar.add(&other.nar);
    }

    /// As the API shows it.
    pub fn shown(&self) -> UsageCounts {
        UsageCounts {
            hits: self.hits,
            misses: self.misses,
            useful_misses: self.misses.saturating_sub(self.elsewhere),
            nar_requests: self.nar_requests,
            nar_bytes: self.nar_bytes,
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            narinfo_p50: self.narinfo.percentile(50),
            narinfo_p95: self.narinfo.percentile(95),
            nar_p50: self.nar.percentile(50),
            nar_p95: self.nar.percentile(95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_no_less_than_what_was_and_a_quarter_more_at_most() {
        for micros in [0, 1, 3, 4, 5, 7, 8, 100, 999, 65_535, 1 << 30, u64::MAX] {
            let mut times = Times::default();
            times.note(micros);
            let (real, told) = (micros.min(LONGEST), times.percentile(50).expect("one"));
            assert!(
                told > real && told <= real + real / 4 + 1,
                "{micros}: {told}"
            );
            assert_eq!(times.percentile(95), Some(told));
        }
        assert_eq!(Times::default().percentile(95), None);
    }

    #[test]
    fn times_of_two_servers_add_up() {
        let (mut one, mut two) = (Times::default(), Times::default());
        (0..90).for_each(|_| one.note(100));
        (0..10).for_each(|_| two.note(10_000));
        one.add(&two);
        assert_eq!(one.percentile(50), Some(112));
        assert_eq!(one.percentile(90), Some(112));
        assert!(one.percentile(95).is_some_and(|micros| micros > 10_000));
    }
}
