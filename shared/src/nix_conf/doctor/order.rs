//! What one line does to another: D08 to D10, D24.

use super::super::edit::Edit;
use super::super::effective::{DEFAULT_SUBSTITUTER, comparable};
use super::case::{Case, fix, span};
use super::{Kind, Rule, Severity};
use crate::signature::UPSTREAM_KEYS;

pub(super) fn examine(case: &mut Case<'_>) {
    if case.question.kind == Kind::NixConf {
        lost(case);
        old_names(case);
    }
    upstream(case);
}

/// Lines that a later one throws away.
fn lost(case: &mut Case<'_>) {
    let mut said = Vec::new();
    for lost in case.effective.lost.clone() {
        let pair = (lost.value.origin.line, lost.by.line);
        let (Some(line), Some(by)) = (
            case.line(&lost.value.origin).cloned(),
            case.line(&lost.by).cloned(),
        ) else {
            continue;
        };
        if said.contains(&pair) {
            continue;
        }
        said.push(pair);
        let Some(token) = case.token(&lost.value) else {
            continue;
        };
        if lost.value.extra {
            let mut edits = vec![Edit::delete(line.start, line.stop())];
            edits.push(case.line_after(&by, line.text));
            case.found(
                Rule::D08,
                Severity::Error,
                span(token),
                format!(
                    "Line {} sets {} anew and throws this line away, although it only wants to add.",
                    lost.by.line, lost.setting
                ),
                fix(format!("Move it below line {}", lost.by.line), edits),
            );
        } else {
            case.found(
                Rule::D09,
                Severity::Warning,
                span(token),
                format!(
                    "Line {} sets {} again. Only the last one counts, for lists too: {} is not in force.",
                    lost.by.line, lost.setting, lost.value.text
                ),
                fix(
                    "Take this line out",
                    vec![Edit::delete(line.start, line.stop())],
                ),
            );
        }
    }
}

/// An old and a new name for one setting.
fn old_names(case: &mut Case<'_>) {
    let settings = Case::settings(&case.document);
    for (_, written, name) in settings.iter().filter(|(_, _, name)| name.alias) {
        let other = settings
            .iter()
            .find(|(_, _, other)| other.canonical == name.canonical && !other.alias);
        let Some((_, other, _)) = other else {
            continue;
        };
        let new = if name.extra {
            format!("extra-{}", name.canonical)
        } else {
            name.canonical.to_owned()
        };
        let edit = Edit {
            start: written.start,
            end: written.end(),
            text: new.clone(),
        };
        case.found(
            Rule::D24,
            Severity::Warning,
            span(*written),
            format!(
                "{} and {} are one setting under two names. They override each other as two lines of \
                 one name do.",
                written.text, other.text
            ),
            fix(format!("Write {new}"), vec![edit]),
        );
    }
}

/// Whether cache.nixos.org is still asked and believed.
fn upstream(case: &mut Case<'_>) {
    let home = comparable(DEFAULT_SUBSTITUTER);
    let asked = case
        .effective
        .texts("substituters")
        .iter()
        .any(|url| comparable(url) == home);
    let believed = case
        .effective
        .texts("trusted-public-keys")
        .iter()
        .any(|key| key.starts_with("cache.nixos.org-1:"));
    if !asked {
        let why = "cache.nixos.org is not asked any more: this line replaces the list, and it was in \
                   the list. What only it has will be built here.";
        replaced(case, "substituters", DEFAULT_SUBSTITUTER, why);
    }
    if asked && !believed {
        let why = "The key of cache.nixos.org is not trusted any more: this line replaces the list, and \
                   it was in the list. What that cache offers is refused.";
        replaced(case, "trusted-public-keys", UPSTREAM_KEYS[0], why);
    }
}

fn replaced(case: &mut Case<'_>, setting: &str, value: &str, why: &str) {
    let Some((line, written)) = case.plain_line(setting) else {
        return;
    };
    let (label, edit) = match super::case::values(&line).last() {
        Some(_) if case.question.kind == Kind::NixConf => (
            format!("Write extra-{setting}, which adds to the list"),
            Edit {
                start: written.start,
                end: written.end(),
                text: format!("extra-{setting}"),
            },
        ),
        Some(last) => (
            format!("Add {value}"),
            Edit::insert(last.end(), format!(" {value}")),
        ),
        None => {
            let equals = line.text[written.end() - line.start..]
                .find('=')
                .unwrap_or(0);
            let at = written.end() + equals + 1;
            (
                format!("Add {value}"),
                Edit::insert(at, format!(" {value}")),
            )
        }
    };
    let fix = if case.question.kind == Kind::NixConf {
        fix(label, vec![edit])
    } else {
        None
    };
    case.found(Rule::D10, Severity::Warning, span(written), why, fix);
}
