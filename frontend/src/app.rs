//! From the static shell to the running dashboard, and from an address to its page.

use leptos::prelude::*;
use snowbank_shared::route::{Route, RouteError, VouchingRoute};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::components::ago::Clock;
use crate::components::announcer::Announcer;
use crate::components::changing::changing;
use crate::components::frame::frame;
use crate::components::help_dialog::help_dialog;
use crate::components::page_head::Opened;
use crate::pages;
use crate::parts::{Browse, Decision, Explored, Guide, Page, Parts, PathPart, UploadPage};
use crate::state::derived::memo;
use crate::state::handed::Handed;
use crate::state::identity::Identity;
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
    Identity::start();
    Handed::start();
    keyboard::start();
    let parts = Parts::start();

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
        changing(move || draw(parts, page.get().0))
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

fn draw(parts: Parts, place: Result<Route, RouteError>) -> AnyView {
    let page = match place {
        Ok(Route::Caches) => return pages::caches::page(),
        Ok(Route::Cache { cache }) => return pages::cache::page(&cache),
        Ok(Route::Paths { cache, .. }) => Page::Browse(Browse::Paths { cache }),
        Ok(Route::Path { cache, hash, .. } | Route::File { cache, hash, .. }) => {
            Page::Path(PathPart::Path { cache, hash })
        }
        Ok(Route::Conflicts { cache, hash }) => Page::Browse(Browse::Conflicts { cache, hash }),
        Ok(Route::Health { cache, .. }) => Page::Browse(Browse::Health { cache }),
        Ok(Route::Upload { cache }) => Page::Upload(UploadPage::Form { cache }),
        Ok(Route::Uploads { cache }) => Page::Upload(UploadPage::Sessions { cache }),
        Ok(Route::UploadSession { cache, id }) => Page::Upload(UploadPage::Session { cache, id }),
        Ok(Route::Upstreams { cache }) => Page::Browse(Browse::Upstreams { cache }),
        Ok(Route::Lookup { .. }) => Page::Browse(Browse::Lookup),
        Ok(Route::Connect(route)) => Page::Connect(route),
        Ok(Route::Help) => Page::Guide(Guide::Help),
        Ok(Route::Glossary) => Page::Guide(Guide::Glossary),
        Ok(Route::Components) => Page::Guide(Guide::Components),
        Ok(Route::Preferences) => Page::Guide(Guide::Preferences),
        Ok(Route::About) => Page::Guide(Guide::About),
        Ok(Route::Access(route)) => Page::People(route),
        Ok(Route::Contribute(route)) => Page::Contribute(Decision::Uploads(route)),
        Ok(Route::Pins(route)) => Page::Explore(Explored::Pins(route)),
        Ok(Route::Explore(route)) => Page::Explore(Explored::Paths(route)),
        Ok(Route::Vouching(VouchingRoute::Keys { cache })) => Page::Path(PathPart::Keys { cache }),
        Ok(Route::Vouching(VouchingRoute::Key { cache, name })) => {
            Page::Path(PathPart::Key { cache, name })
        }
        Ok(Route::Vouching(VouchingRoute::Signatures { cache, .. })) => {
            Page::Path(PathPart::Signatures { cache })
        }
        Ok(Route::Vouching(VouchingRoute::Signing { cache, query })) => {
            Page::Contribute(Decision::Signing { cache, query })
        }
        Ok(Route::Vouching(VouchingRoute::Rotation { cache })) => {
            Page::Contribute(Decision::Rotation { cache })
        }
        Ok(Route::Monitoring(route)) => Page::Monitor(route),
        Err(error) => Page::Guide(Guide::NotFound(error)),
    };
    parts.draw(page)
}
