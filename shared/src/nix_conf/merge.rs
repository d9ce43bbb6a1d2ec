//! Putting a cache into a nix.conf that somebody has, and taking it out again.
//!
//! No line of others is reordered or reformatted. What is in force already is not written
//! again. Otherwise the cache goes to the end of the `extra-` lines that are there, where
//! nothing after them throws it away; failing that, into a block between two comments by
//! which it is found again ([`block`](super::block)). A block of this cache that is there
//! already is brought up to date in its place.
//!
//! [`remove`](super::remove::remove) is the exact inverse: what [`merge`] wrote goes, byte for byte, whether the
//! line ends are Windows', a byte order mark leads, or the last line lacks its end. Lines
//! with the cache that people copied in by hand, without the comments, go too.

use super::block::{self, Block, Options};
use super::conflict;
pub use super::conflict::{KeyConflict, OnConflict};
use super::document::{Document, Line, Says, Token};
use super::edit::{self, Edit};
use super::effective::{Effective, Includes, Layer, comparable, unseen};
pub use super::former::FormerKey;
use super::owner::Owner;
use super::{ClientSettings, former, names};
use crate::signature::PublicKey;

/// What a file is to say of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// `extra-substituters` and `extra-trusted-public-keys`.
    #[default]
    Whole,
    /// `extra-trusted-substituters` and the keys: what an admin writes so that users may choose.
    Admin,
    /// `extra-substituters` alone: what such a user writes.
    User,
}

/// What goes into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The URLs and keys.
    pub settings: ClientSettings,
    /// Which lines.
    pub part: Part,
    /// The cache's name, for the comment.
    pub title: String,
    /// The address of its page: by this the block is found again.
    pub page: String,
    /// Keys that the cache used once and uses no longer ([`former`]).
    pub former: Vec<PublicKey>,
    /// Whether these go from lines of others too.
    pub takes_former: bool,
}

/// A setting and the values that it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) setting: &'static str,
    pub(super) values: Vec<String>,
}

impl Addition {
    /// The lines for one cache, under its own name.
    pub fn new(settings: ClientSettings, title: &str, page: &str) -> Self {
        Self {
            settings,
            part: Part::Whole,
            title: title.to_owned(),
            page: page.to_owned(),
            former: Vec::new(),
            takes_former: false,
        }
    }

    /// The page as it stands in the comment: no blanks, no parentheses.
    pub(super) fn page_in_comment(&self) -> String {
        let mut page = super::comment(&self.page);
        page.retain(|c| !c.is_whitespace() && !matches!(c, '(' | ')'));
        page
    }

    /// Title and page as they stand in the comment: one line, nothing that ends it.
    pub fn in_comment(&self) -> (String, String) {
        (super::comment(&self.title), self.page_in_comment())
    }

    /// Its keys; of several with one name the first, which is the one that Nix uses.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        let keys = self.settings.keys();
        keys.iter().enumerate().filter_map(|(at, key)| {
            let earlier = keys[..at].iter().any(|other| other.name() == key.name());
            (!earlier).then_some(key)
        })
    }

    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let urls = match self.part {
            Part::Whole | Part::User => "substituters",
            Part::Admin => "trusted-substituters",
        };
        let mut wanted = vec![Wanted {
            setting: urls,
            values: self.settings.urls.iter().map(ToString::to_string).collect(),
        }];
        if self.part != Part::User && !self.settings.keys.is_empty() {
            wanted.push(Wanted {
                setting: "trusted-public-keys",
                values: self.keys().map(ToString::to_string).collect(),
            });
        }
        wanted
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in force already: the text is as it was.
    AlreadySet,
    /// The text has changed.
    Changed,
    /// Two keys with one name: the text is as it was until somebody chooses.
    Conflict(Vec<KeyConflict>),
    /// Somebody else writes this file: the text is as it was.
    Owned(Owner),
    /// Nothing of the cache was in it.
    NothingToRemove,
}

/// A line that is not as before, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub what: What,
    /// The setting with its `extra-`, or empty for a whole block.
    pub setting: String,
    /// The values.
    pub values: Vec<String>,
}

/// What was done to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Values were added to the end of a line that was there.
    Appended,
    /// A block was written at the end of the file.
    Block,
    /// The cache's block was brought up to date.
    Updated,
    /// A key was put in the place of another with its name.
    Replaced,
    /// Values were taken out of a line.
    Taken,
    /// Whole lines went.
    Removed,
}

