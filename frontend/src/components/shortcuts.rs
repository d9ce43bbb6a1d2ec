//! The keys, in one list that the help page and the help dialog both show. The
//! letters after `g` come from the [`places`](crate::places).

use leptos::prelude::*;

use crate::components::choice::check;
use crate::places::places;
use crate::state::preferences::preferences;
use crate::state::session::session;

/// Keys with a space between those that are pressed one after the other or
/// together, and what they do.
type Keys = (&'static str, &'static str);

const EVERYWHERE: [Keys; 5] = [
    ("/", "Search"),
    ("Ctrl K", "Search and all places, also while typing"),
    ("?", "These keys"),
    ("t", "Theme: system, light, dark"),
    ("Esc", "Close what stands open"),
];

const IN_LISTS: [Keys; 12] = [
    ("j", "Next row"),
    ("k", "Row before"),
    ("Enter", "Open the row"),
    ("x", "Select the row"),
    ("X", "Select from the row selected last to this one"),
    ("s", "Sort by the next column"),
    ("f", "Into the filters and back"),
    ("e", "Export"),
    ("y", "Copy the row's store path"),
    ("Y", "Copy a link to what is shown"),
    ("p", "Pin the row's path"),
    ("w", "Why the row's path is needed"),
];

fn group(title: &'static str, keys: Vec<(String, &'static str)>) -> AnyView {
    let rows = keys
        .into_iter()
        .map(|(keys, act)| {
            let keys: Vec<AnyView> = keys
                .split(' ')
                .map(|key| view! { <kbd>{key.to_owned()}</kbd> " " }.into_any())
                .collect();
            view! {
                <dt>{keys}</dt>
                <dd>{act}</dd>
            }
            .into_any()
        })
        .collect_view();
    view! {
        <div>
            <h3>{title}</h3>
            <dl>{rows}</dl>
        </div>
    }
    .into_any()
}

/// All of them.
pub fn shortcut_lists() -> AnyView {
    let owned = |keys: &[Keys]| {
        keys.iter()
            .map(|&(keys, act)| (keys.to_owned(), act))
            .collect()
    };
    let cache = untrack(|| session().cache());
    let go = places(Some(cache.as_deref().unwrap_or_default()))
        .into_iter()
        .filter(|place| place.letter != ' ')
        .map(|place| (format!("g {}", place.letter), place.word))
        .collect();
    view! {
        <div class="shortcuts">
            {group("Everywhere", owned(&EVERYWHERE))} {group("Go to", go)} {group("In a list of paths", owned(&IN_LISTS))}
        </div>
    }
    .into_any()
}

/// The switch for single keys.
pub fn shortcut_switch() -> AnyView {
    check(
        "Single keys are shortcuts",
        "Off, only Ctrl-K, Escape and the keys of the browser act.",
        preferences().shortcuts,
    )
}
