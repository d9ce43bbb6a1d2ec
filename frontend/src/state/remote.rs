//! Something that lies on the server, in its four states: waiting, there,
//! failed, and stale (there, but the last try to renew it failed).
//!
//! A [`Remote`] fetches again whenever the address that its source gives
//! changes, and ends the request before. While it waits it keeps what it had,
//! so that a filtered list is greyed, not blanked.

use std::rc::Rc;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use crate::api::{self, Abort, ApiError, Body};
use crate::state::derived::effect;

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
        Self::read_by(Box::new(source), Body::json)
    }
}

impl Remote<Vec<u8>> {
    /// The same for bytes that are no JSON.
    pub fn of_bytes(source: impl Fn() -> Option<String> + 'static) -> Self {
        Self::read_by(Box::new(source), |body| Ok(body.bytes))
    }
}

/// What gives the address to fetch.
type Source = Box<dyn Fn() -> Option<String>>;

/// What takes the answer.
type Take = Rc<dyn Fn(Result<Body, ApiError>)>;

/// Fetches whenever the address or `again` changes. Not generic: there are many
/// remote values, and one copy of this.
fn follow(source: Source, again: Trigger, waiting: RwSignal<bool>, take: Take) {
    // The running request: replaced by the next one, dropped with the page.
    let running = StoredValue::new_local(None::<Abort>);
    let turn = StoredValue::new(0_u64);
    effect(move || {
        again.track();
        let Some(path) = source() else { return };
        let abort = Abort::new();
        let ticket = abort.ticket();
        running.set_value(Some(abort));
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        waiting.set(true);
        let take = Rc::clone(&take);
        spawn_local(async move {
            let answer = api::get(path, ticket).await;
            // A later request has taken over, or the page is gone.
            if turn.try_get_value() == Some(mine) {
                take(answer);
            }
        });
    });
    on_cleanup(move || {
        running.try_update_value(Option::take);
    });
}

impl<T: Send + Sync + 'static> Remote<T> {
    fn read_by(source: Source, read: fn(Body) -> Result<T, ApiError>) -> Self {
        let remote = Self {
            value: RwSignal::new(None),
            error: RwSignal::new(None),
            waiting: RwSignal::new(true),
            again: Trigger::new(),
        };
        let take =
            Rc::new(move |answer: Result<Body, ApiError>| remote.take(answer.and_then(read)));
        follow(source, remote.again, remote.waiting, take);
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

    /// Whether there is something; tracked.
    pub fn is_there(self) -> bool {
        self.value.with(Option::is_some)
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
