//! What `?` opens: the keys, and where to read more.

use leptos::html::Dialog;
use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::components::icon::{Icon, icon};
use crate::components::shortcuts::{shortcut_lists, shortcut_switch};
use crate::state::derived::effect;
use crate::state::navigation::href;

/// The dialog; open while `open` is true.
pub fn help_dialog(open: RwSignal<bool>) -> AnyView {
    let dialog = NodeRef::<Dialog>::new();
    effect(move || {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog node_ref=dialog aria-labelledby="help-title" on:close=move |_| open.set(false)>
            <div class="dialog-head">
                <h2 id="help-title">"Keyboard"</h2>
                <button type="button" class="quiet" aria-label="Close" on:click=move |_| open.set(false)>
                    {icon(Icon::Cross)}
                </button>
            </div>
            <div class="dialog-body">
                {shortcut_lists()} {shortcut_switch()}
                <p>
                    <a href=href(&Route::Help) on:click=move |_| open.set(false)>
                        "All help"
                    </a>
                    " · "
                    <a href=href(&Route::Glossary) on:click=move |_| open.set(false)>
                        "Words used here"
                    </a>
                </p>
            </div>
        </dialog>
    }
    .into_any()
}
