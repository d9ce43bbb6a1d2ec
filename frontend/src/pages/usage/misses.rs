//! What was asked for in vain and is on no upstream either: worth building once for all.

use leptos::prelude::*;
use snowbank_shared::api::usage::{UsageList, UsageMiss};

use super::Usage;
use super::figures::{not_measured, usage_path};
use crate::components::ago::ago;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::layout::{Column, section, table};
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::state::remote::Remote;

const COLUMNS: [Column; 6] = [
    ("Path", "grow", ""),
    ("Clients", "number", "How many different ones asked"),
    ("Requests", "number", ""),
    ("First asked", "col-2", ""),
    ("Last asked", "", ""),
    ("Uploaded later", "", "And how long after the first request"),
];

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let path = move || usage_path(usage, "/misses");
    let list = Remote::<UsageList<UsageMiss>>::new(move || Some(path()));
    let body = move || match list.get() {
        None => list
            .error()
            .is_none()
            .then(|| skeleton(6, "Asking what was missed…")),
        Some(list) => Some(content(usage, &list)),
    };
    let exported = move || {
        let list = list.get()?;
        (!list.items.is_empty()).then(|| Exported {
            path: path(),
            columns: String::new(),
            rows: list.items.len() as u64,
        })
    };
    view! {
        <div class="usage-part" class:is-waiting=move || list.is_waiting() && list.is_there()>
            {failure_of(list)} {section("Misses worth caching", export_menu(exported), changing(body))}
        </div>
    }
    .into_any()
}

fn content(usage: Usage, list: &UsageList<UsageMiss>) -> AnyView {
    if let Some(why) = &list.not_measured {
        return not_measured(usage, why, &[]);
    }
    if list.items.is_empty() {
        return empty(
            "Nothing was missed",
            view! {
                <p>
                    "Every narinfo that was asked for in this time is here or on an upstream of the cache."
                </p>
            },
        );
    }
    let cache = usage.cache.get_value();
    let rows = list
        .items
        .iter()
        .map(|miss| row(&cache, miss))
        .collect_view();
    let shown = format!(
        "{} of {}, by the number of clients",
        format::count(list.items.len() as u64),
        format::counted(list.total, "path", "paths")
    );
    view! {
        <p class="usage-note">
            "Narinfos that were answered with 404 and that no upstream of this cache has. A request names only the hash: a name is shown where a path here refers to it, or where it was uploaded later."
        </p>
        {table("Misses worth caching", "table is-roomy", &COLUMNS, rows)}
        <div class="table-foot">
            <span>{shown}</span>
        </div>
    }
    .into_any()
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
