//! What Nix cannot read, or reads as something else: D01 to D07, D25, D29.

use super::super::document::{Line, Says, Token};
use super::super::edit::Edit;
use super::super::effective::{Included, LISTED};
use super::super::names::{self, Known};
use super::case::{Case, HERE, fix, span, values};
use super::{Kind, Rule, Severity};

const MARK: char = '\u{feff}';

pub(super) fn examine(case: &mut Case<'_>) {
    if case.question.text.starts_with(MARK) {
        let end = MARK.len_utf8();
        case.found(
            Rule::D02,
            Severity::Error,
            (0, end),
            "The file begins with an invisible byte order mark. Nix takes it for a part of the first \
             name, so the first line does nothing or ends every command.",
            fix("Take the mark out", vec![Edit::delete(0, end)]),
        );
    }
    let lines = case.document.lines.clone();
    let mut continued = false;
    for (at, line) in lines.iter().enumerate() {
        let was_continued = std::mem::replace(&mut continued, ends_with_backslash(line));
        match &line.says {
            Says::Nothing => {}
            // Said at the line that it belongs to.
            Says::Wrong { .. } if was_continued => {}
            Says::Wrong { tokens } => wrong(case, line, tokens),
            Says::Include { path, optional } => include(case, line, *path, *optional),
            Says::Setting { name, values } => {
                if continued && !was_continued {
                    backslash(case, &lines[at..]);
                }
                name_known(case, *name);
                written_as_code(case, *name, values);
                hash_in_url(case, line);
            }
        }
    }
}

fn last_token<'a>(line: &Line<'a>) -> Option<Token<'a>> {
    match &line.says {
        Says::Setting { values, .. } => values.last().copied(),
        Says::Wrong { tokens } => tokens.last().copied(),
        _ => None,
    }
}

fn ends_with_backslash(line: &Line<'_>) -> bool {
    last_token(line).is_some_and(|token| token.text.ends_with('\\'))
}

