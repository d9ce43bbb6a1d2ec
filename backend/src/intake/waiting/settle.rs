//! Bringing what waits forward: judged again, then published, refused, or waiting on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use http::StatusCode;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::approvals::{ApprovalState, WaitsFor};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::StorePathHash;

use super::super::judge::Verified;
use super::super::narinfo::{not_held_back, same_content};
use super::super::{Intake, Refusal, Standing, UploadPolicy};
use super::{Needs, Others, Waiting, WaitingRecord, Word, entries};
use crate::auth::By;
use crate::auth::records::now;
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::site::Cache;

/// Entries that one call settles at most, those that hang on them counted.
const MOST_AT_ONCE: usize = 10_000;

/// What became of an entry.
enum Settled {
    /// It waits as before.
    Still,
    /// It waits no more: what hangs on it can be looked at.
    Moved(Waiting),
}

/// Why a change of an entry was not made.
enum Unchanged {
    /// It waits no more.
    Over,
    /// The ledger.
    Ledger(LedgerError),
}

impl From<LedgerError> for Unchanged {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// What publishing needs besides judging.
enum Ready {
    Yes,
    Waits(WaitsFor),
}

impl Intake {
    /// Settles entries, and then whatever waited for one that was published or decided. What fails
    /// stays as it is: it is tried again.
    pub(in super::super) async fn settle_all(&self, cache: &Arc<Cache>, first: Vec<RecordId>) {
        let mut due = VecDeque::from(first);
        let mut looked = 0;
        while let Some(id) = due.pop_front() {
            looked += 1;
            if looked > MOST_AT_ONCE {
                return;
            }
            match Box::pin(self.settle(cache, &id)).await {
                Ok(Settled::Still) => {}
                Ok(Settled::Moved(entry)) => due.extend(self.hanging_on(cache, &entry)),
                Err(refusal) => {
                    tracing::warn!(cache = %cache.slug, entry = %id, reason = refusal.text, "what waits could not be settled");
                }
            }
        }
    }

    /// Entries that wait for this one's path, or under the same path.
    pub(super) fn hanging_on(&self, cache: &Cache, entry: &Waiting) -> Vec<RecordId> {
        entries(&self.0.site.ledger, cache.slug.as_str())
            .into_iter()
            .filter(|other| other.is_waiting() && other.id != entry.id)
            .filter(|other| {
                let waits_for_it =
                    matches!(&other.waits, WaitsFor::Reference { path } if *path == entry.path);
                waits_for_it || other.path == entry.path
            })
            .map(|other| other.id)
            .collect()
    }

    /// Looks at one entry, and does what can be done.
    async fn settle(&self, cache: &Arc<Cache>, id: &RecordId) -> Result<Settled, Refusal> {
        let ledger = &self.0.site.ledger;
        let scope = Scope::Cache(cache.slug.as_str());
        let Some(entry) = ledger.view().get::<WaitingRecord>(scope, id) else {
            return Ok(Settled::Still);
        };
        if !entry.is_waiting() || !ledger.freshness().may_publish() {
            return Ok(Settled::Still);
        }
        if entry.expires_at <= now() {
            return self
                .end(
                    cache,
                    entry,
                    ApprovalState::Expired,
                    "nobody decided in time",
                )
                .await;
        }
        let narinfo = entry.narinfo(cache)?;
        let hash = narinfo.store_path().hash();
        if let Some(existing) = self.existing(cache, hash).await? {
            if !same_content(&narinfo, &existing.narinfo) {
                let why = "other content was published under this path";
                return self.end(cache, entry, ApprovalState::Refused, why).await;
            }
            if !self.again(cache, &narinfo, &existing).await? {
                return Ok(Settled::Still);
            }
            return self.end(cache, entry, ApprovalState::Published, "").await;
        }
        if let Err(refusal) = self.still_uploads(&entry.standing(cache)) {
            return self.refused(cache, entry, &refusal).await;
        }
        let group = self.of_the_same_content(cache, entry, &narinfo);
        let (entry, others) = (&group[0], &group[1..]);
        let narinfo = others.iter().try_fold(narinfo, |merged, other| {
            self.with_signatures(cache, &merged, &other.narinfo(cache)?)
        })?;
        if let Ready::Waits(waits) = self.agreed(cache, entry, &narinfo) {
            return self.waits_on(cache, entry, waits).await;
        }
        let standing = entry.standing(cache);
        match self.publish_waiting(&standing, &narinfo).await {
            Ok(None) => {
                let mut group = group.into_iter();
                let Some(entry) = group.next() else {
                    return Ok(Settled::Still);
                };
                self.end(cache, entry, ApprovalState::Published, "").await
            }
            Ok(Some(waits)) => self.waits_on(cache, entry, waits).await,
            Err(refusal) if refusal.status == StatusCode::FAILED_DEPENDENCY => {
                let reason = refusal.text;
                self.waits_on(cache, entry, WaitsFor::Server { reason })
                    .await
            }
            Err(refusal) => {
                let Some(entry) = group.into_iter().next() else {
                    return Ok(Settled::Still);
                };
                self.refused(cache, entry, &refusal).await
            }
        }
    }

