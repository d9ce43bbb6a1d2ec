//! The dominator tree as an area: a path's tile is as large as what would leave the
//! closure with it. Arrows move between tiles, Enter zooms in, Backspace out; the same
//! stands below as a table.

use std::collections::{HashMap, HashSet};

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{KeyboardEvent, MouseEvent};

use super::choice::{Colour, SizeKind, place};
use super::explorer::{Step, hit, number};
use super::near::Near;
use super::shape::Shape;
use super::tiles::{Tile, Way, What, neighbour, tiles};
use super::treemap_drawing::{drawn, legend, twin, words};
use crate::components::changing::changing;
use crate::components::choice::segments;
use crate::format;
use crate::state::derived::{effect, memo};

/// Pixels of the map where nobody knows its width yet.
const WIDTH: u32 = 960;

/// The map and its active tile.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    /// The closure.
    pub near: Near,
    /// The node that fills the map.
    pub zoom: Memo<u32>,
    /// Bytes to download instead of bytes unpacked.
    pub download: Memo<bool>,
    /// The tiles, as one reads.
    pub tiles: Memo<Vec<Tile>>,
    /// What their hue means.
    pub colour: Memo<Colour>,
    /// The active tile.
    active: RwSignal<What>,
    at: Memo<usize>,
}

/// Draws it.
pub fn treemap(near: Near) -> AnyView {
    let explorer = near.explorer;
    let width = RwSignal::new(WIDTH);
    let plot = NodeRef::<Div>::new();
    let measure = move || {
        let Some(plot) = plot.try_get_untracked().flatten() else {
            return;
        };
        let wide = u32::try_from(plot.client_width()).unwrap_or_default();
        if wide > 0 {
            width.set(wide);
        }
    };
    effect(move || {
        if plot.get().is_some() {
            measure();
        }
    });
    let resized = window_event_listener(leptos::ev::resize, move |_| measure());
    on_cleanup(move || resized.remove());
    let zoom = memo(move || {
        let hash = explorer.choice.with(|choice| choice.zoom.clone());
        near.shape().find(&hash).unwrap_or_default()
    });
    let download = memo(move || explorer.size.get() == SizeKind::Download);
    let extent = memo(move || (width.get(), (width.get() * 9 / 16).clamp(320, 620)));
    let all = memo(move || tiles(&near.shape(), zoom.get(), download.get(), extent.get()));
    let active = RwSignal::new(What::Path(near.selected.get_untracked()));
    let map = Map {
        near,
        zoom,
        download,
        tiles: all,
        colour: memo(move || explorer.choice.with(|choice| choice.colour)),
        active,
        at: memo(move || all.with(|tiles| tile_of(&near.shape(), tiles, active.get()))),
    };
    effect(move || {
        let selected = near.selected.get();
        if active.get_untracked().node() != selected {
            active.set(What::Path(selected));
        }
    });
    effect(move || mark(map));
    listen(map);
    let hover = RwSignal::new(None::<u32>);
    let over = move |event: MouseEvent| {
        let tile = hit(&event, "[data-tile]").and_then(|tile| number(&tile, "data-tile"));
        hover.set(tile);
    };
    let view_box = move || {
        let (w, h) = extent.get();
        format!("0 0 {w} {h}")
    };
    let active_id = move || {
        let any = map.tiles.with(|tiles| !tiles.is_empty());
        any.then(|| format!("closure-tile-{}", map.at.get()))
    };
    view! {
        <figure class="treemap">
            <div class="treemap-tools">
                {changing(move || crumbs(map))}
                {segments(
                    "Colour",
                    &["Size band", "Signature"],
                    move || place(Colour::WORDS, map.colour.get()),
                    move |at| explorer.choice.update(|choice| choice.colour = Colour::WORDS[at].1),
                )}
            </div>
            <div class="treemap-plot" node_ref=plot>
                <div
                    id="closure-treemap"
                    class="treemap-area"
                    role="tree"
                    tabindex="0"
                    aria-label="Treemap: each tile is as large as what would leave the closure with its path"
                    aria-activedescendant=active_id
                    on:click=move |event| press(map, &event, false)
                    on:dblclick=move |event| press(map, &event, true)
                    on:mousemove=over
                    on:mouseleave=move |_| hover.set(None)
                >
                    <svg viewBox=view_box>{changing(move || drawn(map))}</svg>
                </div>
            </div>
            <figcaption>
                {changing(move || readout(map))}
                <p class="treemap-hover" aria-hidden="true">
                    {changing(move || {
                        let at = hover.get().map_or_else(|| map.at.get(), |at| at as usize);
                        let shape = near.shape();
                        map.tiles.with(|tiles| tiles.get(at).map(|tile| words(&shape, tile)))
                    })}
                </p>
                {changing(move || legend(map.colour.get()))}
            </figcaption>
            {twin(map)}
        </figure>
    }
    .into_any()
}

