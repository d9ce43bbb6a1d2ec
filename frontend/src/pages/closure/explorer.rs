//! What the views share: what is chosen, in step with the address, and where the selection was.

use std::time::Duration;

use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;
use snowbank_shared::route::Route;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement, KeyboardEvent};

use super::choice::{Choice, SizeKind, View};
use crate::components::announcer::{Announcer, announcer};
use crate::components::copy::copy_and_say;
use crate::pages::path::PathPage;
use crate::pages::path_why::why;
use crate::state::derived::{effect, memo};
use crate::state::keyboard::single_keys_act;
use crate::state::navigation::href;
use crate::state::preferences::{Preferences, preferences};

/// Selections that `[` leads back to at most.
const MOST_PAST: usize = 500;

/// How long nothing changes before the address is written.
const SETTLED: Duration = Duration::from_millis(120);

/// Where the selection was before, and where it was before that led back.
#[derive(Debug, Clone, Default)]
struct Past {
    before: Vec<String>,
    after: Vec<String>,
}

/// What the views share. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Explorer {
    /// The path whose closure it is.
    pub page: PathPage,
    /// All that is chosen.
    pub choice: RwSignal<Choice>,
    /// The view.
    pub view: Memo<View>,
    /// The size shown.
    pub size: Memo<SizeKind>,
    /// Hash part of the selected path; at first the root's.
    pub focus: Memo<String>,
    /// What is said to screen readers.
    pub announcer: Announcer,
    preferences: Preferences,
    past: StoredValue<Past>,
}

impl Explorer {
    /// Reads the address and keeps it in step.
    pub fn new(page: PathPage) -> Self {
        let choice = RwSignal::new(Choice::read(&query_now()));
        let roomy = window()
            .inner_width()
            .ok()
            .and_then(|width| width.as_f64())
            .is_some_and(|width| width >= 900.0);
        let otherwise = if roomy { View::Columns } else { View::Table };
        let explorer = Self {
            page,
            choice,
            view: memo(move || choice.with(|choice| choice.view.unwrap_or(otherwise))),
            size: memo(move || choice.with(|choice| choice.size)),
            focus: memo(move || {
                choice.with(|choice| {
                    if choice.focus.is_empty() {
                        page.hash.get_value()
                    } else {
                        choice.focus.clone()
                    }
                })
            }),
            announcer: announcer(),
            preferences: preferences(),
            past: StoredValue::new(Past::default()),
        };
        explorer.keep_address();
        explorer.listen();
        explorer
    }

    /// Another view is a step that Back undoes. The rest replaces the address once it has come to
    /// rest: browsers refuse to have it changed with every repeat of a key.
    fn keep_address(self) {
        let shown = StoredValue::new(self.choice.with_untracked(|choice| choice.view));
        let due = StoredValue::new(None::<TimeoutHandle>);
        let cancel = move || {
            if let Some(Some(timer)) = due.try_update_value(Option::take) {
                timer.clear();
            }
        };
        effect(move || {
            let (query, view) = self.choice.with(|choice| (choice.written(), choice.view));
            cancel();
            if shown.get_value() != view {
                shown.set_value(view);
                write_address(&query, true);
                return;
            }
            let later = set_timeout_with_handle(move || write_address(&query, false), SETTLED);
            due.set_value(later.ok());
        });
        let back = window_event_listener(leptos::ev::popstate, move |_| {
            if here() {
                let choice = Choice::read(&query_now());
                shown.set_value(choice.view);
                self.choice.set(choice);
            }
        });
        on_cleanup(move || {
            cancel();
            back.remove();
        });
    }

    /// Selects a path; `[` leads back to the one before.
    pub fn select(self, hash: &str) {
        let now = self.focus.get_untracked();
        if now == hash {
            return;
        }
        self.past.update_value(|past| {
            past.before.push(now);
            if past.before.len() > MOST_PAST {
                past.before.remove(0);
            }
            past.after.clear();
        });
        self.set_focus(hash);
    }

    fn set_focus(self, hash: &str) {
        let root = self.page.hash.with_value(|root| root == hash);
        let focus = if root { String::new() } else { hash.to_owned() };
        self.choice.update(|choice| choice.focus = focus);
    }

    /// Leads back to the selection before, or forward again.
    fn back(self, forward: bool) {
        let now = self.focus.get_untracked();
        let found = self.past.try_update_value(|past| {
            let (from, to) = if forward {
                (&mut past.after, &mut past.before)
            } else {
                (&mut past.before, &mut past.after)
            };
            let hash = from.pop()?;
            to.push(now);
            Some(hash)
        });
        match found.flatten() {
            Some(hash) => self.set_focus(&hash),
            None => self.announcer.say("No selection further back"),
        }
    }

    /// Shows another view.
    pub fn show(self, view: View) {
        self.choice.update(|choice| choice.view = Some(view));
    }

