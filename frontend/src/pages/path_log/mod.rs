//! The build log of the path, as its cache has it: numbered lines, each with an address, in
//! parts that a browser lays out at ease; a search; the whole as a download.

mod text;

use std::sync::Arc;

use leptos::prelude::*;

use crate::api;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::derived::memo;
use crate::state::navigation::{absolute, with_base};
use crate::state::remote::Remote;

use text::{Log, plain};

/// Bytes of a log that are shown.
const HEAD: u64 = 4 << 20;
/// Lines that are laid out at once.
const PART: usize = 1_000;
/// Lines found that are listed.
const MOST_FOUND: usize = 100;

/// What of the log is shown. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Shown {
    /// The part, from 0.
    part: RwSignal<usize>,
    /// The line that the address names, from 1.
    line: RwSignal<Option<usize>>,
}

impl Shown {
    /// Shows a line and the part that it is in.
    fn go(self, line: usize) {
        self.part.set((line.max(1) - 1) / PART);
        self.line.set(Some(line));
        request_animation_frame(move || {
            if let Some(element) = document().get_element_by_id(&format!("L{line}")) {
                element.scroll_into_view();
            }
        });
    }
}

/// The line that the address ends with.
fn line_of_address() -> Option<usize> {
    let hash = window().location().hash().ok()?;
    hash.strip_prefix("#L")?.parse().ok()
}

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    let address = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "log");
    let head = format!("{address}?head={HEAD}");
    let bytes = Remote::of_bytes(move || Some(head.clone()));
    let missing = move || bytes.error().filter(api::ApiError::is_not_found);
    let log = memo(move || bytes.get().map(|bytes| Arc::new(Log::read(&bytes))));
    let body = move || {
        if let Some(error) = missing() {
            let words = view! { <p>{error.why()}</p> };
            return empty("There is no build log here", words);
        }
        match log.get() {
            None if bytes.error().is_none() => skeleton(12, "Fetching the log…"),
            None => failure_of(bytes),
            Some(log) => {
                let length = bytes.get_now().map_or(0, |bytes| bytes.len() as u64);
                shown(&address, log, length)
            }
        }
    };
    view! { <section class="section log">{changing(body)}</section> }.into_any()
}

fn shown(address: &str, log: Arc<Log>, length: u64) -> AnyView {
    if log.lines.is_empty() {
        return view! { <p class="muted">"The log is empty: the build printed nothing."</p> }
            .into_any();
    }
    let shown = Shown {
        part: RwSignal::new(0),
        line: RwSignal::new(None),
    };
    let count = log.lines.len();
    let follow = move || {
        if let Some(line) = line_of_address().filter(|line| (1..=count).contains(line)) {
            shown.go(line);
        }
    };
    follow();
    let other = window_event_listener(leptos::ev::hashchange, move |_| follow());
    on_cleanup(move || other.remove());
    let raw = with_base(&format!("/api/v1{address}"));
    let full = absolute(&format!("/api/v1{address}"));
    let cut = (length >= HEAD).then(|| {
        let words = format!(
            "The first {} of it are shown. The download has all of it.",
            format::size(HEAD)
        );
        view! { <p class="muted">{words}</p> }
    });
    let lines = StoredValue::new(log);
    let drawn = move || {
        let first = shown.part.get() * PART;
        lines.with_value(|log| {
            let end = log.lines.len().min(first + PART);
            (first..end)
                .map(|at| line(shown, at + 1, &log.lines[at]))
                .collect_view()
        })
    };
    let parts = count.div_ceil(PART);
    view! {
        <p class="muted">
            "What the builder printed, as whoever uploaded it left it here. No signature covers it."
        </p>
        {cut}
        <div class="section-head">
            <p class="closure-totals">
                <b>{format::counted(count as u64, "line", "lines")}</b>
            </p>
            <div class="page-actions">
                <a class="button" href=raw download="build.log" rel="external">
                    {icon(Icon::Download)}
                    "Download"
                </a>
                {copy_button("Copy the log's URL", true, move || full.clone())}
            </div>
        </div>
        {search(shown, lines)}
        {(parts > 1).then(|| pager(shown, parts, count))}
        <div class="code log-text" tabindex="0" role="group" aria-label="The log">
            <ol>{changing(drawn)}</ol>
        </div>
        {(parts > 1).then(|| pager(shown, parts, count))}
    }
    .into_any()
}

