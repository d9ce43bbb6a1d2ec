//! Putting paths into quarantine, lifting them, and noting that one was purged.

use std::collections::BTreeSet;

use snowbank_shared::store_path::StorePathHash;

use super::{MOST_PAIRS, MOST_PURGED, MOST_QUARANTINED, Pair, Withheld, WithheldRecord};
use crate::auth::records::now;
use crate::auth::{Access, AccessError, By};
use crate::ledger::kind::{PURGED, WITHHELD};
use crate::ledger::{LedgerError, RecordId, Scope};

/// Seconds within which an act is undone without giving a reason.
pub const UNDO: i64 = 86_400;
/// Characters of a reason at most.
const LONGEST_REASON: usize = 200;

/// What is let out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lift {
    /// This path, whatever act put it there.
    Path(StorePathHash),
    /// What is left of this act.
    Act(String),
}

/// A reason as it is kept.
fn checked(reason: &str) -> Result<String, AccessError> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=LONGEST_REASON => Ok(reason.to_owned()),
        _ => Err(AccessError::Bad(format!(
            "Say why, in 1 to {LONGEST_REASON} characters."
        ))),
    }
}

impl Withheld {
    /// Puts paths into quarantine, those left out that are held back already. Gives back how many.
    ///
    /// # Errors
    /// Where the reason is none, too many are held back, or the ledger cannot write it. What was
    /// written until then counts; the same again goes on.
    pub async fn quarantine(
        &self,
        access: &Access,
        cache: &str,
        pairs: impl IntoIterator<Item = Pair>,
        reason: &str,
        by: &By,
    ) -> Result<u64, AccessError> {
        let reason = checked(reason)?;
        let ledger = access.ledger();
        self.refresh(ledger, cache);
        let held = self.held();
        let pairs: BTreeSet<Pair> = pairs
            .into_iter()
            .filter(|pair| held.find(&pair.path, &pair.nar_hash).is_none())
            .collect();
        let (_, quarantined) = held.counts();
        if quarantined as usize + pairs.len() > MOST_QUARANTINED {
            return Err(AccessError::Bad(format!(
                "A cache holds {MOST_QUARANTINED} paths in quarantine at most, and there are {quarantined}: lift some first, or hide fewer."
            )));
        }
        if pairs.is_empty() {
            return Ok(0);
        }
        let act = RecordId::random().map_err(LedgerError::from)?;
        let pairs: Vec<Pair> = pairs.into_iter().collect();
        for (part, pairs) in pairs.chunks(MOST_PAIRS).enumerate() {
            let record = WithheldRecord {
                act: act.to_string(),
                reason: reason.clone(),
                by: by.actor.clone(),
                at: now(),
                pairs: pairs.to_vec(),
                lifted: BTreeSet::new(),
            };
            let id = named(&act, part)?;
            let written = ledger.create(Scope::Cache(cache), &id, &by.actor, record);
            let written = written.await;
            self.refresh(ledger, cache);
            written?;
        }
        let count = pairs.len() as u64;
        access
            .note_in(
                cache,
                by,
                "quarantine.set",
                &act.to_string(),
                &[
                    ("reason", reason),
                    ("paths", count.to_string()),
                    ("first", pairs[0].to_string()),
                ],
            )
            .await;
        Ok(count)
    }

    /// Lets paths out of quarantine. Gives back how many.
    ///
    /// # Errors
    /// Where nothing of that is in quarantine, a reason is needed and none is given, or the ledger
    /// cannot write it.
    pub async fn lift(
        &self,
        access: &Access,
        cache: &str,
        what: &Lift,
        reason: &str,
        by: &By,
    ) -> Result<u64, AccessError> {
        let ledger = access.ledger();
        let scope = Scope::Cache(cache);
        let fits = |record: &WithheldRecord| match what {
            Lift::Act(act) => record.act == *act,
            Lift::Path(path) => record.left().any(|pair| pair.path == *path),
        };
        let records: Vec<_> = ledger
            .view()
            .list::<WithheldRecord>(scope)
            .filter(|record| fits(record))
            .collect();
        if records.is_empty() {
            let name = match what {
                Lift::Act(act) => act.chars().take(64).collect(),
                Lift::Path(path) => path.to_string(),
            };
            return Err(AccessError::NoSuch {
                what: "path in quarantine, or act that put one there, named",
                name,
            });
        }
        let undone = matches!(what, Lift::Act(_))
            && reason.trim().is_empty()
            && records.iter().all(|record| record.at + UNDO > now());
        let reason = if undone {
            "undone".to_owned()
        } else {
            checked(reason)?
        };
        let mut count = 0;
        for record in records {
            let mut lifted = 0;
            let written = ledger
                .update(scope, &record.id, &by.actor, |record: &WithheldRecord| {
                    let mut next = record.clone();
                    let out = record
                        .pairs
                        .iter()
                        .enumerate()
                        .filter(|(_, pair)| match what {
                            Lift::Act(_) => true,
                            Lift::Path(path) => pair.path == *path,
                        });
                    next.lifted.extend(out.map(|(at, _)| at));
                    lifted = (next.lifted.len() - record.lifted.len()) as u64;
                    Ok::<_, LedgerError>(next)
                })
                .await;
            self.refresh(ledger, cache);
            count += lifted;
            // Nothing of it is left: the audit has what it was.
            if written?.left().next().is_none() {
                let buried = ledger.tombstone(WITHHELD, scope, &record.id, &by.actor, "lifted");
                let buried = buried.await;
                self.refresh(ledger, cache);
                buried?;
            }
        }
        let object = match what {
            Lift::Act(act) => act.clone(),
            Lift::Path(path) => path.to_string(),
        };
        let detail = [("reason", reason), ("paths", count.to_string())];
        access
            .note_in(cache, by, "quarantine.lift", &object, &detail)
            .await;
        Ok(count)
    }

    /// Notes that a path was purged: its content is refused for ever, by every replica. Who deletes the
    /// bytes calls this first.
    ///
    /// # Errors
    /// Where the reason is none, too many were purged, or the ledger cannot write it.
    pub async fn purged(
        &self,
        access: &Access,
        cache: &str,
        pair: Pair,
        reason: &str,
        by: &By,
    ) -> Result<(), AccessError> {
        let reason = checked(reason)?;
        let ledger = access.ledger();
        let scope = Scope::Cache(cache);
        if ledger.view().tombstone_count(PURGED, scope) >= MOST_PURGED {
            return Err(AccessError::Bad(format!(
                "{MOST_PURGED} paths of this cache were purged, and more cannot be: retention deletes as well."
            )));
        }
        let id: RecordId = pair
            .to_string()
            .parse()
            .map_err(|_| AccessError::Bad("This is no path that can be purged.".to_owned()))?;
        ledger
            .tombstone(PURGED, scope, &id, &by.actor, &reason)
            .await?;
        self.refresh(ledger, cache);
        let detail = [("reason", reason)];
        access
            .note_in(cache, by, "path.purge", &pair.to_string(), &detail)
            .await;
        Ok(())
    }
}

/// The record of a part of an act.
fn named(act: &RecordId, part: usize) -> Result<RecordId, AccessError> {
    format!("{act}.{part}")
        .parse()
        .map_err(|_| AccessError::Bad("This act has too many parts.".to_owned()))
}
