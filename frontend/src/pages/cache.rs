//! One cache at a glance: how it is, how to use it, whose keys it has, what came last.

use leptos::prelude::*;
use snowbank_shared::api::{
    Cache, CheckCount, Health, IndexState, Key, Page, PathRow, SignatureStatus,
};
use snowbank_shared::route::{PathsQuery, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::changing::changing;
use crate::components::chip::{severity_chip, signature_chip};
use crate::components::code::code_line;
use crate::components::copy::copy_button;
use crate::components::failure::{failure_now, failure_of};
use crate::components::icon::{Icon, icon};
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::signature_bar::signature_bar;
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::components::term::term;
use crate::format;
use crate::pages::caches::{signed, visibility_word};
use crate::pages::connect::nix_conf_lines;
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
        Some(
            view! {
                <section class="empty">
                    <h2>{format!("There is no cache “{}” here", live.slug())}</h2>
                    <p>"It may have another name, or be one that you may not see."</p>
                    <a href=href(&Route::Caches)>"All caches"</a>
                </section>
            }
            .into_any(),
        )
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
            <div class="overview-main">{use_box(live)} {latest(slug, live)}</div>
            <div class="overview-side">
                {part(figures)} {part(signatures_card)} {findings_card(live)} {part(keys_card)}
            </div>
        </div>
    }
    .into_any()
}

fn empty_bucket(cache: &Cache) -> AnyView {
    view! {
        <section class="empty">
            <h2>"The bucket is empty"</h2>
            <p>"Copy a first path into it from a machine that may write to the bucket:"</p>
            {code_line("Command", format!("nix copy --to '{}' nixpkgs#hello", copy_target(cache)))}
            <p>"It appears here with the next sweep, "{format::duration(cache.index.sweep_seconds)} " at most."</p>
        </section>
    }
    .into_any()
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
    let lines = memo(move || {
        live.cache
            .get()
            .map(|cache| nix_conf_lines(std::slice::from_ref(&cache)))
    });
    let connect = href(&Route::connect(slug.as_str()));
    let machine = [
        ("keys.txt", "keys.txt"),
        ("nix.conf", "nix.conf"),
        ("module.nix", "module.nix"),
    ]
    .map(|(name, word)| view! { <a href=with_base(&format!("/c/{slug}/{name}"))>{word}</a> " " })
    .collect_view();
    view! {
        <section class="card" aria-labelledby="use-title">
            <div class="card-head">
                <h2 id="use-title">"Use this cache"</h2>
                <a class="button" href=connect>
                    {icon(Icon::Connect)}
                    "NixOS and other ways"
                </a>
            </div>
            <div class="card-body">
                <p class="muted">"In " <code>"/etc/nix/nix.conf"</code> ", then restart the Nix daemon:"</p>
                {changing(move || lines.get().map(|lines| code_line("Lines for nix.conf", lines)))}
                <p class="machine-links muted">"For scripts: " {machine}</p>
            </div>
        </section>
    }
    .into_any()
}

fn figures(cache: &Cache) -> AnyView {
    let about = if cache.index.state == IndexState::Indexing {
        "≈ "
    } else {
        ""
    };
    let ratio = cache
        .stored_bytes
        .and_then(|stored| format::ratio(cache.nar_bytes, stored));
    view! {
        <section class="card" aria-labelledby="figures-title">
            <div class="card-head">
                <h2 id="figures-title">"Figures"</h2>
            </div>
            <dl class="card-body facts">
                <dt>"Paths"</dt>
                <dd class="tabular">{about} {format::count(cache.paths)}</dd>
                <dt>
                    {term(
                        "term-stored",
                        "Stored",
                        "Bytes of the NARs as they lie in the bucket, compressed, each file counted once.",
                    )}
                </dt>
                <dd class="tabular">
                    {size_or(cache.stored_bytes, "not yet: the whole bucket has not been listed")}
                </dd>
                <dt>{term("term-unpacked", "Unpacked", "Sum of the NAR sizes of all paths.")}</dt>
                <dd class="tabular">
                    {about} {size(cache.nar_bytes)} {ratio.map(|ratio| view! { <span class="muted">{ratio}</span> })}
                </dd>
                <dt>
                    {term(
                        "term-objects",
                        "Objects",
                        "Everything that lies in the bucket under this cache's prefix, NARs and all else, and the bytes of it.",
                    )}
                </dt>
                <dd class="tabular" id="objects">{objects(cache)}</dd>
                <dt>{term("term-priority", "Priority", "Clients ask the cache with the smaller number first. cache.nixos.org has 40.")}</dt>
                <dd class="tabular">{cache.priority}</dd>
                <dt>"Store"</dt>
                <dd class="mono">{cache.store_dir.clone()}</dd>
                <dt>"Bucket"</dt>
                <dd class="mono">{cache.source.clone()}</dd>
                <dt>"Visibility"</dt>
                <dd>{visibility_word(cache.visibility)}</dd>
            </dl>
        </section>
    }
    .into_any()
}

