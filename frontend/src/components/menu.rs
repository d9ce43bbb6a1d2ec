//! A menu on `<details>`: Enter and space open it, Escape and a click elsewhere close it.

use leptos::prelude::*;

use crate::components::icon::{Icon, icon};

/// What opens below `word`. `at_end` where it would not fit to the right.
pub fn menu(picture: Icon, word: &'static str, at_end: bool, entries: impl IntoAny) -> AnyView {
    erased(picture, word, at_end, entries.into_any())
}

fn erased(picture: Icon, word: &'static str, at_end: bool, entries: AnyView) -> AnyView {
    let class = if at_end {
        "menu-list at-end"
    } else {
        "menu-list"
    };
    view! {
        <details class="menu">
            <summary class="button">{icon(picture)} {word} {icon(Icon::Menu)}</summary>
            <div class=class>{entries}</div>
        </details>
    }
    .into_any()
}
