//! The closure as a table: every path in a row, sorted and filtered here, rows to be chosen
//! and added up. All rows are in the page up to a bound, so that find on the page finds
//! them; beside it there are plain pages of 200.

use std::collections::BTreeSet;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Event, HtmlInputElement, MouseEvent};

use super::choice::{SizeKind, SortBy};
use super::explorer::{hit, number};
use super::missing::on_upstreams;
use super::near::Near;
use super::shape::Shape;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, content_chip, signature_chip};
use crate::components::copy::copy_and_say;
use crate::components::icon::{Icon, icon};
use crate::components::size::{size, size_or};
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::state::derived::{effect, memo};

/// Rows of a plain page.
const PAGE: usize = 200;
/// Rows on one page where nobody asked for plain pages.
const MOST: usize = 5_000;
/// Rows drawn at once; the next follow in the next frame.
const PORTION: usize = 250;

/// The table and what is chosen in it.
#[derive(Debug, Clone, Copy)]
struct Rows {
    near: Near,
    chosen: RwSignal<BTreeSet<u32>>,
    /// The nodes of the rows in their order.
    order: Memo<Vec<u32>>,
}

/// Draws it.
pub fn closure_table(near: Near) -> AnyView {
    let choice = near.explorer.choice;
    let sort = memo(move || choice.with(|choice| choice.sort));
    let finds = memo(move || choice.with(|choice| !choice.find.trim().is_empty()));
    let order = memo(move || {
        let (by, turned) = sort.get();
        let mut all = near.shape().sorted(by, turned);
        if finds.get() {
            near.found
                .with(|found| all.retain(|node| found.binary_search(node).is_ok()));
        }
        all
    });
    let rows = Rows {
        near,
        chosen: RwSignal::new(BTreeSet::new()),
        order,
    };
    let page = memo(move || choice.with(|choice| choice.page));
    // The row of the selected path stands out; in the page, so that a thousand rows need no signal.
    effect(move || {
        let selected = near.selected.get();
        let old = document().query_selector("#closure-table tr.is-selected");
        if let Ok(Some(old)) = old {
            let _ = old.class_list().remove_1("is-selected");
        }
        let new = format!("#closure-table tr[data-node='{selected}']");
        if let Ok(Some(new)) = document().query_selector(&new) {
            let _ = new.class_list().add_1("is-selected");
        }
    });
    view! {
        {changing(move || bar(rows, page.get()))}
        <div class="table-wrap">
            {changing(move || sort_narrow(rows, sort.get()))}
            <table
                class="table is-sticky"
                id="closure-table"
                on:click=move |event| rows.press(&event)
                on:change=move |event| rows.choose(&event)
            >
                <caption class="visually-hidden">"Paths of the closure"</caption>
                <thead>{changing(move || head(rows, sort.get()))}</thead>
                {changing(move || body(rows, page.get()))}
            </table>
        </div>
        {changing(move || sums(rows))}
    }
    .into_any()
}

impl Rows {
    /// A click on a row selects its path, unless it was a link or a button.
    fn press(self, event: &MouseEvent) {
        let copied = hit(event, "[data-copy]").and_then(|button| button.get_attribute("data-copy"));
        if let Some(path) = copied {
            copy_and_say(path, self.near.explorer.announcer);
        }
        if hit(event, "a, button, input, label").is_some() {
            return;
        }
        if let Some(node) = hit(event, "tr[data-node]").and_then(|row| number(&row, "data-node")) {
            self.near.select(node);
        }
    }

    /// A box of a row was ticked, or the one for all.
    fn choose(self, event: &Event) {
        let Some(input) = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok())
        else {
            return;
        };
        let on = input.checked();
        match number(&input, "data-pick") {
            Some(node) => self.chosen.update(|chosen| {
                if on {
                    chosen.insert(node);
                } else {
                    chosen.remove(&node);
                }
            }),
            None => {
                self.order.with_untracked(|order| {
                    self.chosen.update(|chosen| {
                        for &node in order {
                            if on {
                                chosen.insert(node);
                            } else {
                                chosen.remove(&node);
                            }
                        }
                    });
                });
                tick_all(on);
            }
        }
    }
}

/// Brings the boxes that are drawn in step.
fn tick_all(on: bool) {
    let Ok(boxes) = document().query_selector_all("#closure-table input[data-pick]") else {
        return;
    };
    for at in 0..boxes.length() {
        if let Some(input) = boxes
            .item(at)
            .and_then(|input| input.dyn_into::<HtmlInputElement>().ok())
        {
            input.set_checked(on);
        }
    }
}

