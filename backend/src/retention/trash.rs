//! Narinfos into the trash, batch by batch in the order of the list: who refers goes first.
//!
//! ```text
//!  claim places ─▶ read narinfos ─▶ who stays? ─▶ trash, read again ─▶ delete ─▶ index, replicas ─▶ next
//! ```
//!
//! A path stays where an upload noted it as needed before the claim, where a pin names it or a client
//! fetched it since the plan, where its narinfo has other bytes than the plan saw, and where anything
//! that stays refers to it. What could not be deleted stays, with everything that it needs.
//!
//! Killed at any moment, the batch in hand is looked at again: what lies in its trash and not in the
//! bucket was taken out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank_shared::api::retention::{KeptSince, RunState};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;
use tokio::time::Instant;

use super::bin::{AT_ONCE, Lying, Thrown, apart};
use super::since::{MOST_NAMED, Now, Then, kept_without, spared};
use super::work::{Hold, Stop};
use super::{Retention, off_reactor};
use crate::auth::records::now;
use crate::bucket::BucketErrorKind;
use crate::condemned::{self, Doomed, RunRecord, place};
use crate::index::{Change, Id, Kept, View};

/// Paths of a batch.
const BATCH: usize = 256;
/// Fetches and pins are read again after so long.
const FRESH: std::time::Duration = std::time::Duration::from_secs(20);

/// What a batch came to.
#[derive(Default)]
struct Came {
    trashed: u64,
    spared: Vec<(usize, (KeptSince, String))>,
    errors: Vec<(String, String)>,
}

/// A run's list, and what was so when it was made.
struct Course {
    list: Arc<Vec<Doomed>>,
    then: Then,
    /// Pins and fetches as read last.
    now: Arc<Now>,
    read_at: Instant,
}

/// Who of a batch stays, and what stays with them.
struct Judged {
    view: Arc<View>,
    kept: Kept,
    stays: HashMap<usize, (KeptSince, String)>,
}

impl Judged {
    /// What a path stays for because something that stays needs it.
    fn needed(&self, path: &Doomed) -> Option<(KeptSince, String)> {
        let id = self.view.find(&path.hash)?;
        self.kept.has(id).then(|| {
            (
                KeptSince::Referenced,
                "a path that stays refers to it".to_owned(),
            )
        })
    }

    fn id(&self, path: &Doomed) -> Option<Id> {
        self.view.find(&path.hash)
    }
}

impl Retention {
    /// Takes narinfos out, from where the run stands, up to the time of grace.
    pub(super) async fn trash(&self, hold: &Hold<'_>) -> Result<(), Stop> {
        let (ledger, id) = (&self.0.site.ledger, hold.id.as_str());
        let condemned = &hold.cache.condemned;
        condemned.learn(ledger, hold.slug(), id).await?;
        hold.sweep().await?;
        let mut run = hold.write(|_| {}).await?;
        let mut course = self.course(hold, &run).await?;
        while (run.next as usize) < course.list.len() {
            hold.allowed()?;
            let total = course.list.len();
            // From here on, nobody notes a place of these as needed.
            run = hold
                .write(|run| {
                    let to = (run.next as usize + BATCH).min(total);
                    run.claim = run.claim.or(Some((run.next, place(to))));
                })
                .await?;
            let Some((from, to)) = run.claim else {
                return Err(Stop::Trouble("a batch was not claimed".to_owned()));
            };
            if course.read_at.elapsed() > FRESH {
                course = self.course(hold, &run).await?;
            }
            let came = self
                .batch(hold, &course, &run, (from as usize, to as usize))
                .await?;
            run = hold
                .note(|run| came.count_in(&course.list, run, to))
                .await?;
            if run.state != RunState::Trashing {
                return Err(Stop::Left);
            }
        }
        self.settle(hold).await?;
        // Nothing is in hand: the turn is free before anybody reads that it is.
        self.give_back(hold.cache, id).await?;
        hold.write(|run| {
            run.state = RunState::Grace;
            run.trashed_at = Some(now());
            run.claim = None;
        })
        .await?;
        Ok(())
    }

