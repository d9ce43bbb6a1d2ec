//! Connect: from "I have a cache" to "my machine uses it". Lines for a machine, the same put into
//! a file that is there, what is wrong in one, whether it works, and what an error means.
//!
//! What is pasted into these pages stays in the tab: nothing here hands it to [`crate::api`].

mod choose;
mod conflict;
mod diff;
mod doctor;
mod effective;
mod explain;
mod findings;
mod former;
mod generate;
mod guess;
mod key_list;
mod live;
mod merge;
mod merge_outputs;
mod other;
mod output;
mod output_file;
pub(in crate::pages) mod pasted;
mod priority;
mod reach;
mod token;
mod trusted;
mod why;
mod words;

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::route::{ConnectQuery, ConnectRoute, Route};

use crate::components::banner::banner;
use crate::components::chip::Tone;
use crate::components::layout::tabs;
use crate::state::derived::memo;
use crate::state::navigation::{href, navigation};
use crate::state::session::session;

/// The page of an address.
pub fn page(route: ConnectRoute) -> AnyView {
    match route {
        ConnectRoute::Generate(_) => generate::page(),
        ConnectRoute::Live { cache, token } => live::page(cache, token),
        ConnectRoute::Merge { .. } => merge::page(),
        ConnectRoute::Doctor { .. } => doctor::page(),
        ConnectRoute::Explain { .. } => explain::page(),
    }
}

/// What clients need of these caches, in one; the error names what cannot be written down.
fn settings(caches: &[Cache]) -> Result<ClientSettings, String> {
    let mut all: Option<ClientSettings> = None;
    for cache in caches {
        let one = cache.client_settings()?;
        all = Some(match all {
            None => one,
            Some(before) => before.and(one),
        });
    }
    all.ok_or_else(|| "No cache is chosen.".to_owned())
}

/// The slugs that an address of Connect names.
fn slugs_of(route: &ConnectRoute) -> Vec<String> {
    match route {
        ConnectRoute::Generate(query) => query.caches.clone(),
        ConnectRoute::Merge { caches } | ConnectRoute::Doctor { caches } => caches.clone(),
        ConnectRoute::Live { cache, .. } => cache.clone().into_iter().collect(),
        ConnectRoute::Explain { .. } => Vec::new(),
    }
}

/// The slugs that the address names; the only cache where there is but one and none is named.
/// Tracked.
fn chosen_slugs() -> Memo<Vec<String>> {
    let (session, navigation) = (session(), navigation());
    let named = Memo::new(
        move |before: Option<&Vec<String>>| match navigation.route() {
            Some(Route::Connect(route)) => slugs_of(&route),
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        },
    );
    memo(move || {
        let mut slugs = named.get();
        if slugs.is_empty()
            && let Some([only]) = session.described.get().as_deref()
        {
            slugs.push(only.slug.clone());
        }
        slugs
    })
}

/// The address of a page for some caches.
type RouteOf = fn(Vec<String>) -> ConnectRoute;

/// The pages of Connect, each with the caches that are chosen on this one.
fn head_tabs() -> AnyView {
    let navigation = navigation();
    let chosen = chosen_slugs();
    let entry = |word: &'static str, route: RouteOf| {
        let address = Signal::derive(move || href(&Route::Connect(route(chosen.get()))));
        let here = move || match navigation.route() {
            Some(Route::Connect(now)) => {
                std::mem::discriminant(&now) == std::mem::discriminant(&route(Vec::new()))
            }
            _ => false,
        };
        (word, address, here)
    };
    let all: [(&'static str, RouteOf); 5] = [
        ("Generate", |caches| {
            ConnectRoute::Generate(ConnectQuery {
                caches,
                ..ConnectQuery::default()
            })
        }),
        ("Merge", |caches| ConnectRoute::Merge { caches }),
        ("Doctor", |caches| ConnectRoute::Doctor { caches }),
        ("Live check", |caches| ConnectRoute::Live {
            cache: caches.into_iter().next(),
            token: None,
        }),
        ("Explain", |_| ConnectRoute::Explain {
            error: String::new(),
        }),
    ];
    let links = all
        .map(|(word, route)| {
            let (word, address, here) = entry(word, route);
            tab_link(word, address, here)
        })
        .into_iter()
        .collect();
    tabs("Connect", links)
}

fn tab_link(
    word: &'static str,
    address: Signal<String>,
    here: impl Fn() -> bool + Send + Sync + 'static,
) -> AnyView {
    let here = Signal::derive(here);
    view! {
        <a href=move || address.get() aria-current=move || here.get().then_some("page")>
            {word}
        </a>
    }
    .into_any()
}

/// An address names a cache that is not here.
fn unknown_cache(slug: &str) -> AnyView {
    banner(
        Tone::Warn,
        format!("There is no cache “{slug}” here"),
        view! {
            <p>
                "The address names it, and this server does not have it or does not show it to you."
            </p>
        },
        (),
    )
}