/// How many rows there are, and whether they are on one page.
fn bar(rows: Rows, page: usize) -> AnyView {
    let choice = rows.near.explorer.choice;
    let count = rows.order.with(Vec::len);
    let all = rows.near.shape().len();
    let words = if count == all {
        format::counted(count as u64, "row", "rows")
    } else {
        format!(
            "{} of {}",
            format::count(count as u64),
            format::counted(all as u64, "row", "rows")
        )
    };
    let beyond = (page == 0 && count > MOST).then(|| {
        format!(
            "; the first {} are shown. Plain pages and exports have all",
            format::count(MOST as u64)
        )
    });
    let turn = move |to: usize| choice.update(|choice| choice.page = to);
    let plain = if page == 0 {
        view! {
            <button type="button" class="button" on:click=move |_| turn(1)>
                "Plain pages of 200"
            </button>
        }
        .into_any()
    } else {
        let last = count.div_ceil(PAGE).max(1);
        let now = page.min(last);
        let before = (now > 1).then(|| {
            view! {
                <button type="button" class="button" on:click=move |_| turn(now - 1)>
                    "Page before"
                </button>
            }
        });
        let next = (now < last).then(|| {
            view! {
                <button type="button" class="button" on:click=move |_| turn(now + 1)>
                    "Next page"
                    {icon(Icon::Next)}
                </button>
            }
        });
        view! {
            <span class="muted">{format!("page {now} of {last}")}</span>
            {before}
            {next}
            <button type="button" class="button" on:click=move |_| turn(0)>
                "All rows on one page"
            </button>
        }
        .into_any()
    };
    view! {
        <div class="table-foot">
            <span role="status">{words} {beyond}</span>
            <span class="page-actions">{plain}</span>
        </div>
    }
    .into_any()
}

/// Where the rows are cards, and have no heads to press.
fn sort_narrow(rows: Rows, (by, turned): (SortBy, bool)) -> AnyView {
    let choice = rows.near.explorer.choice;
    let options = SortBy::WORDS
        .iter()
        .enumerate()
        .flat_map(|(at, &(_, of, word))| {
            [false, true].map(|down| {
                let way = if down { "descending" } else { "ascending" };
                let value = at * 2 + usize::from(down);
                let chosen = of == by && down == turned;
                view! { <option value=value.to_string() selected=chosen>{format!("{word}, {way}")}</option> }
            })
        })
        .collect_view();
    let change = move |event: Event| {
        let Ok(value) = event_target_value(&event).parse::<usize>() else {
            return;
        };
        if let Some((_, of, _)) = SortBy::WORDS.get(value / 2) {
            choice.update(|choice| choice.sort = (*of, value % 2 == 1));
        }
    };
    view! {
        <label class="sort-narrow">
            "Sort by" <select on:change=change>{options}</select>
        </label>
    }
    .into_any()
}

/// The heads, each a button that sorts.
fn head(rows: Rows, (by, turned): (SortBy, bool)) -> AnyView {
    let choice = rows.near.explorer.choice;
    let heads = SortBy::WORDS
        .iter()
        .map(|&(_, of, word)| {
            let class = match of {
                SortBy::Name => "",
                SortBy::Download | SortBy::References => "number col-3",
                SortBy::Closure => "number col-2",
                _ => "number",
            };
            let here = of == by;
            let sorted = here.then_some(if turned { "descending" } else { "ascending" });
            // Sizes begin with the largest.
            let next = if here {
                !turned
            } else {
                !matches!(of, SortBy::Name | SortBy::Steps)
            };
            let arrow = here.then(|| icon(if turned { Icon::Down } else { Icon::Up }));
            view! {
                <th scope="col" class=class aria-sort=sorted>
                    <button
                        type="button"
                        class="sort"
                        on:click=move |_| choice.update(|choice| choice.sort = (of, next))
                    >
                        {word}
                        {arrow}
                    </button>
                </th>
            }
        })
        .collect_view();
    view! {
        <tr>
            <td class="pick-cell">
                <label class="pick">
                    <input type="checkbox" aria-label="Select all rows" />
                </label>
            </td>
            {heads}
            <th scope="col">"Signature"</th>
            <th scope="col" class="col-2">"Content"</th>
            <th scope="col">
                <span class="visually-hidden">"Copy"</span>
            </th>
        </tr>
    }
    .into_any()
}

/// The rows: the first portion at once, each other in a frame of its own.
fn body(rows: Rows, page: usize) -> AnyView {
    let order = rows.order.get();
    if order.is_empty() {
        return view! {
            <tbody>
                <tr>
                    <td colspan="11" class="wide">"No path of this closure matches. Change what is looked for."</td>
                </tr>
            </tbody>
        }
        .into_any();
    }
    let shown: &[u32] = if page == 0 {
        &order[..order.len().min(MOST)]
    } else {
        let last = order.len().div_ceil(PAGE).max(1);
        let first = (page.min(last) - 1) * PAGE;
        &order[first..order.len().min(first + PAGE)]
    };
    let portions: Vec<Vec<u32>> = shown.chunks(PORTION).map(<[u32]>::to_vec).collect();
    let drawn = RwSignal::new(1_usize);
    let count = portions.len();
    if count > 1 {
        next_frame(drawn, count);
    }
    portions
        .into_iter()
        .enumerate()
        .map(|(at, nodes)| {
            let due = memo(move || drawn.get() > at);
            changing(move || due.get().then(|| portion(rows, &nodes)))
        })
        .collect_view()
        .into_any()
}

