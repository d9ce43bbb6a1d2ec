//! Taking a cache out of a nix.conf: the inverse of [`merge`](super::merge).

use super::block;
use super::document::{Document, Says, Token};
use super::edit::{self, Edit};
use super::former;
use super::merge::{Addition, Change, Merged, Outcome, Surroundings, Wanted, What, block_change};
use super::names;
use super::owner::Owner;

/// Takes a cache out of a file: its block, or without one its values in `extra-` lines.
pub fn remove(text: &str, addition: &Addition, around: &Surroundings<'_>) -> Merged {
    if let Some(owner) = Owner::of(text) {
        return Merged::unchanged(text, Outcome::Owned(owner));
    }
    let document = Document::parse(text);
    let wanted = addition.wanted();
    let mut changes = Vec::new();
    let mine = block::of(&document, addition);
    let text = match mine {
        Some(mine) => {
            changes.push(block_change(What::Removed, &wanted));
            mine.taken_out(&document, text, addition, block::Options::Go)
        }
        None => edit::apply(text, &taken(&document, &wanted, &mut changes)),
    };
    let text = former::taken_out(&text, addition, &mut changes);
    let effective = around.effective(&text);
    let remains = wanted.iter().any(|wanted| {
        let values = effective.texts(wanted.setting);
        values.iter().any(|value| wanted.has(value))
    });
    Merged {
        outcome: if changes.is_empty() {
            Outcome::NothingToRemove
        } else {
            Outcome::Changed
        },
        former: former::left(&text, addition, around),
        text,
        changes,
        remains,
    }
}

/// The edits that take the cache's values out of `extra-` lines; a line that held nothing
/// else goes whole. Blocks of other caches stay as they are.
fn taken(document: &Document<'_>, wanted: &[Wanted], changes: &mut Vec<Change>) -> Vec<Edit> {
    let blocks = block::find(document);
    let mut edits = Vec::new();
    for (at, line) in document.lines.iter().enumerate() {
        let Says::Setting { name, values } = &line.says else {
            continue;
        };
        let resolved = names::resolve(name.text);
        let wanted = wanted
            .iter()
            .find(|wanted| wanted.setting == resolved.canonical);
        let (Some(wanted), true) = (wanted, resolved.extra) else {
            continue;
        };
        let is_wanted = |token: &&Token<'_>| wanted.has(token.text);
        let mine: Vec<String> = values
            .iter()
            .filter(is_wanted)
            .map(|token| token.text.to_owned())
            .collect();
        if mine.is_empty() || blocks.iter().any(|block| block.lines().contains(&at)) {
            continue;
        }
        let whole = mine.len() == values.len();
        if whole {
            edits.push(Edit {
                start: line.start,
                end: line.stop(),
                text: String::new(),
            });
        } else {
            edits.extend(out_of(values, |token| wanted.has(token.text)));
        }
        changes.push(Change {
            what: if whole { What::Removed } else { What::Taken },
            setting: name.text.to_owned(),
            values: mine,
        });
    }
    edits
}

/// The edits that take some values out of a line in which others stay: with the blanks before
/// them; those that lead go with the blanks after them.
pub(super) fn out_of(values: &[Token<'_>], goes: impl Fn(&Token<'_>) -> bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    let kept = values.iter().position(|token| !goes(token));
    let kept = kept.unwrap_or(values.len());
    if let (Some(first), Some(next)) = (values.first(), values.get(kept))
        && kept > 0
    {
        edits.push(Edit::delete(first.start, next.start));
    }
    for pair in values[kept..].windows(2) {
        if goes(&pair[1]) {
            edits.push(Edit::delete(pair[0].end(), pair[1].end()));
        }
    }
    edits
}
