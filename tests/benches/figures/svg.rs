//! Bars as SVG: enough for the README's pictures, and no more.

use std::fmt::Write as _;

/// A bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is, at the left.
    pub label: String,
    pub value: f64,
    /// From the least to the most of its rounds.
    pub spread: Option<(f64, f64)>,
    /// What is written behind it.
    pub text: String,
    /// Whether it is one of those that the picture is about.
    pub own: bool,
}

/// Bars below a title, on one scale.
#[derive(Debug, Clone)]
pub struct Group {
    pub title: String,
    pub bars: Vec<Bar>,
    /// A line across the bars, such as a target.
    pub line: Option<f64>,
}

const WIDTH: f64 = 900.0;
const LABELS: f64 = 400.0;
const BARS: f64 = 360.0;
const ROW: f64 = 22.0;

/// The picture of some groups.
pub fn picture(title: &str, groups: &[Group]) -> String {
    let rows: usize = groups.iter().map(|group| group.bars.len() + 2).sum();
    let height = 50.0 + rows as f64 * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escaped(title)
    );
    let mut y = 10.0;
    let say = |out: &mut String, x: f64, y: f64, more: &str, text: &str| {
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#1b1f24\" {more}>{}</text>",
            y + 15.0,
            escaped(text)
        );
    };
    say(
        &mut out,
        10.0,
        y,
        "font-size=\"16\" font-weight=\"bold\"",
        title,
    );
    y += 1.5 * ROW;
    for group in groups {
        say(&mut out, 10.0, y, "font-weight=\"bold\"", &group.title);
        y += ROW;
        let top = y;
        let most = group
            .bars
            .iter()
            .map(|bar| {
                bar.spread
                    .map_or(bar.value, |(_, most)| most.max(bar.value))
            })
            .chain(group.line)
            .fold(f64::MIN_POSITIVE, f64::max);
        let along = |value: f64| (value / most * BARS).clamp(0.0, BARS);
        for bar in &group.bars {
            say(&mut out, 20.0, y, "", &bar.label);
            let fill = if bar.own { "#0969da" } else { "#8c959f" };
            let _ = writeln!(
                out,
                "<rect x=\"{LABELS}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"/>",
                y + 3.0,
                along(bar.value).max(1.0),
                ROW - 6.0
            );
            if let Some((least, most)) = bar.spread {
                let _ = writeln!(
                    out,
                    "<path d=\"M{:.1} {2:.1}H{:.1}\" stroke=\"#1b1f24\" stroke-width=\"2\"/>",
                    LABELS + along(least),
                    LABELS + along(most),
                    y + ROW / 2.0
                );
            }
            say(&mut out, LABELS + BARS + 10.0, y, "", &bar.text);
            y += ROW;
        }
        if let Some(line) = group.line {
            let x = LABELS + along(line);
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {top:.1}V{y:.1}\" stroke=\"#cf222e\" stroke-width=\"2\" stroke-dasharray=\"4 3\"/>"
            );
        }
        y += ROW;
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
