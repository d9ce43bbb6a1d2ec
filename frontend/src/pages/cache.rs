//! One cache at a glance: how it is, how to use it, whose keys it has, what came last.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, IndexState, Page, PathRow, SignatureStatus};
use snowbank_shared::route::{PathsQuery, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Weight, link_button};
use crate::components::changing::changing;
use crate::components::chip::signature_chip;
use crate::components::code::code_line;
use crate::components::failure::{failure_now, failure_of};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{Column, card, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache_cards::{figures_card, findings_card, keys_card, signatures_card};
use crate::pages::cache_growth::growth_section;
use crate::pages::caches::signed;
use crate::state::derived::memo;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{href, with_base};
use crate::state::remote::Remote;

/// Paths in the list of the latest.
const LATEST: usize = 8;

/// The state of a cache in one sentence.
fn sentence(cache: &Cache) -> String {
    if cache.index.state == IndexState::New {
        return "The bucket has not been read yet.".to_owned();
    }
    if cache.paths == 0 {
        return match cache.index.state {
            IndexState::Indexing => "The bucket is being read for the first time.".to_owned(),
            IndexState::Failed => "The bucket could not be read.".to_owned(),
            _ => "The bucket has no store path yet.".to_owned(),
        };
    }
    let keys: Vec<&str> = cache.keys.iter().map(|key| key.name.as_str()).collect();
    let signed = format::percent(signed(cache), cache.paths);
    let about = if cache.index.state == IndexState::Indexing {
        "So far, "
    } else {
        ""
    };
    let paths = format::counted(cache.paths, "path", "paths");
    let valid = if cache
        .signatures
        .iter()
        .any(|count| count.signature == SignatureStatus::NotNeeded && count.paths > 0)
    {
        "have a valid signature or need none"
    } else {
        "have a valid signature"
    };
    let vouched = match keys.as_slice() {
        [] => format!("{about}{signed} of {paths} {valid}; the cache has no key of its own."),
        [only] => format!("{about}{signed} of {paths} {valid}. Machines trust one key: {only}."),
        many => format!(
            "{about}{signed} of {paths} {valid}. Its keys: {}.",
            many.join(", ")
        ),
    };
    match cache.findings {
        0 => vouched,
        1 => format!("{vouched} One finding needs a look."),
        findings => format!(
            "{vouched} {} findings need a look.",
            format::count(findings)
        ),
    }
}

/// The page.
pub fn page(slug: &str) -> AnyView {
    let live = live_cache();
    let slug = slug.to_owned();
    let name = {
        let slug = slug.clone();
        memo(move || {
            live.cache
                .get()
                .map_or_else(|| slug.clone(), |cache| cache.title.clone())
        })
    };
    page_title(move || name.get());
    let api_path = api::cache_path(&slug);
    // What the page is made of; its figures change without it being drawn anew.
    let kind = memo(move || {
        let cache = live.cache.get()?;
        Some(cache.paths == 0 && cache.index.state == IndexState::Ready)
    });
    let body = move || match kind.get() {
        Some(empty) => overview(&slug, live, empty),
        None if live.cache.is_waiting() => skeleton(8, "Reading the cache…"),
        None => ().into_any(),
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(move || name.get())} <div class="page-actions">{api_button(move || api_path.clone())}</div>
                </div>
                <p class="state-sentence">{changing(move || live.cache.get().map(|cache| sentence(&cache)))}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {changing(body)}
        </div>
    }
    .into_any()
}

/// The failure of the cache's own resource; a cache that does not exist has its own words.
pub fn absent_or_failed(live: LiveCache) -> AnyView {
    changing(move || {
        let error = live.cache.error()?;
        if !error.is_not_found() {
            return failure_now(live.cache);
        }
        Some(empty(
            format!("There is no cache “{}” here", live.slug()),
            view! {
                <p>"It may have another name, or be one that you may not see."</p>
                <a href=href(&Route::Caches)>"All caches"</a>
            },
        ))
    })
}

