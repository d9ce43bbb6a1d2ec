//! The window as it is drawn: the table that stays in front of what scrolls, its row
//! elements, which are used again for other rows, and the foot with the way to any row.

use leptos::prelude::*;
use snowbank_shared::route::PathsQuery;
use wasm_bindgen::JsCast;
use web_sys::{Element, Node};

use super::{Drawn, Window};
use crate::components::announcer::announcer;
use crate::components::changing::changing;
use crate::components::failure::failure;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::paths::Browser;
use crate::pages::paths_columns::NAME;
use crate::pages::paths_table::{cells, head, heads, narrow_sort};
use crate::state::derived::{effect, memo};
use crate::state::navigation::href;
use crate::state::preferences::preferences;

/// The table in its window, and its foot.
pub fn list(browser: Browser) -> AnyView {
    let this = browser.window;
    let preferences = preferences();
    this.follow(browser);
    let any = memo(move || this.drawn.get().rows > 0);
    // What changes the height of rows.
    effect(move || {
        this.frame.track();
        any.track();
        preferences.compact.track();
        browser.shown.is_chosen();
        request_animation_frame(move || this.measure());
    });
    let resized = window_event_listener(leptos::ev::resize, move |_| this.measure());
    on_cleanup(move || {
        resized.remove();
        this.rest_now();
    });
    let slots = memo(move || this.drawn.get().slots);
    effect(move || {
        slots.track();
        request_animation_frame(move || this.arrange());
    });
    let rows = move || {
        (0..slots.get())
            .map(|slot| row(browser, slot))
            .collect_view()
    };
    let reach = memo(move || this.drawn.get().reach);
    let cut = memo(move || this.drawn.get().cut);
    let count = memo(move || this.drawn.get().rows + 1);
    let wrong = move || {
        let error = this.error.get()?;
        Some(failure(&error, true, move || {
            this.error.set(None);
            this.ask();
        }))
    };
    view! {
        {changing(wrong)}
        <div class="table-wrap" class:is-free=move || browser.shown.is_chosen()>
            {narrow_sort(browser)}
            <div
                node_ref=this.frame
                class="list-window"
                tabindex="0"
                role="region"
                aria-label="All rows in one list"
                on:scroll=move |_| this.scrolled(browser)
            >
                <div class="list-window-pane">
                    <table class="table" id="paths-table" aria-rowcount=move || count.get().to_string()>
                        <caption class="visually-hidden">"Store paths of this cache"</caption>
                        <thead>
                            <tr aria-rowindex="1">
                                {head(browser, &NAME, None)} {heads(browser)}
                                <th scope="col">
                                    <span class="visually-hidden">"Copy"</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody
                            node_ref=this.body
                            style:transform=move || format!("translateY(-{}px)", cut.get())
                            on:focusin=move |_| this.entered(browser)
                        >
                            {changing(rows)}
                        </tbody>
                    </table>
                </div>
                <div
                    class="list-window-length"
                    aria-hidden="true"
                    style:height=move || format!("{}px", reach.get())
                ></div>
            </div>
        </div>
        {foot(browser)}
    }
    .into_any()
}

/// A row element. Its row changes; only what is other is drawn anew.
fn row(browser: Browser, slot: usize) -> AnyView {
    let this = browser.window;
    let shown = memo(move || this.in_slot(slot));
    let number = memo(move || shown.get().map(|(row, _)| row));
    let of_row = move |field: fn(&snowbank_shared::api::PathRow) -> &String| {
        shown.with(|shown| {
            let (_, row) = shown.as_ref()?;
            Some(field(row.as_ref()?).clone())
        })
    };
    let is_chosen = move || {
        shown.with(|shown| match shown {
            Some((_, Some(row))) => browser.chosen.has(&row.hash),
            _ => false,
        })
    };
    let about = memo(move || browser.rows.get().is_some_and(|page| !page.complete));
    let drawn = move || {
        let (_, row) = shown.get()?;
        let columns = browser.shown.columns();
        Some(match row {
            Some(row) => cells(browser, &row, &columns, if about.get() { "≈ " } else { "" }),
            None => view! {
                <th scope="row" class="grow muted">"…"</th>
                {columns.iter().map(|column| view! { <td class=column.class></td> }).collect_view()}
                <td class="row-action"></td>
            }
            .into_any(),
        })
    };
    view! {
        <tr
            data-slot=slot.to_string()
            data-row=move || number.get().map(|row| (row + 1).to_string())
            aria-rowindex=move || number.get().map(|row| (row + 2).to_string())
            data-path=move || of_row(|row| &row.path)
            data-hash=move || of_row(|row| &row.hash)
            hidden=move || number.get().is_none()
            class:is-odd=move || number.get().is_some_and(|row| row % 2 == 1)
            class:is-selected=is_chosen
        >
            {changing(drawn)}
        </tr>
    }
    .into_any()
}

