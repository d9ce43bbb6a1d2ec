//! Help: what the search takes, the keys, addresses for programs, and where to read more.

use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::components::page_head::{heading, page_title};
use crate::components::shortcuts::{shortcut_lists, shortcut_switch};
use crate::state::navigation::{href, with_base};

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
                    "The field at the top takes a full store path, its last part, its 32-character hash or the address of a narinfo, and opens the path. It takes the address or the hash of a NAR and finds its paths, and several paths at once. The name of a key leads to what it signed, the name of a page or of an act to that. Anything else is searched: words of the name, or how a hash begins, four characters at least."
                </p>
            </section>
            <section class="section" aria-labelledby="keys-title">
                <h2 id="keys-title">"Keyboard"</h2>
                {shortcut_lists()}
{shortcut_switch()}
                <p>
                    <a href=href(&Route::Preferences)>"Theme, rows, times and more"</a>
                </p>
            </section>
            <section class="section" aria-labelledby="states-title">
                <h2 id="states-title">"How to read these pages"</h2>
                <p>
                    "Every number says as of when. A number with ≈ is a lower bound, while the bucket is still being read. Signature and content are two things: a signature does not cover the bytes behind it. A size or a hash has its exact form on hover, and a click on the icon beside it copies it."
                </p>
                <p>
                    "Every address can be shared: it holds the search, the filters, the order and the tab. “API” on a page gives the same as JSON."
                </p>
            </section>
            <section class="section" aria-labelledby="machine-title">
                <h2 id="machine-title">"Addresses for programs"</h2>
                <dl class="facts machine">{machine}</dl>
            </section>
        </div>
    }
    .into_any()
}
