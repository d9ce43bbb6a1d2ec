//! One upload, from the files to the published paths: what is known, in signals that the page
//! draws. The tasks are in [`look`], which finds out, [`compare`] and [`send`]; [`server`] is what the
//! server keeps of it.

mod compare;
mod look;
mod send;
mod server;
mod sign;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::uploads::PathFate;
use snowbank_shared::api::{Cache, PathDetail, Reproducer};
use snowbank_shared::contents::Difference;
use snowbank_shared::narinfo::NarInfo;
use web_sys::{Blob, File, FileList};

use super::examine::Examined;
use super::folder::Folder;
use super::given::Given;
use super::memory::{self, Unfinished};
use super::transfer::Requests;
use super::verdict::{self, Content, Known, Trouble, Verdict};
use super::worker::Bench;
use crate::api::ApiError;
use crate::format;
use look::Stop;
use server::Kept;

/// How far the whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was chosen.
    Empty,
    /// Files are being read, archives examined.
    Looking,
    /// Somebody has to decide.
    Ready,
    /// It is being sent.
    Sending,
    /// Somebody stopped it.
    Paused,
    /// The network is gone: it goes on by itself.
    Offline,
    /// Nothing is left to do.
    Done,
}

/// How far a path is on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was sent.
    Here,
    /// So many bytes of its archive.
    Sending(u64),
    /// The server has its archive.
    Arrived,
    /// It is published.
    Live,
    /// The server keeps it until somebody agrees, in its words.
    Waits(String),
    /// The server refused it, in its words.
    Refused(String),
}

impl Stage {
    /// Whether the server has taken the path, published or not yet.
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Live | Self::Waits(_))
    }
}

/// A path, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its hash part.
    pub hash: String,
    /// Its full path.
    pub path: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes to send.
    pub file_size: u64,
    /// By whom it is signed, where that counts.
    pub signer: Option<String>,
    /// Bytes of its archive that were read, while that goes on.
    pub read: Option<u64>,
    /// Whether its archive was unpacked and is what it should be; nothing before that is known.
    pub verified: Option<bool>,
    /// Files in it that look like secrets, and like which.
    pub secrets: Vec<(String, String)>,
    /// What happens with it.
    pub verdict: Verdict,
    /// That it will wait where it is sent, and by which rule of the policy.
    pub will_wait: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// Somebody decided against it, or an upstream has it.
    pub left_out: bool,
    /// Who vouches for it, once it is published with more than one's signature.
    pub reproduced_by: Vec<Reproducer>,
    /// In which files it differs from what is there, where that was asked.
    pub compared: Option<Compared>,
    /// Whether the server has a report of it.
    pub reported: Reported,
    /// The upstream that has it, with the same content.
    pub upstream: Option<String>,
}

/// In which files a path differs from what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Both are being read.
    Busy,
    /// These.
    Done(Difference),
    /// Why that cannot be said.
    Failed(String),
}

/// Whether the server has a report of a build that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was sent.
    No,
    /// It is being sent.
    Busy,
    /// It has one.
    Yes,
    /// Why it took none.
    Failed(String),
}

impl Row {
    /// Whether it is to be sent, or was.
    pub fn is_planned(&self) -> bool {
        self.verdict.sends() && !self.left_out
    }
}

/// What the page draws. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// How far the whole is.
    pub phase: RwSignal<Phase>,
    /// The paths, each behind what it refers to.
    pub rows: RwSignal<Vec<RwSignal<Row>>>,
    /// Where they are from.
    pub from: RwSignal<String>,
    /// Why what was chosen cannot be uploaded at all.
    pub wrong: RwSignal<Option<Trouble>>,
    /// Files that cannot be read.
    pub unreadable: RwSignal<Vec<Trouble>>,
    /// Why the server could not be asked.
    pub failure: RwSignal<Option<ApiError>>,
    /// An upload that was left.
    pub unfinished: RwSignal<Option<Unfinished>>,
    /// Whether what looks like secrets may be sent.
    pub acknowledged: RwSignal<bool>,
    /// The session that the server keeps of it.
    pub session: RwSignal<Option<String>>,
}

impl View {
    fn new(cache: &str) -> Self {
        Self {
            phase: RwSignal::new(Phase::Empty),
            rows: RwSignal::new(Vec::new()),
            from: RwSignal::new(String::new()),
            wrong: RwSignal::new(None),
            unreadable: RwSignal::new(Vec::new()),
            failure: RwSignal::new(None),
            unfinished: RwSignal::new(memory::recall(cache)),
            acknowledged: RwSignal::new(false),
            session: RwSignal::new(None),
        }
    }
}

