//! A word of the field with its meaning on hover and focus; Escape closes it.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

/// `word`, explained by `meaning`. `id` is unique on the page.
pub fn term(id: &'static str, word: &'static str, meaning: &'static str) -> AnyView {
    let closed = RwSignal::new(false);
    view! {
        <span
            class="term"
            class:is-closed=move || closed.get()
            on:mouseleave=move |_| closed.set(false)
            on:focusout=move |_| closed.set(false)
            on:keydown=move |event: KeyboardEvent| {
                if event.key() == "Escape" {
                    closed.set(true);
                }
            }
        >
            <button type="button" aria-describedby=id>{word}</button>
            <span role="tooltip" id=id>{meaning}</span>
        </span>
    }
    .into_any()
}
