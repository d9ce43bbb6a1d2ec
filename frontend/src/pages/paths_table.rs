//! The rows of the path browser: sorted by the head, walked by keyboard.

use leptos::html::Tbody;
use leptos::prelude::*;
use snowbank_shared::api::PathRow;
use snowbank_shared::route::{Sort, SortKey};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use crate::components::ago::ago;
use crate::components::announcer::announcer;
use crate::components::changing::changing;
use crate::components::chip::{content_chip, signature_chip};
use crate::components::copy::{copy_button, copy_text};
use crate::components::icon::{Icon, icon};
use crate::components::size::{size, size_or};
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::paths::Browser;
use crate::state::keyboard::single_keys_act;
use crate::state::navigation::href;
use crate::state::preferences::preferences;

/// A column that can be sorted: key, word, class, whether the first click sorts descending.
type Column = (SortKey, &'static str, &'static str, bool);

const COLUMNS: [Column; 7] = [
    (SortKey::Name, "Path", "", false),
    (SortKey::NarSize, "NAR size", "number", true),
    (SortKey::FileSize, "Download", "number col-3", true),
    (SortKey::ClosureSize, "Closure", "number", true),
    (SortKey::AddedAt, "Added", "col-2", true),
    (SortKey::Signature, "Signature", "", true),
    (SortKey::Content, "Content", "col-2", true),
];

/// The order that a click on a column's head gives.
fn next_sort(now: Sort, key: SortKey, descending_first: bool) -> Sort {
    Sort {
        key,
        descending: if now.key == key {
            !now.descending
        } else {
            descending_first
        },
    }
}

fn head(browser: Browser, (key, word, class, descending_first): Column) -> AnyView {
    let sort = move || browser.query.with(|query| query.sort);
    let link = move || {
        let mut query = browser.query.get().first_page();
        query.sort = next_sort(query.sort, key, descending_first);
        href(&browser.route(query))
    };
    let direction = move || {
        let sort = sort();
        (sort.key == key).then_some(if sort.descending {
            "descending"
        } else {
            "ascending"
        })
    };
    let arrow = move || {
        direction().map(|direction| {
            icon(if direction == "descending" {
                Icon::Down
            } else {
                Icon::Up
            })
        })
    };
    view! {
        <th scope="col" class=class aria-sort=direction>
            <a href=link>{word} {changing(arrow)}</a>
        </th>
    }
    .into_any()
}

/// On a phone there is no head to click on.
fn narrow_sort(browser: Browser) -> AnyView {
    let options = move || {
        let now = browser.query.with(|query| query.sort);
        COLUMNS
            .iter()
            .flat_map(|&(key, word, ..)| {
                [(true, "down"), (false, "up")].map(|(descending, direction)| {
                    let sort = Sort { key, descending };
                    view! {
                        <option value=sort.to_string() selected=sort == now>
                            {format!("{word}, {direction}")}
                        </option>
                    }
                })
            })
            .collect_view()
    };
    view! {
        <label class="sort-narrow">
            "Sort by"
            <select on:change=move |event| {
                if let Ok(sort) = event_target_value(&event).parse() {
                    browser.change(|query| query.sort = sort);
                }
            }>{changing(options)}</select>
        </label>
    }
    .into_any()
}

fn row(cache: &str, row: &PathRow, about: &'static str) -> AnyView {
    let path = row.path.clone();
    let closure = row
        .closure_paths
        .map(|paths| format!("Closure of {}", format::counted(paths, "path", "paths")));
    view! {
        <tr data-path=row.path.clone()>
            <th scope="row" class="grow">{path_link(cache, &row.hash, &row.name)}</th>
            <td class="number" data-label="NAR size">{size(row.nar_size)}</td>
            <td class="number col-3" data-label="Download">{size_or(row.file_size, "unknown")}</td>
            <td class="number" data-label="Closure" title=closure>
                {about} {size_or(row.closure_size, "not yet")}
            </td>
            <td class="col-2" data-label="Added">
                <span class="muted">{ago(&row.added_at)}</span>
            </td>
            <td data-label="Signature">{signature_chip(row.signature, row.signature_problem)}</td>
            <td class="col-2" data-label="Content">{content_chip(row.content)}</td>
            <td class="row-action">{copy_button("Copy store path", false, move || path.clone())}</td>
        </tr>
    }
    .into_any()
}

/// Moves the focus to the row after (`by` 1) or before (`by` -1) the one that has it.
fn step(body: &HtmlElement, by: i32) {
    let Ok(links) = body.query_selector_all("a.store-path") else {
        return;
    };
    let focused = document()
        .active_element()
        .and_then(|element| element.closest("tr").ok().flatten());
    let here: Option<u32> = (0..links.length()).find(|at| {
        let row = links
            .item(*at)
            .and_then(|link| link.dyn_into::<HtmlElement>().ok())
            .and_then(|link| link.closest("tr").ok().flatten());
        row.is_some() && row == focused
    });
    let next = match (here, by) {
        (Some(at), _) => at.checked_add_signed(by),
        (None, 1) => Some(0),
        (None, _) => links.length().checked_sub(1),
    };
    let link = next
        .and_then(|at| links.item(at))
        .and_then(|link| link.dyn_into::<HtmlElement>().ok());
    if let Some(link) = link {
        let _ = link.focus();
    }
}

/// The store path of the row that has the focus.
fn focused_path() -> Option<String> {
    document()
        .active_element()?
        .closest("tr[data-path]")
        .ok()??
        .get_attribute("data-path")
}

/// The table.
pub fn paths_table(browser: Browser) -> AnyView {
    let rows = move || {
        let page = browser.rows.get()?;
        let cache = browser.cache.get_value();
        let about = if page.complete { "" } else { "≈ " };
        let rows = page.items.iter().map(|path| row(&cache, path, about));
        Some(rows.collect_view())
    };
    let body = NodeRef::<Tbody>::new();
    let announcer = announcer();
    let preferences = preferences();
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let Some(body) = body.get_untracked() else {
            return;
        };
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
            return;
        }
        if !single_keys_act(&event, preferences) {
            return;
        }
        match event.key().as_str() {
            "j" => step(&body, 1),
            "k" => step(&body, -1),
            "y" => {
                if let Some(path) = focused_path() {
                    copy_text(path, move |copied| {
                        announcer.say(if copied {
                            "Copied"
                        } else {
                            "The browser did not allow copying"
                        });
                    });
                }
            }
            _ => {}
        }
    });
    on_cleanup(move || keys.remove());
    view! {
        <div class="table-wrap">
            {narrow_sort(browser)} <table class="table is-sticky" id="paths-table">
                <caption class="visually-hidden">"Store paths of this cache"</caption>
                <thead>
                    <tr>
                        {COLUMNS.map(|column| head(browser, column)).collect_view()}
                        <th scope="col">
                            <span class="visually-hidden">"Copy"</span>
                        </th>
                    </tr>
                </thead>
                <tbody node_ref=body>{changing(rows)}</tbody>
            </table>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_click_turns_the_order() {
        let newest = Sort::default();
        let first = next_sort(newest, SortKey::NarSize, true);
        assert_eq!(first.to_string(), "-nar_size");
        assert_eq!(
            next_sort(first, SortKey::NarSize, true).to_string(),
            "nar_size"
        );
        assert_eq!(next_sort(newest, SortKey::Name, false).to_string(), "name");
    }
}
