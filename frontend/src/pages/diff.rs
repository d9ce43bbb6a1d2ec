//! What differs between two closures: the sentence, five sections, and the same to take along.

use leptos::prelude::*;
use snowbank_shared::api::Diff;
use snowbank_shared::route::{PinsRoute, Route, ends_text, escape};

use crate::components::announcer::announcer;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::copy::copy_and_say;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_now;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::menu::menu;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::diff_table::sections;
use crate::pages::diff_words::{Order, markdown, summary, text};
use crate::pages::explore_ends::{Compares, Ends};
use crate::state::derived::memo;
use crate::state::live::live_cache;
use crate::state::navigation::{absolute, close_menus, href, with_base};
use crate::state::remote::Remote;

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let ends = Ends::follow(cache, Compares::Diff);
    let diff = Remote::<Diff>::new(move || {
        live.renewals.track();
        ends.api_path()
    });
    let chosen = memo(move || ends.api_path().is_some());
    let cache = cache.to_owned();
    page_title(move || match diff.get().filter(|_| chosen.get()) {
        Some(diff) => {
            let name = |path: &str| format::split_path(path).1.to_owned();
            let (from, to) = (name(&diff.from.path), name(&diff.to.path));
            format!("{from} → {to} – Compare – {cache}")
        }
        None => format!("Compare – {cache}"),
    });
    let filter = Field::new("Filter", "");
    let order = Field::new("Sort by", "");
    order.value.set(Order::ALL[0].1.to_owned());
    let gone = memo(move || diff.error().is_some_and(|error| error.is_not_found()));
    let differs = memo(move || diff.get().is_some_and(|diff| !diff.items.is_empty()));
    let there = memo(move || chosen.get() && !gone.get() && diff.is_there());
    let body = move || {
        if !chosen.get() {
            return start(ends);
        }
        if gone.get() {
            let why = diff.error().map(|error| error.why());
            let words = view! { <p>{why}</p> <p>"Choose another one above."</p> };
            return banner(Tone::Warn, "There is nothing to compare", words, ());
        }
        if !there.get() {
            let waits = diff.error().is_none();
            return view! { {failure_now(diff)} {waits.then(|| skeleton(10, "Walking both closures…"))} }
                .into_any();
        }
        view! {
            {changing(move || failure_now(diff))}
            <div class="diff" class:is-waiting=move || diff.is_waiting()>
                {changing(move || diff.get().map(|diff| head(ends, &diff)))}
                {changing(move || differs.get().then(|| tools(filter, order)))}
                {changing(move || diff.get().map(|diff| lists(ends, &diff, filter, order)))}
                {changing(move || badge(ends))}
            </div>
        }
        .into_any()
    };
    let actions = move || {
        there.get().then(|| {
            let exported = move || {
                Some(Exported {
                    path: ends.api_path()?,
                    columns: String::new(),
                    rows: diff.get()?.items.len() as u64,
                })
            };
            view! {
                {copy_menu(ends, diff)}
                {export_menu(exported)}
                {api_button(move || ends.api_path().unwrap_or_default())}
            }
        })
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Compare closures")} <div class="page-actions">{changing(actions)}</div>
                </div>
                <p class="state-sentence">
                    "Two paths with everything that each needs, package by package."
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {ends.form("Left", "Right")}
            {changing(body)}
        </div>
    }
    .into_any()
}

/// Not both sides are chosen.
fn start(ends: Ends) -> AnyView {
    let pins = href(&Route::Pins(PinsRoute::Pins {
        cache: ends.cache.get_value(),
    }));
    let title = match ends.get() {
        (Some(_), None) => "Compare it with what?",
        (None, Some(_)) => "What was before?",
        _ => "Choose two sides",
    };
    empty(
        title,
        view! {
            <p>"Each is a path by its name or hash, or a pin such as prod or prod@13. What a machine has goes to the left, what it will have to the right."</p>
            <a class="kept" href=pins>"Pins of this cache"</a>
        },
    )
}

