//! The difference of two texts: unified, or the two side by side.

use leptos::prelude::*;
use snowbank_shared::nix_conf::diff::{self, DiffLine, Hunk, Kind};

/// How a difference is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffShape {
    /// One column, as `diff -u` prints it.
    Unified,
    /// Two columns.
    SideBySide,
}

/// The difference from one text to the other.
pub fn diff_view(before: &str, after: &str, shape: DiffShape) -> AnyView {
    let hunks = diff::hunks(before, after);
    let drawn: Vec<AnyView> = match shape {
        DiffShape::Unified => hunks.iter().map(unified).collect(),
        DiffShape::SideBySide => hunks.iter().map(side_by_side).collect(),
    };
    let class = match shape {
        DiffShape::Unified => "diff",
        DiffShape::SideBySide => "diff diff-wide",
    };
    view! {
        <div class="table-wrap">
            <table class=class>
                <caption class="visually-hidden">"Difference"</caption>
                {drawn}
            </table>
        </div>
    }
    .into_any()
}

const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Same => "diff-same",
        Kind::Removed => "diff-removed",
        Kind::Added => "diff-added",
    }
}

/// The sign, and the word for who does not see it.
const fn sign(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Same => (" ", ""),
        Kind::Removed => ("-", "removed: "),
        Kind::Added => ("+", "added: "),
    }
}

fn text(line: &DiffLine) -> AnyView {
    let (mark, word) = sign(line.kind);
    let end = line
        .unterminated
        .then(|| view! { <small class="muted">" (no line end)"</small> });
    view! {
        <span class="diff-sign" aria-hidden="true">{mark}</span>
        <span class="visually-hidden">{word}</span>
        <span class="diff-text">{crate::format::visible(&line.text)}</span>
        {end}
    }
    .into_any()
}

fn head(hunk: &Hunk, columns: &'static str) -> AnyView {
    let words = format!("From line {}", hunk.new_start.max(1));
    view! {
        <tr class="diff-head">
            <th scope="rowgroup" colspan=columns>{words}</th>
        </tr>
    }
    .into_any()
}

fn unified(hunk: &Hunk) -> AnyView {
    let rows = hunk
        .lines
        .iter()
        .map(|line| {
            view! {
                <tr class=class(line.kind)>
                    <td>{text(line)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <tbody>
            {head(hunk, "1")}
            {rows}
        </tbody>
    }
    .into_any()
}

/// Lines that stand across from each other.
fn pairs(lines: &[DiffLine]) -> Vec<(Option<&DiffLine>, Option<&DiffLine>)> {
    let mut pairs: Vec<(Option<&DiffLine>, Option<&DiffLine>)> = Vec::new();
    // Where the next added line goes: beside the first removed one without a partner.
    let mut open = 0;
    for line in lines {
        match line.kind {
            Kind::Same => {
                pairs.push((Some(line), Some(line)));
                open = pairs.len();
            }
            Kind::Removed => pairs.push((Some(line), None)),
            Kind::Added => {
                match pairs.get_mut(open) {
                    Some(pair) => pair.1 = Some(line),
                    None => pairs.push((None, Some(line))),
                }
                open += 1;
            }
        }
    }
    pairs
}

fn side_by_side(hunk: &Hunk) -> AnyView {
    let cell = |line: Option<&DiffLine>| {
        let class = line.map_or("diff-none", |line| class(line.kind));
        view! { <td class=class>{line.map(text)}</td> }
    };
    let rows = pairs(&hunk.lines)
        .into_iter()
        .map(|(before, after)| view! { <tr>{cell(before)} {cell(after)}</tr> })
        .collect_view();
    view! {
        <tbody>
            {head(hunk, "2")}
            {rows}
        </tbody>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_replaces_a_line_stands_across_from_it() {
        let hunks = diff::hunks("a\nb\nc\n", "a\nB\nB2\nc\nd\n");
        let text = |line: Option<&DiffLine>| line.map_or("-", |line| line.text.as_str()).to_owned();
        let rows: Vec<(String, String)> = hunks
            .iter()
            .flat_map(|hunk| pairs(&hunk.lines))
            .map(|(before, after)| (text(before), text(after)))
            .collect();
        let wanted = [("a", "a"), ("b", "B"), ("-", "B2"), ("c", "c"), ("-", "d")];
        assert_eq!(rows, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
