//! Who asks: tokens by their label, the others in groups.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::usage::{UsageClient, UsageList};

use super::Usage;
use super::figures::{not_measured, usage_path};
use super::steps::permille;
use crate::components::ago::ago;
use crate::components::banner::empty;
use crate::components::button::Readiness;
use crate::components::changing::changing;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::layout::{Column, section, table};
use crate::components::plot::Unit;
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::identity::identity;
use crate::state::remote::Remote;

const COLUMNS: [Column; 7] = [
    ("Client", "grow", "The label of its token, or its group"),
    ("Nix", "", "The newest version that it said"),
    ("Last seen", "", ""),
    ("Found", "number", "Narinfos that were here"),
    ("Missing", "number", "Narinfos that were not"),
    ("Hit ratio", "number col-2", "Found ÷ (found + missing)"),
    ("Sent", "number", "Bytes of NARs"),
];

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let identity = identity();
    let refused = move || {
        let cache = usage.cache.get_value();
        if identity.may(Some(&cache), Act::Maintain) {
            return None;
        }
        match identity.readiness(Some(&cache), Act::ReadAudit) {
            Readiness::Refused(why) => Some(why),
            _ => None,
        }
    };
    let path = move || usage_path(usage, "/clients");
    // Nothing is asked for that would be refused.
    let list = Remote::<UsageList<UsageClient>>::new(move || refused().is_none().then(path));
    let body = move || {
        if let Some(why) = refused() {
            return Some(not_theirs(&why));
        }
        match list.get() {
            None => list
                .error()
                .is_none()
                .then(|| skeleton(6, "Asking who fetches…")),
            Some(list) => Some(content(usage, &list)),
        }
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
            {failure_of(list)} {section("Clients", export_menu(exported), changing(body))}
        </div>
    }
    .into_any()
}

fn not_theirs(why: &str) -> AnyView {
    let why = format::sentence(why);
    empty(
        "Who fetches is not shown to everybody",
        view! {
            <p>{why}</p>
            <p>"How much is fetched, and how much of it is found, stands under Traffic."</p>
        },
    )
}

fn content(usage: Usage, list: &UsageList<UsageClient>) -> AnyView {
    if let Some(why) = &list.not_measured {
        return not_measured(usage, why, &[]);
    }
    if list.items.is_empty() {
        return empty(
            "Nobody asked",
            view! { <p>"No client asked for a narinfo or a NAR in this time."</p> },
        );
    }
    let rows = list.items.iter().map(row).collect_view();
    let shown = format!(
        "{} of {}",
        format::count(list.items.len() as u64),
        format::counted(list.total, "client", "clients")
    );
    view! {
        <p class="usage-note">
            "A client with a token has the token's label. Those without are counted in groups, so that no address is kept."
        </p>
        {table("Clients", "table", &COLUMNS, rows)}
        <div class="table-foot">
            <span>{shown}</span>
        </div>
    }
    .into_any()
}

fn row(client: &UsageClient) -> AnyView {
    let ratio = permille(client.hits, client.hits + client.misses);
    let ratio = ratio.map_or_else(|| "—".to_owned(), |share| Unit::Permille.words(share));
    let version = client
        .nix_version
        .as_deref()
        .map_or_else(|| "not said".to_owned(), format::visible);
    view! {
        <tr>
            <th scope="row" class="grow">{format::visible(&client.name)}</th>
            <td data-label="Nix">{version}</td>
            <td class="muted" data-label="Last seen">{ago(&client.last_seen)}</td>
            <td class="number" data-label="Found">{format::count(client.hits)}</td>
            <td class="number" data-label="Missing">{format::count(client.misses)}</td>
            <td class="number col-2" data-label="Hit ratio">{ratio}</td>
            <td class="number" data-label="Sent">{size(client.bytes)}</td>
        </tr>
    }
    .into_any()
}
