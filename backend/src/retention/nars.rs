//! NARs of what lies in the trash, after the time of grace.
//!
//! A NAR goes where a sweep since shows that no narinfo names it, no upload noted it as needed before
//! the claim, and none that waits here is about to name it. With it goes the listing of a path that is
//! not back. At the end the trash goes too: nothing can be put back any more.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt as _, stream};
use snowbank_shared::api::retention::RunState;
use snowbank_shared::store_path::StorePathHash;

use super::Retention;
use super::bin::AT_ONCE;
use super::work::{Hold, Stop};
use crate::auth::records::now;
use crate::bucket::{Bucket, BucketErrorKind};
use crate::condemned::{self, place};

/// NARs of a batch.
const BATCH: usize = 128;

/// What became of a NAR.
enum Became {
    /// It went, with so many bytes; 0 where it was gone.
    Gone(u64),
    /// Something names it.
    Named,
    /// The bucket refused.
    Failed(String),
}

impl Retention {
    /// Deletes the NARs of a run's trash, from where it stands.
    pub(super) async fn delete_nars(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        self.settle(hold).await?;
        let mut run = hold.write(|_| {}).await?;
        let of = (run.bundles, run.digest.as_str());
        let ledger = &self.0.site.ledger;
        let list = condemned::list(ledger, hold.slug(), &run.plan, of).await?;
        // What the run did not take out is not its own, whether something names it or not.
        let mut trashed: HashMap<String, BTreeSet<StorePathHash>> = HashMap::new();
        for name in hold.trash_names(None).await? {
            hold.beat().await?;
            for one in hold.thrown(&name).await? {
                trashed.entry(one.nar).or_default().insert(one.hash);
            }
        }
        // Paths of one archive may lie in the trash of several runs: the last of them deletes it.
        for other in self.undoable_runs(hold.cache) {
            if other.id == hold.id {
                continue;
            }
            let folder = format!("trash/{}/", other.id);
            for bundle in ledger.bundles(hold.slug(), &folder).await? {
                hold.beat().await?;
                for one in hold.thrown(&format!("{folder}{}", bundle.name)).await? {
                    trashed.remove(&one.nar);
                }
            }
        }
        let nars = condemned::nars(&list);
        while (run.next as usize) < nars.len() {
            hold.allowed()?;
            run = hold
                .write(|run| {
                    let to = (run.next as usize + BATCH).min(nars.len());
                    run.claim = run.claim.or(Some((run.next, place(to))));
                })
                .await?;
            let Some((from, to)) = run.claim else {
                return Err(Stop::Trouble("a batch was not claimed".to_owned()));
            };
            let needed = &run.needed_nars;
            let mut going = (from as usize..(to as usize).min(nars.len()))
                .filter(|at| !needed.contains(&place(*at)))
                .filter_map(|at| Some((nars[at].nar.clone(), trashed.get(&nars[at].nar)?.clone())))
                .collect::<Vec<_>>()
                .into_iter();
            let mut counts = Counts::default();
            loop {
                let together: Vec<_> = going.by_ref().take(AT_ONCE).collect();
                if together.is_empty() {
                    break;
                }
                hold.beat().await?;
                let deleting = stream::iter(together).map(|(key, hashes)| async move {
                    let became = self.one(hold, &key, &hashes).await;
                    (key, became)
                });
                let done: Vec<_> = deleting.buffer_unordered(AT_ONCE).collect().await;
                let mut stop = None;
                for (key, became) in done {
                    match became {
                        Ok(Became::Gone(0) | Became::Named) => {}
                        Ok(Became::Gone(bytes)) => {
                            counts.deleted += 1;
                            counts.freed += bytes;
                        }
                        Ok(Became::Failed(error)) => counts.errors.push((error, key)),
                        Err(error) => stop = Some(error.after(stop.as_ref())),
                    }
                }
                if let Some(stop) = stop {
                    return Err(stop);
                }
            }
            run = hold
                .note(|run| {
                    if run.claim.is_none_or(|(_, claimed)| claimed != to) {
                        return;
                    }
                    run.claim = None;
                    run.next = to;
                    run.deleted += counts.deleted;
                    run.freed += counts.freed;
                    for (words, object) in &counts.errors {
                        run.went_wrong(words, object);
                    }
                })
                .await?;
            if run.state != RunState::Deleting {
                return Err(Stop::Left);
            }
        }
        for name in hold.trash_names(None).await? {
            hold.beat().await?;
            ledger.drop_bundle(hold.slug(), &name).await?;
        }
        self.give_back(hold.cache, hold.id.as_str()).await?;
        hold.write(|run| {
            run.state = RunState::Done;
            run.claim = None;
            run.ended_at = Some(now());
        })
        .await?;
        Ok(())
    }

    /// Deletes one NAR, where nothing names it, and the listings of its paths that are not back.
    async fn one(
        &self,
        hold: &Hold<'_>,
        key: &str,
        hashes: &BTreeSet<StorePathHash>,
    ) -> Result<Became, Stop> {
        let cache = hold.cache;
        let named = !cache.index.view().ids_by_nar(key).is_empty();
        if named || self.0.intake.wants_nar(hold.slug(), key) {
            return Ok(Became::Named);
        }
        let bucket = cache.bucket.bulk();
        // The narinfos themselves, once more: the index may be seconds old.
        for hash in hashes {
            if bucket.find(&hash.narinfo_key()).await?.is_some() {
                return Ok(Became::Named);
            }
        }
        let there = match bucket.find(key).await {
            Ok(there) => there,
            // It lies elsewhere, by its URL, and is not ours.
            Err(error) if error.kind() == BucketErrorKind::InvalidKey => {
                return Ok(Became::Named);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(there) = there else {
            listings(&bucket, hashes).await;
            return Ok(Became::Gone(0));
        };
        if let Err(error) = hold.deleting(bucket.delete(key)).await? {
            // The answer may have got lost, and not the deletion.
            if bucket.find(key).await?.is_some() {
                return Ok(Became::Failed(format!("the bucket refused: {error}")));
            }
        }
        listings(&bucket, hashes).await;
        Ok(Became::Gone(there.size))
    }
}

/// Deletes the listings of paths. One that stays is a small object that nothing names.
async fn listings(bucket: &Bucket, hashes: &BTreeSet<StorePathHash>) {
    for hash in hashes {
        let key = format!("{hash}.ls");
        if let Err(error) = bucket.delete(&key).await {
            tracing::debug!(key, %error, "a listing stays");
        }
    }
}

#[derive(Default)]
struct Counts {
    deleted: u64,
    freed: u64,
    errors: Vec<(String, String)>,
}
