//! How far sessions are, and how they end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use snowbank_shared::api::uploads::{
    Fate, Outcome, PART, SessionState, UploadReceipt, UploadSession, UploadedPath,
};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathRef;

use super::super::waiting::{self, Waiting};
use super::super::{Intake, owner};
use super::plan::key_names;
use super::record::{HeadState, PathRecord, SessionHead, UploadRecord};
use super::{MOST_REFUSED, SessionError, lock};
use crate::auth::records::{now, spelled};
use crate::auth::{self, Act, By, Caller};
use crate::index::View;
use crate::ledger::{RecordId, Scope};
use crate::site::Cache;

/// What the paths of a session are held against, found once for all of them.
struct Found<'a> {
    head: &'a SessionHead,
    view: Arc<View>,
    refused: BTreeMap<String, String>,
    /// What waits or waited by the session's owner, by hash part and `NarHash`.
    waiting: HashMap<(String, String), Waiting>,
}

impl Intake {
    /// The sessions of a cache, the newest first: those of the caller, or all for who maintains it
    /// and asks for all. Looks at every path of those that are open, or had some that waited: call
    /// it off the reactor.
    pub fn sessions(&self, cache: &Cache, caller: &Caller, all: bool) -> Vec<UploadSession> {
        let owner = owner(caller);
        let all = all && auth::may(caller, Act::Maintain, cache.on()).is_ok();
        let view = self.0.site.ledger.view();
        let mut found: Vec<(i64, UploadSession)> = view
            .list::<UploadRecord>(Scope::Cache(cache.slug.as_str()))
            .filter_map(|entry| {
                let head = entry.record.head()?;
                (all || head.owner == owner)
                    .then(|| (head.began_at, self.described(cache, &entry.id, head)))
            })
            .collect();
        found.sort_by(|(one, a), (two, b)| two.cmp(one).then_with(|| a.id.cmp(&b.id)));
        found.into_iter().map(|(_, session)| session).collect()
    }

    /// A session. Looks at every path of it: call it off the reactor.
    ///
    /// # Errors
    /// Where there is none.
    pub fn session(&self, cache: &Cache, id: &RecordId) -> Result<UploadSession, SessionError> {
        let entry = self.head(cache, id).ok_or(SessionError::Absent)?;
        let head = entry.record.head().ok_or(SessionError::Absent)?;
        Ok(self.described(cache, id, head))
    }

    /// A session with what came of each path. Looks at every path of it: call it off the reactor.
    ///
    /// # Errors
    /// Where there is none.
    pub fn receipt(
        &self,
        cache: &Cache,
        id: &RecordId,
        caller: &Caller,
    ) -> Result<UploadReceipt, SessionError> {
        let entry = self.head(cache, id).ok_or(SessionError::Absent)?;
        let head = entry.record.head().ok_or(SessionError::Absent)?;
        let paths = self.outcomes(cache, id, head);
        Ok(UploadReceipt {
            session: described(cache, id, head, &paths),
            is_own: head.owner == owner(caller),
            paths,
        })
    }

    fn described(&self, cache: &Cache, id: &RecordId, head: &SessionHead) -> UploadSession {
        let paths = if head.is_moving() {
            self.outcomes(cache, id, head)
        } else {
            // As it was at the end.
            Vec::new()
        };
        described(cache, id, head, &paths)
    }

    fn outcomes(&self, cache: &Cache, id: &RecordId, head: &SessionHead) -> Vec<UploadedPath> {
        let refused = match head.state {
            HeadState::Open => self.refused_in(cache, id),
            HeadState::Committed | HeadState::Cancelled => head.refused.clone(),
        };
        let ledger = self.0.site.ledger.view();
        let found = Found {
            head,
            // Before the index: what waits no more is in that already.
            waiting: waiting::of_uploader(&ledger, cache.slug.as_str(), &head.owner),
            view: cache.index.view(),
            refused,
        };
        self.paths_of(cache, id, head)
            .into_iter()
            .map(|path| self.outcome(cache, &found, path))
            .collect()
    }

