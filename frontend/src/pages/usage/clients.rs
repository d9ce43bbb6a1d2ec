//! Who asks: tokens by their label, the others in groups.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::storage::Prices;
use snowbank_shared::api::usage::UsageClient;

use super::Usage;
use super::egress::{cost, prices};
use super::lists::{Words, list};
use super::steps::permille;
use crate::components::ago::ago;
use crate::components::banner::empty;
use crate::components::button::Readiness;
use crate::components::layout::Column;
use crate::components::plot::Unit;
use crate::components::size::size;
use crate::format;
use crate::state::identity::identity;

const COLUMNS: [Column; 8] = [
    ("Client", "grow", "The label of its token, or its group"),
    ("Nix", "", "The newest version that it said"),
    ("Last seen", "", ""),
    ("Found", "number", "Narinfos that were here"),
    ("Missing", "number", "Narinfos that were not"),
    ("Hit ratio", "number col-2", "Found ÷ (found + missing)"),
    ("Sent", "number", "Bytes of NARs"),
    ("Cost", "number", "At the owner's price of a GB sent"),
];

const WORDS: Words = Words {
    title: "Clients",
    waiting: "Asking who fetches…",
    none: (
        "Nobody asked",
        "No client asked for a narinfo or a NAR in this time.",
    ),
    note: "A client with a token has the token's label. Those without are counted in groups, so that no address is kept.",
    counted: ("client", "clients"),
    order: "",
    class: "table",
    columns: &COLUMNS,
};

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
    let prices = prices(usage);
    let instead = move || refused().map(|why| not_theirs(&why));
    let row = move |client: &UsageClient| row(client, prices.get().as_deref());
    list(usage, "/clients", &WORDS, instead, row)
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

fn row(client: &UsageClient, prices: Option<&Prices>) -> AnyView {
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
            <td class="number" data-label="Cost">{cost(prices, client.bytes)}</td>
        </tr>
    }
    .into_any()
}
