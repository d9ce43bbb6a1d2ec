//! Where everything of a chart lies. The drawing is [`WIDE`] units wide and [`HIGH`] high and is
//! stretched to its place; in integers, as all numbers here.

use super::{Plot, Series, Shape, Span, Unit};

/// Units of a drawing from left to right.
pub(super) const WIDE: u64 = 10_000;
/// Units of a drawing from top to zero.
pub(super) const HIGH: u64 = 2_400;

/// Ticks of the axis of values at most, without zero.
const TICKS: u64 = 4;

/// The steps between two ticks that read well, for a unit: the smallest with which `most` needs
/// at most [`TICKS`].
fn step(unit: Unit, most: u64) -> u64 {
    let base: u64 = if unit == Unit::Bytes { 1024 } else { 1000 };
    let mut one = 1_u64;
    loop {
        for times in [1, 2, 5, 10, 20, 50, 100, 200, 500] {
            let Some(step) = one.checked_mul(times) else {
                return most / TICKS + 1;
            };
            if step.checked_mul(TICKS).is_none_or(|reach| reach >= most) {
                return step;
            }
        }
        let Some(next) = one.checked_mul(base) else {
            return most / TICKS + 1;
        };
        one = next;
    }
}

/// The ticks of the axis of values from zero up; the last one is its top.
pub(super) fn value_ticks(unit: Unit, most: u64) -> Vec<u64> {
    if unit == Unit::Permille {
        return vec![0, 250, 500, 750, 1000];
    }
    let most = most.max(1);
    let step = step(unit, most);
    (0..=most.div_ceil(step))
        .map(|times| step.saturating_mul(times))
        .collect()
}

/// The largest value that is drawn: sums where series stand on each other.
fn most(plot: &Plot) -> u64 {
    let of_step = |step: usize| {
        let sum = |shape: Shape| {
            plot.series
                .iter()
                .filter(|series| series.shape == shape)
                .filter_map(|series| series.at(step))
                .fold(0_u64, u64::saturating_add)
        };
        let lines = plot
            .series
            .iter()
            .filter(|series| matches!(series.shape, Shape::Line | Shape::Dashed))
            .filter_map(|series| series.at(step))
            .max();
        sum(Shape::Stacked)
            .max(sum(Shape::Bars))
            .max(lines.unwrap_or_default())
    };
    let most = (0..plot.span.steps).map(of_step).max().unwrap_or_default();
    let limit = plot.limit.as_ref().map(|(at, _)| *at);
    most.max(limit.unwrap_or_default())
}

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    span: Span,
    top: u64,
    /// The ticks of the axis of values, from zero up.
    pub(super) values: Vec<u64>,
}

impl Places {
    pub(super) fn of(plot: &Plot) -> Self {
        let values = value_ticks(plot.unit(), most(plot));
        Self {
            span: plot.span,
            top: values.last().copied().unwrap_or(1).max(1),
            values,
        }
    }

    /// The left edge of a step; that of the step behind the last one is the right edge of all.
    pub(super) fn left(&self, step: usize) -> u64 {
        (step as u64 * WIDE)
            .checked_div(self.span.steps as u64)
            .unwrap_or_default()
    }

    /// The middle of a step.
    pub(super) fn middle(&self, step: usize) -> u64 {
        u64::midpoint(self.left(step), self.left(step + 1))
    }

    /// Where a moment lies; `None` where that is outside.
    pub(super) fn when(&self, moment: i64) -> Option<u64> {
        let whole = u128::try_from(self.span.end() - self.span.from).ok()?;
        let past = u128::try_from(moment - self.span.from).ok()?;
        if past > whole {
            return None;
        }
        let at = (past * u128::from(WIDE)).checked_div(whole)?;
        u64::try_from(at).ok()
    }

    /// How high a value lies, from the top down.
    pub(super) fn height(&self, value: u64) -> u64 {
        let up = u128::from(value.min(self.top)) * u128::from(HIGH) / u128::from(self.top);
        HIGH - u64::try_from(up).unwrap_or(HIGH)
    }

    /// The step at a share of the width, both in the same unit.
    pub(super) fn step_at(&self, x: u64, width: u64) -> Option<usize> {
        let steps = self.span.steps;
        let at = (x * steps as u64).checked_div(width)?;
        let at = usize::try_from(at).ok()?.min(steps.checked_sub(1)?);
        Some(at)
    }
}

