//! What the replicas tell each other: narinfos that one of them has just published.
//!
//! Each process has one bulletin, `records/bulletins/INSTANCE`: the latest changes, numbered.
//! The look that follows the records sees it change too, so that the others know within seconds
//! and ask the bucket for nothing more. A bulletin is a ring: who was away too long sees by the
//! numbers that something was missed, and sweeps.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::refresh::{BULLETINS, RECORDS};
use super::store::When;
use super::view::Token;
use super::{Ledger, LedgerError, lock};

/// Changes in a bulletin at most.
const MOST: usize = 2000;
/// How long one stays in it.
const KEPT: i64 = 600;
/// Between two versions of a bulletin at least.
const PACE: Duration = Duration::from_millis(500);

/// An object that a replica published, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The cache's slug.
    pub cache: String,
    /// The object's key in the cache, such as `HASH.narinfo`.
    pub key: String,
    /// When, seconds since 1970.
    pub at: i64,
}

/// What another replica tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An object changed.
    Changed(Change),
    /// More changed than was told: look for yourself.
    Missed,
}

/// The bulletin of a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Bulletin {
    /// The number of the first change that is still in it.
    first: u64,
    changes: VecDeque<Change>,
}

impl Bulletin {
    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        while self.changes.len() > MOST
            || self
                .changes
                .front()
                .is_some_and(|change| change.at + KEPT < now)
        {
            self.changes.pop_front();
            self.first += 1;
        }
    }
}

/// What this process tells, and what it heard.
#[derive(Debug, Default)]
pub(super) struct Talk {
    own: Bulletin,
    /// By other instances: the bulletin's version, and the number of the next change.
    heard: std::collections::BTreeMap<String, (Token, u64)>,
}

impl Ledger {
    /// Tells the other replicas that an object of a cache changed. Returns at once.
    pub fn announce(&self, cache: &str, key: &str) {
        lock(&self.0.talk).own.push(Change {
            cache: cache.to_owned(),
            key: key.to_owned(),
            at: OffsetDateTime::now_utc().unix_timestamp(),
        });
        self.0.talking.notify_one();
    }

    /// What the other replicas tell, from now on. A receiver that lags has missed something.
    pub fn news(&self) -> tokio::sync::broadcast::Receiver<News> {
        self.0.news.subscribe()
    }

    /// Writes the bulletin whenever there is something to tell.
    pub(super) async fn talk(self) {
        let stop = self.0.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.talking.notified() => {}
            }
            while let Err(error) = self.write_bulletin().await {
                tracing::debug!(%error, "what was published could not be told yet");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(self.0.params.pace.retry) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    async fn write_bulletin(&self) -> Result<(), LedgerError> {
        let area = self.writable()?;
        let key = format!("{RECORDS}{BULLETINS}{}", self.instance());
        let (plain, sequence) = {
            let talk = lock(&self.0.talk);
            let plain = serde_json::to_vec(&talk.own).unwrap_or_default();
            (plain, talk.own.next())
        };
        let sealed = self.seal_plain(area, &key, sequence, &plain)?;
        self.0.params.store.put(&key, sealed, &When::Always).await?;
        Ok(())
    }

    /// Reads another's bulletin where it changed, and passes on what is new.
    pub(super) async fn hear(&self, instance: &str, token: Token) -> Result<(), LedgerError> {
        if instance == self.instance() {
            return Ok(());
        }
        let expected = match lock(&self.0.talk).heard.get(instance) {
            Some((known, _)) if known.is_of(&token) => return Ok(()),
            Some((_, next)) => Some(*next),
            None => None,
        };
        let area = self.area()?;
        let key = format!("{RECORDS}{BULLETINS}{instance}");
        let Some(stored) = self.0.params.store.get(&key).await? else {
            return Ok(());
        };
        let full = format!("{}{key}", self.0.params.store.prefix());
        let bulletin = area
            .sealer
            .open(&full, &stored.bytes)
            .ok()
            .and_then(|opened| serde_json::from_slice::<Bulletin>(&opened.plain).ok());
        let Some(bulletin) = bulletin else {
            tracing::warn!(instance, "a bulletin does not verify and is ignored");
            let next = expected.unwrap_or_default();
            lock(&self.0.talk)
                .heard
                .insert(instance.to_owned(), (token, next));
            return Ok(());
        };
        // Of an instance never heard before, the own sweep saw what was before.
        let expected = expected.unwrap_or(bulletin.first);
        let mut news = Vec::new();
        if bulletin.first > expected {
            news.push(News::Missed);
        }
        let known = usize::try_from(expected.saturating_sub(bulletin.first)).unwrap_or(usize::MAX);
        news.extend(
            bulletin
                .changes
                .iter()
                .skip(known)
                .cloned()
                .map(News::Changed),
        );
        let next = bulletin.next().max(expected);
        lock(&self.0.talk)
            .heard
            .insert(instance.to_owned(), (token, next));
        for one in news {
            // Nobody may be listening.
            let _ = self.0.news.send(one);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulletin_keeps_the_latest_and_its_numbers_go_on() {
        let mut bulletin = Bulletin::default();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let change = |at| Change {
            cache: "main".to_owned(),
            key: "k".to_owned(),
            at,
        };
        for _ in 0..MOST + 10 {
            bulletin.push(change(now));
        }
        assert_eq!((bulletin.first, bulletin.changes.len()), (10, MOST));
        assert_eq!(bulletin.next(), MOST as u64 + 10);
        let mut old = Bulletin::default();
        old.push(change(now - KEPT - 1));
        old.push(change(now));
        assert_eq!((old.first, old.next()), (1, 2));
    }
}
