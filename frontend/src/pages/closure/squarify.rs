//! A rectangle divided by weights into tiles that are as square as they can be
//! (Bruls, Huizing and van Wijk, Squarified treemaps).
//!
//! Edges are integers. A row of tiles ends where the next begins and the last
//! row takes what is left, so the tiles cover the rectangle and never overlap.

/// A rectangle, in units of the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}

impl Rect {
    /// Its area, in square units.
    pub const fn area(self) -> u64 {
        self.w as u64 * self.h as u64
    }
}

/// `of × part ÷ whole`, rounded down; `part` is at most `whole`, which is not 0.
fn share(of: u32, part: u128, whole: u128) -> u32 {
    u32::try_from(u128::from(of) * part / whole).unwrap_or(of)
}

/// How far from a square the worst tile of a row is: 1 is a square.
fn worst(largest: u64, smallest: u64, sum: u128, side: f64, area_of_weight: f64) -> f64 {
    let area = sum as f64 * area_of_weight;
    let thick = area / side;
    let ratio = |weight: u64| {
        let long = weight as f64 * area_of_weight / thick;
        if long > thick {
            long / thick
        } else {
            thick / long.max(f64::MIN_POSITIVE)
        }
    };
    ratio(largest).max(ratio(smallest))
}

/// A tile for each weight, in their order, which is from the largest to the
/// smallest. What weighs nothing gets no area; if nothing weighs, nothing is covered.
pub fn squarify(weights: &[u64], within: Rect) -> Vec<Rect> {
    let mut tiles = Vec::with_capacity(weights.len());
    let mut left = within;
    let mut total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let mut rest = weights;
    while let Some((&first, _)) = rest.split_first() {
        if total == 0 || first == 0 || left.area() == 0 {
            let at = Rect { w: 0, h: 0, ..left };
            tiles.extend(std::iter::repeat_n(at, rest.len()));
            break;
        }
        let side = left.w.min(left.h);
        let area_of_weight = left.area() as f64 / total as f64;
        let ratio = |smallest, sum| worst(first, smallest, sum, f64::from(side), area_of_weight);
        let mut sum = u128::from(first);
        let mut count = 1;
        while let Some(&next) = rest.get(count).filter(|&&next| next > 0) {
            let more = sum + u128::from(next);
            if ratio(next, more) > ratio(rest[count - 1], sum) {
                break;
            }
            sum = more;
            count += 1;
        }
        let (row, after) = rest.split_at(count);
        left = lay(row, sum, total, left, &mut tiles);
        total -= sum;
        rest = after;
    }
    tiles
}

/// Lays a row along the shorter side; gives what is left.
fn lay(row: &[u64], sum: u128, total: u128, left: Rect, tiles: &mut Vec<Rect>) -> Rect {
    let upright = left.w >= left.h;
    let (side, length) = if upright {
        (left.h, left.w)
    } else {
        (left.w, left.h)
    };
    let thick = share(length, sum, total);
    let mut before = 0;
    for &weight in row {
        let (from, to) = (
            share(side, before, sum),
            share(side, before + u128::from(weight), sum),
        );
        before += u128::from(weight);
        tiles.push(if upright {
            Rect {
                x: left.x,
                y: left.y + from,
                w: thick,
                h: to - from,
            }
        } else {
            Rect {
                x: left.x + from,
                y: left.y,
                w: to - from,
                h: thick,
            }
        });
    }
    if upright {
        Rect {
            x: left.x + thick,
            w: left.w - thick,
            ..left
        }
    } else {
        Rect {
            y: left.y + thick,
            h: left.h - thick,
            ..left
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self, below: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % below
        }
    }

    fn overlap(a: Rect, b: Rect) -> bool {
        a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
    }

    #[test]
    fn tiles_cover_the_rectangle_exactly_and_never_overlap() {
        let mut numbers = Numbers(7);
        for round in 0..300 {
            let count = 1 + numbers.next(60);
            // From alike to five orders of magnitude apart.
            let spread = [10, 1_000, 100_000][round % 3];
            let mut weights: Vec<u64> = (0..count).map(|_| numbers.next(spread)).collect();
            weights.push(1);
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let within = Rect {
                x: numbers.next(50) as u32,
                y: numbers.next(50) as u32,
                w: 1 + numbers.next(2_000) as u32,
                h: 1 + numbers.next(2_000) as u32,
            };
            let tiles = squarify(&weights, within);
            assert_eq!(tiles.len(), weights.len());
            let covered: u64 = tiles.iter().map(|tile| tile.area()).sum();
            assert_eq!(covered, within.area(), "{weights:?} in {within:?}");
            for (at, &tile) in tiles.iter().enumerate() {
                assert!(tile.x >= within.x && tile.x + tile.w <= within.x + within.w);
                assert!(tile.y >= within.y && tile.y + tile.h <= within.y + within.h);
                assert!(weights[at] > 0 || tile.area() == 0);
                for &other in &tiles[at + 1..] {
                    assert!(!overlap(tile, other), "{tile:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn areas_are_as_the_weights_and_tiles_nearly_square() {
        let weights = [6, 6, 4, 3, 2, 2, 1];
        let within = Rect {
            w: 60_000,
            h: 40_000,
            ..Rect::default()
        };
        let tiles = squarify(&weights, within);
        for (tile, weight) in tiles.iter().zip(weights) {
            let exact = within.area() * weight / 24;
            let off = tile.area().abs_diff(exact);
            assert!(off < exact / 500, "{tile:?} is {off} off {exact}");
            let (long, short) = (tile.w.max(tile.h), tile.w.min(tile.h));
            assert!(long < 3 * short, "{tile:?}");
        }
        assert_eq!(squarify(&[], within), []);
        assert_eq!(squarify(&[0, 0], within).len(), 2);
        let huge = squarify(&[u64::MAX, u64::MAX], within);
        assert_eq!(huge[0].area(), huge[1].area());
    }
}
