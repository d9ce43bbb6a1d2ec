//! The search field of the top bar: a full store path, `hash-name`, a hash or a
//! `.narinfo` URL opens the path; words are searched, with suggestions.

use std::time::Duration;

use leptos::html::Input;
use leptos::leptos_dom::helpers::debounce;
use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::route::{PathsQuery, Route};
use web_sys::{Event, KeyboardEvent};

use crate::api;
use crate::components::announcer::announcer;
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::components::store_path::path_text;
use crate::entry::{self, Entry};
use crate::format;
use crate::state::derived::{effect, memo};
use crate::state::navigation::navigation;
use crate::state::remote::Remote;
use crate::state::session::{Session, session};

/// Suggested paths at most.
const SUGGESTIONS: usize = 7;

/// Milliseconds without a key before suggestions are fetched.
const PAUSE: u64 = 90;

/// Pages that can be found by their name.
const PAGES: [(&str, &str); 4] = [
    ("Connect a machine: nix.conf, NixOS module", "connect"),
    ("Health: findings", "health"),
    ("Help and keyboard", "help"),
    ("Glossary: the words used here", "glossary"),
];

/// Something to choose.
#[derive(Debug, Clone)]
struct Choice {
    route: Route,
    group: &'static str,
    /// A store path, drawn as one; or words.
    path: Option<String>,
    words: String,
    note: String,
}

fn page_route(word: &str, cache: Option<&String>) -> Option<Route> {
    match (word, cache) {
        ("connect", Some(cache)) => Some(Route::connect(cache.as_str())),
        ("connect", None) => "/connect".parse().ok(),
        ("health", Some(cache)) => Some(Route::health(cache.as_str())),
        ("help", _) => Some(Route::Help),
        ("glossary", _) => Some(Route::Glossary),
        _ => None,
    }
}

fn search_route(cache: &str, words: &str) -> Route {
    Route::Paths {
        cache: cache.to_owned(),
        query: PathsQuery {
            q: words.to_owned(),
            ..PathsQuery::default()
        },
    }
}

/// What Enter and the list offer for this text.
fn choices(text: &str, session: Session, found: Option<&Page<PathRow>>) -> Vec<Choice> {
    let cache = session.cache();
    let mut choices = Vec::new();
    match entry::read(text) {
        Entry::Empty | Entry::NotAHash { .. } => {}
        Entry::Path(hash) => {
            if let Some(cache) = cache {
                choices.push(Choice {
                    route: Route::path(cache.as_str(), hash.as_str()),
                    group: "Path",
                    path: None,
                    words: format!("Open {hash}"),
                    note: cache,
                });
            }
        }
        Entry::Words(words) => {
            let of_all = session.caches.get();
            let caches: Vec<&str> = match (&cache, &of_all) {
                (Some(cache), _) => vec![cache],
                (None, Some(all)) => all.items.iter().map(|cache| cache.slug.as_str()).collect(),
                (None, None) => Vec::new(),
            };
            choices.extend(caches.into_iter().take(SUGGESTIONS).map(|cache| Choice {
                route: search_route(cache, &words),
                group: "Search",
                path: None,
                words: format!("Search for “{words}”"),
                note: cache.to_owned(),
            }));
            if let (Some(cache), Some(found)) = (&cache, found) {
                choices.extend(found.items.iter().map(|row| Choice {
                    route: Route::path(cache.as_str(), row.hash.as_str()),
                    group: "Paths",
                    path: Some(row.path.clone()),
                    words: String::new(),
                    note: format::size(row.nar_size),
                }));
            }
            let lower = words.to_ascii_lowercase();
            let pages = PAGES.iter().filter(|(title, _)| {
                lower.len() > 1 && title.to_ascii_lowercase().contains(&lower)
            });
            choices.extend(pages.filter_map(|(title, word)| {
                Some(Choice {
                    route: page_route(word, cache.as_ref())?,
                    group: "Pages",
                    path: None,
                    words: (*title).to_owned(),
                    note: String::new(),
                })
            }));
        }
    }
    choices
}

/// Without a cache in the address: the first one that has the path, else the first one's “not here”.
fn open_in_any_cache(hash: String, session: Session) {
    let navigation = navigation();
    let caches: Vec<String> = session.caches.get_now().map_or_else(Vec::new, |caches| {
        caches
            .items
            .iter()
            .map(|cache| cache.slug.clone())
            .collect()
    });
    spawn_local(async move {
        for cache in &caches {
            let abort = api::Abort::new();
            let path = api::path_path(cache, &hash, "");
            if api::get(path, abort.ticket()).await.is_ok() {
                navigation.go(&Route::path(cache.as_str(), hash.as_str()));
                return;
            }
        }
        if let Some(cache) = caches.first() {
            navigation.go(&Route::path(cache.as_str(), hash.as_str()));
        }
    });
}

