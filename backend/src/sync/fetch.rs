//! From listed narinfos to changes of the index: fetch, parse, judge, apply.
//!
//! ```text
//!  listing ──▶ GETs, many at once ──▶ batches ──▶ parse + verify, off the reactor ──▶ index
//! ```
//!
//! Everything between is bounded: the GETs by the concurrency, the batches under way by a
//! semaphore, what waits for the index by the index. So a sweep of any size holds some
//! thousand narinfos at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, pin_mut};
use snowbank_shared::api::Severity;
use snowbank_shared::narinfo::{ErrorCode, MAX_BYTES, NarInfo, NarInfoError};
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::entering::Entering;
use super::noted::{Check, Found, Noted};
use super::progress::Live;
use crate::bucket::encoding::Decoded;
use crate::bucket::{Bucket, BucketError, BucketErrorKind, SmallObject};
use crate::index::{Change, ChangeToken, ParsedEntry};

/// Narinfos that are parsed and judged in one go: enough for batches of 64 signatures,
/// few enough to be on the page within a blink.
const BATCH: usize = 256;

/// A batch that does not fill goes on after this.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// So many narinfos may fail one after the other, with nothing between them that
/// succeeds, until a sweep is given up: the store is gone, not some objects.
const FAILURES_IN_A_ROW: u64 = 200;

/// A narinfo that has to be fetched.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) hash: StorePathHash,
    pub(super) token: ChangeToken,
}

/// What fetching came to.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Narinfos read and entered.
    pub(super) entered: u64,
    /// Those that cannot be read as narinfos: findings now.
    pub(super) unparsable: u64,
    /// Gone between the listing and the GET.
    pub(super) gone: Vec<StorePathHash>,
    /// Keys of those that the store refused, one by one: findings now.
    pub(super) refused: HashSet<String>,
    /// Those that failed in a way that may pass; the sweep is not complete.
    pub(super) failed: u64,
    /// The first of the failures, refusals included.
    pub(super) first_error: Option<BucketError>,
}

/// What fetches.
#[derive(Clone)]
pub(super) struct Fetcher {
    pub(super) bucket: Bucket,
    pub(super) entering: Arc<Entering>,
    pub(super) key_ring: Arc<KeyRing>,
    pub(super) store_dir: StoreDir,
    pub(super) concurrency: usize,
    /// Bounds the threads that parse and judge.
    pub(super) judging: Arc<Semaphore>,
    pub(super) live: Arc<Live>,
    pub(super) noted: Arc<Noted>,
}

/// One narinfo after its GET.
enum Outcome {
    Got(Wanted, SmallObject),
    Unreadable(Wanted, NarInfoError),
    Gone(Wanted),
    Failed(Wanted, BucketError),
}

impl Fetcher {
    /// Fetches everything that is wanted and enters it.
    ///
    /// # Errors
    /// The error by which the store turned out to be unusable as a whole. What was entered
    /// until then stays.
    pub(super) async fn run(
        &self,
        wanted: impl Stream<Item = Wanted>,
    ) -> Result<Fetched, BucketError> {
        let outcomes = wanted
            .map(|wanted| self.fetch(wanted))
            .buffer_unordered(self.concurrency.max(1));
        let batches = tokio_stream::StreamExt::chunks_timeout(outcomes, BATCH, BATCH_WAIT);
        pin_mut!(batches);
        let mut report = Fetched::default();
        let mut in_a_row = 0;
        let mut entering: JoinSet<(u64, u64)> = JoinSet::new();
        let stopped = loop {
            let Some(batch) = batches.next().await else {
                break None;
            };
            let mut got = Vec::with_capacity(batch.len());
            let mut changes = Vec::new();
            let mut unusable = None;
            for outcome in batch {
                match outcome {
                    Outcome::Got(wanted, object) => {
                        in_a_row = 0;
                        got.push((wanted, object));
                    }
                    Outcome::Unreadable(wanted, error) => {
                        in_a_row = 0;
                        report.unparsable += 1;
                        changes.push(unparsable(&wanted, error));
                    }
                    Outcome::Gone(wanted) => {
                        in_a_row = 0;
                        report.gone.push(wanted.hash);
                    }
                    Outcome::Failed(wanted, error) => {
                        in_a_row += 1;
                        if concerns_everything(&error) || in_a_row >= FAILURES_IN_A_ROW {
                            unusable = Some(error.clone());
                        }
                        if error.is_retryable() {
                            report.failed += 1;
                        } else {
                            report.refused.insert(wanted.hash.narinfo_key());
                            changes.push(self.refused(&wanted, &error));
                        }
                        report.first_error.get_or_insert(error);
                    }
                }
            }
            self.enter(got, changes, &mut entering, &mut report).await;
            if unusable.is_some() {
                break unusable;
            }
        };
        while let Some(done) = entering.join_next().await {
            report.count(done);
        }
        // Not a single answer but refusals: that is not about single objects.
        let nothing = report.entered + report.unparsable == 0 && report.gone.is_empty();
        let stopped = stopped.or_else(|| {
            let refused = nothing && !report.refused.is_empty();
            refused.then(|| report.first_error.clone()).flatten()
        });
        stopped.map_or(Ok(report), Err)
    }

