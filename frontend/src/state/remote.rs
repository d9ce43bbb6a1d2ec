//! Something that lies on the server, in its four states: waiting, there,
//! failed, and stale (there, but the last try to renew it failed).
//!
//! A [`Remote`] fetches again whenever the address that its source gives
//! changes, and ends the request before. While it waits it keeps what it had,
//! so that a filtered list is greyed, not blanked.
//!
//! Inside, values have no type: there are many kinds of them, and one copy of
//! the machinery.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use crate::api::{self, Abort, ApiError, Body};
use crate::state::derived::effect;

/// A value whose type only its [`Remote`] knows.
type Value = Arc<dyn Any + Send + Sync>;

/// What gives the address to fetch.
type Source = Box<dyn Fn() -> Option<String>>;

/// What reads an answer.
type Read = fn(Body) -> Result<Value, ApiError>;

/// A value of the server. Copy it freely.
#[derive(Debug)]
pub struct Remote<T> {
    slot: Slot,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Remote<T> {}

/// The signals of a remote value.
#[derive(Debug, Clone, Copy)]
struct Slot {
    value: RwSignal<Option<Value>>,
    error: RwSignal<Option<ApiError>>,
    waiting: RwSignal<bool>,
    again: Trigger,
}

impl Slot {
    /// Fetches whenever the address that `source` gives changes, or when asked again.
    fn follow(source: Source, read: Read) -> Self {
        let slot = Self {
            value: RwSignal::new(None),
            error: RwSignal::new(None),
            waiting: RwSignal::new(true),
            again: Trigger::new(),
        };
        // The running request: replaced by the next one, dropped with the page.
        let running = StoredValue::new_local(None::<Abort>);
        let turn = StoredValue::new(0_u64);
        effect(move || {
            slot.again.track();
            let Some(path) = source() else { return };
            let abort = Abort::new();
            let ticket = abort.ticket();
            running.set_value(Some(abort));
            turn.update_value(|turn| *turn += 1);
            let mine = turn.get_value();
            slot.waiting.set(true);
            spawn_local(async move {
                let answer = api::get(path, ticket).await;
                // A later request has taken over, or the page is gone.
                if turn.try_get_value() == Some(mine) {
                    slot.take(answer.and_then(read));
                }
            });
        });
        on_cleanup(move || {
            running.try_update_value(Option::take);
        });
        slot
    }

    fn take(self, answer: Result<Value, ApiError>) {
        self.waiting.set(false);
        match answer {
            Ok(value) => {
                self.error.set(None);
                self.value.set(Some(value));
            }
            Err(error) => self.error.set(Some(error)),
        }
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Remote<T> {
    /// Fetches the JSON at the address below `/api/v1` that `source` gives;
    /// nothing where it gives none.
    pub fn new(source: impl Fn() -> Option<String> + 'static) -> Self {
        Self::of(Slot::follow(Box::new(source), |body| {
            Ok(Arc::new(body.json::<T>()?))
        }))
    }
}

impl Remote<Vec<u8>> {
    /// The same for bytes that are no JSON.
    pub fn of_bytes(source: impl Fn() -> Option<String> + 'static) -> Self {
        Self::of(Slot::follow(Box::new(source), |body| {
            Ok(Arc::new(body.bytes))
        }))
    }
}

impl<T: Send + Sync + 'static> Remote<T> {
    const fn of(slot: Slot) -> Self {
        Self {
            slot,
            kind: PhantomData,
        }
    }

    /// Whether there is something; tracked.
    pub fn is_there(self) -> bool {
        self.slot.value.with(Option::is_some)
    }

    /// What there is; tracked.
    pub fn get(self) -> Option<Arc<T>> {
        Arc::downcast(self.slot.value.get()?).ok()
    }

    /// What there is; not tracked.
    pub fn get_now(self) -> Option<Arc<T>> {
        Arc::downcast(self.slot.value.try_get_untracked()??).ok()
    }

    /// Why the last request failed; tracked.
    pub fn error(self) -> Option<ApiError> {
        self.slot.error.get()
    }

    /// A request is under way; tracked.
    pub fn is_waiting(self) -> bool {
        self.slot.waiting.get()
    }

    /// A request is under way, or the page is gone; not tracked.
    pub fn try_waiting(self) -> bool {
        self.slot.waiting.try_get_untracked().unwrap_or(true)
    }

    /// Asks once more.
    pub fn reload(self) {
        self.slot.again.notify();
    }
}