/// The field with its list.
pub fn omnibox() -> AnyView {
    let session = session();
    let navigation = navigation();
    let announcer = announcer();
    let input = NodeRef::<Input>::new();
    let text = RwSignal::new(String::new());
    let asked = RwSignal::new(String::new());
    let open = RwSignal::new(false);
    let active = RwSignal::new(None::<usize>);

    let found = Remote::<Page<PathRow>>::new(move || {
        let Entry::Words(words) = entry::read(&asked.get()) else {
            return None;
        };
        let cache = session.cache()?;
        let query = PathsQuery {
            q: words,
            ..PathsQuery::default()
        };
        Some(api::paths_path(&cache, &query, SUGGESTIONS))
    });
    let mut ask = debounce(Duration::from_millis(PAUSE), move |text: String| {
        asked.set(text);
    });
    let offered = memo(move || {
        let text = text.get();
        // Suggestions of an earlier text would be wrong ones.
        let found = (asked.get() == text).then(|| found.get()).flatten();
        choices(&text, session, found.as_deref())
            .into_iter()
            .map(Offered)
            .collect::<Vec<_>>()
    });
    let wrong = memo(move || match entry::read(&text.get()) {
        Entry::NotAHash { letters } => Some(entry::explain_not_a_hash(&letters)),
        _ => None,
    });
    effect(move || {
        if let Some(wrong) = wrong.get() {
            announcer.say(&wrong);
        }
    });

    let close = move || {
        open.set(false);
        active.set(None);
    };
    let go = move |route: &Route| {
        close();
        text.set(String::new());
        if let Some(input) = input.get_untracked() {
            let _ = input.blur();
        }
        navigation.go(route);
    };
    let submit = move || {
        let chosen = offered.with_untracked(|offered| {
            offered
                .get(active.get_untracked().unwrap_or(0))
                .map(|offered| offered.0.route.clone())
        });
        match (chosen, entry::read(&text.get_untracked())) {
            (Some(route), _) => go(&route),
            (None, Entry::Path(hash)) => {
                close();
                text.set(String::new());
                open_in_any_cache(hash, session);
            }
            (None, Entry::NotAHash { .. }) => open.set(true),
            (None, _) => {}
        }
    };
    let step = move |by: isize| {
        let count = offered.with_untracked(Vec::len);
        if count == 0 {
            return;
        }
        open.set(true);
        let last = count.cast_signed() - 1;
        active.update(|active| {
            let next = match *active {
                None if by > 0 => 0,
                None => last,
                Some(at) => at.cast_signed() + by,
            };
            *active = Some(
                if next > last {
                    0
                } else if next < 0 {
                    last
                } else {
                    next
                }
                .cast_unsigned(),
            );
        });
    };
    let on_key = move |event: KeyboardEvent| match event.key().as_str() {
        "ArrowDown" => {
            event.prevent_default();
            step(1);
        }
        "ArrowUp" => {
            event.prevent_default();
            step(-1);
        }
        "Enter" if !event.is_composing() => {
            event.prevent_default();
            submit();
        }
        "Escape" => {
            // The browser would empty the field at once.
            event.prevent_default();
            if open.get_untracked() {
                close();
            } else if let Some(input) = input.get_untracked() {
                text.set(String::new());
                let _ = input.blur();
            }
        }
        _ => {}
    };
    let on_input = move |event: Event| {
        let value = event_target_value(&event);
        text.set(value.clone());
        active.set(None);
        open.set(true);
        ask(value);
    };
    let list_is_open = move || {
        open.get() && (wrong.with(Option::is_some) || offered.with(|offered| !offered.is_empty()))
    };
    let list = move || list_is_open().then(|| draw_list(offered, wrong, active, go));

    view! {
        <div class="omnibox" role="search" on:focusout=move |_| close()>
            {icon(Icon::Search)}
            <input
                node_ref=input
                id="omnibox"
                type="search"
                role="combobox"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                enterkeyhint="go"
                placeholder="/  Search path, hash, name"
                aria-label="Search path, hash or name"
                aria-expanded=move || {
                    (open.get() && offered.with(|offered| !offered.is_empty())).to_string()
                }
                aria-controls="omnibox-list"
                aria-autocomplete="list"
                aria-activedescendant=move || active.get().map(|at| format!("omnibox-{at}"))
                prop:value=move || text.get()
                on:input=on_input
                on:focus=move |_| open.set(true)
                on:keydown=on_key
            />
            {changing(list)}
        </div>
    }
    .into_any()
}

/// A choice that compares by what is shown of it.
#[derive(Debug, Clone)]
struct Offered(Choice);

impl PartialEq for Offered {
    fn eq(&self, other: &Self) -> bool {
        self.0.route == other.0.route && self.0.note == other.0.note
    }
}

fn draw_list(
    offered: Memo<Vec<Offered>>,
    wrong: Memo<Option<String>>,
    active: RwSignal<Option<usize>>,
    go: impl Fn(&Route) + Copy + Send + Sync + 'static,
) -> AnyView {
    let options = move || {
        let mut group = "";
        offered
            .get()
            .into_iter()
            .enumerate()
            .map(|(at, Offered(choice))| {
                let title = (choice.group != group).then(|| {
                    group = choice.group;
                    view! { <div class="omnibox-group" role="presentation">{group}</div> }
                });
                let label = match &choice.path {
                    Some(path) => path_text(path),
                    None => {
                        view! { <span class="omnibox-text break">{choice.words.clone()}</span> }
                            .into_any()
                    }
                };
                let route = choice.route.clone();
                view! {
                    {title}
                    <div
                        class="omnibox-option"
                        role="option"
                        id=format!("omnibox-{at}")
                        aria-selected=move || (active.get() == Some(at)).to_string()
                        // Before the field loses the focus and the list goes.
                        on:mousedown=move |event| {
                            event.prevent_default();
                            go(&route);
                        }
                    >
                        {label}
                        <small>{choice.note.clone()}</small>
                    </div>
                }
            })
            .collect_view()
    };
    view! {
        <div class="omnibox-list" on:mousedown=|event| event.prevent_default()>
            {changing(move || {
                wrong
                    .get()
                    .map(|wrong| {
                        view! {
                            <p class="omnibox-note" id="omnibox-note">
                                {icon(Icon::Warning)}
                                <span>{wrong}</span>
                            </p>
                        }
                    })
            })}
            {changing(move || {
                offered
                    .with(|offered| !offered.is_empty())
                    .then(|| {
                        view! {
                            <div role="listbox" id="omnibox-list" aria-label="Suggestions">
                                {changing(options)}
                            </div>
                        }
                    })
            })}
        </div>
    }
    .into_any()
}
