//! The address. [`Route`] is its only grammar: this file holds the current one,
//! turns clicks on links into changes of it, and puts the base path in front.
//!
//! A router with its own patterns would spell every address a second time, so
//! there is none: the browser's history and one match on [`Route`] do it.

use leptos::prelude::*;
use snowbank_shared::route::{
    AccessRoute, ConnectRoute, ContributeRoute, Route, RouteError, VouchingRoute,
};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{Element, Event, HtmlAnchorElement, MouseEvent};

/// The path of the public URL; ends with a slash.
pub fn base() -> String {
    document()
        .document_element()
        .and_then(|html| html.get_attribute("data-base"))
        .filter(|base| base.starts_with('/') && base.ends_with('/'))
        .unwrap_or_else(|| "/".to_owned())
}

/// The address of a page, with the base in front: what goes into `href`.
pub fn href(route: &Route) -> String {
    with_base(&route.to_string())
}

/// A path of this server that begins with a slash, with the base in front.
pub fn with_base(path: &str) -> String {
    format!("{}{}", base(), path.strip_prefix('/').unwrap_or(path))
}

/// The same with scheme and host.
pub fn absolute(path: &str) -> String {
    let origin = window().location().origin().unwrap_or_default();
    format!("{origin}{}", with_base(path))
}

/// Where we are, or why the address is not one of a page.
pub type Place = Result<Route, RouteError>;

/// The current address. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Navigation {
    place: RwSignal<Place>,
}

/// The current address and how to change it.
///
/// # Panics
/// Outside of the application.
pub fn navigation() -> Navigation {
    expect_context()
}

impl Navigation {
    /// Reads the address and follows it from now on. Once, at the start.
    pub fn start() -> Self {
        let navigation = Self {
            place: RwSignal::new(read_location()),
        };
        provide_context(navigation);
        listen("popstate", move |_: Event| {
            navigation.place.set(read_location());
        });
        listen("click", move |event: MouseEvent| navigation.follow(&event));
        navigation
    }

    /// Where we are; tracked.
    pub fn place(self) -> Place {
        self.place.get()
    }

    /// The page we are on, where there is one; tracked.
    pub fn route(self) -> Option<Route> {
        self.place.get().ok()
    }

    /// The page we are on; not tracked.
    pub fn route_now(self) -> Option<Route> {
        self.place.get_untracked().ok()
    }

    /// Opens a page; Back leads here.
    pub fn go(self, route: &Route) {
        let now = self.route_now();
        if now.as_ref() == Some(route) {
            return;
        }
        let new_page = now.is_none_or(|now| !same_page(&now, route));
        let _ = history().push_state_with_url(&JsValue::NULL, "", Some(&href(route)));
        self.place.set(Ok(route.clone()));
        if new_page {
            window().scroll_to_with_x_and_y(0.0, 0.0);
        }
    }

    /// Changes the address of this page; Back leads to the one before it.
    pub fn replace(self, route: &Route) {
        if self.route_now().as_ref() == Some(route) {
            return;
        }
        let _ = history().replace_state_with_url(&JsValue::NULL, "", Some(&href(route)));
        self.place.set(Ok(route.clone()));
    }

    /// A click on a link to one of our pages is a change of address, not a load.
    fn follow(self, event: &MouseEvent) {
        if event.default_prevented()
            || event.button() != 0
            || event.meta_key()
            || event.ctrl_key()
            || event.shift_key()
            || event.alt_key()
        {
            return;
        }
        let Some(target) = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
        else {
            return;
        };
        close_menus(Some(&target));
        let Some(link) = target
            .closest("a[href]")
            .ok()
            .flatten()
            .and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok())
        else {
            return;
        };
        let location = window().location();
        let same_origin = location
            .origin()
            .is_ok_and(|origin| origin == link.origin());
        if !same_origin || link.has_attribute("download") || !link.target().is_empty() {
            return;
        }
        // A place on this page: the browser goes there by itself.
        let here = location
            .pathname()
            .is_ok_and(|here| here == link.pathname());
        if here && !link.hash().is_empty() {
            return;
        }
        let Some(Ok(route)) = parse(&link.pathname(), &link.search()) else {
            return;
        };
        event.prevent_default();
        close_menus(None);
        self.go(&route);
        if let Some(anchor) = link.hash().strip_prefix('#') {
            scroll_to_anchor(anchor.to_owned());
        }
    }
}