    fn refused_in(&self, cache: &Cache, id: &RecordId) -> BTreeMap<String, String> {
        let place = (cache.slug.to_string(), id.clone());
        let refused = lock(&self.0.sessions.refused);
        refused.get(&place).cloned().unwrap_or_default()
    }

    /// What has come of a path, by what is there.
    fn outcome(&self, cache: &Cache, found: &Found<'_>, path: PathRecord) -> UploadedPath {
        let Found { head, view, .. } = found;
        let hash = StorePathRef::parse(&path.path).ok().map(|path| path.hash());
        let there = hash
            .and_then(|hash| view.find(&hash))
            .and_then(|id| NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).ok())
            .filter(|there| there.nar_hash().to_nix32() == path.nar_hash);
        let names = there.as_ref().map(key_names).unwrap_or_default();
        let published = match path.fate {
            Fate::Same | Fate::SkipUpstream => false,
            Fate::AddSignature => {
                there.is_some() && path.signed_by.iter().all(|name| names.contains(name))
            }
            Fate::New | Fate::Conflict | Fate::NotAllowed | Fate::Incomplete => there.is_some(),
        };
        let hash = hash.map(|hash| hash.to_string()).unwrap_or_default();
        let refused = &found.refused;
        let refused = refused.get(&hash).or_else(|| refused.get(&path.nar_key));
        let entry = found
            .waiting
            .get(&(hash, format!("sha256:{}", path.nar_hash)))
            .filter(|_| there.is_none());
        let waits = entry.filter(|entry| entry.is_waiting());
        // What was decided before is not about this session, but for what is not taken again.
        let ended = entry.filter(|entry| path.fate.sends() && entry.ended_since(head.began_at));
        let why = refused
            .cloned()
            .or_else(|| ended.and_then(|entry| entry.why_not()))
            .filter(|_| !published && path.fate.sends());
        let pending = &self.0.pending;
        let parts = self
            .0
            .sessions
            .lanes
            .parts(cache, &head.owner, &path.nar_key);
        let outcome = if published {
            Outcome::Published
        } else if waits.is_some() {
            Outcome::Waiting
        } else if !path.fate.sends() {
            Outcome::LeftOut
        } else if why.is_some() {
            Outcome::Refused
        } else if head.state == HeadState::Open
            && pending
                .of(cache.slug.as_str(), &path.nar_key, &head.owner)
                .is_some()
        {
            Outcome::Arrived
        } else if parts > 0 {
            Outcome::Arriving
        } else {
            Outcome::Planned
        };
        let mut signatures: Vec<String> = names.into_iter().collect();
        signatures.sort_unstable();
        UploadedPath {
            path: format!("{}/{}", cache.store_dir, path.path),
            nar_hash: format!("sha256:{}", path.nar_hash),
            nar_size: path.nar_size,
            nar_key: path.nar_key,
            file_size: path.file_size,
            fate: path.fate,
            outcome,
            reason: match waits {
                // What it was to wait for is over.
                _ if published && path.fate.sends() => None,
                Some(entry) => Some(entry.waits.sentence()),
                None => why.or(path.reason),
            },
            approval: waits.or(ended).map(|entry| entry.id.to_string()),
            parts,
            signatures,
        }
    }

    /// Ends a session: what could be published is. What is on its way is given up.
    ///
    /// # Errors
    /// Where it is somebody else's, or the ledger cannot be written. That it has ended is none.
    pub async fn commit(
        &self,
        cache: &Cache,
        id: &RecordId,
        caller: &Caller,
        by: &By,
    ) -> Result<UploadReceipt, SessionError> {
        self.end_session(cache, id, caller, by, HeadState::Committed)
            .await
    }

    /// Gives a session up: what is on its way is taken out of the bucket, what is published stays.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); Maintainers may give up anybody's.
    pub async fn cancel(
        &self,
        cache: &Cache,
        id: &RecordId,
        caller: &Caller,
        by: &By,
    ) -> Result<UploadReceipt, SessionError> {
        self.end_session(cache, id, caller, by, HeadState::Cancelled)
            .await
    }

    async fn end_session(
        &self,
        cache: &Cache,
        id: &RecordId,
        caller: &Caller,
        by: &By,
        state: HeadState,
    ) -> Result<UploadReceipt, SessionError> {
        let entry = self.head(cache, id).ok_or(SessionError::Absent)?;
        let head = entry.record.head().ok_or(SessionError::Absent)?;
        let may = head.owner == owner(caller)
            || state == HeadState::Cancelled
                && auth::may(caller, Act::Maintain, cache.on()).is_ok();
        if !may {
            return Err(SessionError::NotYours(head.by.clone()));
        }
        if head.state == state {
            return self.receipt(cache, id, caller);
        }
        if head.state != HeadState::Open {
            return Err(SessionError::Ended);
        }
        let sessions = &self.0.sessions;
        let slug = cache.slug.as_str();
        let so_far = self.outcomes(cache, id, head);
        let counted = described(cache, id, head, &so_far);
        let refused: BTreeMap<String, String> = self
            .refused_in(cache, id)
            .into_iter()
            .take(MOST_REFUSED)
            .collect();
        let scope = Scope::Cache(slug);
        self.0
            .site
            .ledger
            .update(scope, id, &by.actor, |record: &UploadRecord| {
                let head = record.head().ok_or(SessionError::Absent)?;
                if head.state != HeadState::Open {
                    return Err(SessionError::Ended);
                }
                Ok(UploadRecord::Session(SessionHead {
                    state,
                    ended_at: Some(now()),
                    came: (counted.published, counted.arrived),
                    refused: refused.clone(),
                    waited: counted.waiting,
                    ..head.clone()
                }))
            })
            .await?;
        sessions
            .lanes
            .give_up(|cache, session| cache == slug && session == id)
            .await;
        lock(&sessions.refused).remove(&(slug.to_owned(), id.clone()));
        let act = match state {
            HeadState::Cancelled => "upload.cancel",
            HeadState::Open | HeadState::Committed => "upload.commit",
        };
        let detail = [
            ("cache", slug.to_owned()),
            ("published", counted.published.to_string()),
            ("refused", counted.refused.to_string()),
            ("waiting", counted.waiting.to_string()),
        ];
        self.0.site.access.note(by, act, id.as_str(), &detail).await;
        self.receipt(cache, id, caller)
    }
}

