//! Something that lies on the server, in its four states: waiting, there,
//! failed, and stale (there, but the last try to renew it failed).
//!
//! A [`Remote`] fetches again whenever the address that its source gives
//! changes, and ends the request before. While it waits it keeps what it had,
//! so that a filtered list is greyed, not blanked.

use std::pin::Pin;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use crate::api::{self, Abort, ApiError, Ticket};

/// A value of the server. Copy it freely.
#[derive(Debug)]
pub struct Remote<T: Send + Sync + 'static> {
    value: RwSignal<Option<Arc<T>>>,
    error: RwSignal<Option<ApiError>>,
    waiting: RwSignal<bool>,
    again: Trigger,
}

impl<T: Send + Sync + 'static> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Remote<T> {}

impl<T: DeserializeOwned + Send + Sync + 'static> Remote<T> {
    /// Fetches the JSON at the address below `/api/v1` that `source` gives;
    /// nothing where it gives none.
    pub fn new(source: impl Fn() -> Option<String> + 'static) -> Self {
        Self::fetched_by(source, |path, ticket| Box::pin(api::get(path, ticket)))
    }
}

/// A request on its way.
type Fetching<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<T: Send + Sync + 'static> Remote<T> {
    /// The same with another way to fetch than as JSON.
    pub fn fetched_by(
        source: impl Fn() -> Option<String> + 'static,
        fetch: fn(String, Ticket) -> Fetching<T>,
    ) -> Self {
        let remote = Self {
            value: RwSignal::new(None),
            error: RwSignal::new(None),
            waiting: RwSignal::new(true),
            again: Trigger::new(),
        };
        // The running request: replaced by the next one, dropped with the page.
        let running = StoredValue::new_local(None::<Abort>);
        let turn = StoredValue::new(0_u64);
        Effect::new(move |_| {
            remote.again.track();
            let Some(path) = source() else { return };
            let abort = Abort::new();
            let ticket = abort.ticket();
            running.set_value(Some(abort));
            turn.update_value(|turn| *turn += 1);
            let mine = turn.get_value();
            remote.waiting.set(true);
            spawn_local(async move {
                let answer = fetch(path, ticket).await;
                // A later request has taken over, or the page is gone.
                if turn.try_get_value() == Some(mine) {
                    remote.take(answer);
                }
            });
        });
        on_cleanup(move || {
            running.try_update_value(Option::take);
        });
        remote
    }

    fn take(self, answer: Result<T, ApiError>) {
        self.waiting.set(false);
        match answer {
            Ok(value) => {
                self.error.set(None);
                self.value.set(Some(Arc::new(value)));
            }
            Err(error) => self.error.set(Some(error)),
        }
    }

    /// What there is; tracked.
    pub fn get(self) -> Option<Arc<T>> {
        self.value.get()
    }

    /// What there is; not tracked.
    pub fn get_now(self) -> Option<Arc<T>> {
        self.value.try_get_untracked().flatten()
    }

    /// Why the last request failed; tracked.
    pub fn error(self) -> Option<ApiError> {
        self.error.get()
    }

    /// A request is under way; tracked.
    pub fn is_waiting(self) -> bool {
        self.waiting.get()
    }

    /// Asks once more.
    pub fn reload(self) {
        self.again.notify();
    }
}
