//! Sending what was decided: archives in lanes, each narinfo behind its archive and what it refers to.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::PathDetail;
use snowbank_shared::api::uploads::{IN_PARTS, PART, parts_of};
use snowbank_shared::cache_info;
use wasm_bindgen::JsValue;
use web_sys::Blob;

use crate::api::{self, ApiError};
use crate::components::ago::now;
use crate::state::navigation::with_base;
use crate::upload::folder;
use crate::upload::memory::{self, Unfinished};
use crate::upload::transfer::{Answer, pause};
use crate::upload::verdict::Verdict;

use super::look::ask;
use super::{Phase, Row, Session, Stage};

/// Archives sent at once.
const LANES: usize = 4;
/// Milliseconds between two words about how far an archive is.
const EVERY: f64 = 250.0;
/// Milliseconds before something is tried again: the network is gone, or the server is busy.
const AGAIN: i32 = 2000;
/// What is said where the browser cannot send a file though the server is there.
const BROKEN: &str = "the connection breaks off each time while this file is sent: was it changed since it was chosen? Choose the folder again";
/// How often an archive in parts begins where the server says before it is sent whole.
const DISORDERS: u32 = 4;
/// How often what a busy server refused is tried.
const TRIES: u32 = 5;

/// One time of sending, from the press of a button to its end or the next one.
struct Run {
    turn: u32,
    /// Lanes that are not through.
    lanes: Cell<usize>,
    publishing: Cell<bool>,
    /// More has arrived while something was being published.
    again: Cell<bool>,
}

impl Session {
    /// Sends what is planned, or goes on with it.
    pub fn send(self: &Rc<Self>) {
        let view = self.view;
        if matches!(view.phase.get_untracked(), Phase::Sending | Phase::Offline) {
            return;
        }
        view.phase.set(Phase::Sending);
        self.note();
        for row in view.rows.get_untracked() {
            let only_narinfo = row.with_untracked(|row| {
                row.is_planned() && row.verdict == Verdict::AddSignature && row.stage == Stage::Here
            });
            if only_narinfo {
                row.update(|row| row.stage = Stage::Arrived);
            }
            // What a run before this one left in the middle begins again.
            if row.with_untracked(|row| matches!(row.stage, Stage::Refused(_) | Stage::Sending(_)))
            {
                row.update(|row| row.stage = Stage::Here);
            }
        }
        self.turn.set(self.turn.get() + 1);
        let run = Rc::new(Run {
            turn: self.turn.get(),
            lanes: Cell::new(LANES),
            publishing: Cell::new(false),
            again: Cell::new(false),
        });
        let session = Rc::clone(self);
        spawn_local(async move {
            let again = session.folder.borrow().clone();
            match again {
                Some(again) => folder::remember(&session.cache, &again).await,
                None => folder::forget(&session.cache).await,
            }
            if session.is_held(&run) || !session.open(&run).await {
                return;
            }
            for _ in 0..LANES {
                let (session, run) = (Rc::clone(&session), Rc::clone(&run));
                spawn_local(async move {
                    session.lane(&run).await;
                    run.lanes.set(run.lanes.get() - 1);
                    if run.lanes.get() == 0 && !session.is_held(&run) {
                        session.publish(&run).await;
                        session.finish(&run).await;
                    }
                });
            }
        });
    }

    /// Opens the server's session, as soon as the server can be reached. False where nothing is to
    /// be sent after all.
    async fn open(&self, run: &Run) -> bool {
        loop {
            let begun = self.begin().await;
            if self.is_held(run) {
                return false;
            }
            match begun {
                Ok(()) => {
                    self.view.phase.set(Phase::Sending);
                    return true;
                }
                Err(ApiError::Unreachable | ApiError::TimedOut) => {
                    self.view.phase.set(Phase::Offline);
                    pause(AGAIN).await;
                    if self.is_held(run) {
                        return false;
                    }
                }
                Err(error) => {
                    self.view.failure.set(Some(error));
                    self.view.phase.set(Phase::Ready);
                    return false;
                }
            }
        }
    }

    /// An address of the cache, with the name of the session.
    fn in_session(&self, address: &str) -> String {
        match self.kept.borrow().as_ref() {
            Some(kept) => format!("{address}?upload={}", kept.id),
            None => address.to_owned(),
        }
    }

    /// Parts of an archive that have arrived.
    fn parts_there(&self, key: &str) -> u64 {
        let kept = self.kept.borrow();
        let parts = kept.as_ref().and_then(|kept| kept.parts.get(key));
        parts.copied().unwrap_or_default()
    }

