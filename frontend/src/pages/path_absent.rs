//! A hash that this cache does not have: when that was checked, whether an
//! upstream or another cache here has it, and how long a client may believe an
//! older answer.

use leptos::prelude::*;
use snowbank_shared::api::{Lookup, Presence, UpstreamMode};
use snowbank_shared::route::{PathsQuery, Route};

use crate::api;
use crate::components::ago::{ago, time_of_day};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::failure::failure_now;
use crate::components::icon::Icon;
use crate::components::size::{size, size_or};
use crate::pages::lookup_table::upstream_chip;
use crate::pages::path::PathPage;
use crate::pages::path_retention;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::session::session;

/// What there is to say.
pub fn content(page: PathPage) -> AnyView {
    let hash = page.hash.get_value();
    let checked = move || {
        if page.live.is_partial() {
            return view! { "The index is not complete yet, so it may still turn up." }.into_any();
        }
        match page.live.index.get().and_then(|index| index.as_of) {
            Some(time) => view! {
                "Checked against the index as of "
                {time_of_day(&time)}
                ", "
                {ago(&time)}
                "."
            }
            .into_any(),
            None => view! { "The bucket has not been read yet." }.into_any(),
        }
    };
    let search = href(&Route::Paths {
        cache: page.cache.get_value(),
        query: PathsQuery {
            q: hash.chars().take(6).collect(),
            ..PathsQuery::default()
        },
    });
    view! {
        <section class="section absent">
            {path_retention::gone(page)}
            <p>
                "No path with the hash " <code class="break">{hash.clone()}</code>
                " is in this cache. The hash itself is well formed. " {changing(checked)}
            </p>
            {upstreams(page)}
            {other_caches(page)}
            <h2>"Was it copied a moment ago?"</h2>
            <p>
                "A client that asked too early remembers the miss for up to an hour. This asks again at once:"
            </p>
            {code_line(
                "Command",
                format!("nix-store -r --option narinfo-cache-negative-ttl 0 /nix/store/{hash}-NAME"),
            )}
            <p>
                <a href=search>"Paths whose hash begins alike"</a>
                " · "
                <a href=href(&Route::paths(page.cache.get_value()))>"All paths of this cache"</a>
            </p>
        </section>
    }
    .into_any()
}

/// Asked now, by the server; a few seconds at most.
fn upstreams(page: PathPage) -> AnyView {
    let path = api::lookup_in_path(&page.cache.get_value(), &[page.hash.get_value()]);
    let asked = Remote::<Lookup>::new(move || Some(path.clone()));
    let (session, slug) = (session(), page.cache);
    let list = move || match asked.get() {
        None if asked.error().is_some() => failure_now(asked).into_any(),
        None => view! { <p class="muted">"Asking the upstreams…"</p> }.into_any(),
        Some(lookup) => {
            let answers = lookup
                .items
                .first()
                .map_or(&[][..], |item| item.upstreams.as_slice());
            if answers.is_empty() {
                return view! {
                    <p class="muted">"Not configured: this cache names no upstream that could be asked."</p>
                }
                .into_any();
            }
            let items = answers
                .iter()
                .map(|answer| {
                    let sizes = answer.nar_size.map(|nar_size| {
                        view! {
                            <span class="muted">
                                {answer.name.clone()}
                                ", "
                                {size(nar_size)}
                                " unpacked, "
                                {size_or(answer.file_size, "unknown")}
                                " to download"
                            </span>
                        }
                    });
                    view! { <li>{upstream_chip(answer)} {sizes}</li> }
                })
                .collect_view();
            let present = |url: &str| {
                let mut said = answers.iter();
                said.any(|answer| answer.url == url && answer.presence == Presence::Present)
            };
            let is_virtual = session.find(&slug.get_value()).is_some_and(|cache| {
                let mut upstreams = cache.upstreams.iter();
                upstreams.any(|upstream| {
                    upstream.mode == UpstreamMode::Virtual && present(&upstream.url)
                })
            });
            let why = is_virtual.then(|| {
                let route = Route::Upstreams {
                    cache: slug.get_value(),
                };
                view! {
                    <p>
                        "It is not kept here, because a virtual upstream has it: machines fetch it from there. "
                        <a href=href(&route)>"Upstreams of this cache"</a>
                    </p>
                }
            });
            view! { <ul class="upstreams">{items}</ul> {why} }.into_any()
        }
    };
    view! {
        <h2>"On the upstreams"</h2>
        <div id="upstreams">{changing(list)}</div>
    }
    .into_any()
}

fn other_caches(page: PathPage) -> AnyView {
    let session = session();
    let here = page.cache.get_value();
    let list = move || {
        let caches = session.described.get()?;
        let others: Vec<AnyView> = caches
            .iter()
            .filter(|cache| cache.slug != here)
            .map(|cache| other_cache(&cache.slug, &cache.title, page.hash.get_value()))
            .collect();
        (!others.is_empty()).then(|| {
            view! {
                <h2>"In the other caches of this server"</h2>
                <ul class="other-caches">{others}</ul>
            }
        })
    };
    view! { {changing(list)} }.into_any()
}

fn other_cache(slug: &str, title: &str, hash: String) -> AnyView {
    let path = api::path_path(slug, &hash, "");
    let found = Remote::<snowbank_shared::api::PathDetail>::new(move || Some(path.clone()));
    let route = Route::path(slug, hash);
    let verdict = move || match (found.get(), found.error()) {
        (Some(detail), _) => view! {
            {chip((Tone::Ok, Icon::Tick, "yes", "It is there."))}
            " "
            <a href=href(&route)>{detail.row.name.clone()}</a>
        }
        .into_any(),
        (None, Some(error)) if error.is_not_found() => {
            chip((Tone::Note, Icon::Dash, "no", "It is not there either."))
        }
        (None, Some(_)) => chip((Tone::Unknown, Icon::Help, "could not ask", "")),
        (None, None) => view! { <span class="muted">"asking…"</span> }.into_any(),
    };
    view! { <li><b>{title.to_owned()}</b> " " {changing(verdict)}</li> }.into_any()
}
