//! Append-only segments: the audit, and receipts.
//!
//! Each process writes a chain of its own, so that no two writers ever meet: segment after
//! segment, each sealed under its own key and naming the hash of what the one before says. Altered,
//! swapped and copied segments do not open; a missing one leaves a gap; a cut end is noticed
//! by the memory, which holds the number and hash of each chain's last segment.
//!
//! Who appends waits for the bucket. What comes while a segment is being written goes into
//! the next one together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::chain::{Content, ReadSegment};
use super::memory::Head;
use super::store::When;
use super::{Area, Ledger, LedgerError, lock, seal};
use crate::bucket::ObjectMeta;

/// Entries in a segment at most.
const MOST_ENTRIES: usize = 512;
/// Entries that wait at most; after that appending fails at once.
pub(super) const MOST_WAITING: usize = 8192;
/// Segments fetched at once.
pub(super) const AT_ONCE: usize = 16;
/// How long who appends waits for the bucket.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to write one.
const AGAIN: Duration = Duration::from_secs(3);

/// A segment's contents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// Its number in the chain, from 0.
    pub(super) number: u64,
    /// The hash of the segment before; empty for the first.
    pub(super) previous: String,
    /// What was appended.
    pub(super) entries: Vec<Value>,
}

/// One entry on its way.
pub(super) struct Waiting {
    pub(super) entry: Value,
    /// Where it came from, kept apart.
    pub(super) client: Option<std::net::IpAddr>,
    pub(super) done: Option<oneshot::Sender<Result<(), LedgerError>>>,
}

/// Where the segments of a journal lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `audit/DAY/INSTANCE/N`.
    Audit,
    /// `caches/SLUG/receipts/INSTANCE/N`.
    Receipts(String),
}

impl Place {
    /// What every segment's key begins with.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::Audit => "audit/".to_owned(),
            Self::Receipts(slug) => format!("caches/{slug}/receipts/"),
        }
    }

    /// The folder of new segments, without the instance.
    fn folder(&self, now: OffsetDateTime) -> String {
        match self {
            Self::Audit => format!("audit/{}/", day(now)),
            Self::Receipts(_) => self.prefix(),
        }
    }

    /// The name of a chain in the memory.
    pub(super) fn chain(&self, instance: &str) -> String {
        format!("{}{instance}", self.prefix())
    }
}

