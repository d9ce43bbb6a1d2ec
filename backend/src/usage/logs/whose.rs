//! Which requests of the bucket's logs are this server's own.
//!
//! A `User-Agent` says what a client likes, and who has keys of their own can sign links as well. Only
//! who signed a request cannot be claimed. So this server asks the bucket now and then for an object
//! that is not there, under a name that nobody can guess; the line that tells of it says as whom the
//! bucket knows us. Until one was read everything counts as a client's.

use serde::{Deserialize, Serialize};

use super::LogReader;
use super::read::AUTHOR;
use super::state::LogState;
use crate::bucket::Bucket;
use crate::config::LogFormat;
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::secrets;
use crate::usage::LogError;

/// Requesters that are remembered: a role has another one for each session.
const MOST: usize = 32;
/// Characters of one at most.
const LONGEST: usize = 512;

/// What this server's own requests are known by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Whose {
    /// What only this server and those beside it know; empty where none was made yet.
    mark: String,
    /// As whom the bucket knows us, the newest last.
    requesters: Vec<String>,
}

impl Whose {
    /// The object that only we ask for.
    pub(super) fn key(&self) -> Option<String> {
        let known = !self.mark.is_empty();
        known.then(|| format!(".snowbank/whose-{}", self.mark))
    }

    /// Whether this is one of us.
    pub(super) fn has(&self, requester: &str) -> bool {
        self.requesters.iter().any(|known| known == requester)
    }

    /// Takes over who asked for our object.
    pub(super) fn learn(&mut self, requester: &str) {
        if requester.is_empty() || requester.len() > LONGEST {
            return;
        }
        self.requesters.retain(|known| known != requester);
        self.requesters.push(requester.to_owned());
        let gone = self.requesters.len().saturating_sub(MOST);
        self.requesters.drain(..gone);
    }

    /// Takes over what others learned.
    pub(super) fn add(&mut self, other: &Self) {
        for requester in &other.requesters {
            self.learn(requester);
        }
    }
}

impl LogReader {
    /// Asks the cache's bucket for what only we ask for, so that its logs will say who we are. Of a CDN
    /// there is nothing to ask: no request of ours goes through it.
    ///
    /// # Errors
    /// Where the name cannot be made or written down. What the bucket answers is of no matter.
    pub async fn show(&self, ledger: &Ledger, slug: &str, bucket: &Bucket) -> Result<(), LogError> {
        if self.format() != LogFormat::S3 {
            return Ok(());
        }
        let scope = Scope::Cache(slug);
        let known = ledger.view().get::<LogState>(scope, &RecordId::only());
        let key = match known.and_then(|state| state.whose.key()) {
            Some(key) => Some(key),
            None => self.make_mark(ledger, scope).await?,
        };
        if let Some(key) = key {
            // That it is not there, or may not be looked for, is what the line says too.
            let _ = bucket.get(&key).await;
        }
        Ok(())
    }

    async fn make_mark(
        &self,
        ledger: &Ledger,
        scope: Scope<'_>,
    ) -> Result<Option<String>, LogError> {
        let random: [u8; 16] = secrets::random().map_err(|_| LogError::Stopped)?;
        let mark = format!("{:032x}", u128::from_be_bytes(random));
        let change = |current: Option<&LogState>| {
            let mut state = current.cloned().unwrap_or_default().of(&self.place());
            // Another server may have been first.
            if state.whose.mark.is_empty() {
                state.whose.mark.clone_from(&mark);
            }
            Ok::<_, LedgerError>(state)
        };
        let entry = ledger.put(scope, &RecordId::only(), AUTHOR, change).await?;
        Ok(entry.whose.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_we_are_is_remembered_up_to_a_number_the_newest_longest() {
        let mut whose = Whose::default();
        assert_eq!((whose.key(), whose.has("")), (None, false));
        for session in 0..MOST + 3 {
            whose.learn(&format!("session-{session}"));
            whose.learn("the-role");
        }
        whose.learn("");
        whose.learn(&"x".repeat(LONGEST + 1));
        assert_eq!(whose.requesters.len(), MOST);
        assert!(whose.has("the-role") && whose.has("session-34"));
        assert!(!whose.has("session-3") && !whose.has(""));
    }
}
