//! Archives that come in parts, each on a lane of its own.
//!
//! A part is read whole before anything is done with it, and what is then done runs on a task of
//! its own: a client that leaves takes nothing apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use snowbank_shared::api::uploads::{PART, parts_of};

use super::super::body::Upload;
use super::super::examine::{Bounds, Examination, Facts};
use super::super::quota::Holding;
use super::super::receive::{keeps, promised};
use super::super::sink::Sink;
use super::super::{Intake, Refusal, Sender};
use super::lock;
use super::record::{HeadState, PathRecord};
use crate::ledger::RecordId;
use crate::site::Cache;
use crate::web::query;

/// Archives on their way at once, those that rest included: each holds a thread, its decoder's
/// window and two parts at most.
const MOST: usize = 16;
/// Of one uploader.
const MOST_OF_ONE: usize = 6;
/// How long an archive has to rest before another of the same uploader may take its place.
const OWN_REST: Duration = Duration::from_secs(60);
/// How long before anybody's may.
const REST: Duration = Duration::from_secs(600);
/// How long an archive may take: less than the grace time of the sweep.
const LONGEST: Duration = Duration::from_secs(20 * 3600);
/// Bytes handed to the examination at once.
const PIECE: usize = 256 << 10;

/// The code of a part that cannot be taken yet: an earlier one is missing.
pub(super) const OUT_OF_ORDER: &str = "part-missing";

/// A part of an archive, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::intake) struct Part {
    session: RecordId,
    /// From 1.
    number: u64,
}

impl Part {
    /// What `upload=` and `part=` of a request's query say; `None` where there is no `part`.
    pub(in crate::intake) fn of(request: &Parts) -> Option<Result<Self, Refusal>> {
        let pairs = query::pairs(request.uri.query()).ok()?;
        let value = |wanted: &str| {
            let mut all = pairs.iter().filter(|(name, _)| name == wanted);
            all.next().map(|(_, value)| value.as_str())
        };
        let number = value("part")?;
        let session = value("upload").unwrap_or_default();
        let part = match (session.parse(), number.parse()) {
            (Ok(session), Ok(number)) => Ok(Self { session, number }),
            _ => Err(bad(
                "a part is put with ?upload= and ?part=, a number from 1",
            )),
        };
        Some(part)
    }
}

fn bad(text: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "bad-part", text)
}

/// Cache, owner, key: an archive goes on in whichever session of its owner names it.
type Place = (String, String, String);

/// The archives on their way.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<Place, Arc<Slot>>>);

/// One of them.
struct Slot {
    owner: String,
    /// The session that sent the last part.
    session: Mutex<RecordId>,
    /// Parts that have come.
    parts: AtomicU64,
    began: Instant,
    /// When the last part came.
    at: Mutex<Instant>,
    lane: tokio::sync::Mutex<Option<Lane>>,
}

struct Lane {
    examination: Examination<Facts>,
    sink: Sink,
    /// Whether the archive lies there already, by somebody else: then it is looked at and not kept.
    is_there: bool,
    /// Room for it in the cache's quota.
    room: Option<Holding>,
}

impl Slot {
    fn rested(&self) -> Duration {
        lock(&self.at).elapsed()
    }

    async fn give_up(&self) {
        if let Some(lane) = self.lane.lock().await.take() {
            lane.sink.give_up().await;
        }
    }
}

impl Lanes {
    /// Parts of an archive of this owner that have come.
    pub(super) fn parts(&self, cache: &Cache, owner: &str, key: &str) -> u64 {
        let place = (cache.slug.to_string(), owner.to_owned(), key.to_owned());
        let lanes = lock(&self.0);
        lanes
            .get(&place)
            .map_or(0, |slot| slot.parts.load(Ordering::Relaxed))
    }

    fn find(&self, place: &Place) -> Option<Arc<Slot>> {
        lock(&self.0).get(place).cloned()
    }

    fn forget(&self, place: &Place) {
        lock(&self.0).remove(place);
    }

