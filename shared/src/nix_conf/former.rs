//! Keys that a cache used once and uses no longer. After a rotation they stay in the files of
//! machines, which go on believing them.
//!
//! In the cache's own block they are replaced with the rest of it. In lines of others they stay,
//! and are reported, until somebody agrees that they go: [`Addition::takes_former`]. Blocks of
//! other caches are never touched.

use super::block;
use super::document::{Document, Says, Token};
use super::edit::{self, Edit};
use super::effective::Origin;
use super::merge::{Addition, Change, Surroundings, What, compared};
use super::{names, remove};
use crate::signature::PublicKey;

const KEYS: &str = "trusted-public-keys";

/// A former key of the cache that is still in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerKey {
    /// The key.
    pub key: PublicKey,
    /// Where it stands.
    pub origin: Origin,
}

impl Addition {
    /// The same, knowing the keys that the cache used before. What it uses today is not among
    /// them, whatever is given.
    #[must_use]
    pub fn with_former(mut self, former: impl IntoIterator<Item = PublicKey>) -> Self {
        for key in former {
            if !self.settings.keys().contains(&key) && !self.former.contains(&key) {
                self.former.push(key);
            }
        }
        self
    }

    /// Whether a value of `trusted-public-keys` is a former key of the cache.
    pub(super) fn is_former(&self, value: &str) -> bool {
        if self.former.is_empty() {
            return false;
        }
        let value = compared(KEYS, value);
        self.former.iter().any(|key| key.to_string() == value)
    }
}

/// The former keys that a text leaves in force.
pub(super) fn left(text: &str, addition: &Addition, around: &Surroundings<'_>) -> Vec<FormerKey> {
    if addition.former.is_empty() {
        return Vec::new();
    }
    let there = around.effective(text).values(KEYS);
    addition
        .former
        .iter()
        .filter_map(|key| {
            let text = key.to_string();
            let found = there
                .iter()
                .find(|value| compared(KEYS, &value.text) == text)?;
            Some(FormerKey {
                key: key.clone(),
                origin: found.origin.clone(),
            })
        })
        .collect()
}

