//! The ledger: facts about people, tokens, keys and rules, kept as sealed objects in a bucket.
//!
//! There is no database. Every fact is an object in the *state area*, a prefix of a bucket that
//! no cache shows. Several replicas of a server share one area; each keeps all of it in memory
//! and looks again every two seconds.
//!
//! ```text
//! format.json                          who may read and write, the server's id
//! records/KIND/NAME                    a record of the server
//! records/caches/SLUG/KIND/NAME        a record of a cache
//! records/tombstones/…                 the same path again: revoked, for ever
//! records/witness                      the highest sequences seen, for fresh replicas
//! records/bulletins/INSTANCE           what a process has just published
//! audit/DAY/INSTANCE/N                 segments of the audit, one chain for each process
//! clients/DAY/INSTANCE/N               the addresses to it, kept for a shorter time
//! caches/SLUG/receipts/INSTANCE/N      segments of receipts
//! caches/SLUG/plans/PLAN/N             lists of plans (bundles)
//! caches/SLUG/trash/RUN/N              narinfos that a run took out (bundles)
//! ```
//!
//! Everything that is believed lies below `records/`, so that one listing sees each change.
//!
//! # Records
//!
//! A [`Record`] is a type with a [`Kind`]: its folder, whose it is (the server's or a cache's),
//! and what it means that one cannot be believed. New kinds are added in [`kind`], in one place.
//! Reading is [`Ledger::view`]: no request, no waiting, typed. Writing is [`Ledger::create`],
//! [`Ledger::update`], [`Ledger::tombstone`]; when one returns, the bucket has it and this
//! replica's view shows it.
//!
//! # Sealing
//!
//! Objects are sealed under the state secret ([`seal`]) and bound to the format, the server, the
//! full key and a sequence number. Who can write the bucket cannot make a record; who can read it
//! sees no people. What does not verify is never believed, and is a [`LedgerFinding`]: a member or
//! token then grants nothing; a pin, plan or setting of a cache stops its runs ([`View::stops`]).
//!
//! # Sequences
//!
//! Every change counts a record's sequence up. The memory ([`memory`]) holds the highest that was
//! seen, in the data folder and in the witness. A lower one is [`Trouble::RolledBack`], a record
//! that is gone without a tombstone [`Trouble::Vanished`]. A record that has expired may go.
//!
//! # Tombstones
//!
//! Revoking writes a tombstone under the record's path, then deletes the record. A tombstone wins
//! over any record, for ever, also where it no longer verifies or was taken away: a name that was
//! buried is never used again.
//!
//! # Writers
//!
//! Where the store heeds conditions (probed at start), every replica writes: created only if absent,
//! changed only if unchanged; on a conflict read, apply, retry. Each version carries the ids of the
//! writes that led to it, so that a write whose answer got lost is recognised and not done twice.
//! Where the store ignores conditions, one process holds the pen ([`pen`]); the others read, and say
//! who writes.
//!
//! # Freshness
//!
//! [`Ledger::freshness`] is the age of the last complete look, from its beginning. Up to 5 s is
//! fresh. Up to 60 s what was known goes on; after that nothing may be published and nothing written,
//! until a look succeeds. A look that fails for one object leaves the rest as it is.
//!
//! # Failing
//!
//! Opening never fails because a bucket is away: the server starts, and [`Ledger::phase`] says what is
//! the matter. What cannot be trusted is [`Phase::Refused`], with the way out: another secret, another
//! server's area, an area that everybody can read. In doubt nobody is let in and nothing is written.

mod audit;
mod bundle;
mod chain;
mod changes;
mod envelope;
mod error;
pub mod event;
mod format;
mod journal;
pub mod kind;
mod memory;
mod missing;
#[cfg(test)]
mod newer_format;
mod opening;
mod pen;
mod receipts;
mod refresh;
mod remembered;
mod seal;
mod store;
mod transfer;
mod upkeep;
mod view;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use audit::{AuditDay, AuditEntry, ChainReport};
pub use bundle::{BundleName, MOST_BUNDLE};
pub use chain::Break;
pub use changes::{Change, News};
pub use error::LedgerError;
pub use event::Event;
pub use kind::{Kind, Record, RecordId, RecordPath, Scope, Unverified};
pub use opening::{Phase, ReadOnly, Refusal};
pub use pen::PenTimes;
pub use receipts::{ReadReceipts, Receipt, Receipts, Refuted, claims_of};
pub use seal::SealError;
pub use store::{BucketStore, Store, Stored, When};
pub use transfer::{ExportLine, Exported, Imported, Rekeyed};
pub use view::{Entry, LedgerFinding, Tombstone, Trouble, View};

use crate::bucket::Capabilities;
use crate::secrets::StateSecret;
use changes::Talk;
use journal::Waiting;
use memory::Memory;
use seal::Sealer;
use view::Token;

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the beginning of a look to that of the next.
    pub look: Duration,
    /// Older than this is stale.
    pub fresh: Duration,
    /// Older than this and nothing is published or written.
    pub lost: Duration,
    /// Between two tries to open.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(2),
            fresh: Duration::from_secs(5),
            lost: Duration::from_secs(60),
            retry: Duration::from_secs(5),
        }
    }
}

/// What a ledger is opened with.
#[derive(Clone)]
pub struct LedgerParams {
    /// The state area.
    pub store: Arc<dyn Store>,
    /// What seals it.
    pub secret: StateSecret,
    /// The file of the memory; `None` forgets with the process.
    pub memory: Option<PathBuf>,
    /// How often and how long.
    pub pace: Pace,
    /// How long the audit keeps the addresses that acts came from.
    pub client_addresses: Duration,
    /// Who writes where the store ignores conditions: this process, or the server at this URL.
    pub writer: Option<String>,
    /// The times of the pen.
    pub pen: PenTimes,
    /// Why no new area may be begun here, where there is none: it may lie elsewhere.
    pub doubt: Option<String>,
}