    async fn course(&self, hold: &Hold<'_>, run: &RunRecord) -> Result<Course, Stop> {
        let ledger = &self.0.site.ledger;
        let of = (run.bundles, run.digest.as_str());
        let list = condemned::list(ledger, hold.slug(), &run.plan, of).await?;
        let then = Then {
            at: run.planned_at,
            revisions: run.rules.pins,
            pins: self.plan_pins(hold.cache, &run.plan).await?,
        };
        hold.beat().await?;
        let (site, cache, of) = (
            Arc::clone(&self.0.site),
            Arc::clone(hold.cache),
            then.clone(),
        );
        let now = off_reactor(move || Ok(Now::read(&site, &cache, &of))).await?;
        Ok(Course {
            list: Arc::new(list),
            then,
            now: Arc::new(now),
            read_at: Instant::now(),
        })
    }

    async fn batch(
        &self,
        hold: &Hold<'_>,
        course: &Course,
        run: &RunRecord,
        (from, to): (usize, usize),
    ) -> Result<Came, Stop> {
        let places = from..to.min(course.list.len());
        // What an earlier try of this batch threw away.
        let mut before: HashMap<StorePathHash, Thrown> = HashMap::new();
        for name in hold.trash_names(Some(place(from))).await? {
            before.extend(
                hold.thrown(&name)
                    .await?
                    .into_iter()
                    .map(|one| (one.hash, one)),
            );
        }
        let reading = stream::iter(places.clone()).map(|at| {
            let hash = course.list[at].hash;
            async move { Ok::<_, Stop>((at, hold.lying(&hash).await?)) }
        });
        let lying: HashMap<usize, Option<Lying>> =
            reading.buffer_unordered(AT_ONCE).try_collect().await?;
        hold.beat().await?;

        let mut came = Came::default();
        let mut others = HashMap::new();
        let mut narinfos: HashMap<usize, NarInfo> = HashMap::new();
        for at in places.clone() {
            let path = &course.list[at];
            match lying.get(&at).and_then(Option::as_ref) {
                None if before.contains_key(&path.hash) => came.trashed += 1,
                None => {
                    let gone = (KeptSince::Gone, "it is gone already".to_owned());
                    came.spared.push((at, gone));
                }
                Some(lying) => match as_planned(path, lying, hold) {
                    Some(narinfo) => {
                        narinfos.insert(at, narinfo);
                    }
                    None => {
                        let changed = (KeptSince::Changed, "its narinfo is another one".to_owned());
                        others.insert(at, changed);
                    }
                },
            }
        }
        // The index does not know yet what another process took out before it ended.
        let missing: Vec<StorePathHash> = places
            .clone()
            .filter(|at| lying.get(at).is_some_and(Option::is_none))
            .map(|at| course.list[at].hash)
            .filter(|hash| hold.cache.index.view().find(hash).is_some())
            .collect();
        if !missing.is_empty() {
            let removed = missing.iter().copied().map(Change::Remove).collect();
            hold.show(removed, &missing).await?;
        }
        let mut judged = self
            .judged(hold, course, run, places.clone(), others)
            .await?;
        let mut going: Vec<(usize, Thrown)> = Vec::new();
        for at in places {
            let path = &course.list[at];
            let Some(narinfo) = narinfos.get(&at) else {
                continue;
            };
            if judged.stays.contains_key(&at) || judged.needed(path).is_some() {
                continue;
            }
            let Some(Some(lying)) = lying.get(&at) else {
                continue;
            };
            let known = (path.added_at, path.content);
            // References on the list that went before this one cannot be: they come after it.
            let is_here = |hash: &StorePathHash| judged.view.find(hash).is_some();
            going.push((at, Thrown::of(lying, narinfo, known, is_here)));
        }
        // What was thrown away before comes first: it may be gone from the bucket.
        let mut thrown: Vec<Thrown> = Vec::new();
        let new: HashSet<StorePathHash> = going.iter().map(|(_, one)| one.hash).collect();
        let mut old: Vec<Thrown> = before
            .into_values()
            .filter(|one| !new.contains(&one.hash))
            .collect();
        let at_of: HashMap<StorePathHash, usize> = (from..to.min(course.list.len()))
            .map(|at| (course.list[at].hash, at))
            .collect();
        thrown.extend(going.iter().map(|(_, one)| one.clone()));
        thrown.append(&mut old);
        thrown.sort_by_key(|one| at_of.get(&one.hash).copied().unwrap_or(usize::MAX));
        if !going.is_empty() {
            hold.throw(place(from), &thrown).await?;
        }
        for together in apart(going, |(_, one)| (one.hash, &one.references)) {
            hold.beat().await?;
            self.delete(hold, course, &lying, together, &mut judged, &mut came)
                .await?;
        }
        for at in from..to.min(course.list.len()) {
            let path = &course.list[at];
            if lying.get(&at).is_some_and(Option::is_some) {
                if let Some(reason) = judged.stays.get(&at) {
                    came.spared.push((at, reason.clone()));
                } else if let Some(reason) = judged.needed(path) {
                    came.spared.push((at, reason));
                }
            }
        }
        Ok(came)
    }

