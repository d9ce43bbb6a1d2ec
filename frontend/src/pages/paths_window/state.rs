//! What the window knows: what is drawn, and all that is not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use leptos::leptos_dom::helpers::TimeoutHandle;
use snowbank_shared::api::{Page, PathRow};

use super::kept::{BLOCK, Kept};
use super::place::Place;
use crate::api::{self, Abort};

/// Requests under way at most.
const MOST_ASKED: usize = 4;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Drawn {
    /// The first row of which something is seen, counted from 0, and the one after the last.
    pub(super) first: u64,
    pub(super) end: u64,
    /// Rows of the whole list.
    pub(super) rows: u64,
    /// Row elements.
    pub(super) slots: usize,
    /// Px that the bar can move.
    pub(super) reach: u32,
    /// Px of the first row that are above the window.
    pub(super) cut: u32,
}

impl Drawn {
    pub(super) fn of(place: Place) -> Self {
        let seen = place.seen();
        Self {
            first: seen.start,
            end: seen.end,
            rows: place.rows(),
            slots: place.slots(),
            reach: place.reach().ceil() as u32,
            cut: place.cut().round() as u32,
        }
    }

    /// The row that stands in a slot: each keeps its slot as long as it is seen.
    pub(super) fn row_in(self, slot: usize) -> Option<u64> {
        let slots = self.slots.max(1) as u64;
        let ahead = (slot as u64 + slots - self.first % slots) % slots;
        Some(self.first + ahead).filter(|row| *row < self.end)
    }
}

/// What is not drawn.
#[derive(Debug)]
pub(super) struct State {
    pub(super) place: Place,
    pub(super) kept: Kept,
    /// The requests under way, by block, each with its turn.
    pub(super) asked: BTreeMap<u64, (u64, Abort)>,
    pub(super) turn: u64,
    /// The list's address in the API.
    pub(super) list: String,
    /// The list of which rows are kept.
    pub(super) kept_list: String,
    /// The first page that they began with.
    pub(super) page: Option<Arc<Page<PathRow>>>,
    pub(super) revision: String,
    /// Another list is being asked for: nothing more is of this one.
    pub(super) stale: bool,
    /// The scroll position as it was last seen or set.
    pub(super) bar: f64,
    /// The bar is about to be set: what it does meanwhile moves nothing.
    pub(super) placing: bool,
    /// The row that the address says, counted from 1.
    pub(super) said: u64,
    /// The row that the keys are at.
    pub(super) current: Option<u64>,
    /// It takes the focus when it is drawn.
    pub(super) takes_focus: bool,
    pub(super) resting: Option<TimeoutHandle>,
    pub(super) passing: Option<TimeoutHandle>,
}

impl State {
    /// Begins with the first page of a list, or of a newer state of the same.
    pub(super) fn begin(&mut self, page: &Arc<Page<PathRow>>) {
        let other = self.kept_list != self.list;
        self.asked.clear();
        self.kept.clear();
        for (block, rows) in (0..).zip(page.items.chunks(BLOCK as usize)) {
            // A block that is not whole is the last one.
            if rows.len() as u64 == BLOCK || page.next.is_none() {
                self.kept.put(block, rows.to_vec());
            }
        }
        self.revision.clone_from(&page.revision);
        self.kept_list.clone_from(&self.list);
        self.page = Some(Arc::clone(page));
        self.stale = false;
        self.place = self.place.of_rows(page.total);
        if other {
            self.place.begin_at(self.said - 1);
            self.current = None;
        }
    }

    pub(super) fn take(&mut self, block: u64, page: Page<PathRow>) {
        if page.revision != self.revision {
            self.kept.clear();
            self.asked.clear();
            self.revision = page.revision;
        }
        self.place = self.place.of_rows(page.total);
        self.kept.put(block, page.items);
    }

    /// What has to be asked for now: block, turn, address and the request's ticket.
    pub(super) fn requests(&mut self) -> Vec<(u64, u64, String, api::Ticket)> {
        if self.stale {
            return Vec::new();
        }
        let seen: Range<u64> = self.place.seen();
        let wanted = self.kept.wanted(&seen, self.place.rows());
        self.asked.retain(|block, _| wanted.contains(block));
        let mut requests = Vec::new();
        for block in wanted {
            if self.asked.len() >= MOST_ASKED {
                break;
            }
            if self.asked.contains_key(&block) {
                continue;
            }
            self.turn += 1;
            let abort = Abort::new();
            let path = api::rows_path(&self.list, block * BLOCK, BLOCK);
            requests.push((block, self.turn, path, abort.ticket()));
            self.asked.insert(block, (self.turn, abort));
        }
        requests
    }
}