/// How old what is believed is: the age of the last complete look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Never looked yet.
    Never,
    /// As the bucket is, within seconds.
    Fresh(Duration),
    /// Older; what was known goes on.
    Stale(Duration),
    /// So old that nothing may be published or written.
    Lost(Duration),
}

impl Freshness {
    /// Whether something may be published on the strength of it.
    pub fn may_publish(self) -> bool {
        matches!(self, Self::Fresh(_) | Self::Stale(_))
    }
}

/// The ledger of a server. Cloning is cheap.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    params: LedgerParams,
    /// Fresh and random for each process.
    instance: String,
    view: ArcSwap<View>,
    revision: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
    /// Set once, when the area is known to be ours.
    open: OnceLock<Area>,
    /// When the last complete look began.
    looked: Mutex<Option<Instant>>,
    memory: Mutex<Memory>,
    /// When the renewal of the pen began that succeeded last.
    renewed: Mutex<Option<Instant>>,
    /// The witness as last seen, and what it knew.
    witness: Mutex<Option<(Token, Memory)>>,
    /// Held while the view is changed.
    changing: Mutex<()>,
    /// Held while a record is written: one at a time in each process.
    writing: tokio::sync::Mutex<()>,
    audit: mpsc::Sender<Waiting>,
    /// By cache.
    receipts: Mutex<BTreeMap<String, mpsc::Sender<Waiting>>>,
    remembered: remembered::Remembered,
    talk: Mutex<Talk>,
    talking: Notify,
    news: broadcast::Sender<News>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A state area that is known to be ours.
struct Area {
    server: String,
    sealer: Sealer,
    capabilities: Capabilities,
}

impl Area {
    /// Whether every replica may write.
    fn heeds_conditions(&self) -> bool {
        self.capabilities.create_if_absent && self.capabilities.replace_if_unchanged
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("location", &self.0.params.store.location())
            .field("instance", &self.0.instance)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Begins to open the state area, and goes on until it succeeds. Returns at once.
    ///
    /// # Errors
    /// Where the system gives no random bytes, or the memory's file cannot be read.
    pub fn open(params: LedgerParams) -> Result<Self, LedgerError> {
        let memory = match &params.memory {
            Some(path) => Memory::read(path).map_err(|source| LedgerError::Memory {
                path: path.clone(),
                reason: source.to_string(),
            })?,
            None => None,
        };
        let (audit, audited) = mpsc::channel(journal::MOST_WAITING);
        let instance: [u8; 8] = crate::secrets::random()?;
        let ledger = Self(Arc::new(Inner {
            params,
            instance: seal::hex(&instance),
            view: ArcSwap::default(),
            revision: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Opening { problem: None }),
            open: OnceLock::new(),
            looked: Mutex::new(None),
            memory: Mutex::new(memory.unwrap_or_default()),
            renewed: Mutex::new(None),
            witness: Mutex::new(None),
            changing: Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
            audit,
            receipts: Mutex::default(),
            remembered: remembered::Remembered::default(),
            talk: Mutex::default(),
            talking: Notify::new(),
            news: broadcast::Sender::new(4096),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }));
        ledger.0.tasks.spawn(ledger.clone().live());
        let writing = journal::write(ledger.clone(), journal::Place::Audit, audited);
        ledger.0.tasks.spawn(writing);
        ledger.0.tasks.spawn(ledger.clone().talk());
        Ok(ledger)
    }

    /// What is believed now. No request is made.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// Changes whenever the view does, to its revision.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// How old the view is.
    pub fn freshness(&self) -> Freshness {
        let Some(looked) = *lock(&self.0.looked) else {
            return Freshness::Never;
        };
        let age = looked.elapsed();
        let pace = &self.0.params.pace;
        if age <= pace.fresh {
            Freshness::Fresh(age)
        } else if age <= pace.lost {
            Freshness::Stale(age)
        } else {
            Freshness::Lost(age)
        }
    }

    /// What the ledger can do now, and why not more; live.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    /// Waits until the area is open or known not to open, or could not be reached at the first
    /// try, at most so long; then the phase.
    pub async fn settled(&self, patience: Duration) -> Phase {
        let mut phase = self.phase();
        let settled = phase.wait_for(|phase| {
            !matches!(
                phase,
                Phase::Opening { problem: None } | Phase::ReadOnly(ReadOnly::AwaitingPen)
            )
        });
        // What is still opening says so itself.
        let _ = tokio::time::timeout(patience, settled).await;
        self.0.phase.borrow().clone()
    }

    /// This process among all that ever wrote here: fresh and random, 16 hex digits.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// The server's id, the same for all its replicas; `None` before the area was opened.
    pub fn server(&self) -> Option<&str> {
        self.0.open.get().map(|area| area.server.as_str())
    }

    /// The key that seals, as `id (check)`; `None` before the area was opened.
    pub fn sealing_key(&self) -> Option<String> {
        self.0.open.get().map(|area| area.sealer.current())
    }

    /// Where the state area is, for people.
    pub fn location(&self) -> &str {
        self.0.params.store.location()
    }

    /// Which conditional writes the store heeds; `None` before the area was opened.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.0.open.get().map(|area| area.capabilities)
    }

    /// Ends the looks, writes what waits for the audit and what is remembered, gives back the pen.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let held = lock(&self.0.renewed).is_some();
        if held {
            self.withdraw().await;
        }
        self.remember();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
