//! The columns of the path browser: which there are, which are shown, and the
//! menu that chooses. The choice stays in this browser; exports follow it.

use leptos::prelude::*;
use snowbank_shared::api::PathRow;
use snowbank_shared::route::{Sort, SortKey};

use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, content_chip, signature_chip};
use crate::components::icon::Icon;
use crate::components::menu::menu;
use crate::components::size::{size, size_or};
use crate::format;
use crate::state::derived::effect;
use crate::state::preferences::preferences;

/// A path that an owner holds back.
const QUARANTINED: (Tone, Icon, &str, &str) = (
    Tone::Warn,
    Icon::Warning,
    "in quarantine",
    "An owner holds it back: clients get 404.",
);

/// Where the choice is kept.
const KEPT: &str = "snowbank.columns";

/// A column that can be shown, hidden and sorted by. The name is always there.
pub struct Column {
    /// What it is sorted by; its name in exports.
    pub key: SortKey,
    /// Its word.
    pub word: &'static str,
    /// Its class.
    pub class: &'static str,
    /// Whether the first click sorts descending.
    pub descending_first: bool,
    /// Whether it is shown where nobody chose.
    usual: bool,
    /// Draws a cell; `about` stands before what may still grow.
    pub cell: fn(row: &PathRow, about: &'static str) -> AnyView,
}

/// The column of names.
pub const NAME: Column = Column {
    key: SortKey::Name,
    word: "Path",
    class: "",
    descending_first: false,
    usual: true,
    cell: |_, _| ().into_any(),
};

/// The others, in the order shown.
pub const COLUMNS: [Column; 11] = [
    Column {
        key: SortKey::NarSize,
        word: "NAR size",
        class: "number",
        descending_first: true,
        usual: true,
        cell: |row, _| size(row.nar_size),
    },
    Column {
        key: SortKey::FileSize,
        word: "Download",
        class: "number col-3",
        descending_first: true,
        usual: true,
        cell: |row, _| size_or(row.file_size, "unknown"),
    },
    Column {
        key: SortKey::ClosureSize,
        word: "Closure",
        class: "number",
        descending_first: true,
        usual: true,
        cell: closure_size,
    },
    Column {
        key: SortKey::ClosurePaths,
        word: "Closure paths",
        class: "number",
        descending_first: true,
        usual: false,
        cell: |row, about| match row.closure_paths {
            Some(paths) => view! { {about} {format::count(paths)} }.into_any(),
            None => size_or(None, "not yet"),
        },
    },
    Column {
        key: SortKey::ReferenceCount,
        word: "References",
        class: "number",
        descending_first: true,
        usual: false,
        cell: |row, _| format::count(row.reference_count).into_any(),
    },
    Column {
        key: SortKey::ReferrerCount,
        word: "Referrers",
        class: "number",
        descending_first: true,
        usual: false,
        cell: |row, about| view! { {about} {format::count(row.referrer_count)} }.into_any(),
    },
    Column {
        key: SortKey::AddedAt,
        word: "Added",
        class: "col-2",
        descending_first: true,
        usual: true,
        cell: |row, _| view! { <span class="muted">{ago(&row.added_at)}</span> }.into_any(),
    },
    Column {
        key: SortKey::Signature,
        word: "Signature",
        class: "",
        descending_first: true,
        usual: true,
        cell: |row, _| {
            view! { {row.quarantined.then(|| chip(QUARANTINED))} {signature_chip(row.signature, row.signature_problem)} }
                .into_any()
        },
    },
    Column {
        key: SortKey::Signers,
        word: "Signed by",
        class: "wrap",
        descending_first: false,
        usual: false,
        cell: |row, _| match row.signers.is_empty() {
            true => size_or(None, "nobody"),
            false => format::visible(&row.signers.join(", ")).into_any(),
        },
    },
    Column {
        key: SortKey::Content,
        word: "Content",
        class: "col-2",
        descending_first: true,
        usual: true,
        cell: |row, _| content_chip(row.content),
    },
    Column {
        key: SortKey::Compression,
        word: "Compression",
        class: "",
        descending_first: false,
        usual: false,
        cell: |row, _| row.compression.clone().into_any(),
    },
];

fn closure_size(row: &PathRow, about: &'static str) -> AnyView {
    let paths = row
        .closure_paths
        .map(|paths| format!("in {}", format::counted(paths, "path", "paths")));
    view! { <span title=paths>{about} {size_or(row.closure_size, "not yet")}</span> }.into_any()
}

/// Which columns are shown: one bit each, in the order of [`COLUMNS`]. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Shown(RwSignal<u16>);

/// The columns that are shown where nobody chose.
fn usual() -> u16 {
    bits(|column| column.usual)
}

fn bits(of: impl Fn(&Column) -> bool) -> u16 {
    COLUMNS
        .iter()
        .enumerate()
        .filter(|(_, column)| of(column))
        .fold(0, |bits, (at, _)| bits | 1 << at)
}

/// Reads names of columns with commas between; names that are gone are left out.
fn read(text: &str) -> u16 {
    bits(|column| text.split(',').any(|name| name == column.key.as_str()))
}

/// The names of columns with commas between.
fn names(bits: u16) -> String {
    let chosen: Vec<&str> = COLUMNS
        .iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1)
        .map(|(_, column)| column.key.as_str())
        .collect();
    chosen.join(",")
}

