//! What an upload that waits would change of what is pinned under its name.

use leptos::prelude::*;
use snowbank_shared::api::approvals::{ApprovalDetail, ApprovalState, ChangedPaths, PinnedChange};
use snowbank_shared::route::{ExploreRoute, PinsRoute, Route};

use crate::components::layout::{card, fact, facts, table};
use crate::components::size::size;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::pages::approval::difference;
use crate::state::navigation::href;

/// A card for each pin of the upload's name.
pub fn changes(cache: &str, detail: &ApprovalDetail) -> AnyView {
    let cards: Vec<AnyView> = detail
        .pinned
        .iter()
        .map(|change| of_pin(cache, detail, change))
        .collect();
    if cards.is_empty() {
        let words = "No pin points to another version of this package.";
        return card("Compared with what is pinned", (), view! { <p>{words}</p> });
    }
    cards.into_any()
}

fn of_pin(cache: &str, detail: &ApprovalDetail, change: &PinnedChange) -> AnyView {
    let pin = href(&Route::Pins(PinsRoute::Pin {
        cache: cache.to_owned(),
        name: change.pin.clone(),
        revision: None,
    }));
    let pin = view! {
        <a href=pin><strong>{change.pin.clone()}</strong></a>
        {format!(", revision {}", change.revision)}
    };
    let sum = |paths, nar_size| {
        view! { {format::counted(paths, "path", "paths")} ", " {size(nar_size)} }.into_any()
    };
    let grows = difference(change.pinned_closure_size, change.closure_size);
    // Two closures that are here are compared package by package on a page of their own.
    let whole = (detail.row.state == ApprovalState::Published).then(|| {
        let diff = ExploreRoute::diff(cache, Some(&change.path.hash), Some(&detail.row.hash));
        let address = href(&Route::Explore(diff));
        view! { <p><a href=address>"All that differs, by package"</a></p> }
    });
    card(
        "Compared with what is pinned",
        (),
        view! {
            {facts(vec![
                fact("Pinned by", pin),
                fact("It points to", path_link(cache, &change.path.hash, &change.path.name)),
                fact("Its closure", sum(change.pinned_closure_paths, change.pinned_closure_size)),
                fact(
                    "With this upload",
                    view! { {sum(change.closure_paths, change.closure_size)} ": " {grows} },
                ),
            ])}
            {side(cache, "Added", &change.added)}
            {side(cache, "Removed", &change.removed)}
            {whole}
        },
    )
}

/// What only one of the closures has.
fn side(cache: &str, title: &'static str, changed: &ChangedPaths) -> AnyView {
    let words = format!(
        "{title}: {}, {} unpacked",
        format::counted(changed.paths, "path", "paths"),
        format::size(changed.nar_size)
    );
    if changed.paths == 0 {
        return view! { <p class="muted">{format!("{title}: nothing")}</p> }.into_any();
    }
    let rows: Vec<AnyView> = changed
        .items
        .iter()
        .map(|path| {
            let name = match &path.added_at {
                Some(_) => path_link(cache, &path.hash, &path.name),
                None => path_text(&path.path),
            };
            view! {
                <tr>
                    <th scope="row" class="wrap">{name}</th>
                    <td class="number" data-label="Unpacked">{size(path.nar_size)}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    let rest = changed.paths.saturating_sub(changed.items.len() as u64);
    let more = (rest > 0).then(
        || view! { <p class="muted">{format!("And {} smaller ones.", format::count(rest))}</p> },
    );
    let caption = if title == "Added" {
        "Paths that it adds"
    } else {
        "Paths that go with it"
    };
    view! {
        <details class="explain">
            <summary>{words}</summary>
            {table(caption, "table", &[("Path", "", ""), ("Unpacked", "number", "")], rows)}
            {more}
        </details>
    }
    .into_any()
}
