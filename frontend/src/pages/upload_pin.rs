//! A pin for what is uploaded: asked for before anything is sent, made once the path is published.
//!
//! The name, the note and the path are decided on with the rest; which revision the pin is at is asked
//! while the name is typed, so that nobody moves a pin on that they did not know of. The pin is made
//! when the upload has come to its end; where the server refuses it, the upload stays as it is, and
//! the pin can be tried again.

use leptos::prelude::*;
use serde::Deserialize;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::pins::{SetPin, is_pin_name};
use snowbank_shared::route::{PinsRoute, Route, escape};

use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::failure::failure;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::format;
use crate::pages::upload::Kept;
use crate::state::derived::effect;
use crate::state::identity::{Identity, identity};
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};
use crate::upload::session::{Phase, Stage, View};
use crate::upload::verdict::Verdict;

/// Paths offered at most.
const MOST_OFFERED: usize = 100;
/// Characters of a note at most, as the server has it.
const LONGEST_NOTE: usize = 200;

/// A pin, as far as it has to be known.
#[derive(Debug, Clone, Deserialize)]
struct Known {
    pin: KnownPin,
}

#[derive(Debug, Clone, Deserialize)]
struct KnownPin {
    name: String,
    revision: u64,
    path: String,
}

/// What is said of the paths that are not offered, where there are so many.
fn not_offered(paths: usize) -> Option<String> {
    let more = paths.checked_sub(MOST_OFFERED).filter(|more| *more > 0)?;
    Some(format!(
        "And {} more: pin one of those on its own page once it is published.",
        format::count(more as u64)
    ))
}

/// What is known of the pin by that name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// The server is being asked.
    Waiting,
    /// It could not be asked.
    Failed,
    /// There is none.
    New,
    /// It is at this revision, and names this path.
    At { revision: u64, path: String },
}

/// The pin of an upload. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Pinning {
    cache: StoredValue<String>,
    view: View,
    identity: Identity,
    name: Field,
    note: Field,
    /// Which of the paths that nothing else of the upload refers to.
    path: Field,
    tops: StoredValue<Vec<String>>,
    known: Remote<Known>,
    sending: Sending,
}

/// The pin of what is chosen now.
pub fn pinning(cache: &str, kept: Kept, view: View) -> Pinning {
    let tops = kept
        .try_with_value(|session| session.tops())
        .unwrap_or_default();
    let path = Field::new(
        "Path to pin",
        "One of those that nothing else in the upload refers to.",
    );
    if let Some(first) = tops.first() {
        path.value.set(first.clone());
    }
    let name = Field {
        value: view.pin,
        ..Field::new(
            "Name of the pin",
            "Such as prod. Empty: nothing is pinned, and retention decides how long it stays.",
        )
    };
    let note = Field {
        value: view.pin_note,
        ..Field::new("Note", "What for. It stays in the pin's history.")
    };
    // Asked for here: who clicks later has no context.
    let identity = identity();
    let slug = cache.to_owned();
    let known = Remote::new(move || {
        let name = wished(&slug, view, identity);
        is_pin_name(&name).then(|| address(&slug, &name))
    });
    let pinning = Pinning {
        cache: StoredValue::new(cache.to_owned()),
        view,
        identity,
        name,
        note,
        path,
        tops: StoredValue::new(tops),
        known,
        sending: Sending::new(),
    };
    pinning.pin_at_the_end();
    pinning
}

fn address(cache: &str, name: &str) -> String {
    format!("/caches/{}/pins/{}", escape(cache), escape(name))
}

/// The pin's name; empty where there is to be none, or whoever sits here may not; tracked.
fn wished(cache: &str, view: View, identity: Identity) -> String {
    let name = view.pin.get().trim().to_owned();
    if name.is_empty() || !identity.may(Some(cache), Act::Maintain) {
        return String::new();
    }
    name
}

impl Pinning {
    fn wished(self) -> String {
        self.cache
            .with_value(|cache| wished(cache, self.view, self.identity))
    }