/// A text after a merge or a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The new text; the old one where nothing changed.
    pub text: String,
    /// How it went.
    pub outcome: Outcome,
    /// What changed.
    pub changes: Vec<Change>,
    /// After a removal: the cache is still in force through lines that we do not touch, or
    /// that were there before the block.
    pub remains: bool,
    /// Former keys of the cache that the new text leaves in force.
    pub former: Vec<FormerKey>,
}

impl Merged {
    pub(super) fn unchanged(text: &str, outcome: Outcome) -> Self {
        Self {
            text: text.to_owned(),
            outcome,
            changes: Vec::new(),
            remains: false,
            former: Vec::new(),
        }
    }
}

/// What is read around the file.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Files that Nix reads before, such as the system's before the user's.
    pub before: &'a [Layer<'a>],
    /// The file's own name, by which included files are found.
    pub name: &'a str,
    /// Files that it includes.
    pub includes: Includes<'a>,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Self {
            before: &[],
            name: "nix.conf",
            includes: &unseen,
        }
    }
}

impl Surroundings<'_> {
    /// What holds with this text in the file's place.
    pub fn effective(&self, text: &str) -> Effective {
        let mut layers = self.before.to_vec();
        layers.push(Layer {
            name: self.name,
            text,
        });
        Effective::of(&layers, self.includes, None)
    }
}

/// Puts a cache into a file. Doing it twice is doing it once.
pub fn merge(
    text: &str,
    addition: &Addition,
    on_conflict: OnConflict,
    around: &Surroundings<'_>,
) -> Merged {
    if let Some(owner) = Owner::of(text) {
        return Merged::unchanged(text, Outcome::Owned(owner));
    }
    let wanted = addition.wanted();
    let mut changes = Vec::new();
    let before = text;
    let mut text = former::taken_out(text, addition, &mut changes);
    let conflicts = conflict::conflicts(&text, &wanted, addition, around);
    let mut left = Vec::new();
    if !conflicts.is_empty() {
        match on_conflict {
            OnConflict::Ask => {
                return Merged::unchanged(before, Outcome::Conflict(conflicts));
            }
            OnConflict::KeepTheirs => left = conflicts,
            OnConflict::UseOurs => {
                let replaced = conflict::use_ours(&text, &conflicts, around, &mut changes);
                let still = conflict::conflicts(&replaced, &wanted, addition, around);
                if !still.is_empty() {
                    // Theirs stands in another file.
                    return Merged::unchanged(before, Outcome::Conflict(still));
                }
                text = replaced;
            }
        }
    }
    let is_left = |value: &str| left.iter().any(|c| c.ours.to_string() == value);
    let wanted: Vec<Wanted> = wanted
        .into_iter()
        .map(|mut wanted| {
            wanted.values.retain(|value| !is_left(value));
            wanted
        })
        .collect();
    let written = write(&text, addition, &wanted, around, &mut changes);
    // What stood in the cache's block may be outside of it now.
    let written = former::taken_out(&written, addition, &mut changes);
    let outcome = if changes.is_empty() {
        Outcome::AlreadySet
    } else {
        Outcome::Changed
    };
    Merged {
        former: former::left(&written, addition, around),
        text: written,
        outcome,
        changes,
        remains: false,
    }
}

fn write(
    text: &str,
    addition: &Addition,
    wanted: &[Wanted],
    around: &Surroundings<'_>,
    changes: &mut Vec<Change>,
) -> String {
    let document = Document::parse(text);
    let mine = block::of(&document, addition);
    let lacking = lacking(wanted, &around.effective(text));
    if let Some(mine) = mine {
        if lacking.is_empty() && !mine.is_stale(&document, wanted, addition) {
            return text.to_owned();
        }
        return update(text, &document, &mine, addition, wanted, around, changes);
    }
    if lacking.is_empty() {
        return text.to_owned();
    }
    if let Some(edits) = appended(&document, wanted, &addition.wanted()) {
        for wanted in wanted.iter().filter(|wanted| !wanted.values.is_empty()) {
            changes.push(Change {
                what: What::Appended,
                setting: format!("extra-{}", wanted.setting),
                values: wanted.values.clone(),
            });
        }
        return edit::apply(text, &edits);
    }
    changes.push(block_change(What::Block, &lacking));
    block::append(&document, text, &block::lines(addition, &lacking))
}

