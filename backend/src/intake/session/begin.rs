//! Beginning a session: the records of its plan, or those of the same plan that are there.

use std::collections::BTreeMap;

use sha2::Digest as _;
use snowbank_shared::api::uploads::UploadPlan;
use snowbank_shared::hash::Sha256;

use super::super::{Intake, owner};
use super::plan::Judged;
use super::record::{HeadState, PathRecord, SessionHead, UploadRecord, piece_id, pieces};
use super::understood::Understood;
use super::{LIFE, MOST_IN_CACHE, MOST_OF_ONE, MOST_OPEN, MOST_PATHS_OF_ONE, SessionError, spoken};
use crate::auth::records::now;
use crate::auth::{By, Caller};
use crate::ledger::{RecordId, Scope};
use crate::site::Cache;

/// Characters of where it comes from.
const LONGEST_FROM: usize = 200;

/// What one person began within [`LIFE`], ended or not: it is remembered, so it is bounded.
#[derive(Debug, Default)]
struct Lately {
    sessions: usize,
    paths: u64,
}

impl Lately {
    /// Whether one more of so many paths can begin.
    fn take(&self, paths: u64) -> Result<(), SessionError> {
        let sessions = self.sessions;
        if sessions >= MOST_OF_ONE {
            return Err(SessionError::TooMany(format!(
                "You began {sessions} uploads to this cache within seven days, ended ones included, and {MOST_OF_ONE} are the most. Plan more paths in one upload, use `nix copy`, or wait until the oldest of them is seven days old."
            )));
        }
        let paths = self.paths.saturating_add(paths);
        if paths > MOST_PATHS_OF_ONE {
            return Err(SessionError::TooMany(format!(
                "With this one you would have planned {paths} paths for this cache within seven days, ended uploads included, and {MOST_PATHS_OF_ONE} are the most. Plan only paths that are not here yet, use `nix copy`, or wait until the oldest of these uploads is seven days old."
            )));
        }
        Ok(())
    }
}

impl Intake {
    /// Writes the records of a session, or finds those of the same plan.
    #[expect(clippy::too_many_arguments, reason = "what a session is made of")]
    pub(super) async fn begin(
        &self,
        cache: &Cache,
        caller: &Caller,
        by: &By,
        plan: &UploadPlan,
        understood: &[Understood],
        judged: Vec<Judged>,
        to_send: u64,
    ) -> Result<(RecordId, bool), SessionError> {
        let owner = owner(caller);
        let digest = digest(plan);
        let ledger = &self.0.site.ledger;
        let scope = Scope::Cache(cache.slug.as_str());
        let began_at = now();
        let (mut open, mut all) = (0, 0);
        let mut lately = Lately::default();
        for entry in ledger.view().list::<UploadRecord>(scope) {
            let Some(head) = entry.record.head() else {
                continue;
            };
            all += 1;
            if head.owner != owner {
                continue;
            }
            if head.state == HeadState::Open {
                if head.plan == digest {
                    return Ok((entry.id, true));
                }
                open += 1;
            }
            if head.began_at > began_at - LIFE {
                lately.sessions += 1;
                lately.paths = lately.paths.saturating_add(head.paths);
            }
        }
        if open >= MOST_OPEN {
            return Err(SessionError::TooMany(format!(
                "You have {open} uploads that are not finished. Finish or cancel one of them first."
            )));
        }
        lately.take(understood.len() as u64)?;
        if all >= MOST_IN_CACHE {
            return Err(SessionError::TooMany(format!(
                "This cache remembers {all} uploads of the last seven days, and that is the most."
            )));
        }
        let id =
            RecordId::random().map_err(|error| SessionError::Unavailable(format!("{error}.")))?;
        let expires_at = began_at + LIFE;
        let paths = understood
            .iter()
            .zip(judged)
            .map(|(path, judged)| PathRecord {
                path: path.path.to_string(),
                nar_hash: path.nar_hash.to_nix32(),
                nar_size: path.nar_size,
                nar_key: path.nar_key.clone(),
                file_size: path.file_size,
                signed_by: path.signed_by.clone(),
                fate: judged.fate,
                reason: judged.reason,
            })
            .collect();
        let pieces = pieces(paths);
        let head = SessionHead {
            owner,
            by: spoken(caller),
            from: plan.from.trim().chars().take(LONGEST_FROM).collect(),
            plan: digest,
            began_at,
            expires_at,
            state: HeadState::Open,
            ended_at: None,
            pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
            paths: understood.len() as u64,
            bytes: to_send,
            came: (0, 0),
            refused: BTreeMap::new(),
            waited: 0,
        };
        // The head last: without it the pieces are nothing, and end by themselves.
        for (number, paths) in (0_u32..).zip(pieces) {
            let Some(piece) = piece_id(&id, number) else {
                return Err(SessionError::Bad("The plan is too long.".to_owned()));
            };
            let record = UploadRecord::Paths { expires_at, paths };
            ledger.create(scope, &piece, &by.actor, record).await?;
        }
        let record = UploadRecord::Session(head);
        ledger.create(scope, &id, &by.actor, record).await?;
        let detail = [
            ("cache", cache.slug.to_string()),
            ("paths", understood.len().to_string()),
            ("bytes", to_send.to_string()),
        ];
        let access = &self.0.site.access;
        access.note(by, "upload.begin", id.as_str(), &detail).await;
        Ok((id, false))
    }
}

/// What makes a plan the same: its paths, whatever their order, and their content.
fn digest(plan: &UploadPlan) -> String {
    let mut lines: Vec<String> = plan
        .paths
        .iter()
        .map(|path| {
            format!(
                "{} {} {} {}\n",
                path.path, path.nar_hash, path.nar_key, path.file_size
            )
        })
        .collect();
    lines.sort_unstable();
    let mut hash = sha2::Sha256::new();
    for line in lines {
        hash.update(line);
    }
    Sha256(hash.finalize().into()).to_base16()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_begins_so_many_uploads_of_so_many_paths() {
        let refused = |sessions, paths, more| {
            let lately = Lately { sessions, paths };
            lately.take(more).err().map(|error| error.to_string())
        };
        assert_eq!(refused(MOST_OF_ONE - 1, 0, MOST_PATHS_OF_ONE), None);
        let many = refused(MOST_OF_ONE, 0, 1).expect("too many uploads");
        assert!(many.contains("You began 100 uploads"), "{many}");
        let many = refused(1, MOST_PATHS_OF_ONE, 1).expect("too many paths");
        assert!(many.contains("planned 200001 paths"), "{many}");
    }
}
