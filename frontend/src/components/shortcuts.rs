//! The keys, in one table that the help page and the help dialog both show.

use leptos::prelude::*;

use crate::state::preferences::preferences;

/// A group of keys.
type Group = (
    &'static str,
    &'static [(&'static [&'static str], &'static str)],
);

const GROUPS: [Group; 3] = [
    (
        "Everywhere",
        &[
            (&["/"], "Search"),
            (&["Ctrl", "K"], "Search, also while typing"),
            (&["?"], "These keys"),
            (&["t"], "Theme: system, light, dark"),
            (&["Esc"], "Close what stands open"),
        ],
    ),
    (
        "Go to",
        &[
            (&["g", "c"], "Caches"),
            (&["g", "o"], "Overview of the cache"),
            (&["g", "p"], "Paths"),
            (&["g", "h"], "Health"),
            (&["g", "n"], "Connect"),
        ],
    ),
    (
        "In a list of paths",
        &[
            (&["j"], "Next row"),
            (&["k"], "Row before"),
            (&["Enter"], "Open the row"),
            (&["x"], "Select the row"),
            (&["X"], "Select from the row selected last to this one"),
            (&["s"], "Sort by the next column"),
            (&["f"], "Into the filters and back"),
            (&["e"], "Export"),
            (&["y"], "Copy the row's store path"),
            (&["Y"], "Copy a link to what is shown"),
        ],
    ),
];

/// All of them.
pub fn shortcut_lists() -> AnyView {
    let groups = GROUPS
        .iter()
        .map(|(title, keys)| {
            let rows = keys
                .iter()
                .map(|(keys, act)| {
                    let keys = keys
                        .iter()
                        .map(|key| view! { <kbd>{*key}</kbd> " " })
                        .collect_view();
                    view! {
                        <dt>{keys}</dt>
                        <dd>{*act}</dd>
                    }
                })
                .collect_view();
            view! {
                <div>
                    <h3>{*title}</h3>
                    <dl>{rows}</dl>
                </div>
            }
        })
        .collect_view();
    view! { <div class="shortcuts">{groups}</div> }.into_any()
}

/// The switch for single keys.
pub fn shortcut_switch() -> AnyView {
    let preferences = preferences();
    view! {
        <label class="choice">
            <input
                type="checkbox"
                prop:checked=move || preferences.shortcuts.get()
                on:change=move |_| preferences.shortcuts.update(|on| *on = !*on)
            />
            "Single keys are shortcuts"
        </label>
    }
    .into_any()
}
