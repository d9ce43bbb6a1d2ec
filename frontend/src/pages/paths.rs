//! The path browser: search, order, filters and place are the address. Around
//! the list: facets ([`paths_facets`](crate::pages::paths_facets)), columns
//! ([`paths_columns`](crate::pages::paths_columns)), keys
//! ([`paths_keys`](crate::pages::paths_keys)), and what chosen rows weigh
//! ([`paths_selection`](crate::pages::paths_selection)). The rows come in plain pages or
//! all in one window ([`paths_window`](crate::pages::paths_window)).

use leptos::html::Input;
use leptos::prelude::*;
use snowbank_shared::api::{Facets, Page, PathRow};
use snowbank_shared::route::{PathsQuery, Route};

use crate::api;
use crate::components::ago::now;
use crate::components::announcer::announcer;
use crate::components::api_button::api_button;
use crate::components::changing::changing;
use crate::components::copy::copy_link_button;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::index_line::{index_banner, index_line};
use crate::components::offer::offer;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::entry::{self, Entry};
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::paths_columns::{Shown, view_menu};
use crate::pages::paths_facets::{begin_open, facets, moment};
use crate::pages::paths_filters::active_filters;
use crate::pages::paths_selection::{Chosen, selection_bar};
use crate::pages::paths_table::paths_table;
use crate::pages::paths_window::{self, Window};
use crate::pages::{paths_keys, paths_link};
use crate::state::derived::{effect, memo};
use crate::state::keyboard::focus;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{Navigation, absolute, href, navigation};
use crate::state::remote::Remote;
use crate::state::typing::as_typed;

/// What the browser shows, and how to change it. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Browser {
    /// Slug of the cache.
    pub cache: StoredValue<String>,
    /// What the address asks for.
    pub query: Memo<PathsQuery>,
    /// The rows.
    pub rows: Remote<Page<PathRow>>,
    /// What each filter would show, as of the same time as the rows.
    pub facets: Remote<Facets>,
    /// The facets are unfolded.
    pub facets_open: RwSignal<bool>,
    /// The columns.
    pub shown: Shown,
    /// The chosen rows.
    pub chosen: Chosen,
    /// All rows in one list, where that is what is shown.
    pub window: Window,
    /// The cache and its index.
    pub live: LiveCache,
    navigation: Navigation,
}

impl Browser {
    /// The address of another search in this cache.
    pub fn route(self, query: PathsQuery) -> Route {
        Route::Paths {
            cache: self.cache.get_value(),
            query,
        }
    }

    /// The address of what is shown, for somebody else: it says when it was made.
    pub fn frozen(self) -> Route {
        let query = self.query.get_untracked();
        self.route(PathsQuery {
            at: Some(moment(now())),
            ..query
        })
    }

    /// Changes the search and begins at its first page; Back leads to the one before.
    pub fn change(self, change: impl FnOnce(&mut PathsQuery)) {
        let mut query = self.query.get_untracked().first_page();
        change(&mut query);
        self.navigation.go(&self.route(query));
    }

    /// All rows are in one window; tracked.
    pub fn is_window(self) -> bool {
        self.query.with(|query| self.window.shows(query))
    }

    /// A row that is shown; not tracked.
    pub fn row(self, hash: &str) -> Option<PathRow> {
        if untrack(|| self.is_window()) {
            return self.window.find(hash);
        }
        let page = self.rows.get_now()?;
        page.items.iter().find(|row| row.hash == hash).cloned()
    }

    /// The rows around one, those that a range may be chosen from; not tracked.
    pub fn rows_around(self, hash: &str) -> Vec<PathRow> {
        if untrack(|| self.is_window()) {
            return self.window.around(hash);
        }
        self.rows
            .get_now()
            .map(|page| page.items.clone())
            .unwrap_or_default()
    }

    /// The address says which row is at the top of the window, counted from 1.
    pub fn stand_at(self, row: u64) {
        let query = self.query.get_untracked();
        if untrack(|| self.is_window()) && query.row.unwrap_or(1) != row {
            let row = Some(row);
            self.navigation
                .replace(&self.route(PathsQuery { row, ..query }));
        }
    }

    /// Changes the words while somebody types: one entry in the history, not one a letter.
    fn retype(self, words: String) {
        let mut query = self.query.get_untracked().first_page();
        let began = query.q.is_empty() != words.is_empty();
        query.q = words;
        let route = self.route(query);
        if began {
            self.navigation.go(&route);
        } else {
            self.navigation.replace(&route);
        }
    }
}