    /// A lane for an archive whose first part has come; with it those that lost theirs to it.
    fn begin(
        &self,
        place: &Place,
        session: &RecordId,
    ) -> Result<(Arc<Slot>, Vec<Arc<Slot>>), Refusal> {
        let owner = place.1.as_str();
        let mut lanes = lock(&self.0);
        if let Some(slot) = lanes.get(place) {
            return Ok((Arc::clone(slot), Vec::new()));
        }
        let mut given_up = Vec::new();
        for (most, of, rest) in [(MOST_OF_ONE, Some(owner), OWN_REST), (MOST, None, REST)] {
            let theirs = |slot: &Slot| of.is_none_or(|owner| slot.owner == owner);
            if lanes.values().filter(|slot| theirs(slot)).count() < most {
                continue;
            }
            let longest = lanes
                .iter()
                .filter(|(_, slot)| theirs(slot) && slot.rested() >= rest)
                .max_by_key(|(_, slot)| slot.rested())
                .map(|(place, _)| place.clone());
            match longest.and_then(|place| lanes.remove(&place)) {
                Some(slot) => given_up.push(slot),
                None => {
                    return Err(Refusal::new(
                        StatusCode::TOO_MANY_REQUESTS,
                        "too-many-archives",
                        format!(
                            "{most} archives are on their way at once already: send this one when another has come"
                        ),
                    ));
                }
            }
        }
        let slot = Arc::new(Slot {
            owner: owner.to_owned(),
            session: Mutex::new(session.clone()),
            parts: AtomicU64::new(0),
            began: Instant::now(),
            at: Mutex::new(Instant::now()),
            lane: tokio::sync::Mutex::new(None),
        });
        lanes.insert(place.clone(), Arc::clone(&slot));
        Ok((slot, given_up))
    }

    /// Gives up the archives for which this is true, in the bucket too.
    pub(super) async fn give_up(&self, mut which: impl FnMut(&str, &RecordId) -> bool) {
        let taken: Vec<Arc<Slot>> = {
            let mut lanes = lock(&self.0);
            lanes
                .extract_if(|(cache, _, _), slot| which(cache, &lock(&slot.session)))
                .map(|(_, slot)| slot)
                .collect()
        };
        for slot in taken {
            slot.give_up().await;
        }
    }

    /// Gives up what takes longer than anything may.
    pub(super) async fn give_up_old(&self) {
        let taken: Vec<Arc<Slot>> = {
            let mut lanes = lock(&self.0);
            lanes
                .extract_if(|_, slot| slot.began.elapsed() > LONGEST)
                .map(|(_, slot)| slot)
                .collect()
        };
        for slot in taken {
            slot.give_up().await;
        }
    }
}

impl Intake {
    /// Takes a part of an archive.
    pub(in crate::intake) async fn part(
        &self,
        sender: &Sender<'_>,
        key: &str,
        part: Part,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        promised(key)?;
        let planned = self.planned(sender, key, &part)?;
        let total = parts_of(planned.file_size);
        if !(1..=total).contains(&part.number) {
            return Err(bad(format!("the archive has parts 1 to {total}")));
        }
        let size = match part.number {
            last if last == total => planned.file_size - (total - 1) * PART,
            _ => PART,
        };
        let wrong = || bad(format!("part {} has {size} bytes", part.number));
        if upload.length.is_some_and(|length| length != size) {
            return Err(wrong());
        }
        let _permit = Arc::clone(&self.0.uploads).acquire_owned().await;
        let bytes = upload.whole(PART as usize, None).await?;
        if bytes.len() as u64 != size {
            return Err(wrong());
        }
        let arriving = Arriving {
            intake: self.clone(),
            cache: Arc::clone(sender.cache),
            session: part.session,
            place: (
                sender.cache.slug.to_string(),
                sender.owner(),
                key.to_owned(),
            ),
            key: key.to_owned(),
            file_size: planned.file_size,
        };
        let number = part.number;
        tokio::spawn(async move { arriving.take(number, number == total, bytes).await })
            .await
            .unwrap_or_else(|_| {
                Err(Refusal::dependency(
                    "taking the part failed in the server: tell its owners",
                ))
            })
    }

    /// The path of the sender's open session whose archive this is.
    fn planned(&self, sender: &Sender<'_>, key: &str, part: &Part) -> Result<PathRecord, Refusal> {
        let absent = || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "no-upload",
                "there is no open upload of this name by you: plan it again",
            )
        };
        let entry = self.head(sender.cache, &part.session).ok_or_else(absent)?;
        let head = entry.record.head().ok_or_else(absent)?;
        if head.owner != sender.owner() || head.state != HeadState::Open {
            return Err(absent());
        }
        self.paths_of(sender.cache, &part.session, head)
            .into_iter()
            .find(|path| path.nar_key == key)
            .ok_or_else(|| bad("no path of the plan has this archive"))
    }
}

