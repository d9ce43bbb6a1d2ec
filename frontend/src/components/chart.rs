//! Small charts, drawn by hand: a line beside a number, and a growth chart with
//! its table. Sizes begin at zero; colours come from the style sheet; each says
//! in words what it shows.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::layout::table;

/// Units of a drawing from left to right, and from its top to zero.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 240;

/// The points of a line from left to right: `0,240 100,180 …`. Zero lies at the
/// bottom, the largest value at the top. In integers, as all numbers here.
fn line(values: &[u64]) -> String {
    let most = values.iter().copied().max().unwrap_or_default().max(1);
    let steps = (values.len() as u64).saturating_sub(1).max(1);
    let mut points = String::new();
    for (at, &value) in values.iter().enumerate() {
        let x = at as u64 * WIDTH / steps;
        let height = u128::from(value) * u128::from(HEIGHT) / u128::from(most);
        let y = HEIGHT - u64::try_from(height).unwrap_or(HEIGHT);
        if at > 0 {
            points.push(' ');
        }
        points.push_str(&x.to_string());
        points.push(',');
        points.push_str(&y.to_string());
    }
    points
}

/// A line as high as the text; `says` is what it shows, in words.
pub fn sparkline(values: &[u64], says: String) -> AnyView {
    view! {
        <svg class="sparkline" viewBox="0 -12 1000 264" preserveAspectRatio="none" role="img" aria-label=says>
            <polyline points=line(values) />
        </svg>
    }
    .into_any()
}

/// How something grew: a caption that says it, the drawing, and the same as a table.
pub struct Growth {
    /// What it shows, in one sentence.
    pub caption: String,
    /// What is at the left and at the right end of the axis: days, or versions.
    pub ends: (String, String),
    /// The value at the top of the drawing, in words.
    pub top: String,
    /// The values, oldest first.
    pub values: Vec<u64>,
    /// The same for the table: one row a value that has something to say.
    pub rows: Vec<(String, String, String)>,
    /// The heads of the table's columns.
    pub columns: [&'static str; 3],
}

/// Draws it.
pub fn growth(chart: Growth) -> AnyView {
    let points = line(&chart.values);
    let area = format!("0,{HEIGHT} {points} {WIDTH},{HEIGHT}");
    let shown = RwSignal::new(false);
    let (rows, [first, second, third]) = (chart.rows, chart.columns);
    let twin = move || {
        shown.get().then(|| {
            let drawn = rows
                .iter()
                .map(|(at, one, other)| {
                    view! {
                        <tr>
                            <th scope="row" class="grow">{at.clone()}</th>
                            <td class="number" data-label=second>{one.clone()}</td>
                            <td class="number" data-label=third>{other.clone()}</td>
                        </tr>
                    }
                })
                .collect_view();
            let columns = [
                (first, "", ""),
                (second, "number", ""),
                (third, "number", ""),
            ];
            table("The same numbers", "table", &columns, drawn)
        })
    };
    view! {
        <figure class="chart">
            <figcaption>{chart.caption}</figcaption>
            <div class="chart-plot">
                <span class="chart-top">{chart.top}</span>
                <svg viewBox="0 0 1000 240" preserveAspectRatio="none" aria-hidden="true">
                    <polygon points=area />
                    <polyline points=points />
                </svg>
                <div class="chart-ends">
                    <span>{chart.ends.0}</span>
                    <span>{chart.ends.1}</span>
                </div>
            </div>
            <details class="explain" on:toggle=move |_| shown.set(true)>
                <summary>"Show as table"</summary>
                <div>{changing(twin)}</div>
            </details>
        </figure>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_runs_from_edge_to_edge_and_stands_on_zero() {
        assert_eq!(line(&[0, 5, 10]), "0,240 500,120 1000,0");
        assert_eq!(line(&[0, 0]), "0,240 1000,240");
        assert_eq!(line(&[7]), "0,0");
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[u64::MAX, 0]), "0,0 1000,240");
    }
}