/// A share of the width or height in percent, for a style.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let hundredths = (part * 10_000).checked_div(whole).unwrap_or_default();
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Runs of steps for which something holds: the first, and the one behind the last.
pub(super) fn runs(steps: usize, holds: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for step in (0..steps).filter(|&step| holds(step)) {
        match runs.last_mut() {
            Some(last) if last.1 == step => last.1 = step + 1,
            _ => runs.push((step, step + 1)),
        }
    }
    runs
}

/// The path of a series and the class of how it is drawn. `below` is what stands under it.
fn path(places: &Places, series: &Series, below: &mut [u64], steps: usize) -> String {
    let mut path = String::new();
    for (first, end) in runs(steps, |step| series.at(step).is_some()) {
        let value = |step: usize| series.at(step).unwrap_or_default();
        match series.shape {
            Shape::Line | Shape::Dashed => {
                for step in first..end {
                    let word = if step == first { 'M' } else { 'L' };
                    let (x, y) = (places.middle(step), places.height(value(step)));
                    path.push_str(&format!("{word}{x} {y}"));
                }
                if end == first + 1 {
                    // One point alone is a dot.
                    path.push_str("h1");
                }
            }
            Shape::Stacked => {
                let foot = below[first..end].to_vec();
                for (under, step) in below[first..end].iter_mut().zip(first..) {
                    *under = under.saturating_add(value(step));
                }
                // From edge to edge, so that one step alone has a width.
                let corner = |step: usize, value: u64, path: &mut String| {
                    let y = places.height(value);
                    let (left, right) = (places.left(step), places.left(step + 1));
                    if step == first {
                        path.push_str(&format!("L{left} {y}"));
                    }
                    path.push_str(&format!("L{} {y}", places.middle(step)));
                    if step + 1 == end {
                        path.push_str(&format!("L{right} {y}"));
                    }
                };
                let mut area = String::new();
                for (&top, step) in below[first..end].iter().zip(first..) {
                    corner(step, top, &mut area);
                }
                for (&under, step) in foot.iter().zip(first..end).rev() {
                    let y = places.height(under);
                    if step + 1 == end {
                        area.push_str(&format!("L{} {y}", places.left(end)));
                    }
                    area.push_str(&format!("L{} {y}", places.middle(step)));
                    if step == first {
                        area.push_str(&format!("L{} {y}", places.left(first)));
                    }
                }
                area.replace_range(..1, "M");
                path.push_str(&area);
                path.push('Z');
            }
            Shape::Bars => {
                for (under, step) in below[first..end].iter_mut().zip(first..) {
                    let foot = places.height(*under);
                    *under = under.saturating_add(value(step));
                    let top = places.height(*under);
                    let (left, right) = (places.left(step), places.left(step + 1));
                    let air = (right - left) / 6;
                    let (left, right) = (left + air, right - air);
                    path.push_str(&format!("M{left} {foot}V{top}H{right}V{foot}Z"));
                }
            }
            Shape::Told => {}
        }
    }
    path
}

/// Names beside the right end, where there are two or three series with an end: which, and how high
/// from the top down. They lie apart, so that each can be read.
pub(super) fn names(plot: &Plot, places: &Places) -> Vec<(usize, u64)> {
    /// As high as a line of text.
    const APART: u64 = HIGH / 10;
    let ends: Vec<(usize, &Series)> = plot
        .drawn()
        .filter(|(_, series)| matches!(series.shape, Shape::Line | Shape::Stacked))
        .filter(|(_, series)| series.values.iter().any(Option::is_some))
        .collect();
    if !(2..=3).contains(&ends.len()) {
        return Vec::new();
    }
    let mut below = 0_u64;
    let mut names: Vec<(usize, u64)> = ends
        .into_iter()
        .map(|(at, series)| {
            let last = series.values.iter().rev().find_map(|value| *value);
            let last = last.unwrap_or_default();
            let value = if series.shape == Shape::Stacked {
                below = below.saturating_add(last);
                below - last / 2
            } else {
                last
            };
            (at, places.height(value))
        })
        .collect();
    names.sort_by_key(|(_, height)| *height);
    let mut free = 0;
    for (_, height) in &mut names {
        *height = (*height).max(free);
        free = *height + APART;
    }
    let mut end = HIGH;
    for (_, height) in names.iter_mut().rev() {
        *height = (*height).min(end);
        end = height.saturating_sub(APART);
    }
    names
}

