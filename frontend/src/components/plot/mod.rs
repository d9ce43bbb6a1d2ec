//! Charts over time: lines, stacked areas and bars on one absolute axis.
//!
//! A [`Plot`] is data in words and integers; what becomes of it are pure functions, tested natively:
//! places and paths ([`shape`]), moments and ticks ([`calendar`]), rows, CSV and a drawing to take
//! along ([`take`]). [`view`] draws it and listens.
//!
//! What holds for each of them:
//! - The axis has days and hours of UTC, as the steps of the data have.
//! - A step that nobody measured is a gap, hatched, and never zero. A share without a denominator is `—`.
//! - The same numbers are a table, CSV and SVG.
//! - The arrow keys move a point, and what it says is said to screen readers; the pointer does the same.
//! - Its definition and its source stand below it.

mod calendar;
mod shape;
mod take;
mod view;

use crate::format;

pub use calendar::{clock, day_of, moment, moment_text};
pub use view::plot;

/// What the numbers of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// Bytes.
    Bytes,
    /// A share, in thousandths.
    Permille,
    /// A time, in microseconds.
    Micros,
}

impl Unit {
    /// A number in words.
    pub fn words(self, value: u64) -> String {
        match self {
            Self::Count => format::count(value),
            Self::Bytes => format::size(value),
            Self::Permille => format!("{}.{} %", value / 10, value % 10),
            Self::Micros => micros(value),
        }
    }

    /// A number for machines: without groups and rounding.
    pub fn exact(self, value: u64) -> String {
        match self {
            Self::Permille => format!("{}.{}", value / 10, value % 10),
            Self::Count | Self::Bytes | Self::Micros => value.to_string(),
        }
    }

    /// What stands behind the name of a series whose numbers are [`exact`](Self::exact).
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => " (bytes)",
            Self::Permille => " (percent)",
            Self::Micros => " (microseconds)",
        }
    }
}

/// Microseconds in words: `830 µs`, `1.2 ms`, `3.40 s`.
fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} µs"),
        1_000..100_000 => format!("{}.{} ms", value / 1_000, value % 1_000 / 100),
        100_000..1_000_000 => format!("{} ms", value / 1_000),
        _ => format!("{}.{:02} s", value / 1_000_000, value % 1_000_000 / 10_000),
    }
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line.
    Line,
    /// A dashed line: what is expected, not what was.
    Dashed,
    /// An area on top of the stacked ones before it.
    Stacked,
    /// Bars on top of the bars before them.
    Bars,
    /// In words only: where the point is, and in the table.
    Told,
}

/// One row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// How it is drawn.
    pub shape: Shape,
    /// What its numbers are. Those that are drawn have one unit.
    pub unit: Unit,
    /// One number a step; `None`: not measured, or a share of nothing.
    pub values: Vec<Option<u64>>,
}

impl Series {
    /// A series.
    pub fn new(
        name: impl Into<String>,
        shape: Shape,
        unit: Unit,
        values: Vec<Option<u64>>,
    ) -> Self {
        Self {
            name: name.into(),
            shape,
            unit,
            values,
        }
    }

    fn at(&self, step: usize) -> Option<u64> {
        self.values.get(step).copied().flatten()
    }
}

/// The steps of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When the first step begins, in seconds since 1970.
    pub from: i64,
    /// Seconds of a step.
    pub step: i64,
    /// How many steps there are.
    pub steps: usize,
}

impl Span {
    /// When a step begins, in seconds since 1970.
    pub fn start(self, step: usize) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.from.saturating_add(step.saturating_mul(self.step))
    }

    /// When the last step ends.
    pub fn end(self) -> i64 {
        self.start(self.steps)
    }
}

/// What happened while it was measured: a run of garbage collection, a rotation, a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, in seconds since 1970.
    pub at: i64,
    /// What, in words.
    pub words: String,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// Its id on the page, and the name of the files that are taken along.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What it says, in one sentence with its figure; may be empty.
    pub says: String,
    /// The axis.
    pub span: Span,
    /// Which steps somebody measured.
    pub measured: Vec<bool>,
    /// Its numbers. Those drawn come first.
    pub series: Vec<Series>,
    /// A line that is not to be crossed: where, in the unit of the series, and in words.
    pub limit: Option<(u64, String)>,
    /// What happened meanwhile, oldest first.
    pub marks: Vec<Mark>,
    /// How it is measured: what counts, and what does not.
    pub definition: &'static str,
    /// Who measured it.
    pub source: String,
}

impl Plot {
    fn is_measured(&self, step: usize) -> bool {
        self.measured.get(step).copied().unwrap_or_default()
    }

