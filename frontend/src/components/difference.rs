//! In which files two builds of one path differ.

use leptos::prelude::*;
use snowbank_shared::contents::{Aspect, Change, Difference, DifferingFile, FileEntry, FileKind};

use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::format;

/// A file's name as people read it; the path itself has none.
fn file_name(entry: &FileEntry) -> String {
    if entry.name.is_empty() {
        "the path itself".to_owned()
    } else {
        format::visible(&entry.name)
    }
}

const fn aspect_word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Type => "type",
        Aspect::Size => "size",
        Aspect::Content => "contents",
        Aspect::Executable => "executable",
        Aspect::Target => "target",
    }
}

fn change_chip(item: &DifferingFile) -> AnyView {
    let change = chip(match item.change {
        Change::Added => (Tone::Note, Icon::Plus, "Added", "Only the newcomer has it."),
        Change::Removed => (
            Tone::Note,
            Icon::Dash,
            "Missing",
            "The newcomer does not have it.",
        ),
        Change::Changed => (
            Tone::Warn,
            Icon::Warning,
            "Differs",
            "Both have it, and it is not the same.",
        ),
    });
    let aspects: Vec<&str> = item.aspects.iter().copied().map(aspect_word).collect();
    let words =
        (!aspects.is_empty()).then(|| view! { <span class="muted">{aspects.join(", ")}</span> });
    view! { <span class="difference-what">{change} {words}</span> }.into_any()
}

/// What one build has there: a size, or what else it is; `--` where its bytes are no text.
fn side(entry: Option<&FileEntry>) -> AnyView {
    let Some(entry) = entry else {
        return view! { <span class="none">"—"</span> }.into_any();
    };
    match entry.kind {
        FileKind::Directory => view! { <span class="muted">"directory"</span> }.into_any(),
        FileKind::Symlink => {
            let target = format::visible(entry.target.as_deref().unwrap_or_default());
            view! { <span class="break">"→ " {target}</span> }.into_any()
        }
        FileKind::Regular => {
            let size = entry.size.unwrap_or_default();
            let binary = (entry.binary == Some(true)).then(|| {
                view! { <span class="muted" title="Binary: its bytes are no text">" --"</span> }
            });
            let hash = entry.sha256.clone().unwrap_or_default();
            view! {
                <data value=size.to_string() title=hash>{format::size(size)}</data>
                {binary}
            }
            .into_any()
        }
    }
}

fn row(item: &DifferingFile) -> AnyView {
    let name = item.entry().map(file_name).unwrap_or_default();
    view! {
        <tr>
            <th scope="row" class="wrap"><code class="break">{name}</code></th>
            <td class="wrap" data-label="What">{change_chip(item)}</td>
            <td class="number wrap" data-label="Kept">{side(item.first.as_ref())}</td>
            <td class="number wrap" data-label="Newcomer">{side(item.second.as_ref())}</td>
        </tr>
    }
    .into_any()
}

/// In words: how many differ, and how.
fn sentence(difference: &Difference) -> String {
    let parts: Vec<String> = [
        (difference.changed, "not the same in both"),
        (difference.added, "only in the newcomer"),
        (difference.removed, "only in what is kept"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", format::count(count)))
    .collect();
    if parts.is_empty() {
        return "Every file is the same; only the archives differ.".to_owned();
    }
    let all = difference.differing() + difference.same;
    format!(
        "{} of {}: {}.",
        format::counted(difference.differing(), "entry", "entries"),
        format::count(all),
        parts.join(", ")
    )
}

/// The sentence, the first differing file, and a table of all that are named. The first of the two is the build
/// that is kept.
pub fn difference(difference: &Difference) -> AnyView {
    let first = difference
        .items
        .first()
        .and_then(DifferingFile::entry)
        .map(|entry| {
            view! { <p>"First differing file: " <code class="break">{file_name(entry)}</code></p> }
        });
    let more = difference.differing() - difference.items.len() as u64;
    let more = (more > 0).then(|| {
        view! { <p class="muted">{format!("And {} more.", format::count(more))}</p> }
    });
    let rows = difference.items.iter().map(row).collect_view();
    let table = (!difference.items.is_empty()).then(|| {
        table(
            "Files that differ",
            "table",
            &[
                ("File", "", ""),
                ("What", "", ""),
                ("Kept", "number", "As it is in the cache"),
                (
                    "Newcomer",
                    "number",
                    "As it is in the build that came later",
                ),
            ],
            rows,
        )
    });
    view! {
        <div class="difference">
            <p>{sentence(difference)}</p>
            {first} {table} {more}
        </div>
    }
    .into_any()
}
