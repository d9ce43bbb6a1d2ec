//! D14: a secret key where others can see it.

use std::ops::Range;

use super::case::Case;
use super::{Rule, Severity};
use crate::hash::base64;

/// The longest word that can be a secret key.
const LONGEST: usize = 400;

/// Finds a secret key in a text: `name:base64`, where 64 bytes are a seed and its public
/// key. Signatures have the same form and are none.
pub fn secret_in(text: &str) -> Option<Range<usize>> {
    words(text).find(|range| is_secret(&text[range.clone()]))
}

pub(super) fn examine(case: &mut Case<'_>) {
    let text = case.question.text;
    let in_values = |at: usize| {
        let mut lines = case.document.lines.iter();
        let line = lines.find(|line| (line.start..line.stop()).contains(&at));
        line.is_some_and(|line| !super::case::values(line).is_empty())
    };
    let secrets: Vec<Range<usize>> = words(text)
        .filter(|range| {
            let word = &text[range.clone()];
            is_secret(word) || (in_values(range.start) && has_64_bytes(word))
        })
        .collect();
    for range in secrets {
        case.found(
            Rule::D14,
            Severity::Stop,
            (range.start, range.end),
            "This is a secret key: whoever has it can sign anything as this cache. It was not sent. \
             Treat it as known to others: make a new key with a new name, and take this one out of use.",
            None,
        );
    }
}

/// The words of a text that can be keys, without quotes around them.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let edge = |c: char| c.is_whitespace() || "\"'`,;()[]<>{}|&".contains(c);
    let mut at = 0;
    text.split_inclusive(edge).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let word = piece.trim_end_matches(edge);
        let fits = word.len() <= LONGEST && word.contains(':');
        fits.then_some(start..start + word.len())
    })
}

fn decoded(word: &str) -> Option<[u8; 64]> {
    // A name holds no colon, but what stands before it may: the key follows the last one.
    // It may end with a character that separates words here, so nothing of it need be left.
    let (_, data) = word.rsplit_once(':')?;
    let mut bytes = [0; 64];
    let decoded = base64::decode_into(data.as_bytes(), &mut bytes).ok()?;
    (decoded.bytes == 64).then_some(bytes)
}

fn has_64_bytes(word: &str) -> bool {
    decoded(word).is_some()
}

fn is_secret(word: &str) -> bool {
    decoded(word).is_some_and(|bytes| {
        let (seed, public) = bytes.split_at(32);
        <[u8; 32]>::try_from(seed).is_ok_and(|seed| {
            ed25519_dalek::SigningKey::from_bytes(&seed)
                .verifying_key()
                .as_bytes()
                == public
        })
    })
}
