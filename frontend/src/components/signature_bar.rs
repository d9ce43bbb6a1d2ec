//! How many paths have which signature word: a bar, and the same as a list of links.

use leptos::prelude::*;
use snowbank_shared::api::{SignatureCount, SignatureStatus};
use snowbank_shared::route::{PathsQuery, Route};

use crate::components::chip::{Tone, signature_chip, signature_words};
use crate::format;
use crate::state::navigation::href;

/// The counts in the order of the words, none left out that has paths.
fn ordered(counts: &[SignatureCount]) -> Vec<(SignatureStatus, u64)> {
    SignatureStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let paths = counts.iter().find(|count| count.signature == status)?.paths;
            (paths > 0).then_some((status, paths))
        })
        .collect()
}

/// The bar and its list.
pub fn signature_bar(cache: &str, counts: &[SignatureCount]) -> AnyView {
    let counts = ordered(counts);
    let whole: u64 = counts.iter().map(|(_, paths)| paths).sum();
    let mut x = 0;
    let tiles = counts
        .iter()
        .map(|&(status, paths)| {
            // A sliver stays visible: at least half a percent of the width.
            let width = (paths * 1000).checked_div(whole).unwrap_or(0).max(5);
            let at = x;
            x += width;
            let class = match signature_words(status).0 {
                Tone::Ok => "tile-ok",
                Tone::Note => "tile-note",
                Tone::Unknown => "tile-unknown",
                Tone::Warn => "tile-warn",
                Tone::Bad => "tile-bad",
            };
            view! { <rect class=class x=at.to_string() y="0" width=width.to_string() height="8" /> }
        })
        .collect_view();
    let rows = counts
        .iter()
        .map(|&(status, paths)| {
            let list = Route::Paths {
                cache: cache.to_owned(),
                query: PathsQuery {
                    sig: Some(status),
                    ..PathsQuery::default()
                },
            };
            view! {
                <li>
                    <a href=href(&list)>{signature_chip(status, None)}</a>
                    <span class="number">{format::count(paths)}</span>
                    <span class="number muted">{format::percent(paths, whole)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="signature-bar">
            <svg viewBox=format!("0 0 {} 8", x.max(1)) preserveAspectRatio="none" aria-hidden="true">{tiles}</svg>
            <ul>{rows}</ul>
        </div>
    }
    .into_any()
}
