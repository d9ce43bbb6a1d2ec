//! A message in the page: icon, title, what to know, what to do.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::icon::{Icon, icon};

/// Its class and its icon.
const fn dress(tone: Tone) -> (&'static str, Icon) {
    match tone {
        Tone::Ok => ("banner banner-ok", Icon::Tick),
        Tone::Note | Tone::Unknown => ("banner banner-info", Icon::Info),
        Tone::Warn => ("banner banner-warn", Icon::Warning),
        Tone::Bad => ("banner banner-bad", Icon::Warning),
    }
}

/// A message. `title` may be empty, and so may `actions` (`()`).
pub fn banner(
    tone: Tone,
    title: impl Into<String>,
    body: impl IntoAny,
    actions: impl IntoAny,
) -> AnyView {
    erased(
        tone,
        None,
        title.into(),
        body.into_any(),
        actions.into_any(),
    )
}

/// The same, read out as soon as it appears.
pub fn alert(
    tone: Tone,
    title: impl Into<String>,
    body: impl IntoAny,
    actions: impl IntoAny,
) -> AnyView {
    erased(
        tone,
        Some("alert"),
        title.into(),
        body.into_any(),
        actions.into_any(),
    )
}

fn erased(
    tone: Tone,
    role: Option<&'static str>,
    title: String,
    body: AnyView,
    actions: AnyView,
) -> AnyView {
    let (class, picture) = dress(tone);
    let title = (!title.is_empty()).then(|| view! { <p class="banner-title">{title}</p> });
    view! {
        <div class=class role=role>
            {icon(picture)} <div class="banner-body">{title} {body}</div> <div class="banner-actions">{actions}</div>
        </div>
    }
    .into_any()
}

/// What stands where a list would: which kind of nothing it is, why, and one thing to do.
pub fn empty(title: impl Into<String>, body: impl IntoAny) -> AnyView {
    erased_empty(title.into(), body.into_any())
}

fn erased_empty(title: String, body: AnyView) -> AnyView {
    view! {
        <section class="empty">
            <h2>{title}</h2>
            {body}
        </section>
    }
    .into_any()
}

/// What was done, at the place where it was done. Empty until then; screen readers hear it.
pub fn done_line(message: RwSignal<Option<String>>) -> AnyView {
    let drawn = move || {
        message
            .get()
            .map(|message| view! { {icon(Icon::Tick)} <span>{message}</span> })
    };
    view! {
        <p class="done-line" role="status">
            {changing(drawn)}
        </p>
    }
    .into_any()
}
