//! What all rules look at, and how they say what they found.

use super::super::document::{Document, Line, Says, Token};
use super::super::edit::Edit;
use super::super::effective::{Effective, Layer, Origin, Value};
use super::super::names::{self, Name};
use super::{Finding, Fix, Kind, Question, Rule, Severity};

/// The name of the examined file.
pub(super) const HERE: &str = "nix.conf";

pub(super) struct Case<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) document: Document<'a>,
    /// What this text makes, after the system's file where that is known.
    pub(super) effective: Effective,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Case<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        let text = if question.kind == Kind::Netrc {
            ""
        } else {
            question.text
        };
        let mut layers = Vec::new();
        if let Some(system) = question.system {
            layers.push(Layer {
                name: "system",
                text: system,
            });
        }
        layers.push(Layer { name: HERE, text });
        Self {
            question,
            document: Document::parse(text),
            effective: Effective::of(&layers, question.includes, question.version),
            findings: Vec::new(),
        }
    }

    /// The lines that set something, cloned out so that findings can be added meanwhile.
    pub(super) fn settings(document: &Document<'a>) -> Vec<(Line<'a>, Token<'a>, Name<'a>)> {
        document
            .lines
            .iter()
            .filter_map(|line| match &line.says {
                Says::Setting { name, .. } => {
                    Some((line.clone(), *name, names::resolve(name.text)))
                }
                _ => None,
            })
            .collect()
    }

    /// Adds a finding about a stretch of the text.
    pub(super) fn found(
        &mut self,
        rule: Rule,
        severity: Severity,
        at: (usize, usize),
        why: impl Into<String>,
        fix: Option<Fix>,
    ) {
        let before = &self.question.text[..at.0];
        let lines = before.bytes().filter(|byte| *byte == b'\n').count();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count();
        self.findings.push(Finding {
            rule,
            severity,
            line: u32::try_from(lines + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            start: at.0,
            end: at.1,
            why: why.into(),
            fix,
        });
    }

    /// The line of an origin, where it is in this text.
    pub(super) fn line(&self, origin: &Origin) -> Option<&Line<'a>> {
        let at = usize::try_from(origin.line).ok()?.checked_sub(1)?;
        self.document.lines.get(at).filter(|_| origin.file == HERE)
    }

    /// The token of a value, where it is in this text; the last of several on its line.
    pub(super) fn token(&self, value: &Value) -> Option<Token<'a>> {
        let line = self.line(&value.origin)?;
        let tokens = values(line);
        tokens
            .iter()
            .rev()
            .find(|token| token.text == value.text)
            .copied()
    }

    /// The last line that sets a list anew, in this text.
    pub(super) fn plain_line(&self, setting: &str) -> Option<(Line<'a>, Token<'a>)> {
        Self::settings(&self.document)
            .into_iter()
            .rfind(|(_, _, name)| name.canonical == setting && !name.extra)
            .map(|(line, written, _)| (line, written))
    }

    /// The line behind which what is added to a list is in force: a later line that sets the
    /// list anew would throw it away.
    pub(super) fn behind(&self, line: Line<'a>, setting: &str) -> Line<'a> {
        match self.plain_line(setting) {
            Some((plain, _)) if plain.start > line.start => plain,
            _ => line,
        }
    }

    /// An edit that puts a line after another.
    pub(super) fn line_after(&self, line: &Line<'_>, text: &str) -> Edit {
        let end = self.document.line_end();
        let text = if line.end.is_empty() {
            format!("{end}{text}")
        } else {
            format!("{text}{end}")
        };
        Edit::insert(line.stop(), text)
    }
}

/// The values of a line.
pub(super) fn values<'d, 'a>(line: &'d Line<'a>) -> &'d [Token<'a>] {
    match &line.says {
        Says::Setting { values, .. } => values,
        _ => &[],
    }
}

/// A fix of edits.
pub(super) fn fix(label: impl Into<String>, mut edits: Vec<Edit>) -> Option<Fix> {
    edits.sort_by_key(|edit| (edit.start, edit.end));
    Some(Fix {
        label: label.into(),
        edits,
    })
}

/// Takes a value out of its line, with the blank before it; the whole line, where it was alone.
pub(super) fn without(line: &Line<'_>, token: Token<'_>) -> Edit {
    let values = values(line);
    match values.iter().position(|value| value.start == token.start) {
        _ if values.len() == 1 => Edit::delete(line.start, line.stop()),
        Some(0) | None => Edit::delete(
            token.start,
            values.get(1).map_or(token.end(), |next| next.start),
        ),
        Some(at) => Edit::delete(values[at - 1].end(), token.end()),
    }
}

/// The stretch of a token.
pub(super) const fn span(token: Token<'_>) -> (usize, usize) {
    (token.start, token.end())
}
