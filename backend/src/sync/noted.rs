//! The findings of sweeps, so that each is taken back when it is over.
//!
//! The index keeps findings by check and object. A sweep that finds an object in order
//! settles what was noted about it; to do so without a settling for each of a million
//! objects, what is noted is remembered here, and read back from the index after a restart.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use snowbank_shared::api::{Finding, Severity};

use crate::index::{Change, View};

/// What sweeps look for in the bucket itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Check {
    /// A narinfo whose Content-Encoding is missing or wrong.
    ContentEncoding,
    /// A narinfo that can be read, and has something in it on which some client fails.
    OddNarinfo,
    /// A narinfo that the store does not hand out.
    NarinfoRefused,
    /// An object that ends in `.narinfo` and is not named by a hash part.
    NarinfoName,
    /// `nix-cache-info` is missing, cannot be read, or says another store directory.
    CacheInfo,
    /// So many paths are gone from the listing that a second one has to agree.
    ManyRemoved,
}

impl Check {
    const ALL: [Self; 6] = [
        Self::ContentEncoding,
        Self::OddNarinfo,
        Self::NarinfoRefused,
        Self::NarinfoName,
        Self::CacheInfo,
        Self::ManyRemoved,
    ];

    /// The check's code on the wire.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::ContentEncoding => "content-encoding",
            Self::OddNarinfo => "bad-narinfo",
            Self::NarinfoRefused => "narinfo-refused",
            Self::NarinfoName => "narinfo-name",
            Self::CacheInfo => "cache-info",
            Self::ManyRemoved => "many-removed",
        }
    }
}

/// A finding of one of these checks.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) check: Check,
    pub(super) severity: Severity,
    pub(super) object: String,
    pub(super) line: Option<u32>,
    pub(super) reason: String,
    /// Hash part of the path, where it can be opened.
    pub(super) hash: Option<String>,
}

/// What is noted at present.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<HashSet<(Check, String)>>);

impl Noted {
    /// What a loaded index has noted. Looks at every path of it: not for the reactor.
    pub(super) fn load(view: &View) -> Self {
        let mut noted = HashSet::new();
        for check in Check::ALL {
            let mut cursor: Option<String> = None;
            // A cursor that the view itself gave is never refused.
            while let Ok(page) = view.health(Some(check.code()), 1000, cursor.as_deref()) {
                noted.extend(
                    page.items
                        .into_iter()
                        .map(|finding| (check, finding.object)),
                );
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        Self(Mutex::new(noted))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(Check, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is noted about an object.
    pub(super) fn has(&self, check: Check, object: &str) -> bool {
        self.lock().contains(&(check, object.to_owned()))
    }

    /// The change that notes a finding, again or for the first time.
    pub(super) fn note(&self, found: Found) -> Change {
        self.lock().insert((found.check, found.object.clone()));
        Change::Finding(Finding {
            check: found.check.code().to_owned(),
            severity: found.severity,
            object: found.object,
            line: found.line,
            reason: found.reason,
            hash: found.hash,
        })
    }

    /// The change that takes a finding back, where there is one.
    pub(super) fn settle(&self, check: Check, object: &str) -> Option<Change> {
        let mut noted = self.lock();
        if noted.is_empty() || !noted.remove(&(check, object.to_owned())) {
            return None;
        }
        Some(Change::Settled(check.code().to_owned(), object.to_owned()))
    }

    /// The changes that take back what was noted about a narinfo that is gone or new.
    pub(super) fn settle_narinfo(&self, object: &str) -> impl Iterator<Item = Change> {
        [Check::ContentEncoding, Check::OddNarinfo]
            .into_iter()
            .filter_map(|check| self.settle(check, object))
    }

    /// The changes that take back all findings of a check but these.
    pub(super) fn settle_all_but(&self, check: Check, keep: &HashSet<String>) -> Vec<Change> {
        let over: Vec<_> = self
            .lock()
            .iter()
            .filter(|(noted, object)| *noted == check && !keep.contains(object))
            .map(|(_, object)| object.clone())
            .collect();
        over.iter()
            .filter_map(|object| self.settle(check, object))
            .collect()
    }
}