/// The page.
pub fn page(slug: &str) -> AnyView {
    let live = live_cache();
    let navigation = navigation();
    let query = Memo::new(
        move |before: Option<&PathsQuery>| match navigation.route() {
            Some(Route::Paths { query, .. }) => query,
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        },
    );
    let rows = {
        let slug = slug.to_owned();
        // Another row of the window is no other list.
        let path = memo(move || api::paths_path(&slug, &query.get(), api::PAGE_ROWS));
        Remote::<Page<PathRow>>::new(move || {
            live.renewals.track();
            Some(path.get())
        })
    };
    // Once there are rows, and again with them: a number beside a filter never speaks of
    // another state of the cache than the rows do.
    let revision = memo(move || Some(rows.get()?.revision.clone()));
    let facet_counts = {
        let slug = slug.to_owned();
        // Another order or place asks for the same: nothing is fetched then.
        let path = memo(move || api::facets_path(&slug, &query.get()));
        Remote::<Facets>::new(move || {
            revision.get()?;
            Some(path.get())
        })
    };
    let browser = Browser {
        cache: StoredValue::new(slug.to_owned()),
        query,
        rows,
        facets: facet_counts,
        facets_open: RwSignal::new(begin_open()),
        shown: Shown::start(),
        chosen: Chosen::new(),
        window: Window::new(),
        live,
        navigation,
    };
    paths_keys::listen(browser);
    {
        let slug = slug.to_owned();
        page_title(move || {
            let words = query.with(|query| query.q.clone());
            if words.is_empty() {
                format!("Paths – {slug}")
            } else {
                format!("{words} – Paths – {slug}")
            }
        });
    }
    announce(browser);
    begin_at_top(browser);
    let api_path = {
        let slug = slug.to_owned();
        move || api::paths_path(&slug, &query.get(), api::PAGE_ROWS)
    };
    let exported = move || {
        Some(Exported {
            path: api::all_paths_path(&browser.cache.get_value(), &query.get()),
            columns: browser.shown.fields(),
            rows: rows.get()?.total,
        })
    };
    let link = move || absolute(&browser.frozen().to_string());
    let actions = view! {
        {copy_link_button(link)}
        {view_menu(browser.shown)}
        {export_menu(exported)}
        {api_button(api_path)}
    };
    view! {
        <div class="page paths-page">
            <div class="page-head">
                <div class="page-head-row">{heading("Paths")} <div class="page-actions">{actions}</div></div>
                <p class="state-sentence" id="paths-state">{changing(move || state_sentence(browser))}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {paths_link::made_at(browser)}
            <div class="browser-place">
                <div class="browser">
                    {facets(browser)}
                    <div class="browser-main">
                        {search_field(browser)}
                        {active_filters(browser)}
                        {changed_since(browser)}
                        {failure_of(rows)}
                        {content(browser)}
                    </div>
                </div>
            </div>
            {selection_bar(browser.cache, browser.chosen)}
        </div>
    }
    .into_any()
}

/// How many match, in words.
fn state_sentence(browser: Browser) -> Option<String> {
    let page = browser.rows.get()?;
    let about = if page.complete { "" } else { "≈ " };
    let total = format::count(page.total);
    let noun = if page.total == 1 { "path" } else { "paths" };
    let query = browser.query.get();
    Some(if query.is_unfiltered() {
        format!("{about}{total} {noun} in this cache.")
    } else if query.q.is_empty() {
        format!("{about}{total} {noun} match these filters.")
    } else {
        let verb = if page.total == 1 { "matches" } else { "match" };
        format!(
            "{about}{total} {noun} {verb} “{}”.",
            format::visible(&query.q)
        )
    })
}

/// Says the count when it changed, for those who do not see it.
fn announce(browser: Browser) {
    let announcer = announcer();
    Effect::new(move |before: Option<Option<String>>| {
        let sentence = state_sentence(browser);
        if let (Some(Some(before)), Some(now)) = (&before, &sentence)
            && before != now
            && !browser.live.is_partial()
        {
            announcer.say(now);
        }
        sentence
    });
}

fn search_field(browser: Browser) -> AnyView {
    let input = NodeRef::<Input>::new();
    let mut run = as_typed(move |words: String| {
        browser.retype(words);
    });
    // The address may change without this field: by Back, by a link.
    effect(move || {
        let words = browser.query.with(|query| query.q.clone());
        if let Some(input) = input.get()
            && document().active_element().as_ref() != Some(input.as_ref())
        {
            input.set_value(&words);
        }
    });
    let refused = RwSignal::new(false);
    let wrong = memo(
        move || match entry::read(&browser.query.with(|query| query.q.clone())) {
            _ if refused.get() => Some(entry::SECRET.to_owned()),
            Entry::NotAHash { letters } => Some(entry::explain_not_a_hash(&letters)),
            _ => None,
        },
    );
    // What is typed becomes the address and is sent: a secret does not.
    let on_input = move |event: web_sys::Event| {
        let words = event_target_value(&event);
        let secret = entry::read(&words) == Entry::Secret;
        refused.set(secret);
        if let Some(input) = input.get_untracked().filter(|_| secret) {
            input.set_value("");
        }
        run(if secret { String::new() } else { words });
    };
    view! {
        <div class="browser-search">
            {icon(Icon::Search)}
            <input
                node_ref=input
                type="search"
                id="paths-search"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                placeholder="Name, hash, store path"
                aria-label="Filter these paths"
                aria-describedby="paths-search-note"
                value=browser.query.get_untracked().q
                on:input=on_input
            />
            <p class="field-note" id="paths-search-note">{changing(move || wrong.get())}</p>
        </div>
    }
    .into_any()
}

