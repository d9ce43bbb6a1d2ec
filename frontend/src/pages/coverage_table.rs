//! The coverage matrix: rows are parts of the cache, columns keys; each cell leads to the paths that
//! it counts.

use std::ops::Range;

use leptos::prelude::*;
use snowbank_shared::api::vouching::{Coverage, CoverageBy, CoverageRow, CoverageSum};
use snowbank_shared::api::{KeyState, SignatureStatus};
use snowbank_shared::route::{PathsQuery, Route};

use crate::components::chip::signature_words;
use crate::format;
use crate::pages::signers::state_chip;
use crate::state::navigation::href;

/// Columns of keys that stand side by side.
const KEYS_OF_A_TABLE: usize = 5;

/// What a cell counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Paths,
    Bytes,
    Closures,
}

impl Measure {
    pub const ALL: [Self; 3] = [Self::Paths, Self::Bytes, Self::Closures];
    pub const WORDS: [&'static str; 3] = ["Paths", "Bytes", "Complete closures"];

    /// The word in the address; empty for the first.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paths => "",
            Self::Bytes => "bytes",
            Self::Closures => "closures",
        }
    }

    fn of(self, sum: &CoverageSum) -> u64 {
        match self {
            Self::Paths => sum.paths,
            Self::Bytes => sum.nar_size,
            Self::Closures => sum.closures,
        }
    }

    fn words(self, number: u64) -> String {
        match self {
            Self::Bytes => format::size(number),
            Self::Paths | Self::Closures => format::count(number),
        }
    }
}

/// A column.
#[derive(Clone, Copy)]
enum Column<'a> {
    All,
    Key(&'a str),
    Failing(&'a str),
    Word(SignatureStatus),
}

impl Column<'_> {
    fn says(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Key(name) => format::visible(name),
            Self::Failing(name) => format!("failing signatures of {}", format::visible(name)),
            Self::Word(word) => signature_words(word).2.to_ascii_lowercase(),
        }
    }
}

/// The paths that a cell counts, in the path browser.
fn listed(by: CoverageBy, row: &str, column: Column<'_>, measure: Measure) -> PathsQuery {
    let mut query = PathsQuery::default();
    let row = (!row.is_empty()).then(|| row.to_owned());
    match by {
        CoverageBy::Pin => query.pin = row,
        CoverageBy::Package => query.package = row.map(Into::into),
        CoverageBy::Uploader => query.by = row.map(Into::into),
        CoverageBy::Month => {
            if let Some((first, last)) = row.as_deref().and_then(days_of) {
                (query.since, query.until) = (Some(first), Some(last));
            }
        }
    }
    let closures = measure == Measure::Closures;
    match column {
        Column::All if closures => query.vouch = Some("closure".into()),
        Column::All => {}
        Column::Key(name) if closures => query.vouch = Some(format!("closure:{name}").into()),
        Column::Key(name) => query.vouch = Some(format!("valid:{name}").into()),
        Column::Failing(name) => query.vouch = Some(format!("invalid:{name}").into()),
        Column::Word(word) => query.sig = Some(word),
    }
    query
}

/// The first and the last day of a month, `2026-11`.
fn days_of(month: &str) -> Option<(String, String)> {
    let (year, number) = month.split_once('-')?;
    let (year, number): (u32, u32) = (year.parse().ok()?, number.parse().ok()?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match number {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Some((format!("{month}-01"), format!("{month}-{last}")))
}

/// What is drawn, and how.
struct Matrix<'a> {
    cache: &'a str,
    coverage: &'a Coverage,
    measure: Measure,
}

impl Matrix<'_> {
    fn link(&self, row: &CoverageRow, column: Column<'_>, words: AnyView, says: String) -> AnyView {
        let query = listed(self.coverage.by, &row.name, column, self.measure);
        let address = href(&Route::Paths {
            cache: self.cache.to_owned(),
            query,
        });
        view! { <a class="cell-link" href=address aria-label=says>{words}</a> }.into_any()
    }

    fn row_says(&self, row: &CoverageRow) -> String {
        match row.name.as_str() {
            "" => "whole cache".to_owned(),
            name => format!("{} {}", self.coverage.by.as_str(), format::visible(name)),
        }
    }

    /// Percent, bar and count; a link where there is something to list.
    fn cell(&self, row: &CoverageRow, column: Column<'_>, sum: &CoverageSum) -> AnyView {
        let (part, whole) = (self.measure.of(sum), self.measure.of(&row.all));
        let count = self.measure.words(part);
        if part == 0 && sum.paths == 0 {
            return view! { <span class="none">"0"</span> }.into_any();
        }
        let of = self.measure.words(whole);
        let percent = format::percent(part, whole);
        let says = format!(
            "{}, {}: {}, {count} of {of}",
            column.says(),
            self.row_says(row),
            percent.replace('%', "percent")
        );
        if part == 0 {
            return view! { <span class="none">"0"</span> }.into_any();
        }
        let width = (part as f64 / whole.max(1) as f64 * 100.0).to_string();
        let words = match column {
            Column::All => view! { {count} }.into_any(),
            _ => view! {
                <span>{percent}</span>
                <svg class="coverage-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                    <rect width="100" height="4" class="coverage-rest" />
                    <rect width=width height="4" class="coverage-part" />
                </svg>
                <span class="muted">{count}</span>
            }
            .into_any(),
        };
        self.link(row, column, words, says)
    }

    fn key_cell(&self, row: &CoverageRow, name: &str, sum: &CoverageSum) -> AnyView {
        let failing = (sum.invalid > 0).then(|| {
            let count = format::count(sum.invalid);
            let says = format!(
                "{}, {}: {count}",
                Column::Failing(name).says(),
                self.row_says(row)
            );
            let words = view! { <span class="coverage-bad">"✘ " {count}</span> }.into_any();
            self.link(row, Column::Failing(name), words, says)
        });
        view! {
            <td class="number" data-label=format::visible(name)>
                {self.cell(row, Column::Key(name), sum)} {failing}
            </td>
        }
        .into_any()
    }

    /// A row of the table that shows these keys; what is of no key stands in the first.
    fn row(&self, row: &CoverageRow, keys: &Range<usize>) -> AnyView {
        let name = match (row.name.as_str(), self.coverage.by) {
            ("", _) => view! { <b>"Whole cache"</b> }.into_any(),
            ("-", CoverageBy::Uploader) => {
                view! { <span class="muted">"no receipt says who"</span> }.into_any()
            }
            (name, _) => view! { <span class="break">{format::visible(name)}</span> }.into_any(),
        };
        let all = (keys.start == 0).then(|| {
            let cell = self.cell(row, Column::All, &row.all);
            view! { <td class="number" data-label="All">{cell}</td> }
        });
        let words = (keys.start == 0).then(|| {
            self.words()
                .map(|(place, word)| {
                    let cell = self.cell(row, Column::Word(word), &row.words[place]);
                    view! { <td class="number col-2" data-label=signature_words(word).2>{cell}</td> }
                })
                .collect_view()
        });
        let keys = self.coverage.keys[keys.clone()]
            .iter()
            .zip(&row.keys[keys.clone()])
            .map(|(key, sum)| self.key_cell(row, &key.name, sum))
            .collect_view();
        view! {
            <tr>
                <th scope="row" class="wide">{name}</th>
                {all}
                {keys}
                {words}
            </tr>
        }
        .into_any()
    }

    /// The columns of words; no closure is complete by the lack of a signature.
    fn words(&self) -> impl Iterator<Item = (usize, SignatureStatus)> + '_ {
        let words = self.coverage.words.iter().copied().enumerate();
        words.filter(|_| self.measure != Measure::Closures)
    }
}