    fn note_parts(&self, key: &str, parts: u64) {
        if let Some(kept) = self.kept.borrow_mut().as_mut() {
            kept.parts.insert(key.to_owned(), parts);
        }
    }

    /// Sends an archive: a large one in parts, those that the server has left out.
    async fn archive(&self, run: &Run, row: RwSignal<Row>, key: &str, file: &Blob) -> Answer {
        let address = self.address(key);
        let size = file.size() as u64;
        let told = move |before: u64| {
            let last = Cell::new(0.0);
            move |sent: u64| {
                let now = js_sys::Date::now();
                if now - last.get() >= EVERY {
                    last.set(now);
                    let _ = row.try_update(|row| row.stage = Stage::Sending(before + sent));
                }
            }
        };
        let in_parts = size >= IN_PARTS && self.kept.borrow().is_some();
        let mut disorders = 0;
        while in_parts && disorders < DISORDERS {
            let next = self.parts_there(key) + 1;
            if next > parts_of(size) {
                return Answer::Done(String::new());
            }
            let start = (next - 1) * PART;
            let end = size.min(start + PART);
            let Ok(part) = file.slice_with_f64_and_f64(start as f64, end as f64) else {
                return Answer::Refused(0, BROKEN.to_owned());
            };
            let to = format!("{}&part={next}", self.in_session(&address));
            let answer = self
                .patiently(run, || self.requests.put(&to, &part, told(start)))
                .await;
            match answer {
                Answer::Done(_) => self.note_parts(key, next),
                // It was started anew, or another tab was faster.
                Answer::Refused(409, why) if why.starts_with("part-missing: ") => {
                    disorders += 1;
                    let wanted = why.split(' ').filter_map(|word| word.parse::<u64>().ok());
                    self.note_parts(key, wanted.min().unwrap_or(1).max(1) - 1);
                }
                other => {
                    if matches!(other, Answer::Refused(..)) {
                        self.note_parts(key, 0);
                    }
                    return other;
                }
            }
        }
        let to = self.in_session(&address);
        self.patiently(run, || self.requests.put(&to, file, told(0)))
            .await
    }

    /// Stops; what has arrived stays.
    pub fn hold(&self) {
        self.view.phase.set(Phase::Paused);
        self.requests.stop();
    }

    fn is_held(&self, run: &Run) -> bool {
        self.is_over(run.turn) || self.view.phase.get_untracked() == Phase::Paused
    }

    /// Sends one archive after the other.
    async fn lane(&self, run: &Run) {
        loop {
            if self.is_held(run) {
                return;
            }
            let rows = self.view.rows.get_untracked();
            let next = rows.iter().position(|row| {
                row.with_untracked(|row| row.is_planned() && row.stage == Stage::Here)
            });
            let Some(at) = next else { return };
            let row = rows[at];
            row.update(|row| row.stage = Stage::Sending(0));
            let (file, key) = {
                let items = self.items.borrow();
                let Some(file) = items[at].archive.clone() else {
                    return;
                };
                (file, items[at].narinfo.nar_key().into_owned())
            };
            let address = self.address(&key);
            let there = self.patiently(run, || self.requests.has(&address)).await;
            let answer = match there {
                Answer::Refused(..) => self.archive(run, row, &key, &file).await,
                other => other,
            };
            if self.is_over(run.turn) {
                return;
            }
            row.update(|row| {
                row.stage = match answer {
                    Answer::Done(_) => Stage::Arrived,
                    Answer::Lost => Stage::Here,
                    Answer::Refused(_, why) => Stage::Refused(why),
                }
            });
            self.publish(run).await;
        }
    }

    fn address(&self, key: &str) -> String {
        with_base(&format!("/{}/{key}", self.cache))
    }

    /// Asks until there is an answer: while the network is gone, and a few times where the server is busy.
    async fn patiently<F: Future<Output = Answer>>(
        &self,
        run: &Run,
        ask: impl Fn() -> F,
    ) -> Answer {
        let (mut tries, mut broken) = (0, 0);
        loop {
            let answer = ask().await;
            if self.is_held(run) {
                return answer;
            }
            match &answer {
                Answer::Lost => self.view.phase.set(Phase::Offline),
                Answer::Refused(424 | 429 | 500..=599, _) if tries < TRIES => tries += 1,
                _ => {
                    if self.view.phase.get_untracked() == Phase::Offline {
                        self.view.phase.set(Phase::Sending);
                    }
                    return answer;
                }
            }
            pause(AGAIN).await;
            if self.is_held(run) {
                return answer;
            }
            // The server is there, and still this breaks off each time: it is not the network.
            if answer == Answer::Lost
                && self.requests.has(&self.address(cache_info::KEY)).await != Answer::Lost
            {
                broken += 1;
                if broken > TRIES {
                    return Answer::Refused(0, BROKEN.to_owned());
                }
            }
        }
    }