    /// The keys that act in every view.
    fn listen(self) {
        let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
            if event.ctrl_key()
                || event.meta_key()
                || event.alt_key()
                || event.default_prevented()
                || !single_keys_act(&event, self.preferences)
            {
                return;
            }
            match event.key().as_str() {
                key @ ("1" | "2" | "3" | "4") => {
                    let at = key.parse::<usize>().unwrap_or(1) - 1;
                    let (_, view, word) = View::WORDS[at];
                    self.show(view);
                    self.announcer.say(word);
                }
                "v" => {
                    let at = SizeKind::WORDS
                        .iter()
                        .position(|(_, kind, _)| *kind == self.size.get_untracked())
                        .unwrap_or_default();
                    let (_, kind, word) = SizeKind::WORDS[(at + 1) % SizeKind::WORDS.len()];
                    self.choice.update(|choice| choice.size = kind);
                    self.announcer.say(&format!("Size: {word}"));
                }
                "w" => press("#closure-why"),
                "y" => press("#closure-selected .copy"),
                "Y" => {
                    let link = window().location().href().unwrap_or_default();
                    copy_and_say(link, self.announcer);
                }
                "f" => {
                    if let Some(field) = element("#closure-find") {
                        let _ = field.focus();
                    }
                }
                "e" => {
                    if let Some(menu) = element(".export-menu details.menu") {
                        let _ = menu.set_attribute("open", "");
                        request_animation_frame(|| {
                            if let Some(first) = element(".export-menu .menu-list a") {
                                let _ = first.focus();
                            }
                        });
                    }
                }
                "[" => self.back(false),
                "]" => self.back(true),
                _ => return,
            }
            event.prevent_default();
        });
        on_cleanup(move || keys.remove());
    }

    /// The step that a key means: letters wherever nobody types, the others where what
    /// matches `widget` has the focus.
    pub fn step(self, event: &KeyboardEvent, widget: &str) -> Option<Step> {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
            return None;
        }
        let inside = focused().is_some_and(|focused| focused.matches(widget).unwrap_or(false));
        let letters = single_keys_act(event, self.preferences);
        Some(match event.key().as_str() {
            "ArrowLeft" if inside => Step::Left,
            "ArrowRight" if inside => Step::Right,
            "ArrowUp" if inside => Step::Up,
            "ArrowDown" if inside => Step::Down,
            "Home" if inside => Step::First,
            "End" if inside => Step::Last,
            "Enter" if inside => Step::Enter,
            "Backspace" if inside => Step::Out,
            "h" if letters => Step::Left,
            "l" if letters => Step::Right,
            "k" if letters => Step::Up,
            "j" if letters => Step::Down,
            _ => return None,
        })
    }

    /// Opens the selected path's own page.
    pub fn open(self) {
        press("#closure-open");
    }
}

/// Where it is told why a path is in the closure; nothing for the path whose closure it is.
pub fn why_address(page: PathPage, hash: &str) -> Option<String> {
    let root = page.hash.get_value();
    (hash != root).then(|| href(&why(page, Some(&root), Some(hash))))
}

/// The page of a path of the cache.
pub fn path_address(page: PathPage, hash: &str) -> String {
    href(&Route::path(page.cache.get_value(), hash))
}

/// Writes a query behind the address of this tab, as a step of its own or in place.
fn write_address(query: &str, step: bool) {
    if !here() || query.trim_start_matches('?') == query_now() {
        return;
    }
    let path = window().location().pathname().unwrap_or_default();
    let address = format!("{path}{query}");
    if let Ok(history) = window().history() {
        let _ = if step {
            history.push_state_with_url(&JsValue::NULL, "", Some(&address))
        } else {
            history.replace_state_with_url(&JsValue::NULL, "", Some(&address))
        };
    }
}

fn query_now() -> String {
    let search = window().location().search().unwrap_or_default();
    search.strip_prefix('?').unwrap_or_default().to_owned()
}

/// The address is still one of this tab.
fn here() -> bool {
    let path = window().location().pathname().unwrap_or_default();
    path.trim_end_matches('/').ends_with("/closure")
}

fn element(selector: &str) -> Option<HtmlElement> {
    let found = document().query_selector(selector).ok().flatten()?;
    found.dyn_into::<HtmlElement>().ok()
}

fn press(selector: &str) {
    if let Some(element) = element(selector) {
        element.click();
    }
}

/// A step in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Left,
    Right,
    Up,
    Down,
    First,
    Last,
    Enter,
    Out,
}

/// What has the focus.
pub fn focused() -> Option<Element> {
    document().active_element()
}

/// What a mouse event hit, up to what matches.
pub fn hit(event: &web_sys::MouseEvent, selector: &str) -> Option<Element> {
    let target = event.target()?.dyn_into::<Element>().ok()?;
    target.closest(selector).ok().flatten()
}

/// A number in an attribute.
pub fn number(element: &Element, attribute: &str) -> Option<u32> {
    element.get_attribute(attribute)?.parse().ok()
}

/// Scrolls a list as little as needed to show what matches in it, once it is drawn; the window
/// too, where the list has the focus.
pub fn reveal(list: &'static str, item: &'static str) {
    request_animation_frame(move || {
        let (Some(list), Some(item)) = (element(list), element(item)) else {
            return;
        };
        let (top, bottom) = (item.offset_top(), item.offset_top() + item.offset_height());
        if top < list.scroll_top() {
            list.set_scroll_top(top);
        } else if bottom > list.scroll_top() + list.client_height() {
            list.set_scroll_top(bottom - list.client_height());
        }
        if focused().is_some_and(|focused| *list == focused) {
            let options = web_sys::ScrollIntoViewOptions::new();
            options.set_block(web_sys::ScrollLogicalPosition::Nearest);
            item.scroll_into_view_with_scroll_into_view_options(&options);
        }
    });
}
