//! What the server has of an upload: its plan's judgement before, its session while it is sent.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;
use snowbank_shared::api::uploads::{
    Fate, Outcome, PathFate, PlanAnswer, PlannedPath, UploadPlan, UploadReceipt,
};

use crate::api::{self, Abort, ApiError};
use crate::format;
use crate::upload::folder;
use crate::upload::memory;
use crate::upload::verdict::{Content, Trouble, Verdict};

use super::{Item, Phase, Row, Session, Stage};

/// The session that the server keeps of this upload.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Its name in addresses.
    pub(super) id: String,
    /// Parts of archives that have arrived, by the archives' keys.
    pub(super) parts: HashMap<String, u64>,
}

async fn send<T: DeserializeOwned>(
    method: &'static str,
    path: String,
    body: Option<String>,
) -> Result<T, ApiError> {
    let abort = Abort::new();
    api::send(method, path, body, abort.ticket()).await?.json()
}

/// A path as a plan names it.
fn planned(item: &Item, size: u64) -> PlannedPath {
    let narinfo = &item.narinfo;
    let name = |text: &str| Some(text.split_once(':')?.0.to_owned());
    PlannedPath {
        path: narinfo
            .store_dir()
            .display(narinfo.store_path())
            .to_string(),
        nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
        nar_size: narinfo.nar_size(),
        nar_key: narinfo.nar_key().into_owned(),
        file_size: size,
        compression: narinfo.compression().to_string(),
        references: narinfo
            .references()
            .map(|reference| reference.to_string())
            .collect(),
        signed_by: narinfo.signatures().filter_map(name).collect(),
    }
}

impl Session {
    /// The rows with their paths of which this is true, as a plan.
    fn plan_of(&self, begin: bool, which: impl Fn(&Item, &Row) -> bool) -> UploadPlan {
        let rows = self.view.rows.get_untracked();
        let items = self.items.borrow();
        let paths = items
            .iter()
            .zip(rows)
            .filter_map(|(item, row)| {
                row.with_untracked(|row| which(item, row).then(|| planned(item, row.file_size)))
            })
            .collect();
        UploadPlan {
            from: self.view.from.get_untracked(),
            begin,
            paths,
        }
    }

    /// Asks what the server makes of all this; what upstreams have is left out.
    pub(super) async fn ask_plan(&self, turn: u32) -> Result<(), ApiError> {
        let plan = self.plan_of(false, |item, row| {
            row.file_size > 0 && !matches!(item.content, Content::Bad(_))
        });
        if plan.paths.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_string(&plan).ok();
        let answer: PlanAnswer = send("POST", api::uploads_path(&self.cache), body).await?;
        if self.is_over(turn) {
            return Ok(());
        }
        let mut fates: HashMap<String, PathFate> = HashMap::new();
        for fate in answer.paths {
            let base = fate.path.rsplit('/').next().unwrap_or_default();
            let hash = base.split('-').next().unwrap_or_default().to_owned();
            fates.insert(hash, fate);
        }
        for row in self.view.rows.get_untracked() {
            let fate = row.with_untracked(|row| fates.get(&row.hash).cloned());
            if let Some(PathFate {
                fate: Fate::SkipUpstream,
                upstream: Some(upstream),
                can_be_skipped,
                ..
            }) = fate
            {
                row.update(|row| {
                    row.upstream = Some(upstream);
                    row.left_out = can_be_skipped;
                });
            } else if let Some(PathFate {
                fate: Fate::New,
                reason: Some(reason),
                ..
            }) = fate
            {
                row.update(|row| row.will_wait = Some(format::sentence(&reason)));
            }
        }
        self.fates.replace(fates);
        Ok(())
    }

    /// What the server's judgement makes of a verdict of ours: it knows upstreams and its policy.
    pub(super) fn with_fate(&self, hash: &str, verdict: Verdict) -> Verdict {
        let fates = self.fates.borrow();
        let Some(fate) = fates.get(hash) else {
            return verdict;
        };
        if !matches!(verdict, Verdict::New | Verdict::Waiting) {
            return verdict;
        }
        let why = || format::sentence(fate.reason.as_deref().unwrap_or_default());
        match fate.fate {
            Fate::Conflict => Verdict::Conflict(Trouble::new("", why(), "Leave it out.")),
            Fate::NotAllowed => {
                let why = why();
                // The policy says by itself whom to ask.
                let fix = if why.contains("(policy ") {
                    ""
                } else {
                    "Ask a Maintainer or Owner of the cache."
                };
                Verdict::NotAllowed(Trouble::new("U15", why, fix))
            }
            _ => verdict,
        }
    }

