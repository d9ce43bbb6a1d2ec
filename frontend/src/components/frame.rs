//! The frame around every page: top bar, rail, the place for the page. On a
//! phone the rail is a bar at the bottom. It links only to pages that exist.

use leptos::prelude::*;
use snowbank_shared::route::{ConnectTarget, Route};

use crate::components::cache_switcher::cache_switcher;
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon, mark};
use crate::components::omnibox::omnibox;
use crate::format;
use crate::state::derived::memo;
use crate::state::navigation::{href, navigation};
use crate::state::preferences::preferences;
use crate::state::session::session;

/// Which entry of the rail a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Caches,
    Overview,
    Paths,
    Health,
    Connect,
    Lookup,
    Help,
    About,
}

fn entry_of(route: &Route) -> Entry {
    match route {
        Route::Caches => Entry::Caches,
        Route::Cache { .. } => Entry::Overview,
        Route::Paths { .. } | Route::Path { .. } => Entry::Paths,
        Route::Health { .. } => Entry::Health,
        Route::Connect { .. } => Entry::Connect,
        Route::Lookup { .. } => Entry::Lookup,
        Route::Help | Route::Glossary => Entry::Help,
        Route::About => Entry::About,
    }
}

/// A link of the rail. `class` is `rail-wide` where the bottom bar has no room for it.
fn rail_link(
    entry: Entry,
    class: &'static str,
    route: &Route,
    picture: Icon,
    word: &'static str,
) -> AnyView {
    let navigation = navigation();
    let here = memo(move || {
        navigation
            .route()
            .is_some_and(|route| entry_of(&route) == entry)
    });
    view! {
        <a class=class href=href(route) title=word aria-current=move || here.get().then_some("page")>
            {icon(picture)}
            <span class="rail-label">{word}</span>
        </a>
    }
    .into_any()
}

fn health_link(cache: &str) -> AnyView {
    let session = session();
    let navigation = navigation();
    let slug = cache.to_owned();
    let count = move || {
        let findings = session.find(&slug)?.findings;
        (findings > 0).then(|| {
            view! {
                <span class="rail-count">
                    {format::count(findings)} <span class="visually-hidden">" findings"</span>
                </span>
            }
        })
    };
    let here = memo(move || {
        navigation
            .route()
            .is_some_and(|route| entry_of(&route) == Entry::Health)
    });
    view! {
        <a href=href(&Route::health(cache)) title="Health" aria-current=move || here.get().then_some("page")>
            {icon(Icon::Health)}
            <span class="rail-label">"Health"</span>
            {changing(count)}
        </a>
    }
    .into_any()
}

fn rail() -> AnyView {
    let session = session();
    let preferences = preferences();
    let cache = memo(move || session.cache());
    let of_cache = move || {
        let slug = cache.get()?;
        let title = session
            .find(&slug)
            .map_or_else(|| slug.clone(), |cache| cache.title);
        Some(view! {
            <p class="rail-title">{title}</p>
            {rail_link(Entry::Overview, "", &Route::of_cache(slug.as_str()), Icon::Overview, "Overview")}
            {rail_link(Entry::Paths, "", &Route::paths(slug.as_str()), Icon::Paths, "Paths")}
            {health_link(&slug)}
        })
    };
    let connect = move || {
        let route = match cache.get() {
            Some(slug) => Route::connect(slug),
            None => Route::Connect {
                caches: Vec::new(),
                target: ConnectTarget::default(),
            },
        };
        rail_link(Entry::Connect, "", &route, Icon::Connect, "Connect")
    };
    let lookup = Route::Lookup { paths: Vec::new() };
    let more = view! {
        <details class="rail-more">
            <summary>{icon(Icon::More)} "More"</summary>
            <div>
                {rail_link(Entry::Caches, "", &Route::Caches, Icon::Caches, "All caches")}
                {rail_link(Entry::Lookup, "", &lookup, Icon::Search, "Look up")}
                {rail_link(Entry::Help, "", &Route::Help, Icon::Help, "Help")}
                {rail_link(Entry::About, "", &Route::About, Icon::Info, "About")}
            </div>
        </details>
    };
    view! {
        <nav class="rail" aria-label="Pages">
            {rail_link(Entry::Caches, "rail-wide", &Route::Caches, Icon::Caches, "Caches")} {changing(of_cache)}
            <p class="rail-title rail-gap-title" aria-hidden="true"></p> {changing(connect)}
            {rail_link(Entry::Lookup, "rail-wide", &lookup, Icon::Search, "Look up")}
            <span class="rail-gap"></span>
            {rail_link(Entry::Help, "rail-wide", &Route::Help, Icon::Help, "Help")}
            {rail_link(Entry::About, "rail-wide", &Route::About, Icon::Info, "About")} {more}
            <button
                type="button"
                class="rail-fold"
                title="Fold the rail"
                aria-pressed=move || preferences.folded.get().to_string()
                on:click=move |_| preferences.folded.update(|folded| *folded = !*folded)
            >
                {icon(Icon::Fold)}
                <span class="rail-label">"Fold"</span>
            </button>
        </nav>
    }
    .into_any()
}

/// The frame with a page in it; `help` opens the dialog with the keys.
pub fn frame(help: RwSignal<bool>, page: impl Fn() -> AnyView + Send + 'static) -> AnyView {
    let preferences = preferences();
    let theme = move || format!("Theme: {}. Change", preferences.theme.get().as_str());
    view! {
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <div class="frame">
            <header class="topbar">
                <a class="brand" href=href(&Route::Caches) aria-label="Snowbank: all caches">
                    {mark()}
                    <span class="brand-name">"Snowbank"</span>
                </a>
                <div class="topbar-middle">{cache_switcher()} {omnibox()}</div>
                <div class="topbar-end">
                    <button
                        type="button"
                        class="quiet topbar-help"
                        aria-label="Keyboard help"
                        title="Keyboard help (?)"
                        on:click=move |_| help.set(true)
                    >
                        {icon(Icon::Help)}
                    </button>
                    <button
                        type="button"
                        class="quiet"
                        aria-label=theme
                        title=move || format!("{} (t)", theme())
                        on:click=move |_| preferences.theme.update(|theme| *theme = theme.next())
                    >
                        {icon(Icon::Theme)}
                    </button>
                </div>
            </header>
            {rail()}
            <main id="main" class="main" tabindex="-1">
                {changing(page)}
            </main>
        </div>
    }
    .into_any()
}
