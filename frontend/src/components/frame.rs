//! The frame around every page: top bar, rail, the place for the page. On a
//! phone the rail is a bar at the bottom. Its links are the [`places`](crate::places).

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::route::{AccessRoute, Route};

use crate::components::cache_switcher::cache_switcher;
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon, mark};
use crate::components::omnibox::omnibox;
use crate::format;
use crate::places::{Place, Shelf, home_of, places};
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::keyboard::opens;
use crate::state::navigation::{href, navigation};
use crate::state::preferences::preferences;
use crate::state::session::session;

/// A link of the rail. `class` is `rail-wide` where the bottom bar has no room for it.
fn rail_link(place: &Place, class: &'static str, count: AnyView) -> AnyView {
    let navigation = navigation();
    let word = place.word;
    let here = memo(move || {
        navigation
            .route()
            .is_some_and(|route| home_of(&route) == word)
    });
    let title = if place.letter == ' ' {
        word.to_owned()
    } else {
        format!("{word} (g {})", place.letter)
    };
    view! {
        <a class=class href=href(&place.route) title=title aria-current=move || here.get().then_some("page")>
            {icon(place.picture)}
            <span class="rail-label">{word}</span>
            {count}
        </a>
    }
    .into_any()
}

/// How many findings the cache has, or uploads that wait, where it has some.
fn count_of(slug: String, count: fn(&Cache) -> u64, what: &'static str) -> AnyView {
    let session = session();
    changing(move || {
        let count = count(&session.find(&slug)?);
        (count > 0).then(|| {
            view! {
                <span class="rail-count">
                    {format::count(count)} <span class="visually-hidden">{what}</span>
                </span>
            }
        })
    })
}

/// Whether a place is this person's affair: what waits is none of a visitor's.
fn is_theirs(place: &Place, cache: Option<&str>) -> bool {
    !matches!(place.route, Route::Contribute(_))
        || cache
            .and_then(|slug| session().find(slug))
            .is_some_and(|cache| cache.waiting.is_some())
}

/// The links of one shelf.
fn shelf(cache: Option<&str>, shelf: Shelf, class: &'static str) -> Vec<AnyView> {
    places(cache)
        .into_iter()
        .filter(|place| place.shelf == shelf && is_theirs(place, cache))
        .map(|place| {
            let count = match (&place.route, cache) {
                (Route::Health { .. }, Some(cache)) => {
                    count_of(cache.to_owned(), |cache| cache.findings, " findings")
                }
                (Route::Contribute(_), Some(cache)) => count_of(
                    cache.to_owned(),
                    |cache| cache.waiting.unwrap_or(0),
                    " waiting",
                ),
                _ => ().into_any(),
            };
            rail_link(&place, class, count)
        })
        .collect()
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
            {shelf(Some(&slug), Shelf::OfCache, "")}
            {shelf(Some(&slug), Shelf::OfCacheAside, "rail-wide")}
        })
    };
    let more_of_cache = move || {
        cache
            .get()
            .map(|slug| shelf(Some(&slug), Shelf::OfCacheAside, ""))
    };
    let below = move || {
        view! {
            {shelf(cache.get().as_deref(), Shelf::Below, "")}
            {shelf(None, Shelf::Aside, "rail-wide")}
        }
    };
    view! {
        <nav class="rail" aria-label="Pages">
            {shelf(None, Shelf::Top, "rail-wide")} {changing(of_cache)}
            <p class="rail-title rail-gap-title" aria-hidden="true"></p> {changing(below)}
            <span class="rail-gap"></span> {shelf(None, Shelf::Foot, "rail-wide")}
            <details class="rail-more">
                <summary>{icon(Icon::More)} "More"</summary>
                <div>
                    {shelf(None, Shelf::Top, "")} {changing(more_of_cache)} {shelf(None, Shelf::Aside, "")} {shelf(None, Shelf::Foot, "")}
                </div>
            </details>
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

/// Who is signed in, or the way to do it.
fn account() -> AnyView {
    let identity = identity();
    let navigation = navigation();
    let shown = move || {
        identity.me.get()?;
        let (route, word) = match identity.name() {
            Some(name) => (AccessRoute::Me, name),
            None => {
                let back = navigation.route().map(|route| route.to_string());
                (AccessRoute::login(back), "Sign in".to_owned())
            }
        };
        Some(view! { <a class="quiet account" href=href(&Route::Access(route))>{word}</a> })
    };
    changing(shown)
}

/// The frame with a page in it.
pub fn frame(page: impl Fn() -> AnyView + Send + 'static) -> AnyView {
    let preferences = preferences();
    let help = opens().help;
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
                    {account()}
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