/// The matrix: a table for each few keys, so that none is wider than the page.
pub fn matrix(cache: &str, coverage: &Coverage, measure: Measure) -> AnyView {
    let matrix = Matrix {
        cache,
        coverage,
        measure,
    };
    let keys = coverage.keys.len();
    let tables = (0..keys.max(1))
        .step_by(KEYS_OF_A_TABLE)
        .map(|start| matrix.table(&(start..keys.min(start + KEYS_OF_A_TABLE))))
        .collect_view();
    let shown = coverage.items.len() as u64;
    let foot = (coverage.rows > shown).then(|| {
        let words = format!(
            "The {} rows with most paths, of {}. The export holds more.",
            format::count(shown),
            format::count(coverage.rows)
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        <div id="coverage">{tables}</div>
        {foot}
    }
    .into_any()
}

impl Matrix<'_> {
    fn table(&self, keys: &Range<usize>) -> AnyView {
        let rows = std::iter::once(&self.coverage.total)
            .chain(&self.coverage.items)
            .map(|row| self.row(row, keys))
            .collect_view();
        let first = keys.start == 0;
        let all = first.then(|| view! { <th scope="col" class="number">"All"</th> });
        let words = first.then(|| {
            self.words()
                .map(|(_, word)| {
                    let (_, _, word, meaning) = signature_words(word);
                    view! { <th scope="col" class="number col-2" title=meaning>{word}</th> }
                })
                .collect_view()
        });
        let heads = self.coverage.keys[keys.clone()]
            .iter()
            .map(|key| {
                let state =
                    (key.state != KeyState::Active).then(|| state_chip(key.purpose, key.state));
                view! {
                    <th scope="col" class="number">
                        <span class="mono">{format::visible(&key.name)}</span>
                        " "
                        {state}
                    </th>
                }
            })
            .collect_view();
        let corner = match self.coverage.by {
            CoverageBy::Pin => "Pin",
            CoverageBy::Package => "Package",
            CoverageBy::Uploader => "Uploader",
            CoverageBy::Month => "Month",
        };
        view! {
            <div class="table-wrap">
                <table class="table is-roomy coverage-table">
                    <caption class="visually-hidden">"What each key vouches for"</caption>
                    <thead>
                        <tr>
                            <th scope="col">{corner}</th>
                            {all}
                            {heads}
                            {words}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a60_a_cell_leads_to_what_it_counts() {
        let address = |by, row, column, measure| listed(by, row, column, measure).to_string();
        let key = Column::Key("team-1");
        assert_eq!(
            address(CoverageBy::Pin, "prod", key, Measure::Bytes),
            "?pin=prod&vouch=valid%3Ateam-1"
        );
        assert_eq!(
            address(CoverageBy::Package, "gcc", key, Measure::Closures),
            "?package=gcc&vouch=closure%3Ateam-1"
        );
        assert_eq!(
            address(
                CoverageBy::Month,
                "2028-02",
                Column::Word(SignatureStatus::Unsigned),
                Measure::Paths
            ),
            "?sig=unsigned&since=2028-02-01&until=2028-02-29"
        );
        assert_eq!(
            address(
                CoverageBy::Uploader,
                "-",
                Column::Failing("a"),
                Measure::Paths
            ),
            "?vouch=invalid%3Aa&by=-"
        );
        assert_eq!(
            address(CoverageBy::Month, "", Column::All, Measure::Paths),
            ""
        );
        assert_eq!(
            days_of("2100-02").map(|days| days.1),
            Some("2100-02-28".to_owned())
        );
    }
}
