//! One live region for the whole page: what changed without the focus moving
//! is said here, once.

use leptos::prelude::*;

use crate::components::changing::changing;

/// Says things to screen readers. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Announcer(RwSignal<String>);

impl Announcer {
    /// Once, at the start.
    pub fn start() -> Self {
        let announcer = Self(RwSignal::new(String::new()));
        provide_context(announcer);
        announcer
    }

    /// Says it. The same text twice is made a new one, or it would not be read again.
    pub fn say(self, text: &str) {
        self.0.update(|now| {
            let repeated = now.as_str() == text;
            *now = text.to_owned();
            if repeated {
                now.push('\u{a0}');
            }
        });
    }

    /// The region itself.
    pub fn region(self) -> AnyView {
        view! { <p class="visually-hidden" role="status" aria-live="polite">{changing(move || self.0.get())}</p> }
            .into_any()
    }
}

/// The page's live region.
///
/// # Panics
/// Outside of the application.
pub fn announcer() -> Announcer {
    expect_context()
}
