//! The lines of a cache between two comments, by which they are found again.
//!
//! `# >>> nix cache: TITLE (PAGE) >>>` opens and `# <<< nix cache: TITLE <<<` closes. A
//! block is known by PAGE. Lines of others within it stay when it goes.
//!
//! At the end of a text that lacks its last line end the block lacks it too, and brings
//! the one before it along: so it can be taken out without a trace.

use std::ops::Range;

use super::document::{Document, Line, Says};
use super::merge::{Addition, Wanted};
use super::names;

const OPENS: &str = "# >>> nix cache: ";
const CLOSES: &str = "# <<< nix cache: ";

/// A block in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// The page in its first line.
    page: &'a str,
    /// The line that opens it, from 0.
    first: usize,
    /// The line that closes it.
    last: usize,
}

/// All blocks of a text. What opens and is not closed is only a comment.
pub(super) fn find<'a>(document: &Document<'a>) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let mut opened: Option<(usize, &'a str)> = None;
    for (at, line) in document.lines.iter().enumerate() {
        if let Some(page) = opens(line) {
            opened = Some((at, page));
        } else if line.text.starts_with(CLOSES)
            && line.text.trim_end().ends_with(" <<<")
            && let Some((first, page)) = opened.take()
        {
            blocks.push(Block {
                page,
                first,
                last: at,
            });
        }
    }
    blocks
}

/// The block of a cache; the first, where there are several.
pub(super) fn of<'a>(document: &Document<'a>, addition: &Addition) -> Option<Block<'a>> {
    let page = addition.page_in_comment();
    find(document).into_iter().find(|block| block.page == page)
}

/// The page of a line that opens a block.
fn opens<'a>(line: &Line<'a>) -> Option<&'a str> {
    let rest = line.text.strip_prefix(OPENS)?.trim_end();
    let (_, page) = rest.strip_suffix(") >>>")?.rsplit_once(" (")?;
    Some(page)
}

/// The lines of a block, without line ends.
pub(super) fn lines(addition: &Addition, wanted: &[Wanted]) -> Vec<String> {
    let (title, page) = addition.in_comment();
    let mut lines = vec![format!("{OPENS}{title} ({page}) >>>")];
    for wanted in wanted {
        lines.push(format!(
            "extra-{} = {}",
            wanted.setting,
            wanted.values.join(" ")
        ));
    }
    lines.push(format!("{CLOSES}{title} <<<"));
    lines
}

/// The text with a block more at its end.
pub(super) fn append(document: &Document<'_>, text: &str, lines: &[String]) -> String {
    let end = document.line_end();
    let block = lines.join(end);
    if document.is_unterminated() {
        format!("{text}{end}{block}")
    } else {
        format!("{text}{block}{end}")
    }
}

impl Block<'_> {
    /// The numbers of its lines, from 0.
    pub(super) fn lines(&self) -> Range<usize> {
        self.first..self.last + 1
    }

    /// Whether it holds a value that is not wanted any more.
    pub(super) fn is_stale(&self, document: &Document<'_>, wanted: &[Wanted]) -> bool {
        document.lines[self.lines()].iter().any(|line| {
            let Some(setting) = ours(line) else {
                return false;
            };
            let Says::Setting { values, .. } = &line.says else {
                return false;
            };
            let of_setting = wanted.iter().find(|wanted| wanted.setting == setting);
            values
                .iter()
                .any(|value| !of_setting.is_some_and(|wanted| wanted.has(value.text)))
        })
    }

    /// The text without it. Lines of others within it stay.
    pub(super) fn taken_out(&self, document: &Document<'_>, text: &str) -> String {
        let lines = &document.lines;
        let inner = self.others(document);
        let (mut start, stop) = (lines[self.first].start, lines[self.last].stop());
        let ends_text = lines[self.last].end.is_empty();
        let mut kept: String = inner;
        if ends_text {
            if kept.is_empty() {
                if let Some(before) = self.first.checked_sub(1) {
                    // As [`append`] put it there: behind a text that ends in a lone `\r` the `\n` alone.
                    let end = lines[self.first].end.len();
                    start -= lines[before].end.len().min(end);
                }
            } else {
                let end = kept
                    .strip_suffix('\n')
                    .map(|kept| kept.trim_end_matches('\r').len());
                kept.truncate(end.unwrap_or(kept.len()));
            }
        }
        format!("{}{kept}{}", &text[..start], &text[stop..])
    }

    /// The text with other lines in its place. Lines of others within it stay, after it.
    pub(super) fn replaced(&self, document: &Document<'_>, text: &str, new: &[String]) -> String {
        let lines = &document.lines;
        let end = document.line_end();
        let others = self.others(document);
        // Before the closing line, as they were.
        let (closing, inside) = new
            .split_last()
            .map_or(("", new), |(last, rest)| (last, rest));
        let mut block = String::new();
        for line in inside {
            block.push_str(line);
            block.push_str(end);
        }
        block.push_str(&others);
        block.push_str(closing);
        block.push_str(lines[self.last].end);
        format!(
            "{}{block}{}",
            &text[..lines[self.first].start],
            &text[lines[self.last].stop()..]
        )
    }

    /// Lines within it that are not of a form that we write.
    fn others(&self, document: &Document<'_>) -> String {
        document.lines[self.first + 1..self.last]
            .iter()
            .filter(|line| ours(line).is_none())
            .flat_map(|line| [line.text, line.end])
            .collect()
    }
}

/// The setting of a line that has the form we write.
fn ours<'a>(line: &Line<'a>) -> Option<&'a str> {
    let Says::Setting { name, .. } = &line.says else {
        return None;
    };
    let resolved = names::resolve(name.text);
    let form = resolved.extra && !resolved.alias && line.comment().is_none();
    (form && super::effective::LISTED.contains(&resolved.canonical)).then_some(resolved.canonical)
}
