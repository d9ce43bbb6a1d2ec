//! Copying, on plain `http://` origins too, where browsers have no clipboard
//! API: there a selection in a text area and the old command do it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlDocument, HtmlElement, HtmlTextAreaElement, Node};

use crate::components::announcer::{Announcer, announcer};
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};

/// Puts a text into the clipboard; `done` hears whether it worked.
fn copy_text(text: String, done: impl FnOnce(bool) + 'static) {
    erased_copy(text, Box::new(done));
}

fn erased_copy(text: String, done: Box<dyn FnOnce(bool)>) {
    let navigator = window().navigator();
    // Missing on plain http origins that are not loopback.
    let has_clipboard = js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard"))
        .is_ok_and(|clipboard| !clipboard.is_undefined());
    if !has_clipboard {
        done(copy_by_selection(&text).is_some());
        return;
    }
    spawn_local(async move {
        let written = JsFuture::from(navigator.clipboard().write_text(&text)).await;
        done(written.is_ok() || copy_by_selection(&text).is_some());
    });
}

fn copy_by_selection(text: &str) -> Option<()> {
    let document = document();
    let focused = document.active_element();
    // Below an open dialog everything else is inert: the text area has to be inside.
    let host: Node = document
        .query_selector("dialog[open]")
        .ok()
        .flatten()
        .map_or_else(
            || document.body().map(Node::from),
            |dialog| Some(dialog.into()),
        )?;
    let area: HtmlTextAreaElement = document.create_element("textarea").ok()?.unchecked_into();
    area.set_value(text);
    area.set_class_name("visually-hidden");
    area.set_read_only(true);
    host.append_child(&area).ok()?;
    area.select();
    let copied = document
        .unchecked_ref::<HtmlDocument>()
        .exec_command("copy");
    let _ = host.remove_child(&area);
    if let Some(focused) = focused.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = focused.focus();
    }
    copied.ok()?.then_some(())
}

/// Puts a text into the clipboard and says to screen readers whether that worked.
pub fn copy_and_say(text: String, announcer: Announcer) {
    copy_text(text, move |copied| {
        announcer.say(if copied {
            "Copied"
        } else {
            "The browser did not allow copying"
        });
    });
}

/// A button that copies. `what` names it (“Copy store path”); with `word` the
/// button shows “Copy” beside its icon.
pub fn copy_button(what: &'static str, word: bool, text: impl Fn() -> String + 'static) -> AnyView {
    erased_button(
        what,
        word.then_some("Copy"),
        "quiet copy",
        Icon::Copy,
        Box::new(text),
    )
}

/// The same with another icon, where two stand side by side.
pub fn copy_with(
    what: &'static str,
    picture: Icon,
    text: impl Fn() -> String + 'static,
) -> AnyView {
    erased_button(what, None, "quiet", picture, Box::new(text))
}

/// A button with a border that copies a link to the page; its words name it.
pub fn copy_link_button(text: impl Fn() -> String + 'static) -> AnyView {
    const WORDS: &str = "Copy link";
    erased_button(
        WORDS,
        Some(WORDS),
        "button copy",
        Icon::Copy,
        Box::new(text),
    )
}

/// One copy of the code for all buttons.
fn erased_button(
    what: &'static str,
    word: Option<&'static str>,
    class: &'static str,
    picture: Icon,
    text: Box<dyn Fn() -> String>,
) -> AnyView {
    let announcer = announcer();
    let copied = RwSignal::new(false);
    let copy = move |_| {
        copy_text(text(), move |ok| {
            if !ok {
                announcer.say("The browser did not allow copying. Select the text instead");
                return;
            }
            announcer.say("Copied");
            copied.try_set(true);
            set_timeout(
                move || {
                    copied.try_set(false);
                },
                Duration::from_secs(2),
            );
        });
    };
    view! {
        <button
            type="button"
            class=class
            class:is-copied=move || copied.get()
            aria-label=move || if copied.get() { "Copied" } else { what }
            title=what
            on:click=copy
        >
            {changing(move || icon(if copied.get() { Icon::Tick } else { picture }))}
            {word.map(|word| view! { <span>{changing(move || if copied.get() { "Copied" } else { word })}</span> })}
        </button>
    }
    .into_any()
}
