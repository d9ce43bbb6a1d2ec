//! The key `w` on a path: why it is needed. On a row of its closure or of its referrers the chain
//! between the two is shown, else what needs it is asked for.

use leptos::prelude::*;
use snowbank_shared::route::{ExploreRoute, PathTab, Route};
use web_sys::KeyboardEvent;

use crate::components::button::{Weight, link_button};
use crate::pages::path::PathPage;
use crate::state::keyboard::single_keys_act;
use crate::state::navigation::{href, navigation};
use crate::state::preferences::preferences;

/// The page that says why the first needs the second, each by its hash part.
pub fn why(page: PathPage, from: Option<&str>, to: Option<&str>) -> Route {
    Route::Explore(ExploreRoute::why(page.cache.get_value(), from, to))
}

/// The ways from a path to what compares it with another one.
pub fn links(page: PathPage) -> AnyView {
    let here = page.hash.get_value();
    let diff = ExploreRoute::diff(page.cache.get_value(), Some(&here), None);
    let why = href(&why(page, None, Some(&here)));
    view! {
        <a class="button" href=why aria-keyshortcuts="w" title="Why something needs this path: w">"Why…"</a>
        {link_button(Weight::Plain, None, "Compare with…", href(&Route::Explore(diff)))}
    }
    .into_any()
}

/// Listens as long as the page is there.
pub fn listen(page: PathPage, tab: Memo<PathTab>) {
    let (navigation, preferences) = (navigation(), preferences());
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if event.key() != "w"
            || !plain
            || event.default_prevented()
            || !single_keys_act(&event, preferences)
        {
            return;
        }
        let here = page.hash.get_value();
        let row = focused_path();
        let route = match (tab.get_untracked(), row.as_deref()) {
            // The views of the closure have rows of their own: they say which is meant.
            (PathTab::Closure, None) => return,
            (PathTab::Closure, Some(row)) => why(page, Some(&here), Some(row)),
            (PathTab::Referrers, Some(row)) => why(page, Some(row), Some(&here)),
            _ => why(page, None, Some(&here)),
        };
        event.prevent_default();
        navigation.go(&route);
    });
    on_cleanup(move || keys.remove());
}

/// The hash part of the path whose link, or row, has the focus.
fn focused_path() -> Option<String> {
    let element = document().active_element()?;
    let link = match element.closest("main tr").ok()? {
        Some(row) => row.query_selector("a.store-path").ok()??,
        None => element.closest("main a.store-path").ok()??,
    };
    let address = link.get_attribute("href")?;
    address.rsplit('/').next().map(str::to_owned)
}
