//! Upkeep: the witness, and taking away what no longer counts.
//!
//! Any replica that may write does it, each a little later than the other. Nothing here is
//! needed for what is believed to be right.

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::journal::{CLIENTS, day};
use super::refresh::{BULLETINS, RECORDS, TOMBSTONES, WITNESS};
use super::store::When;
use super::{Ledger, LedgerError, lock};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(300);
/// Between two looks at who may read and write the area.
const AREA: Duration = Duration::from_secs(60);
/// The witness is written so long after something was learnt that it does not know.
const WITNESS_AFTER: Duration = Duration::from_secs(5);
/// An expired record stays so long, so that nobody's clock matters.
const EXPIRED_FOR: i64 = 86_400;
/// A bulletin or a probe that did not change for so long is of a process that has ended.
const ENDED_FOR: time::Duration = time::Duration::hours(2);
/// Deletions in a round at most.
const MOST: usize = 1000;

/// When what is due.
#[derive(Debug, Default)]
pub(super) struct Due {
    witness: Option<Instant>,
    round: Option<Instant>,
    area: Option<Instant>,
}

impl Ledger {
    /// Does what is due. Failing is for the next time.
    pub(super) async fn upkeep(&self, due: &mut Due) {
        let now = Instant::now();
        if due.area.is_none_or(|at| at <= now) {
            let is_first = due.area.is_none();
            due.area = Some(now + AREA);
            if !is_first {
                self.look_at_area().await;
            }
        }
        if self.writable().is_err() {
            return;
        }
        let is_behind = {
            let memory = lock(&self.0.memory);
            let witness = lock(&self.0.witness);
            !witness
                .as_ref()
                .is_some_and(|(_, known)| known.covers(&memory))
        };
        match (is_behind, due.witness) {
            (false, _) => due.witness = None,
            (true, None) => due.witness = Some(now + WITNESS_AFTER),
            (true, Some(at)) if at <= now => {
                due.witness = None;
                if let Err(error) = self.write_witness().await {
                    tracing::debug!(%error, "the witness could not be written");
                }
            }
            (true, Some(_)) => {}
        }
        if due.round.is_none_or(|at| at <= now) {
            // The first round waits too: a start has better things to do.
            let is_first = due.round.is_none();
            due.round = Some(now + ROUND);
            if !is_first && let Err(error) = self.tidy().await {
                tracing::debug!(%error, "the upkeep of the ledger did not come to its end");
            }
        }
    }

    /// Writes what this replica remembers where every replica can learn it. What the others know
    /// and this one does not was merged when the witness was read.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn write_witness(&self) -> Result<(), LedgerError> {
        let area = self.writable()?;
        let memory = {
            let mut memory = lock(&self.0.memory);
            memory.witness += 1;
            memory.clone()
        };
        let key = format!("{RECORDS}{WITNESS}");
        let plain = serde_json::to_vec(&memory).unwrap_or_default();
        let sealed = self.seal_plain(area, &key, memory.witness, &plain)?;
        let size = sealed.len();
        let written = self.0.params.store.put(&key, sealed, &When::Always).await?;
        let token = super::view::Token::written(size, written.etag);
        *lock(&self.0.witness) = Some((token, memory));
        Ok(())
    }

    /// Takes away what no longer counts.
    ///
    /// # Errors
    /// See [`LedgerError`]; what was taken away stays away.
    pub async fn tidy(&self) -> Result<(), LedgerError> {
        self.writable()?;
        let now = OffsetDateTime::now_utc();
        let view = self.view();
        let long_expired = |expires: Option<i64>| {
            expires.is_some_and(|at| at + EXPIRED_FOR < now.unix_timestamp())
        };
        let records = view
            .slots
            .iter()
            .filter(|(path, slot)| {
                slot.token.is_some()
                    && (view.graves.contains_key(*path)
                        || slot
                            .believed
                            .as_ref()
                            .is_some_and(|it| long_expired(it.envelope.expires)))
            })
            .map(|(path, _)| format!("{RECORDS}{path}"));
        let graves = view
            .graves
            .iter()
            .filter(|(_, grave)| grave.token.is_some() && long_expired(grave.expires))
            .map(|(path, _)| format!("{RECORDS}{TOMBSTONES}{path}"));
        // Records before their tombstones.
        let mut gone: Vec<String> = records.chain(graves).take(MOST).collect();
        let store = &self.0.params.store;
        for prefix in [format!("{RECORDS}{BULLETINS}"), "probe/".to_owned()] {
            for meta in store.list(&prefix).await? {
                let ended = meta.last_modified.is_some_and(|at| at + ENDED_FOR < now);
                if ended && !meta.key.ends_with(self.instance()) {
                    gone.push(meta.key);
                }
            }
        }
        let keep =
            time::Duration::try_from(self.0.params.client_addresses).unwrap_or(time::Duration::MAX);
        let oldest = now.checked_sub(keep).map_or_else(String::new, day);
        for folder in store.folders(CLIENTS).await? {
            let of = folder.trim_start_matches(CLIENTS).trim_end_matches('/');
            if of < oldest.as_str() {
                let listing = store.list(&folder).await?;
                gone.extend(listing.into_iter().map(|meta| meta.key));
            }
        }
        gone.truncate(MOST);
        for key in gone {
            store.delete(&key).await?;
        }
        Ok(())
    }

    /// Whether the area can be written, tried on an object of one's own. For checks.
    ///
    /// # Errors
    /// What the bucket says.
    pub async fn try_writing(&self) -> Result<(), LedgerError> {
        let key = format!("probe/{}", self.instance());
        let store = &self.0.params.store;
        store
            .put(&key, Bytes::from_static(b"snowbank\n"), &When::Always)
            .await?;
        store.delete(&key).await?;
        Ok(())
    }
}
