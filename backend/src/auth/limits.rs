//! Limits on how often and how much at once.
//!
//! *Per address*, for what guesses or computes: signing in, and, for strangers, looking a pasted line up,
//! searching the paths, and walking the graph. Nothing else of the API counts. A bucket that
//! fills at a steady rate; an IPv6 neighbour counts by its /64, because one machine has all of it.
//! *Per token*, for the Nix protocol: how many requests at once, never how many a minute, so that
//! a company behind one address is not locked out. Public narinfos have no limit of their own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is limited by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once after a pause.
    pub burst: u32,
    /// The time in which one more is allowed.
    pub every: Duration,
}

/// Signing in, using links, exchanging identities: a person needs few, a fleet of CI jobs behind
/// one address starts dozens at the same minute.
pub const SIGN_IN: Rate = Rate {
    burst: 60,
    every: Duration::from_millis(500),
};

/// Searches, lookups and queries on the graph, by strangers: a page makes several at once, typing makes some a second.
pub const QUERIES: Rate = Rate {
    burst: 400,
    every: Duration::from_millis(20),
};

/// Addresses that are remembered at most; the fullest buckets are forgotten first.
const MOST: usize = 50_000;

/// Counts by address.
#[derive(Debug)]
pub struct PerAddress {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Spent>>,
}

/// When the bucket will be full again.
#[derive(Debug, Clone, Copy)]
struct Spent {
    full_at: Instant,
}

impl PerAddress {
    /// A limit of this rate.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// Where there is none left: how long until there is one.
    pub fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.take_at(address, Instant::now())
    }

    fn take_at(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let whole = self.rate.every * self.rate.burst;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST {
            buckets.retain(|_, spent| spent.full_at > now);
            if buckets.len() >= MOST {
                // An attack from everywhere. Half of them start anew rather than nobody being counted.
                let mut keep = false;
                buckets.retain(|_, _| {
                    keep = !keep;
                    keep
                });
            }
        }
        let spent = buckets
            .entry(neighbourhood(address))
            .or_insert(Spent { full_at: now });
        let full_at = spent.full_at.max(now) + self.rate.every;
        let debt = full_at - now;
        if debt > whole {
            return Err(debt - whole);
        }
        spent.full_at = full_at;
        Ok(())
    }
}

/// The address, or the first half of it where that is one machine's.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() >> 64 << 64;
            IpAddr::V6(bits.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Requests of one token at once: ten clients with their 25 connections each.
pub const AT_ONCE: usize = 256;
/// How long a request waits for its turn before it is refused.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests under way, by token.
#[derive(Debug, Default)]
pub struct PerToken(Mutex<HashMap<String, Arc<Semaphore>>>);

impl PerToken {
    /// Waits for a turn; it lasts as long as the permit is held.
    ///
    /// Waiting, not 429: Nix answers a 429 by sleeping for a minute (PROTOCOL.md §10).
    pub async fn turn(&self, token: &str) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST {
                all.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            Arc::clone(
                all.entry(token.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))),
            )
        };
        tokio::time::timeout(PATIENCE, turns.acquire_owned())
            .await
            .ok()?
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_a_steady_rate() {
        let limit = PerAddress::new(Rate {
            burst: 3,
            every: Duration::from_secs(10),
        });
        let (alice, bob) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.take_at(alice, start), Ok(()));
        }
        assert_eq!(limit.take_at(alice, start), Err(Duration::from_secs(10)));
        assert_eq!(
            limit.take_at(bob, start),
            Ok(()),
            "others are not concerned"
        );
        let later = start + Duration::from_secs(10);
        assert_eq!(limit.take_at(alice, later), Ok(()));
        assert!(limit.take_at(alice, later).is_err());
    }

    #[test]
    fn a_machine_with_many_addresses_is_one() {
        let limit = PerAddress::new(Rate {
            burst: 1,
            every: Duration::from_secs(10),
        });
        let now = Instant::now();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(limit.take_at(address("2001:db8::1"), now).is_ok());
        assert!(limit.take_at(address("2001:db8::ffff:1"), now).is_err());
        assert!(limit.take_at(address("2001:db8:0:1::1"), now).is_ok());
        assert!(limit.take_at(address("::ffff:192.0.2.1"), now).is_ok());
        assert!(limit.take_at(address("192.0.2.1"), now).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limit = PerAddress::new(SIGN_IN);
        let now = Instant::now();
        for number in 0..u32::try_from(MOST + 10).expect("small") {
            let _ = limit.take_at(IpAddr::V4(number.into()), now);
        }
        assert!(limit.buckets.lock().expect("a map").len() <= MOST);
    }

    #[tokio::test]
    async fn turns_are_counted_for_each_token() {
        let turns = PerToken::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.turn("a").await.expect("a turn"));
        }
        tokio::time::timeout(Duration::from_millis(50), turns.turn("a"))
            .await
            .expect_err("no turn is left");
        assert!(turns.turn("b").await.is_some());
        held.pop();
        assert!(turns.turn("a").await.is_some());
    }
}
