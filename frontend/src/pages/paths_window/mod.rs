//! The whole result of the path browser in one window, beside its plain pages: a million
//! rows, of which the few that are seen are drawn.
//!
//! [`place`] says which rows stand in the window and where the scroll bar belongs, [`kept`]
//! which are here, [`state`] what is asked for; this file moves between them, the browser's
//! scroll bar, the server and the address, and [`table`] draws. The rows do not scroll: what
//! scrolls is an empty box, in front of which the table stays in place and is drawn anew, so
//! that nothing blank is ever seen but rows that have not arrived.
//!
//! Rows are asked for by number. Each answer says which state of the index it is of; one
//! of another state than the rest drops the rest, so that no row is shown twice.

mod kept;
mod place;
mod state;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leptos::html::{Div, Tbody};
use leptos::leptos_dom::helpers::set_timeout_with_handle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::route::PathsQuery;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use crate::api::{self, ApiError};
use crate::pages::paths::Browser;
use crate::state::derived::effect;
use crate::state::keyboard::focus;

use kept::Kept;
use place::{MOST_SLOTS, Place};
use state::{Drawn, State};

pub use table::{list, way_to_window};

/// How long the bar rests before it is put where the window is, and the address says so.
const REST: Duration = Duration::from_millis(160);
/// How long a scrolling window waits before it asks for the rows it has come to.
const PASSING: Duration = Duration::from_millis(40);
/// Where this browser remembers that it wants the window.
const KEPT_AS: &str = "snowbank.list";

/// The window. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    state: StoredValue<State, LocalStorage>,
    drawn: RwSignal<Drawn>,
    /// Counts arrivals.
    arrived: RwSignal<u64>,
    /// Why rows did not arrive.
    error: RwSignal<Option<ApiError>>,
    /// This browser wants the window where the address does not say.
    preferred: RwSignal<bool>,
    frame: NodeRef<Div>,
    body: NodeRef<Tbody>,
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

impl Window {
    /// Over nothing yet.
    pub fn new() -> Self {
        let kept = storage().and_then(|storage| storage.get_item(KEPT_AS).ok().flatten());
        Self {
            state: StoredValue::new_local(State {
                place: Place::new(0, 33.0, 600.0),
                kept: Kept::default(),
                asked: BTreeMap::new(),
                turn: 0,
                list: String::new(),
                kept_list: String::new(),
                page: None,
                revision: String::new(),
                stale: true,
                bar: 0.0,
                placing: false,
                said: 1,
                current: None,
                takes_focus: false,
                resting: None,
                passing: None,
            }),
            drawn: RwSignal::new(Drawn::default()),
            arrived: RwSignal::new(0),
            error: RwSignal::new(None),
            preferred: RwSignal::new(kept.as_deref() == Some("window")),
            frame: NodeRef::new(),
            body: NodeRef::new(),
        }
    }

    /// Whether this search is shown in the window; tracked.
    pub fn shows(self, query: &PathsQuery) -> bool {
        query.row.is_some() || (self.preferred.get() && query.cursor.is_none())
    }

    /// Remembers what this browser wants.
    fn prefer(self, wanted: bool) {
        self.preferred.set(wanted);
        if let Some(storage) = storage() {
            let _ = if wanted {
                storage.set_item(KEPT_AS, "window")
            } else {
                storage.remove_item(KEPT_AS)
            };
        }
    }

    /// The row that a slot shows, with its number.
    fn in_slot(self, slot: usize) -> Option<(u64, Option<Arc<PathRow>>)> {
        self.arrived.track();
        let row = self.drawn.get().row_in(slot)?;
        let found = self.state.try_with_value(|state| state.kept.row(row));
        Some((row, found.flatten()))
    }

    /// A row that is here; not tracked.
    pub fn find(self, hash: &str) -> Option<PathRow> {
        let found = self.state.try_with_value(|state| {
            let row = state.kept.row(state.kept.find(hash)?)?;
            Some((*row).clone())
        });
        found.flatten()
    }

    /// The rows around one, as far as they are here; not tracked.
    pub fn around(self, hash: &str) -> Vec<PathRow> {
        let around = self.state.try_with_value(|state| {
            let at = state.kept.find(hash)?;
            Some(state.kept.around(at))
        });
        around.flatten().unwrap_or_default()
    }

    /// Follows the list of the browser. While its element is there.
    fn follow(self, browser: Browser) {
        effect(move || {
            let list = browser.query.with(|query| {
                let cache = browser.cache.get_value();
                api::all_paths_path(&cache, query)
            });
            let page = browser.rows.get();
            let other = self.state.try_update_value(|state| {
                let other = state.list != list;
                if other {
                    state.list = list;
                    state.stale = true;
                    state.asked.clear();
                }
                let known = |page: &Arc<_>| {
                    state
                        .page
                        .as_ref()
                        .is_some_and(|old| Arc::ptr_eq(old, page))
                };
                match page.filter(|page| !known(page)) {
                    Some(page) => {
                        state.begin(&page);
                        true
                    }
                    None => other,
                }
            });
            // Only the row that the address says is another one.
            if other != Some(true) {
                return;
            }
            self.arrived.update(|count| *count += 1);
            self.redraw(Duration::ZERO);
            self.put_bar();
        });
        effect(move || {
            let said = browser.query.with(|query| query.row).unwrap_or(1).max(1);
            let moved = self.state.try_update_value(|state| {
                let moved = state.said != said;
                state.said = said;
                if moved {
                    state.place.begin_at(said - 1);
                }
                moved
            });
            if moved == Some(true) {
                self.redraw(Duration::ZERO);
                self.put_bar();
            }
        });
    }