/// A path, as it is worked with.
struct Item {
    narinfo: NarInfo,
    archive: Option<Blob>,
    content: Content,
    there: Option<PathDetail>,
    /// Whose signature counts. Checking one takes long, so it is asked once, and when one was added.
    signed: Result<Option<String>, Trouble>,
}

impl Item {
    fn new(narinfo: NarInfo, archive: Option<Blob>, content: Content) -> Self {
        Self {
            narinfo,
            archive,
            content,
            there: None,
            signed: Ok(None),
        }
    }
}

/// An upload to a cache. Belongs to its page.
pub struct Session {
    cache: String,
    me: Option<String>,
    /// What the page draws.
    pub view: View,
    items: RefCell<Vec<Item>>,
    known: RefCell<Known>,
    /// Hashes that the cache has, of those asked for.
    present: RefCell<HashSet<String>>,
    limits: RefCell<Option<Cache>>,
    /// What the server said of the paths, by hash.
    fates: RefCell<HashMap<String, PathFate>>,
    /// The server's session, once it was begun.
    kept: RefCell<Option<Kept>>,
    /// The folder, where it can be opened again.
    folder: RefCell<Option<Folder>>,
    requests: Requests,
    bench: RefCell<Option<Rc<Bench>>>,
    /// The page is gone.
    gone: Cell<bool>,
    /// Counts what was chosen and how often sending began: what belongs to an earlier turn stops.
    turn: Cell<u32>,
}

/// The files of a list, with their paths below the folder chosen.
fn listed(files: &FileList) -> Vec<(Given, File)> {
    let file = |at| {
        let file = files.get(at)?;
        let below = js_sys::Reflect::get(&file, &"webkitRelativePath".into())
            .ok()
            .and_then(|path| path.as_string())
            .filter(|path| !path.is_empty());
        let given = Given {
            path: below.unwrap_or_else(|| file.name()),
            size: file.size() as u64,
        };
        Some((given, file))
    };
    (0..files.length()).filter_map(file).collect()
}

impl Session {
    /// For a page of this cache; `me` is who sits there.
    pub fn new(cache: &str, me: Option<String>) -> Rc<Self> {
        Rc::new(Self {
            cache: cache.to_owned(),
            me,
            view: View::new(cache),
            items: RefCell::default(),
            known: RefCell::default(),
            present: RefCell::default(),
            limits: RefCell::default(),
            fates: RefCell::default(),
            kept: RefCell::default(),
            folder: RefCell::default(),
            requests: Requests::default(),
            bench: RefCell::default(),
            gone: Cell::new(false),
            turn: Cell::new(0),
        })
    }

    /// The page is left: everything stops.
    pub fn leave(&self) {
        self.gone.set(true);
        self.requests.stop();
        self.bench.take();
    }

    fn is_over(&self, turn: u32) -> bool {
        self.gone.get() || self.turn.get() != turn
    }

    /// Takes what somebody chose or dropped.
    pub fn take(self: &Rc<Self>, files: &FileList) {
        self.folder.take();
        self.take_files(listed(files));
    }

    /// Takes what is in a folder that can be opened again.
    pub fn take_folder(self: &Rc<Self>, folder: Folder) {
        let session = Rc::clone(self);
        spawn_local(async move {
            let files = folder.files().await;
            if session.gone.get() {
                return;
            }
            match files {
                Some(files) => {
                    session.folder.replace(Some(folder));
                    session.take_files(files);
                }
                None => session.view.wrong.set(Some(Trouble::new(
                    "",
                    "The folder cannot be read.",
                    "Choose it again.",
                ))),
            }
        });
    }

    fn take_files(self: &Rc<Self>, files: Vec<(Given, File)>) {
        if files.is_empty() {
            return;
        }
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        self.requests.stop();
        let view = self.view;
        view.wrong.set(None);
        view.failure.set(None);
        view.unreadable.set(Vec::new());
        view.acknowledged.set(false);
        view.session.set(None);
        self.fates.take();
        self.kept.take();
        view.rows.set(Vec::new());
        let first = &files[0].0.path;
        view.from
            .set(first.split('/').next().unwrap_or(first).to_owned());
        view.phase.set(Phase::Looking);
        let session = Rc::clone(self);
        spawn_local(async move {
            let outcome = session.look(files, turn).await;
            if session.is_over(turn) {
                return;
            }
            match outcome {
                Ok(()) => view.phase.set(if session.is_idle() {
                    Phase::Done
                } else {
                    Phase::Ready
                }),
                Err(stop) => {
                    view.phase.set(Phase::Empty);
                    match stop {
                        Stop::Wrong(trouble) => view.wrong.set(Some(trouble)),
                        Stop::Api(error) => view.failure.set(Some(error)),
                    }
                }
            }
        });
    }

