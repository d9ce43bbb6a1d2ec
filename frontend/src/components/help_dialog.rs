//! What `?` opens: the keys, and where to read more.

use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::components::dialog::dialog;
use crate::components::shortcuts::{shortcut_lists, shortcut_switch};
use crate::state::keyboard::opens;
use crate::state::navigation::href;

/// The dialog.
pub fn help_dialog() -> AnyView {
    let open = opens().help;
    dialog("Keyboard", open, move || {
        let links = [
            (Route::Help, "All help"),
            (Route::Glossary, "Words used here"),
            (Route::Preferences, "Preferences"),
        ]
        .map(|(route, word)| {
            view! {
                <a href=href(&route) on:click=move |_| open.set(false)>
                    {word}
                </a>
            }
        });
        view! {
            {shortcut_lists()}
            {shortcut_switch()}
            <p class="link-row">{links.collect_view()}</p>
        }
        .into_any()
    })
}
