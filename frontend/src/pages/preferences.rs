//! How this browser shows things. Every choice acts at once and is kept here,
//! in the browser: the server does not know.

use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::components::ago::{ago, now};
use crate::components::banner::banner;
use crate::components::button::{Weight, button};
use crate::components::chip::Tone;
use crate::components::choice::{check, segments};
use crate::components::icon::Icon;
use crate::components::layout::section;
use crate::components::page_head::{heading, page_title};
use crate::components::shortcuts::shortcut_switch;
use crate::state::navigation::href;
use crate::state::preferences::{Theme, can_be_kept, preferences};

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Preferences".to_owned());
    let preferences = preferences();
    let forgotten = (!can_be_kept()).then(|| {
        banner(
            Tone::Warn,
            "These choices last until the page is closed",
            view! { <p>"This browser lets the page store nothing. Allow it for this site, and they are kept."</p> },
            (),
        )
    });
    let theme = segments(
        "Theme",
        &Theme::WORDS,
        move || {
            let now = preferences.theme.get();
            Theme::ALL
                .iter()
                .position(|theme| *theme == now)
                .unwrap_or_default()
        },
        move |at| {
            preferences
                .theme
                .set(Theme::ALL.get(at).copied().unwrap_or(Theme::System));
        },
    );
    let rows = segments(
        "Rows of tables",
        &["Roomy", "Compact"],
        move || usize::from(preferences.compact.get()),
        move |at| preferences.compact.set(at == 1),
    );
    let times = segments(
        "Times",
        &["How long ago", "The moment"],
        move || usize::from(preferences.moments.get()),
        move |at| preferences.moments.set(at == 1),
    );
    let example = js_sys::Date::new(&(((now() - 7500) as f64) * 1000.0).into())
        .to_iso_string()
        .as_string()
        .unwrap_or_default();
    let example = format!("{}Z", example.get(..19).unwrap_or_default());
    let look = view! {
        <div class="form">
            {theme} {rows} {times}
            <p class="muted">"As here: added " {ago(&example)} ". The other form is always on hover."</p>
            {check("Fold the rail to icons", "It also folds by itself where the window is narrow.", preferences.folded)}
        </div>
    };
    let keys = view! {
        <div class="form">
            {shortcut_switch()}
            <p>
                <a href=href(&Route::Help)>"All keys"</a>
            </p>
        </div>
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Preferences")}
                    <div class="page-actions">
                        {button(Weight::Plain, Some(Icon::Again), "As it was", move || preferences.reset())}
                    </div>
                </div>
                <p class="state-sentence">"How this browser shows things. They act at once and stay in this browser."</p>
            </div>
            {forgotten}
            {section("Look", (), look)}
            {section("Keyboard", (), keys)}
        </div>
    }
    .into_any()
}
