//! Everything S3: the one door to a bucket.
//!
//! [`Bucket`] is a cheap handle on one prefix of one bucket at any endpoint. All keys
//! that go in and come out are relative to that prefix, and what lies under one of the
//! [`hidden`](BucketConfig::hidden) prefixes (another cache's, the state's) does not
//! exist for it: neither listed nor read nor written.
//!
//! Two transports stand behind the handle. Reads (list, get, head) go over plain `hyper`
//! with requests that are signed here ([`sign`], credentials by the SDK's chain), because
//! the SDK spends about ten times the CPU on a small GET, and an index of a million
//! narinfos is a million of those. Writes (put, copy, multipart, delete) and presigned
//! URLs go through `aws-sdk-s3`. Both share one retry policy ([`RetryPolicy`]: bounded,
//! exponential, with jitter), one set of time-outs ([`Limits`]), one limit on requests
//! under way and one set of counters ([`RequestCounts`]), and both end in the same
//! [`BucketError`], which says whose fault it is and what to do.
//!
//! ```text
//!   list get head ──▶ read ──▶ sign ──▶ hyper ─┐
//!   put copy delete multipart ──▶ write ──▶ SDK ┴─▶ endpoint (AWS, Garage, embedded, …)
//! ```
//!
//! Objects may be stored with a Content-Encoding; [`encoding`] decodes small ones within
//! bounds. A bucket is never believed: a listing that repeats itself, goes backwards or
//! breaks off is an error ([`list`]), not a shorter bucket.

mod address;
pub mod config;
pub mod counts;
pub mod embedded;
pub mod encoding;
pub mod error;
pub mod facts;
pub mod lifecycle;
mod lines;
pub mod list;
pub mod multipart;
pub mod object;
mod operation;
pub mod probe;
mod read;
pub mod retry;
mod sdk;
pub mod sign;
mod transport;
mod unfinished;
mod versions;
mod wire;
pub mod write;

pub use config::{BucketConfig, CredentialSource, Credentials, Limits};
pub use counts::{Counts, RequestCounts};
pub use error::{BucketError, BucketErrorKind};
pub use facts::{OldVersions, Versioning};
pub use lifecycle::HarmfulRule;
pub use list::{ListPage, ListRequest};
pub use multipart::{Multipart, Part};
pub use object::{ContentRange, ETag, Object, ObjectBody, ObjectMeta, SmallObject};
pub use operation::Operation;
pub use probe::Capabilities;
pub use read::{ByteRange, Described, Presigned};
pub use retry::RetryPolicy;
pub(crate) use transport::tls;
pub use unfinished::Unfinished;
pub use versions::Version;
pub use write::{PutOptions, WriteCondition, Written};

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;

use sdk::SdkClients;
use transport::Transport;

/// A handle on one prefix of one bucket. Cloning is cheap; clones share connections,
/// limits and counters.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
    lane: Lane,
    /// What lies under hidden prefixes is there for this handle.
    sees_hidden: bool,
}

/// Which queue a request waits in, so that a sweep never makes a client wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Interactive,
    Bulk,
}

struct Inner {
    name: String,
    /// Empty, or ends with `/`.
    prefix: String,
    /// Absolute prefixes that are not there for this handle.
    hidden: Vec<String>,
    location: String,
    limits: Limits,
    transport: Transport,
    clients: SdkClients,
    counts: Arc<RequestCounts>,
    interactive: Semaphore,
    bulk: Semaphore,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("location", &self.inner.location)
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// Makes a handle. Nothing is sent to the bucket: whether it can be reached and what
    /// the credentials may do shows with the first request.
    ///
    /// # Errors
    /// [`BucketErrorKind::Misconfigured`] where bucket, prefix or endpoint cannot be right.
    pub async fn connect(config: &BucketConfig) -> Result<Self, BucketError> {
        let config = config.checked()?;
        let sources = config.load_sources().await;
        let transport = Transport::new(&config, &sources)?;
        let clients = SdkClients::new(&config, &sources);
        let location = format!("s3://{}/{}", config.bucket, config.prefix);
        Ok(Self {
            inner: Arc::new(Inner {
                location: location.trim_end_matches('/').to_owned(),
                name: config.bucket,
                prefix: config.prefix,
                hidden: config.hidden,
                transport,
                clients,
                counts: Arc::default(),
                interactive: Semaphore::new(config.limits.concurrency),
                bulk: Semaphore::new(config.limits.bulk_concurrency),
                limits: config.limits,
            }),
            lane: Lane::Interactive,
            sees_hidden: false,
        })
    }