/// The tile in which a path lies; the first where it lies in none.
fn tile_of(shape: &Shape, tiles: &[Tile], what: What) -> usize {
    if let Some(at) = tiles.iter().position(|tile| tile.what == what) {
        return at;
    }
    tiles_of(shape, tiles, &[what.node()])
        .into_iter()
        .min()
        .unwrap_or_default()
}

/// The tiles in which paths lie.
fn tiles_of(shape: &Shape, tiles: &[Tile], nodes: &[u32]) -> HashSet<usize> {
    let (mut whole, mut rest) = (HashMap::new(), HashMap::new());
    for (at, tile) in tiles.iter().enumerate() {
        match tile.what {
            What::Path(node) | What::Own(node) => whole.insert(node, at),
            What::Rest(node, _) => rest.insert(node, at),
        };
    }
    let tile = |&node: &u32| {
        if let Some(&at) = whole.get(&node) {
            return Some(at);
        }
        let mut at = node;
        while let Some(above) = shape.node(at).dominator {
            if let Some(&tile) = rest.get(&above) {
                return Some(tile);
            }
            match whole.get(&above) {
                // Drawn open: what is not in it takes no area.
                Some(&tile) if matches!(tiles[tile].what, What::Own(_)) => return None,
                Some(&tile) => return Some(tile),
                None => at = above,
            }
        }
        None
    };
    nodes.iter().filter_map(tile).collect()
}

/// Marks the active tile and those that are looked for: in the page, because a signal for
/// each of a thousand tiles would be slower than the drawing.
fn mark(map: Map) {
    // Another hue draws the tiles anew.
    map.colour.track();
    let found = map.near.found.get();
    let at = map.at.get();
    let shape = map.near.shape();
    let found = map.tiles.with(|tiles| tiles_of(&shape, tiles, &found));
    request_animation_frame(move || {
        let Ok(drawn) = document().query_selector_all("#closure-treemap [data-tile]") else {
            return;
        };
        for index in 0..drawn.length() {
            let Some(tile) = drawn
                .item(index)
                .and_then(|tile| tile.dyn_into::<web_sys::Element>().ok())
            else {
                continue;
            };
            let number = number(&tile, "data-tile").unwrap_or_default() as usize;
            let classes = tile.class_list();
            let _ = classes.toggle_with_force("is-found", found.contains(&number));
            let _ = classes.toggle_with_force("is-active", number == at);
            let _ =
                tile.set_attribute("aria-selected", if number == at { "true" } else { "false" });
        }
    });
}

fn zoom_to(map: Map, node: u32) {
    let shape = map.near.shape();
    let hash = if node == 0 {
        String::new()
    } else {
        shape.node(node).hash.clone()
    };
    map.near.explorer.choice.update(|choice| choice.zoom = hash);
    map.near
        .explorer
        .announcer
        .say(&format!("{} fills the map", shape.node(node).name));
}

/// Into what a tile stands for, or into the area in which it lies.
fn zoom_in(map: Map, tile: Tile) {
    let shape = map.near.shape();
    let now = map.zoom.get_untracked();
    let inner = match tile.what {
        What::Path(node) if !shape.dominated(node).is_empty() => node,
        _ => tile.within,
    };
    if inner == now {
        map.near
            .explorer
            .announcer
            .say("Nothing is drawn inside this tile");
    } else {
        zoom_to(map, inner);
    }
}

