//! Receipts: what was published, by whom, and what was proven about it.
//!
//! Append-only, batched, a chain for each process as the audit has. The newest receipt of a
//! path counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::ContentStatus;
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use tokio::sync::{mpsc, oneshot};

use super::chain::{Break, breaks};
use super::journal::{self, Place, Waiting};
use super::{Ledger, LedgerError, lock};

/// What is known of a path from the one who received it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The store path's hash part, 32 digits of nix32.
    pub path: String,
    /// `sha256:` and nix32.
    pub nar_hash: String,
    /// The NAR's key in the cache.
    pub nar_key: String,
    /// The NAR's tag, where the store gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_etag: Option<String>,
    /// The SHA-256 of the narinfo's bytes as they were published, in hex: other bytes found
    /// later were changed past the server.
    pub narinfo: String,
    /// Who put it: `member:…`, `machine:…`, `token:…`; for what others wrote into the bucket, `bucket`.
    pub by: String,
    /// The key that signed it, `name:base64`, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was first seen, seconds since 1970. Never moved by a rewrite.
    pub first_seen: i64,
    /// When its content was verified, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<i64>,
    /// How: `upload`, `check`, `background`, `counter-sign`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
    /// What its narinfo claimed of the archive when that was read, all fields together
    /// ([`claims_of`]), `sha256:` and nix32. Receipts of versions before this have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
    /// That the archive was read and is not the narinfo's. `verified_at` is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuted: Option<Refuted>,
}

impl Receipt {
    /// Whether it says how the path came. One that a later check wrote does not.
    pub fn is_of_arrival(&self) -> bool {
        let checked = self
            .verified_by
            .as_deref()
            .is_some_and(|how| how != "upload");
        !checked && self.refuted.is_none()
    }
}

/// A look at an archive that proved it to be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuted {
    /// When, seconds since 1970.
    pub at: i64,
    /// What it was found to be.
    pub content: ContentStatus,
}

/// Everything that a narinfo claims of its archive, as one hash. Signatures, references and what else
/// may change without the archive are left out.
pub fn claims_of(narinfo: &NarInfo) -> Sha256 {
    let file_hash = narinfo.file_hash().map(|hash| hash.to_string());
    let file_size = narinfo.file_size().map(|size| size.to_string());
    let text = format!(
        "{}\n{}\n{}\n{}\n{}\n{}",
        narinfo.nar_hash().to_nix32(),
        narinfo.nar_size(),
        file_hash.unwrap_or_default(),
        file_size.unwrap_or_default(),
        narinfo.compression(),
        // Last, for it alone could hold a line's end.
        narinfo.nar_key(),
    );
    Sha256::digest(text.as_bytes())
}

/// What was read of a cache's receipts already: the last segment of each chain, by instance.
#[derive(Debug, Clone, Default)]
pub struct ReadReceipts(BTreeMap<Box<str>, u64>);

/// Receipts of a cache, as they lie in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// Oldest first within each process's chain.
    pub receipts: Vec<Receipt>,
    /// Where chains are broken: what is missing is not proven.
    pub breaks: Vec<Break>,
}

impl Ledger {
    /// Appends a receipt, and returns when the bucket has it. Many at once share a segment.
    ///
    /// # Errors
    /// See [`LedgerError`]: the narinfo must then not be published.
    pub async fn receipt(&self, cache: &str, receipt: &Receipt) -> Result<(), LedgerError> {
        self.writable()?;
        let (done, answer) = oneshot::channel();
        let waiting = Waiting {
            entry: serde_json::to_value(receipt).unwrap_or_default(),
            client: None,
            done: Some(done),
        };
        self.receipts_of(cache)
            .try_send(waiting)
            .map_err(|_| LedgerError::Closed("too many receipts wait for the bucket".to_owned()))?;
        let written = journal::answered(answer).await;
        self.0.remembered.one_more();
        written
    }

    /// Every receipt of a cache, and where their chains are broken.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn receipts(&self, cache: &str) -> Result<Receipts, LedgerError> {
        let place = Place::Receipts(cache.to_owned());
        let heads = lock(&self.0.memory).chains.clone();
        let (segments, whole) = self.segments(&place.prefix(), usize::MAX).await?;
        let opened = segments
            .iter()
            .filter_map(|segment| segment.content.as_ref().ok());
        Ok(Receipts {
            receipts: opened
                .flat_map(|content| journal::entries(&content.segment))
                .collect(),
            breaks: breaks(&place, &segments, &heads, whole),
        })
    }

    /// The receipts of a cache that were written since the last call with this `read`, in no order that
    /// means anything. Where it fails nothing counts as read.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn new_receipts(
        &self,
        cache: &str,
        read: &mut ReadReceipts,
    ) -> Result<Vec<Receipt>, LedgerError> {
        let place = Place::Receipts(cache.to_owned());
        let segments = self.segments_after(&place.prefix(), &read.0).await?;
        let mut receipts = Vec::new();
        for segment in segments {
            if let Ok(content) = &segment.content {
                receipts.extend(journal::entries(&content.segment));
            }
            let last = read.0.entry(segment.instance).or_default();
            *last = (*last).max(segment.number);
        }
        Ok(receipts)
    }

    /// The receipts of a cache that were written last, latest first, so many at most.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn latest_receipts(
        &self,
        cache: &str,
        most: usize,
    ) -> Result<Vec<Receipt>, LedgerError> {
        let place = Place::Receipts(cache.to_owned());
        // Each segment has one at least.
        let segments = self.latest_segments(&place.prefix(), most).await?;
        let mut receipts: Vec<Receipt> = segments
            .iter()
            .filter_map(|segment| segment.content.as_ref().ok())
            .flat_map(|content| journal::entries(&content.segment))
            .collect();
        receipts.sort_by_key(|receipt: &Receipt| std::cmp::Reverse(receipt.first_seen));
        receipts.truncate(most);
        Ok(receipts)
    }

    /// The way to the writer of a cache's receipts, which begins with the first.
    fn receipts_of(&self, cache: &str) -> mpsc::Sender<Waiting> {
        let mut writers = lock(&self.0.receipts);
        if let Some(sender) = writers.get(cache) {
            return sender.clone();
        }
        let (sender, inbox) = mpsc::channel(journal::MOST_WAITING);
        let place = Place::Receipts(cache.to_owned());
        self.0
            .tasks
            .spawn(journal::write(self.clone(), place, inbox));
        writers.insert(cache.to_owned(), sender.clone());
        sender
    }
}