/// Brings the row elements into the order of their rows, so that readers and the Tab key
/// meet them in it. Those that keep their row are not moved, and so keep the focus.
pub fn in_order(body: &Element, drawn: Drawn) {
    let Ok(found) = body.query_selector_all("tr[data-slot]") else {
        return;
    };
    let rows: Vec<Node> = (0..found.length())
        .filter_map(|at| found.item(at))
        .collect();
    let slot = |node: &Node| -> Option<usize> {
        let row = node.dyn_ref::<Element>()?;
        row.get_attribute("data-slot")?.parse().ok()
    };
    let count = rows.len();
    // They are being made anew.
    if count == 0 || count != drawn.slots {
        return;
    }
    let lead = (drawn.first % count as u64) as usize;
    let wanted = (0..count).map(|at| (lead + at) % count);
    let order: Vec<usize> = rows.iter().filter_map(slot).collect();
    let Some(at) = order.iter().position(|slot| *slot == lead) else {
        return;
    };
    let after = rows.last().and_then(Node::next_sibling);
    let turned = order[at..].iter().chain(&order[..at]).copied();
    if !turned.eq(wanted.clone()) {
        // Some were added or taken away.
        for slot in wanted {
            if let Some(at) = order.iter().position(|other| *other == slot) {
                let _ = body.insert_before(&rows[at], after.as_ref());
            }
        }
    } else if at <= count / 2 {
        // Those before it follow the last one.
        for row in &rows[..at] {
            let _ = body.insert_before(row, after.as_ref());
        }
    } else {
        for row in &rows[at..] {
            let _ = body.insert_before(row, rows.first());
        }
    }
}

/// Which rows are seen, the way to any other, and the way to plain pages.
fn foot(browser: Browser) -> AnyView {
    let this = browser.window;
    let announcer = announcer();
    let seen = move || {
        let drawn = this.drawn.get();
        let (first, last) = (format::count(drawn.first + 1), format::count(drawn.end));
        format!("Rows {first} to {last} of {}", format::count(drawn.rows))
    };
    let typed = RwSignal::new(String::new());
    let wrong = RwSignal::new(None::<String>);
    let go = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let rows = this.drawn.get_untracked().rows;
        let digits: String = typed
            .get_untracked()
            .chars()
            .filter(|letter| !matches!(letter, ',' | ' ' | '\u{202f}' | '_'))
            .collect();
        match digits.parse::<u64>() {
            Ok(row) if (1..=rows).contains(&row) => {
                wrong.set(None);
                announcer.say(&format!("Row {}", format::count(row)));
                this.jump(browser, row);
            }
            _ => wrong.set(Some(format!(
                "Type the number of a row, from 1 to {}.",
                format::count(rows)
            ))),
        }
    };
    let refused = move || {
        wrong
            .get()
            .map(|words| view! { <span class="field-error">{words}</span> })
    };
    view! {
        <div class="table-foot">
            <span id="rows-seen">{changing(seen)}</span>
            <form class="row-jump" on:submit=go novalidate>
                <label for="row-jump">"Go to row"</label>
                <input
                    id="row-jump"
                    type="text"
                    inputmode="numeric"
                    autocomplete="off"
                    aria-describedby="row-jump-notes"
                    aria-invalid=move || wrong.with(Option::is_some).then_some("true")
                    prop:value=move || typed.get()
                    on:input=move |event| typed.set(event_target_value(&event))
                />
                <button type="submit" class="button">"Go"</button>
                <span id="row-jump-notes" role="status">{changing(refused)}</span>
            </form>
            <span class="page-actions">{way_to_pages(browser)}</span>
        </div>
    }
    .into_any()
}

/// The link to plain pages, which is remembered.
pub fn way_to_pages(browser: Browser) -> AnyView {
    way(browser, None, "as-pages", Icon::Record, "Pages of 200 rows")
}

/// The link to the window, which is remembered.
pub fn way_to_window(browser: Browser) -> AnyView {
    way(
        browser,
        Some(1),
        "as-window",
        Icon::Paths,
        "All in one list",
    )
}

fn way(
    browser: Browser,
    row: Option<u64>,
    id: &'static str,
    picture: Icon,
    words: &'static str,
) -> AnyView {
    let to = move || {
        browser.query.with(|query| {
            href(&browser.route(PathsQuery {
                row,
                ..query.first_page()
            }))
        })
    };
    let windowed = row.is_some();
    view! {
        <a class="button" id=id href=to on:click=move |_| browser.window.prefer(windowed)>
            {icon(picture)}
            {words}
        </a>
    }
    .into_any()
}

impl Window {
    /// Nothing is asked for or written any more.
    fn rest_now(self) {
        let _ = self.state.try_update_value(|state| {
            for timer in [state.resting.take(), state.passing.take()]
                .into_iter()
                .flatten()
            {
                timer.clear();
            }
            state.asked.clear();
            // Who comes back begins with the rows that are there then.
            state.page = None;
            state.list.clear();
            state.kept_list.clear();
        });
    }
}
