//! The closure of a path in four views of one selection: columns, tree, treemap, table.
//!
//! All are drawn from one answer of the server, the closure as a graph with its dominators
//! ([`shape`]). What is chosen stands in the address ([`choice`]). Of closures above 20,000 paths the
//! server names the heaviest paths only: the treemap draws them and the rest as one, the columns
//! ask for each path as it is selected ([`far`]), the table comes in pages ([`paged`]).

mod choice;
mod columns;
mod explorer;
mod exports;
mod far;
mod missing;
mod near;
mod paged;
mod shape;
mod squarify;
mod table;
mod tiles;
mod tree;
mod tree_rows;
mod treemap;
mod treemap_drawing;

use std::sync::Arc;

use leptos::prelude::*;
use snowbank_shared::api::ClosureGraph;
use web_sys::KeyboardEvent;

use self::choice::{SizeKind, View, place};
use self::explorer::Explorer;
use self::near::Near;
use self::shape::Shape;
use crate::api;
use crate::components::changing::changing;
use crate::components::choice::segments;
use crate::components::failure::failure_of;
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::components::term::term;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::remote::Remote;

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    let path = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "graph");
    let graph = Remote::<ClosureGraph>::new(move || {
        page.live.renewals.track();
        Some(path.clone())
    });
    let explorer = Explorer::new(page);
    let body = move || match graph.get() {
        None if graph.error().is_none() => skeleton(12, "Walking the closure…"),
        None => ().into_any(),
        Some(graph) => shown(explorer, graph),
    };
    view! {
        <section class="section closure">
            {failure_of(graph)}
            {changing(body)}
        </section>
    }
    .into_any()
}

fn shown(explorer: Explorer, graph: Arc<ClosureGraph>) -> AnyView {
    let page = explorer.page;
    let alone = graph.paths == 1 && graph.missing == 0;
    let head = totals(page, &graph);
    let gaps = missing::banner(
        graph.missing,
        "Each stands in red where it is referred to, with what the upstreams say of it where some are configured.",
    );
    let complete = graph.complete;
    let lacking = graph.items.iter().filter(|node| !node.present);
    let asked = missing::asked(
        &page.cache.get_value(),
        lacking.map(|node| node.hash.clone()),
    );
    let near = Near::new(explorer, Shape::new(graph), asked);
    if alone {
        return view! {
            {head}
            <p class="muted">"No references: this path stands alone."</p>
            {near.line()}
            {table::closure_table(near)}
        }
        .into_any();
    }
    // Of a closure that is not here whole there is no tree.
    let view = Memo::new(move |_| match explorer.view.get() {
        View::Tree if !complete => View::Columns,
        view => view,
    });
    let body = move || match (view.get(), complete) {
        (View::Columns, true) => near.columns(),
        (View::Columns | View::Tree, false) => far::far_columns(explorer),
        (View::Tree, true) => tree::tree(near),
        (View::Treemap, _) => treemap::treemap(near),
        (View::Table, true) => table::closure_table(near),
        (View::Table, false) => paged::paged_table(page),
    };
    // The columns of what is not here whole have a line of their own.
    let line = move || (complete || view.get() == View::Treemap).then(|| near.line());
    let large = (!complete).then(|| {
        view! {
            <p class="muted">
                "More than 20,000 paths: the treemap draws the 500 that add most and all others as one, and there is no tree."
            </p>
        }
    });
    view! {
        {head}
        {gaps}
        {large}
        {tools(near, view, complete)}
        {changing(line)}
        <div class="closure-view">{changing(body)}</div>
    }
    .into_any()
}

fn totals(page: PathPage, graph: &ClosureGraph) -> AnyView {
    let path = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "closure");
    view! {
        <div class="section-head">
            <p class="closure-totals">
                <b>{size(graph.nar_size)}</b>
                " unpacked in "
                <b>{format::counted(graph.paths, "path", "paths")}</b>
                ", "
                <b>{size_or(graph.file_size, "unknown bytes")}</b>
                " to download."
            </p>
            {exports::exports(&path, graph.paths + graph.missing)}
        </div>
    }
    .into_any()
}

/// Which view, which size, what is looked for.
fn tools(near: Near, view: Memo<View>, complete: bool) -> AnyView {
    let explorer = near.explorer;
    let views = segments(
        "View",
        &["Columns", "Tree", "Treemap", "Table"],
        move || place(View::WORDS, view.get()),
        move |at| {
            let (_, wanted, _) = View::WORDS[at];
            if wanted == View::Tree && !complete {
                explorer
                    .announcer
                    .say("There is no tree of more than 20,000 paths");
            }
            explorer.show(wanted);
        },
    );
    let sizes = segments(
        "Size",
        &["NAR", "Download", "Added"],
        move || place(SizeKind::WORDS, explorer.size.get()),
        move |at| {
            explorer
                .choice
                .update(|choice| choice.size = SizeKind::WORDS[at].1);
        },
    );
    let meaning = move || match explorer.size.get() {
        SizeKind::Nar => term(
            "closure-size-meaning",
            "NAR size",
            "Bytes of a path unpacked, as Nix counts them. Each path alone.",
        ),
        SizeKind::Download => term(
            "closure-size-meaning",
            "Download size",
            "Bytes that a client fetches for a path: the compressed NAR. Each path alone.",
        ),
        SizeKind::Added => term(
            "closure-size-meaning",
            "Added size",
            "What would leave this closure if the path left it: itself and all that is reached only through it, unpacked.",
        ),
    };
    let next = move |event: KeyboardEvent| {
        if event.key() == "Enter" {
            event.prevent_default();
            near.next_found();
        }
    };
    let count = move || {
        let looked_for = explorer
            .choice
            .with(|choice| !choice.find.trim().is_empty());
        looked_for.then(|| {
            let found = near.found.with(Vec::len);
            format!("{} found", format::counted(found as u64, "path", "paths"))
        })
    };
    view! {
        <div class="closure-tools">
            {views} {sizes} <span class="closure-meaning">{changing(meaning)}</span>
            <div class="closure-find">
                <label for="closure-find">"Find in this closure"</label>
                <span>
                    <input
                        id="closure-find"
                        type="search"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        title="Enter selects the next"
                        prop:value=move || explorer.choice.with(|choice| choice.find.clone())
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            explorer.choice.update(|choice| {
                                choice.find = text;
                                choice.page = choice.page.min(1);
                            });
                        }
                        on:keydown=next
                    />
                    <span class="muted" role="status" id="closure-found">{changing(count)}</span>
                </span>
            </div>
        </div>
    }
    .into_any()
}
