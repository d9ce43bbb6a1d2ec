//! Access logs of the bucket, or of a CDN before it: the second source of usage. They know of the
//! requests that do not go through this server, hours later and as far as they are written at all.
//!
//! *What counts.* The same as of our own ([`super`]): GET and HEAD of narinfos, GET of NARs. Clients
//! are groups of addresses. What this server reads itself is left out, and so is what it sends clients
//! to the bucket for: it has counted both. Both are told by who signed the request, which nobody can
//! claim ([`whose`]); what is not certainly ours counts, since a path that counts as fetched once too
//! often only stays. Behind a CDN that asks this server, only what the CDN had itself counts
//! ([`cloudfront`]).
//!
//! *What is new.* The names of log objects have the time in them ([`names`]), so a listing begins
//! where everything older is done with; what was read of newer ones is remembered by name, since logs
//! come late and out of order. The first reading begins with those of 40 days ago.
//!
//! *Never twice, never half.* Before objects are read they are written into the ledger as the batch
//! that is read now, with who reads it and until when: one server reads at a time. Who takes over
//! reads the same batch. A day's record holds which batches it has, and takes none twice. Then the
//! batch is ended and its sums are added in one write ([`state`]). Log objects are never changed.
//!
//! *Apart.* Figures of logs are records of their own ([`LoggedRecord`]) and are put beside our own only
//! when they are shown. That a path was fetched is evidence from any source, and kept with our own;
//! logs alone never say that one was not: where a cache has logs, fetches are wholly measured only as
//! long as they are whole too ([`whole`]).
//!
//! *Bounds.* Objects of 32 MiB, 512 MiB unpacked, lines of 64 KiB, 400 objects in a batch. What is
//! larger or of another shape is counted as such and shown. Of a day's lists the first rows are kept
//! after each batch, so the number of what is left out is a least one.

mod batch;
mod cloudfront;
mod keep;
mod line;
mod names;
mod object;
mod read;
mod s3;
mod state;
mod whole;
mod whose;

pub use read::{LogError, LogReader};
pub use state::{Figures, LogState, LoggedRecord};

use crate::config::{LogFormat, LogOrigin};

/// Which lines of which logs are of a cache.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// How the lines are written.
    pub format: LogFormat,
    /// What the CDN asks.
    pub origin: LogOrigin,
    /// The cache's bucket; `None`: the logs are of nothing else.
    pub bucket: Option<String>,
    /// What stands before the cache's keys: empty, or ending with a slash.
    pub prefix: String,
}

impl LogSource {
    /// The key within the cache; `None` where it lies outside of it.
    fn key<'k>(&self, key: &'k str) -> Option<&'k str> {
        match (key.strip_prefix(self.prefix.as_str()), self.format) {
            (Some(key), _) => Some(key),
            (None, LogFormat::S3) => None,
            // A CDN may add the prefix itself when it asks.
            (None, LogFormat::Cloudfront) => Some(key),
        }
    }
}