    /// Who of a batch stays by itself, and everything that stays.
    async fn judged(
        &self,
        hold: &Hold<'_>,
        course: &Course,
        run: &RunRecord,
        places: std::ops::Range<usize>,
        mut stays: HashMap<usize, (KeptSince, String)>,
    ) -> Result<Judged, Stop> {
        let (site, cache) = (Arc::clone(&self.0.site), Arc::clone(hold.cache));
        let (list, now, then) = (
            Arc::clone(&course.list),
            Arc::clone(&course.now),
            course.then.clone(),
        );
        let needed = run.needed.clone();
        let judging = off_reactor(move || {
            let view = cache.index.view();
            // Pins are few, and are read anew each time.
            let pins = Now::pins(&site, &cache, &then);
            for at in places.clone() {
                let path = &list[at];
                if needed.contains(&place(at)) {
                    let words = "an upload or a pin needs it".to_owned();
                    stays.entry(at).or_insert((KeptSince::Referenced, words));
                } else if let Some(pin) = pins.get(&path.hash) {
                    let words = format!("pinned since: {pin}");
                    stays.entry(at).or_insert((KeptSince::Pinned, words));
                } else if view.find(&path.hash).is_some()
                    && let Some(reason) = now.keeps(&view, path)
                {
                    stays.entry(at).or_insert(reason);
                }
            }
            let rest = (places.start..list.len())
                .filter(|at| !needed.contains(&place(*at)))
                .map(|at| &list[at].hash);
            let mut kept = kept_without(&view, rest);
            let pinned = pins.keys().filter_map(|hash| view.find(hash));
            view.keep(&mut kept, pinned);
            let stay = stays.keys().filter_map(|at| view.find(&list[*at].hash));
            view.keep(&mut kept, stay);
            Ok(Judged { view, kept, stays })
        });
        Ok(judging.await?)
    }

