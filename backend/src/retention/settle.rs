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
    /// Sweeps, and puts back what a narinfo refers to and this run took out.
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
        if found {
            self.put_back_of(hold, &names, Some(&needed)).await?;
        }
        Ok(())
    }

    /// Puts back everything that a run took out and whose NARs are there.
    pub(super) async fn put_all_back(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        hold.sweep().await?;
        // What stays after all is told anew.
        hold.write(|run| {
            run.spared.clear();
            run.spared_paths = 0;
            run.spared_bytes = 0;
            run.restored = 0;
        })
        .await?;
        let names = hold.trash_names(None).await?;
        self.put_back_of(hold, &names, None).await?;
        self.give_back(hold.cache, hold.id.as_str()).await?;
        hold.write(|run| {
            run.state = RunState::Undone;
            run.ended_at = Some(now());
        })
        .await?;
        Ok(())
    }

    /// Puts back what lies in these bundles, last first; of it only what is needed, where that is said.
    async fn put_back_of(
        &self,
        hold: &Hold<'_>,
        names: &[String],
        needed: Option<&HashSet<StorePathHash>>,
    ) -> Result<(), Stop> {
        for name in names.iter().rev() {
            hold.beat().await?;
            let mut thrown = hold.thrown(name).await?;
            thrown.retain(|one| needed.is_none_or(|needed| needed.contains(&one.hash)));
            thrown.reverse();
            let done = hold.put_back(thrown).await?;
            let settling = needed.is_some();
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
        Ok(())
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
