//! One upload, from the files to the published paths: what is known, in signals that the page
//! draws, and the tasks that find it out and send.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;
use snowbank_shared::api::contributors::ContributorKey;
use snowbank_shared::api::{Cache, Key, Lookup, Page, PathDetail};
use snowbank_shared::cache_info::CacheInfo;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, FileList};

use super::examine::{Archive, Examined};
use super::given::{self, Archives, Given};
use super::memory::{self, Unfinished};
use super::transfer::{Answer, Requests, pause};
use super::verdict::{self, Content, Known, Trouble, Verdict};
use super::worker::Bench;
use crate::api::{self, Abort, ApiError};
use crate::components::ago::now;
use crate::format;
use crate::state::navigation::with_base;

/// Archives sent at once.
const LANES: usize = 4;
/// Paths of one question to the server.
const BATCH: usize = 50;
/// Milliseconds between two words about how far an archive is.
const EVERY: f64 = 250.0;
/// Milliseconds before something is tried again: the network is gone, or the server is busy.
const AGAIN: i32 = 2000;
/// How often what a busy server refused is tried.
const TRIES: u32 = 5;

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
    /// The server refused it, in its words.
    Refused(String),
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
    /// How far it is.
    pub stage: Stage,
    /// Somebody decided against it.
    pub left_out: bool,
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
    pub unreadable: RwSignal<Vec<(String, Trouble)>>,
    /// Why the server could not be asked.
    pub failure: RwSignal<Option<ApiError>>,
    /// An upload that was left.
    pub unfinished: RwSignal<Option<Unfinished>>,
    /// Whether what looks like secrets may be sent.
    pub acknowledged: RwSignal<bool>,
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
        }
    }
}

/// A path, as it is worked with.
struct Item {
    narinfo: NarInfo,
    archive: Option<Blob>,
    content: Content,
    there: Option<PathDetail>,
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
    requests: Requests,
    bench: RefCell<Option<Rc<Bench>>>,
    /// The page is gone.
    gone: Cell<bool>,
    /// Counts what was chosen: what belongs to something chosen earlier stops.
    turn: Cell<u32>,
    lanes: Cell<usize>,
    publishing: Cell<bool>,
    publish_again: Cell<bool>,
}

async fn ask<T: DeserializeOwned>(path: String) -> Result<T, ApiError> {
    let abort = Abort::new();
    api::get(path, abort.ticket()).await?.json()
}