    /// Whether the server has found everything that a path refers to and that is not in the upload.
    pub(super) fn is_complete(&self, hash: &str) -> bool {
        let fates = self.fates.borrow();
        fates
            .get(hash)
            .is_some_and(|fate| matches!(fate.fate, Fate::New | Fate::SkipUpstream))
    }

    /// Whether what refers to a path is published although the path is left out.
    pub(super) fn may_be_skipped(&self, hash: &str) -> bool {
        let fates = self.fates.borrow();
        fates.get(hash).is_some_and(|fate| fate.can_be_skipped)
    }

    /// Forgets what the server said of a path: it was signed since.
    pub(super) fn forget_fate(&self, hash: &str) {
        let mut fates = self.fates.borrow_mut();
        if fates
            .get(hash)
            .is_some_and(|fate| fate.fate == Fate::NotAllowed)
        {
            fates.remove(hash);
        }
    }

    /// Begins the session of what is planned, or goes on with the one of the same plan. What is
    /// there already belongs to it, so that the same folder is the same plan.
    pub(super) async fn begin(&self) -> Result<(), ApiError> {
        let plan = self.plan_of(true, |_, row| {
            !row.left_out && (row.verdict.sends() || row.verdict == Verdict::Same)
        });
        let body = serde_json::to_string(&plan).ok();
        let answer: PlanAnswer = send("POST", api::uploads_path(&self.cache), body).await?;
        let Some(session) = answer.session else {
            return Ok(());
        };
        let mut kept = Kept {
            id: session.id,
            parts: HashMap::new(),
        };
        let path = api::upload_path(&self.cache, &kept.id);
        let receipt: UploadReceipt = send("GET", path, None).await?;
        let (mut arrived, mut waiting) = (HashSet::new(), HashMap::new());
        for path in receipt.paths {
            if path.outcome == Outcome::Waiting {
                waiting.insert(path.path.clone(), path.reason.clone().unwrap_or_default());
            }
            if path.outcome == Outcome::Arrived {
                arrived.insert(path.path);
            }
            if path.parts > 0 {
                kept.parts.insert(path.nar_key, path.parts);
            }
        }
        for row in self.view.rows.get_untracked() {
            let is_there = row.with_untracked(|row| {
                row.is_planned() && row.stage == Stage::Here && arrived.contains(&row.path)
            });
            let waits = row.with_untracked(|row| {
                let reason = waiting.remove(&row.path);
                reason.filter(|_| row.is_planned() && row.stage == Stage::Here)
            });
            if is_there {
                row.update(|row| row.stage = Stage::Arrived);
            } else if let Some(reason) = waits {
                row.update(|row| row.stage = Stage::Waits(reason));
            }
        }
        self.view.session.set(Some(kept.id.clone()));
        self.kept.replace(Some(kept));
        Ok(())
    }

    /// Tells the server that all was sent.
    pub(super) async fn commit(&self) {
        let id = self.kept.borrow().as_ref().map(|kept| kept.id.clone());
        let Some(id) = id else { return };
        let path = format!("{}/commit", api::upload_path(&self.cache, &id));
        // Where that fails it stays open, and is found again.
        let _: Result<UploadReceipt, ApiError> = send("POST", path, None).await;
    }

    /// Stops for good. What has come is discarded, or kept for as long as the server keeps sessions.
    pub fn cancel(self: &Rc<Self>, discard: bool) {
        self.hold();
        self.turn.set(self.turn.get() + 1);
        let kept = self.kept.take();
        let view = self.view;
        view.session.set(None);
        view.rows.set(Vec::new());
        view.phase.set(Phase::Empty);
        self.items.borrow_mut().clear();
        if !discard {
            view.unfinished.set(memory::recall(&self.cache));
            return;
        }
        memory::forget(&self.cache);
        view.forget_pin();
        let cache = self.cache.clone();
        spawn_local(async move { folder::forget(&cache).await });
        view.unfinished.set(None);
        let Some(kept) = kept else { return };
        let path = api::upload_path(&self.cache, &kept.id);
        spawn_local(async move {
            let ended: Result<UploadReceipt, ApiError> = send("DELETE", path, None).await;
            if let Err(error) = ended {
                let _ = view.failure.try_set(Some(error));
            }
        });
    }
}
