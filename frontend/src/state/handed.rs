//! A text that one page hands to the next within this tab, past the address: an error that was
//! pasted into the search field.

use leptos::prelude::*;

/// The text that lies ready. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Handed(RwSignal<Option<String>>);

/// What was handed on.
///
/// # Panics
/// Outside of the application.
pub fn handed() -> Handed {
    expect_context()
}

impl Handed {
    /// Once, at the start.
    pub fn start() {
        provide_context(Self(RwSignal::new(None)));
    }

    /// Lays a text down.
    pub fn hand(self, text: String) {
        self.0.set(Some(text));
    }

    /// Takes it up; it is there once. Tracked.
    pub fn take(self) -> Option<String> {
        let text = self.0.get();
        if text.is_some() {
            self.0.set(None);
        }
        text
    }
}