    /// Tracked.
    fn seen(self, name: &str) -> Seen {
        if self.known.is_waiting() {
            return Seen::Waiting;
        }
        match self.known.error() {
            Some(error) if error.is_not_found() => Seen::New,
            Some(_) => Seen::Failed,
            None => match self.known.get() {
                Some(known) if known.pin.name == name => Seen::At {
                    revision: known.pin.revision,
                    path: known.pin.path.clone(),
                },
                _ => Seen::Waiting,
            },
        }
    }

    /// Whether a pin can be made as it is asked for, or none is; tracked.
    pub fn readiness(self) -> Readiness {
        let (name, note) = (self.wished(), self.view.pin_note.get());
        if name.is_empty() {
            return if note.trim().is_empty() {
                Readiness::Ready
            } else {
                Readiness::Refused(
                    "The note belongs to a pin: name the pin, or empty the note.".to_owned(),
                )
            };
        }
        if !is_pin_name(&name) {
            return Readiness::Refused(
                "A pin's name is 1 to 64 lower-case letters, digits, dots, dashes and underscores, and begins with a letter or digit.".to_owned(),
            );
        }
        if note.trim().chars().count() > LONGEST_NOTE {
            return Readiness::Refused(format!("A note has {LONGEST_NOTE} characters at most."));
        }
        match self.seen(&name) {
            Seen::Waiting => Readiness::Busy("Asking for the pin…"),
            Seen::Failed => Readiness::Refused(
                "Whether there is such a pin could not be asked. Try again, or empty the name."
                    .to_owned(),
            ),
            Seen::New | Seen::At { .. } => Readiness::Ready,
        }
    }

    /// The path to pin, where it is published; otherwise why it cannot be pinned; tracked.
    fn target(self) -> Result<String, String> {
        let path = self.path.value.get();
        let name = format::split_path(&path).1.to_owned();
        let row = self.view.rows.with(|rows| {
            let mut rows = rows.iter();
            rows.find(|row| row.with(|row| row.path == path)).copied()
        });
        let Some(row) = row else {
            return Err("There is nothing to pin.".to_owned());
        };
        row.with(|row| match (&row.stage, &row.verdict) {
            (Stage::Live, _) | (_, Verdict::Same) => Ok(path),
            (Stage::Waits(_), _) => Err(format!(
                "{name} is not pinned: it waits. Once it is published, a Maintainer pins it on its page."
            )),
            _ => Err(format!("{name} is not pinned: it is not published.")),
        })
    }

    /// Makes the pin, once, when the upload has come to its end.
    fn pin_at_the_end(self) {
        let settled = StoredValue::new(false);
        effect(move || {
            if self.view.phase.get() != Phase::Done {
                settled.set_value(false);
                return;
            }
            let name = self.wished();
            if settled.get_value() || self.sending.done.with_untracked(Option::is_some) {
                return;
            }
            if name.is_empty() {
                settled.set_value(true);
                return;
            }
            match self.readiness() {
                Readiness::Busy(_) => {}
                Readiness::Refused(_) => settled.set_value(true),
                Readiness::Ready => {
                    settled.set_value(true);
                    self.pin();
                }
            }
        });
        // Whoever was slower sees where the pin is now, and decides again.
        effect(move || {
            if self.sending.refused_with("changed-meanwhile") {
                self.known.reload();
            }
        });
    }

    fn pin(self) {
        let (name, Ok(path)) = untrack(|| (self.wished(), self.target())) else {
            return;
        };
        let expected = match untrack(|| self.seen(&name)) {
            Seen::New => 0,
            Seen::At { revision, .. } => revision,
            Seen::Waiting | Seen::Failed => return,
        };
        let what = format::split_path(&path).1.to_owned();
        let wish = SetPin {
            path,
            expected,
            note: self.view.pin_note.get_untracked().trim().to_owned(),
            keep: None,
        };
        let address = self.cache.with_value(|cache| address(cache, &name));
        self.sending
            .send("PUT", address, json(&wish), move |answer| {
                let pin = match answer.json::<Known>() {
                    Ok(known) => format!("{}@{}", known.pin.name, known.pin.revision),
                    Err(_) => name,
                };
                let words = format!("{pin} names {what}: it stays, with everything that it needs.");
                self.sending.done.set(Some(words));
            });
    }

