//! Where a window stands in a long list, and which scroll position that is.
//!
//! Browsers lay out nothing taller than some 16 million px (Chrome: 16,777,200), and a
//! million rows are twice that. So what scrolls is never taller than [`TALLEST`], and the
//! window's place is kept apart from the scroll position: in px of the list as tall as it
//! would be. What stands in the window depends on the place alone.
//!
//! Small movements (wheel, keys, a finger) move the place by the same px, so that every
//! row can be stopped at. Large ones (the bar dragged, a jump of the browser) go where the
//! bar stands, in proportion. The ends of the bar are the ends of the list. Where the two
//! have parted, the bar is put where it belongs when it rests ([`Place::bar`]); within the
//! list it never stands at its very ends, so that there is room to move on.

use std::ops::Range;

/// Px of what scrolls at most: half of what the narrowest browser lays out.
pub const TALLEST: f64 = 8_000_000.0;
/// Rows drawn at most.
pub const MOST_SLOTS: usize = 60;
/// Px that the bar stays away from its ends while the window is at no end of a list that is
/// taller than what scrolls.
const ROOM: f64 = 4_000.0;
/// Rounding of places that are multiples of a row's height.
const HAIR: f64 = 1e-6;

/// A window over a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Rows of the list.
    rows: u64,
    /// Px of a row.
    row: f64,
    /// Px of the window.
    view: f64,
    /// Px of the list above the window.
    top: f64,
}

impl Place {
    /// At the beginning of a list of `rows` rows of `row` px, in a window of `view` px.
    pub fn new(rows: u64, row: f64, view: f64) -> Self {
        Self {
            rows,
            row: row.max(1.0),
            view: view.max(row.max(1.0)),
            top: 0.0,
        }
    }

    /// The same row at the top, of a list or in a window of another size.
    #[must_use]
    pub fn resized(self, rows: u64, row: f64, view: f64) -> Self {
        let mut place = Self::new(rows, row, view);
        place.go(if (place.row - self.row).abs() < HAIR {
            self.top
        } else {
            self.top / self.row * place.row
        });
        place
    }

    /// The same place in a list that has become longer or shorter.
    #[must_use]
    pub fn of_rows(self, rows: u64) -> Self {
        self.resized(rows, self.row, self.view)
    }

    /// Rows of the list.
    pub const fn rows(self) -> u64 {
        self.rows
    }

    fn length(self) -> f64 {
        self.rows as f64 * self.row
    }

    /// The place of the window's top at the end of the list.
    fn end(self) -> f64 {
        (self.length() - self.view).max(0.0)
    }

    /// Px of what scrolls, the window included.
    fn height(self) -> f64 {
        self.length().min(TALLEST)
    }

    /// The farthest scroll position: so tall is what scrolls beside the window itself.
    pub fn reach(self) -> f64 {
        (self.height() - self.view).max(0.0)
    }

    fn is_compressed(self) -> bool {
        self.length() > TALLEST
    }

    /// Px by which a movement of the bar is large: less than what its smallest step by hand
    /// makes where there is compression.
    fn large(self) -> f64 {
        (TALLEST / self.view / 2.0).max(self.view)
    }

    /// The scroll position that belongs to the place.
    pub fn bar(self) -> f64 {
        let (end, reach) = (self.end(), self.reach());
        if !self.is_compressed() || self.top <= 0.0 {
            self.top
        } else if self.top >= end {
            reach
        } else {
            ROOM + self.top / end * (reach - 2.0 * ROOM)
        }
    }

    /// The browser moved the bar. Gives whether the bar has to be put right at once: it ran
    /// into its end before the window did.
    pub fn moved(&mut self, from: f64, to: f64) -> bool {
        let (end, reach) = (self.end(), self.reach());
        if !self.is_compressed() {
            self.go(if to >= reach - 1.0 { end } else { to });
            return false;
        }
        if (to - from).abs() <= self.large() {
            self.go(self.top + (to - from));
            let stuck = |at_end: bool, there: f64| at_end && (self.top - there).abs() > 0.5;
            return stuck(to >= reach - 1.0, end) || stuck(to <= 1.0, 0.0);
        }
        self.go(if to >= reach - 1.0 {
            end
        } else {
            (to - ROOM) / (reach - 2.0 * ROOM) * end
        });
        false
    }