/// The text without the former keys in lines outside of blocks. A line that only adds, and adds
/// nothing else, goes whole; a plain one stays, because without it Nix's own list would be back.
pub(super) fn taken_out(text: &str, addition: &Addition, changes: &mut Vec<Change>) -> String {
    if !addition.takes_former || addition.former.is_empty() {
        return text.to_owned();
    }
    let document = Document::parse(text);
    let blocks = block::find(&document);
    let mut edits = Vec::new();
    for (at, line) in document.lines.iter().enumerate() {
        let Says::Setting { name, values } = &line.says else {
            continue;
        };
        let resolved = names::resolve(name.text);
        let in_block = || blocks.iter().any(|block| block.lines().contains(&at));
        if resolved.canonical != KEYS || in_block() {
            continue;
        }
        let is_former = |token: &Token<'_>| addition.is_former(token.text);
        let gone: Vec<String> = values
            .iter()
            .filter(|token| is_former(token))
            .map(|token| token.text.to_owned())
            .collect();
        let (Some(first), Some(last)) = (values.first(), values.last()) else {
            continue;
        };
        if gone.is_empty() {
            continue;
        }
        let mut what = What::Taken;
        if gone.len() < values.len() {
            edits.extend(remove::out_of(values, is_former));
        } else if resolved.extra && line.comment().is_none() {
            what = What::Removed;
            edits.push(Edit::delete(line.start, line.stop()));
        } else {
            edits.push(Edit::delete(first.start, last.end()));
        }
        changes.push(Change {
            what,
            setting: name.text.to_owned(),
            values: gone,
        });
    }
    edit::apply(text, &edits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ClientSettings;
    use super::super::effective::Effective;
    use super::super::merge::{Merged, OnConflict, Outcome, merge};
    use super::super::remove::remove;
    use super::*;

    const NOW: &str = "team-2:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    const UPSTREAM: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    const URL: &str = "https://cache.example.com/team";

    fn key(name: &str) -> PublicKey {
        let secret = crate::signature::SecretKey::generate(name, [5; 32]).expect("a key");
        secret.public_key()
    }

    fn team(takes_former: bool) -> Addition {
        let settings =
            ClientSettings::new(URL.parse().expect("a URL"), [NOW.parse().expect("a key")]);
        let addition = Addition::new(settings, "team", "https://console.example.com/c/team");
        Addition {
            takes_former,
            ..addition.with_former([key("team-1"), key("old-1"), NOW.parse().expect("a key")])
        }
    }

    fn merged(text: &str, takes_former: bool) -> Merged {
        let around = Surroundings::default();
        let once = merge(text, &team(takes_former), OnConflict::Ask, &around);
        let twice = merge(&once.text, &team(takes_former), OnConflict::Ask, &around);
        assert_eq!(twice.text, once.text, "a second merge changes {text:?}");
        once
    }

    #[test]
    fn a_former_key_in_lines_of_others_stays_until_somebody_agrees() {
        let (old, other) = (key("team-1"), key("other-1"));
        let text = format!(
            "extra-substituters = {URL} # mine\nextra-trusted-public-keys = {other} {old}  {NOW} # ours\n"
        );
        let left = merged(&text, false);
        assert_eq!(
            (left.outcome, left.text.as_str()),
            (Outcome::AlreadySet, text.as_str())
        );
        assert_eq!(left.former.len(), 1);
        assert_eq!((&left.former[0].key, left.former[0].origin.line), (&old, 2));

        let gone = merged(&text, true);
        assert_eq!(gone.outcome, Outcome::Changed);
        assert_eq!(gone.text, text.replace(&format!(" {old}"), ""));
        assert!(gone.former.is_empty());
        assert_eq!(
            gone.changes,
            [Change {
                what: What::Taken,
                setting: "extra-trusted-public-keys".to_owned(),
                values: vec![old.to_string()],
            }]
        );
    }

    #[test]
    fn a_line_of_former_keys_alone_goes_and_a_plain_one_stays_empty() {
        let (old, older) = (key("team-1"), key("old-1"));
        for (text, after) in [
            (
                format!("extra-trusted-public-keys = {old} {older}\nx = y\n"),
                "x = y\n",
            ),
            (
                format!("x = y\r\nextra-trusted-public-keys = {old}"),
                "x = y\r\n",
            ),
            (
                format!("trusted-public-keys = {old} {older}\n"),
                "trusted-public-keys = \n",
            ),
            (
                format!("extra-trusted-public-keys = {old} # why\n"),
                "extra-trusted-public-keys =  # why\n",
            ),
            (
                format!("binary-cache-public-keys = {old} {UPSTREAM}\n"),
                &*format!("binary-cache-public-keys = {UPSTREAM}\n"),
            ),
        ] {
            let merged = merged(&text, true);
            assert!(
                merged.text.starts_with(after),
                "{text:?}: {:?}",
                merged.text
            );
            let effective = Effective::of_text(&merged.text);
            let keys = effective.texts(KEYS);
            assert!(keys.iter().any(|key| key == NOW), "{text:?}: {keys:?}");
            assert!(
                !keys.iter().any(|key| *key == old.to_string()),
                "{text:?}: {keys:?}"
            );
            if text.starts_with("trusted-public-keys") {
                assert!(
                    !keys.iter().any(|key| key == UPSTREAM),
                    "the default is back: {keys:?}"
                );
            }
        }
    }

    #[test]
    fn blocks_are_brought_up_to_date_and_those_of_other_caches_stay() {
        let (old, older) = (key("team-1"), key("old-1"));
        let block = merged("", false).text;
        // A key of another name is the cache's too where it is known to have been.
        let stale = block.replace(NOW, &format!("{older} {old}"));
        for takes_former in [false, true] {
            assert_eq!(merged(&stale, takes_former).text, block);
        }
        let others = block
            .replace("team (https", "their (https")
            .replace("/c/team)", "/c/their)")
            .replace("cache: team <<<", "cache: their <<<")
            .replace(NOW, &old.to_string());
        let merged = merged(&others, true);
        assert!(merged.text.starts_with(&others), "{:?}", merged.text);
        assert_eq!(merged.former.len(), 1, "it is still in force there");
    }

    #[test]
    fn a_removal_takes_former_keys_along_only_where_that_is_agreed() {
        let old = key("team-1");
        let text =
            format!("extra-substituters = https://a.example\nextra-trusted-public-keys = {old}\n");
        let around = Surroundings::default();
        let put = merged(&text, false);
        assert_eq!(remove(&put.text, &team(false), &around).text, text);
        let both = remove(&put.text, &team(true), &around);
        assert_eq!(both.text, "extra-substituters = https://a.example\n");
        assert_eq!(both.outcome, Outcome::Changed);
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once_and_what_is_agreed_is_gone(
            text in super::super::merge::tests::a_file(),
            takes_former in any::<bool>(),
        ) {
            let old = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
            let twin = crate::signature::SecretKey::generate("team-1", [7; 32]).expect("a key");
            let addition = Addition {
                takes_former,
                ..team(false).with_former([old.parse().expect("a key"), twin.public_key()])
            };
            let around = Surroundings::default();
            let once = merge(&text, &addition, OnConflict::Ask, &around);
            let twice = merge(&once.text, &addition, OnConflict::Ask, &around);
            prop_assert_eq!(&twice.text, &once.text);
            if takes_former {
                let document = Document::parse(&once.text);
                let blocks = block::find(&document);
                for left in &once.former {
                    let at = left.origin.line as usize - 1;
                    prop_assert!(blocks.iter().any(|block| block.lines().contains(&at)));
                }
            }
        }
    }
}
