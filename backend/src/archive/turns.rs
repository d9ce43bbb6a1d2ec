//! Whose turn it is to have a file or a log unpacked.
//!
//! Only a few are unpacked at once, and each takes as long as its reader. So nobody has more than a
//! share of the turns, and those whom we do not know never have all of them. Archives that are read
//! from end to end, for what is in them, have a lane for each of the two.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ArchiveError;
use crate::auth::limits::neighbourhood;

/// Turns of a cache at once.
const AT_ONCE: usize = 6;
/// Of these for strangers, all together.
const FOR_STRANGERS: usize = 4;
/// For one reader.
const FOR_ONE: usize = 2;
/// How long one waits for a turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Readers that are remembered before those that have no turn are forgotten.
const REMEMBERED: usize = 256;

/// Who wants something unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reader {
    /// Somebody at this address, or near it.
    Stranger(IpAddr),
    /// Somebody whom we know, as the audit names them.
    Known(String),
}

impl Reader {
    /// Somebody of whom nothing but the address is known.
    pub fn stranger(address: IpAddr) -> Self {
        Self::Stranger(neighbourhood(address))
    }

    /// Whether it is somebody of whom nothing but the address is known.
    pub fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

/// Where archives are read from end to end, one after the other: those that strangers asked about,
/// and beside them those that others did.
#[derive(Debug)]
pub(super) struct Lanes {
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            known: Arc::new(Semaphore::new(1)),
            strangers: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Lanes {
    /// The lane of a reader.
    pub(super) fn of(&self, reader: &Reader) -> Arc<Semaphore> {
        Arc::clone(match reader {
            Reader::Stranger(_) => &self.strangers,
            Reader::Known(_) => &self.known,
        })
    }
}

/// The turns.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    shares: Mutex<HashMap<Reader, Arc<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            strangers: Arc::new(Semaphore::new(FOR_STRANGERS)),
            shares: Mutex::default(),
        }
    }
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _strangers: Option<OwnedSemaphorePermit>,
    _share: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits for a turn.
    ///
    /// # Errors
    /// [`ArchiveError::Busy`] where none came in time.
    pub(super) async fn turn(&self, reader: &Reader) -> Result<Turn, ArchiveError> {
        tokio::time::timeout(PATIENCE, self.next(reader))
            .await
            .ok()
            .flatten()
            .ok_or(ArchiveError::Busy)
    }

    async fn next(&self, reader: &Reader) -> Option<Turn> {
        // The own share first: who waits for it is in nobody's way.
        let share = self.share(reader).acquire_owned().await.ok()?;
        let strangers = match reader {
            Reader::Stranger(_) => Some(Arc::clone(&self.strangers).acquire_owned().await.ok()?),
            Reader::Known(_) => None,
        };
        Some(Turn {
            _all: Arc::clone(&self.all).acquire_owned().await.ok()?,
            _strangers: strangers,
            _share: share,
        })
    }

    fn share(&self, reader: &Reader) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= REMEMBERED {
            // A permit holds its semaphore too.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = shares
            .entry(reader.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(FOR_ONE)));
        Arc::clone(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns that are to be had at once.
    async fn had(turns: &Turns, reader: &Reader) -> Vec<Turn> {
        let mut had = Vec::new();
        while let Ok(Some(turn)) =
            tokio::time::timeout(Duration::from_millis(50), turns.next(reader)).await
        {
            had.push(turn);
        }
        had
    }

    #[tokio::test]
    async fn strangers_never_have_all_turns_and_nobody_more_than_a_share() {
        let turns = Turns::default();
        let stranger = |last| Reader::stranger([192, 0, 2, last].into());
        let mut held = Vec::new();
        for last in 1..=FOR_STRANGERS as u8 {
            held.extend(had(&turns, &stranger(last)).await);
        }
        assert_eq!(held.len(), FOR_STRANGERS);
        let alice = Reader::Known("member:alice".to_owned());
        let hers = had(&turns, &alice).await;
        assert_eq!(hers.len(), FOR_ONE);
        held.clear();
        assert_eq!(had(&turns, &stranger(9)).await.len(), FOR_ONE);
        assert_eq!(had(&turns, &alice).await.len(), 0);
        drop(hers);
        assert_eq!(had(&turns, &alice).await.len(), FOR_ONE);
    }

    #[tokio::test]
    async fn who_has_no_turn_is_forgotten() {
        let turns = Turns::default();
        let kept = Reader::Known("kept".to_owned());
        let _held = turns.turn(&kept).await.expect("a turn");
        for number in 0..2 * REMEMBERED {
            let reader = Reader::Known(number.to_string());
            turns.turn(&reader).await.expect("a turn");
        }
        let shares = turns.shares.lock().expect("a map");
        assert!(shares.len() <= REMEMBERED && shares.contains_key(&kept));
    }
}