fn zoom_out(map: Map) {
    let shape = map.near.shape();
    let now = map.zoom.get_untracked();
    match shape.node(now).dominator {
        Some(above) => {
            map.active.set(What::Path(now));
            map.near.select(now);
            zoom_to(map, above);
        }
        None => map
            .near
            .explorer
            .announcer
            .say("The whole closure fills the map"),
    }
}

fn activate(map: Map, at: usize) {
    let tile = map.tiles.with_untracked(|tiles| tiles.get(at).copied());
    if let Some(tile) = tile {
        map.active.set(tile.what);
        map.near.select(tile.what.node());
    }
}

fn listen(map: Map) {
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let Some(step) = map.near.explorer.step(&event, "#closure-treemap") else {
            return;
        };
        let at = map.at.get_untracked();
        let to = |way| map.tiles.with_untracked(|tiles| neighbour(tiles, at, way));
        let next = match step {
            Step::Left => to(Way::Left),
            Step::Right => to(Way::Right),
            Step::Up => to(Way::Up),
            Step::Down => to(Way::Down),
            Step::First => Some(0),
            Step::Last => map.tiles.with_untracked(|tiles| tiles.len().checked_sub(1)),
            Step::Enter | Step::Out => None,
        };
        match step {
            Step::Enter => {
                if let Some(tile) = map.tiles.with_untracked(|tiles| tiles.get(at).copied()) {
                    zoom_in(map, tile);
                }
            }
            Step::Out => zoom_out(map),
            _ => {
                if let Some(next) = next {
                    activate(map, next);
                }
            }
        }
        event.prevent_default();
    });
    on_cleanup(move || keys.remove());
}

fn press(map: Map, event: &MouseEvent, zoom: bool) {
    let Some(at) = hit(event, "[data-tile]").and_then(|tile| number(&tile, "data-tile")) else {
        return;
    };
    let tile = map
        .tiles
        .with_untracked(|tiles| tiles.get(at as usize).copied());
    match tile {
        Some(tile) if zoom => zoom_in(map, tile),
        _ => activate(map, at as usize),
    }
}

/// From the closure down to what fills the map.
fn crumbs(map: Map) -> AnyView {
    let shape = map.near.shape();
    let now = map.zoom.get();
    let steps = shape
        .dominators(now)
        .into_iter()
        .map(|node| {
            let name = shape.node(node).name.clone();
            let step = if node == now {
                view! { <span aria-current="location">{name}</span> }.into_any()
            } else {
                view! {
                    <button type="button" class="link" on:click=move |_| zoom_to(map, node)>
                        {name}
                    </button>
                }
                .into_any()
            };
            view! { <li>{step}</li> }
        })
        .collect_view();
    view! {
        <nav class="crumbs" aria-label="What fills the map">
            <ol>{steps}</ol>
        </nav>
    }
    .into_any()
}

/// What the tiles add up to, to the byte.
fn readout(map: Map) -> AnyView {
    let shape = map.near.shape();
    let (count, sum) = map.tiles.with(|tiles| {
        let sum: u64 = tiles.iter().map(|tile| tile.bytes).sum();
        (tiles.len(), sum)
    });
    let zoom = map.zoom.get();
    let (_, whole) = shape.weight(zoom, map.download.get());
    let of = if zoom == 0 {
        "the closure's size".to_owned()
    } else {
        format!("the added size of {}", shape.node(zoom).name)
    };
    let kind = if map.download.get() {
        "to download"
    } else {
        "unpacked"
    };
    // Said only where it holds.
    let exactly = if sum == whole { ", exactly " } else { ", of " };
    let unknown = (map.download.get() && shape.graph().file_size.is_none())
        .then_some(" Paths whose download size is unknown take no area.");
    view! {
        <p class="treemap-sum">
            {format!("{} add up to ", format::counted(count as u64, "tile", "tiles"))}
            <data id="treemap-sum" value=sum.to_string()>{format::exact_bytes(sum)}</data>
            {format!(" {kind} ({}){exactly}{of}.", format::size(sum))}
            {unknown}
        </p>
    }
    .into_any()
}