    /// Nobody measured the step, and nothing is expected of it.
    fn is_gap(&self, step: usize) -> bool {
        let expected = self
            .series
            .iter()
            .any(|series| series.shape == Shape::Dashed && series.at(step).is_some());
        !self.is_measured(step) && !expected
    }

    fn drawn(&self) -> impl Iterator<Item = (usize, &Series)> {
        let all = self.series.iter().enumerate();
        all.filter(|(_, series)| series.shape != Shape::Told)
    }

    /// The unit of the axis.
    fn unit(&self) -> Unit {
        self.drawn()
            .next()
            .map_or(Unit::Count, |(_, series)| series.unit)
    }

    /// What happened within a step.
    fn marks_of(&self, step: usize) -> impl Iterator<Item = &Mark> {
        let (from, to) = (self.span.start(step), self.span.start(step + 1));
        self.marks
            .iter()
            .filter(move |mark| (from..to).contains(&mark.at))
    }

    /// The number of a series at a step, in words.
    fn number(&self, series: &Series, step: usize) -> String {
        match series.at(step) {
            Some(value) => series.unit.words(value),
            None if self.is_gap(step) => "not measured".to_owned(),
            None => "—".to_owned(),
        }
    }

    /// Everything of a step in one sentence: what is said where the point is.
    fn reading(&self, step: usize) -> String {
        let mut words = format!("{}: ", self.when(step));
        if self.is_measured(step) || self.series.iter().any(|series| series.at(step).is_some()) {
            for (at, series) in self.series.iter().enumerate() {
                if at > 0 {
                    words.push_str(", ");
                }
                words.push_str(&format!("{} {}", series.name, self.number(series, step)));
            }
        } else {
            words.push_str("not measured");
        }
        for mark in self.marks_of(step) {
            words.push_str(&format!(". {}", mark.words));
        }
        words
    }

    /// Which time a step is.
    fn when(&self, step: usize) -> String {
        calendar::step_words(self.span, step)
    }

    /// The last step that says something.
    fn last(&self) -> Option<usize> {
        (0..self.span.steps)
            .rev()
            .find(|&step| self.is_measured(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn hits() -> Plot {
        Plot {
            id: "hit-ratio",
            title: "Hit ratio",
            says: String::new(),
            span: Span {
                from: 1_795_392_000,
                step: 3600,
                steps: 4,
            },
            measured: vec![true, false, true, true],
            series: vec![
                Series::new(
                    "Hit ratio",
                    Shape::Line,
                    Unit::Permille,
                    vec![Some(800), None, None, Some(1000)],
                ),
                Series::new(
                    "Found",
                    Shape::Told,
                    Unit::Count,
                    vec![Some(80), None, Some(0), Some(1200)],
                ),
            ],
            limit: Some((750, "75 %".to_owned())),
            marks: vec![Mark {
                at: 1_795_392_000 + 3 * 3600 + 5,
                words: "=GC, \"run\" 7".to_owned(),
            }],
            definition: "",
            source: String::new(),
        }
    }

    #[test]
    fn a_point_says_what_it_is_and_a_gap_is_no_zero() {
        let plot = hits();
        assert_eq!(
            plot.reading(0),
            "2026-11-23 00:00–01:00 UTC: Hit ratio 80.0 %, Found 80"
        );
        assert_eq!(plot.reading(1), "2026-11-23 01:00–02:00 UTC: not measured");
        assert_eq!(
            plot.reading(2),
            "2026-11-23 02:00–03:00 UTC: Hit ratio —, Found 0"
        );
        assert_eq!(
            plot.reading(3),
            "2026-11-23 03:00–04:00 UTC: Hit ratio 100.0 %, Found 1,200. =GC, \"run\" 7"
        );
        assert_eq!(plot.last(), Some(3));
    }

    #[test]
    fn numbers_have_their_unit() {
        for (unit, value, words, exact) in [
            (Unit::Count, 1_204_331, "1,204,331", "1204331"),
            (Unit::Bytes, 1_258_291, "1.20 MiB", "1258291"),
            (Unit::Permille, 805, "80.5 %", "80.5"),
            (Unit::Micros, 830, "830 µs", "830"),
            (Unit::Micros, 1_250, "1.2 ms", "1250"),
            (Unit::Micros, 250_999, "250 ms", "250999"),
            (Unit::Micros, 3_409_000, "3.40 s", "3409000"),
        ] {
            assert_eq!(unit.words(value), words);
            assert_eq!(unit.exact(value), exact);
        }
    }
}
