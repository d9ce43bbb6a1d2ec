//! Two keys with one name: Nix finds a key by its name and uses the first that it reads.

use super::block;
use super::document::{Document, Line, Says};
use super::edit::{self, Edit};
use super::effective::{Origin, Value};
use super::merge::{Addition, Change, Surroundings, Wanted, What, compared};
use crate::signature::PublicKey;

/// What to do about a key of the same name with other bytes: Nix uses the first it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Change nothing and say so.
    #[default]
    Ask,
    /// Leave theirs; ours is not written.
    KeepTheirs,
    /// Put ours in the place of theirs.
    UseOurs,
}

/// Two keys with one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConflict {
    /// Ours.
    pub ours: PublicKey,
    /// What is in force under this name, as written.
    pub theirs: String,
    /// Where it stands.
    pub origin: Origin,
}

/// The keys of the addition whose name belongs to other bytes first. What stands in the
/// cache's own block is no conflict: it is about to be replaced.
pub(super) fn conflicts(
    text: &str,
    wanted: &[Wanted],
    addition: &Addition,
    around: &Surroundings<'_>,
) -> Vec<KeyConflict> {
    if !wanted
        .iter()
        .any(|wanted| wanted.setting == "trusted-public-keys")
    {
        return Vec::new();
    }
    let there = around.effective(text).values("trusted-public-keys");
    let document = Document::parse(text);
    let mine = block::of(&document, addition).map(|block| block.lines());
    let is_mine = |origin: &Origin| {
        let line = usize::try_from(origin.line).unwrap_or(0);
        origin.file == around.name
            && mine
                .as_ref()
                .is_some_and(|lines| lines.contains(&line.wrapping_sub(1)))
    };
    let mut conflicts = Vec::new();
    for ours in addition.keys() {
        let same_name = |value: &&Value| {
            value
                .text
                .split_once(':')
                .is_some_and(|(name, _)| name == ours.name())
        };
        if let Some(first) = there.iter().find(same_name)
            && compared("trusted-public-keys", &first.text) != ours.to_string()
            && !is_mine(&first.origin)
        {
            conflicts.push(KeyConflict {
                ours: ours.clone(),
                theirs: first.text.clone(),
                origin: first.origin.clone(),
            });
        }
    }
    conflicts
}

/// Puts our key where theirs stands in this file.
pub(super) fn use_ours(
    text: &str,
    conflicts: &[KeyConflict],
    around: &Surroundings<'_>,
    changes: &mut Vec<Change>,
) -> String {
    let document = Document::parse(text);
    let mut edits = Vec::new();
    for conflict in conflicts {
        let line = usize::try_from(conflict.origin.line).unwrap_or(0);
        if conflict.origin.file != around.name || line == 0 {
            continue;
        }
        let Some(Line {
            says: Says::Setting { values, .. },
            ..
        }) = document.lines.get(line - 1)
        else {
            continue;
        };
        if let Some(token) = values.iter().find(|token| token.text == conflict.theirs) {
            let ours = conflict.ours.to_string();
            edits.push(Edit {
                start: token.start,
                end: token.end(),
                text: ours.clone(),
            });
            changes.push(Change {
                what: What::Replaced,
                setting: "trusted-public-keys".to_owned(),
                values: vec![conflict.theirs.clone(), ours],
            });
        }
    }
    edits.sort_by_key(|edit| edit.start);
    edit::apply(text, &edits)
}
