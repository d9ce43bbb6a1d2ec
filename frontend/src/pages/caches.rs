//! The caches of this server.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, IndexState, SignatureStatus, Visibility};
use snowbank_shared::route::{ConnectTarget, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::page_head::{heading, page_title};
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::navigation::href;
use crate::state::session::session;

/// Paths that a client which trusts the cache's keys would take.
pub fn signed(cache: &Cache) -> u64 {
    cache
        .signatures
        .iter()
        .filter(|count| {
            matches!(
                count.signature,
                SignatureStatus::Valid | SignatureStatus::NotNeeded | SignatureStatus::ValidRetired
            )
        })
        .map(|count| count.paths)
        .sum()
}

/// Who may read it, as a word.
pub const fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
        Visibility::Unlisted => "unlisted",
    }
}

/// The page.
pub fn page() -> AnyView {
    let session = session();
    page_title(|| "Caches".to_owned());
    let sentence = move || {
        let caches = session.caches.get()?;
        let paths: u64 = caches.items.iter().map(|cache| cache.paths).sum();
        let about = if caches.items.iter().any(is_partial) {
            "≈ "
        } else {
            ""
        };
        (!caches.items.is_empty()).then(|| {
            format!(
                "{} with {about}{} on this server.",
                format::counted(caches.items.len() as u64, "cache", "caches"),
                format::counted(paths, "path", "paths"),
            )
        })
    };
    let content = move || {
        let Some(caches) = session.caches.get() else {
            return session
                .caches
                .is_waiting()
                .then(|| skeleton(3, "Asking each cache how it is…"));
        };
        Some(if caches.items.is_empty() {
            no_cache()
        } else {
            table(&caches.items)
        })
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Caches")}
                    <div class="page-actions">
                        {api_button(api::caches_path)}
                        <a
                            class="button button-primary"
                            href=href(
                                &Route::Connect {
                                    caches: Vec::new(),
                                    target: ConnectTarget::default(),
                                },
                            )
                        >
                            {icon(Icon::Connect)}
                            "Connect a machine"
                        </a>
                    </div>
                </div>
                <p class="state-sentence">{changing(sentence)}</p>
            </div>
            {failure_of(session.caches)}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn is_partial(cache: &Cache) -> bool {
    matches!(cache.index.state, IndexState::New | IndexState::Indexing)
}

fn no_cache() -> AnyView {
    let example = "[caches.team]\nbucket = \"my-nix-cache\"\nendpoint = \"https://s3.example.com\"\nregion = \"us-east-1\"\n";
    view! {
        <section class="empty">
            <h2>"No cache yet"</h2>
            <p>
                "This server was started without a cache. Its operator adds one to the configuration file and restarts it:"
            </p>
            {crate::components::code::code_file("snowbank.toml", example, "snowbank.toml")}
            <p>
                "The bucket stays as it is: Snowbank reads what plain "<code>"nix copy"</code>
                " has put there."
            </p>
        </section>
    }
    .into_any()
}

fn index_state(cache: &Cache) -> AnyView {
    match cache.index.state {
        IndexState::New => chip((Tone::Unknown, Icon::Dash, "Not indexed yet", "")),
        IndexState::Indexing => {
            let percent = cache.index.progress.as_ref().and_then(|progress| {
                ((progress.fetched + progress.failed) * 100).checked_div(progress.found)
            });
            let word = percent.map_or_else(
                || "Indexing".to_owned(),
                |percent| format!("Indexing, {} %", percent.min(99)),
            );
            view! { <span class="chip chip-unknown">{icon(Icon::Again)} {word}</span> }.into_any()
        }
        IndexState::Failed => {
            let why = cache.index.error.clone().unwrap_or_default();
            view! {
                <span class="chip chip-bad" title=why.clone()>
                    {icon(Icon::Cross)}
                    "Sweep failed"
                </span>
                <span class="cell-note wrap">{why}</span>
            }
            .into_any()
        }
        IndexState::Ready | IndexState::Refreshing => match &cache.index.as_of {
            Some(time) => view! { <span class="muted">{ago(time)}</span> }.into_any(),
            None => view! { <span class="none">"not yet"</span> }.into_any(),
        },
    }
}

fn row(cache: &Cache) -> AnyView {
    let about = if is_partial(cache) { "≈ " } else { "" };
    let url = cache.url.clone();
    let findings = if cache.findings == 0 {
        view! { <span class="none">"none"</span> }.into_any()
    } else {
        view! {
            <a href=href(&Route::health(cache.slug.as_str())) class="chip chip-warn">
                {icon(Icon::Warning)}
                {format::count(cache.findings)}
            </a>
        }
        .into_any()
    };
    view! {
        <tr>
            <th scope="row" class="grow">
                <span class="cell-two">
                    <a href=href(&Route::of_cache(cache.slug.as_str()))>
                        <b>{cache.title.clone()}</b>
                    </a>
                    <small>
                        {visibility_word(cache.visibility)} " · " <span class="break">{cache.source.clone()}</span>
                    </small>
                </span>
            </th>
            <td data-label="Substituter" class="wide">
                <span class="copyable">
                    <code class="break">{url.clone()}</code>
                    {copy_button("Copy the substituter URL", false, move || url.clone())}
                </span>
            </td>
            <td class="number" data-label="Paths">{about} {format::count(cache.paths)}</td>
            <td class="number" data-label="Stored">{size_or(cache.stored_bytes, "not yet")}</td>
            <td class="number col-2" data-label="Unpacked">{size(cache.nar_bytes)}</td>
            <td class="number" data-label="Signed">{format::percent(signed(cache), cache.paths)}</td>
            <td data-label="Findings">{findings}</td>
            <td data-label="As of">{index_state(cache)}</td>
        </tr>
    }
    .into_any()
}

fn table(caches: &[Cache]) -> AnyView {
    view! {
        <div class="table-wrap">
            <table class="table is-roomy">
                <caption class="visually-hidden">"Caches of this server"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Cache"</th>
                        <th scope="col">"Substituter"</th>
                        <th scope="col" class="number">"Paths"</th>
                        <th scope="col" class="number" title="Compressed, as it lies in the bucket">"Stored"</th>
                        <th scope="col" class="number col-2" title="Sum of NAR sizes">"Unpacked"</th>
                        <th scope="col" class="number" title="Paths with a valid signature or none needed">"Signed"</th>
                        <th scope="col">"Findings"</th>
                        <th scope="col">"As of"</th>
                    </tr>
                </thead>
                <tbody>{caches.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}
