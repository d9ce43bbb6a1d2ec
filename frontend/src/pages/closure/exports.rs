//! The closure to take along: as a table, as a graph, as a list of store paths.

use leptos::prelude::*;

use crate::components::export_menu::{Exported, export_link};
use crate::components::icon::Icon;
use crate::components::menu::menu;
use crate::format;

/// The formats, what they are called and what they are for.
const FORMATS: [(&str, &str, &str); 5] = [
    ("csv", "CSV", "for spreadsheets"),
    ("json", "JSON", "as the API"),
    ("ndjson", "NDJSON", "one row a line"),
    ("dot", "DOT", "a graph, for Graphviz"),
    ("paths", "Store paths", "one a line"),
];

/// The menu; `path` is the closure's address below `/api/v1`.
pub fn exports(path: &str, rows: u64) -> AnyView {
    let exported = Exported {
        path: path.to_owned(),
        columns: String::new(),
        rows,
    };
    let links = FORMATS
        .map(|(format, word, note)| export_link(&exported, format, word, note))
        .collect_view();
    let entries = view! {
        <p class="menu-note">{format::counted(rows, "path", "paths")} ", all of the closure"</p>
        {links}
    };
    view! { <div class="export-menu">{menu(Icon::Download, "Export", true, entries)}</div> }
        .into_any()
}