/// A change of these rows is offered, not forced: nothing moves that is being
/// read. The index has a new revision with every sweep, so the rows are asked
/// for once more in the background, and compared.
fn changed_since(browser: Browser) -> AnyView {
    let fresh = Remote::<Page<PathRow>>::new(move || {
        let shown = browser.rows.get()?.revision.clone();
        let now = browser.live.index.get()?.revision;
        let settled = !browser.live.is_partial() && !browser.rows.is_waiting();
        let query = browser.query.get();
        (settled && shown != now)
            .then(|| api::paths_path(&browser.cache.get_value(), &query, api::PAGE_ROWS))
    });
    let differs = memo(move || {
        let (Some(shown), Some(fresh), Some(index)) =
            (browser.rows.get(), fresh.get(), browser.live.index.get())
        else {
            return false;
        };
        shown.revision != fresh.revision
            && fresh.revision == index.revision
            && !browser.rows.is_waiting()
            && (shown.total != fresh.total || shown.items != fresh.items)
    });
    offer(
        move || {
            differs
                .get()
                .then_some("The cache has changed since this list was made.")
        },
        move || browser.rows.reload(),
    )
}

/// What stands below the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// No answer yet.
    Waiting,
    /// No answer, and why is said above.
    Failed,
    /// An answer without rows.
    Nothing,
    /// A page of rows.
    Rows,
    /// All rows in a window.
    Window,
}

/// Drawn anew only where its kind changes: the head of the table keeps the focus
/// while its rows are exchanged.
fn content(browser: Browser) -> AnyView {
    let kind = memo(move || match browser.rows.get() {
        None if browser.rows.error().is_none() => Content::Waiting,
        None => Content::Failed,
        Some(page) if page.items.is_empty() => Content::Nothing,
        Some(_) if browser.is_window() => Content::Window,
        Some(_) => Content::Rows,
    });
    let drawn = move || {
        match kind.get() {
        Content::Waiting => skeleton(14, "Reading paths…"),
        Content::Failed => ().into_any(),
        Content::Nothing => (move || {
            browser.rows.get();
            nothing(browser)
        })
        .into_any(),
        Content::Rows => view! {
            <div class:is-waiting=move || browser.rows.is_waiting()>
                {paths_table(browser)} {changing(move || foot(browser))}
            </div>
        }
        .into_any(),
        Content::Window => view! {
            <div class:is-waiting=move || browser.rows.is_waiting()>{paths_window::list(browser)}</div>
        }
        .into_any(),
    }
    };
    view! { {changing(drawn)} }.into_any()
}

/// How many of how many, and the ways to the other pages.
fn foot(browser: Browser) -> Option<AnyView> {
    let page = browser.rows.get()?;
    let query = browser.query.get_untracked();
    let first = query.cursor.is_some().then(|| {
        view! {
            <a class="button" href=href(&browser.route(query.first_page()))>
                {icon(Icon::First)}
                "First page"
            </a>
        }
    });
    let next = page.next.clone().map(|cursor| {
        let next = PathsQuery {
            cursor: Some(cursor),
            ..query
        };
        view! {
            <a class="button" rel="next" href=href(&browser.route(next))>
                "Next page"
                {icon(Icon::Next)}
            </a>
        }
    });
    // One page needs no window.
    let all = (first.is_some() || next.is_some()).then(|| paths_window::way_to_window(browser));
    let shown = format::counted(page.items.len() as u64, "row", "rows");
    let about = if page.complete { "" } else { "≈ " };
    let total = format::count(page.total);
    Some(
        view! {
            <div class="table-foot">
                <span>{shown} " of " {about} {total}</span>
                <span class="page-actions">{all} {first} {next}</span>
            </div>
        }
        .into_any(),
    )
}

/// Another page of the list begins at its top.
fn begin_at_top(browser: Browser) {
    Effect::new(move |before: Option<Option<String>>| {
        let cursor = browser.query.with(|query| query.cursor.clone());
        if before.is_some_and(|before| before != cursor && cursor.is_some()) {
            window().scroll_to_with_x_and_y(0.0, 0.0);
            focus("main h1");
        }
        cursor
    });
}

/// No rows: because there are none, because of the filters, or not yet.
fn nothing(browser: Browser) -> AnyView {
    let query = browser.query.get_untracked();
    if browser.live.is_partial() {
        return view! {
            <section class="empty">
                <h2>"Nothing found yet"</h2>
                <p>"The bucket is still being read. Rows appear here by themselves as they are found."</p>
            </section>
        }
        .into_any();
    }
    if query.is_unfiltered() {
        return view! {
            <section class="empty">
                <h2>"No paths in this cache"</h2>
                <p>"The bucket holds no narinfo. What is copied into it appears with the next sweep."</p>
                <a href=href(&Route::of_cache(browser.cache.get_value()))>"How to fill it"</a>
            </section>
        }
        .into_any();
    }
    view! {
        <section class="empty">
            <h2>"No path matches these filters"</h2>
            {changing(move || crate::pages::paths_filters::what_removes_all(browser))}
            <a class="button" href=href(&Route::paths(browser.cache.get_value()))>
                "Clear all filters"
            </a>
        </section>
    }
    .into_any()
}
