//! The packages of a cache: its paths by the name before their version. Search, order and place are
//! the address.

use leptos::prelude::*;
use snowbank_shared::api::{PackageRow, Page};
use snowbank_shared::route::{ExploreRoute, PackagesQuery, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Weight, link_button};
use crate::components::changing::changing;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{Column, table, table_foot};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::entry::{self, Entry};
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::live::live_cache;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::typing::as_typed;

/// Rows of a page.
const ROWS: usize = 100;
/// The words of [`PackagesQuery::SORTS`].
const SORT_WORDS: [&str; 4] = ["Name", "Most paths", "Largest", "Latest"];

const COLUMNS: [Column; 7] = [
    (
        "Package",
        "grow",
        "The name before the version, as Nix splits it",
    ),
    ("Newest", "", "The newest version, as Nix compares them"),
    ("Versions", "number", ""),
    ("Paths", "number", "All outputs and builds of all versions"),
    ("Unpacked", "number", "NAR sizes of its paths, added up"),
    (
        "Stored",
        "number col-2",
        "Download sizes of its paths, as far as known",
    ),
    (
        "Latest",
        "col-3",
        "When its newest path was first seen here",
    ),
];

/// The address of a search in this cache.
fn route(cache: &str, query: PackagesQuery) -> Route {
    Route::Explore(ExploreRoute::Packages {
        cache: cache.to_owned(),
        query,
    })
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let navigation = navigation();
    let slug = StoredValue::new(cache.to_owned());
    let query = Memo::new(
        move |before: Option<&PackagesQuery>| match navigation.route() {
            Some(Route::Explore(ExploreRoute::Packages { query, .. })) => query,
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        },
    );
    let all = move || {
        let query = PackagesQuery {
            cursor: None,
            ..query.get()
        };
        format!("{}/packages{query}", api::cache_path(&slug.get_value()))
    };
    let path = move || {
        let path = api::at_cursor(&all(), query.get().cursor.as_deref());
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}limit={ROWS}")
    };
    let packages = Remote::<Page<PackageRow>>::new(move || {
        live.renewals.track();
        Some(path())
    });
    page_title(move || format!("Packages – {}", slug.get_value()));
    let exported = move || {
        Some(Exported {
            path: all(),
            columns: String::new(),
            rows: packages.get()?.total,
        })
    };
    let sentence = move || {
        let found = packages.get()?;
        let about = if found.complete { "" } else { "≈ " };
        let count = format::counted(found.total, "package", "packages");
        Some(match query.get().q {
            q if q.is_empty() => format!("{about}{count} in this cache."),
            q => format!("{about}{count} with “{}” in the name.", format::visible(&q)),
        })
    };
    let list = move || match packages.get() {
        None => packages
            .is_waiting()
            .then(|| skeleton(10, "Counting the packages…")),
        Some(found) if found.items.is_empty() => Some(nothing(&slug.get_value(), &query.get())),
        Some(found) => Some(rows(&slug.get_value(), &found, &query.get())),
    };
    let compare = href(&Route::Explore(ExploreRoute::diff(cache, None, None)));
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Packages")}
                    <div class="page-actions">
                        {link_button(Weight::Plain, None, "Compare closures", compare)} {export_menu(exported)} {api_button(path)}
                    </div>
                </div>
                <p class="state-sentence">{changing(sentence)}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {search(slug, query)}
            {failure_of(packages)}
            <div class:is-waiting=move || packages.is_waiting() && packages.is_there()>{changing(list)}</div>
        </div>
    }
    .into_any()
}

