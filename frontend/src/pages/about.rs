//! What this is: version, since when it runs, licence, privacy.

use leptos::prelude::*;
use snowbank_shared::api::About;
use snowbank_shared::route::Route;

use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::page_head::{heading, page_title};
use crate::state::navigation::{href, with_base};
use crate::state::remote::Remote;

/// The page.
pub fn page() -> AnyView {
    page_title(|| "About".to_owned());
    let about = Remote::<About>::new(|| Some("/about".to_owned()));
    let version = move || about.get().map(|about| about.version.clone());
    let started = move || about.get().map(|about| ago(&about.started_at));
    view! {
        <div class="page">
            <div class="page-head">
                {heading("About Snowbank")}
                <p class="state-sentence">
                    "The console for Nix binary caches that live in S3. " <a href=href(&Route::Help)>"Help"</a> " · "
                    <a href=href(&Route::Components)>"Parts of the pages"</a>
                </p>
            </div>
            {failure_of(about)}
            <dl class="facts about">
                <dt>"Version"</dt>
                <dd>{changing(version)}</dd>
                <dt>"Started"</dt>
                <dd>{changing(started)}</dd>
                <dt>"API"</dt>
                <dd>
                    <a href=with_base("/api/v1/openapi.json")>"openapi.json"</a>
                    <span class="muted">"everything that these pages show, and nothing they do not"</span>
                </dd>
                <dt>"Licence"</dt>
                <dd>"MIT or Apache-2.0, as you like. There is one edition, and it has everything."</dd>
                <dt>"Made of"</dt>
                <dd>"One program: a server in Rust, and these pages in Rust too, compiled to WebAssembly."</dd>
                <dt>"Privacy"</dt>
                <dd>
                    "These pages ask only this server: no fonts, scripts or counters from elsewhere. Preferences stay in this browser."
                </dd>
                <dt>"Name"</dt>
                <dd>"Nix is snow, its packages flakes; a snowbank is where they pile up, a bank is where signatures count."</dd>
            </dl>
        </div>
    }
    .into_any()
}
