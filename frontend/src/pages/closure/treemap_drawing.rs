//! How tiles are drawn and named, what their hues mean, and the map's table twin.

use leptos::prelude::*;
use snowbank_shared::api::SignatureStatus;

use super::choice::Colour;
use super::shape::Shape;
use super::tiles::{SCALE, Tile, What};
use super::treemap::Map;
use crate::components::changing::changing;
use crate::components::chip::{Tone, signature_words};
use crate::components::layout::table;
use crate::components::size::size;
use crate::components::store_path::{path_link, path_text};
use crate::format;

/// Pixels that a letter of a label takes, in sixteenths: 11 px, monospaced.
const LETTER: u32 = 107;
/// Rows of the twin.
const MOST_ROWS: usize = 2_000;

/// Sizes below which a tile has the hue of the band, and its words.
const BANDS: [(u64, &str); 5] = [
    (1 << 20, "below 1 MiB"),
    (10 << 20, "below 10 MiB"),
    (100 << 20, "below 100 MiB"),
    (1 << 30, "below 1 GiB"),
    (u64::MAX, "1 GiB and more"),
];

/// What the tones of signatures are called where they are grouped.
const TONES: [(Tone, &str); 5] = [
    (Tone::Ok, "valid or not needed"),
    (Tone::Note, "valid, key retired"),
    (Tone::Unknown, "unknown key, or several paths"),
    (Tone::Warn, "unsigned, revoked or clash"),
    (Tone::Bad, "invalid or malformed"),
];

const fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Ok => "hue-ok",
        Tone::Note => "hue-note",
        Tone::Unknown => "hue-unknown",
        Tone::Warn => "hue-warn",
        Tone::Bad => "hue-bad",
    }
}

fn band(bytes: u64) -> usize {
    BANDS
        .iter()
        .position(|(end, _)| bytes < *end)
        .unwrap_or(BANDS.len() - 1)
}

fn hue(shape: &Shape, tile: &Tile, colour: Colour) -> String {
    match colour {
        Colour::Size => format!("band-{}", band(tile.bytes)),
        Colour::Signature => match (tile.what, shape.node(tile.what.node()).signature) {
            (What::Rest(..), _) | (_, None) => tone_class(Tone::Unknown).to_owned(),
            (_, Some(status)) => tone_class(tone(status)).to_owned(),
        },
    }
}

const fn tone(status: SignatureStatus) -> Tone {
    signature_words(status).0
}

/// What a tile is called.
fn name(shape: &Shape, what: What) -> String {
    let node = &shape.node(what.node()).name;
    match what {
        What::Path(_) => node.clone(),
        What::Own(_) => format!("{node} alone"),
        What::Rest(_, Some(paths)) => {
            format!(
                "{} of {node}",
                format::counted(paths as u64, "small path", "small paths")
            )
        }
        What::Rest(_, None) => format!("other paths of {node}"),
    }
}

/// What a tile says: to who hears it, and below the map.
pub fn words(shape: &Shape, tile: &Tile) -> String {
    let node = shape.node(tile.what.node());
    let status = match (tile.what, node.signature) {
        (What::Rest(..), _) | (_, None) => String::new(),
        (_, Some(status)) => format!(", signature: {}", signature_words(status).2),
    };
    let paths = match (tile.what, node.added_paths) {
        (What::Path(_), Some(paths)) if paths > 1 => {
            format!(" in {}", format::counted(paths, "path", "paths"))
        }
        _ => String::new(),
    };
    format!(
        "{}, {}{paths}{status}",
        name(shape, tile.what),
        format::size(tile.bytes)
    )
}

/// Units of the drawing as pixels.
fn pixels(units: u32) -> String {
    let part = units % SCALE * 10_000 / SCALE;
    format!("{}.{part:04}", units / SCALE)
}

/// All tiles.
pub fn drawn(map: Map) -> AnyView {
    let shape = map.near.shape();
    let colour = map.colour.get();
    map.tiles.with(|tiles| {
        tiles
            .iter()
            .enumerate()
            .map(|(at, tile)| tile_drawn(&shape, at, tile, colour))
            .collect_view()
            .into_any()
    })
}

