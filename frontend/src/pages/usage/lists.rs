//! The frame of a tab that is one list: waiting, refused, failed, not measured, empty, there; the menu
//! of its exports, and how many of all are shown.

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use snowbank_shared::api::usage::UsageList;

use super::Usage;
use super::figures::{not_measured, usage_path};
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::layout::{Column, section, table};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::remote::Remote;

/// What a list is called and says.
pub(super) struct Words {
    /// Its heading, and its table's caption.
    pub(super) title: &'static str,
    /// While it is fetched.
    pub(super) waiting: &'static str,
    /// Where it is empty: what, and why.
    pub(super) none: (&'static str, &'static str),
    /// How the rows are to be read.
    pub(super) note: &'static str,
    /// One and several of what the rows are.
    pub(super) counted: (&'static str, &'static str),
    /// Behind “5 of 12 clients”.
    pub(super) order: &'static str,
    /// The table's class.
    pub(super) class: &'static str,
    /// Its columns.
    pub(super) columns: &'static [Column],
}

/// Draws the list at `/usage{part}`. Where `refused` says so (tracked), nothing is asked for and what
/// it gives stands in its place; `row` draws one of the list, tracked.
pub(super) fn list<T: DeserializeOwned + Send + Sync + 'static>(
    usage: Usage,
    part: &'static str,
    words: &'static Words,
    refused: impl Fn() -> Option<AnyView> + Copy + Send + Sync + 'static,
    row: impl Fn(&T) -> AnyView + Copy + Send + Sync + 'static,
) -> AnyView {
    let path = move || usage_path(usage, part);
    // Nothing is asked for that would be refused.
    let list = Remote::<UsageList<T>>::new(move || refused().is_none().then(path));
    let body = move || {
        if let Some(instead) = refused() {
            return Some(instead);
        }
        let Some(list) = list.get() else {
            let waits = list.error().is_none();
            return waits.then(|| skeleton(6, words.waiting));
        };
        if let Some(why) = &list.not_measured {
            return Some(not_measured(usage, why, &[]));
        }
        if list.items.is_empty() {
            let (title, why) = words.none;
            return Some(empty(title, view! { <p>{why}</p> }));
        }
        let rows = list.items.iter().map(row).collect_view();
        Some(shown(
            words,
            list.items.len() as u64,
            list.total,
            rows.into_any(),
        ))
    };
    let exported = move || {
        let list = list.get()?;
        (!list.items.is_empty()).then(|| Exported {
            path: path(),
            columns: String::new(),
            rows: list.items.len() as u64,
        })
    };
    view! {
        <div class="usage-part" class:is-waiting=move || list.is_waiting() && list.is_there()>
            {failure_of(list)} {section(words.title, export_menu(exported), changing(body))}
        </div>
    }
    .into_any()
}

fn shown(words: &'static Words, shown: u64, total: u64, rows: AnyView) -> AnyView {
    let (one, several) = words.counted;
    let foot = format!(
        "{} of {}{}",
        format::count(shown),
        format::counted(total, one, several),
        words.order
    );
    view! {
        <p class="usage-note">{words.note}</p>
        {table(words.title, words.class, words.columns, rows)}
        <div class="table-foot">
            <span>{foot}</span>
        </div>
    }
    .into_any()
}
