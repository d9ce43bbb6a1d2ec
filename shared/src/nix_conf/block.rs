//! The lines of a cache between two comments, by which they are found again.
//!
//! `# >>> nix cache: TITLE (PAGE) >>>` opens and `# <<< nix cache: TITLE <<<` closes. A
//! block is known by PAGE. Lines of others within it stay when it goes, and so do values of
//! others within our lines: in a line of their own.
//!
//! At the end of a text that lacks its last line end the block lacks it too, and brings
//! the one before it along: so it can be taken out without a trace.

use std::ops::Range;

use super::document::{Document, Line, Says};
use super::effective::comparable;
use super::merge::{Addition, Wanted};
use super::names;

const OPENS: &str = "# >>> nix cache: ";
const CLOSES: &str = "# <<< nix cache: ";

/// The lines that the generator adds to a block where they are asked for, as the page Connect
/// writes them. They go with the block.
const OPTIONS: [(&str, &str); 3] = [
    ("connect-timeout", "5"),
    ("fallback", "true"),
    ("narinfo-cache-negative-ttl", "1"),
];

/// What becomes of the [`OPTIONS`] in a block that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Options {
    /// They stay: the cache is in force in another place.
    Stay,
    /// They go: the cache goes.
    Go,
}

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

    /// Whether it holds a value of ours that is not wanted any more.
    pub(super) fn is_stale(
        &self,
        document: &Document<'_>,
        wanted: &[Wanted],
        addition: &Addition,
    ) -> bool {
        document.lines[self.lines()].iter().any(|line| {
            let Some(setting) = ours(line) else {
                return false;
            };
            let Says::Setting { values, .. } = &line.says else {
                return false;
            };
            let of_setting = wanted.iter().find(|wanted| wanted.setting == setting);
            values.iter().any(|value| {
                !of_setting.is_some_and(|wanted| wanted.has(value.text))
                    && is_of(addition, setting, value.text)
            })
        })
    }

    /// The text without it. Lines and values of others within it stay.
    pub(super) fn taken_out(
        &self,
        document: &Document<'_>,
        text: &str,
        addition: &Addition,
        options: Options,
    ) -> String {
        let lines = &document.lines;
        let mut kept = String::new();
        for line in self.inner(document) {
            if ours(line).is_some() {
                kept.extend(carried(line, addition, document.line_end()));
            } else if options == Options::Stay || !is_option(line) {
                kept.extend([line.text, line.end]);
            }
        }
        let (mut start, stop) = (lines[self.first].start, lines[self.last].stop());
        let ends_text = lines[self.last].end.is_empty();
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

    /// The text with other lines in its place. Lines of others within it stay there, values of
    /// others come behind it.
    pub(super) fn replaced(
        &self,
        document: &Document<'_>,
        text: &str,
        addition: &Addition,
        new: &[String],
    ) -> String {
        let lines = &document.lines;
        let end = document.line_end();
        let inner = self.inner(document);
        let others = inner.iter().filter(|line| ours(line).is_none());
        let others: String = others.flat_map(|line| [line.text, line.end]).collect();
        let carried: String = inner
            .iter()
            .filter_map(|line| carried(line, addition, end))
            .collect();
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
        let last = lines[self.last].end;
        if last.is_empty() && !carried.is_empty() {
            block.push_str(end);
            block.push_str(carried.strip_suffix(end).unwrap_or(&carried));
        } else {
            block.push_str(last);
            block.push_str(&carried);
        }
        format!(
            "{}{block}{}",
            &text[..lines[self.first].start],
            &text[lines[self.last].stop()..]
        )
    }

    /// The lines between its comments.
    fn inner<'d, 't>(&self, document: &'d Document<'t>) -> &'d [Line<'t>] {
        &document.lines[self.first + 1..self.last]
    }
}

/// The values of others in a line of ours, as a line.
fn carried(line: &Line<'_>, addition: &Addition, end: &str) -> Option<String> {
    let setting = ours(line)?;
    let Says::Setting { name, values } = &line.says else {
        return None;
    };
    let values: Vec<&str> = values
        .iter()
        .map(|value| value.text)
        .filter(|value| !is_of(addition, setting, value))
        .collect();
    (!values.is_empty()).then(|| format!("{} = {}{end}", name.text, values.join(" ")))
}

/// Whether a value in the cache's block is the cache's, now or formerly: a URL on one of its
/// hosts or a bucket, a key with the name of one of its keys whatever the number at its end, a
/// key that it is known to have used.
/// Where we know no key of the cache, all keys in its block are.
fn is_of(addition: &Addition, setting: &str, value: &str) -> bool {
    if setting == "trusted-public-keys" {
        let keys = addition.settings.keys();
        return keys.is_empty()
            || keys.iter().any(|key| stem(key.name()) == stem(value))
            || addition.is_former(value);
    }
    let host_of_value = host(value);
    let is_bucket = value
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://"));
    is_bucket
        || addition.settings.urls().iter().any(|url| {
            comparable(url.as_str()) == comparable(value)
                || host_of_value.is_some() && host(url.as_str()) == host_of_value
        })
}

/// The name of a key without `-1`.
fn stem(key: &str) -> &str {
    let name = key.split(':').next().unwrap_or_default();
    let without = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match without.strip_suffix('-') {
        Some(stem) if without.len() < name.len() => stem,
        _ => name,
    }
}

/// The host of a URL, with its port.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// One of the [`OPTIONS`], with nothing else in its line.
fn is_option(line: &Line<'_>) -> bool {
    let Says::Setting { name, values } = &line.says else {
        return false;
    };
    let [value] = values.as_slice() else {
        return false;
    };
    line.comment().is_none() && OPTIONS.contains(&(name.text, value.text))
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
