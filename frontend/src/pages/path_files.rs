//! The files in the path: its archive as a directory. Each place in it is an address; what lies there
//! is fetched when it is opened. A path without a listing is read by the server meanwhile.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::files::{Files, ListedBy, Reading};
use snowbank_shared::contents::{FileEntry, FileKind, address_of, path_of};
use snowbank_shared::route::{PathTab, Route, escape};

use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::layout::{progress, table};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::path::PathPage;
use crate::pages::path_file::file;
use crate::pages::path_find;
use crate::state::derived::{effect, memo};
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// How often the server is asked how far it has read.
const AGAIN: Duration = Duration::from_millis(700);

/// The page of a place inside a path.
pub fn route_of(page: PathPage, path: &[u8]) -> Route {
    let (cache, hash) = (page.cache.get_value(), page.hash.get_value());
    let file = address_of(path);
    if file.is_empty() {
        let tab = PathTab::Files;
        return Route::Path { cache, hash, tab };
    }
    Route::File { cache, hash, file }
}

/// The tab. `place` is the address of the place inside; empty for the root.
pub fn tab(page: PathPage, place: Memo<String>) -> AnyView {
    let below = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "files");
    let below = StoredValue::new(below);
    let wanted = RwSignal::new(String::new());
    let cursor = RwSignal::new(None::<String>);
    // Another place begins at its first page, and without a search.
    effect(move || {
        place.track();
        wanted.set(String::new());
        cursor.set(None);
    });
    let files = Remote::<Files>::new(move || {
        let path = format!("{}?path={}", below.get_value(), escape(&place.get()));
        let path = match wanted.get() {
            q if q.is_empty() => path,
            q => format!("{path}&q={}", escape(&q)),
        };
        Some(api::at_cursor(&path, cursor.get().as_deref()))
    });
    let reading = memo(move || files.get().and_then(|files| files.reading));
    effect(move || {
        if files.get().is_some_and(|files| files.reading.is_some()) {
            set_timeout(move || files.reload(), AGAIN);
        }
    });
    let at_root = memo(move || place.with(String::is_empty));
    let body = move || match (reading.get(), files.get()) {
        (Some(reading), _) => being_read(reading),
        (None, None) if files.error().is_none() => skeleton(8, "Looking into the archive…"),
        (None, None) => ().into_any(),
        (None, Some(found)) => shown(page, below, &found, wanted, cursor),
    };
    view! {
        <section class="section files">
            {changing(move || crumbs(page, &place.get()))}
            {failure_of(files)}
            {changing(body)}
        </section>
        {changing(move || at_root.get().then(|| path_find::section(page)))}
    }
    .into_any()
}

/// The archive is being read: how far that is.
fn being_read(reading: Reading) -> AnyView {
    let words = format!(
        "Reading {}: nobody left a listing beside this path, so the server reads its archive once. {} read.",
        format::size(reading.whole),
        format::size(reading.read)
    );
    progress("Read", reading.read, reading.whole, words)
}

/// The way from the root to the place.
fn crumbs(page: PathPage, place: &str) -> AnyView {
    let path = path_of(place).unwrap_or_default();
    let names: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
        .collect();
    let name = move || page.detail.get().map(|detail| detail.row.name.clone());
    let root = memo(move || name().unwrap_or_else(|| "…".to_owned()));
    let steps = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let word = format::visible(&String::from_utf8_lossy(name));
            let step = if at + 1 == names.len() {
                view! { <span aria-current="page">{word}</span> }.into_any()
            } else {
                let to = names[..=at].join(&b'/');
                view! { <a href=href(&route_of(page, &to))>{word}</a> }.into_any()
            };
            view! { <li>{step}</li> }
        })
        .collect_view();
    let root = if names.is_empty() {
        view! { <span aria-current="page">{root}</span> }.into_any()
    } else {
        view! { <a href=href(&route_of(page, b""))>{root}</a> }.into_any()
    };
    view! {
        <nav class="crumbs" aria-label="Place inside the path">
            <ol>
                <li>{root}</li>
                {steps}
            </ol>
        </nav>
    }
    .into_any()
}

