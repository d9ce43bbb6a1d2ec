//! A whole table to take along: links to the same list in other formats, with
//! the columns that are shown. The server names the files.

use leptos::prelude::*;

use crate::api;
use crate::components::changing::changing;
use crate::components::icon::Icon;
use crate::components::menu::menu;
use crate::format;
use crate::state::navigation::with_base;

/// Rows above which one object for everything is too much: one a line instead.
const MOST_JSON: u64 = 50_000;
/// Rows of a Markdown table at most, as the server has it.
const MOST_MARKDOWN: u64 = 200;

/// A table that can be taken along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The list's address below `/api/v1`, without limit and cursor.
    pub path: String,
    /// The fields with commas between; empty: all.
    pub columns: String,
    /// How many rows it has.
    pub rows: u64,
}

/// The menu; `exported` is tracked.
pub fn export_menu(exported: impl Fn() -> Option<Exported> + Send + Sync + 'static) -> AnyView {
    erased(Box::new(exported))
}

fn erased(exported: Box<dyn Fn() -> Option<Exported> + Send + Sync>) -> AnyView {
    let entries = changing(move || exported().map(|exported| links(&exported)));
    view! { <div class="export-menu">{menu(Icon::Download, "Export", true, entries)}</div> }
        .into_any()
}

fn links(exported: &Exported) -> AnyView {
    let link = |format: &str, word: &'static str, note: &'static str| {
        export_link(exported, format, word, note)
    };
    let json = if exported.rows > MOST_JSON {
        link("ndjson", "NDJSON", "one row a line")
    } else {
        link("json", "JSON", "as the API")
    };
    let lines = (exported.rows <= MOST_JSON).then(|| link("ndjson", "NDJSON", "one row a line"));
    let markdown = if exported.rows > MOST_MARKDOWN {
        view! {
            <p class="menu-note">
                {format!("Markdown holds up to {MOST_MARKDOWN} rows: filter more for it.")}
            </p>
        }
        .into_any()
    } else {
        link("markdown", "Markdown", "a table to paste")
    };
    view! {
        <p class="menu-note">{format::counted(exported.rows, "row", "rows")} ", the columns shown"</p>
        {link("csv", "CSV", "for spreadsheets")}
        {json}
        {lines}
        {markdown}
    }
    .into_any()
}

/// An entry of such a menu: the table in one format.
pub fn export_link(
    exported: &Exported,
    format: &str,
    word: &'static str,
    note: &'static str,
) -> AnyView {
    let path = api::export_path(&exported.path, format, &exported.columns);
    view! {
        <a href=with_base(&format!("/api/v1{path}")) download="">
            {word}
            <small>{note}</small>
        </a>
    }
    .into_any()
}
