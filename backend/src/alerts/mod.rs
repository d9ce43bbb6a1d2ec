//! Alerts: somebody is told by a webhook when a figure of a cache is too low or too high for too long.
//!
//! ```text
//!  figures ──▶ phase ──▶ watch ──▶ ledger: states ──▶ send ──▶ the receiver
//!   (read)    (decide)  (each minute)  (what is due)   (signed, tried again)
//! ```
//!
//! *What is kept.* Two records of a cache: its alerts with their secrets ([`AlertsRecord`]), changed by
//! owners; how each stands and which message is due ([`StatesRecord`]), changed by the watch. Both are
//! bounded, and taking an alert away leaves nothing behind.
//!
//! *Not measured.* A figure is an [`Option`]. Where it is not known nothing fires, what was pending
//! begins anew, and what fires goes on firing: nobody saw it end. The page says why it is not known.
//!
//! *Which replica.* One at a time watches a cache: the states name their keeper and until when it
//! keeps them ([`LEASE`]). It renews that as long as it lives; another takes over once it has ended,
//! and what was pending begins anew there. Everything is written under the ledger's condition, so two
//! that take over at once end as one. A restart continues within [`LEASE`] seconds and does not fire
//! anew what fires.
//!
//! *Delivery.* A message becomes due in the same write that changes the state, so none is forgotten. It
//! is tried [`MOST_TRIES`] times, at growing distances; its id stays the same, for a receiver may get it
//! twice where a server died in between. What is still due when the state changes again is replaced:
//! the newest word counts. Only the status of an answer is kept. Redirects are not followed, addresses
//! are judged as [`outbound`](crate::outbound) does.

mod change;
mod figures;
mod message;
mod phase;
mod record;
mod shown;
mod signature;
mod watch;

pub use change::{change, create, remove, renew, test};
pub use phase::{Phase, next};
pub use record::{AlertsRecord, DeliveryRecord, Due, Rule, Standing, StatesRecord};
pub use shown::list;
pub use signature::{Secret, SecretTextError};
pub use watch::{follow, round};

/// Seconds between two looks at the figures.
pub const EVERY: u64 = 60;
/// Seconds that a server keeps the states of a cache without renewing that.
pub const LEASE: i64 = 300;
/// How often a message is tried.
pub const MOST_TRIES: u32 = 6;
/// Requests below which a ratio says nothing.
pub const FEWEST_REQUESTS: u64 = 20;
