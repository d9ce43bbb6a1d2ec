//! From one cache to the same page of another.

use leptos::prelude::*;
use snowbank_shared::route::{PathTab, Route};

use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::state::navigation::{href, navigation};
use crate::state::session::session;

/// The page of another cache that is most like this one.
fn same_in(route: Option<Route>, cache: &str) -> Route {
    match route {
        Some(Route::Paths { query, .. }) => Route::Paths {
            cache: cache.to_owned(),
            query: query.first_page(),
        },
        Some(Route::Path { hash, tab, .. }) => Route::Path {
            cache: cache.to_owned(),
            hash,
            tab,
        },
        Some(Route::File { hash, .. }) => Route::Path {
            cache: cache.to_owned(),
            hash,
            tab: PathTab::Files,
        },
        Some(Route::Conflicts { .. }) => Route::Conflicts {
            cache: cache.to_owned(),
            hash: None,
        },
        Some(Route::Health { .. }) => Route::health(cache),
        Some(Route::Upload { .. }) => Route::Upload {
            cache: cache.to_owned(),
        },
        Some(Route::Upstreams { .. }) => Route::Upstreams {
            cache: cache.to_owned(),
        },
        Some(Route::Uploads { .. } | Route::UploadSession { .. }) => Route::Uploads {
            cache: cache.to_owned(),
        },
        _ => Route::of_cache(cache),
    }
}

/// The menu; nothing where there is no cache.
pub fn cache_switcher() -> AnyView {
    let session = session();
    let navigation = navigation();
    let menu = move || {
        let caches = session.described.get()?;
        if caches.is_empty() {
            return None;
        }
        let current = session.cache();
        let title = current
            .as_ref()
            .and_then(|slug| session.find(slug))
            .map_or_else(
                || current.clone().unwrap_or_else(|| "All caches".to_owned()),
                |cache| cache.title,
            );
        let entries = caches
            .iter()
            .map(|cache| {
                let slug = cache.slug.clone();
                let is_current = current.as_ref() == Some(&slug);
                let target = move || href(&same_in(navigation.route(), &slug));
                view! {
                    <a href=target aria-current=is_current.then_some("true")>
                        <span>{cache.title.clone()}</span>
                        <small>{format::counted(cache.paths, "path", "paths")}</small>
                    </a>
                }
            })
            .collect_view();
        Some(view! {
            <details class="menu switcher">
                <summary aria-label=format!("Cache: {title}. Choose another")>
                    <span class="switcher-name">{title.clone()}</span>
                    {icon(Icon::Menu)}
                </summary>
                <div class="menu-list">
                    {entries} <a href=href(&Route::Caches)>
                        <span>"All caches"</span>
                    </a>
                </div>
            </details>
        })
    };
    view! { <div class="switcher-place">{changing(menu)}</div> }.into_any()
}
