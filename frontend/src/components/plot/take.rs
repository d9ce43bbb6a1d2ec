//! What can be taken along: the numbers as CSV, the drawing as SVG. Both are whole without the page.

use snowbank_shared::table::push_csv;

use super::calendar::{moment, moment_text, ticks};
use super::shape::{HIGH, Places, WIDE, paths, runs};
use super::{Plot, Shape};

/// Colours of the series, in turn; on white.
const COLOURS: [&str; 8] = [
    "#0b6aa8", "#b35c00", "#2f7d4f", "#8a4fa3", "#a8323a", "#4d6b8a", "#7a7a1f", "#6b6b6b",
];

/// The numbers, one step a line, oldest first: exact, with the unit in the head. What was not
/// measured, and a share of nothing, is an empty cell.
pub(super) fn csv(plot: &Plot) -> String {
    let mut out = String::from("from,to,measured");
    for series in &plot.series {
        out.push(',');
        push_csv(&format!("{}{}", series.name, series.unit.name()), &mut out);
    }
    out.push_str(",events\r\n");
    for step in 0..plot.span.steps {
        let measured = if plot.is_measured(step) { "yes" } else { "no" };
        out.push_str(&format!(
            "{},{},{measured}",
            moment(plot.span.start(step)),
            moment(plot.span.start(step + 1))
        ));
        for series in &plot.series {
            out.push(',');
            if let Some(value) = series.at(step) {
                out.push_str(&series.unit.exact(value));
            }
        }
        let marks: Vec<&str> = plot
            .marks_of(step)
            .map(|mark| mark.words.as_str())
            .collect();
        out.push(',');
        push_csv(&marks.join("; "), &mut out);
        out.push_str("\r\n");
    }
    out
}

fn push_xml(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            control if control.is_control() => out.push(' '),
            plain => out.push(plain),
        }
    }
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_xml(text, &mut out);
    out
}

