//! The tiles of the treemap. A path's tile is as large as its added size; where it is large
//! enough, what it dominates is drawn inside it, beside a tile for the path itself. Added sizes
//! never overlap, so the tiles add up to the size of what fills the map, to the byte.

use std::cmp::Reverse;

use super::shape::Shape;
use super::squarify::{Rect, squarify};

/// Units of the drawing in a CSS pixel: edges lie between pixels.
pub const SCALE: u32 = 16;
/// A tile of less than so many square pixels is drawn with others as one.
const SMALLEST: u64 = 60;
/// Width and height in pixels from which on what a path dominates is drawn inside.
const ROOMY: u32 = 56;
/// How deep tiles are drawn within tiles.
const DEEPEST: usize = 4;

/// What a tile stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A path with all that it dominates.
    Path(u32),
    /// A path alone, where what it dominates is drawn beside.
    Own(u32),
    /// So many paths that a path dominates, each too small to be drawn; not known how many
    /// where the server left them out.
    Rest(u32, Option<usize>),
}

impl What {
    /// The path that it is about.
    pub const fn node(self) -> u32 {
        match self {
            Self::Path(node) | Self::Own(node) | Self::Rest(node, _) => node,
        }
    }
}

/// A tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// What it stands for.
    pub what: What,
    /// The path in whose area it lies: what dominates it.
    pub within: u32,
    /// How deep it lies; 1 for what the path that fills the map dominates.
    pub level: usize,
    /// Its bytes.
    pub bytes: u64,
    /// Where it lies, in 1/[`SCALE`] pixels.
    pub rect: Rect,
}

/// A direction on the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Left,
    Right,
    Up,
    Down,
}

/// The tiles of a map that a path fills, `w` × `h` pixels large.
pub fn tiles(shape: &Shape, root: u32, download: bool, (w, h): (u32, u32)) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut due = vec![(
        root,
        1,
        Rect {
            x: 0,
            y: 0,
            w: w * SCALE,
            h: h * SCALE,
        },
    )];
    while let Some((node, level, rect)) = due.pop() {
        for tile in divided(shape, node, level, download, rect) {
            let roomy = tile.rect.w.min(tile.rect.h) >= ROOMY * SCALE;
            match tile.what {
                What::Path(inner)
                    if roomy && level < DEEPEST && !shape.dominated(inner).is_empty() =>
                {
                    due.push((inner, level + 1, tile.rect));
                }
                _ => tiles.push(tile),
            }
        }
    }
    // From the upper left to the lower right, as one reads.
    tiles.sort_by_key(|tile| (tile.rect.y, tile.rect.x, Reverse(tile.bytes)));
    tiles
}

/// The tiles of one path's area.
fn divided(shape: &Shape, node: u32, level: usize, download: bool, rect: Rect) -> Vec<Tile> {
    let (own, whole) = shape.weight(node, download);
    let smallest = u128::from(SMALLEST * u64::from(SCALE * SCALE));
    let large =
        |bytes: u64| u128::from(bytes) * u128::from(rect.area()) >= smallest * u128::from(whole);
    let mut parts = vec![(What::Own(node), own)];
    let mut small = 0;
    for &child in shape.dominated(node) {
        let (_, bytes) = shape.weight(child, download);
        if bytes > 0 && large(bytes) {
            parts.push((What::Path(child), bytes));
        } else {
            small += 1;
        }
    }
    let drawn: u64 = parts.iter().map(|(_, bytes)| *bytes).sum();
    let rest = whole.saturating_sub(drawn);
    if rest > 0 {
        let known = shape.graph().complete.then_some(small);
        parts.push((What::Rest(node, known), rest));
    }
    parts.retain(|(_, bytes)| *bytes > 0);
    parts.sort_by_key(|(what, bytes)| (Reverse(*bytes), what.node()));
    let weights: Vec<u64> = parts.iter().map(|(_, bytes)| *bytes).collect();
    parts
        .into_iter()
        .zip(squarify(&weights, rect))
        .map(|((what, bytes), rect)| Tile {
            what,
            within: node,
            level,
            bytes,
            rect,
        })
        .collect()
}