    /// Publishes what has arrived, each path behind what it refers to. One at a time.
    async fn publish(&self, run: &Run) {
        if run.publishing.replace(true) {
            run.again.set(true);
            return;
        }
        loop {
            run.again.set(false);
            while let Some(at) = self.publishable() {
                let (text, hash) = {
                    let items = self.items.borrow();
                    let narinfo = &items[at].narinfo;
                    (narinfo.text().to_owned(), narinfo.store_path().hash())
                };
                let body =
                    Blob::new_with_str_sequence(&js_sys::Array::of1(&JsValue::from_str(&text)));
                let Ok(body) = body else { break };
                let address = self.in_session(&self.address(&hash.narinfo_key()));
                let answer = self
                    .patiently(run, || self.requests.put(&address, &body, |_| ()))
                    .await;
                if self.is_held(run) && answer == Answer::Lost {
                    run.publishing.set(false);
                    return;
                }
                let row = self.view.rows.with_untracked(|rows| rows[at]);
                // With a signature more: who vouches for it now?
                if matches!(answer, Answer::Done(_)) && self.items.borrow()[at].there.is_some() {
                    let detail = api::path_path(&self.cache, &hash.to_string(), "");
                    if let Ok(detail) = ask::<PathDetail>(detail).await {
                        row.update(|row| row.reproduced_by = detail.reproduced_by);
                    }
                }
                row.update(|row| {
                    row.stage = match answer {
                        Answer::Done(line) if line.is_empty() => Stage::Live,
                        Answer::Done(line) => Stage::Waits(line),
                        Answer::Lost => Stage::Arrived,
                        Answer::Refused(_, why) => Stage::Refused(why),
                    }
                });
                self.note();
            }
            if !run.again.get() {
                break;
            }
        }
        run.publishing.set(false);
    }

    /// The first path whose archive has arrived and whose references are published.
    fn publishable(&self) -> Option<usize> {
        let rows = self.view.rows.get_untracked();
        let open: HashSet<String> = rows
            .iter()
            .filter_map(|row| {
                row.with_untracked(|row| {
                    (row.is_planned() && !row.stage.is_taken()).then(|| row.hash.clone())
                })
            })
            .collect();
        let items = self.items.borrow();
        (0..rows.len()).find(|at| {
            let own = items[*at].narinfo.store_path().hash();
            rows[*at].with_untracked(|row| row.is_planned() && row.stage == Stage::Arrived)
                && items[*at].narinfo.references().all(|reference| {
                    reference.hash() == own || !open.contains(&reference.hash().to_string())
                })
        })
    }

    /// All archives were tried.
    async fn finish(&self, run: &Run) {
        if self.is_held(run) {
            return;
        }
        for row in self.view.rows.get_untracked() {
            if row.with_untracked(|row| row.is_planned() && row.stage == Stage::Arrived) {
                row.update(|row| {
                    row.stage = Stage::Refused("a path that it refers to was refused".to_owned());
                });
            }
        }
        let refused = self.view.rows.with_untracked(|rows| {
            rows.iter()
                .any(|row| row.with_untracked(|row| matches!(row.stage, Stage::Refused(_))))
        });
        // With something refused it stays open: that can be tried again.
        if !refused {
            self.commit().await;
        }
        if self.is_held(run) {
            return;
        }
        self.view.phase.set(Phase::Done);
        self.note();
    }

    /// Remembers how far it is, or that nothing is left.
    pub(super) fn note(&self) {
        let (mut paths, mut done) = (0, 0);
        for row in self.view.rows.get_untracked() {
            row.with_untracked(|row| {
                paths += usize::from(row.is_planned());
                done += usize::from(row.is_planned() && row.stage.is_taken());
            });
        }
        if done == paths {
            memory::forget(&self.cache);
            let cache = self.cache.clone();
            spawn_local(async move { folder::forget(&cache).await });
            self.view.unfinished.set(None);
            return;
        }
        let began = memory::recall(&self.cache).map_or_else(now, |upload| upload.began);
        memory::keep(
            &self.cache,
            &Unfinished {
                from: self.view.from.get_untracked(),
                began,
                paths,
                done,
                pin: self.view.pin.get_untracked(),
                pin_note: self.view.pin_note.get_untracked(),
            },
        );
    }
}
