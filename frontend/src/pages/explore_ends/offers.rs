//! What an end's field offers for what is typed: pins by their names, and the paths that were found.

use serde::Deserialize;
use snowbank_shared::api::PathRow;
use snowbank_shared::route::{PIN, pin_at};

use crate::format;

/// Pins offered at most.
const PINS: usize = 5;

/// Of a pin only its name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NamedPin {
    pub(super) name: String,
    pub(super) revision: u64,
}

/// A page of pins.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NamedPins {
    pub(super) items: Vec<NamedPin>,
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// As the address has it.
    pub(super) end: String,
    /// `hash-name`; of a pin its name and revision.
    pub(super) words: String,
    pub(super) is_pin: bool,
    pub(super) note: String,
}

/// What is offered for a text: pins whose names hold it, then the paths that were found.
pub(super) fn offered(text: &str, pins: &[NamedPin], found: &[PathRow]) -> Vec<Offer> {
    let lower = text.trim().to_ascii_lowercase();
    let name = lower.strip_prefix(PIN).unwrap_or(&lower);
    let (name, revision) = match name.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (name, None),
    };
    let named = pins.iter().filter(|pin| match revision {
        Some(_) => pin.name == name,
        None => pin.name.contains(name),
    });
    let pins = named.take(PINS).map(|pin| {
        let words = match revision.filter(|revision| !revision.is_empty()) {
            Some(revision) => format!("{}@{revision}", pin.name),
            None => pin.name.clone(),
        };
        Offer {
            end: format!("{PIN}{words}"),
            words,
            is_pin: true,
            note: format!("a pin, now @{}", pin.revision),
        }
    });
    // Only what is the name of one can be chosen.
    let pins = pins.filter(|offer| pin_at(&offer.words).is_some());
    let paths = found.iter().map(|row| Offer {
        end: row.hash.clone(),
        words: row.path.clone(),
        is_pin: false,
        note: format::size(row.nar_size),
    });
    pins.chain(paths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_offered_by_their_names_and_revisions() {
        let pins: Vec<NamedPin> = ["prod", "staging"]
            .into_iter()
            .map(|name| NamedPin {
                name: name.to_owned(),
                revision: 14,
            })
            .collect();
        let ends = |text: &str| -> Vec<String> {
            let offers = offered(text, &pins, &[]);
            offers.into_iter().map(|offer| offer.end).collect()
        };
        assert_eq!(ends(""), ["pin:prod", "pin:staging"]);
        assert_eq!(ends("Pro"), ["pin:prod"]);
        assert_eq!(ends("pin:prod@13"), ["pin:prod@13"]);
        assert_eq!(ends("prod@"), ["pin:prod"]);
        assert_eq!(ends("prod@x"), Vec::<String>::new());
        assert_eq!(ends("pro@13"), Vec::<String>::new());
    }
}