    fn go(&mut self, top: f64) {
        self.top = top.clamp(0.0, self.end());
    }

    /// Moves by so many px.
    pub fn by(&mut self, px: f64) {
        self.go(self.top + px);
    }

    /// Moves by so many rows.
    pub fn by_rows(&mut self, rows: f64) {
        self.by(rows * self.row);
    }

    /// Puts a row at the top, counted from 0, or as near as the end of the list allows.
    pub fn begin_at(&mut self, row: u64) {
        self.go(row as f64 * self.row);
    }

    /// Moves as little as is needed to show all of a row.
    pub fn reveal(&mut self, row: u64) {
        let above = row.min(self.rows.saturating_sub(1)) as f64 * self.row;
        let below = above + self.row - self.view;
        if self.top > above {
            self.go(above);
        } else if self.top < below {
            self.go(below);
        }
    }

    /// Rows that fit, at least one.
    pub fn fitting(self) -> u64 {
        ((self.view / self.row + HAIR).floor() as u64).max(1)
    }

    /// Rows that are drawn: those that fit, and one that is cut.
    pub fn slots(self) -> usize {
        ((self.view / self.row - HAIR).ceil() as usize + 1).clamp(2, MOST_SLOTS)
    }

    /// The rows of which something is seen, counted from 0.
    pub fn seen(self) -> Range<u64> {
        let first = (self.top / self.row + HAIR).floor().max(0.0) as u64;
        let last = ((self.top + self.view) / self.row - HAIR).ceil() as u64;
        let last = last.min(self.rows).min(first + self.slots() as u64);
        first.min(last)..last
    }

