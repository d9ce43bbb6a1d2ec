//! A change that is sent to the server: being sent, refused, done.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Serialize;

use crate::api::{self, Abort, ApiError, Body};
use crate::components::banner::{alert, done_line};
use crate::components::button::Readiness;
use crate::components::changing::changing;
use crate::components::chip::Tone;

/// A change. Copy it freely; one at a time.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    busy: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
    /// What was done, in words.
    pub done: RwSignal<Option<String>>,
}

/// The JSON of something to send.
pub fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Sending {
    /// Nothing was sent yet.
    pub fn new() -> Self {
        Self {
            busy: RwSignal::new(false),
            error: RwSignal::new(None),
            done: RwSignal::new(None),
        }
    }

    /// Sends; `then` gets the answer of a change that was made.
    pub fn send(
        self,
        method: &'static str,
        path: String,
        body: Option<String>,
        then: impl FnOnce(Body) + 'static,
    ) {
        self.erased(method, path, body, Box::new(then));
    }

    fn erased(
        self,
        method: &'static str,
        path: String,
        body: Option<String>,
        then: Box<dyn FnOnce(Body)>,
    ) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.error.set(None);
        self.done.set(None);
        spawn_local(async move {
            let abort = Abort::new();
            let answer = api::send(method, path, body, abort.ticket()).await;
            // Where the page is gone, its signals are too.
            if self.busy.try_set(false).is_some() {
                return;
            }
            match answer {
                Ok(answer) => then(answer),
                Err(error) => self.error.set(Some(error)),
            }
        });
    }

    /// What became of an earlier change is said no more: somebody begins anew.
    pub fn forget(self) {
        self.error.set(None);
        self.done.set(None);
    }

    /// `otherwise`, unless something is being sent; tracked.
    pub fn readiness(self, otherwise: Readiness) -> Readiness {
        if self.busy.get() {
            Readiness::Busy("Sending…")
        } else {
            otherwise
        }
    }

    /// Whether the server refused the last change with this code; tracked.
    pub fn refused_with(self, code: &str) -> bool {
        self.error
            .with(|error| error.as_ref().and_then(ApiError::code) == Some(code))
    }

    /// What went wrong, or what was done.
    pub fn notice(self) -> AnyView {
        let failed = move || {
            let error = self.error.get()?;
            let id = error
                .request_id()
                .map(|id| view! { <p><small>"Request " <code>{id.to_owned()}</code></small></p> });
            let words = view! { <p>{error.why()}</p> {id} };
            Some(alert(Tone::Bad, error.what(), words, ()))
        };
        view! { {changing(failed)} {done_line(self.done)} }.into_any()
    }
}
