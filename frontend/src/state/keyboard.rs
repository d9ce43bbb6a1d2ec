//! Keys that act everywhere: `/` and Ctrl-K search, `?` help, `g` and a letter
//! go to a page, `t` theme. Single keys act only where nobody types, and can
//! be switched off.

use leptos::prelude::*;
use snowbank_shared::route::Route;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement, KeyboardEvent};

use crate::places::places;
use crate::state::navigation::{close_menus, listen, navigation};
use crate::state::preferences::{Preferences, preferences};
use crate::state::session::session;

/// How long after `g` its letter counts, in milliseconds.
const CHORD: f64 = 1500.0;

/// What the keys open. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Opens {
    /// The dialog with the keys.
    pub help: RwSignal<bool>,
    /// The list of places and acts below the search field, before anything is typed.
    pub palette: RwSignal<bool>,
}

/// What the keys open.
///
/// # Panics
/// Outside of the application.
pub fn opens() -> Opens {
    expect_context()
}

/// Listens. Once, at the start.
pub fn start() {
    let opens = Opens {
        help: RwSignal::new(false),
        palette: RwSignal::new(false),
    };
    provide_context(opens);
    let Opens { help, palette } = opens;
    let navigation = navigation();
    let preferences = preferences();
    let session = session();
    let chord = StoredValue::new(0.0_f64);
    listen("keydown", move |event: KeyboardEvent| {
        if event.default_prevented() || event.alt_key() {
            return;
        }
        let key = event.key();
        if event.ctrl_key() || event.meta_key() {
            if key.eq_ignore_ascii_case("k") {
                event.prevent_default();
                focus_search();
                palette.set(true);
            }
            return;
        }
        if key == "Escape" {
            close_menus(None);
        }
        if !single_keys_act(&event, preferences) {
            return;
        }
        let now = js_sys::Date::now();
        let after_g = now - chord.get_value() < CHORD;
        chord.set_value(0.0);
        if after_g {
            let cache = untrack(move || session.cache());
            if let Some(page) = page_of(&key, cache.as_deref()) {
                event.prevent_default();
                navigation.go(&page);
                return;
            }
        }
        match key.as_str() {
            "/" => {
                event.prevent_default();
                focus_search();
            }
            "?" => {
                event.prevent_default();
                help.set(true);
            }
            "g" => chord.set_value(now),
            "t" => preferences.theme.update(|theme| *theme = theme.next()),
            _ => {}
        }
    });
}

/// The page that `g` and this letter open.
fn page_of(letter: &str, cache: Option<&str>) -> Option<Route> {
    let mut places = places(cache).into_iter();
    places
        .find(|place| place.letter != ' ' && letter.chars().eq([place.letter]))
        .map(|place| place.route)
}

/// Single keys are switched on, nobody types, and no dialog is open.
pub fn single_keys_act(event: &KeyboardEvent, preferences: Preferences) -> bool {
    if !preferences.shortcuts.get_untracked() || event.is_composing() {
        return false;
    }
    let target = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    let typing = target.and_then(|target| {
        target
            .closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], dialog")
            .ok()
            .flatten()
    });
    typing.is_none()
}

fn focus_search() {
    let input = document()
        .get_element_by_id("omnibox")
        .and_then(|input| input.dyn_into::<HtmlInputElement>().ok());
    if let Some(input) = input {
        let _ = input.focus();
        input.select();
    }
}

/// Moves the focus to the first element that matches, without scrolling.
pub fn focus(selector: &str) {
    if let Ok(Some(element)) = document().query_selector(selector)
        && let Ok(element) = element.dyn_into::<HtmlElement>()
    {
        let options = web_sys::FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = element.focus_with_options(&options);
    }
}

/// The choice after (`by` 1) or before (`by` -1) one of `count`, round at the ends; `count` is not 0.
pub fn next_choice(active: Option<usize>, by: isize, count: usize) -> usize {
    match active {
        None if by > 0 => 0,
        None => count - 1,
        Some(at) => (at.cast_signed() + by)
            .rem_euclid(count.cast_signed())
            .cast_unsigned(),
    }
}
