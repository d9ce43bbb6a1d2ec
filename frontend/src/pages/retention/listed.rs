//! Lists of paths that retention is about, each with the question why it stays or goes.

use leptos::prelude::*;
use snowbank_shared::api::retention::{LeftOut, ListedPath, PathGroup, Rules, Weight, WhyKept};

use super::asked::asked_of_api;
use super::gc_path;
use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::layout::table;
use crate::components::size::size_or;
use crate::components::store_path::path_link;
use crate::format;
use crate::state::remote::Remote;

/// `12 paths, 3.1 GiB`.
pub(super) fn weight_words(weight: Weight) -> String {
    format!(
        "{}, {}",
        format::counted(weight.paths, "path", "paths"),
        format::size(weight.bytes)
    )
}

/// A group as something to open: its words, what they mean, and its paths.
pub(super) fn group(
    id: &'static str,
    words: String,
    meaning: &'static str,
    cache: &str,
    rules: &Rules,
    group: &PathGroup,
) -> AnyView {
    let rest = group.all.paths.saturating_sub(group.items.len() as u64);
    let more = (rest > 0)
        .then(|| view! { <p class="muted">{format!("And {} more.", format::count(rest))}</p> });
    let list = (!group.items.is_empty()).then(|| paths(cache, Some(rules), &group.items));
    view! {
        <details class="explain gc-group" id=id>
            <summary>{words}</summary>
            <p>{meaning}</p>
            {list}
            {more}
        </details>
    }
    .into_any()
}

/// Paths with what they weigh; with rules also why each stays or goes by them.
pub(super) fn paths(cache: &str, rules: Option<&Rules>, items: &[ListedPath]) -> AnyView {
    let row = |path: &ListedPath| {
        let why = rules.map(|rules| why(cache, &path.hash, rules));
        let moment = |time: &Option<String>, otherwise: &'static str| match time {
            Some(time) => ago(time),
            None => view! { <span class="none">{otherwise}</span> }.into_any(),
        };
        view! {
            <tr>
                <td class="grow wide" data-label="Path">
                    <span class="cell-two">{path_link(cache, &path.hash, &path.name)} {why}</span>
                </td>
                <td class="number" data-label="Stored">{size_or(path.bytes, "unknown")}</td>
                <td class="col-2 muted" data-label="Added">{moment(&path.added_at, "unknown")}</td>
                <td class="col-2 muted" data-label="Fetched">{moment(&path.fetched_at, "not known")}</td>
            </tr>
        }
        .into_any()
    };
    table(
        "Paths",
        "table is-roomy",
        &[
            ("Path", "grow", ""),
            ("Stored", "number", "Bytes of its NAR in the bucket"),
            ("Added", "col-2", ""),
            ("Fetched", "col-2", "When a client fetched it last"),
        ],
        items.iter().map(row).collect::<Vec<_>>(),
    )
}

/// Why a path stays or goes by these rules: asked when it is opened.
fn why(cache: &str, hash: &str, rules: &Rules) -> AnyView {
    let path = gc_path(cache, &format!("why/{hash}?{}", asked_of_api(rules)));
    let rules = rules.clone();
    let open = RwSignal::new(false);
    let answer = Remote::<WhyKept>::new(move || open.get().then(|| path.clone()));
    let says = move || {
        if !open.get() {
            return None;
        }
        let Some(why) = answer.get() else {
            return answer
                .is_waiting()
                .then(|| view! { <p class="muted">"Asking…"</p> }.into_any());
        };
        Some(trace(&why, &rules))
    };
    view! {
        <details class="explain gc-why" on:toggle=move |_| open.set(true)>
            <summary>"Why"</summary>
            {failure_of(answer)}
            {changing(says)}
        </details>
    }
    .into_any()
}

/// The server answers by the rules of the cache; where others are simulated, that is said.
fn trace(why: &WhyKept, simulated: &Rules) -> AnyView {
    let same = Rules {
        target_size: simulated.target_size,
        ..why.rules.clone()
    } == *simulated;
    let whose = if same {
        ""
    } else {
        "By the rules of the cache, not by these: "
    };
    let verdict = match (&why.by, why.kept) {
        (Some(by), true) => format!("{whose}stays, {by}."),
        (None, true) => format!("{whose}stays."),
        (_, false) => format!("{whose}goes, for no rule keeps it and nothing that stays needs it."),
    };
    let verdict = format::sentence(&verdict);
    let rules = why
        .trace
        .iter()
        .map(|said| {
            let mark = if said.keeps {
                "keeps it"
            } else {
                "does not keep it"
            };
            view! { <li>{format!("{}: {mark}; {}", said.rule, said.why)}</li> }
        })
        .collect_view();
    view! {
        <p><b>{verdict}</b></p>
        <ul class="plain-list">{rules}</ul>
    }
    .into_any()
}

/// Paths of a plan that stay, each with the reason; the last line says how many more there are.
pub(super) fn left_out(cache: &str, items: &[LeftOut], all: u64) -> AnyView {
    let line = |path: &LeftOut| {
        view! { <li>{path_link(cache, &path.hash, &path.name)} " " <span class="muted">{path.words.clone()}</span></li> }
    };
    let rest = all.saturating_sub(items.len() as u64);
    let more = (rest > 0).then(|| view! { <li>{format!("and {} more", format::count(rest))}</li> });
    view! {
        <ul class="plain-list gc-left" id="left-out">
            {items.iter().map(line).collect_view()}
            {more}
        </ul>
    }
    .into_any()
}