    /// The same bucket, for work that may wait: its requests queue apart from those that
    /// somebody is waiting for.
    #[must_use]
    pub fn bulk(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            lane: Lane::Bulk,
            sees_hidden: self.sees_hidden,
        }
    }

    /// The same bucket, with what is hidden: for counting what lies there, never for serving it.
    #[must_use]
    pub(crate) fn with_hidden(&self) -> Self {
        Self {
            sees_hidden: true,
            ..self.clone()
        }
    }

    /// Where the bytes lie, for people: `s3://bucket/prefix`.
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The prefix: empty, or ending with `/`.
    pub fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// What was asked of the bucket so far, by this handle and its clones.
    pub fn counts(&self) -> &RequestCounts {
        &self.inner.counts
    }

    /// Time-outs and limits in force.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The key in the bucket for a key relative to the prefix.
    ///
    /// Refuses what cannot be an object of this handle: empty, absolute, with a `.`, `..`
    /// or empty part, with control characters, over 1,024 bytes, or hidden.
    fn absolute(&self, operation: Operation, key: &str) -> Result<String, BucketError> {
        let problem = if key.is_empty() {
            Some("it is empty")
        } else if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            Some("it has an empty, `.` or `..` part")
        } else if key.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            Some("it has a control character")
        } else if key.len() + self.inner.prefix.len() > 1024 {
            Some("it is longer than 1,024 bytes")
        } else {
            None
        };
        let absolute = format!("{}{key}", self.inner.prefix);
        if let Some(problem) = problem {
            return Err(self.error(operation, &absolute, BucketErrorKind::InvalidKey, problem));
        }
        if self.is_hidden(&absolute) {
            return Err(self.error(
                operation,
                &absolute,
                BucketErrorKind::NotFound,
                "it belongs to another cache or to the server's state",
            ));
        }
        Ok(absolute)
    }

    /// Whether an absolute key is out of this handle's reach.
    fn is_hidden(&self, absolute: &str) -> bool {
        !self.sees_hidden
            && self
                .inner
                .hidden
                .iter()
                .any(|hidden| absolute.starts_with(hidden.as_str()))
    }

    fn error(
        &self,
        operation: Operation,
        absolute: &str,
        kind: BucketErrorKind,
        detail: impl Into<String>,
    ) -> BucketError {
        BucketError::new(operation, &self.inner.name, absolute, kind, detail)
    }

    /// Runs one request under the limit, counted, and again while it may succeed.
    async fn attempt<T, F>(
        &self,
        operation: Operation,
        mut request: impl FnMut(u32) -> F,
    ) -> Result<T, BucketError>
    where
        F: Future<Output = Result<T, BucketError>>,
    {
        let policy = &self.inner.limits.retry;
        let counts = &self.inner.counts;
        let mut number = 1;
        loop {
            let outcome = {
                let lane = match self.lane {
                    Lane::Interactive => &self.inner.interactive,
                    Lane::Bulk => &self.inner.bulk,
                };
                // The semaphore is never closed; without a permit we would only be less polite.
                let _permit = lane.acquire().await.ok();
                counts.sent(operation, number > 1);
                request(number).await
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retryable() && number < policy.attempts => {
                    counts.failed(operation);
                    let pause = policy.pause(number, error.retry_after());
                    tracing::debug!(
                        operation = operation.as_str(),
                        attempt = number,
                        pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                        error = %error,
                        "trying again"
                    );
                    tokio::time::sleep(pause).await;
                    number += 1;
                }
                Err(error) => {
                    counts.failed(operation);
                    return Err(error.after(number));
                }
            }
        }
    }
}