/// The drawing with its title, axes, names and sources, as a file.
pub(super) fn svg(plot: &Plot) -> String {
    // The drawing lies in a frame of 880 by 300 with its corner at 90, 60.
    const LEFT: u64 = 90;
    const TOP: u64 = 60;
    const W: u64 = 880;
    const H: u64 = 300;
    let places = Places::of(plot);
    let x = |at: u64| LEFT + at * W / WIDE;
    let y = |at: u64| TOP + at * H / HIGH;
    let text = |x: u64, y: u64, anchor: &str, size: u64, words: &str| {
        format!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{}</text>\n",
            xml(words)
        )
    };
    let names = plot.drawn().count() as u64;
    let high = TOP + H + 70 + names.div_ceil(4) * 20;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 {high}\" width=\"1000\" height=\"{high}\" \
         font-family=\"system-ui, sans-serif\" fill=\"#333\" role=\"img\">\n<title>{}</title>\n\
         <defs><pattern id=\"gap\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <path d=\"M0 0v8\" stroke=\"#bbb\"/></pattern></defs>\n<rect width=\"1000\" height=\"{high}\" fill=\"#fff\"/>\n",
        xml(plot.title)
    );
    out.push_str(&text(20, 26, "start", 16, plot.title));
    out.push_str(&text(20, 46, "start", 12, &plot.says));
    for (first, end) in runs(plot.span.steps, |step| plot.is_gap(step)) {
        let (left, right) = (x(places.left(first)), x(places.left(end)));
        out.push_str(&format!(
            "<rect x=\"{left}\" y=\"{TOP}\" width=\"{}\" height=\"{H}\" fill=\"url(#gap)\"/>\n",
            right - left
        ));
    }
    for &value in &places.values {
        let at = y(places.height(value));
        let end = LEFT + W;
        out.push_str(&format!(
            "<path d=\"M{LEFT} {at}H{end}\" stroke=\"#ddd\" fill=\"none\"/>\n"
        ));
        out.push_str(&text(
            LEFT - 8,
            at + 4,
            "end",
            12,
            &plot.unit().words(value),
        ));
    }
    for (moment, words) in ticks(plot.span) {
        if let Some(at) = places.when(moment) {
            out.push_str(&text(x(at), TOP + H + 18, "middle", 12, &words));
        }
    }
    out.push_str(&format!(
        "<svg x=\"{LEFT}\" y=\"{TOP}\" width=\"{W}\" height=\"{H}\" viewBox=\"0 0 {WIDE} {HIGH}\" \
         preserveAspectRatio=\"none\" overflow=\"visible\">\n"
    ));
    for (at, shape, path) in paths(plot, &places) {
        let colour = COLOURS[at % COLOURS.len()];
        let dress = match shape {
            Shape::Stacked | Shape::Bars => format!("fill=\"{colour}\" fill-opacity=\"0.75\""),
            Shape::Dashed => {
                format!(
                    "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"6 5\""
                )
            }
            Shape::Line | Shape::Told => {
                format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"")
            }
        };
        out.push_str(&format!(
            "<path d=\"{path}\" {dress} stroke-linecap=\"round\" vector-effect=\"non-scaling-stroke\"/>\n"
        ));
    }
    out.push_str("</svg>\n");
    if let Some((limit, words)) = &plot.limit {
        let at = y(places.height(*limit));
        let end = LEFT + W;
        out.push_str(&format!(
            "<path d=\"M{LEFT} {at}H{end}\" stroke=\"#8a5a00\" stroke-dasharray=\"4 4\" fill=\"none\"/>\n"
        ));
        out.push_str(&text(end, at - 4, "end", 11, words));
    }
    for mark in &plot.marks {
        if let Some(at) = places.when(mark.at) {
            let (at, foot) = (x(at), TOP + H);
            out.push_str(&format!(
                "<path d=\"M{at} {TOP}V{foot}\" stroke=\"#666\" stroke-dasharray=\"2 3\"><title>{}</title></path>\n",
                xml(&mark.words)
            ));
        }
    }
    for (place, (at, series)) in plot.drawn().enumerate() {
        let (column, row) = (place as u64 % 4, place as u64 / 4);
        let (left, base) = (LEFT + column * 220, TOP + H + 46 + row * 20);
        let colour = COLOURS[at % COLOURS.len()];
        out.push_str(&format!(
            "<rect x=\"{left}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n",
            base - 10
        ));
        out.push_str(&text(left + 18, base, "start", 12, &series.name));
    }
    let foot = format!(
        "{} to {}. {}",
        moment_text(plot.span.from),
        moment_text(plot.span.end()),
        plot.source
    );
    out.push_str(&text(LEFT, high - 12, "start", 11, &foot));
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::hits;
    use super::*;

    #[test]
    fn csv_has_every_step_exactly_and_no_formula() {
        let mut plot = hits();
        plot.series[1].name = "=cmd".to_owned();
        assert_eq!(
            csv(&plot),
            "from,to,measured,Hit ratio (percent),\"'=cmd\",events\r\n\
             2026-11-23T00:00:00Z,2026-11-23T01:00:00Z,yes,80.0,80,\r\n\
             2026-11-23T01:00:00Z,2026-11-23T02:00:00Z,no,,,\r\n\
             2026-11-23T02:00:00Z,2026-11-23T03:00:00Z,yes,,0,\r\n\
             2026-11-23T03:00:00Z,2026-11-23T04:00:00Z,yes,100.0,1200,\"'=GC, \"\"run\"\" 7\"\r\n"
        );
    }

    #[test]
    fn the_drawing_stands_alone_and_its_texts_are_escaped() {
        let mut plot = hits();
        plot.series[0].name = "<script>&".to_owned();
        let svg = svg(&plot);
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(svg.contains("&lt;script&gt;&amp;") && !svg.contains("<script"));
        assert!(svg.contains("=GC, &quot;run&quot; 7"));
        assert!(svg.contains("url(#gap)") && svg.contains("75 %"));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(!svg.contains("href"));
    }
}