/// A part that is here, and where it belongs.
struct Arriving {
    intake: Intake,
    cache: Arc<Cache>,
    session: RecordId,
    place: Place,
    key: String,
    file_size: u64,
}

impl Arriving {
    async fn take(self, number: u64, is_last: bool, bytes: Bytes) -> Result<(), Refusal> {
        let lanes = &self.intake.0.sessions.lanes;
        let (mut is_there, mut room) = (false, None);
        let slot = match lanes.find(&self.place) {
            Some(slot) => slot,
            None => {
                if let Some(there) = self.cache.bucket.find(&self.key).await? {
                    if self.intake.is_theirs(&self.cache, &there, &self.place.1) {
                        // What lies there is looked at when the narinfo comes.
                        return Ok(());
                    }
                    is_there = true;
                }
                if number != 1 {
                    return Err(out_of_order(1));
                }
                room = self
                    .intake
                    .room(&self.cache, &self.place.1, &self.key, Some(self.file_size))
                    .await?;
                let (slot, given_up) = lanes.begin(&self.place, &self.session)?;
                for other in given_up {
                    other.give_up().await;
                }
                slot
            }
        };
        let mut place = slot.lane.lock().await;
        let next = slot.parts.load(Ordering::Relaxed) + 1;
        if number < next {
            return Ok(());
        }
        if number > next {
            return Err(out_of_order(next));
        }
        let lane = match place.take() {
            Some(lane) => lane,
            // Of the last part before this one nothing is left: it failed while this one waited.
            None if number != 1 => return Err(out_of_order(1)),
            None => Lane {
                examination: Examination::begin(
                    &self.intake.0.gate,
                    Bounds::of(&self.cache, &self.key),
                ),
                sink: Sink::new(
                    self.cache.bucket.clone(),
                    &self.key,
                    self.intake.mark_of(&self.cache, &self.key, &self.place.1),
                    &self.intake.0.under_way,
                    &self.intake.0.stop_at,
                ),
                is_there,
                room,
            },
        };
        *lock(&slot.at) = Instant::now();
        lock(&slot.session).clone_from(&self.session);
        match self.go_on(lane, is_last, bytes).await {
            Ok(Some(lane)) => {
                slot.parts.store(number, Ordering::Relaxed);
                *place = Some(lane);
                Ok(())
            }
            Ok(None) => {
                lanes.forget(&self.place);
                Ok(())
            }
            Err(refusal) => {
                slot.parts.store(0, Ordering::Relaxed);
                lanes.forget(&self.place);
                Err(refusal)
            }
        }
    }

    /// Gives the bytes to the examination and the bucket. Nothing where the archive is whole.
    async fn go_on(
        &self,
        mut lane: Lane,
        is_last: bool,
        bytes: Bytes,
    ) -> Result<Option<Lane>, Refusal> {
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE));
            if !lane.examination.push(piece).await {
                // The thread found the fault.
                lane.sink.give_up().await;
                return Err(match lane.examination.finish().await {
                    Ok(_) => Refusal::dependency("looking at the archive ended early"),
                    Err(refusal) => refusal,
                });
            }
        }
        if let Err(error) = lane.sink.push(bytes).await {
            lane.sink.give_up().await;
            return Err(error.into());
        }
        if !is_last {
            return Ok(Some(lane));
        }
        // Who took long has no room any more.
        let mut again = None;
        if lane.room.as_ref().is_some_and(Holding::is_over) {
            let asked =
                self.intake
                    .room(&self.cache, &self.place.1, &self.key, Some(self.file_size));
            match asked.await {
                Ok(room) => again = room,
                Err(refusal) => {
                    lane.sink.give_up().await;
                    return Err(refusal);
                }
            }
        }
        let judged = lane.examination.finish().await;
        match judged.and_then(|facts| keeps(promised(&self.key)?, facts)) {
            Ok(facts) => {
                if lane.is_there {
                    lane.sink.give_up().await;
                } else {
                    lane.sink.complete().await?;
                }
                self.intake.0.pending.put(
                    self.cache.slug.as_str(),
                    &self.key,
                    self.place.1.clone(),
                    Arc::new(facts),
                    !lane.is_there,
                );
                // It is remembered as come: that counts from here on.
                drop((lane.room, again));
                Ok(None)
            }
            Err(refusal) => {
                lane.sink.give_up().await;
                Err(refusal)
            }
        }
    }
}

fn out_of_order(next: u64) -> Refusal {
    Refusal::conflict(OUT_OF_ORDER, format!("part {next} comes next"))
}
