//! Dialogs: the browser's own, so that focus, Escape and what lies behind are
//! its affair. And the one way to ask before something is taken away.

use leptos::html::Dialog;
use leptos::prelude::*;

use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::field::{Field, text_field};
use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};
use crate::state::derived::effect;

/// A dialog, open while `open` is true. `body` is drawn when it opens.
pub fn dialog(
    title: &'static str,
    open: RwSignal<bool>,
    body: impl Fn() -> AnyView + Send + 'static,
) -> AnyView {
    erased(title, open, Box::new(body))
}

fn erased(
    title: &'static str,
    open: RwSignal<bool>,
    body: Box<dyn Fn() -> AnyView + Send>,
) -> AnyView {
    let id = fresh_id();
    let element = NodeRef::<Dialog>::new();
    effect(move || {
        let Some(dialog) = element.get() else { return };
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog node_ref=element aria-labelledby=id on:close=move |_| open.set(false)>
            <div class="dialog-head">
                <h2 id=id.clone()>{title}</h2>
                <button type="button" class="quiet" aria-label="Close" on:click=move |_| open.set(false)>
                    {icon(Icon::Cross)}
                </button>
            </div>
            <div class="dialog-body">{changing(move || open.get().then(&body))}</div>
        </dialog>
    }
    .into_any()
}

/// A question before something is taken away.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// What is about to happen: `Revoke alice-1`.
    pub title: &'static str,
    /// The verb on the button: `Revoke`.
    pub verb: &'static str,
    /// What has to be typed, where it cannot be undone.
    pub typed: Option<String>,
}

/// Asks. `preview` says what will change, in counts and bytes; `act` does it.
pub fn confirm(
    confirm: Confirm,
    open: RwSignal<bool>,
    preview: impl Fn() -> AnyView + Send + 'static,
    act: impl Fn() + Clone + Send + 'static,
) -> AnyView {
    let act = StoredValue::new_local(Box::new(act) as Box<dyn Fn()>);
    dialog(confirm.title, open, move || {
        question(&confirm, open, preview(), act)
    })
}

fn question(
    confirm: &Confirm,
    open: RwSignal<bool>,
    preview: AnyView,
    act: StoredValue<Box<dyn Fn()>, LocalStorage>,
) -> AnyView {
    let field = Field::new("Type it to go on", "It cannot be undone.");
    let typed = confirm.typed.clone();
    let asked = typed.clone().map(|typed| {
        view! {
            <p>"To go on, type " <code class="break">{typed}</code> "."</p>
            {text_field(field, "text", "off")}
        }
    });
    let ready = move || match &typed {
        Some(typed) if field.value.with(|value| value.trim() != typed) => {
            Readiness::Refused("What is typed is not the same yet.".to_owned())
        }
        _ => Readiness::Ready,
    };
    view! {
        {preview}
        {asked}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button_when(
                Weight::Danger,
                None,
                confirm.verb,
                ready,
                move || {
                    open.set(false);
                    act.with_value(|act| act());
                },
            )}
        </div>
    }
    .into_any()
}
