//! Looking at what was chosen: which paths these are, what the server has of them, what is in their
//! archives. Nothing is sent.

use std::collections::HashSet;
use std::rc::Rc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use snowbank_shared::api::contributors::ContributorKey;
use snowbank_shared::api::{Cache, Key, Lookup, Page, PathDetail};
use snowbank_shared::cache_info::CacheInfo;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::store_path::StoreDir;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File};

use crate::api::{self, Abort, ApiError};
use crate::format;
use crate::upload::examine::{self, Archive, Examined};
use crate::upload::given::{self, Archives, Given};
use crate::upload::verdict::{self, Content, Known, Trouble, Verdict};
use crate::upload::worker::Bench;

use super::{Item, Session};

/// Paths after each of which all are judged anew; of more, only after every so many.
const EACH: usize = 200;
/// Paths of one question to the server.
const BATCH: usize = 50;

/// Why nothing comes of what was chosen.
pub(super) enum Stop {
    Wrong(Trouble),
    Api(ApiError),
}

pub(super) async fn ask<T: DeserializeOwned>(path: String) -> Result<T, ApiError> {
    let abort = Abort::new();
    api::get(path, abort.ticket()).await?.json()
}

async fn text_of(file: &Blob) -> Option<String> {
    JsFuture::from(file.text()).await.ok()?.as_string()
}

impl Session {
    pub(super) async fn look(&self, files: Vec<(Given, File)>, turn: u32) -> Result<(), Stop> {
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
        self.ask_plan(turn).await.map_err(Stop::Api)?;
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
                    let archive = archive.map(|file| Blob::from(file.clone()));
                    let content = fits.map_or_else(Content::Bad, |()| Content::Waiting);
                    items.push(Item::new(narinfo, archive, content));
                }
                Ok(_) => {}
                Err(why) => unreadable.push(Trouble::new(
                    "U02",
                    format!("{path} is corrupt: {why}."),
                    "Copy the path again.",
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
            items.push(Item::new(narinfo, Some(archive), Content::Good(examined)));
        }
        Ok(items)
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
        for item in self.items.borrow_mut().iter_mut() {
            item.signed = verdict::signer(&item.narinfo, &self.known.borrow());
        }
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
                        if row.verdict == Verdict::Same || row.left_out {
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
    pub(super) async fn examine(&self, turn: u32) {
        let due: Vec<usize> = {
            let items = self.items.borrow();
            let rows = self.view.rows.get_untracked();
            (0..items.len())
                .filter(|at| items[*at].there.is_none() && items[*at].content == Content::Waiting)
                .filter(|at| !rows[*at].with_untracked(|row| row.left_out))
                .collect()
        };
        for (nth, at) in due.into_iter().enumerate() {
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
                Ok(bench) => {
                    let claim = examine::claim(&narinfo);
                    let codec = narinfo.codec();
                    bench.examine(&file, codec, most, claim, told).await
                }
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
            // Each look at all of them costs as many steps as there are.
            if nth < EACH || nth % EACH == 0 {
                self.judge();
            }
        }
        self.judge();
    }

    async fn bench(&self) -> Result<Rc<Bench>, String> {
        if let Some(bench) = self.bench.borrow().as_ref() {
            return Ok(Rc::clone(bench));
        }
        let bench = Rc::new(Bench::start().await?);
        self.bench.replace(Some(Rc::clone(&bench)));
        Ok(bench)
    }
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