pub(super) fn block_change(what: What, lacking: &[Wanted]) -> Change {
    Change {
        what,
        setting: String::new(),
        values: lacking
            .iter()
            .flat_map(|wanted| wanted.values.clone())
            .collect(),
    }
}

/// Brings the cache's block up to date: in its place, or at the end where lines after it
/// would throw it away.
fn update(
    text: &str,
    document: &Document<'_>,
    mine: &Block<'_>,
    addition: &Addition,
    wanted: &[Wanted],
    around: &Surroundings<'_>,
    changes: &mut Vec<Change>,
) -> String {
    let without = mine.taken_out(document, text, addition, Options::Stay);
    let lacking = lacking(wanted, &around.effective(&without));
    if lacking.is_empty() {
        changes.push(block_change(What::Removed, wanted));
        return without;
    }
    changes.push(block_change(What::Updated, &lacking));
    let lines = block::lines(addition, &lacking);
    let kept = mine.replaced(document, text, addition, &lines);
    if self::lacking(wanted, &around.effective(&kept)).is_empty() {
        return kept;
    }
    let without_document = Document::parse(&without);
    block::append(&without_document, &without, &lines)
}

/// What of `wanted` is not in force. Settings that lack nothing are left out.
fn lacking(wanted: &[Wanted], effective: &Effective) -> Vec<Wanted> {
    wanted
        .iter()
        .map(|wanted| {
            let there: Vec<String> = effective
                .texts(wanted.setting)
                .iter()
                .map(|value| compared(wanted.setting, value))
                .collect();
            Wanted {
                setting: wanted.setting,
                values: wanted
                    .values
                    .iter()
                    .filter(|value| !there.contains(&compared(wanted.setting, value)))
                    .cloned()
                    .collect(),
            }
        })
        .filter(|wanted| !wanted.values.is_empty())
        .collect()
}

/// A value as it is compared: URLs by what they mean, keys by their bytes.
pub(super) fn compared(setting: &str, value: &str) -> String {
    if setting == "trusted-public-keys" {
        value
            .parse()
            .map_or_else(|_| value.to_owned(), |key: PublicKey| key.to_string())
    } else {
        comparable(value)
    }
}

/// Appends to the `extra-` lines that are there, where each setting has one whose values
/// last, and nothing of the cache stands in the file in any form. So a removal needs no
/// comment to know what was added.
fn appended(document: &Document<'_>, wanted: &[Wanted], whole: &[Wanted]) -> Option<Vec<Edit>> {
    let blocks = block::find(document);
    let in_block = |at: usize| blocks.iter().any(|block| block.lines().contains(&at));
    let is_there = |line: &Line<'_>| {
        let Says::Setting { name, values } = &line.says else {
            return false;
        };
        let name = names::resolve(name.text);
        let of_line = whole.iter().find(|wanted| wanted.setting == name.canonical);
        of_line.is_some_and(|wanted| values.iter().any(|token| wanted.has(token.text)))
    };
    if document.lines.iter().any(is_there) {
        return None;
    }
    let mut edits = Vec::new();
    for wanted in wanted.iter().filter(|wanted| !wanted.values.is_empty()) {
        let mut last: Option<&[Token<'_>]> = None;
        for (at, line) in document.lines.iter().enumerate() {
            match &line.says {
                // What is included may be a plain line.
                Says::Include { .. } => last = None,
                Says::Setting { name, values } => {
                    let name = names::resolve(name.text);
                    if name.canonical != wanted.setting {
                        continue;
                    }
                    if !name.extra {
                        last = None;
                    } else if !values.is_empty() && !in_block(at) {
                        last = Some(values);
                    }
                }
                _ => {}
            }
        }
        let end = last?.last()?.end();
        edits.push(Edit::insert(end, format!(" {}", wanted.values.join(" "))));
    }
    edits.sort_by_key(|edit| edit.start);
    Some(edits)
}

impl Wanted {
    pub(super) fn has(&self, value: &str) -> bool {
        let value = compared(self.setting, value);
        self.values
            .iter()
            .any(|wanted| compared(self.setting, wanted) == value)
    }
}

#[cfg(test)]
pub(in crate::nix_conf) mod tests;