/// Everything in the bucket, to the last byte.
fn objects(cache: &Cache) -> AnyView {
    let (Some(count), Some(bytes)) = (cache.objects, cache.object_bytes) else {
        return view! { <span class="muted">"not yet: the whole bucket has not been listed"</span> }
            .into_any();
    };
    view! {
        <span>{format::count(count)}</span>
        {size(bytes)}
        <span class="muted">{format::exact_bytes(bytes)}</span>
    }
    .into_any()
}

fn signatures_card(cache: &Cache) -> AnyView {
    view! {
        <section class="card" aria-labelledby="signatures-title">
            <div class="card-head">
                <h2 id="signatures-title">"Signatures"</h2>
            </div>
            <div class="card-body">{signature_bar(&cache.slug, &cache.signatures)}</div>
        </section>
    }
    .into_any()
}

fn findings_card(live: LiveCache) -> AnyView {
    let slug = live.slug();
    let link = href(&Route::health(slug.as_str()));
    let count = memo(move || live.cache.get().map_or(0, |cache| cache.findings));
    let known = memo(move || {
        live.index
            .with(|index| index.as_ref().is_some_and(|index| index.as_of.is_some()))
    });
    let health = Remote::<Health>::new(move || {
        (count.get() > 0).then(|| api::health_path(&slug, None, None))
    });
    let check_row = move |check: &CheckCount| {
        let route = Route::Health {
            cache: live.slug(),
            check: Some(check.check.clone()),
        };
        view! {
            <li>
                <a class="mono" href=href(&route)>{check.check.clone()}</a>
                {severity_chip(check.severity)}
                <span class="number">{format::count(check.count)}</span>
            </li>
        }
    };
    let body = move || {
        if count.get() > 0 {
            return health.get().map(|health| {
                health
                    .checks
                    .iter()
                    .map(check_row)
                    .collect_view()
                    .into_any()
            });
        }
        let words = if known.get() {
            "No problem found in the narinfos of this bucket."
        } else {
            "Not known yet: the first sweep is not complete."
        };
        Some(view! { <li class="muted">{words}</li> }.into_any())
    };
    view! {
        <section class="card" aria-labelledby="findings-title">
            <div class="card-head">
                <h2 id="findings-title">"Findings"</h2>
                <a href=link class="quiet">"All " {changing(move || format::count(count.get()))}</a>
            </div>
            <ul class="card-body check-list">{changing(body)}</ul>
        </section>
    }
    .into_any()
}

fn keys_card(cache: &Cache) -> AnyView {
    let keys: &[Key] = &cache.keys;
    let slug = &cache.slug;
    let list = keys
        .iter()
        .map(|key| {
            let public = key.public_key.clone();
            view! {
                <li>
                    <div class="key-line">
                        <b class="mono">{key.name.clone()}</b>
                        <span class="muted">{format::counted(key.paths, "path", "paths")}</span>
                        {copy_button("Copy the public key", false, move || public.clone())}
                    </div>
                    <p class="fingerprint" title="SHA-256 of the 32 raw bytes">
                        {format!("SHA256 {}", format::hex_groups(&key.fingerprint))}
                    </p>
                </li>
            }
        })
        .collect_view();
    let none = keys.is_empty().then(|| {
        view! {
            <li class="muted">
                "None. Clients take only paths with a signature of a key they already trust, or content-addressed ones."
            </li>
        }
    });
    view! {
        <section class="card" aria-labelledby="keys-title">
            <div class="card-head">
                <h2 id="keys-title">"Public keys"</h2>
                <a class="quiet" href=with_base(&format!("/c/{slug}/keys.txt"))>"keys.txt"</a>
            </div>
            <ul class="card-body key-list">{list} {none}</ul>
        </section>
    }
    .into_any()
}

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
            let rows = page
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
            view! {
                <div class="table-wrap">
                    <table class="table">
                        <caption class="visually-hidden">"Paths added last"</caption>
                        <thead>
                            <tr>
                                <th scope="col">"Path"</th>
                                <th scope="col" class="number">"NAR size"</th>
                                <th scope="col">"Signature"</th>
                                <th scope="col">"Added"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        }
    };
    view! {
        <section class="section" aria-labelledby="latest-title">
            <div class="section-head">
                <h2 id="latest-title">"Added last"</h2>
                <a href=href(&Route::paths(slug))>"All paths"</a>
            </div>
            {failure_of(rows)}
            {changing(body)}
        </section>
    }
    .into_any()
}