fn tile_drawn(shape: &Shape, at: usize, tile: &Tile, colour: Colour) -> AnyView {
    let rect = tile.rect;
    let roomy = rect.w >= 48 * SCALE && rect.h >= 20 * SCALE;
    let label = roomy.then(|| {
        let letters = ((rect.w - 10 * SCALE) * 16 / SCALE / LETTER) as usize;
        let whole = name(shape, tile.what);
        let text: String = if whole.chars().count() > letters {
            let mut cut: String = whole.chars().take(letters.saturating_sub(1)).collect();
            cut.push('…');
            cut
        } else {
            whole
        };
        let x = pixels(rect.x + 5 * SCALE);
        let below = (rect.h >= 36 * SCALE).then(|| {
            view! {
                <text class="tile-size" x=x.clone() y=pixels(rect.y + 29 * SCALE)>
                    {format::size_short(tile.bytes)}
                </text>
            }
        });
        view! {
            <text x=x.clone() y=pixels(rect.y + 15 * SCALE)>
                {text}
            </text>
            {below}
        }
    });
    view! {
        <g
            role="treeitem"
            id=format!("closure-tile-{at}")
            class=format!("tile {} depth-{}", hue(shape, tile, colour), tile.level)
            data-tile=at.to_string()
            data-bytes=tile.bytes.to_string()
            aria-level=tile.level.to_string()
            aria-selected="false"
            aria-label=words(shape, tile)
        >
            <rect x=pixels(rect.x) y=pixels(rect.y) width=pixels(rect.w) height=pixels(rect.h) />
            {label}
        </g>
    }
    .into_any()
}

/// What the hues mean.
pub fn legend(colour: Colour) -> AnyView {
    let entry = |class: String, word: &'static str| {
        view! {
            <li>
                <svg class=format!("swatch {class}") viewBox="0 0 12 12" aria-hidden="true">
                    <rect width="12" height="12" />
                </svg>
                {word}
            </li>
        }
    };
    let entries = match colour {
        Colour::Size => (0..BANDS.len())
            .map(|at| entry(format!("band-{at}"), BANDS[at].1))
            .collect_view(),
        Colour::Signature => TONES
            .iter()
            .map(|&(tone, word)| entry(tone_class(tone).to_owned(), word))
            .collect_view(),
    };
    view! { <ul class="treemap-legend">{entries}</ul> }.into_any()
}

/// The same as a table, the largest tile first.
pub fn twin(map: Map) -> AnyView {
    let shown = RwSignal::new(false);
    let rows = move || {
        shown.get().then(|| {
            let shape = map.near.shape();
            let cache = map.near.explorer.page.cache.get_value();
            let (_, whole) = shape.weight(map.zoom.get(), map.download.get());
            let mut tiles = map.tiles.get();
            tiles.sort_by_key(|tile| std::cmp::Reverse(tile.bytes));
            let left = tiles.len().saturating_sub(MOST_ROWS);
            let rows = tiles
                .iter()
                .take(MOST_ROWS)
                .map(|tile| row(&shape, &cache, tile, whole))
                .collect_view();
            let columns = [
                ("Tile", "", ""),
                ("Size", "number", "What would leave the closure with it"),
                ("Share", "number", ""),
            ];
            let more = (left > 0).then(|| {
                let left = format::counted(left as u64, "smaller tile", "smaller tiles");
                view! { <p class="muted">{format!("and {left}: the Table view has every path.")}</p> }
            });
            view! {
                {table("The tiles, largest first", "table", &columns, rows)}
                {more}
            }
        })
    };
    view! {
        <details class="explain" on:toggle=move |_| shown.set(true)>
            <summary>"Show as table"</summary>
            <div id="treemap-table">{changing(rows)}</div>
        </details>
    }
    .into_any()
}

fn row(shape: &Shape, cache: &str, tile: &Tile, whole: u64) -> AnyView {
    let node = shape.node(tile.what.node());
    let name = match tile.what {
        What::Path(_) if node.present => path_link(cache, &node.hash, &node.name),
        What::Own(_) => view! {
            {path_link(cache, &node.hash, &node.name)}
            <span class="muted">" alone"</span>
        }
        .into_any(),
        What::Path(_) => path_text(&format!("{}-{}", node.hash, node.name)),
        What::Rest(..) => name(shape, tile.what).into_any(),
    };
    view! {
        <tr data-bytes=tile.bytes.to_string()>
            <th scope="row" class="grow">{name}</th>
            <td class="number" data-label="Size">{size(tile.bytes)}</td>
            <td class="number" data-label="Share">{format::percent(tile.bytes, whole)}</td>
        </tr>
    }
    .into_any()
}
