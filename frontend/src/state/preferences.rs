//! What this browser remembers of how its user wants things: theme, density,
//! rail, whether single keys are shortcuts, whether times are moments.
//! `theme.js` reads the first three before the first paint.

use leptos::prelude::*;

use crate::state::derived::effect;

/// Light, dark, or as the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system is.
    System,
    /// Light, whatever the system is.
    Light,
    /// Dark, whatever the system is.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Their words, in the same order.
    pub const WORDS: [&str; 3] = ["As the system", "Light", "Dark"];

    /// The next in turn.
    pub const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The choices. Copy them freely.
#[derive(Debug, Clone, Copy)]
pub struct Preferences {
    /// Light, dark, system.
    pub theme: RwSignal<Theme>,
    /// Rows of 26 instead of 32 px.
    pub compact: RwSignal<bool>,
    /// The rail shows icons only.
    pub folded: RwSignal<bool>,
    /// Single keys are shortcuts (WCAG 2.1.4 asks for a switch).
    pub shortcuts: RwSignal<bool>,
    /// Times are shown as moments, not as how long ago.
    pub moments: RwSignal<bool>,
}

/// The choices of this browser.
///
/// # Panics
/// Outside of the application.
pub fn preferences() -> Preferences {
    expect_context()
}

impl Preferences {
    /// Reads what is stored and keeps storage and page in step. Once, at the start.
    pub fn start() -> Self {
        let preferences = Self {
            theme: RwSignal::new(match stored("theme").as_deref() {
                Some("light") => Theme::Light,
                Some("dark") => Theme::Dark,
                _ => Theme::System,
            }),
            compact: RwSignal::new(stored("density").as_deref() == Some("compact")),
            folded: RwSignal::new(stored("rail").as_deref() == Some("folded")),
            shortcuts: RwSignal::new(stored("shortcuts").as_deref() != Some("off")),
            moments: RwSignal::new(stored("times").as_deref() == Some("moments")),
        };
        provide_context(preferences);
        keep("theme", move || match preferences.theme.get() {
            Theme::System => None,
            theme => Some(theme.as_str()),
        });
        keep("density", move || {
            preferences.compact.get().then_some("compact")
        });
        keep("rail", move || preferences.folded.get().then_some("folded"));
        keep("shortcuts", move || {
            (!preferences.shortcuts.get()).then_some("off")
        });
        keep("times", move || {
            preferences.moments.get().then_some("moments")
        });
        preferences
    }

    /// Everything as it was before anybody chose.
    pub fn reset(self) {
        self.theme.set(Theme::System);
        self.compact.set(false);
        self.folded.set(false);
        self.shortcuts.set(true);
        self.moments.set(false);
    }
}

/// Whether this browser lets anything be remembered at all.
pub fn can_be_kept() -> bool {
    storage().is_some()
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn stored(name: &str) -> Option<String> {
    storage()?
        .get_item(&format!("snowbank.{name}"))
        .ok()
        .flatten()
}

/// Mirrors a choice into storage and into `<html data-…>`; the default is the absence of both.
fn keep(name: &'static str, value: impl Fn() -> Option<&'static str> + Send + Sync + 'static) {
    effect(move || {
        let value = value();
        if let Some(storage) = storage() {
            let key = format!("snowbank.{name}");
            let _ = match value {
                Some(value) => storage.set_item(&key, value),
                None => storage.remove_item(&key),
            };
        }
        if let Some(html) = document().document_element() {
            let attribute = format!("data-{name}");
            let _ = match value {
                Some(value) => html.set_attribute(&attribute, value),
                None => html.remove_attribute(&attribute),
            };
        }
    });
}