async fn text_of(file: &Blob) -> Option<String> {
    JsFuture::from(file.text()).await.ok()?.as_string()
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
            requests: Requests::default(),
            bench: RefCell::default(),
            gone: Cell::new(false),
            turn: Cell::new(0),
            lanes: Cell::new(0),
            publishing: Cell::new(false),
            publish_again: Cell::new(false),
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
        let files = listed(files);
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

    async fn look(&self, files: Vec<(Given, File)>, turn: u32) -> Result<(), Stop> {
        let (given, files): (Vec<Given>, Vec<File>) = files.into_iter().unzip();
        if given.len() > given::MOST_FILES {
            return Err(Stop::Wrong(Trouble::new(
                "",
                format!(
                    "These are {} files, and one upload takes {}.",
                    format::count(given.len() as u64),
                    format::count(given::MOST_FILES as u64)
                ),
                "Copy and upload a part of the closure at a time; or use nix copy.",
            )));
        }
        let sorted = given::sort(&given);
        let head = match files.first() {
            Some(file) if sorted.narinfos.is_empty() => head_of(file).await,
            _ => Vec::new(),
        };
        if sorted.narinfos.is_empty() && !given::is_export(&head) {
            return Err(Stop::Wrong(given::explain(&given, &head)));
        }
        let cache: Cache = ask(api::cache_path(&self.cache)).await.map_err(Stop::Api)?;
        let store_dir: StoreDir = cache.store_dir.parse().unwrap_or_default();
        if let Some(at) = sorted.cache_info
            && let Some(text) = text_of(&files[at]).await
            && let Ok(info) = CacheInfo::parse(text.as_bytes())
            && info.store_dir != store_dir
        {
            return Err(Stop::Wrong(Trouble::new(
                "U01",
                format!(
                    "This folder is for {}, this cache for {store_dir}.",
                    info.store_dir
                ),
                "Paths of one store directory do not work in another: build them there.",
            )));
        }
        let mut items = if sorted.narinfos.is_empty() {
            self.read_export(&files[0], &store_dir).await?
        } else {
            self.read_narinfos(&given, &files, &sorted.narinfos, &store_dir)
                .await
        };
        if self.is_over(turn) {
            return Ok(());
        }
        let narinfos: Vec<NarInfo> = items.iter().map(|item| item.narinfo.clone()).collect();
        let mut slots: Vec<Option<Item>> = items.drain(..).map(Some).collect();
        items = given::closure_order(&narinfos)
            .into_iter()
            .filter_map(|at| slots[at].take())
            .collect();
        self.limits.replace(Some(cache));
        self.items.replace(items);
        self.draw();
        self.ask_server(turn).await.map_err(Stop::Api)?;
        if self.is_over(turn) {
            return Ok(());
        }
        self.judge();
        self.room()?;
        self.examine(turn).await;
        Ok(())
    }

    async fn read_narinfos(
        &self,
        given: &[Given],
        files: &[File],
        narinfos: &[usize],
        store_dir: &StoreDir,
    ) -> Vec<Item> {
        let archives = Archives::of(given);
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        let mut unreadable = Vec::new();
        for &at in narinfos {
            let path = &given[at].path;
            let parsed = match text_of(&files[at]).await {
                _ if given[at].size > MAX_BYTES as u64 => {
                    Err("it is larger than any narinfo".to_owned())
                }
                None => Err("it cannot be read".to_owned()),
                Some(text) => NarInfo::parse_strict(text.as_bytes(), store_dir)
                    .map_err(|error| error.to_string()),
            };
            match parsed {
                Ok(narinfo) if seen.insert(narinfo.store_path().hash()) => {
                    let archive = archives.find(path, &narinfo).map(|at| &files[at]);
                    let fits = verdict::file_fits(&narinfo, archive.map(|file| file.size() as u64));
                    items.push(Item {
                        archive: archive.map(|file| Blob::from(file.clone())),
                        content: fits.map_or_else(Content::Bad, |()| Content::Waiting),
                        narinfo,
                        there: None,
                    });
                }
                Ok(_) => {}
                Err(why) => unreadable.push((
                    path.clone(),
                    Trouble::new(
                        "U02",
                        format!("{path} is corrupt: {why}."),
                        "Copy the path again.",
                    ),
                )),
            }
        }
        if !self.gone.get() {
            self.view.unreadable.set(unreadable);
        }
        items
    }

    /// The paths of a file of `nix-store --export`, whose archives are parts of that file.
    async fn read_export(&self, file: &File, store_dir: &StoreDir) -> Result<Vec<Item>, Stop> {
        let broken = |why: String| {
            let what = format!(
                "{} is a broken file of nix-store --export: {why}.",
                file.name()
            );
            Stop::Wrong(Trouble::new("U04", what, "Export the paths again."))
        };
        let no_worker = "this browser could not look at it".to_owned();
        let bench = self.bench().await.map_err(broken)?;
        let paths = bench
            .paths_of(file, |_| ())
            .await
            .map_err(|why| broken(why.unwrap_or(no_worker)))?;
        let mut items = Vec::new();
        for path in paths {
            let narinfo = path.narinfo(store_dir).map_err(broken)?;
            let end = path.start + path.nar_size;
            let archive = file
                .slice_with_f64_and_f64(path.start as f64, end as f64)
                .map_err(|_| broken("it cannot be read any more".to_owned()))?;
            let examined = Examined {
                file_hash: path.nar_hash.clone(),
                file_size: path.nar_size,
                archive: Some(Archive {
                    nar_hash: path.nar_hash,
                    nar_size: path.nar_size,
                    secrets: path.secrets,
                }),
            };
            items.push(Item {
                narinfo,
                archive: Some(archive),
                content: Content::Good(examined),
                there: None,
            });
        }
        Ok(items)
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
                    stage: Stage::Here,
                    left_out: false,
                })
            })
            .collect();
        self.view.rows.set(rows);
    }

    /// Which paths are there, which keys are known.
    async fn ask_server(&self, turn: u32) -> Result<(), ApiError> {
        let keys: Page<Key> = ask(api::keys_path(&self.cache)).await?;
        let contributors: Page<ContributorKey> = ask("/contributors".to_owned()).await?;
        self.known.replace(Known {
            cache: self.cache.clone(),
            keys: keys.items,
            contributors: contributors.items,
            me: self.me.clone(),
        });
        let mut asked: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for item in self.items.borrow().iter() {
            let own = item.narinfo.store_path().hash().to_string();
            let others = item
                .narinfo
                .references()
                .map(|reference| reference.hash().to_string());
            asked.extend(
                std::iter::once(own)
                    .chain(others)
                    .filter(|hash| seen.insert(hash.clone())),
            );
        }
        for batch in asked.chunks(BATCH) {
            let answers: Lookup = ask(api::lookup_in_path(&self.cache, batch)).await?;
            if self.is_over(turn) {
                return Ok(());
            }
            let found = answers
                .items
                .into_iter()
                .filter(|item| item.caches.iter().any(|cache| cache.total > 0));
            self.present.borrow_mut().extend(found.map(|item| item.q));
        }
        let count = self.items.borrow().len();
        for at in 0..count {
            let hash = self.items.borrow()[at]
                .narinfo
                .store_path()
                .hash()
                .to_string();
            if self.present.borrow().contains(&hash) {
                let detail: PathDetail = ask(api::path_path(&self.cache, &hash, "")).await?;
                if self.is_over(turn) {
                    return Ok(());
                }
                self.items.borrow_mut()[at].there = Some(detail);
            }
        }
        Ok(())
    }

    /// Whether the cache takes so much.
    fn room(&self) -> Result<(), Stop> {
        let limits = self.limits.borrow();
        let Some(cache) = limits.as_ref() else {
            return Ok(());
        };
        let Some(most) = cache.max_bytes else {
            return Ok(());
        };
        let needed: u64 = self.view.rows.with_untracked(|rows| {
            rows.iter()
                .map(|row| {
                    row.with_untracked(|row| {
                        if row.verdict == Verdict::Same {
                            0
                        } else {
                            row.file_size
                        }
                    })
                })
                .sum()
        });
        let left = most.saturating_sub(cache.stored_bytes.unwrap_or(0));
        if needed <= left {
            return Ok(());
        }
        self.view.rows.set(Vec::new());
        Err(Stop::Wrong(Trouble::new(
            "U11",
            format!(
                "Not enough quota: need {}, {} left. Nothing was sent.",
                format::size(needed),
                format::size(left)
            ),
            "Choose fewer paths, or ask an owner for more (max_bytes).",
        )))
    }

    /// Unpacks and hashes every archive that may be sent, one after the other.
    async fn examine(&self, turn: u32) {
        let due: Vec<usize> = {
            let items = self.items.borrow();
            (0..items.len())
                .filter(|at| items[*at].there.is_none() && items[*at].content == Content::Waiting)
                .collect()
        };
        for at in due {
            let (file, narinfo) = {
                let items = self.items.borrow();
                let Some(file) = items[at].archive.clone() else {
                    continue;
                };
                (file, items[at].narinfo.clone())
            };
            let row = self.view.rows.with_untracked(|rows| rows[at]);
            row.update(|row| row.read = Some(0));
            let most = narinfo.nar_size();
            let told = move |read| {
                let _ = row.try_update(|row| row.read = Some(read));
            };
            let found = match self.bench().await {
                Ok(bench) => bench.examine(&file, narinfo.codec(), most, told).await,
                Err(_) => Err(None),
            };
            if self.is_over(turn) {
                return;
            }
            let (content, verified, secrets) = match found {
                Ok(found) => match verdict::content_fits(&narinfo, &found) {
                    Ok(()) => {
                        let secrets = found
                            .archive
                            .as_ref()
                            .map(|archive| archive.secrets.clone());
                        let unpacked = secrets.is_some();
                        (
                            Content::Good(found),
                            Some(unpacked),
                            secrets.unwrap_or_default(),
                        )
                    }
                    Err(trouble) => (Content::Bad(trouble), Some(false), Vec::new()),
                },
                Err(Some(why)) => {
                    let trouble = Trouble::new(
                        "U05",
                        format!("The archive is broken: {why}."),
                        "Copy it again; if that does not help, build it again.",
                    );
                    (Content::Bad(trouble), Some(false), Vec::new())
                }
                // The worker failed, not the archive: the server looks at it anyway.
                Err(None) => {
                    self.bench.take();
                    (Content::Good(unseen(&file)), Some(false), Vec::new())
                }
            };
            self.items.borrow_mut()[at].content = content;
            row.update(|row| {
                row.read = None;
                row.verified = verified;
                row.secrets = secrets;
            });
            self.judge();
        }
    }

    async fn bench(&self) -> Result<Rc<Bench>, String> {
        if let Some(bench) = self.bench.borrow().as_ref() {
            return Ok(Rc::clone(bench));
        }
        let bench = Rc::new(Bench::start().await?);
        self.bench.replace(Some(Rc::clone(&bench)));
        Ok(bench)
    }

    /// Says of every path what will happen with it.
    pub fn judge(&self) {
        let items = self.items.borrow();
        let known = self.known.borrow();
        let present = self.present.borrow();
        let limits = self.limits.borrow();
        let most = limits.as_ref().map(|cache| cache.max_nar_size);
        let rows = self.view.rows.get_untracked();
        // What can be referred to, of the paths before.
        let mut fine: HashSet<String> = HashSet::new();
        for (item, row) in items.iter().zip(rows) {
            let narinfo = &item.narinfo;
            let mut verdict = verdict::of_path(narinfo, &item.content, item.there.as_ref(), &known);
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
            if matches!(verdict, Verdict::New | Verdict::Waiting) {
                let own = narinfo.store_path().hash();
                let missing = narinfo.references().find(|reference| {
                    let hash = reference.hash().to_string();
                    reference.hash() != own && !present.contains(&hash) && !fine.contains(&hash)
                });
                if let Some(missing) = missing {
                    verdict = verdict::incomplete(narinfo, missing.name());
                }
            }
            let signer = verdict::signer(narinfo, &known).ok().flatten();
            let left_out = row.with_untracked(|row| row.left_out);
            if matches!(
                verdict,
                Verdict::New | Verdict::Waiting | Verdict::Same | Verdict::AddSignature
            ) && !left_out
            {
                fine.insert(narinfo.store_path().hash().to_string());
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
    pub fn leave_out(&self, row: RwSignal<Row>, out: bool) {
        row.update(|row| row.left_out = out);
        self.judge();
    }

    /// Signs, in this tab, what nobody who may has signed. Says how many paths.
    ///
    /// # Errors
    /// Where the text is no secret key, or of none that may sign here.
    pub fn sign(&self, secret: &str) -> Result<usize, String> {
        let key: SecretKey = secret
            .trim()
            .parse()
            .map_err(|error| format!("This is no secret key file: {error}."))?;
        let public = key.public_key().to_string();
        let is_mine = self
            .known
            .borrow()
            .contributors
            .iter()
            .any(|known| known.public_key == public);
        if !is_mine {
            return Err(format!(
                "The key {} is not registered: do that on the page of your keys first.",
                key.name()
            ));
        }
        let mut signed = 0;
        {
            let known = self.known.borrow();
            for item in self.items.borrow_mut().iter_mut() {
                if verdict::signer(&item.narinfo, &known).is_ok() {
                    continue;
                }
                let signature = key.sign(item.narinfo.fingerprint().as_bytes());
                if let Ok(with) = item.narinfo.add_signature(&signature) {
                    item.narinfo = with;
                    signed += 1;
                }
            }
        }
        self.judge();
        Ok(signed)
    }

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
            if row.with_untracked(|row| matches!(row.stage, Stage::Refused(_))) {
                row.update(|row| row.stage = Stage::Here);
            }
        }
        let turn = self.turn.get();
        for _ in 0..LANES {
            self.lanes.set(self.lanes.get() + 1);
            let session = Rc::clone(self);
            spawn_local(async move {
                session.lane(turn).await;
                session.lanes.set(session.lanes.get() - 1);
                if session.lanes.get() == 0 && !session.is_over(turn) {
                    session.publish(turn).await;
                    session.finish(turn);
                }
            });
        }
    }

    /// Stops; what has arrived stays.
    pub fn hold(&self) {
        self.view.phase.set(Phase::Paused);
        self.requests.stop();
    }

    fn is_held(&self, turn: u32) -> bool {
        self.is_over(turn) || self.view.phase.get_untracked() == Phase::Paused
    }

    /// Sends one archive after the other.
    async fn lane(self: &Rc<Self>, turn: u32) {
        loop {
            if self.is_held(turn) {
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
            let there = self.patiently(turn, || self.requests.has(&address)).await;
            let answer = match there {
                Answer::Refused(..) => {
                    self.patiently(turn, || {
                        let last = Cell::new(0.0);
                        self.requests.put(&address, &file, move |sent| {
                            let now = js_sys::Date::now();
                            if now - last.get() >= EVERY {
                                last.set(now);
                                let _ = row.try_update(|row| row.stage = Stage::Sending(sent));
                            }
                        })
                    })
                    .await
                }
                other => other,
            };
            if self.is_over(turn) {
                return;
            }
            row.update(|row| {
                row.stage = match answer {
                    Answer::Done => Stage::Arrived,
                    Answer::Lost => Stage::Here,
                    Answer::Refused(_, why) => Stage::Refused(why),
                }
            });
            self.publish(turn).await;
        }
    }

    fn address(&self, key: &str) -> String {
        with_base(&format!("/{}/{key}", self.cache))
    }

    /// Asks until there is an answer: while the network is gone, and a few times where the server is busy.
    async fn patiently<F: Future<Output = Answer>>(
        &self,
        turn: u32,
        ask: impl Fn() -> F,
    ) -> Answer {
        let mut tries = 0;
        loop {
            let answer = ask().await;
            if self.is_held(turn) {
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
            if self.is_held(turn) {
                return answer;
            }
        }
    }

    /// Publishes what has arrived, each path behind what it refers to. One at a time.
    async fn publish(&self, turn: u32) {
        if self.publishing.replace(true) {
            self.publish_again.set(true);
            return;
        }
        loop {
            self.publish_again.set(false);
            while let Some(at) = self.publishable() {
                let (text, hash) = {
                    let items = self.items.borrow();
                    let narinfo = &items[at].narinfo;
                    (narinfo.text().to_owned(), narinfo.store_path().hash())
                };
                let body =
                    Blob::new_with_str_sequence(&js_sys::Array::of1(&JsValue::from_str(&text)));
                let Ok(body) = body else { break };
                let address = self.address(&hash.narinfo_key());
                let answer = self
                    .patiently(turn, || self.requests.put(&address, &body, |_| ()))
                    .await;
                if self.is_held(turn) && answer == Answer::Lost {
                    self.publishing.set(false);
                    return;
                }
                let row = self.view.rows.with_untracked(|rows| rows[at]);
                row.update(|row| {
                    row.stage = match answer {
                        Answer::Done => Stage::Live,
                        Answer::Lost => Stage::Arrived,
                        Answer::Refused(_, why) => Stage::Refused(why),
                    }
                });
                self.note();
            }
            if !self.publish_again.get() {
                break;
            }
        }
        self.publishing.set(false);
    }

    /// The first path whose archive has arrived and whose references are published.
    fn publishable(&self) -> Option<usize> {
        let rows = self.view.rows.get_untracked();
        let open: HashSet<String> = rows
            .iter()
            .filter_map(|row| {
                row.with_untracked(|row| {
                    (row.is_planned() && row.stage != Stage::Live).then(|| row.hash.clone())
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
    fn finish(&self, turn: u32) {
        if self.is_held(turn) {
            return;
        }
        for row in self.view.rows.get_untracked() {
            if row.with_untracked(|row| row.is_planned() && row.stage == Stage::Arrived) {
                row.update(|row| {
                    row.stage = Stage::Refused("a path that it refers to was refused".to_owned());
                });
            }
        }
        self.view.phase.set(Phase::Done);
        self.note();
    }

    /// Remembers how far it is, or that nothing is left.
    fn note(&self) {
        let (mut paths, mut done) = (0, 0);
        for row in self.view.rows.get_untracked() {
            row.with_untracked(|row| {
                paths += usize::from(row.is_planned());
                done += usize::from(row.is_planned() && row.stage == Stage::Live);
            });
        }
        if done == paths {
            memory::forget(&self.cache);
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
            },
        );
    }

    /// What was published, for people's own records.
    pub fn receipt(&self) -> String {
        let rows = self.view.rows.get_untracked();
        let paths: Vec<serde_json::Value> = self
            .items
            .borrow()
            .iter()
            .zip(rows)
            .filter(|(_, row)| row.with_untracked(|row| row.stage == Stage::Live))
            .map(|(item, row)| {
                serde_json::json!({
                    "path": row.with_untracked(|row| row.path.clone()),
                    "narHash": format!("sha256:{}", item.narinfo.nar_hash().to_nix32()),
                    "narSize": item.narinfo.nar_size(),
                    "signatures": item.narinfo.signatures().collect::<Vec<_>>(),
                })
            })
            .collect();
        let receipt = serde_json::json!({
            "cache": self.cache,
            "uploadedBy": self.me,
            "uploadedAt": js_sys::Date::new_0().to_iso_string().as_string(),
            "paths": paths,
        });
        serde_json::to_string_pretty(&receipt).unwrap_or_default()
    }
}

/// Why nothing comes of what was chosen.
enum Stop {
    Wrong(Trouble),
    Api(ApiError),
}

/// The beginning of a file.
async fn head_of(file: &File) -> Vec<u8> {
    let Ok(head) = file.slice_with_f64_and_f64(0.0, given::HEAD as f64) else {
        return Vec::new();
    };
    match JsFuture::from(head.array_buffer()).await {
        Ok(bytes) => js_sys::Uint8Array::new(bytes.unchecked_ref()).to_vec(),
        Err(_) => Vec::new(),
    }
}

/// Of an archive that could not be looked at here.
fn unseen(file: &Blob) -> Examined {
    Examined {
        file_hash: String::new(),
        file_size: file.size() as u64,
        archive: None,
    }
}
