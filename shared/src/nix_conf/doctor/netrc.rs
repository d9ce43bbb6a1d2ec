//! D19, and what else a netrc can have wrong.

use super::super::document::tokens;
use super::super::edit::Edit;
use super::case::{Case, fix, span};
use super::{Rule, Severity};

pub(super) fn examine(case: &mut Case<'_>) {
    let text = case.question.text;
    let words = tokens(text, 0);
    let mut at = 0;
    // The entry that is open: where its head ends, and what it has.
    let mut entries = Vec::new();
    while let Some(word) = words.get(at) {
        match word.text {
            "machine" => {
                let name = words.get(at + 1).copied().unwrap_or(*word);
                entries.push((*word, name, false, false));
                at += 1;
            }
            "default" => entries.push((*word, *word, false, false)),
            "login" => {
                if let Some(entry) = entries.last_mut() {
                    entry.2 = true;
                }
                at += 1;
            }
            "password" => {
                if let Some(entry) = entries.last_mut() {
                    entry.3 = true;
                }
                at += 1;
            }
            "account" => at += 1,
            _ => {}
        }
        at += 1;
    }
    for (head, name, has_login, has_password) in entries {
        if has_login || !has_password {
            continue;
        }
        let rest = &text[name.end()..];
        let blank = rest.chars().take_while(|c| c.is_whitespace());
        let own_line = blank.into_iter().any(|c| c == '\n');
        let login = if own_line {
            "\nlogin nix"
        } else {
            " login nix"
        };
        case.found(
            Rule::D19,
            Severity::Error,
            span(head),
            format!(
                "The entry of {} has a password and no login: the password is then not sent. Any name will do.",
                name.text
            ),
            fix("Add “login nix”", vec![Edit::insert(name.end(), login.to_owned())]),
        );
    }
}
