//! Sessions: uploads that are planned first, go on after anything that breaks, and end in a receipt.
//!
//! 1. **Plan** ([`plan`]). The narinfos' words come before any byte; each path hears what will
//!    happen with it, and the quota is held against the sum.
//! 2. **Parts** ([`lanes`]). A large archive comes in parts of 8 MiB, in their order. A part is
//!    taken whole or not at all, goes through the examination and into the upload of its final key
//!    that is not completed, and is counted: what breaks between two parts costs at most one of them.
//! 3. **Narinfos** are put as `nix copy` puts them, with the session's name, so that what is refused
//!    shows in it.
//! 4. **Commit and receipt** ([`report`]). What was published is read off the index, not
//!    remembered: a session cannot say more than is true.
//!
//! **What is kept** is a record of the plan ([`record`]), for seven days. What is on its way is
//! memory: a server that starts anew does not trust parts that it cannot read again (nobody can read
//! the parts of an upload that is not completed), so such an archive begins again with its first
//! part. Archives that were whole are found in the bucket.
//!
//! **Nothing is left**: an archive that is given up, with its session or because others need its
//! place, is given up in the bucket too; what a server that was killed left there is swept
//! ([`sweep`]) after a grace time that no request and no archive outlives.

mod begin;
mod lanes;
mod plan;
mod record;
mod report;
mod sweep;
mod understood;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::request::Parts;

pub(super) use lanes::Part;
pub use record::{HeadState, PathRecord, SessionHead, UploadRecord};
pub use sweep::GRACE;

use super::{Intake, Refusal, owner};
use crate::auth::Caller;
use crate::ledger::{Entry, Ledger, LedgerError, RecordId, Scope};
use crate::site::Cache;
use crate::substituter::key::Wanted;
use crate::web::query;
use lanes::Lanes;

/// Seconds that a session lives.
pub const LIFE: i64 = 7 * 86_400;
/// Open sessions of one person in one cache.
pub const MOST_OPEN: usize = 20;
/// Sessions of one cache, those that ended included.
pub const MOST_IN_CACHE: usize = 1_000;
/// Sessions of one person in one cache within [`LIFE`], those that ended included.
pub const MOST_OF_ONE: usize = 100;
/// Paths in all of these together.
pub const MOST_PATHS_OF_ONE: u64 = 200_000;
/// Refused paths that a session remembers, each with its reason.
const MOST_REFUSED: usize = 200;

/// What is known of sessions beside their records.
#[derive(Default)]
pub(super) struct Sessions {
    /// Archives on their way.
    lanes: Lanes,
    /// Why objects were refused, by cache and session, then by object.
    refused: Mutex<HashMap<(String, RecordId), BTreeMap<String, String>>>,
}

/// Why a session cannot do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// There is none of this name, or it has expired.
    #[error("There is no upload of this name here; they are forgotten after seven days.")]
    Absent,
    /// It is somebody else's.
    #[error("This upload is {0}'s: only they, and Maintainers, can change it.")]
    NotYours(String),
    /// It was committed or given up.
    #[error("This upload has ended.")]
    Ended,
    /// The plan cannot be.
    #[error("{0}")]
    Bad(String),
    /// There are too many.
    #[error("{0}")]
    TooMany(String),
    /// It exceeds the quota.
    #[error("Not enough quota: need {needed} bytes, {left} left (max_bytes). Nothing was sent.")]
    Quota {
        /// Bytes of archives to send.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// Something the server needs does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<Refusal> for SessionError {
    fn from(refusal: Refusal) -> Self {
        Self::Unavailable(refusal.text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session that a request names in its query, as `upload=`.
fn named(request: &Parts) -> Option<RecordId> {
    let pairs = query::pairs(request.uri.query()).ok()?;
    let (_, id) = pairs.into_iter().find(|(name, _)| name == "upload")?;
    id.parse().ok()
}

impl Intake {
    /// The head of a session.
    fn head(&self, cache: &Cache, id: &RecordId) -> Option<Entry<UploadRecord>> {
        let view = self.0.site.ledger.view();
        view.get::<UploadRecord>(Scope::Cache(cache.slug.as_str()), id)
            .filter(|entry| entry.record.head().is_some())
    }

    /// The paths of a session, in the order of its plan.
    fn paths_of(&self, cache: &Cache, id: &RecordId, head: &SessionHead) -> Vec<PathRecord> {
        let view = self.0.site.ledger.view();
        let mut paths = Vec::new();
        for number in 0..head.pieces {
            let piece = record::piece_id(id, number).and_then(|piece| {
                view.get::<UploadRecord>(Scope::Cache(cache.slug.as_str()), &piece)
            });
            if let Some(entry) = piece
                && let UploadRecord::Paths { paths: some, .. } = &*entry.record
            {
                paths.extend(some.iter().cloned());
            }
        }
        paths
    }

    /// Notes how putting an object ended, in the session that the request names. Only what its
    /// sender would have to change counts as refused.
    pub(super) fn note_in_session(
        &self,
        cache: &Cache,
        request: &Parts,
        wanted: Option<&Wanted>,
        refusal: Option<&Refusal>,
    ) {
        let Some(id) = named(request) else { return };
        let object = match wanted {
            Some(Wanted::Narinfo(hash)) => hash.to_string(),
            Some(Wanted::Nar(key)) => key.clone(),
            _ => return,
        };
        let caller = self.0.site.access.caller(&request.headers);
        let is_own = self
            .head(cache, &id)
            .and_then(|entry| entry.record.head().map(|head| head.owner.clone()))
            .is_some_and(|of| of == owner(&caller));
        if !is_own {
            return;
        }
        let mut refused = lock(&self.0.sessions.refused);
        let place = (cache.slug.to_string(), id);
        match refusal {
            Some(refusal) if is_final(refusal) => {
                let objects = refused.entry(place).or_default();
                if objects.len() < MOST_REFUSED {
                    let text: String = refusal.text.chars().take(300).collect();
                    objects.insert(object, format!("{}: {text}", refusal.code));
                }
            }
            Some(_) => {}
            None => {
                if let Some(objects) = refused.get_mut(&place) {
                    objects.remove(&object);
                }
            }
        }
    }
}

/// Sessions of a cache that are open and somebody's, by their owner's name (`member:…`, `machine:…`,
/// `token:…`).
pub fn count_open(ledger: &Ledger, cache: &str, owner: &str) -> u64 {
    let view = ledger.view();
    let all = view.list::<UploadRecord>(Scope::Cache(cache));
    all.filter(|entry| {
        let head = entry.record.head();
        head.is_some_and(|head| head.state == HeadState::Open && head.owner == owner)
    })
    .count() as u64
}

/// Whether trying the same again would be refused again.
fn is_final(refusal: &Refusal) -> bool {
    let about_the_object = matches!(
        refusal.status,
        StatusCode::FORBIDDEN
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    );
    about_the_object
        && !matches!(
            refusal.code,
            lanes::OUT_OF_ORDER | "busy" | "foreign-origin"
        )
}

/// Whose a session is, for people.
fn spoken(caller: &Caller) -> String {
    match caller {
        Caller::Token(token) if token.owner.is_none() => caller.actor(),
        _ => caller.name().map_or_else(|| caller.actor(), str::to_owned),
    }
}
