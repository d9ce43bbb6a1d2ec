//! The root sweep: which narinfos appeared, changed or went.
//!
//! The root is listed with a delimiter, so that the NARs cost nothing. Each narinfo's
//! token (size, last-modified, ETag) is held against the index: what is new or different
//! is fetched while the listing goes on, what the index has and the listing lacks is
//! removed at the end, if the listing came to its end. Only paths that were in the index
//! when the sweep began, and are unchanged since, can be removed by it: what is published
//! meanwhile is safe. So an interrupted sweep has done no harm, and the next one does
//! what is left.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use snowbank_shared::api::Severity;
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::mpsc;

use super::fetch::{Fetcher, Wanted};
use super::listing::{self, Scope};
use super::noted::{Check, Found, Noted};
use super::removal::Removals;
use super::{Summary, SyncError, off_the_reactor};
use crate::bucket::BucketError;
use crate::index::{Change, ChangeToken, Id, Index, View};

/// Narinfos between the listing and the fetching.
const QUEUE: usize = 4096;

/// What a listing brought to light besides narinfos to fetch.
#[derive(Debug, Default)]
struct Listed {
    found: u64,
    cache_info: Option<ChangeToken>,
    /// Objects that end in `.narinfo` and are not named as one.
    misnamed: HashSet<String>,
    seen: Seen,
}

/// Which objects of the index the listing has: a bit a path.
#[derive(Debug, Default)]
struct Seen {
    rows: Vec<u64>,
    unreadable: HashSet<String>,
}

impl Seen {
    fn mark(&mut self, id: Id) {
        let (word, bit) = (id.0 as usize / 64, id.0 % 64);
        if word >= self.rows.len() {
            self.rows.resize(word + 1, 0);
        }
        self.rows[word] |= 1 << bit;
    }

    fn has(&self, id: Id) -> bool {
        self.rows
            .get(id.0 as usize / 64)
            .is_some_and(|word| word & (1 << (id.0 % 64)) != 0)
    }
}

/// A root sweep's means.
pub(super) struct RootSweep<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) index: &'a Index,
    pub(super) noted: &'a Arc<Noted>,
    pub(super) removals: &'a mut Removals<(StorePathHash, u64)>,
    pub(super) listings: usize,
    /// When it began, seconds since 1970.
    pub(super) began_at: i64,
}

