//! Help: keys, how the dashboard looks and behaves in this browser, addresses for machines.

use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::components::page_head::{heading, page_title};
use crate::components::shortcuts::{shortcut_lists, shortcut_switch};
use crate::state::navigation::{href, with_base};
use crate::state::preferences::{Theme, preferences};

/// Addresses that need no browser: address, what is there.
const MACHINE: [(&str, &str); 7] = [
    (
        "/{cache}/nix-cache-info",
        "the substituter: what goes into nix.conf is /{cache}",
    ),
    ("/c/{cache}/keys.txt", "its public keys, one a line"),
    ("/c/{cache}/keys.json", "the same with purpose and state"),
    ("/c/{cache}/nix.conf", "the two lines"),
    ("/c/{cache}/module.nix", "a NixOS module"),
    ("/api/v1/caches", "everything these pages show, as JSON"),
    ("/api/v1/openapi.json", "the description of that API"),
];

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Help".to_owned());
    let preferences = preferences();
    let themes = Theme::ALL
        .map(|theme| {
            view! {
                <label class="choice">
                    <input
                        type="radio"
                        name="theme"
                        prop:checked=move || preferences.theme.get() == theme
                        on:change=move |_| preferences.theme.set(theme)
                    />
                    {match theme {
                        Theme::System => "As the system",
                        Theme::Light => "Light",
                        Theme::Dark => "Dark",
                    }}
                </label>
            }
        })
        .collect_view();
    let machine = MACHINE
        .map(|(address, what)| {
            let shown = with_base(address);
            let address = if address.contains('{') {
                view! { <code>{shown}</code> }.into_any()
            } else {
                view! { <a href=shown.clone() class="mono">{shown.clone()}</a> }.into_any()
            };
            view! {
                <dt>{address}</dt>
                <dd>{what}</dd>
            }
        })
        .collect_view();
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Help")}
                <p class="state-sentence">
                    "Snowbank shows what is in a Nix binary cache, how big it is, and who signed it. "
                    <a href=href(&Route::Glossary)>"Words used here"</a>
                </p>
            </div>
            <section class="section" aria-labelledby="search-title">
                <h2 id="search-title">"Search"</h2>
                <p>
                    "The field at the top takes a full store path, its last part, its 32-character hash, the address of a narinfo, and opens the path. Anything else is searched: words of the name, or how a hash begins."
                </p>
            </section>
            <section class="section" aria-labelledby="keys-title">
                <h2 id="keys-title">"Keyboard"</h2>
                {shortcut_lists()}
            </section>
            <section class="section" aria-labelledby="preferences-title">
                <h2 id="preferences-title">"In this browser"</h2>
                {shortcut_switch()}
                <label class="choice">
                    <input
                        type="checkbox"
                        prop:checked=move || preferences.compact.get()
                        on:change=move |_| preferences.compact.update(|on| *on = !*on)
                    />
                    "Compact rows"
                </label>
                <fieldset class="choices-row">
                    <legend>"Theme"</legend>
                    {themes}
                </fieldset>
            </section>
            <section class="section" aria-labelledby="machine-title">
                <h2 id="machine-title">"Addresses for programs"</h2>
                <dl class="facts machine">{machine}</dl>
            </section>
        </div>
    }
    .into_any()
}