fn wrong(case: &mut Case<'_>, line: &Line<'_>, tokens: &[Token<'_>]) {
    let seen_end = line.comment().unwrap_or(line.start + line.text.len());
    let seen = &line.text[..seen_end - line.start];
    let only_mark = seen.trim() == MARK.to_string();
    if only_mark {
        return;
    }
    let first = tokens[0];
    let equals = seen.find('=');
    let name = equals.map(|at| seen[..at].trim());
    let Some((at, name)) = equals.zip(name).filter(|(at, name)| {
        // Twice: the end of something in base64.
        is_a_name(name) && !seen[at + 1..].starts_with('=')
    }) else {
        let why = if first.text.trim_start_matches('!') == "include" {
            "Nix wants exactly one file after the word include. Every Nix command fails until the line is right."
        } else {
            "The line is no “name = value” and no comment. Every Nix command fails until it is right."
        };
        case.found(Rule::D01, Severity::Error, span(first), why, None);
        return;
    };
    let value = seen[at + 1..].trim();
    let new = if value.is_empty() {
        format!("{name} =")
    } else {
        format!("{name} = {value}")
    };
    let last = tokens[tokens.len() - 1];
    let edit = Edit {
        start: first.start,
        end: last.end(),
        text: new,
    };
    case.found(
        Rule::D01,
        Severity::Error,
        (line.start + at, line.start + at + 1),
        "The = must stand alone, with a blank on both sides. Every Nix command fails until it does.",
        fix("Put blanks around the =", vec![edit]),
    );
}

/// Whether a word has the form of a setting's name; that of an include, a URL or a key has not.
fn is_a_name(word: &str) -> bool {
    let word = word.trim_start_matches(MARK);
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word != "include"
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A setting that goes on over lines: joins them.
fn backslash(case: &mut Case<'_>, lines: &[Line<'_>]) {
    let mut edits = Vec::new();
    for pair in lines.windows(2) {
        let Some(last) = last_token(&pair[0]).filter(|token| token.text.ends_with('\\')) else {
            break;
        };
        let first = match &pair[1].says {
            Says::Wrong { tokens } => tokens[0].start,
            _ => break,
        };
        let glued = last.text.len() > 1;
        edits.push(Edit {
            start: last.end() - 1,
            end: first,
            text: if glued { " " } else { "" }.to_owned(),
        });
    }
    let Some(last) = last_token(&lines[0]) else {
        return;
    };
    if edits.is_empty() {
        edits.push(Edit::delete(last.end() - 1, last.end()));
    }
    case.found(
        Rule::D06,
        Severity::Error,
        (last.end() - 1, last.end()),
        "nix.conf has no continued lines: the backslash becomes a value, and the next line an error.",
        fix("Join the lines", edits),
    );
}

fn include(case: &mut Case<'_>, line: &Line<'_>, path: Token<'_>, optional: bool) {
    if optional {
        return;
    }
    let (severity, why) = match (case.question.includes)(HERE, path.text) {
        Included::Text { .. } => return,
        Included::Missing => (
            Severity::Error,
            format!(
                "The included file {} does not exist. Every Nix command fails until it does.",
                path.text
            ),
        ),
        Included::Unseen => (
            Severity::Note,
            format!(
                "{} cannot be seen from here. What it sets is not counted, and if it is missing every \
                 Nix command fails.",
                path.text
            ),
        ),
    };
    let word = line.start + line.text.find("include").unwrap_or(0);
    let optional = Edit::insert(word, "!".to_owned());
    case.found(
        Rule::D25,
        severity,
        span(path),
        why,
        fix(
            "Write !include, which passes over a missing file",
            vec![optional],
        ),
    );
}

fn name_known(case: &mut Case<'_>, name: Token<'_>) {
    if name.text.starts_with(MARK) || case.question.kind == Kind::ShowConfig {
        return;
    }
    let resolved = names::resolve(name.text);
    match names::known(resolved.canonical, case.question.version) {
        Known::Yes | Known::Perhaps => {}
        Known::NotInThis => {
            let version = case
                .question
                .version
                .map_or_else(String::new, |v| v.to_string());
            case.found(
                Rule::D29,
                Severity::Warning,
                span(name),
                format!(
                    "Nix {version} does not know {}: it warns and passes over the line.",
                    name.text
                ),
                None,
            );
        }
        Known::Never => {
            let meant = names::nearest(name.text);
            let why = match &meant {
                Some(meant) => format!(
                    "Nix does not know {}: it warns and passes over the line. Did you mean {meant}?",
                    name.text
                ),
                None => format!(
                    "Nix does not know {}: it warns and passes over the line.",
                    name.text
                ),
            };
            let fix = meant.and_then(|meant| {
                let edit = Edit {
                    start: name.start,
                    end: name.end(),
                    text: meant.clone(),
                };
                fix(format!("Write {meant}"), vec![edit])
            });
            case.found(Rule::D05, Severity::Warning, span(name), why, fix);
        }
    }
}

/// Lines copied from Nix code: quotes, brackets, semicolons.
fn written_as_code(case: &mut Case<'_>, name: Token<'_>, values: &[Token<'_>]) {
    let canonical = names::resolve(name.text).canonical;
    let Some(last) = values.last() else {
        return;
    };
    let words = names::is_list(canonical) || canonical == "netrc-file";
    let body = |token: &Token<'_>| token.text.trim_end_matches(';').to_owned();
    let is_quote = |c: char| matches!(c, '"' | '\'');
    let quoted: Vec<&Token<'_>> = values
        .iter()
        .filter(|token| {
            let body = body(token);
            words
                && (body.starts_with(is_quote)
                    || body.ends_with(is_quote)
                    || matches!(body.as_str(), "[" | "]"))
        })
        .collect();
    if let Some(first) = quoted.first() {
        let mut edits = Vec::new();
        for token in &quoted {
            let body = body(token);
            if matches!(body.as_str(), "[" | "]") {
                let before = token.start - usize::from(token.start > name.end() + 2);
                edits.push(Edit::delete(before, token.start + body.len()));
                continue;
            }
            if body.starts_with(is_quote) {
                edits.push(Edit::delete(token.start, token.start + 1));
            }
            if body.len() > 1 && body.ends_with(is_quote) {
                let end = token.start + body.len();
                edits.push(Edit::delete(end - 1, end));
            }
        }
        case.found(
            Rule::D03,
            Severity::Error,
            span(**first),
            "nix.conf has no quotes and no brackets: they become a part of the value. Newer versions of \
             Nix then fail at once.",
            fix("Take them out", edits),
        );
    }
    if last.text.ends_with(';') {
        let semicolons = last.text.len() - last.text.trim_end_matches(';').len();
        case.found(
            Rule::D04,
            Severity::Error,
            (last.end() - 1, last.end()),
            "nix.conf has no semicolon at the end of a line: it becomes a part of the last value. It \
             belongs into Nix code only.",
            fix(
                "Take the semicolon out",
                vec![Edit::delete(last.end() - semicolons, last.end())],
            ),
        );
    }
}

fn hash_in_url(case: &mut Case<'_>, line: &Line<'_>) {
    let (Some(at), Some(last)) = (line.comment(), values(line).last()) else {
        return;
    };
    if last.end() != at || !last.text.contains("://") {
        return;
    }
    let comment = &case.question.text[at..line.start + line.text.len()];
    let mut words = comment.split([' ', '\t', '\r']);
    let fragment = words.next().map_or(0, str::len);
    // If more addresses follow it was no comment.
    let addresses = words
        .filter(|word| !word.is_empty())
        .all(|word| word.contains("://"));
    let (label, edit) = if addresses {
        (
            "Take the part from # out of the URL",
            Edit::delete(at, at + fragment),
        )
    } else {
        (
            "Put a blank before the comment",
            Edit::insert(at, " ".to_owned()),
        )
    };
    let setting = match &line.says {
        Says::Setting { name, .. } => names::resolve(name.text).canonical,
        _ => "",
    };
    let severity = if LISTED.contains(&setting) && comment.contains("://") {
        Severity::Error
    } else {
        Severity::Warning
    };
    case.found(
        Rule::D07,
        severity,
        (at, at + fragment.max(1)),
        "A # begins a comment anywhere, also inside of a URL. What follows it on this line is not read.",
        fix(label, vec![edit]),
    );
}