    /// Its fields, and what came of it.
    pub fn form(self) -> AnyView {
        let refused = move || {
            let readiness = self
                .cache
                .with_value(|cache| self.identity.readiness(Some(cache), Act::Maintain));
            match readiness {
                Readiness::Refused(why) => Some(why),
                Readiness::Ready | Readiness::Busy(_) => None,
            }
        };
        let off = move || {
            refused().is_some()
                || self.sending.done.with(Option::is_some)
                || matches!(self.view.phase.get(), Phase::Sending | Phase::Offline)
        };
        let why_not = move || {
            refused().map(|why| view! { <p class="muted">{format::sentence(&why)}</p> }.into_any())
        };
        view! {
            <fieldset class="plain upload-pin" disabled=off>
                <legend>"Pin it"</legend>
                {changing(why_not)}
                <div class="form form-columns">
                    {text_field(self.name, "text", "off")} {text_field(self.note, "text", "off")} {self.paths()}
                </div>
            </fieldset>
            {changing(move || self.said())}
            {changing(move || self.later())}
            {self.sending.notice()}
            {changing(move || self.link())}
        }
        .into_any()
    }

    /// Which path, where there are several.
    fn paths(self) -> Option<AnyView> {
        self.tops.with_value(|tops| {
            (tops.len() > 1).then(|| {
                let options = tops.iter().take(MOST_OFFERED).map(|path| {
                    let words = format::split_path(path).1.to_owned();
                    (path.clone(), words)
                });
                let more = not_offered(tops.len())
                    .map(|words| view! { <small class="muted">{words}</small> });
                view! { <div>{select_field(self.path, options.collect())} {more}</div> }.into_any()
            })
        })
    }

    /// What the pin will be.
    fn said(self) -> Option<AnyView> {
        if self.sending.done.with(Option::is_some) {
            return None;
        }
        let name = self.wished();
        if !is_pin_name(&name) {
            return None;
        }
        let what = self
            .path
            .value
            .with(|path| format::split_path(path).1.to_owned());
        let words = match self.seen(&name) {
            Seen::Waiting => return None,
            Seen::Failed => {
                let error = self.known.error()?;
                return Some(failure(&error, false, move || self.known.reload()));
            }
            Seen::New => format!("{name} is a new pin. It will name {what}."),
            Seen::At { revision, path } => format!(
                "{name} is at revision {revision} and names {}. Its next revision will name {what}.",
                format::split_path(&path).1
            ),
        };
        Some(view! { <p class="pin-words" aria-live="polite">{words}</p> }.into_any())
    }

    /// Pinning after the end: where the server refused it, or the name came late.
    fn later(self) -> Option<AnyView> {
        let over = self.view.phase.get() == Phase::Done && self.sending.done.with(Option::is_none);
        if !over || self.wished().is_empty() {
            return None;
        }
        let readiness = move || match self.target() {
            Err(why) => Readiness::Refused(why),
            Ok(_) => self.sending.readiness(self.readiness()),
        };
        Some(button_when(
            Weight::Plain,
            Some(Icon::Pin),
            "Pin it",
            readiness,
            move || self.pin(),
        ))
    }

    /// The way to the pin that was made.
    fn link(self) -> Option<AnyView> {
        self.sending.done.with(Option::is_some).then(|| {
            let name = untrack(|| self.wished());
            let cache = self.cache.get_value();
            let address = href(&Route::Pins(PinsRoute::Pin {
                cache,
                name,
                revision: None,
            }));
            view! { <p><a href=address>"The page of this pin"</a></p> }.into_any()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_offered_are_counted() {
        assert_eq!(not_offered(2), None);
        assert_eq!(not_offered(MOST_OFFERED), None);
        let words = not_offered(MOST_OFFERED + 1_234).expect("words");
        assert!(words.starts_with("And 1,234 more:"), "{words}");
    }
}