fn overview(slug: &str, live: LiveCache, empty: bool) -> AnyView {
    let part =
        move |draw: fn(&Cache) -> AnyView| move || live.cache.get().map(|cache| draw(&cache));
    if empty {
        return view! {
            <div class="overview">
                <div class="overview-main">{part(empty_bucket)} {use_box(live)}</div>
                <div class="overview-side">{part(keys_card)}</div>
            </div>
        }
        .into_any();
    }
    view! {
        <div class="overview">
            <div class="overview-main">{use_box(live)} {latest(slug, live)} {growth_section(slug, live)}</div>
            <div class="overview-side">
                {part(figures_card)} {part(signatures_card)} {findings_card(live)} {part(keys_card)}
            </div>
        </div>
    }
    .into_any()
}

fn empty_bucket(cache: &Cache) -> AnyView {
    let target = copy_target(cache);
    let ci = format!(
        "- run: nix build\n- run: nix copy --to '{target}' ./result\n  env:\n    AWS_ACCESS_KEY_ID: ${{{{ secrets.AWS_ACCESS_KEY_ID }}}}\n    AWS_SECRET_ACCESS_KEY: ${{{{ secrets.AWS_SECRET_ACCESS_KEY }}}}\n"
    );
    empty(
        "The bucket is empty",
        view! {
            <p>"Copy a first path into it from a machine that may write to the bucket:"</p>
            {code_line("Command", format!("nix copy --to '{target}' nixpkgs#hello"))}
            <p>"Or after each build in CI:"</p>
            {code_line("Steps of a GitHub workflow", ci)}
            <p>"What is copied appears here with the next sweep, " {format::duration(cache.index.sweep_seconds)} " at most."</p>
        },
    )
}

/// Where `nix copy` writes: the bucket itself where it is one, else this server.
fn copy_target(cache: &Cache) -> &str {
    if cache.source.starts_with("s3://") {
        &cache.source
    } else {
        &cache.url
    }
}

fn use_box(live: LiveCache) -> AnyView {
    let slug = live.slug();
    let lines = memo(move || live.cache.get().map(|cache| cache.nix_conf()));
    let connect = href(&Route::connect(slug.as_str()));
    let machine = [
        ("keys.txt", "keys.txt"),
        ("nix.conf", "nix.conf"),
        ("module.nix", "module.nix"),
    ]
    .map(|(name, word)| view! { <a href=with_base(&format!("/c/{slug}/{name}"))>{word}</a> " " })
    .collect_view();
    let other = link_button(
        Weight::Plain,
        Some(Icon::Connect),
        "NixOS and other ways",
        connect,
    );
    card(
        "Use this cache",
        other,
        view! {
            <p class="muted">"In " <code>"/etc/nix/nix.conf"</code> ", then restart the Nix daemon:"</p>
            {changing(move || lines.get().map(|lines| code_line("Lines for nix.conf", lines)))}
            <p class="machine-links muted">"For scripts: " {machine}</p>
        },
    )
}

/// The columns of the latest paths.
const COLUMNS: [Column; 4] = [
    ("Path", "", ""),
    ("NAR size", "number", ""),
    ("Signature", "", ""),
    ("Added", "", ""),
];

fn latest(slug: &str, live: LiveCache) -> AnyView {
    let newest = PathsQuery::default();
    let rows = {
        let slug = slug.to_owned();
        Remote::<Page<PathRow>>::new(move || {
            live.renewals.track();
            Some(api::paths_path(&slug, &newest, LATEST))
        })
    };
    let cache = slug.to_owned();
    let body = move || match rows.get() {
        None if rows.error().is_none() => skeleton(LATEST, "Reading the latest paths…"),
        None => ().into_any(),
        Some(page) => {
            let drawn = page
                .items
                .iter()
                .map(|row| {
                    view! {
                        <tr>
                            <th scope="row" class="grow">{path_link(&cache, &row.hash, &row.name)}</th>
                            <td class="number" data-label="NAR size">{size(row.nar_size)}</td>
                            <td data-label="Signature">{signature_chip(row.signature, row.signature_problem)}</td>
                            <td data-label="Added" class="muted">{ago(&row.added_at)}</td>
                        </tr>
                    }
                })
                .collect_view();
            table("Paths added last", "table", &COLUMNS, drawn)
        }
    };
    section(
        "Added last",
        view! { <a href=href(&Route::paths(slug))>"All paths"</a> },
        view! {
            {failure_of(rows)}
            {changing(body)}
        },
    )
}