/// `2026-11-23`.
pub(super) fn day(at: OffsetDateTime) -> String {
    let date = at.to_offset(time::UtcOffset::UTC).date();
    format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

/// The folder of client addresses, beside the audit.
pub(super) const CLIENTS: &str = "clients/";

/// Writes what is appended, until the ledger is closed.
pub(super) async fn write(ledger: Ledger, place: Place, mut inbox: mpsc::Receiver<Waiting>) {
    let mut chain = Chain::default();
    let mut batch = Vec::new();
    let stop = ledger.0.stop.clone();
    loop {
        let came = tokio::select! {
            biased;
            came = inbox.recv_many(&mut batch, MOST_ENTRIES) => came,
            () = stop.cancelled() => {
                inbox.close();
                inbox.recv_many(&mut batch, MOST_ENTRIES).await
            }
        };
        if came == 0 {
            return;
        }
        let (entries, clients) = split(&batch);
        let mut waiting = std::mem::take(&mut batch);
        let prepared = match ledger.prepare(&place, &chain, entries, &clients) {
            Ok(prepared) => prepared,
            Err(error) => {
                answer(&mut waiting, &Err(error));
                continue;
            }
        };
        // Once sent, a segment may land at any time: its number is never given to another, and
        // the same bytes are sent until they are there.
        loop {
            match ledger.put_segment(&place, &prepared).await {
                Ok(()) => {
                    chain.next += 1;
                    chain.previous.clone_from(&prepared.hash);
                    answer(&mut waiting, &Ok(()));
                    break;
                }
                Err(error) => {
                    answer(&mut waiting, &Err(error.clone()));
                    if !error.is_retryable() {
                        break;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

/// Waits for the answer to what was appended, and not for ever.
pub(super) async fn answered(
    answer: oneshot::Receiver<Result<(), LedgerError>>,
) -> Result<(), LedgerError> {
    let closed = |what: &str| Err(LedgerError::Closed(what.to_owned()));
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => closed("the server is shutting down"),
        Err(_) => closed("the bucket does not take it for now"),
    }
}

/// Where this process's chain stands.
#[derive(Default)]
struct Chain {
    next: u64,
    previous: String,
}

/// A segment on its way, with its addresses.
struct Prepared {
    key: String,
    number: u64,
    sealed: bytes::Bytes,
    hash: String,
    clients: Option<(String, bytes::Bytes)>,
}

/// Tells those who wait, once.
fn answer(waiting: &mut Vec<Waiting>, outcome: &Result<(), LedgerError>) {
    for waiting in waiting.drain(..) {
        match (waiting.done, outcome) {
            // Who has left does not wait.
            (Some(done), _) => drop(done.send(outcome.clone())),
            (None, Err(error)) => {
                tracing::error!(%error, entry = %waiting.entry, "an entry is not written yet");
            }
            (None, Ok(())) => {}
        }
    }
}

fn split(batch: &[Waiting]) -> (Vec<Value>, BTreeMap<usize, String>) {
    let entries = batch.iter().map(|waiting| waiting.entry.clone()).collect();
    let address = |(at, waiting): (usize, &Waiting)| Some((at, waiting.client?.to_string()));
    (
        entries,
        batch.iter().enumerate().filter_map(address).collect(),
    )
}

impl Ledger {
    /// Seals a segment. Nothing is sent.
    fn prepare(
        &self,
        place: &Place,
        chain: &Chain,
        entries: Vec<Value>,
        clients: &BTreeMap<usize, String>,
    ) -> Result<Prepared, LedgerError> {
        let area = self.writable()?;
        let now = OffsetDateTime::now_utc();
        let number = chain.next;
        let segment = Segment {
            number,
            previous: chain.previous.clone(),
            entries,
        };
        let key = format!("{}{}/{number:08}", place.folder(now), self.instance());
        let plain = serde_json::to_vec(&segment).unwrap_or_default();
        let sealed = self.seal_plain(area, &key, number + 1, &plain)?;
        let clients = if clients.is_empty() {
            None
        } else {
            let key = format!("{CLIENTS}{}/{}/{number:08}", day(now), self.instance());
            let plain = serde_json::to_vec(clients).unwrap_or_default();
            let sealed = self.seal_plain(area, &key, 1, &plain)?;
            Some((key, sealed))
        };
        Ok(Prepared {
            key,
            number,
            hash: hash_of(&plain),
            sealed,
            clients,
        })
    }

    /// Sends a segment.
    async fn put_segment(&self, place: &Place, prepared: &Prepared) -> Result<(), LedgerError> {
        let store = &self.0.params.store;
        let sealed = prepared.sealed.clone();
        store.put(&prepared.key, sealed, &When::Always).await?;
        let head = Head {
            number: prepared.number,
            hash: prepared.hash.clone(),
        };
        lock(&self.0.memory).grown(&place.chain(self.instance()), head);
        if let Some((key, sealed)) = &prepared.clients
            && let Err(error) = store.put(key, sealed.clone(), &When::Always).await
        {
            tracing::warn!(%error, "the addresses of an audit segment could not be written");
        }
        Ok(())
    }

    pub(super) fn seal_plain(
        &self,
        area: &Area,
        key: &str,
        sequence: u64,
        plain: &[u8],
    ) -> Result<bytes::Bytes, LedgerError> {
        let full = format!("{}{key}", self.0.params.store.prefix());
        Ok(area.sealer.seal(&full, sequence, plain)?)
    }

    /// The segments below a prefix, at most so many, and whether that is all.
    pub(super) async fn segments(
        &self,
        prefix: &str,
        most: usize,
    ) -> Result<(Vec<ReadSegment>, bool), LedgerError> {
        self.area()?;
        let mut listing = self.0.params.store.list(prefix).await?;
        let whole = listing.len() <= most;
        listing.truncate(most);
        Ok((self.read_segments(listing).await?, whole))
    }

    /// The segments below a prefix that were written last, so many at most, in no order that means anything.
    pub(super) async fn latest_segments(
        &self,
        prefix: &str,
        most: usize,
    ) -> Result<Vec<ReadSegment>, LedgerError> {
        self.area()?;
        let mut listing = self.0.params.store.list(prefix).await?;
        listing.sort_by_key(|meta| std::cmp::Reverse(meta.last_modified));
        listing.truncate(most);
        self.read_segments(listing).await
    }

    /// The segments below a prefix that are behind those that are known, the last of each chain.
    pub(super) async fn segments_after(
        &self,
        prefix: &str,
        known: &BTreeMap<Box<str>, u64>,
    ) -> Result<Vec<ReadSegment>, LedgerError> {
        self.area()?;
        let mut listing = self.0.params.store.list(prefix).await?;
        listing.retain(|meta| {
            place_of(&meta.key).is_some_and(|(instance, number)| {
                known.get(instance).is_none_or(|last| number > *last)
            })
        });
        self.read_segments(listing).await
    }

    async fn read_segments(
        &self,
        listing: Vec<ObjectMeta>,
    ) -> Result<Vec<ReadSegment>, LedgerError> {
        let mut reads = stream::iter(listing)
            .map(|meta| async move { self.read_segment(&meta.key).await })
            .buffered(AT_ONCE);
        let mut segments = Vec::new();
        while let Some(read) = reads.next().await {
            segments.extend(read?);
        }
        Ok(segments)
    }

    /// Reads a segment. What cannot be believed is a text, what may pass is an error.
    async fn read_segment(&self, key: &str) -> Result<Option<ReadSegment>, LedgerError> {
        let area = self.area()?;
        let Some((instance, number)) = place_of(key) else {
            return Ok(None);
        };
        let Some(stored) = self.0.params.store.get(key).await? else {
            return Ok(None);
        };
        let full = format!("{}{key}", self.0.params.store.prefix());
        let content = area
            .sealer
            .open(&full, &stored.bytes)
            .map_err(|error| error.to_string())
            .and_then(|opened| {
                let segment: Segment =
                    serde_json::from_slice(&opened.plain).map_err(|error| error.to_string())?;
                if segment.number != number {
                    return Err("it has another number".to_owned());
                }
                Ok(Content {
                    segment: Arc::new(segment),
                    hash: hash_of(&opened.plain),
                })
            });
        Ok(Some(ReadSegment {
            instance: instance.into(),
            number,
            content,
        }))
    }
}

fn hash_of(plain: &[u8]) -> String {
    seal::hex(&Sha256::digest(plain.trim_ascii_end()))
}

/// Instance and number of a segment's key.
pub(super) fn place_of(key: &str) -> Option<(&str, u64)> {
    let mut parts = key.rsplit('/');
    let number = parts.next()?;
    let instance = parts.next()?;
    let fine = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| number.parse().ok())?
        .map(|number| (instance, number))
}

/// Entries of a segment as their type; what cannot be read is left out.
pub(super) fn entries<T: DeserializeOwned>(segment: &Segment) -> Vec<T> {
    let read = |entry: &Value| T::deserialize(entry).ok();
    segment.entries.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_whose_segment_it_is() {
        assert_eq!(place_of("audit/2026-11-23/ab/00000007"), Some(("ab", 7)));
        assert_eq!(place_of("audit/2026-11-23/ab/7"), None);
        assert_eq!(place_of("x"), None);
    }
}
