//! People who say yes or no to what waits.

use std::sync::Arc;
use std::time::Duration;

use snowbank_shared::api::approvals::{ApprovalState, WaitsFor};

use super::super::Intake;
use super::{Needs, Waiting, WaitingRecord, Word};
use crate::auth::By;
use crate::auth::records::now;
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::site::Cache;

/// How long who approved waits for it to be published. It is published all the same: a large archive
/// may have to be looked at again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of a reason at most.
const LONGEST: usize = 500;

/// Why a decision was not taken. The text is for the one who decides.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// There is no such entry.
    #[error("Nothing of this name waits here, or waited lately.")]
    NoSuch,
    /// Their own.
    #[error("{0}")]
    Own(&'static str),
    /// It is no decision of a person's.
    #[error("Nobody has to approve this. {0}")]
    NotAsked(String),
    /// It changed since they looked.
    #[error("This changed since you opened it: look again, then decide.")]
    Changed,
    /// It waits no more.
    #[error("This was decided already: {0}.")]
    Over(String),
    /// A text that cannot be.
    #[error("{0}")]
    Bad(String),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Whose it is may not approve it.
const OWN_UPLOAD: &str = "This is your own upload: somebody else decides on it.";
/// Nor may who signed it.
const OWN_KEY: &str = "Your own key has signed this: somebody else decides on it.";

impl WaitingRecord {
    /// Why a member cannot approve it, whatever their role; `None`: they can.
    pub fn not_by(&self, member: &str) -> Option<DecisionError> {
        if self.state != ApprovalState::Waiting {
            return Some(DecisionError::Over(self.ended_in_words()));
        }
        if self.member.as_deref() == Some(member) {
            return Some(DecisionError::Own(OWN_UPLOAD));
        }
        if self.key_owner.as_deref() == Some(member) {
            return Some(DecisionError::Own(OWN_KEY));
        }
        if !matches!(self.needs, Needs::Approvals { .. }) {
            return Some(DecisionError::NotAsked(self.waits.sentence()));
        }
        if self.approvals.iter().any(|word| word.by == member) {
            return Some(DecisionError::Over("you have approved it".to_owned()));
        }
        None
    }

    /// How it ended: `rejected by olga`.
    fn ended_in_words(&self) -> String {
        match &self.decided {
            Some(word) if word.by != "server" => format!("it was {} by {}", self.state, word.by),
            _ => format!("it is {}", self.state),
        }
    }
}

impl Intake {
    /// One Maintainer's yes. The same person's second one changes nothing. Where it is enough, the
    /// path is judged once more and published.
    ///
    /// # Errors
    /// See [`DecisionError`]: nothing was written then. That the caller maintains the cache was asked
    /// before.
    pub async fn approve(
        &self,
        cache: &Arc<Cache>,
        id: &RecordId,
        member: &str,
        revision: u64,
        note: &str,
        by: &By,
    ) -> Result<Waiting, DecisionError> {
        let note = short(note)?;
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        let before = ledger
            .view()
            .get::<WaitingRecord>(scope, id)
            .ok_or(DecisionError::NoSuch)?;
        if before.approvals.iter().any(|word| word.by == member) {
            return Ok(self.settled(cache, before).await);
        }
        let word = Word {
            by: member.to_owned(),
            at: now(),
            reason: note.clone(),
        };
        let approved = ledger
            .update::<WaitingRecord, DecisionError>(scope, id, &by.actor, |current| {
                match current.not_by(member) {
                    // An answer that got lost.
                    Some(_) if current.approvals.iter().any(|word| word.by == member) => {
                        return Ok(current.clone());
                    }
                    Some(refusal) => return Err(refusal),
                    None => {}
                }
                if current.version != revision {
                    return Err(DecisionError::Changed);
                }
                let mut next = current.clone();
                next.approvals.push(word.clone());
                next.version += 1;
                if let WaitsFor::Approval { given, .. } = &mut next.waits {
                    *given += 1;
                }
                Ok(next)
            })
            .await;
        let approved = match approved {
            Err(DecisionError::Ledger(LedgerError::Absent(_))) => {
                return Err(DecisionError::NoSuch);
            }
            other => other?,
        };
        self.note_waiting(cache, &approved, "approval.approve", &note, Some(by))
            .await;
        Ok(self.settled(cache, approved).await)
    }

    /// A Maintainer's no, or the uploader who takes it back.
    ///
    /// # Errors
    /// See [`DecisionError`]: nothing was written then.
    pub async fn reject(
        &self,
        cache: &Arc<Cache>,
        id: &RecordId,
        member: &str,
        revision: u64,
        reason: &str,
        by: &By,
    ) -> Result<Waiting, DecisionError> {
        let reason = short(reason)?;
        if reason.is_empty() {
            return Err(DecisionError::Bad(
                "Say why: the uploader and the audit get to read it.".to_owned(),
            ));
        }
        let scope = Scope::Cache(cache.slug.as_str());
        let word = Word {
            by: member.to_owned(),
            at: now(),
            reason: reason.clone(),
        };
        let rejected = self
            .0
            .site
            .ledger
            .update::<WaitingRecord, DecisionError>(scope, id, &by.actor, |current| {
                if current.state != ApprovalState::Waiting {
                    return Err(DecisionError::Over(current.ended_in_words()));
                }
                if current.version != revision {
                    return Err(DecisionError::Changed);
                }
                Ok(WaitingRecord {
                    state: ApprovalState::Rejected,
                    decided: Some(word.clone()),
                    version: current.version + 1,
                    ..current.clone()
                })
            })
            .await;
        let rejected = match rejected {
            Err(DecisionError::Ledger(LedgerError::Absent(_))) => {
                return Err(DecisionError::NoSuch);
            }
            other => other?,
        };
        self.note_waiting(cache, &rejected, "approval.reject", &reason, Some(by))
            .await;
        let due = self.hanging_on(cache, &rejected);
        self.settle_all(cache, due).await;
        Ok(rejected)
    }

    /// Settles an entry and gives it as it is then.
    async fn settled(&self, cache: &Arc<Cache>, entry: Waiting) -> Waiting {
        let (this, of, id) = (self.clone(), Arc::clone(cache), entry.id.clone());
        // On a task of its own: who leaves does not end it.
        let task = tokio::spawn(async move { this.settle_all(&of, vec![id]).await });
        if tokio::time::timeout(PATIENCE, task).await.is_err() {
            tracing::info!(cache = %cache.slug, path = entry.path, "an approved path takes a while to be published");
        }
        let scope = Scope::Cache(cache.slug.as_str());
        let view = self.0.site.ledger.view();
        view.get::<WaitingRecord>(scope, &entry.id).unwrap_or(entry)
    }
}

/// A reason, without space around it.
fn short(text: &str) -> Result<String, DecisionError> {
    let text = text.trim();
    if text.chars().count() > LONGEST {
        return Err(DecisionError::Bad(format!(
            "A reason has at most {LONGEST} characters."
        )));
    }
    Ok(text.to_owned())
}
