//! A store path as people read it: hash muted and cut to eight characters on
//! screen, name strong, version a shade lighter. The whole hash stays in the
//! page for find and copy.

use leptos::prelude::*;
use snowbank_shared::route::Route;

use crate::format::{split_name, split_path};
use crate::state::navigation::href;

/// How a screen reader spells the hash.
fn spoken(hash: &str) -> String {
    let mut spoken = String::from("hash starting");
    for letter in hash.chars().take(4) {
        spoken.push(' ');
        spoken.push(letter);
    }
    spoken
}

fn parts(hash: &str, name: &str) -> AnyView {
    let (head, rest) = hash.split_at_checked(8).unwrap_or((hash, ""));
    let (package, version) = split_name(name);
    view! {
        <span class="store-path-hash" role="img" aria-label=spoken(hash)>
            <span>{head.to_owned()}</span>
            <span>{rest.to_owned()}</span>
        </span>
        <span class="store-path-name">
            <b>{package.to_owned()}</b>
            <span class="store-path-version">{version.to_owned()}</span>
        </span>
    }
    .into_any()
}

/// A link to a path of a cache.
pub fn path_link(cache: &str, hash: &str, name: &str) -> AnyView {
    view! {
        <a class="store-path" href=href(&Route::path(cache, hash))>
            {parts(hash, name)}
        </a>
    }
    .into_any()
}

/// A full store path or base name that cannot be opened here.
pub fn path_text(path: &str) -> AnyView {
    let (hash, name) = split_path(path);
    view! { <span class="store-path">{parts(hash, name)}</span> }.into_any()
}