    /// Whether everything is there already.
    fn is_idle(&self) -> bool {
        self.view.rows.with_untracked(|rows| {
            !rows.is_empty()
                && rows
                    .iter()
                    .all(|row| row.with_untracked(|row| row.verdict == Verdict::Same))
        })
    }

    /// Makes a row of every path.
    fn draw(&self) {
        let rows = self
            .items
            .borrow()
            .iter()
            .map(|item| {
                let narinfo = &item.narinfo;
                RwSignal::new(Row {
                    hash: narinfo.store_path().hash().to_string(),
                    path: narinfo
                        .store_dir()
                        .display(narinfo.store_path())
                        .to_string(),
                    nar_size: narinfo.nar_size(),
                    file_size: item.archive.as_ref().map_or(0, |file| file.size() as u64),
                    signer: None,
                    read: None,
                    verified: matches!(item.content, Content::Good(_)).then_some(true),
                    secrets: match &item.content {
                        Content::Good(Examined {
                            archive: Some(archive),
                            ..
                        }) => archive.secrets.clone(),
                        _ => Vec::new(),
                    },
                    verdict: Verdict::Waiting,
                    will_wait: None,
                    stage: Stage::Here,
                    left_out: false,
                    reproduced_by: Vec::new(),
                    compared: None,
                    reported: Reported::No,
                    upstream: None,
                })
            })
            .collect();
        self.view.rows.set(rows);
    }

    /// Says of every path what will happen with it.
    pub fn judge(&self) {
        let items = self.items.borrow();
        let present = self.present.borrow();
        let limits = self.limits.borrow();
        let most = limits.as_ref().map(|cache| cache.max_nar_size);
        let rows = self.view.rows.get_untracked();
        // What can be referred to, of the paths before.
        let mut fine: HashSet<String> = HashSet::new();
        let listed: HashSet<String> = items
            .iter()
            .map(|item| item.narinfo.store_path().hash().to_string())
            .collect();
        for (item, row) in items.iter().zip(rows) {
            let narinfo = &item.narinfo;
            let mut verdict =
                verdict::of_path(narinfo, &item.content, item.there.as_ref(), &item.signed);
            if let Some(most) = most
                && item.there.is_none()
                && narinfo.nar_size() > most
            {
                verdict = Verdict::NotAllowed(Trouble::new(
                    "U15",
                    format!(
                        "It has {} unpacked, and this cache takes {} at most.",
                        format::size(narinfo.nar_size()),
                        format::size(most)
                    ),
                    "Ask an owner for more (max_nar_size).",
                ));
            }
            let name = narinfo.store_path().hash().to_string();
            verdict = self.with_fate(&name, verdict);
            if matches!(verdict, Verdict::New | Verdict::Waiting) {
                let own = narinfo.store_path().hash();
                let complete = self.is_complete(&name);
                let missing = narinfo.references().find(|reference| {
                    let hash = reference.hash().to_string();
                    let is_there = present.contains(&hash)
                        || fine.contains(&hash)
                        || complete && !listed.contains(&hash);
                    reference.hash() != own && !is_there
                });
                if let Some(missing) = missing {
                    verdict = verdict::incomplete(narinfo, missing.name());
                }
            }
            let signer = item.signed.clone().ok().flatten();
            let (left_out, skipped) =
                row.with_untracked(|row| (row.left_out, row.left_out && row.upstream.is_some()));
            if skipped && self.may_be_skipped(&name) {
                fine.insert(name.clone());
            }
            if matches!(
                verdict,
                Verdict::New | Verdict::Waiting | Verdict::Same | Verdict::AddSignature
            ) && !left_out
            {
                fine.insert(name);
            }
            let changed = row.with_untracked(|row| row.verdict != verdict || row.signer != signer);
            if changed {
                row.update(|row| {
                    row.verdict = verdict;
                    row.signer = signer;
                });
            }
        }
    }

    /// Leaves a path out, or takes it in again.
    pub fn leave_out(self: &Rc<Self>, row: RwSignal<Row>, out: bool) {
        row.update(|row| row.left_out = out);
        self.judge();
        // What was skipped was not looked at.
        let unseen = row.with_untracked(|row| !out && row.verdict == Verdict::Waiting);
        if unseen && self.view.phase.get_untracked() == Phase::Ready {
            let (session, turn) = (Rc::clone(self), self.turn.get());
            self.view.phase.set(Phase::Looking);
            spawn_local(async move {
                session.examine(turn).await;
                if !session.is_over(turn) {
                    session.view.phase.set(Phase::Ready);
                }
            });
        }
    }
}