    /// Hands a batch to a thread that parses, judges and enters it.
    async fn enter(
        &self,
        got: Vec<(Wanted, SmallObject)>,
        changes: Vec<Change>,
        entering: &mut JoinSet<(u64, u64)>,
        report: &mut Fetched,
    ) {
        while let Some(done) = entering.try_join_next() {
            report.count(done);
        }
        if got.is_empty() && changes.is_empty() {
            return;
        }
        // Closed never; without a permit we would only be less polite.
        let permit = Arc::clone(&self.judging).acquire_owned().await.ok();
        let this = self.clone();
        entering.spawn_blocking(move || {
            let counted = this.parse_and_enter(got, changes);
            drop(permit);
            counted
        });
    }

    /// How many were entered, and how many could not be read.
    fn parse_and_enter(
        &self,
        got: Vec<(Wanted, SmallObject)>,
        mut changes: Vec<Change>,
    ) -> (u64, u64) {
        let mut wanted = Vec::with_capacity(got.len());
        let mut narinfos = Vec::with_capacity(got.len());
        let mut unreadable = 0;
        for (this, object) in got {
            changes.extend(self.encoding(&this, object.encoding));
            match parse(&object.bytes, this.hash, &self.store_dir) {
                Ok(narinfo) => {
                    wanted.push(this);
                    narinfos.push(narinfo);
                }
                Err(error) => {
                    unreadable += 1;
                    self.live.failed();
                    changes.extend(
                        self.noted
                            .settle(Check::OddNarinfo, &this.hash.narinfo_key()),
                    );
                    changes.push(unparsable(&this, error));
                }
            }
        }
        let judgements = self.key_ring.judge_batch(&narinfos);
        let entered = narinfos.len() as u64;
        for ((this, narinfo), judgement) in wanted.into_iter().zip(narinfos).zip(judgements) {
            changes.extend(self.oddity(&this, &narinfo));
            changes.push(Change::Put(Box::new(ParsedEntry {
                narinfo,
                judgement,
                added_at: this.token.last_modified.div_euclid(1000),
                token: this.token,
            })));
        }
        self.entering.enter(changes);
        (entered, unreadable)
    }

    /// A single narinfo that the store does not hand out. It is tried again with each
    /// sweep: permissions change without the object.
    fn refused(&self, wanted: &Wanted, error: &BucketError) -> Change {
        self.noted.note(Found {
            check: Check::NarinfoRefused,
            severity: Severity::Error,
            object: wanted.hash.narinfo_key(),
            line: None,
            reason: error.to_string(),
            hash: None,
        })
    }

    /// What some client fails on, though Nix can read the narinfo. What is withheld for it
    /// is a finding of the index already.
    fn oddity(&self, wanted: &Wanted, narinfo: &NarInfo) -> Option<Change> {
        let object = wanted.hash.narinfo_key();
        let odd = narinfo
            .oddities()
            .iter()
            .find(|oddity| oddity.finding().is_some())
            .filter(|_| narinfo.crash_risk().is_none());
        let Some(odd) = odd else {
            return self.noted.settle(Check::OddNarinfo, &object);
        };
        Some(self.noted.note(Found {
            check: Check::OddNarinfo,
            severity: odd.kind.severity(),
            object,
            line: odd.line,
            reason: odd.to_string(),
            hash: Some(wanted.hash.to_string()),
        }))
    }

