//! The audit: what was done by whom, read back by day.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::{StreamExt as _, stream};
use tokio::sync::oneshot;

use super::chain::{Break, breaks};
use super::event::Event;
use super::journal::{self, AT_ONCE, Place, Waiting};
use super::{Ledger, LedgerError, lock};

/// Segments of which one look at the audit reads at most.
pub const MOST_SEGMENTS: usize = 20_000;

/// An event with its place in the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place: instance, segment and position. Unique, and stays the same.
    pub id: String,
    /// What was done.
    pub event: Event,
}

/// Events of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditDay {
    /// The events, newest first.
    pub entries: Vec<AuditEntry>,
    /// Where chains are broken within the day.
    pub breaks: Vec<Break>,
}

/// What a check of all chains found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Chains: processes that ever wrote.
    pub chains: u64,
    /// Segments read.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Where chains are broken.
    pub breaks: Vec<Break>,
    /// Whether all was read; else only the first [`MOST_SEGMENTS`] segments.
    pub whole: bool,
}

impl Ledger {
    /// Writes an event, and returns when the bucket has it.
    ///
    /// # Errors
    /// See [`LedgerError`]: the act should then not count as done.
    pub async fn audit(&self, event: &Event) -> Result<(), LedgerError> {
        let (done, answer) = oneshot::channel();
        self.send(event, Some(done))?;
        journal::answered(answer).await
    }

    /// Writes an event soon, and waits for nothing: for what must not be held up, such as
    /// refused sign-ins. What cannot be written is in the log.
    pub fn note(&self, event: &Event) {
        if let Err(error) = self.send(event, None) {
            tracing::error!(%error, act = event.act, actor = event.actor, "an event of the audit is lost");
        }
    }

    fn send(
        &self,
        event: &Event,
        done: Option<oneshot::Sender<Result<(), LedgerError>>>,
    ) -> Result<(), LedgerError> {
        self.writable()?;
        let waiting = Waiting {
            client: event.client,
            entry: serde_json::to_value(event).unwrap_or_default(),
            done,
        };
        self.0
            .audit
            .try_send(waiting)
            .map_err(|_| LedgerError::Closed("too many events wait for the audit".to_owned()))
    }

    /// The days that have events, latest first: `2026-11-23`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn audit_days(&self) -> Result<Vec<String>, LedgerError> {
        self.area()?;
        let folders = self.0.params.store.folders("audit/").await?;
        let mut days: Vec<String> = folders
            .iter()
            .filter_map(|folder| folder.strip_prefix("audit/")?.strip_suffix('/'))
            .map(str::to_owned)
            .collect();
        days.sort_unstable_by(|one, two| two.cmp(one));
        Ok(days)
    }

    /// The events of a day, as [`audit_days`](Self::audit_days) names it, with the addresses
    /// they came from as long as those are kept.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn audit_day(&self, day: &str) -> Result<AuditDay, LedgerError> {
        let (segments, _) = self
            .segments(&format!("audit/{day}/"), MOST_SEGMENTS)
            .await?;
        let clients = self.clients(day).await?;
        let mut entries = Vec::new();
        for segment in &segments {
            let Ok(content) = &segment.content else {
                continue;
            };
            let known = clients.get(&(segment.instance.clone(), segment.number));
            let events: Vec<Event> = journal::entries(&content.segment);
            for (at, mut event) in events.into_iter().enumerate() {
                event.client = known.and_then(|known| known.get(&at)?.parse::<IpAddr>().ok());
                let id = format!("{}-{}-{at}", segment.instance, segment.number);
                let place = (segment.instance.clone(), segment.number, at);
                entries.push((place, AuditEntry { id, event }));
            }
        }
        // Within a second by place, whose numbers count: the tenth comes after the second.
        entries
            .sort_by(|(there, one), (here, two)| (two.event.at, here).cmp(&(one.event.at, there)));
        Ok(AuditDay {
            entries: entries.into_iter().map(|(_, entry)| entry).collect(),
            breaks: breaks(&Place::Audit, &segments, &BTreeMap::new(), false),
        })
    }

    /// Checks every chain of the audit from its beginning to the end that was seen.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn check_audit(&self) -> Result<ChainReport, LedgerError> {
        let heads = lock(&self.0.memory).chains.clone();
        let (segments, whole) = self.segments("audit/", MOST_SEGMENTS).await?;
        let chains: std::collections::BTreeSet<_> =
            segments.iter().map(|segment| &segment.instance).collect();
        let events = segments
            .iter()
            .filter_map(|segment| segment.content.as_ref().ok())
            .map(|content| content.segment.entries.len() as u64)
            .sum();
        Ok(ChainReport {
            chains: chains.len() as u64,
            segments: segments.len() as u64,
            events,
            breaks: if whole {
                breaks(&Place::Audit, &segments, &heads, true)
            } else {
                breaks(&Place::Audit, &segments, &BTreeMap::new(), false)
            },
            whole,
        })
    }

    /// Addresses by segment and position. What does not open is as if it were gone.
    async fn clients(
        &self,
        day: &str,
    ) -> Result<BTreeMap<(Box<str>, u64), BTreeMap<usize, String>>, LedgerError> {
        let area = self.area()?;
        let store = &self.0.params.store;
        let listing = store.list(&format!("{}{day}/", journal::CLIENTS)).await?;
        let mut reads = stream::iter(listing.into_iter().take(MOST_SEGMENTS))
            .map(|meta| async move {
                let (instance, number) = journal::place_of(&meta.key)?;
                let stored = store.get(&meta.key).await.ok()??;
                let full = format!("{}{}", store.prefix(), meta.key);
                let opened = area.sealer.open(&full, &stored.bytes).ok()?;
                let clients = serde_json::from_slice(&opened.plain).ok()?;
                Some(((Box::from(instance), number), clients))
            })
            .buffered(AT_ONCE);
        let mut clients = BTreeMap::new();
        while let Some(read) = reads.next().await {
            clients.extend(read);
        }
        Ok(clients)
    }
}
