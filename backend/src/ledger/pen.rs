//! Who writes where the store ignores conditions: one process holds the pen.
//!
//! Each process that wants to write keeps a claim of its own, `writers/INSTANCE`, and renews it
//! every few seconds. No clock is compared: a claim lives as long as it changes. A process
//!
//! 1. writes its claim, then lists: of two that do so at once, at least one sees both;
//! 2. alone, takes the pen;
//! 3. beside another that lives and holds the pen, withdraws: a second writer refuses to start;
//! 4. beside another that lives and only claims, gives way to the lower instance;
//! 5. beside one that does not change for longer than a write of its may still be under way,
//!    removes that claim and takes the pen.
//!
//! Who holds the pen writes only within a short time of a renewal that succeeded, and stops
//! for good where its claim was removed: it was taken for dead.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::opening::{Phase, ReadOnly, Refusal};
use super::store::When;
use super::view::Token;
use super::{Area, Ledger, LedgerError, lock};

/// Where claims lie.
const CLAIMS: &str = "writers/";

/// The times of the pen. Every writer of an area must have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PenTimes {
    /// Between two renewals.
    pub beat: Duration,
    /// How long after the beginning of a renewal may be written.
    pub hold: Duration,
    /// After so long without a change a claim is dead. More than `hold` and the longest write.
    pub dead: Duration,
}

impl Default for PenTimes {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(3),
            hold: Duration::from_secs(8),
            dead: Duration::from_secs(30),
        }
    }
}

/// What a claim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Counts renewals.
    beat: u64,
    /// Whether it has the pen, or only wants it.
    holding: bool,
}

/// How waiting for the pen ended.
enum Outcome {
    Taken(Claim),
    Second(String),
}

impl Ledger {
    /// Takes the pen and keeps it; returns when it is lost or another has it.
    pub(super) async fn hold_pen(&self) {
        loop {
            match self.take_pen().await {
                Ok(Outcome::Taken(claim)) => {
                    self.say(&Phase::Open);
                    self.keep_pen(claim).await;
                    return;
                }
                Ok(Outcome::Second(instance)) => {
                    self.say(&Phase::Refused(Refusal::SecondWriter(instance)));
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the pen of the ledger cannot be had for now");
                    tokio::time::sleep(self.0.params.pen.beat).await;
                }
            }
        }
    }

    /// Whether a write may begin now, where there is a pen.
    pub(super) fn holds_pen(&self) -> bool {
        let renewed = *lock(&self.0.renewed);
        renewed.is_some_and(|at| at.elapsed() < self.0.params.pen.hold)
    }

    async fn take_pen(&self) -> Result<Outcome, LedgerError> {
        let times = self.0.params.pen;
        let mut claim = Claim {
            beat: 0,
            holding: false,
        };
        self.write_claim(&claim).await?;
        // By other claims: what it was, and since when.
        let mut seen: BTreeMap<String, (Token, Instant)> = BTreeMap::new();
        loop {
            let now = Instant::now();
            let others = self.other_claims().await?;
            seen.retain(|instance, _| others.contains_key(instance));
            for (instance, token) in others {
                let known = seen.get(&instance);
                let changed = known.is_some_and(|(known, _)| !known.is_of(&token));
                if changed
                    && let Some(theirs) = self.read_claim(&instance).await?
                    && (theirs.holding || instance.as_str() < self.instance())
                {
                    self.withdraw().await;
                    return Ok(Outcome::Second(instance));
                }
                if known.is_none() || changed {
                    seen.insert(instance, (token, now));
                }
            }
            let mut alive = false;
            for (instance, (_, since)) in &seen {
                if since.elapsed() < times.dead {
                    alive = true;
                } else {
                    tracing::info!(%instance, "a writer is gone for good; its claim is removed");
                    let key = format!("{CLAIMS}{instance}");
                    self.0.params.store.delete(&key).await?;
                }
            }
            if !alive {
                break;
            }
            tokio::time::sleep(times.beat).await;
            claim.beat += 1;
            self.write_claim(&claim).await?;
        }
        claim.holding = true;
        let began = Instant::now();
        self.write_claim(&claim).await?;
        *lock(&self.0.renewed) = Some(began);
        Ok(Outcome::Taken(claim))
    }

    async fn keep_pen(&self, mut claim: Claim) {
        loop {
            tokio::time::sleep(self.0.params.pen.beat).await;
            let began = Instant::now();
            let key = format!("{CLAIMS}{}", self.instance());
            let mine = self.0.params.store.get(&key).await;
            match mine {
                Ok(Some(_)) => {}
                Ok(None) => {
                    *lock(&self.0.renewed) = None;
                    self.say(&Phase::ReadOnly(ReadOnly::PenLost));
                    return;
                }
                // Without an answer the pen runs out by itself.
                Err(_) => continue,
            }
            claim.beat += 1;
            if self.write_claim(&claim).await.is_ok() {
                *lock(&self.0.renewed) = Some(began);
            }
        }
    }

    /// Gives the pen or the claim back.
    pub(super) async fn withdraw(&self) {
        *lock(&self.0.renewed) = None;
        let key = format!("{CLAIMS}{}", self.instance());
        if let Err(error) = self.0.params.store.delete(&key).await {
            tracing::warn!(%error, "a claim to the pen stays behind; the next writer waits for it to be dead");
        }
    }

    async fn write_claim(&self, claim: &Claim) -> Result<(), LedgerError> {
        let area: &Area = self.area()?;
        let key = format!("{CLAIMS}{}", self.instance());
        let plain = serde_json::to_vec(claim).unwrap_or_default();
        let sealed = self.seal_plain(area, &key, claim.beat + 1, &plain)?;
        self.0.params.store.put(&key, sealed, &When::Always).await?;
        Ok(())
    }

    /// What another claims; `None` where it is gone, or anybody's.
    async fn read_claim(&self, instance: &str) -> Result<Option<Claim>, LedgerError> {
        let area = self.area()?;
        let key = format!("{CLAIMS}{instance}");
        let Some(stored) = self.0.params.store.get(&key).await? else {
            return Ok(None);
        };
        let full = format!("{}{key}", self.0.params.store.prefix());
        let opened = area.sealer.open(&full, &stored.bytes).ok();
        Ok(opened.and_then(|opened| serde_json::from_slice(&opened.plain).ok()))
    }

    async fn other_claims(&self) -> Result<BTreeMap<String, Token>, LedgerError> {
        let listing = self.0.params.store.list(CLAIMS).await?;
        Ok(listing
            .iter()
            .filter_map(|meta| {
                let instance = meta.key.strip_prefix(CLAIMS)?;
                (instance != self.instance()).then(|| (instance.to_owned(), Token::listed(meta)))
            })
            .collect())
    }
}
