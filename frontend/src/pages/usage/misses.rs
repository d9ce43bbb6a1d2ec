//! What was asked for in vain and is on no upstream either: worth building once for all.

use leptos::prelude::*;
use snowbank_shared::api::usage::UsageMiss;

use super::Usage;
use super::lists::{Words, list};
use crate::components::ago::ago;
use crate::components::layout::Column;
use crate::components::store_path::{path_link, path_text};
use crate::format;

const COLUMNS: [Column; 6] = [
    ("Path", "grow", ""),
    ("Clients", "number", "How many different ones asked"),
    ("Requests", "number", ""),
    ("First asked", "col-2", ""),
    ("Last asked", "", ""),
    ("Uploaded later", "", "And how long after the first request"),
];

const WORDS: Words = Words {
    title: "Misses worth caching",
    waiting: "Asking what was missed…",
    none: (
        "Nothing was missed",
        "Every narinfo that was asked for in this time is here or on an upstream of the cache.",
    ),
    note: "Narinfos that were answered with 404 and that no upstream of this cache has. A request names only the hash: a name is shown where a path here refers to it, or where it was uploaded later.",
    counted: ("path", "paths"),
    order: ", by the number of clients",
    class: "table is-roomy",
    columns: &COLUMNS,
};

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let row = move |miss: &UsageMiss| usage.cache.with_value(|cache| row(cache, miss));
    list(usage, "/misses", &WORDS, || None, row)
}

fn row(cache: &str, miss: &UsageMiss) -> AnyView {
    let name = match (&miss.name, &miss.uploaded_at) {
        (Some(name), Some(_)) => path_link(cache, &miss.hash, name),
        (Some(name), None) => path_text(&format!("{}-{name}", miss.hash)),
        (None, _) => view! {
            <span class="mono">{miss.hash.clone()}</span>
            " "
            <span class="muted">"name unknown"</span>
        }
        .into_any(),
    };
    let later = match &miss.uploaded_at {
        None => view! { <span class="muted">"no"</span> }.into_any(),
        Some(at) => {
            let wait = format::unix_seconds(at)
                .zip(format::unix_seconds(&miss.first))
                .and_then(|(at, first)| u64::try_from(at - first).ok())
                .map(|wait| format!(", after {}", format::duration(wait)));
            view! { <span>{ago(at)} <span class="muted">{wait}</span></span> }.into_any()
        }
    };
    view! {
        <tr>
            <th scope="row" class="grow wrap">{name}</th>
            <td class="number" data-label="Clients">{format::count(miss.clients)}</td>
            <td class="number" data-label="Requests">{format::count(miss.requests)}</td>
            <td class="col-2 muted" data-label="First asked">{ago(&miss.first)}</td>
            <td class="muted" data-label="Last asked">{ago(&miss.last)}</td>
            <td data-label="Uploaded later">{later}</td>
        </tr>
    }
    .into_any()
}
