//! What the ledger keeps of plans and runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::retention::{KeptSince, Rules, RunState, Weight};
use snowbank_shared::store_path::StorePathHash;
use time::{Duration, OffsetDateTime};

use crate::ledger::kind::{Kind, PLANS, RUNS, Record, TURNS};

/// How long a run that is over is remembered, and the list of its plan.
pub const REMEMBERED: Duration = Duration::days(400);

/// A path of a plan's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    /// Its hash part.
    pub hash: StorePathHash,
    /// Its name.
    pub name: String,
    /// SHA-256 of its narinfo's bytes, in hex.
    pub narinfo: String,
    /// The key of its NAR, relative to the cache.
    pub nar: String,
    /// Bytes as stored of its NAR, where known.
    pub bytes: Option<u64>,
    /// When it was first seen, seconds since 1970.
    pub added_at: i64,
    /// What was known of its content.
    pub content: ContentStatus,
    /// Whether clients were served it.
    #[serde(default)]
    pub served: bool,
    /// The day on which it was fetched last when the plan was made, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<i64>,
}

/// A frozen plan. Its list lies in bundles `plans/ID/N`, and the digest says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Who made it.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// Until when it may be started, seconds since 1970.
    pub expires: i64,
    /// The rules.
    pub rules: Rules,
    /// What is on its list.
    pub frees: Weight,
    /// Days between the trash and the deletion of NARs.
    pub grace_days: u32,
    /// Paths of the cache that came past this server.
    pub foreign_paths: u64,
    /// Whether the owner said yes to that.
    pub foreign: bool,
    /// Bundles of its list.
    pub bundles: u32,
    /// SHA-256 of the list, in hex.
    pub digest: String,
    /// The run that carries it out.
    #[serde(default)]
    pub run: Option<String>,
}

impl Record for PlanRecord {
    const KIND: Kind = PLANS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let ends = OffsetDateTime::from_unix_timestamp(self.expires).ok()?;
        match self.run {
            None => Some(ends),
            Some(_) => ends.checked_add(REMEMBERED),
        }
    }
}

/// Which run of a cache acts now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// The run; `None`: none does.
    pub run: Option<String>,
    /// Since when, seconds since 1970.
    pub since: i64,
}

impl Record for TurnRecord {
    const KIND: Kind = TURNS;
}

/// A path that stays after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Its hash part.
    pub hash: StorePathHash,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: KeptSince,
    /// The same in words.
    pub words: String,
}

/// A plan being carried out. Whoever acts on it, or holds something back from it, does so by writing
/// the next version of this record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The plan.
    pub plan: String,
    /// Who started it.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// When the plan was made, seconds since 1970.
    pub planned_at: i64,
    /// The rules of the plan.
    pub rules: Rules,
    /// Days between the trash and the deletion of NARs.
    pub grace_days: u32,
    /// Bundles of the plan's list.
    pub bundles: u32,
    /// SHA-256 of the plan's list, in hex.
    pub digest: String,
    /// How far it is.
    pub state: RunState,
    /// Why it stands still.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Paths on the list.
    pub total: u64,
    /// Bytes that the plan promised.
    pub predicted: u64,
    /// The place in the list at which the phase goes on: of paths, then of NARs.
    #[serde(default)]
    pub next: u32,
    /// The places in hand, from and up to: whoever needs one of them waits.
    #[serde(default)]
    pub claim: Option<(u32, u32)>,
    /// Places of paths that somebody needs, and that stay.
    #[serde(default)]
    pub needed: BTreeSet<u32>,
    /// Places of NARs that somebody needs, and that stay.
    #[serde(default)]
    pub needed_nars: BTreeSet<u32>,
    /// Narinfos taken out, those included that were put back since; what a batch in hand took is not
    /// counted yet.
    #[serde(default)]
    pub trashed: u64,
    /// Narinfos put back by undoing it.
    #[serde(default)]
    pub restored: u64,
    /// NARs deleted.
    #[serde(default)]
    pub deleted: u64,
    /// Bytes freed.
    #[serde(default)]
    pub freed: u64,
    /// Some of the paths that stay after all.
    #[serde(default)]
    pub spared: Vec<Spared>,
    /// How many stay.
    #[serde(default)]
    pub spared_paths: u64,
    /// Bytes that stay with them.
    #[serde(default)]
    pub spared_bytes: u64,
    /// What went wrong: how often, and one object.
    #[serde(default)]
    pub errors: BTreeMap<String, (u64, String)>,
    /// When the last narinfo went into the trash, seconds since 1970.
    #[serde(default)]
    pub trashed_at: Option<i64>,
    /// The process that acts, and when it said so last.
    #[serde(default)]
    pub runner: Option<(String, i64)>,
    /// When it ended, seconds since 1970.
    #[serde(default)]
    pub ended_at: Option<i64>,
}

impl Record for RunRecord {
    const KIND: Kind = RUNS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        // What goes on, or waits for its time, is remembered.
        let ended = match self.state {
            RunState::Done | RunState::Undone | RunState::Stopped => self.ended_at?,
            _ => return None,
        };
        OffsetDateTime::from_unix_timestamp(ended)
            .ok()?
            .checked_add(REMEMBERED)
    }
}

impl RunRecord {
    /// Whether it takes narinfos out, or is about to.
    pub fn takes_paths(&self) -> bool {
        matches!(
            self.state,
            RunState::Marking | RunState::Waiting | RunState::Trashing
        )
    }

    /// Whether it deletes NARs, or is about to.
    pub fn takes_nars(&self) -> bool {
        self.state == RunState::Deleting
    }

    /// Whether it may have taken narinfos out. What a batch in hand took is not counted yet.
    pub fn may_have_taken(&self) -> bool {
        self.trashed > 0 || self.claim.is_some()
    }

    /// Whether narinfos that it took out may not be back.
    pub fn may_have_trash(&self) -> bool {
        self.trashed > self.restored || self.claim.is_some()
    }

    /// Whether a process has to act on it, or acts.
    pub fn acts(&self) -> bool {
        self.state.acts()
    }

    /// When its NARs may be deleted, seconds since 1970.
    pub fn due(&self) -> Option<i64> {
        let days = i64::from(self.grace_days);
        self.trashed_at.map(|at| at.saturating_add(days * 86_400))
    }

    /// Counts an error of a kind: one that names its object is of the same kind with others.
    pub fn went_wrong(&mut self, words: &str, object: &str) {
        const KINDS: usize = 20;
        let words = match object {
            "" => words.to_owned(),
            object => words.replace(object, "…"),
        };
        let words: String = words.chars().take(200).collect();
        let words = match self.errors.contains_key(&words) || self.errors.len() < KINDS {
            true => words,
            false => "other errors".to_owned(),
        };
        let known = self.errors.entry(words);
        let known = known.or_insert_with(|| (0, object.to_owned()));
        known.0 += 1;
    }
}