/// Two addresses of one page: the search of a list, the tab of a path.
pub fn same_page(a: &Route, b: &Route) -> bool {
    match (a, b) {
        (Route::Paths { cache: a, .. }, Route::Paths { cache: b, .. })
        | (Route::Health { cache: a, .. }, Route::Health { cache: b, .. }) => a == b,
        (
            Route::Path { cache, hash, .. } | Route::File { cache, hash, .. },
            Route::Path {
                cache: other_cache,
                hash: other_hash,
                ..
            }
            | Route::File {
                cache: other_cache,
                hash: other_hash,
                ..
            },
        ) => cache == other_cache && hash == other_hash,
        (Route::Connect(a), Route::Connect(b)) => same_page_of_connect(a, b),
        (Route::Lookup { .. }, Route::Lookup { .. }) => true,
        (Route::Explore(a), Route::Explore(b)) => a.is_same_page(b),
        (Route::Monitoring(a), Route::Monitoring(b)) => a.is_same_page(b),
        (
            Route::Access(AccessRoute::Audit { cache: a, .. }),
            Route::Access(AccessRoute::Audit { cache: b, .. }),
        ) => a == b,
        (
            Route::Contribute(ContributeRoute::Approvals { cache: a, .. }),
            Route::Contribute(ContributeRoute::Approvals { cache: b, .. }),
        ) => a == b,
        (
            Route::Vouching(VouchingRoute::Signatures { cache: a, .. }),
            Route::Vouching(VouchingRoute::Signatures { cache: b, .. }),
        ) => a == b,
        _ => a == b,
    }
}

/// Two choices on one page of Connect; a live check has a page of its own.
fn same_page_of_connect(a: &ConnectRoute, b: &ConnectRoute) -> bool {
    use ConnectRoute::{Doctor, Explain, Generate, Live, Merge};
    match (a, b) {
        (Generate(_), Generate(_))
        | (Merge { .. }, Merge { .. })
        | (Doctor { .. }, Doctor { .. })
        | (Explain { .. }, Explain { .. })
        | (Live { token: None, .. }, Live { token: None, .. }) => true,
        _ => a == b,
    }
}

/// A path and query of this server, without the base; nothing where it lies outside of the base.
fn parse(pathname: &str, search: &str) -> Option<Place> {
    let base = base();
    // `/nixcache` without its slash is the first page too.
    let below = if base.strip_suffix('/') == Some(pathname) {
        ""
    } else {
        pathname.strip_prefix(&base)?
    };
    Some(format!("/{below}{search}").parse())
}

fn read_location() -> Place {
    let location = window().location();
    let path = location.pathname().unwrap_or_default();
    let search = location.search().unwrap_or_default();
    parse(&path, &search).unwrap_or(Err(RouteError::NoSuchPage))
}

fn history() -> web_sys::History {
    window().history().expect("a window has a history")
}

/// After the page has been drawn.
fn scroll_to_anchor(anchor: String) {
    request_animation_frame(move || {
        if let Some(element) = document().get_element_by_id(&anchor) {
            element.scroll_into_view();
        }
    });
}

/// Closes the menus that stand open on `<details>`, except one around `inside`.
pub fn close_menus(inside: Option<&Element>) {
    let Ok(open) = document().query_selector_all("details.menu[open], details.rail-more[open]")
    else {
        return;
    };
    for at in 0..open.length() {
        let Some(menu) = open
            .item(at)
            .and_then(|node| node.dyn_into::<Element>().ok())
        else {
            continue;
        };
        if !inside.is_some_and(|inside| menu.contains(Some(inside))) {
            let _ = menu.remove_attribute("open");
        }
    }
}

/// Listens on the window for as long as the program runs.
pub fn listen<E: JsCast + 'static>(name: &str, act: impl Fn(E) + 'static) {
    let closure = Closure::<dyn Fn(Event)>::new(move |event: Event| act(event.unchecked_into()));
    let _ = window().add_event_listener_with_callback(name, closure.as_ref().unchecked_ref());
    closure.forget();
}
