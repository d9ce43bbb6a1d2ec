//! One upload, from the files to the published paths: what is known, in signals that the page
//! draws. The tasks are in [`look`], which finds out, [`compare`] and [`send`]; [`server`] is what the
//! server keeps of it.

mod compare;
mod look;
mod send;
mod server;
mod sign;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::uploads::PathFate;
use snowbank_shared::api::{Cache, PathDetail};
use snowbank_shared::narinfo::NarInfo;
use web_sys::{Blob, File, FileList};

use super::examine::Examined;
use super::folder::Folder;
use super::given::Given;
use super::transfer::Requests;
use super::verdict::{self, Content, Known, Trouble, Verdict};
use super::worker::Bench;
use crate::format;
use look::Stop;
use server::Kept;

pub use view::{Compared, Phase, Reported, Row, Stage, View};

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
        if view.phase.get_untracked() == Phase::Done {
            view.forget_pin();
        }
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

    /// The full paths that no other of the upload refers to, the last one first: what somebody
    /// wanted to upload. The others came along.
    pub fn tops(&self) -> Vec<String> {
        let items = self.items.borrow();
        let needed: HashSet<String> = items
            .iter()
            .flat_map(|item| {
                let own = item.narinfo.store_path().hash();
                let others = item.narinfo.references();
                others.filter(move |reference| reference.hash() != own)
            })
            .map(|reference| reference.hash().to_string())
            .collect();
        let tops = items.iter().rev().filter_map(|item| {
            let path = item.narinfo.store_path();
            (!needed.contains(&path.hash().to_string()))
                .then(|| item.narinfo.store_dir().display(path).to_string())
        });
        tops.collect()
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