fn described(
    cache: &Cache,
    id: &RecordId,
    head: &SessionHead,
    paths: &[UploadedPath],
) -> UploadSession {
    let is = |outcome: Outcome| paths.iter().filter(move |path| path.outcome == outcome);
    let count = |outcome: Outcome| is(outcome).count() as u64;
    let (published, refused) = if head.is_moving() {
        (count(Outcome::Published), count(Outcome::Refused))
    } else {
        (head.came.0, head.refused.len() as u64)
    };
    let arrived = match head.state {
        HeadState::Open => {
            let whole: u64 = is(Outcome::Published)
                .chain(is(Outcome::Arrived))
                .chain(is(Outcome::Waiting))
                .filter(|path| path.fate.sends_archive())
                .map(|path| path.file_size)
                .sum();
            let parts: u64 = is(Outcome::Arriving)
                .map(|path| (path.parts * PART).min(path.file_size))
                .sum();
            whole + parts
        }
        HeadState::Committed | HeadState::Cancelled => head.came.1,
    };
    UploadSession {
        id: id.to_string(),
        cache: cache.slug.to_string(),
        from: head.from.clone(),
        by: head.by.clone(),
        state: match head.state {
            HeadState::Open => SessionState::Open,
            HeadState::Committed => SessionState::Committed,
            HeadState::Cancelled => SessionState::Cancelled,
        },
        began_at: spelled(head.began_at),
        ended_at: head.ended_at.map(spelled),
        expires_at: spelled(head.expires_at),
        paths: head.paths,
        published,
        refused,
        waiting: count(Outcome::Waiting),
        is_over: head.state != HeadState::Open || paths.iter().all(|path| path.outcome.is_over()),
        bytes: head.bytes,
        arrived,
    }
}
