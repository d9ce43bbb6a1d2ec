//! From the static shell to the running dashboard, and from an address to its page.

use leptos::prelude::*;
use snowbank_shared::route::{Route, RouteError};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::components::ago::Clock;
use crate::components::announcer::Announcer;
use crate::components::changing::changing;
use crate::components::frame::frame;
use crate::components::help_dialog::help_dialog;
use crate::components::page_head::Opened;
use crate::pages;
use crate::state::derived::memo;
use crate::state::keyboard;
use crate::state::live::LiveCache;
use crate::state::navigation::{Navigation, same_page};
use crate::state::preferences::Preferences;
use crate::state::session::Session;

/// Replaces the shell with the dashboard.
pub fn start() {
    let Some(place) = document()
        .get_element_by_id("app")
        .and_then(|place| place.dyn_into::<HtmlElement>().ok())
    else {
        return;
    };
    place.set_inner_html("");
    mount_to(place, app).forget();
}

fn app() -> AnyView {
    let announcer = Announcer::start();
    let navigation = Navigation::start();
    Opened::start();
    Clock::start();
    Preferences::start();
    Session::start();
    keyboard::start();

    // Two levels, so that a search or a tab changes only what it has to: the
    // cache is followed as long as the address is below it, the page is made
    // anew only where the address names another one.
    let cache = memo(move || {
        navigation
            .route()
            .and_then(|route| route.cache().map(str::to_owned))
    });
    let page = Memo::new_with_compare(
        move |_| PageOf(navigation.place()),
        |before, now| match (before, now) {
            (Some(before), Some(now)) => !before.is_same(now),
            _ => true,
        },
    );
    let shown = move || {
        if let Some(slug) = cache.get() {
            provide_context(LiveCache::follow(&slug));
        }
        changing(move || draw(page.get().0))
    };
    view! {
        {frame(shown)}
        {help_dialog()}
        {announcer.region()}
    }
    .into_any()
}

/// An address, compared by the page it shows.
#[derive(Debug, Clone)]
struct PageOf(Result<Route, RouteError>);

impl PageOf {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Ok(a), Ok(b)) => same_page(a, b),
            (Err(a), Err(b)) => a == b,
            _ => false,
        }
    }
}

fn draw(place: Result<Route, RouteError>) -> AnyView {
    match place {
        Ok(Route::Caches) => pages::caches::page(),
        Ok(Route::Cache { cache }) => pages::cache::page(&cache),
        Ok(Route::Paths { cache, .. }) => pages::paths::page(&cache),
        Ok(Route::Path { cache, hash, .. }) => pages::path::page(&cache, &hash),
        Ok(Route::Health { cache, .. }) => pages::health::page(&cache),
        Ok(Route::Connect { .. }) => pages::connect::page(),
        Ok(Route::Lookup { .. }) => pages::lookup::page(),
        Ok(Route::Help) => pages::help::page(),
        Ok(Route::Glossary) => pages::glossary::page(),
        Ok(Route::Components) => pages::components::page(),
        Ok(Route::Preferences) => pages::preferences::page(),
        Ok(Route::About) => pages::about::page(),
        Err(error) => pages::not_found::page(&error),
    }
}
