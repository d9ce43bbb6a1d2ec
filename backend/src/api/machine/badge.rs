//! `/c/{cache}/diff/{from}...{to}/badge.svg`: how much a closure grew, to be shown on other pages.

use snowbank_shared::api::Diff;
use snowbank_shared::route::ends;
use snowbank_shared::size;

/// What stands on the left.
const LABEL: &str = "closure";
/// Pixels of a character, about, as badges are wide.
const CHARACTER: usize = 7;
/// Pixels around a text.
const AROUND: usize = 12;

/// The two ends that an address names.
pub(super) fn split(file: &str) -> Option<(String, String)> {
    let text = file.strip_prefix("diff/")?.strip_suffix("/badge.svg")?;
    let text = percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()?;
    let (from, to) = ends(&text)?;
    Some((from?, to?))
}

/// The words and their colour.
fn words(diff: &Diff) -> (String, &'static str) {
    if diff.from.path == diff.to.path {
        return ("identical".to_owned(), "#5f6b7a");
    }
    let (before, after) = (diff.from.nar_size, diff.to.nar_size);
    let delta = i128::from(after) - i128::from(before);
    let delta = i64::try_from(delta).unwrap_or(if delta > 0 { i64::MAX } else { i64::MIN });
    let colour = if delta < 0 { "#1f7a3d" } else { "#0b6aa8" };
    let change = size::change(delta);
    match size::growth(before, after) {
        Some(percent) => (format!("{change}, {percent}"), colour),
        None => (change, colour),
    }
}

/// The drawing. Its texts are ours: there is nothing to escape.
pub(super) fn svg(diff: &Diff) -> String {
    let (words, colour) = words(diff);
    let width = |text: &str| text.chars().count() * CHARACTER + AROUND;
    let (left, right) = (width(LABEL), width(&words));
    let whole = left + right;
    let (first, second) = (left / 2, left + right / 2);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"{LABEL}: {words}\">\
         <title>{LABEL}: {words}</title>\
         <clipPath id=\"r\"><rect width=\"{whole}\" height=\"20\" rx=\"3\"/></clipPath>\
         <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"20\" fill=\"#3c4653\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/></g>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{first}\" y=\"14\">{LABEL}</text><text x=\"{second}\" y=\"14\">{words}</text></g></svg>\n"
    )
}