    /// Clients of the plain bucket go by the header: a missing or wrong one is a finding.
    fn encoding(&self, wanted: &Wanted, encoding: Decoded) -> Option<Change> {
        let object = wanted.hash.narinfo_key();
        let reason = match encoding {
            Decoded::Identity | Decoded::Encoded(_) => {
                return self.noted.settle(Check::ContentEncoding, &object);
            }
            Decoded::Sniffed(coding) => format!(
                "stored as {} without a Content-Encoding that says so: Snowbank decodes it, clients that read the bucket itself cannot",
                coding.as_str()
            ),
            Decoded::Mislabelled(coding) => format!(
                "stored as plain text with Content-Encoding {}: clients that read the bucket itself fail on it",
                coding.as_str()
            ),
        };
        Some(self.noted.note(Found {
            check: Check::ContentEncoding,
            severity: Severity::Warning,
            object,
            line: None,
            reason,
            hash: Some(wanted.hash.to_string()),
        }))
    }

    async fn fetch(&self, wanted: Wanted) -> Outcome {
        let key = wanted.hash.narinfo_key();
        let mut got = self.bucket.get_small(&key, MAX_BYTES).await;
        if got.as_ref().is_ok_and(|object| is_cut(&wanted, object)) {
            got = self.bucket.get_small(&key, MAX_BYTES).await;
        }
        let outcome = match got {
            Ok(object) if is_cut(&wanted, &object) => {
                let error = self
                    .bucket
                    .cut_short(&key, object.meta.size, wanted.token.size);
                Outcome::Failed(wanted, error)
            }
            Ok(object) => Outcome::Got(wanted, object),
            Err(error) => match error.kind() {
                BucketErrorKind::NotFound => Outcome::Gone(wanted),
                BucketErrorKind::Corrupt | BucketErrorKind::TooLarge => {
                    Outcome::Unreadable(wanted, bad_narinfo(error.detail().to_owned()))
                }
                _ => Outcome::Failed(wanted, error),
            },
        };
        match &outcome {
            Outcome::Unreadable(..) | Outcome::Failed(..) => self.live.failed(),
            Outcome::Got(..) | Outcome::Gone(..) => {}
        }
        self.live.fetched();
        outcome
    }
}

impl Fetched {
    /// A batch that panicked (a bug) counts as failed, so that the sweep is not complete.
    fn count(&mut self, done: Result<(u64, u64), tokio::task::JoinError>) {
        match done {
            Ok((entered, unparsable)) => {
                self.entered += entered;
                self.unparsable += unparsable;
            }
            Err(error) => {
                tracing::error!(%error, "a batch of narinfos was lost");
                self.failed += 1;
            }
        }
    }
}

/// Whether an error would meet every other request too.
fn concerns_everything(error: &BucketError) -> bool {
    matches!(
        error.kind(),
        BucketErrorKind::NoSuchBucket
            | BucketErrorKind::BadCredentials
            | BucketErrorKind::Misconfigured
    )
}

/// Whether fewer bytes came than the listing says this very version has. Something in
/// between cut it and made the length fit; half a narinfo may well parse, without its
/// signatures. More bytes than listed are harmless: some stores decode on the way.
fn is_cut(wanted: &Wanted, object: &SmallObject) -> bool {
    let same_version = match (&wanted.token.etag, &object.meta.etag) {
        (Some(listed), Some(got)) => listed == got.as_str(),
        _ => true,
    };
    same_version && object.meta.size < wanted.token.size
}

/// Parses a narinfo and holds its path against its object's name.
fn parse(
    bytes: &Bytes,
    hash: StorePathHash,
    store_dir: &StoreDir,
) -> Result<NarInfo, NarInfoError> {
    let narinfo = NarInfo::parse(bytes, store_dir)?;
    let path = narinfo.store_path();
    if path.hash() == hash {
        return Ok(narinfo);
    }
    let line = bytes
        .split(|byte| *byte == b'\n')
        .position(|line| line.starts_with(b"StorePath:"))
        .and_then(|line| u32::try_from(line + 1).ok());
    Err(NarInfoError {
        code: ErrorCode::KeyMismatch,
        line,
        field: Some("StorePath"),
        reason: format!(
            "it describes {}, and its object is named {}: clients take the path for absent",
            store_dir.display(path),
            hash.narinfo_key()
        ),
    })
}

fn bad_narinfo(reason: String) -> NarInfoError {
    NarInfoError {
        code: ErrorCode::BadNarinfo,
        line: None,
        field: None,
        reason,
    }
}

fn unparsable(wanted: &Wanted, error: NarInfoError) -> Change {
    Change::Unparsable {
        key: wanted.hash.narinfo_key(),
        token: wanted.token.clone(),
        error,
    }
}
