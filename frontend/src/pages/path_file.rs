//! One file of a path: what it is, what is in it as far as a page shows that, and the whole as a download.

use leptos::prelude::*;
use snowbank_shared::contents::{FileEntry, FileKind, address_of};
use snowbank_shared::route::Route;

use crate::components::changing::changing;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::layout::fact;
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::path::PathPage;
use crate::pages::path_files::{inside, kind_chips, route_of};
use crate::state::navigation::{absolute, href, with_base};
use crate::state::remote::Remote;

/// Bytes of a text that is shown whole.
const MOST_TEXT: u64 = 1 << 20;
/// Bytes that are shown of what is longer, or no text.
const HEAD: u64 = 4096;
/// Bytes of a picture that is shown.
const MOST_PICTURE: u64 = 16 << 20;
/// Bytes in a line of hexadecimal digits.
const LINE: usize = 16;

/// The file or symlink; `below` is the address of the path's files in the API.
pub fn file(page: PathPage, below: &str, entry: &FileEntry) -> AnyView {
    if entry.kind == FileKind::Symlink {
        return symlink(page, entry);
    }
    let path = entry.path().into_owned();
    let bytes = entry.size.unwrap_or_default();
    let address = format!("{below}/{}", address_of(&path));
    let raw = with_base(&format!("/api/v1{address}"));
    let full = absolute(&format!("/api/v1{address}"));
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = match name {
        b"" => page
            .detail
            .get_now()
            .map_or_else(String::new, |detail| detail.row.name.clone()),
        name => String::from_utf8_lossy(name).into_owned(),
    };
    let place = inside(page, &path);
    let copied = place.clone();
    let preview = if is_picture(&name) && bytes <= MOST_PICTURE {
        let what = format!("The picture {}", format::visible(&name));
        view! { <p class="file-picture"><img src=raw.clone() alt=what /></p> }.into_any()
    } else if bytes == 0 {
        view! { <p class="muted">"It is empty."</p> }.into_any()
    } else {
        contents(address, bytes)
    };
    let alone = path
        .is_empty()
        .then(|| view! { <p class="closure-totals">"This path is a single file."</p> });
    view! {
        {alone}
        <div class="file-facts">
            <dl class="facts wraps">
                {fact("Size", size(bytes))} {entry.executable.then(|| fact("Kind", kind_chips(entry)))} <dt>"Path"</dt>
                <dd class="mono with-copy">
                    <span class="break">{format::visible(&place)}</span>
                    {copy_button("Copy the path", false, move || copied.clone())}
                </dd>
            </dl>
            <div class="page-actions">
                <a class="button" href=raw download=name rel="external">{icon(Icon::Download)} "Download"</a>
                {copy_button("Copy the file's URL", true, move || full.clone())}
            </div>
        </div>
        {preview}
    }
    .into_any()
}

fn is_picture(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".svg",
    ]
    .iter()
    .any(|extension| name.ends_with(extension))
}

/// What is in it: as text where it is one, else its first bytes in hexadecimal digits.
fn contents(address: String, bytes: u64) -> AnyView {
    let whole = bytes <= MOST_TEXT;
    let source = if whole {
        address
    } else {
        format!("{address}?head={HEAD}")
    };
    let read = Remote::of_bytes(move || Some(source.clone()));
    let body = move || match read.get() {
        None if read.error().is_none() => skeleton(8, "Fetching the file…"),
        None => ().into_any(),
        Some(found) => drawn(&found, whole, bytes),
    };
    view! {
        {failure_of(read)}
        {changing(body)}
    }
    .into_any()
}

fn drawn(found: &[u8], whole: bool, bytes: u64) -> AnyView {
    let looked_at = &found[..found.len().min(8000)];
    let is_text = !looked_at.contains(&0);
    let (label, text) = if is_text {
        ("Text", String::from_utf8_lossy(found).into_owned())
    } else {
        let head = &found[..found.len().min(HEAD as usize)];
        ("Bytes in hexadecimal digits", hex(head))
    };
    let shown = match (is_text, whole) {
        (true, true) => None,
        (true, false) => Some(HEAD),
        (false, _) => Some(HEAD.min(bytes)),
    };
    let note = shown.filter(|shown| *shown < bytes).map(|shown| {
        let words = format!(
            "The first {} of {}. The download has all of it.",
            format::size(shown),
            format::size(bytes)
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        {note}
        <div class="code">
            <pre tabindex="0" role="group" aria-label=label>{text}</pre>
        </div>
    }
    .into_any()
}

/// Lines of offset, sixteen bytes and what they are as text.
fn hex(bytes: &[u8]) -> String {
    let mut lines = String::new();
    for (at, line) in bytes.chunks(LINE).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            })
            .collect();
        lines.push_str(&format!(
            "{:08x}  {:<47}  {text}\n",
            at * LINE,
            digits.join(" ")
        ));
    }
    lines
}

/// Where it points, and a link to there where that is inside or another path.
fn symlink(page: PathPage, entry: &FileEntry) -> AnyView {
    let target = entry.target.clone().unwrap_or_default();
    let route = followed(page, entry, &target);
    let link = match route {
        Some(route) => {
            view! { <a href=href(&route)><code class="break">{format::visible(&target)}</code></a> }
                .into_any()
        }
        None => view! { <code class="break">{format::visible(&target)}</code> }.into_any(),
    };
    view! {
        <dl class="facts wraps">
            {fact("Kind", "symlink")} {fact("Points to", link)}
        </dl>
    }
    .into_any()
}

/// The page of what a symlink points to.
fn followed(page: PathPage, entry: &FileEntry, target: &str) -> Option<Route> {
    let own = page.detail.get_now()?.row.path.clone();
    let path = entry.path().into_owned();
    let (store, _) = own.rsplit_once('/')?;
    let target = match target.strip_prefix(&format!("{own}/")) {
        Some(inside) => return Some(route_of(page, inside.as_bytes())),
        None => target,
    };
    if let Some(other) = target
        .strip_prefix(store)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        let (base, file) = other.split_once('/').unwrap_or((other, ""));
        let (cache, hash) = (page.cache.get_value(), base.get(..32)?.to_owned());
        let route = match file {
            "" => Route::path(cache, hash),
            file => Route::File {
                cache,
                hash,
                file: address_of(file.as_bytes()),
            },
        };
        // It has to be an address.
        return route.to_string().parse().ok();
    }
    if target.starts_with('/') {
        return None;
    }
    let mut names: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    names.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name.as_bytes()),
        }
    }
    Some(route_of(page, &names.join(&b'/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_drawn_in_lines_of_sixteen() {
        let lines = hex(b"\x7fELF\0 and some more");
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines[0],
            "00000000  7f 45 4c 46 00 20 61 6e 64 20 73 6f 6d 65 20 6d  .ELF. and some m"
        );
        assert!(lines[1].starts_with("00000010  6f 72 65"), "{}", lines[1]);
    }
}