impl Shown {
    /// As this browser remembers it, and keeps it from now on.
    pub fn start() -> Self {
        let storage = || window().local_storage().ok().flatten();
        let kept = storage().and_then(|storage| storage.get_item(KEPT).ok().flatten());
        let shown = Self(RwSignal::new(kept.map_or_else(usual, |kept| read(&kept))));
        effect(move || {
            let bits = shown.0.get();
            let Some(storage) = storage() else { return };
            let _ = if bits == usual() {
                storage.remove_item(KEPT)
            } else {
                storage.set_item(KEPT, &names(bits))
            };
        });
        shown
    }

    /// Whether somebody chose: then no column is left out where it is narrow; tracked.
    pub fn is_chosen(self) -> bool {
        self.0.get() != usual()
    }

    /// The columns that are shown; tracked.
    pub fn columns(self) -> Vec<&'static Column> {
        const ALL: &[Column; 11] = &COLUMNS;
        let bits = self.0.get();
        ALL.iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, column)| column)
            .collect()
    }

    /// The fields of an export that shows the same; tracked.
    pub fn fields(self) -> String {
        format!("path,hash,name,{}", names(self.0.get()))
    }

    /// The sort that follows one, over the columns that are shown; not tracked.
    pub fn sort_after(self, now: Sort) -> (&'static str, Sort) {
        let columns = untrack(|| self.columns());
        let here = columns.iter().position(|column| column.key == now.key);
        let next = match here {
            // The name stands before the first.
            None if now.key == SortKey::Name => columns.first().copied(),
            None => None,
            Some(at) => columns.get(at + 1).copied(),
        };
        let next = next.unwrap_or(&NAME);
        let sort = Sort {
            key: next.key,
            descending: next.descending_first,
        };
        (next.word, sort)
    }
}

/// The menu: columns and height of rows.
pub fn view_menu(shown: Shown) -> AnyView {
    let preferences = preferences();
    let boxes = COLUMNS
        .iter()
        .enumerate()
        .map(|(at, column)| {
            check(
                column.word,
                Signal::derive(move || shown.0.get() >> at & 1 == 1),
                Box::new(move || shown.0.update(|bits| *bits ^= 1 << at)),
            )
        })
        .collect_view();
    let reset = move || {
        shown.is_chosen().then(|| {
            view! {
                <button type="button" on:click=move |_| shown.0.set(usual())>
                    "The usual columns"
                </button>
            }
        })
    };
    let entries = view! {
        <fieldset class="menu-group">
            <legend>"Columns"</legend>
            {boxes}
        </fieldset>
        <fieldset class="menu-group">
            <legend>"Rows"</legend>
            {check(
                "Compact",
                preferences.compact.into(),
                Box::new(move || preferences.compact.update(|compact| *compact = !*compact)),
            )}
        </fieldset>
        {changing(reset)}
    };
    menu(Icon::Overview, "View", true, entries)
}

fn check(word: &'static str, on: Signal<bool>, flip: Box<dyn Fn()>) -> AnyView {
    view! {
        <label class="choice">
            <input type="checkbox" prop:checked=move || on.get() on:change=move |_| flip() />
            {word}
        </label>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_back_and_names_that_are_gone_are_left_out() {
        assert_eq!(read(&names(usual())), usual());
        assert_eq!(read("nar_size,gone,,compression"), 1 | 1 << 10);
        assert_eq!(read(""), 0);
        assert_eq!(names(0b101), "nar_size,closure_size");
    }
}