fn next_frame(drawn: RwSignal<usize>, count: usize) {
    request_animation_frame(move || {
        // Gone with its table where another order came meanwhile.
        if let Some(now) = drawn.try_get_untracked()
            && now < count
        {
            drawn.set(now + 1);
            next_frame(drawn, count);
        }
    });
}

fn portion(rows: Rows, nodes: &[u32]) -> AnyView {
    let shape = rows.near.shape();
    let cache = rows.near.explorer.page.cache.get_value();
    let selected = rows.near.selected.get_untracked();
    let drawn = rows.chosen.with_untracked(|chosen| {
        nodes
            .iter()
            .map(|&node| {
                row(
                    rows,
                    &shape,
                    &cache,
                    node,
                    chosen.contains(&node),
                    node == selected,
                )
            })
            .collect_view()
    });
    view! { <tbody>{drawn}</tbody> }.into_any()
}

fn row(rows: Rows, shape: &Shape, cache: &str, at: u32, chosen: bool, selected: bool) -> AnyView {
    let node = shape.node(at);
    let path = shape.path(at);
    // One listener of the table acts for all: thousands of buttons of the kit would be slow.
    let copy = view! {
        <button
            type="button"
            class="quiet"
            data-copy=path.clone()
            aria-label="Copy store path"
            title="Copy store path"
        >
            {icon(Icon::Copy)}
        </button>
    };
    if !node.present {
        return view! {
            <tr class="is-missing" class:is-selected=selected data-node=at.to_string()>
                <td class="pick-cell"></td>
                <th scope="row" class="grow">{path_text(&path)}</th>
                <td class="number" data-label="Steps">{node.depth}</td>
                <td colspan="7" class="wide">
                    {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch it from here."))}
                    {on_upstreams(rows.near.upstreams, node.hash.clone())}
                </td>
                <td class="row-action">{copy}</td>
            </tr>
        }
        .into_any();
    }
    view! {
        <tr class:is-selected=selected data-node=at.to_string()>
            <td class="pick-cell">
                <label class="pick">
                    <input
                        type="checkbox"
                        checked=chosen
                        data-pick=at.to_string()
                        aria-label=format!("Select {}", node.name)
                    />
                </label>
            </td>
            <th scope="row" class="grow">{path_link(cache, &node.hash, &node.name)}</th>
            <td class="number" data-label="Steps">{node.depth}</td>
            <td class="number" data-label="NAR size">{size_or(node.nar_size, "unknown")}</td>
            <td class="number col-3" data-label="Download">{size_or(node.file_size, "unknown")}</td>
            <td class="number" data-label="Added size">{size_or(node.added_size, "unknown")}</td>
            <td class="number col-2" data-label="Own closure">{size_or(node.closure_size, "not yet")}</td>
            <td class="number col-3" data-label="References">{format::count(node.references.len() as u64)}</td>
            <td data-label="Signature">{node.signature.map(|status| signature_chip(status, None))}</td>
            <td class="col-2" data-label="Content">{node.content.map(content_chip)}</td>
            <td class="row-action">{copy}</td>
        </tr>
    }
    .into_any()
}

/// What the chosen rows add up to.
fn sums(rows: Rows) -> Option<AnyView> {
    let shape = rows.near.shape();
    let (count, nar, download, unknown) = rows.chosen.with(|chosen| {
        let of = |kind| {
            let known = chosen.iter().filter_map(|&node| shape.bytes(node, kind));
            known.fold(0, u64::saturating_add)
        };
        let unknown = chosen
            .iter()
            .any(|&node| shape.bytes(node, SizeKind::Download).is_none());
        (
            chosen.len(),
            of(SizeKind::Nar),
            of(SizeKind::Download),
            unknown,
        )
    });
    let clear = move |_| {
        rows.chosen.update(BTreeSet::clear);
        tick_all(false);
    };
    let unknown = unknown.then_some(", as far as known");
    (count > 0).then(|| {
        view! {
            <section class="selection-bar" aria-label="Selected rows">
                <p>
                    <b id="closure-chosen">{format::counted(count as u64, "path", "paths")}</b>
                    " selected"
                </p>
                <div class="selection-sums">
                    <span>"NAR " <b id="closure-chosen-nar">{size(nar)}</b> " unpacked"</span>
                    <span>"Download " <b>{size(download)}</b> {unknown}</span>
                </div>
                <div class="page-actions">
                    <button type="button" class="button" on:click=clear>
                        "Clear"
                    </button>
                </div>
            </section>
        }
        .into_any()
    })
}