fn line(shown: Shown, number: usize, pieces: &[text::Piece]) -> AnyView {
    let pieces = pieces
        .iter()
        .map(|piece| {
            let text = piece.text.clone();
            match piece.class {
                "" => text.into_any(),
                class => view! { <span class=class>{text}</span> }.into_any(),
            }
        })
        .collect_view();
    view! {
        <li id=format!("L{number}") class:is-here=move || shown.line.get() == Some(number)>
            <a
                href=format!("#L{number}")
                aria-label=format!("Line {number}")
            >
                {number.to_string()}
            </a>
            <code>{pieces}</code>
        </li>
    }
    .into_any()
}

/// Which lines are shown, and the ways to the others.
fn pager(shown: Shown, parts: usize, count: usize) -> AnyView {
    let words = move || {
        let first = shown.part.get() * PART;
        format!(
            "Lines {} to {}",
            format::count(first as u64 + 1),
            format::count(count.min(first + PART) as u64)
        )
    };
    let step = move |to: usize, word: &'static str, picture: Icon| {
        view! {
            <button type="button" class="button" on:click=move |_| shown.part.set(to)>
                {icon(picture)}
                {word}
            </button>
        }
    };
    let ways = move || {
        let part = shown.part.get();
        view! {
            {(part > 0).then(|| step(0, "First", Icon::First))}
            {(part > 0).then(|| step(part - 1, "Earlier", Icon::Up))}
            {(part + 1 < parts).then(|| step(part + 1, "Later", Icon::Down))}
            {(part + 1 < parts).then(|| step(parts - 1, "Last", Icon::Next))}
        }
        .into_any()
    };
    view! {
        <div class="table-foot">
            <span>{changing(words)}</span>
            <span class="page-actions">{changing(ways)}</span>
        </div>
    }
    .into_any()
}

/// The search, and the lines that it finds.
fn search(shown: Shown, lines: StoredValue<Arc<Log>>) -> AnyView {
    let typed = RwSignal::new(String::new());
    let wanted = RwSignal::new(String::new());
    let look = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        wanted.set(typed.get_untracked().trim().to_owned());
    };
    let found = move || {
        let wanted = wanted.get();
        if wanted.is_empty() {
            return ().into_any();
        }
        let (found, count) = lines.with_value(|log| log.find(&wanted, MOST_FOUND));
        let more = if count > found.len() {
            format!("; the first {MOST_FOUND} are listed")
        } else {
            String::new()
        };
        let words = format!(
            "{} with “{}”{more}.",
            format::counted(count as u64, "line", "lines"),
            format::visible(&wanted)
        );
        let hits = found
            .into_iter()
            .map(|number| {
                let text = lines.with_value(|log| plain(&log.lines[number - 1]));
                let text: String = text.trim().chars().take(200).collect();
                view! {
                    <li>
                        <a
                            href=format!("#L{number}")
                            on:click=move |_| shown.go(number)
                        >
                            {format::count(number as u64)}
                        </a>
                        <code>{text}</code>
                    </li>
                }
            })
            .collect_view();
        view! {
            <p role="status">{words}</p>
            <ol class="log-found">{hits}</ol>
        }
        .into_any()
    };
    view! {
        <form class="files-search" role="search" aria-label="Lines of the log" on:submit=look>
            <input
                type="search"
                aria-label="Text in the log"
                placeholder="Search this log"
                autocomplete="off"
                spellcheck="false"
                prop:value=move || typed.get()
                on:input=move |event| typed.set(event_target_value(&event))
            />
            <button type="submit" class="button">
                {icon(Icon::Search)}
                "Search"
            </button>
        </form>
        {changing(found)}
    }
    .into_any()
}