fn shown(
    page: PathPage,
    below: StoredValue<String>,
    files: &Files,
    wanted: RwSignal<String>,
    cursor: RwSignal<Option<String>>,
) -> AnyView {
    let Some(node) = &files.node else {
        return ().into_any();
    };
    if node.kind != FileKind::Directory {
        return file(page, &below.get_value(), node);
    }
    let searched = wanted.get_untracked();
    let all = size(node.size.unwrap_or_default());
    let words = if searched.is_empty() {
        let entries = format::counted(files.total, "entry", "entries");
        view! { <p class="closure-totals"><b>{entries}</b> ", " {all} " in all the files below."</p> }
            .into_any()
    } else {
        let found = format::counted(files.total, "name", "names");
        view! { <p class="closure-totals"><b>{found}</b> {format!(" below here with “{searched}”.")}</p> }
            .into_any()
    };
    let source = (files.listed_by == Some(ListedBy::Ls)).then(|| {
        view! { <p class="muted">"From the .ls object beside the narinfo. Its sizes add up to NarSize; no signature covers its names."</p> }
    });
    let typed = RwSignal::new(searched.clone());
    let look = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        cursor.set(None);
        wanted.set(typed.get_untracked().trim().to_owned());
    };
    let base = if searched.is_empty() {
        node.path().into_owned()
    } else {
        Vec::new()
    };
    let list = if files.items.is_empty() && searched.is_empty() {
        view! {
            <section class="empty">
                <h2>"Empty"</h2>
                <p>"This directory has no entries."</p>
            </section>
        }
        .into_any()
    } else {
        entries(page, &base, &files.items)
    };
    let next = files.next.clone().map(|next| {
        view! {
            <button type="button" class="button" on:click=move |_| cursor.set(Some(next.clone()))>
                "Next page"
                {icon(Icon::Next)}
            </button>
        }
    });
    let first = cursor.get_untracked().is_some().then(|| {
        view! {
            <button type="button" class="button" on:click=move |_| cursor.set(None)>
                {icon(Icon::First)}
                "First page"
            </button>
        }
    });
    view! {
        <div class="section-head">
            {words} <form class="files-search" role="search" aria-label="Names of files" on:submit=look>
                <input
                    type="search"
                    aria-label="File name"
                    placeholder="Search names below"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || typed.get()
                    on:input=move |event| typed.set(event_target_value(&event))
                />
                <button type="submit" class="button">{icon(Icon::Search)} "Search"</button>
            </form>
        </div>
        {source}
        {list}
        <div class="table-foot">
            <span></span>
            <span class="page-actions">{first} {next}</span>
        </div>
    }
    .into_any()
}

/// What kind of thing it is, and what is special about it.
pub fn kind_chips(entry: &FileEntry) -> AnyView {
    match entry.kind {
        FileKind::Directory => {
            let entries = format::counted(entry.entries.unwrap_or_default(), "entry", "entries");
            view! { <span class="muted">{entries}</span> }.into_any()
        }
        FileKind::Regular if entry.executable => {
            chip((Tone::Note, Icon::Act, "executable", "It may be executed."))
        }
        FileKind::Regular => ().into_any(),
        FileKind::Symlink => {
            let target = format::visible(entry.target.as_deref().unwrap_or_default());
            view! {
                {chip((Tone::Note, Icon::Next, "symlink", "It points elsewhere."))}
                <code class="break">{target}</code>
            }
            .into_any()
        }
    }
}

fn entries(page: PathPage, base: &[u8], items: &[FileEntry]) -> AnyView {
    let rows = items
        .iter()
        .map(|entry| {
            let path = entry.path().into_owned();
            // In its directory an entry goes by its own name.
            let own = if base.is_empty() {
                &path[..]
            } else {
                path.get(base.len() + 1..).unwrap_or(&path)
            };
            let slash = if entry.kind == FileKind::Directory { "/" } else { "" };
            let word = format!("{}{slash}", format::visible(&String::from_utf8_lossy(own)));
            let size = match entry.kind {
                FileKind::Symlink => view! { <span class="none">"—"</span> }.into_any(),
                _ => size(entry.size.unwrap_or_default()),
            };
            let copied = inside(page, &path);
            view! {
                <tr>
                    <th scope="row" class="grow wrap">
                        <a class="file-name" href=href(&route_of(page, &path))>{word}</a>
                    </th>
                    <td class="wrap" data-label="Kind"><span class="file-kind">{kind_chips(entry)}</span></td>
                    <td class="number" data-label="Size">{size}</td>
                    <td class="row-action">{copy_button("Copy the path", false, move || copied.clone())}</td>
                </tr>
            }
        })
        .collect_view();
    table(
        "Files",
        "table is-sticky",
        &[
            ("Name", "", ""),
            ("Kind", "", ""),
            (
                "Size",
                "number",
                "Of a directory: of all the files below it",
            ),
            ("", "", ""),
        ],
        rows,
    )
}

/// A place as a full path of the store.
pub fn inside(page: PathPage, path: &[u8]) -> String {
    let store = page
        .detail
        .get_now()
        .map(|detail| detail.row.path.clone())
        .unwrap_or_default();
    if path.is_empty() {
        return store;
    }
    format!("{store}/{}", String::from_utf8_lossy(path))
}