    /// Whether the people whom the policy wants have agreed.
    fn agreed(&self, cache: &Cache, entry: &Waiting, narinfo: &NarInfo) -> Ready {
        match entry.needs {
            Needs::Nothing => Ready::Yes,
            Needs::Approvals { approvals: needed } => {
                let given = self.valid_approvals(cache, entry);
                if given >= needed {
                    return Ready::Yes;
                }
                Ready::Waits(WaitsFor::Approval { needed, given })
            }
            Needs::Builders { builders: needed } => {
                let agreeing = self.builders(cache, narinfo);
                if agreeing >= needed {
                    return Ready::Yes;
                }
                Ready::Waits(WaitsFor::Builders { needed, agreeing })
            }
        }
    }

    /// Approvals by who may give one at this moment, each person once.
    pub(super) fn valid_approvals(&self, cache: &Cache, entry: &Waiting) -> u8 {
        let access = &self.0.site.access;
        let people: BTreeSet<&str> = entry
            .approvals
            .iter()
            .map(|word| word.by.as_str())
            .filter(|by| !entry.is_own(by) && access.member_may(by, Act::Maintain, cache.on()))
            .collect();
        u8::try_from(people.len()).unwrap_or(u8::MAX)
    }

    /// Members whose keys have signed this very content, and may.
    pub(super) fn builders(&self, cache: &Cache, narinfo: &NarInfo) -> u8 {
        let fingerprint = narinfo.fingerprint();
        let (name, size) = (narinfo.store_path().name(), narinfo.nar_size());
        let owners: BTreeSet<String> = narinfo
            .signatures()
            .filter_map(|text| {
                let parts = text.parse::<Signature>().ok()?;
                match self.verified(cache, &parts, fingerprint.as_bytes()) {
                    Verified::Contributor(contributor) => contributor
                        .may_publish(cache.slug.as_str(), name, size)
                        .is_ok()
                        .then_some(contributor.owner),
                    _ => None,
                }
            })
            .collect();
        u8::try_from(owners.len()).unwrap_or(u8::MAX)
    }

    /// Judges once more and publishes. Gives what it still waits for.
    async fn publish_waiting(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
    ) -> Result<Option<WaitsFor>, Refusal> {
        let cache = standing.cache;
        let policy = UploadPolicy::in_force(&self.0.site.ledger, cache.slug.as_str())?;
        let judged = self.judged(standing, narinfo, &policy).await?;
        if let Some(url) = judged.elsewhere {
            return Err(Refusal::conflict(
                "elsewhere",
                format!("{url} has the very same, and it is taken from there"),
            ));
        }
        if judged.waits.is_some() {
            return Ok(judged.waits);
        }
        // Its bytes are stored already; they count as the cache's from now on.
        let _room = self
            .fits(cache, &judged.nar_key, judged.facts.file_size)
            .await?;
        // Looking at the archive may have taken minutes.
        if UploadPolicy::in_force(&self.0.site.ledger, cache.slug.as_str())? != policy {
            return Ok(Some(WaitsFor::Server {
                reason: "the policy changed while it was looked at".to_owned(),
            }));
        }
        // Consent that was given stands; that the policy refuses it by now wins.
        self.ruled(standing, narinfo, Some(&judged.voucher), &policy)?;
        not_held_back(cache, narinfo)?;
        self.still_uploads(standing)?;
        if judged.voucher.key().is_some() {
            self.signer(standing, narinfo, &policy)?;
        }
        if self.publish(standing, &judged.publication(narinfo)).await? {
            Ok(None)
        } else {
            Ok(Some(WaitsFor::Server {
                reason: "another one was published at the same moment".to_owned(),
            }))
        }
    }

    /// Notes what it waits for, where that changed.
    async fn waits_on(
        &self,
        cache: &Cache,
        entry: &Waiting,
        waits: WaitsFor,
    ) -> Result<Settled, Refusal> {
        if entry.waits == waits {
            return Ok(Settled::Still);
        }
        let changed = self
            .change(cache, &entry.id, "server", |current| WaitingRecord {
                waits: waits.clone(),
                ..current.clone()
            })
            .await;
        match changed {
            Ok(_) | Err(Unchanged::Over) => Ok(Settled::Still),
            Err(Unchanged::Ledger(error)) => Err(super::kept(&error)),
        }
    }

