//! The rows of the path browser: sorted by the head, chosen by check boxes.

use leptos::prelude::*;
use snowbank_shared::api::PathRow;
use snowbank_shared::route::{PathTab, Route, Sort, SortKey};
use web_sys::{HtmlInputElement, MouseEvent};

use crate::components::changing::changing;
use crate::components::copy::{copy_button, copy_with};
use crate::components::icon::{Icon, icon};
use crate::components::store_path::path_link;
use crate::pages::paths::Browser;
use crate::pages::paths_columns::{Column, NAME};
use crate::state::navigation::href;

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

/// The head of a column, which sorts by it; `before` stands in front of its word.
pub fn head(browser: Browser, column: &Column, before: Option<AnyView>) -> AnyView {
    let (key, descending_first) = (column.key, column.descending_first);
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
        <th scope="col" class=column.class aria-sort=direction>
            {before}
            <a href=link>{column.word} {changing(arrow)}</a>
        </th>
    }
    .into_any()
}

/// On a phone there is no head to click on.
pub fn narrow_sort(browser: Browser) -> AnyView {
    let options = move || {
        let now = browser.query.with(|query| query.sort);
        std::iter::once(&NAME)
            .chain(browser.shown.columns())
            .flat_map(|column| {
                [(true, "down"), (false, "up")].map(|(descending, direction)| {
                    let sort = Sort {
                        key: column.key,
                        descending,
                    };
                    view! {
                        <option value=sort.to_string() selected=sort == now>
                            {format!("{}, {direction}", column.word)}
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

/// A check box of a row, or of all rows of the page.
fn pick(label: String, on: Signal<bool>, flip: impl Fn(bool) + 'static) -> AnyView {
    erased_pick(label, on, Box::new(flip))
}

fn erased_pick(label: String, on: Signal<bool>, flip: Box<dyn Fn(bool)>) -> AnyView {
    let click = move |event: MouseEvent| {
        flip(event.shift_key());
        // The browser has turned it; where no more can be chosen it stays as it was.
        event_target::<HtmlInputElement>(&event).set_checked(on.get_untracked());
    };
    view! {
        <label class="pick">
            <input
                type="checkbox"
                aria-label=label
                prop:checked=move || on.get()
                on:click=click
            />
        </label>
    }
    .into_any()
}

fn pick_all(browser: Browser) -> AnyView {
    let all = Signal::derive(move || {
        browser.rows.get().is_some_and(|page| {
            !page.items.is_empty() && page.items.iter().all(|row| browser.chosen.has(&row.hash))
        })
    });
    pick("Select all rows of this page".to_owned(), all, move |_| {
        if let Some(page) = browser.rows.get_now() {
            browser.chosen.flip_all(&page.items);
        }
    })
}

fn row(
    browser: Browser,
    row: &PathRow,
    columns: &[&'static Column],
    about: &'static str,
) -> AnyView {
    let hash = row.hash.clone();
    view! {
        <tr
            data-path=row.path.clone()
            data-hash=row.hash.clone()
            class:is-selected=move || browser.chosen.has(&hash)
        >
            {cells(browser, row, columns, about)}
        </tr>
    }
    .into_any()
}

/// What stands in a row.
pub fn cells(
    browser: Browser,
    row: &PathRow,
    columns: &[&'static Column],
    about: &'static str,
) -> AnyView {
    let path = row.path.clone();
    let chosen = browser.chosen;
    let hash = row.hash.clone();
    let on = Signal::derive(move || chosen.has(&hash));
    let picked = row.clone();
    let flip = move |range: bool| {
        if range {
            chosen.extend(&browser.rows_around(&picked.hash), &picked);
        } else {
            chosen.flip(&picked);
        }
    };
    let cells = columns
        .iter()
        .map(|column| {
            view! {
                <td class=column.class data-label=column.word>
                    {(column.cell)(row, about)}
                </td>
            }
        })
        .collect_view();
    view! {
        <th scope="row" class="grow with-pick">
            {pick(format!("Select {}", row.name), on, flip)}
            {path_link(&browser.cache.get_value(), &row.hash, &row.name)}
        </th>
        {cells}
        <td class="row-action">{more(browser, row)} {copy_button("Copy store path", false, move || path.clone())}</td>
    }
    .into_any()
}

/// What else one may do with a row, where there is room for it.
fn more(browser: Browser, row: &PathRow) -> AnyView {
    let install = format!("nix-store -r {}", row.path);
    let closure = href(&Route::Path {
        cache: browser.cache.get_value(),
        hash: row.hash.clone(),
        tab: PathTab::Closure,
    });
    view! {
        <span class="row-more">
            <a
                class="quiet"
                href=closure
                title="Open the closure"
                aria-label=format!("Open the closure of {}", row.name)
            >
                {icon(Icon::Overview)}
            </a>
            {copy_with("Copy the command that fetches it", Icon::Download, move || install.clone())}
        </span>
    }
    .into_any()
}

/// The table.
pub fn paths_table(browser: Browser) -> AnyView {
    let rows = move || {
        let page = browser.rows.get()?;
        let columns = browser.shown.columns();
        let about = if page.complete { "" } else { "≈ " };
        let rows = page.items.iter();
        Some(
            rows.map(|path| row(browser, path, &columns, about))
                .collect_view(),
        )
    };
    view! {
        <div class="table-wrap" class:is-free=move || browser.shown.is_chosen()>
            {narrow_sort(browser)} <table class="table is-sticky" id="paths-table">
                <caption class="visually-hidden">"Store paths of this cache"</caption>
                <thead>
                    <tr>
                        {head(browser, &NAME, Some(pick_all(browser)))} {heads(browser)}
                        <th scope="col">
                            <span class="visually-hidden">"Copy"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{changing(rows)}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The heads of the columns that are shown, but for the name's.
pub fn heads(browser: Browser) -> AnyView {
    changing(move || {
        browser
            .shown
            .columns()
            .into_iter()
            .map(|column| head(browser, column, None))
            .collect_view()
    })
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