impl RootSweep<'_> {
    /// Sweeps. What was entered before an error stays entered.
    ///
    /// The token of `nix-cache-info` comes with the summary; reading it is the caller's.
    pub(super) async fn run(mut self) -> Result<(Summary, Option<ChangeToken>), SyncError> {
        let fetcher = self.fetcher;
        let before = self.index.view();
        let (queue, wanted) = mpsc::channel(QUEUE);
        let listing = self.list(&before, queue);
        let fetching = fetcher.run(tokio_stream::wrappers::ReceiverStream::new(wanted));
        let (listed, fetched) = tokio::join!(listing, fetching);
        // The listing's own error comes first: a fetcher that gives up ends the listing too.
        let (listed, fetched) = match (listed, fetched) {
            (Err(Stopped::Bucket(error)), _) | (_, Err(error)) => return Err(error.into()),
            (Err(Stopped::NobodyFetches), Ok(fetched)) => {
                return Err(SyncError::incomplete(&fetched));
            }
            (Ok(listed), Ok(fetched)) => (listed, fetched),
        };
        let mut summary = Summary {
            began_at: self.began_at,
            found: listed.found,
            fetched: fetcher.live.fetched_so_far(),
            entered: fetched.entered,
            unparsable: fetched.unparsable,
            refused: fetched.refused.len() as u64,
            ..Summary::default()
        };
        let mut changes = self.misnamed(&listed.misnamed);
        changes.extend(
            self.noted
                .settle_all_but(Check::NarinfoRefused, &fetched.refused),
        );
        let paths = before.len();
        let gone = fetched.gone.clone();
        let seen = listed.seen;
        let absent = off_the_reactor(move || Absent::of(&before, &seen, &gone)).await?;
        changes.extend(self.absent(absent, paths, &mut summary));
        changes.extend(self.held_back(&summary, paths));
        let complete = fetched.failed == 0;
        let began_at = self.began_at;
        let index = self.index.clone();
        let entering = Arc::clone(&fetcher.entering);
        off_the_reactor(move || {
            entering.enter(changes);
            // Who reads that the sweep is complete must see what it brought.
            entering.show();
            if complete {
                index.apply(vec![Change::Swept { began_at }]);
            }
        })
        .await?;
        if complete {
            Ok((summary, listed.cache_info))
        } else {
            Err(SyncError::incomplete(&fetched))
        }
    }

    /// Lists, and sends what has to be fetched.
    async fn list(&self, before: &View, queue: mpsc::Sender<Wanted>) -> Result<Listed, Stopped> {
        let live = &self.fetcher.live;
        let mut listed = Listed::default();
        let mut pages = listing::pages(&self.fetcher.bucket, Scope::Root, self.listings);
        while let Some(page) = pages.next().await {
            let page = page.map_err(Stopped::Bucket)?;
            live.answered();
            let mut wanted = Vec::new();
            for object in &page.objects {
                let Some(hash) = StorePathHash::from_narinfo_key(&object.key) else {
                    if object.key == snowbank_shared::cache_info::KEY {
                        listed.cache_info = Some(ChangeToken::from(object));
                    } else if object.key.ends_with(".narinfo") {
                        listed.misnamed.insert(object.key.clone());
                    }
                    continue;
                };
                listed.found += 1;
                live.found(1);
                let known = if let Some(id) = before.find(&hash) {
                    listed.seen.mark(id);
                    Some(before.token_of(id))
                } else {
                    let known = before.token(&object.key);
                    if known.is_some() {
                        listed.seen.unreadable.insert(object.key.clone());
                    }
                    known
                };
                if !known.is_some_and(|known| ChangeToken::is_of(known, object)) {
                    let token = ChangeToken::from(object);
                    wanted.push(Wanted { hash, token });
                }
            }
            live.wanted(wanted.len() as u64);
            for one in wanted {
                queue.send(one).await.map_err(|_| Stopped::NobodyFetches)?;
            }
        }
        live.listed();
        Ok(listed)
    }

    /// Removes what the index had and the listing lacks.
    fn absent(&mut self, absent: Absent, paths: u64, summary: &mut Summary) -> Vec<Change> {
        let verdict = self.removals.decide(absent.paths, paths);
        summary.removed = verdict.removed.len() as u64;
        summary.held_back = verdict.held_back;
        let mut changes = Vec::new();
        for (hash, token) in verdict.removed {
            let key = hash.narinfo_key();
            changes.push(Change::RemoveUnchanged(hash, token));
            changes.extend(self.noted.settle_narinfo(&key));
        }
        // What could not be read was never served: forgetting it is harmless.
        for key in absent.unreadable {
            changes.extend(self.noted.settle_narinfo(&key));
            changes.push(Change::Forget(key));
        }
        changes
    }

    fn misnamed(&self, misnamed: &HashSet<String>) -> Vec<Change> {
        let mut changes = self.noted.settle_all_but(Check::NarinfoName, misnamed);
        let new = misnamed
            .iter()
            .filter(|object| !self.noted.has(Check::NarinfoName, object));
        changes.extend(new.map(|object| {
            self.noted.note(Found {
                check: Check::NarinfoName,
                severity: Severity::Warning,
                object: object.clone(),
                line: None,
                reason:
                    "its name is not 32 digits of nix32 and `.narinfo`: no client ever asks for it"
                        .to_owned(),
                hash: None,
            })
        }));
        changes
    }

    /// A finding while many removals wait, and its end.
    fn held_back(&self, summary: &Summary, paths: u64) -> Option<Change> {
        let object = "";
        if summary.held_back == 0 {
            return self.noted.settle(Check::ManyRemoved, object);
        }
        Some(self.noted.note(Found {
            check: Check::ManyRemoved,
            severity: Severity::Warning,
            object: object.to_owned(),
            line: None,
            reason: format!(
                "{} of {paths} paths are gone from the bucket's listing: they are shown until the next sweep agrees. Is this the right bucket and prefix?",
                summary.held_back
            ),
            hash: None,
        }))
    }
}

/// What the index had and the listing lacks.
#[derive(Debug, Default)]
struct Absent {
    /// Paths with their tokens' fingerprints.
    paths: Vec<(StorePathHash, u64)>,
    /// Keys of objects that could not be read.
    unreadable: Vec<String>,
}

impl Absent {
    /// `gone`: listed, and not there when they were fetched.
    fn of(before: &View, seen: &Seen, gone: &[StorePathHash]) -> Self {
        let gone: HashSet<_> = gone.iter().copied().collect();
        let paths = before
            .ids()
            .filter_map(|id| {
                let hash = before.hash_of(id);
                let absent = !seen.has(id) || (!gone.is_empty() && gone.contains(&hash));
                absent.then(|| (hash, before.token_of(id)))
            })
            .collect();
        let gone_key = |key: &str| {
            StorePathHash::from_narinfo_key(key).is_some_and(|hash| gone.contains(&hash))
        };
        let unreadable = before
            .unreadable()
            .filter(|key| !seen.unreadable.contains(*key) || gone_key(key))
            .map(str::to_owned)
            .collect();
        Self { paths, unreadable }
    }
}

/// Why a listing did not come to its end.
enum Stopped {
    Bucket(BucketError),
    /// The fetching side gave up and says why.
    NobodyFetches,
}
