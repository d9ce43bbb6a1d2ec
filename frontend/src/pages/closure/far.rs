//! The columns of a closure that is too large to be here whole: each path is asked for as it
//! is selected.

use leptos::prelude::*;
use snowbank_shared::api::{Page, PathDetail, PathRow};

use super::columns::{Columns, Entry, columns};
use super::explorer::{Explorer, path_address, why_address};
use super::near::acts_line;
use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, signature_chip};
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::size::{size, size_or};
use crate::components::store_path::path_link;
use crate::format::{self, split_path};
use crate::state::derived::memo;
use crate::state::remote::Remote;

/// Referrers that are asked for: as many as the server gives at once.
const REFERRERS: usize = 200;

/// The columns.
pub fn far_columns(explorer: Explorer) -> AnyView {
    let cache = explorer.page.cache;
    let root = explorer.page.hash.get_value();
    let way = move |hash: &str| {
        let root = root.clone();
        if hash == root {
            vec![root]
        } else {
            vec![root, hash.to_owned()]
        }
    };
    let trail = RwSignal::new(vec![explorer.focus.get_untracked()]);
    let before = memo(move || trail.with(|trail| trail.iter().rev().nth(1).cloned()));
    let detail = move |hash: String| api::path_path(&cache.get_value(), &hash, "");
    let selected = Remote::<PathDetail>::new(move || Some(detail(explorer.focus.get())));
    let parent = Remote::<PathDetail>::new(move || Some(detail(before.get()?)));
    let referrers = Remote::<Page<PathRow>>::new(move || {
        let path = api::path_path(&cache.get_value(), &explorer.focus.get(), "referrers");
        Some(format!("{path}?limit={REFERRERS}"))
    });
    // What was asked for another path is not this one's.
    let of = |detail: Remote<PathDetail>, hash: &str| {
        detail.get().filter(|detail| detail.row.hash == hash)
    };
    let shown = columns(Columns {
        explorer,
        trail,
        way: StoredValue::new(Box::new(way)),
        referrers: memo(move || {
            if referrers.is_waiting() {
                return None;
            }
            let page = referrers.get()?;
            Some(page.items.iter().map(row_entry).collect())
        }),
        siblings: memo(move || match before.get() {
            Some(before) => Some(references(of(parent, &before)?.as_ref())),
            None => {
                let detail = of(selected, &explorer.focus.get())?;
                Some(vec![row_entry(&detail.row)])
            }
        }),
        references: memo(move || Some(references(of(selected, &explorer.focus.get())?.as_ref()))),
        left_title: "Referrers in this cache",
    });
    let line = move || {
        let detail = of(selected, &explorer.focus.get())?;
        Some(selected_line(explorer, &detail))
    };
    let gone = move || {
        let absent = selected.error()?.is_not_found();
        absent.then(|| {
            view! {
                <p>
                    {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch it from here."))}
                </p>
            }
        })
    };
    let failed = memo(move || selected.error().is_some_and(|error| !error.is_not_found()));
    view! {
        {changing(line)}
        {changing(gone)}
        {changing(move || failed.get().then(|| failure_of(selected)))}
        {shown}
    }
    .into_any()
}

fn row_entry(row: &PathRow) -> Entry {
    Entry {
        hash: row.hash.clone(),
        name: row.name.clone(),
        present: true,
        bytes: Some(row.nar_size),
    }
}

/// What a path refers to, itself left out. Sizes, and whether they are here, are known once
/// one is selected.
fn references(detail: &PathDetail) -> Vec<Entry> {
    let entry = |path: &String| {
        let (hash, name) = split_path(path);
        Entry {
            hash: hash.to_owned(),
            name: name.to_owned(),
            present: true,
            bytes: None,
        }
    };
    let others = detail.references.iter();
    others
        .filter(|path| **path != detail.row.path)
        .map(entry)
        .collect()
}

fn selected_line(explorer: Explorer, detail: &PathDetail) -> AnyView {
    let (page, row) = (explorer.page, &detail.row);
    let cache = page.cache.get_value();
    let facts = view! {
        <span class="selected-size">{size(row.nar_size)} " NAR"</span>
        <span class="selected-size">{size_or(row.file_size, "unknown")} " download"</span>
        <span class="selected-size">{size(detail.added_size)} " added to this cache"</span>
        <span class="muted">
            {format::counted(row.reference_count, "reference", "references")}
        </span>
        {signature_chip(row.signature, row.signature_problem)}
    }
    .into_any();
    acts_line(
        path_link(&cache, &row.hash, &row.name),
        facts,
        Some(path_address(page, &row.hash)),
        why_address(page, &row.hash),
        row.path.clone(),
    )
}