    /// Measures rows and window anew.
    fn measure(self) {
        let Some(frame) = self.frame.get_untracked() else {
            return;
        };
        let height = |css: &str| {
            let found = frame.query_selector(css).ok().flatten();
            let element = found.and_then(|found| found.dyn_into::<HtmlElement>().ok());
            element.map_or(0, |element| element.offset_height())
        };
        let (head, row) = (height("thead"), height("tbody tr:not([hidden])"));
        let view = frame.client_height() - head;
        if row < 8 || view < row {
            return;
        }
        let most = f64::from(row) * (MOST_SLOTS - 2) as f64;
        self.state.update_value(|state| {
            let place = state.place;
            state.place = place.resized(place.rows(), row.into(), f64::from(view).min(most));
        });
        self.redraw(Duration::ZERO);
        self.put_bar();
    }

    /// The browser scrolled.
    fn scrolled(self, browser: Browser) {
        let Some(frame) = self.frame.get_untracked() else {
            return;
        };
        let now = f64::from(frame.scroll_top());
        let moved = self.state.try_update_value(|state| {
            let from = std::mem::replace(&mut state.bar, now);
            if state.placing || (from - now).abs() < f64::EPSILON {
                return None;
            }
            Some(state.place.moved(from, now))
        });
        match moved.flatten() {
            Some(true) => {
                self.redraw(PASSING);
                self.put_bar();
            }
            Some(false) => self.redraw(PASSING),
            None => return,
        }
        self.rest(browser);
    }

    /// Once the bar rests, it stands where the window is, and the address says the row.
    fn rest(self, browser: Browser) {
        let rested = move || {
            let Some((row, off)) = self.state.try_with_value(|state| {
                let off = (state.place.bar() - state.bar).abs() >= 1.0;
                (state.place.seen().start + 1, off)
            }) else {
                return;
            };
            // Who scrolls on just then is not put back for nothing.
            if off {
                self.put_bar();
            }
            self.state.update_value(|state| state.said = row);
            browser.stand_at(row);
        };
        self.state.update_value(|state| {
            if let Some(resting) = state.resting.take() {
                resting.clear();
            }
            state.resting = set_timeout_with_handle(rested, REST).ok();
        });
    }

    /// Puts the bar where the window is, once the browser has laid out what scrolls.
    fn put_bar(self) {
        let Some(before) = self
            .state
            .try_update_value(|state| std::mem::replace(&mut state.placing, true))
        else {
            return;
        };
        if before {
            return;
        }
        request_animation_frame(move || {
            let frame = self.frame.try_get_untracked().flatten();
            let _ = self.state.try_update_value(|state| {
                state.placing = false;
                let Some(frame) = frame else { return };
                let bar = state.place.bar();
                if (bar - f64::from(frame.scroll_top())).abs() >= 1.0 {
                    frame.set_scroll_top(bar.round() as i32);
                }
                state.bar = f64::from(frame.scroll_top());
            });
            self.give_focus();
        });
    }

    /// Draws what the place says, and asks for the rows that are not here after `pause`.
    fn redraw(self, pause: Duration) {
        let Some(drawn) = self.state.try_with_value(|state| Drawn::of(state.place)) else {
            return;
        };
        if self.drawn.get_untracked() != drawn {
            self.drawn.set(drawn);
        }
        self.arrange();
        if pause.is_zero() {
            self.ask();
            return;
        }
        self.state.update_value(|state| {
            if state.passing.is_none() {
                let ask = move || {
                    let _ = self.state.try_update_value(|state| state.passing = None);
                    self.ask();
                };
                state.passing = set_timeout_with_handle(ask, pause).ok();
            }
        });
    }

    /// Brings the row elements into the order of their rows.
    fn arrange(self) {
        if let Some(body) = self.body.try_get_untracked().flatten() {
            table::in_order(&body, self.drawn.get_untracked());
        }
    }

    /// Asks for the rows that are seen, and ends what was asked for others.
    fn ask(self) {
        let requests = self.state.try_update_value(State::requests);
        for (block, turn, path, ticket) in requests.into_iter().flatten() {
            spawn_local(async move {
                let answer = api::get(path, ticket).await;
                let page = answer.and_then(api::Body::json::<Page<PathRow>>);
                self.take(block, turn, page);
            });
        }
    }