/// The sentence, or that nothing differs.
fn head(ends: Ends, diff: &Diff) -> AnyView {
    let cache = ends.cache.get_value();
    let link = |path: &str| {
        let (hash, name) = format::split_path(path);
        path_link(&cache, hash, name)
    };
    if diff.from.path == diff.to.path {
        let words = view! {
            <p class="wraps">{link(&diff.from.path)}</p>
            <p>"Both sides are the same path, so their closures are identical."</p>
        };
        return banner(Tone::Ok, "Identical", words, ());
    }
    let (words, download) = summary(diff);
    view! {
        <p class="diff-summary" id="diff-summary">{words} <b>{download}</b> "."</p>
        <p class="wraps diff-paths">
            {link(&diff.from.path)} <span aria-hidden="true">" → "</span> {link(&diff.to.path)}
        </p>
    }
    .into_any()
}

/// What narrows and orders the rows.
fn tools(filter: Field, order: Field) -> AnyView {
    let orders = Order::ALL.map(|(_, value, word)| (value.to_owned(), word.to_owned()));
    view! {
        <div class="diff-tools" role="search" aria-label="Packages that differ">
            {text_field(filter, "search", "off")} {select_field(order, orders.to_vec())}
        </div>
    }
    .into_any()
}

fn lists(ends: Ends, diff: &Diff, filter: Field, order: Field) -> Option<AnyView> {
    if diff.from.path == diff.to.path {
        return None;
    }
    let chosen = order.value.get();
    let order = Order::ALL.iter().find(|(_, value, _)| *value == chosen);
    let order = order.map_or(Order::Nar, |(order, ..)| *order);
    let cache = ends.cache.get_value();
    Some(sections(&cache, diff, &filter.value.get(), order))
}

/// A picture for other pages, with the line that shows it there.
fn badge(ends: Ends) -> AnyView {
    let (from, to) = ends.get();
    let page = ends.route(from.as_deref(), to.as_deref()).to_string();
    let both = ends_text(from.as_deref(), to.as_deref());
    let cache = ends.cache.get_value();
    let picture = format!("/c/{}/diff/{both}/badge.svg", escape(&cache));
    let line = format!("[![closure]({})]({})", absolute(&picture), absolute(&page));
    let shown = RwSignal::new(false);
    let drawn = move || {
        shown.get().then(|| {
            view! {
                <p><img class="badge" src=with_base(&picture) alt="By how much the closure grew" /></p>
                <p>"A picture for a README or a pull request. With pins it follows them; others see it where the cache is public."</p>
                {code_line("Markdown of the badge", line.clone())}
            }
        })
    };
    view! {
        <details class="explain diff-badge" on:toggle=move |_| shown.set(true)>
            <summary>"Badge"</summary>
            <div>{changing(drawn)}</div>
        </details>
    }
    .into_any()
}

/// The whole difference into the clipboard.
fn copy_menu(ends: Ends, diff: Remote<Diff>) -> AnyView {
    let announcer = announcer();
    let entry = move |word: &'static str, note: &'static str, make: fn(&Diff, &str) -> String| {
        let copy = move |_| {
            let Some(diff) = diff.get_now() else { return };
            let (from, to) = untrack(|| ends.get());
            let page = ends.route(from.as_deref(), to.as_deref()).to_string();
            copy_and_say(make(&diff, &absolute(&page)), announcer);
            close_menus(None);
        };
        view! {
            <button type="button" aria-label=format!("Copy as {word}") on:click=copy>
                {word}
                <small>{note}</small>
            </button>
        }
        .into_any()
    };
    let entries = vec![
        entry("Markdown", "a table, as GitHub draws it", markdown),
        entry("JSON", "as the API", |diff, _| {
            serde_json::to_string_pretty(diff).unwrap_or_default()
        }),
        entry("Text", "a line for each package", |diff, _| text(diff)),
    ];
    menu(Icon::Copy, "Copy", true, entries)
}