/// The tile that an arrow leads to: the nearest beyond the edge, straight ahead rather than askew.
pub fn neighbour(tiles: &[Tile], at: usize, way: Way) -> Option<usize> {
    let from = tiles.get(at)?.rect;
    let (x, y) = middle(from);
    let score = |rect: Rect| {
        let (ox, oy) = middle(rect);
        let (beyond, ahead, aside) = match way {
            Way::Left => (
                rect.x + rect.w <= from.x,
                from.x.saturating_sub(rect.x + rect.w),
                aside(y, rect.y, rect.h),
            ),
            Way::Right => (
                rect.x >= from.x + from.w,
                rect.x.saturating_sub(from.x + from.w),
                aside(y, rect.y, rect.h),
            ),
            Way::Up => (
                rect.y + rect.h <= from.y,
                from.y.saturating_sub(rect.y + rect.h),
                aside(x, rect.x, rect.w),
            ),
            Way::Down => (
                rect.y >= from.y + from.h,
                rect.y.saturating_sub(from.y + from.h),
                aside(x, rect.x, rect.w),
            ),
        };
        let off = match way {
            Way::Left | Way::Right => oy.abs_diff(y),
            Way::Up | Way::Down => ox.abs_diff(x),
        };
        beyond.then_some((aside.saturating_mul(2).saturating_add(ahead), off))
    };
    tiles
        .iter()
        .enumerate()
        .filter(|(other, tile)| *other != at && tile.rect.area() > 0)
        .filter_map(|(other, tile)| Some((score(tile.rect)?, other)))
        .min()
        .map(|(_, other)| other)
}

const fn middle(rect: Rect) -> (u32, u32) {
    (rect.x + rect.w / 2, rect.y + rect.h / 2)
}

/// How far a line lies outside of a stretch.
const fn aside(at: u32, from: u32, length: u32) -> u32 {
    if at < from {
        from - at
    } else {
        at.saturating_sub(from + length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::{shape, shared};
    use super::*;

    #[test]
    fn tiles_add_up_to_the_closure_and_to_its_area() {
        let shared = shared();
        let found = tiles(&shared, 0, false, (600, 400));
        assert_eq!(found.iter().map(|tile| tile.bytes).sum::<u64>(), 94);
        let area: u64 = found.iter().map(|tile| tile.rect.area()).sum();
        assert_eq!(area, 600 * 400 * u64::from(SCALE * SCALE));
        assert_eq!(found.len(), 5);
        let down = tiles(&shared, 0, true, (600, 400));
        assert_eq!(down.iter().map(|tile| tile.bytes).sum::<u64>(), 47);
        // Four levels, and thousands that are too small to be seen.
        let mut nodes: Vec<(u64, Option<u32>, &[u32])> = vec![(5, None, &[])];
        nodes.extend((1..3_000_u32).map(|at| {
            let above = if at < 7 { at - 1 } else { at % 7 };
            (u64::from(at % 97 + 1), Some(above), &[] as &[u32])
        }));
        let deep = shape(&nodes);
        for root in [0, 1, 3, 6] {
            let found = tiles(&deep, root, false, (900, 500));
            let sum: u64 = found.iter().map(|tile| tile.bytes).sum();
            assert_eq!(sum, deep.weight(root, false).1);
            assert!(found.len() < 3_000, "{}", found.len());
            let area: u64 = found.iter().map(|tile| tile.rect.area()).sum();
            assert_eq!(area, 900 * 500 * u64::from(SCALE * SCALE));
        }
    }

    #[test]
    fn what_the_server_left_out_is_one_tile() {
        let mut graph = shared().graph().clone();
        graph.complete = false;
        graph.items.truncate(3);
        for node in &mut graph.items {
            node.references.retain(|&to| to < 3);
        }
        let part = Shape::new(std::sync::Arc::new(graph));
        let found = tiles(&part, 0, false, (600, 400));
        let other = found.iter().find(|tile| tile.what == What::Rest(0, None));
        assert_eq!(other.map(|tile| tile.bytes), Some(24));
        assert_eq!(found.iter().map(|tile| tile.bytes).sum::<u64>(), 94);
    }

    #[test]
    fn arrows_lead_to_every_edge_and_back() {
        let shared = shared();
        let found = tiles(&shared, 0, false, (600, 400));
        for way in [Way::Left, Way::Right, Way::Up, Way::Down] {
            let mut at = 0;
            let mut steps = 0;
            while let Some(next) = neighbour(&found, at, way) {
                at = next;
                steps += 1;
                assert!(steps < found.len(), "an arrow goes round in a circle");
            }
            let rect = found[at].rect;
            let edge = match way {
                Way::Left => rect.x == 0,
                Way::Up => rect.y == 0,
                Way::Right => rect.x + rect.w == 600 * SCALE,
                Way::Down => rect.y + rect.h == 400 * SCALE,
            };
            assert!(edge, "{way:?} ends at {rect:?}");
        }
    }
}
