//! What else is there after narinfos went: whatever surviving narinfos refer to is put back, and a run is
//! undone.
//!
//! Uploads hold back what they need before they publish. Who writes past this server does not, and an
//! upload's last request may arrive late: after a sweep, what the trash has and a narinfo names comes back.

use std::collections::HashSet;

use snowbank_shared::api::retention::{KeptSince, RunState};
use snowbank_shared::store_path::StorePathHash;

use super::bin::{Back, Thrown};
use super::since::MOST_NAMED;
use super::work::{Hold, Stop};
use super::{Retention, off_reactor};
use crate::auth::records::now;
use crate::condemned::Spared;

impl Retention {
    /// Sweeps, and puts back what a narinfo refers to and this run took out. Where that cannot be done, the
    /// run stands still: what else it is about to delete may be needed to do it.
    pub(super) async fn settle(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        hold.sweep().await?;
        let cache = std::sync::Arc::clone(hold.cache);
        let absent = off_reactor(move || Ok(cache.index.view().absent_references())).await?;
        if absent.is_empty() {
            return Ok(());
        }
        let names = hold.trash_names(None).await?;
        let mut needed = absent;
        let mut found = false;
        // Who refers comes before what it refers to: one pass finds all that is needed.
        for name in &names {
            hold.beat().await?;
            for one in hold.thrown(name).await? {
                if needed.contains(&one.hash) {
                    found = true;
                    needed.extend(one.references);
                }
            }
        }
        if !found {
            return Ok(());
        }
        match self.put_back_of(hold, &names, Some(&needed)).await? {
            0 => Ok(()),
            left => Err(Stop::Trouble(format!(
                "something in the trash is referred to and could not be put back ({left} in all): undo this run, or later runs that have what they need"
            ))),
        }
    }

    /// Puts back everything that a run took out and whose NARs are there. Where something waits for what
    /// another run has, the trash stays, and the run can be undone again.
    pub(super) async fn put_all_back(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        hold.sweep().await?;
        // What stays after all is told anew.
        hold.write(|run| {
            run.spared.clear();
            run.spared_paths = 0;
            run.spared_bytes = 0;
        })
        .await?;
        let names = hold.trash_names(None).await?;
        let left = self.put_back_of(hold, &names, None).await?;
        self.give_back(hold.cache, hold.id.as_str()).await?;
        hold.write(|run| {
            // What was in hand when it was stopped was not counted then.
            run.trashed = run.trashed.max(run.restored + left);
            run.state = match left {
                0 => RunState::Undone,
                _ => RunState::Stopped,
            };
            run.trouble = (left > 0).then(|| {
                let paths = match left {
                    1 => "1 path is".to_owned(),
                    more => format!("{more} paths are"),
                };
                format!(
                    "{paths} still in the trash, most likely because something was taken out since that is referred to: undo the later runs first, then this one again."
                )
            });
            run.ended_at = Some(now());
        })
        .await?;
        Ok(())
    }

    /// Puts back what lies in these bundles, last first; of it only what is needed, where that is said. Gives
    /// back how many could be put back another time.
    async fn put_back_of(
        &self,
        hold: &Hold<'_>,
        names: &[String],
        needed: Option<&HashSet<StorePathHash>>,
    ) -> Result<u64, Stop> {
        let mut left = 0;
        for name in names.iter().rev() {
            hold.beat().await?;
            let mut thrown = hold.thrown(name).await?;
            thrown.retain(|one| needed.is_none_or(|needed| needed.contains(&one.hash)));
            thrown.reverse();
            let done = hold.put_back(thrown).await?;
            let settling = needed.is_some();
            // What was purged, or whose NAR is gone, never comes back.
            let waits = |(_, back): &&(Thrown, Back)| matches!(back, Back::Left(reason, _) if *reason != KeptSince::Gone);
            left += done.iter().filter(waits).count() as u64;
            hold.write(|run| {
                for (one, back) in &done {
                    match back {
                        Back::Put if settling => {
                            run.trashed = run.trashed.saturating_sub(1);
                            stays(
                                run,
                                one,
                                KeptSince::Referenced,
                                "a path that stays refers to it",
                            );
                        }
                        Back::Put => run.restored += 1,
                        // It was never taken out, or somebody was faster.
                        Back::There => {}
                        Back::Left(reason, words) if !settling => stays(run, one, *reason, words),
                        Back::Left(_, words) => run.went_wrong(
                            &format!("it is referred to and could not be put back: {words}"),
                            &one.hash.narinfo_key(),
                        ),
                    }
                }
            })
            .await?;
        }
        Ok(left)
    }
}

/// Notes a path of the trash that is not where the run meant it to be.
fn stays(run: &mut crate::condemned::RunRecord, one: &Thrown, reason: KeptSince, words: &str) {
    run.spared_paths += 1;
    if run.spared.len() < MOST_NAMED {
        run.spared.push(Spared {
            hash: one.hash,
            name: one.name.clone(),
            reason,
            words: words.to_owned(),
        });
    }
}
