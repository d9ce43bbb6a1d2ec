//! Buttons: what acts, what leads somewhere, and what may not be done now.
//!
//! A button that may not be used is shown, not hidden: it stays in the order of
//! the Tab key, does nothing, and the reason stands beside it.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};

/// How much a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The one thing that this page is for.
    Primary,
    /// One of several.
    Plain,
    /// Beside something, without a border.
    Quiet,
    /// It takes something away.
    Danger,
}

impl Weight {
    /// Its class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Primary => "button button-primary",
            Self::Plain => "button",
            Self::Quiet => "quiet",
            Self::Danger => "button button-danger",
        }
    }
}

/// Whether an act can be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It is being done: `Saving…`.
    Busy(&'static str),
    /// It cannot, and why: who can, or what is missing.
    Refused(String),
}

/// A button that acts.
pub fn button(
    weight: Weight,
    picture: Option<Icon>,
    word: &'static str,
    act: impl Fn() + 'static,
) -> AnyView {
    erased(weight, picture, word, None, None, Box::new(act))
}

/// A button that can be busy or refused; `readiness` is tracked.
pub fn button_when(
    weight: Weight,
    picture: Option<Icon>,
    word: &'static str,
    readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    act: impl Fn() + 'static,
) -> AnyView {
    let readiness = Signal::derive(readiness);
    erased(weight, picture, word, None, Some(readiness), Box::new(act))
}

/// The same in a row: screen readers hear `spoken`, which names the row.
pub fn row_button(
    word: &'static str,
    spoken: String,
    readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    act: impl Fn() + 'static,
) -> AnyView {
    let readiness = Signal::derive(readiness);
    erased(
        Weight::Plain,
        None,
        word,
        Some(spoken),
        Some(readiness),
        Box::new(act),
    )
}

fn erased(
    weight: Weight,
    picture: Option<Icon>,
    word: &'static str,
    spoken: Option<String>,
    readiness: Option<Signal<Readiness>>,
    act: Box<dyn Fn()>,
) -> AnyView {
    let Some(readiness) = readiness else {
        return view! {
            <button type="button" class=weight.class() on:click=move |_| act()>
                {picture.map(icon)}
                {word}
            </button>
        }
        .into_any();
    };
    let id = fresh_id();
    let reason_id = id.clone();
    let refused = move || match readiness.get() {
        Readiness::Refused(why) => Some(why),
        _ => None,
    };
    let reason = move || {
        refused().map(|why| {
            view! { <small class="refusal" id=reason_id.clone()>{why}</small> }
        })
    };
    let shown = move || match readiness.get() {
        Readiness::Busy(words) => view! {
            <span class="spinner" aria-hidden="true"></span>
            {words}
        }
        .into_any(),
        _ => view! { {picture.map(icon)} {word} }.into_any(),
    };
    view! {
        <span class="with-reason">
            <button
                type="button"
                class=weight.class()
                aria-label=spoken
                aria-disabled=move || (readiness.get() != Readiness::Ready).to_string()
                aria-describedby=move || refused().map(|_| id.clone())
                on:click=move |_| {
                    if readiness.get_untracked() == Readiness::Ready {
                        act();
                    }
                }
            >
                {changing(shown)}
            </button>
            {changing(reason)}
        </span>
    }
    .into_any()
}

/// A link that looks like a button: it leads somewhere, and a middle click opens a tab.
pub fn link_button(
    weight: Weight,
    picture: Option<Icon>,
    word: &'static str,
    address: String,
) -> AnyView {
    view! {
        <a class=weight.class() href=address>
            {picture.map(icon)}
            {word}
        </a>
    }
    .into_any()
}