    /// It cannot be published.
    async fn refused(
        &self,
        cache: &Cache,
        entry: Waiting,
        refusal: &Refusal,
    ) -> Result<Settled, Refusal> {
        let why = format!("{}: {}", refusal.code, refusal.text);
        self.end(cache, entry, ApprovalState::Refused, &why).await
    }

    /// It waits no more: written down once, by whoever comes first, with a line in the audit.
    async fn end(
        &self,
        cache: &Cache,
        entry: Waiting,
        state: ApprovalState,
        reason: &str,
    ) -> Result<Settled, Refusal> {
        let decided = Word {
            by: "server".to_owned(),
            at: now(),
            reason: reason.to_owned(),
        };
        match self.decide_once(cache, &entry, state, decided, None).await {
            Ok(_) | Err(Unchanged::Over) => Ok(Settled::Moved(entry)),
            Err(Unchanged::Ledger(error)) => Err(super::kept(&error)),
        }
    }

    /// Writes down how an entry ended, and puts it into the audit.
    async fn decide_once(
        &self,
        cache: &Cache,
        entry: &Waiting,
        state: ApprovalState,
        decided: Word,
        by: Option<&By>,
    ) -> Result<Waiting, Unchanged> {
        let author = by.map_or("server", |by| by.actor.as_str());
        let ended = self
            .change(cache, &entry.id, author, |current| WaitingRecord {
                state,
                decided: Some(decided.clone()),
                ..current.clone()
            })
            .await?;
        let act = match state {
            ApprovalState::Published => "approval.publish",
            ApprovalState::Rejected => "approval.reject",
            ApprovalState::Expired => "approval.expire",
            ApprovalState::Refused | ApprovalState::Waiting => "approval.refuse",
        };
        self.note_waiting(cache, &ended, act, &decided.reason, by)
            .await;
        Ok(ended)
    }

    /// A line in the audit, with the uploader's name and that of everybody who approved.
    pub(super) async fn note_waiting(
        &self,
        cache: &Cache,
        entry: &Waiting,
        act: &'static str,
        reason: &str,
        by: Option<&By>,
    ) {
        let server = By {
            actor: "server".to_owned(),
            via: "task",
            request: String::new(),
            address: None,
        };
        let mut detail = vec![
            ("uploader", entry.actor.clone()),
            ("entry", entry.id.to_string()),
        ];
        let mut more = |name, value: String| {
            if !value.is_empty() {
                detail.push((name, value));
            }
        };
        more("key", entry.key_name().unwrap_or_default().to_owned());
        let people: Vec<&str> = entry
            .approvals
            .iter()
            .map(|word| word.by.as_str())
            .collect();
        more("approved_by", people.join(", "));
        more("reason", reason.to_owned());
        self.0
            .site
            .access
            .note_in(
                cache.slug.as_str(),
                by.unwrap_or(&server),
                act,
                &entry.path,
                &detail,
            )
            .await;
    }

    /// Changes an entry while it waits, and counts its version up.
    async fn change(
        &self,
        cache: &Cache,
        id: &RecordId,
        author: &str,
        mut next: impl FnMut(&WaitingRecord) -> WaitingRecord,
    ) -> Result<Waiting, Unchanged> {
        let scope = Scope::Cache(cache.slug.as_str());
        self.0
            .site
            .ledger
            .update::<WaitingRecord, Unchanged>(scope, id, author, |current| {
                if !current.is_waiting() {
                    return Err(Unchanged::Over);
                }
                Ok(WaitingRecord {
                    version: current.version + 1,
                    ..next(current)
                })
            })
            .await
    }

    /// Whether a look at an entry may bring it forward, as far as memory can tell.
    pub(super) fn may_move(&self, cache: &Cache, entry: &Waiting, others: &Others<'_>) -> bool {
        let view = cache.index.view();
        let here = |hash: &str| {
            let hash = hash.parse::<StorePathHash>();
            hash.is_ok_and(|hash| view.find(&hash).is_some())
        };
        if entry.expires_at <= now() || here(entry.hash()) {
            return true;
        }
        match &entry.waits {
            WaitsFor::Approval { needed, .. } => self.valid_approvals(cache, entry) >= *needed,
            WaitsFor::Builders { .. } => others.has_rivals(&entry.path),
            WaitsFor::Reference { path } => {
                let base = path.rsplit('/').next().unwrap_or_default();
                let hash = base.split('-').next().unwrap_or_default();
                here(hash) || !others.waits(hash, &entry.uploader)
            }
            WaitsFor::Upstream { .. } | WaitsFor::Server { .. } => true,
        }
    }
}