    /// Deletes narinfos that do not refer to one another, and shows that they are gone.
    async fn delete(
        &self,
        hold: &Hold<'_>,
        course: &Course,
        lying: &HashMap<usize, Option<Lying>>,
        together: Vec<(usize, Thrown)>,
        judged: &mut Judged,
        came: &mut Came,
    ) -> Result<(), Stop> {
        // Something that should have gone before may have stayed.
        let together: Vec<usize> = together
            .into_iter()
            .map(|(at, _)| at)
            .filter(|at| judged.needed(&course.list[*at]).is_none())
            .collect();
        let deleting = stream::iter(together).map(|at| async move {
            let etag = match lying.get(&at) {
                Some(Some(lying)) => lying.meta.etag.clone(),
                _ => None,
            };
            (
                at,
                delete_one(hold, &course.list[at].hash, etag.as_ref()).await,
            )
        });
        let done: Vec<(usize, Result<Deleted, Stop>)> =
            deleting.buffer_unordered(AT_ONCE).collect().await;
        let mut gone = Vec::new();
        let mut stop = None;
        for (at, deleted) in done {
            let path = &course.list[at];
            match deleted {
                Ok(Deleted::Gone) => gone.push(path.hash),
                Ok(Deleted::Stays(reason, words)) => {
                    if reason == KeptSince::Failed {
                        came.errors.push((words.clone(), path.hash.narinfo_key()));
                    }
                    judged.stays.insert(at, (reason, words));
                    let id = judged.id(path);
                    judged.view.keep(&mut judged.kept, id);
                }
                Err(error) => stop = Some(error.after(stop.as_ref())),
            }
        }
        came.trashed += gone.len() as u64;
        if !gone.is_empty() {
            let removed = gone.iter().copied().map(Change::Remove).collect();
            hold.show(removed, &gone).await?;
        }
        stop.map_or(Ok(()), Err)
    }
}

/// What became of a narinfo that was to go.
enum Deleted {
    Gone,
    Stays(KeptSince, String),
}

/// Deletes a narinfo, where it is still the one that was read.
async fn delete_one(
    hold: &Hold<'_>,
    hash: &StorePathHash,
    etag: Option<&crate::bucket::ETag>,
) -> Result<Deleted, Stop> {
    let bucket = hold.cache.bucket.bulk();
    let key = hash.narinfo_key();
    // Stores that ignore the condition: the moment in between is short.
    match bucket.find(&key).await? {
        None => return Ok(Deleted::Gone),
        Some(there) if there.etag.as_ref() != etag => {
            return Ok(Deleted::Stays(
                KeptSince::Changed,
                "its narinfo is another one".to_owned(),
            ));
        }
        Some(_) => {}
    }
    let deleted = match etag {
        Some(etag) => hold.deleting(bucket.delete_if_match(&key, etag)).await?,
        None => hold.deleting(bucket.delete(&key)).await?,
    };
    let Err(error) = deleted else {
        return Ok(Deleted::Gone);
    };
    if error.kind() == BucketErrorKind::PreconditionFailed {
        return Ok(Deleted::Stays(
            KeptSince::Changed,
            "its narinfo is another one".to_owned(),
        ));
    }
    // The answer may have got lost, and not the deletion.
    match bucket.find(&key).await? {
        None => Ok(Deleted::Gone),
        Some(_) => Ok(Deleted::Stays(
            KeptSince::Failed,
            format!("the bucket refused: {error}"),
        )),
    }
}

/// The narinfo, where it has the bytes that the plan saw.
fn as_planned(path: &Doomed, lying: &Lying, hold: &Hold<'_>) -> Option<NarInfo> {
    if Sha256::digest(&lying.text).to_base16() != path.narinfo {
        return None;
    }
    let narinfo = NarInfo::parse(&lying.text, &hold.cache.store_dir).ok()?;
    narinfo.check_key(path.hash).ok()?;
    Some(narinfo)
}

impl Came {
    /// Adds what a batch came to, once.
    fn count_in(&self, list: &[Doomed], run: &mut RunRecord, to: u32) {
        if run.claim.is_none_or(|(_, claimed)| claimed != to) {
            return;
        }
        run.claim = None;
        run.next = to;
        run.trashed += self.trashed;
        for (at, reason) in &self.spared {
            run.spared_paths += 1;
            run.spared_bytes += list[*at].bytes.unwrap_or(0);
            if run.spared.len() < MOST_NAMED {
                run.spared.push(spared(&list[*at], reason.clone()));
            }
        }
        for (words, object) in &self.errors {
            run.went_wrong(words, object);
        }
    }
}