    /// A block has arrived, or not.
    fn take(self, block: u64, turn: u64, answer: Result<Page<PathRow>, ApiError>) {
        let taken = self.state.try_update_value(|state| {
            if state
                .asked
                .get(&block)
                .is_none_or(|(mine, _)| *mine != turn)
            {
                return None;
            }
            state.asked.remove(&block);
            Some(answer.map(|page| state.take(block, page)))
        });
        match taken.flatten() {
            None => return,
            Some(Ok(())) => self.error.set(None),
            // Not asked again by itself: the page says why, and offers to.
            Some(Err(error)) => {
                self.error.set(Some(error));
                return;
            }
        }
        self.arrived.update(|count| *count += 1);
        self.redraw(Duration::ZERO);
        request_animation_frame(move || self.give_focus());
    }

    /// Moves the window, with the bar and the address behind it.
    fn move_by(self, browser: Browser, change: impl FnOnce(&mut State)) {
        self.state.update_value(change);
        self.redraw(Duration::ZERO);
        self.put_bar();
        self.rest(browser);
    }

    /// Puts a row at the top, counted from 1, and the focus on it.
    fn jump(self, browser: Browser, row: u64) {
        self.move_by(browser, |state| {
            let row = row.clamp(1, state.place.rows().max(1)) - 1;
            state.place.begin_at(row);
            state.current = Some(row);
            state.takes_focus = true;
        });
    }

    /// The focus goes to the next row (`by` 1) or to the one before (`by` -1).
    pub fn step(self, browser: Browser, by: i64) {
        self.to_row(browser, |at, place| match at {
            Some(at) => at.saturating_add_signed(by),
            None => place.seen().start,
        });
    }

    fn to_row(self, browser: Browser, row: impl FnOnce(Option<u64>, Place) -> u64) {
        let focused = focused_row();
        self.move_by(browser, |state| {
            // A row that is to take the focus has it already, for a key that comes before it is drawn.
            let at = match state.takes_focus {
                true => state.current,
                false => focused.or(state.current),
            };
            let most = state.place.rows().saturating_sub(1);
            let row = row(at, state.place).min(most);
            state.place.reveal(row);
            state.current = Some(row);
            state.takes_focus = true;
        });
    }

    /// A key that moves the window, where nothing else has the focus. Gives whether it was one.
    pub fn key(self, browser: Browser, event: &KeyboardEvent) -> bool {
        let key = event.key();
        let place = self.state.with_value(|state| state.place);
        let page = place.fitting().saturating_sub(1).max(1) as i64;
        let (rows, end) = match key.as_str() {
            "ArrowDown" => (1, None),
            "ArrowUp" => (-1, None),
            "PageDown" => (page, None),
            "PageUp" => (-page, None),
            "Home" => (0, Some(0)),
            "End" => (0, Some(place.rows().saturating_sub(1))),
            _ => return false,
        };
        if event.shift_key() || !is_ours(matches!(key.as_str(), "ArrowDown" | "ArrowUp")) {
            return false;
        }
        if focused_row().is_some() {
            self.to_row(browser, |at, _| match (end, at) {
                (Some(end), _) => end,
                (None, at) => at.unwrap_or_default().saturating_add_signed(rows),
            });
        } else {
            self.move_by(browser, |state| match end {
                Some(0) => state.place.begin_at(0),
                Some(_) => state.place.begin_at(u64::from(u32::MAX)),
                None => state.place.by_rows(rows as f64),
            });
        }
        true
    }

    /// A row got the focus by the Tab key or a click: all of it is shown.
    fn entered(self, browser: Browser) {
        let Some(row) = focused_row() else { return };
        let cut = self.state.with_value(|state| {
            let mut place = state.place;
            place.reveal(row);
            place != state.place
        });
        self.state.update_value(|state| state.current = Some(row));
        if cut {
            self.move_by(browser, |state| state.place.reveal(row));
        }
    }

    /// Gives the focus to the row that the keys are at, once it is there.
    fn give_focus(self) {
        let wanted = self.state.try_with_value(|state| {
            let row = state.current.filter(|_| state.takes_focus)?;
            state.kept.row(row).map(|_| row)
        });
        let Some(row) = wanted.flatten() else { return };
        focus(&format!(
            "#paths-table tr[data-row='{}'] a.store-path",
            row + 1
        ));
        if focused_row() == Some(row) {
            self.state.update_value(|state| state.takes_focus = false);
        }
    }
}

/// The row that has the focus, counted from 0.
fn focused_row() -> Option<u64> {
    let active = document().active_element()?;
    let row = active.closest("#paths-table tr[data-row]").ok()??;
    let number: u64 = row.get_attribute("data-row")?.parse().ok()?;
    number.checked_sub(1)
}

/// Whether a key is for the window: the focus is in it, or for what is no arrow, nowhere.
fn is_ours(only_within: bool) -> bool {
    let Some(active) = document().active_element() else {
        return !only_within;
    };
    let within = |css: &str| active.closest(css).ok().flatten().is_some();
    within(".list-window") || (!only_within && is_nowhere(&active))
}

fn is_nowhere(active: &Element) -> bool {
    matches!(active.tag_name().as_str(), "BODY" | "H1")
}
