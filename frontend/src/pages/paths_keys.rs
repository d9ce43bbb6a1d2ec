//! The keys of the path browser: walking rows, choosing them, sorting, filters,
//! export, copying, pinning. They act where nobody types, and can be switched off.

use leptos::prelude::*;
use snowbank_shared::api::PathRow;
use snowbank_shared::route::{ExploreRoute, Route};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use crate::components::announcer::announcer;
use crate::components::copy::copy_and_say;
use crate::pages::paths::Browser;
use crate::pages::paths_facets::enter_or_leave;
use crate::state::keyboard::{focus, single_keys_act};
use crate::state::navigation::{absolute, navigation};
use crate::state::preferences::preferences;

/// Listens as long as the page is there.
pub fn listen(browser: Browser) {
    let (announcer, navigation) = (announcer(), navigation());
    let preferences = preferences();
    let copy = move |text: String| copy_and_say(text, announcer);
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
            return;
        }
        let in_window = untrack(|| browser.is_window());
        if in_window && browser.window.key(browser, &event) {
            event.prevent_default();
            return;
        }
        let step = |by: i32| {
            if in_window {
                browser.window.step(browser, by.into());
            } else {
                step(by);
            }
        };
        let key = event.key();
        let arrow = match key.as_str() {
            "ArrowDown" => 1,
            "ArrowUp" => -1,
            _ => 0,
        };
        // Arrows scroll, except on a row; they are no letters, so no switch is needed.
        if arrow != 0 {
            if focused_row().is_some() && !event.shift_key() {
                event.prevent_default();
                step(arrow);
            }
            return;
        }
        if !single_keys_act(&event, preferences) {
            return;
        }
        match key.as_str() {
            "j" => step(1),
            "k" => step(-1),
            "x" => {
                if let Some(row) = row_of_focus(browser) {
                    browser.chosen.flip(&row);
                }
            }
            "X" => {
                if let Some(row) = row_of_focus(browser) {
                    browser.chosen.extend(&browser.rows_around(&row.hash), &row);
                }
            }
            "s" => {
                let (word, sort) = browser
                    .shown
                    .sort_after(browser.query.with_untracked(|query| query.sort));
                browser.change(|query| query.sort = sort);
                let direction = if sort.descending {
                    "descending"
                } else {
                    "ascending"
                };
                announcer.say(&format!("Sorted by {word}, {direction}"));
            }
            "f" => enter_or_leave(browser),
            "e" => open_export(),
            "y" => {
                if let Some(row) = row_of_focus(browser) {
                    copy(row.path);
                }
            }
            // Its page asks for the name of the pin.
            "p" => {
                if let Some(row) = row_of_focus(browser) {
                    navigation.go(&Route::path(browser.cache.get_value(), row.hash));
                    let _ = window().location().set_hash("pin");
                }
            }
            "w" => {
                if let Some(row) = row_of_focus(browser) {
                    let why = ExploreRoute::why(browser.cache.get_value(), None, Some(&row.hash));
                    navigation.go(&Route::Explore(why));
                }
            }
            "Y" => copy(absolute(&browser.frozen().to_string())),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || keys.remove());
}

/// The row of the table that has the focus.
fn focused_row() -> Option<Element> {
    document()
        .active_element()?
        .closest("#paths-table tr[data-hash]")
        .ok()?
}

/// What that row shows.
fn row_of_focus(browser: Browser) -> Option<PathRow> {
    browser.row(&focused_row()?.get_attribute("data-hash")?)
}

/// Moves the focus to the row after (`by` 1) or before (`by` -1) the one that has it.
fn step(by: i32) {
    let Ok(rows) = document().query_selector_all("#paths-table tr[data-hash]") else {
        return;
    };
    let row = |at: u32| rows.item(at).and_then(|row| row.dyn_into::<Element>().ok());
    let focused = focused_row();
    let here = (0..rows.length()).find(|at| focused.is_some() && row(*at) == focused);
    let next = match (here, by) {
        (Some(at), _) => at.checked_add_signed(by),
        (None, 1) => Some(0),
        (None, _) => rows.length().checked_sub(1),
    };
    let link = next
        .and_then(row)
        .and_then(|row| row.query_selector("a.store-path").ok().flatten())
        .and_then(|link| link.dyn_into::<HtmlElement>().ok());
    if let Some(link) = link {
        let _ = link.focus();
    }
}

fn open_export() {
    let menu = document()
        .query_selector(".export-menu details.menu")
        .ok()
        .flatten();
    if let Some(menu) = menu {
        let _ = menu.set_attribute("open", "");
        request_animation_frame(|| focus(".export-menu .menu-list a"));
    }
}