/// Part of a name, and the order.
fn search(slug: StoredValue<String>, query: Memo<PackagesQuery>) -> AnyView {
    let navigation = navigation();
    let wrong = RwSignal::new(None::<&'static str>);
    let mut run = as_typed(move |q: String| {
        let Some(before) = query.try_get_untracked() else {
            return;
        };
        let began = before.q.is_empty() != q.is_empty();
        let next = route(
            &slug.get_value(),
            PackagesQuery {
                q,
                cursor: None,
                ..before
            },
        );
        if began {
            navigation.go(&next);
        } else {
            navigation.replace(&next);
        }
    });
    // What is typed becomes the address and is sent: a secret does not.
    let on_input = move |event: web_sys::Event| {
        let text = event_target_value(&event);
        let secret = entry::read(&text) == Entry::Secret;
        wrong.set(secret.then_some(entry::SECRET));
        run(if secret { String::new() } else { text });
    };
    let shown = memo(move || query.get().q);
    let options = move || {
        SORT_WORDS
            .iter()
            .enumerate()
            .map(|(at, &word)| {
                view! { <option value=at.to_string() selected=move || query.get().sort == at>{word}</option> }
            })
            .collect_view()
    };
    view! {
        <div class="packages-tools">
            <div class="browser-search" role="search" aria-label="Names of packages">
                {icon(Icon::Search)}
                <input
                    type="search"
                    id="packages-search"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder="Part of a name"
                    aria-label="Filter these packages"
                    aria-describedby="packages-note"
                    prop:value=move || shown.get()
                    on:input=on_input
                />
                <p class="field-note" id="packages-note">{changing(move || wrong.get())}</p>
            </div>
            <label class="packages-sort">
                "Sort by"
                <select on:change=move |event| {
                    let sort = event_target_value(&event).parse().unwrap_or_default();
                    let next = PackagesQuery { sort, cursor: None, ..query.get_untracked() };
                    navigation.go(&route(&slug.get_value(), next));
                }>{options()}</select>
            </label>
        </div>
    }
    .into_any()
}

fn nothing(cache: &str, query: &PackagesQuery) -> AnyView {
    if query.q.is_empty() {
        return empty(
            "No packages in this cache",
            view! {
                <p>"The bucket holds no narinfo. What is copied into it appears with the next sweep."</p>
                <a class="kept" href=href(&Route::of_cache(cache))>"How to fill it"</a>
            },
        );
    }
    let all = route(
        cache,
        PackagesQuery {
            q: String::new(),
            cursor: None,
            ..query.clone()
        },
    );
    empty(
        "No package has this in its name",
        view! {
            <p>"A package is the name of a path without its version."</p>
            {link_button(Weight::Plain, None, "All packages", href(&all))}
        },
    )
}

fn rows(cache: &str, found: &Page<PackageRow>, query: &PackagesQuery) -> AnyView {
    let rows = found
        .items
        .iter()
        .map(|package| row(cache, package))
        .collect_view();
    let shown = format!(
        "{} of {}",
        format::count(found.items.len() as u64),
        format::counted(found.total, "package", "packages")
    );
    let at = |cursor: Option<String>| {
        href(&route(
            cache,
            PackagesQuery {
                cursor,
                ..query.clone()
            },
        ))
    };
    let first = query.cursor.is_some().then(|| at(None));
    let next = found.next.clone().map(|next| at(Some(next)));
    view! {
        {table("Packages", "table is-sticky", &COLUMNS, rows)}
        {table_foot(shown, first, next)}
    }
    .into_any()
}

fn row(cache: &str, package: &PackageRow) -> AnyView {
    let address = href(&Route::Explore(ExploreRoute::Package {
        cache: cache.to_owned(),
        name: package.name.clone(),
    }));
    let newest = if package.newest.is_empty() {
        view! { <span class="none">"no version"</span> }.into_any()
    } else {
        package.newest.clone().into_any()
    };
    view! {
        <tr>
            <th scope="row" class="grow wrap"><a class="file-name" href=address>{package.name.clone()}</a></th>
            <td class="wrap" data-label="Newest">{newest}</td>
            <td class="number" data-label="Versions">{format::count(package.versions)}</td>
            <td class="number" data-label="Paths">{format::count(package.paths)}</td>
            <td class="number" data-label="Unpacked">{size(package.nar_size)}</td>
            <td class="number col-2" data-label="Stored">{size(package.file_size)}</td>
            <td class="col-3 muted" data-label="Latest">{ago(&package.added_at)}</td>
        </tr>
    }
    .into_any()
}