/// What is drawn: which series, how, and its path.
pub(super) fn paths(plot: &Plot, places: &Places) -> Vec<(usize, Shape, String)> {
    let steps = plot.span.steps;
    let (mut stacked, mut bars) = (vec![0; steps], vec![0; steps]);
    plot.drawn()
        .map(|(at, series)| {
            let below = if series.shape == Shape::Bars {
                &mut bars
            } else {
                &mut stacked
            };
            (at, series.shape, path(places, series, below, steps))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::hits;
    use super::*;

    #[test]
    fn the_axis_of_values_begins_at_zero_and_holds_everything() {
        assert_eq!(value_ticks(Unit::Count, 0), [0, 1]);
        assert_eq!(value_ticks(Unit::Count, 7), [0, 2, 4, 6, 8]);
        assert_eq!(value_ticks(Unit::Count, 1_000), [0, 500, 1_000]);
        assert_eq!(
            value_ticks(Unit::Bytes, 3 << 20),
            [0, 1 << 20, 2 << 20, 3 << 20]
        );
        assert_eq!(value_ticks(Unit::Permille, 3), [0, 250, 500, 750, 1000]);
        for most in [1, 9, 999, 1025, 88_184_832, u64::MAX / 2, u64::MAX] {
            for unit in [Unit::Count, Unit::Bytes, Unit::Micros] {
                let ticks = value_ticks(unit, most);
                assert!(ticks.last() >= Some(&most), "{most} {ticks:?}");
                assert!(ticks.len() <= 6, "{most} {ticks:?}");
            }
        }
    }

    #[test]
    fn a_gap_breaks_the_line_and_one_point_is_a_dot() {
        let plot = hits();
        let places = Places::of(&plot);
        let drawn = paths(&plot, &places);
        assert_eq!(drawn, [(0, Shape::Line, "M1250 480h1M8750 0h1".to_owned())]);
        assert_eq!(places.height(750), 600);
        assert_eq!(places.when(plot.span.from), Some(0));
        assert_eq!(places.when(plot.span.end()), Some(WIDE));
        assert_eq!(places.when(plot.span.end() + 1), None);
        assert_eq!(places.when(plot.span.from - 1), None);
        assert_eq!(places.step_at(0, 320), Some(0));
        assert_eq!(places.step_at(319, 320), Some(3));
        assert_eq!(places.step_at(400, 320), Some(3));
        assert_eq!(places.step_at(1, 0), None);
        let gaps = runs(4, |step| !plot.is_measured(step));
        assert_eq!(gaps, [(1, 2)]);
    }

    #[test]
    fn what_is_stacked_stands_on_what_came_before() {
        let mut plot = hits();
        plot.limit = None;
        plot.series = ["a", "b"]
            .map(|name| {
                let values = vec![Some(1), None, Some(2), Some(2)];
                Series::new(name, Shape::Bars, Unit::Count, values)
            })
            .into();
        let places = Places::of(&plot);
        assert_eq!(places.values, [0, 1, 2, 3, 4]);
        let drawn = paths(&plot, &places);
        assert!(
            drawn[0].2.starts_with("M416 2400V1800H2084V2400Z"),
            "{drawn:?}"
        );
        assert!(
            drawn[1].2.starts_with("M416 1800V1200H2084V1800Z"),
            "{drawn:?}"
        );
        for series in &mut plot.series {
            series.shape = Shape::Stacked;
        }
        let drawn = paths(&plot, &places);
        assert!(
            drawn[1]
                .2
                .starts_with("M0 1200L1250 1200L2500 1200L2500 1800L1250 1800L0 1800Z"),
            "{drawn:?}"
        );
    }

    #[test]
    fn names_of_two_or_three_lines_lie_apart_and_more_have_none() {
        let of = |values: &[u64]| {
            let mut plot = hits();
            plot.series = values
                .iter()
                .map(|&value| {
                    let values = vec![None, Some(value), None, None];
                    Series::new("x", Shape::Line, Unit::Permille, values)
                })
                .collect();
            names(&plot, &Places::of(&plot))
        };
        assert_eq!(of(&[1000, 500]), [(0, 0), (1, 1200)]);
        assert_eq!(of(&[500, 501, 502]), [(2, 1196), (1, 1436), (0, 1676)]);
        assert_eq!(of(&[0, 0, 0]), [(0, 1920), (1, 2160), (2, 2400)]);
        assert!(of(&[1]).is_empty());
        assert!(of(&[1, 2, 3, 4]).is_empty());
    }

    #[test]
    fn places_are_in_percent() {
        assert_eq!(percent(1250, WIDE), "12.50%");
        assert_eq!(percent(WIDE, WIDE), "100.00%");
        assert_eq!(percent(1, 0), "0.00%");
    }
}
