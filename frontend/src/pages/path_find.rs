//! Files by name in the path and all that it needs: part after part of the closure is looked
//! through, and what was found so far is shown.

use std::sync::Arc;

use leptos::prelude::*;
use snowbank_shared::api::files::{FoundFiles, FoundIn};
use snowbank_shared::contents::address_of;
use snowbank_shared::route::{Route, escape};

use crate::api;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::layout::progress;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::derived::effect;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// Paths with files that are listed; then the search stops.
const MOST: usize = 200;

/// How far a search is.
#[derive(Debug, Clone, Default)]
struct So {
    items: Vec<FoundIn>,
    paths: u64,
    looked_at: u64,
    without_listing: u64,
    /// Where it goes on.
    next: Option<String>,
    /// Somebody or [`MOST`] stopped it.
    stopped: bool,
}

/// What is asked for: the text and the place in the closure.
type Question = Option<(String, Option<String>)>;

/// The section.
pub fn section(page: PathPage) -> AnyView {
    let address = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "find");
    let asked = RwSignal::new(Question::None);
    let so = RwSignal::new(So::default());
    let answers = Remote::<FoundFiles>::new(move || {
        let (wanted, cursor) = asked.get()?;
        let path = format!("{address}?q={}", escape(&wanted));
        Some(api::at_cursor(&path, cursor.as_deref()))
    });
    let taken = StoredValue::new(None::<Arc<FoundFiles>>);
    effect(move || {
        let Some(answer) = answers.get() else { return };
        let known = taken.with_value(|taken| {
            taken
                .as_ref()
                .is_some_and(|taken| Arc::ptr_eq(taken, &answer))
        });
        if known {
            return;
        }
        taken.set_value(Some(Arc::clone(&answer)));
        so.update(|so| so.take(&answer));
        go_on(asked, so);
    });
    let typed = RwSignal::new(String::new());
    let wrong = RwSignal::new(false);
    let look = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let wanted = typed.get_untracked().trim().to_owned();
        wrong.set(wanted.chars().count() < 2);
        if wrong.get_untracked() {
            return;
        }
        so.set(So::default());
        asked.set(Some((wanted, None)));
    };
    let refused = move || {
        wrong.get().then(|| {
            view! { <p class="field-error">"Type at least two characters of a file name."</p> }
        })
    };
    let found = move || {
        let (wanted, _) = asked.get()?;
        let waiting = answers.is_waiting();
        Some(so.with(|so| drawn(page, so, &wanted, waiting, asked)))
    };
    let stop = move || so.update(|so| so.stopped = true);
    let stopping = move || {
        let goes_on = so.with(|so| so.next.is_some() && !so.stopped);
        (goes_on && answers.is_waiting()).then(|| {
            view! {
                <button type="button" class="button" on:click=move |_| stop()>
                    "Stop"
                </button>
            }
        })
    };
    view! {
        <section class="section files-find">
            <h2>"Search names in the closure"</h2>
            <form class="find-search" role="search" aria-label="Names of files in the closure" on:submit=look>
                <input
                    type="search"
                    aria-label="Part of a file name"
                    placeholder="libssl.so"
                    autocomplete="off"
                    spellcheck="false"
                    aria-invalid=move || wrong.get().then_some("true")
                    prop:value=move || typed.get()
                    on:input=move |event| typed.set(event_target_value(&event))
                />
                <button type="submit" class="button">
                    {icon(Icon::Search)}
                    "Search the closure"
                </button>
                {changing(stopping)}
            </form>
            {changing(refused)}
            {failure_of(answers)}
            {changing(found)}
        </section>
    }
    .into_any()
}

impl So {
    fn take(&mut self, answer: &FoundFiles) {
        self.items.extend(answer.items.iter().cloned());
        self.paths = answer.paths;
        self.looked_at += answer.looked_at;
        self.without_listing += answer.without_listing;
        self.next.clone_from(&answer.next);
        self.stopped |= self.items.len() >= MOST;
    }
}

/// Asks for the next part, where there is one and nobody stopped it.
fn go_on(asked: RwSignal<Question>, so: RwSignal<So>) {
    let next = so.with_untracked(|so| so.next.clone().filter(|_| !so.stopped));
    let wanted = asked.with_untracked(|asked| asked.as_ref().map(|(wanted, _)| wanted.clone()));
    if let (Some(next), Some(wanted)) = (next, wanted) {
        asked.set(Some((wanted, Some(next))));
    }
}

fn drawn(
    page: PathPage,
    so: &So,
    wanted: &str,
    waiting: bool,
    asked: RwSignal<Question>,
) -> AnyView {
    let files: u64 = so.items.iter().map(|found| found.total).sum();
    let words = format!(
        "{} with “{}” in {}. Looked at {} of {}.",
        format::counted(files, "name", "names"),
        format::visible(wanted),
        format::counted(so.items.len() as u64, "path", "paths"),
        format::count(so.looked_at),
        format::counted(so.paths, "path", "paths"),
    );
    let without = (so.without_listing > 0).then(|| {
        let words = format!(
            "{} of {} have no listing yet, and were not read for this. Opening a path's files makes one.",
            format::count(so.without_listing),
            format::counted(so.looked_at, "path", "paths"),
        );
        view! { <p class="muted">{words}</p> }
    });
    let bar = (waiting && so.paths > 0).then(|| {
        progress(
            "Paths looked at",
            so.looked_at,
            so.paths,
            format::count(so.looked_at),
        )
    });
    let next = so.next.clone().filter(|_| so.stopped && !waiting);
    let more = next.map(|next| {
        let wanted = wanted.to_owned();
        view! {
            <button
                type="button"
                class="button"
                on:click=move |_| asked.set(Some((wanted.clone(), Some(next.clone()))))
            >
                "Look further"
            </button>
        }
    });
    let cache = page.cache.get_value();
    let rows = so
        .items
        .iter()
        .map(|found| in_path(&cache, found))
        .collect_view();
    view! {
        <p role="status" id="files-found">{words}</p>
        {bar}
        {without}
        <ul class="found-files">{rows}</ul>
        {more}
    }
    .into_any()
}

fn in_path(cache: &str, found: &FoundIn) -> AnyView {
    let files = found
        .files
        .iter()
        .map(|file| {
            let path = file.path().into_owned();
            let word = format::visible(&String::from_utf8_lossy(&path));
            let route = Route::File {
                cache: cache.to_owned(),
                hash: found.hash.clone(),
                file: address_of(&path),
            };
            view! { <li><a class="file-name" href=href(&route)>{word}</a></li> }
        })
        .collect_view();
    let left = found.total - found.files.len() as u64;
    let more = (left > 0).then(|| {
        let words = format!("and {} more", format::count(left));
        view! { <li class="muted">{words}</li> }
    });
    view! {
        <li>
            {path_link(cache, &found.hash, &found.name)}
            <ul>{files} {more}</ul>
        </li>
    }
    .into_any()
}