    /// Px of the first row that are above the window.
    pub fn cut(self) -> f64 {
        (self.top - self.seen().start as f64 * self.row).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VIEW: f64 = 640.0;

    fn million() -> Place {
        Place::new(1_000_000, 33.0, VIEW)
    }

    #[test]
    fn what_scrolls_is_never_taller_than_a_browser_lays_out() {
        assert_eq!(Place::new(100, 33.0, VIEW).height(), 3300.0);
        assert_eq!(million().height(), TALLEST);
        assert_eq!(Place::new(0, 33.0, VIEW).seen(), 0..0);
        assert_eq!(Place::new(3, 33.0, VIEW).seen(), 0..3);
    }

    #[test]
    fn the_last_of_a_million_is_reached_by_the_bar_and_seen_whole() {
        let mut place = million();
        place.moved(0.0, TALLEST - VIEW);
        assert_eq!(place.seen(), 999_980..1_000_000);
        // Its lower edge is that of the window.
        let bottom = 1_000_000.0 * 33.0 - (place.top + VIEW);
        assert!(bottom.abs() < 0.001, "{bottom}");
        assert_eq!(place.bar(), TALLEST - VIEW);
        place.begin_at(999_999);
        assert_eq!(place.seen(), 999_980..1_000_000);
    }

    #[test]
    fn a_notch_of_the_wheel_moves_a_million_rows_by_its_px() {
        let mut place = million();
        place.begin_at(500_000);
        for step in 1..=200_u64 {
            let bar = place.bar();
            assert!(!place.moved(bar, bar + 33.0));
            assert_eq!(place.seen().start, 500_000 + step);
        }
    }

    #[test]
    fn at_the_end_one_goes_back_and_forth_by_single_rows() {
        // Whatever the count: the rows of one px of the bar are more than a window here.
        for rows in [1_000_000, u64::from(u32::MAX)] {
            let mut place = Place::new(rows, 32.0, VIEW);
            place.begin_at(rows);
            let first = place.seen().start;
            for back in 1..=50 {
                let bar = place.bar();
                place.moved(bar, bar - 32.0);
                assert_eq!(place.seen().start, first - back);
            }
            for left in (0..50).rev() {
                let bar = place.bar();
                place.moved(bar, bar + 32.0);
                assert_eq!(place.seen().start, first - left);
            }
            assert_eq!(place.bar(), TALLEST - VIEW);
        }
    }

    #[test]
    fn a_bar_that_ran_into_its_end_is_put_right() {
        let mut place = million();
        place.begin_at(900_000);
        // A long way in small steps, without a rest.
        let mut bar = TALLEST - VIEW - 100.0;
        assert!(!place.moved(bar, bar + 50.0));
        bar += 50.0;
        assert!(place.moved(bar, bar + 50.0));
        assert!(place.bar() < TALLEST - VIEW - 1.0);
    }

    fn places() -> impl Strategy<Value = Place> {
        let view = 100.0..1100.0;
        (0_u64..=u64::from(u32::MAX), 20.0..80.0, view, 0.0..=1.0).prop_map(
            |(rows, row, view, part): (u64, f64, f64, f64)| {
                let mut place = Place::new(rows, row, view);
                place.go(part * place.end());
                place
            },
        )
    }

    proptest! {
        #[test]
        fn a_window_is_full_and_its_rows_exist(place in places()) {
            let seen = place.seen();
            prop_assert!(seen.end <= place.rows());
            prop_assert!(seen.end - seen.start <= place.slots() as u64);
            prop_assert!(place.slots() <= MOST_SLOTS);
            let fits = place.fitting().min(place.rows()).min(MOST_SLOTS as u64);
            prop_assert!(seen.end - seen.start >= fits, "{:?} of {}", seen, fits);
            prop_assert!((0.0..place.row + 0.01).contains(&place.cut()));
        }

        #[test]
        fn the_bar_stays_within_what_scrolls_and_the_ends_are_the_ends(place in places()) {
            let bar = place.bar();
            prop_assert!((0.0..=place.reach()).contains(&bar));
            prop_assert_eq!(bar == 0.0, place.top == 0.0);
            prop_assert!(place.height() <= TALLEST);
            let mut there = place;
            there.moved(0.0, place.reach());
            if place.reach() > place.large() || !place.is_compressed() {
                prop_assert!((there.top - place.end()).abs() < 0.01);
                prop_assert_eq!(there.seen().end, place.rows());
            }
        }

        #[test]
        fn the_bar_dragged_back_to_where_it_stood_gives_the_same_place(place in places()) {
            let mut far = place;
            let bar = place.bar();
            let from = if bar > place.reach() / 2.0 { 0.0 } else { place.reach() };
            far.go(if from == 0.0 { 0.0 } else { place.end() });
            far.moved(from, bar);
            let off = (far.top - place.top).abs();
            // A bar within one px of the end is at the end.
            prop_assert!(off < 1.5 || bar >= place.reach() - 1.0, "off by {off}");
        }

        #[test]
        fn every_row_can_be_put_at_the_top_and_shown_whole(place in places(), part in 0.0..1.0) {
            prop_assume!(place.rows() > 0);
            let row = ((place.rows() as f64 * part) as u64).min(place.rows() - 1);
            let mut at = place;
            at.begin_at(row);
            let seen = at.seen();
            prop_assert!(seen.contains(&row));
            prop_assert!(seen.start == row || at.top == at.end());
            let mut shown = place;
            shown.reveal(row);
            let above = row as f64 * place.row;
            prop_assert!(shown.top <= above + 0.01);
            prop_assert!(shown.top + place.view >= above + place.row - 0.01);
            prop_assert!(shown.seen().contains(&row));
        }

        #[test]
        fn small_movements_move_by_their_px(place in places(), px in -600.0..600.0_f64) {
            let bar = place.bar();
            let to = (bar + px).clamp(0.0, place.reach());
            let mut moved = place;
            moved.moved(bar, to);
            let wanted = (place.top + (to - bar)).clamp(0.0, place.end());
            prop_assert!((moved.top - wanted).abs() <= 1.0, "{} for {wanted}", moved.top);
        }

        #[test]
        fn another_size_keeps_the_row_at_the_top(place in places(), row in 20.0..80.0, view in 100.0..1100.0) {
            let other = place.resized(place.rows(), row, view);
            let (before, after) = (place.seen().start, other.seen().start);
            prop_assert!(before.abs_diff(after) <= 1 || other.top == other.end());
        }
    }
}
