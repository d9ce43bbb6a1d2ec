//! One cache, kept up to date: its resource, and the state of its index as the
//! server tells it by server-sent events.
//!
//! While the first index is built, pages renew themselves every two seconds.
//! Later a change is offered, not forced: nothing moves that is being read.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, INDEX_EVENT, IndexState, IndexStatus};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::MessageEvent;

use crate::api;
use crate::state::remote::Remote;

/// Milliseconds between two renewals while the first index is built.
const RENEW_EVERY: f64 = 2000.0;

/// A cache and the state of its index. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct LiveCache {
    slug: StoredValue<String>,
    /// Its resource.
    pub cache: Remote<Cache>,
    /// The newest word on its index, by event or with the resource.
    pub index: Memo<Option<IndexStatus>>,
    /// The first index is not complete yet: numbers are lower bounds.
    partial: Memo<bool>,
    /// Counts up when a list should be fetched anew without being asked: while
    /// the first index is built, and once when it is complete.
    pub renewals: RwSignal<u64>,
}

/// The cache of the page.
///
/// # Panics
/// On a page that is not about one cache.
pub fn live_cache() -> LiveCache {
    expect_context()
}

impl LiveCache {
    /// Follows a cache until the owner of this scope goes.
    pub fn follow(slug: &str) -> Self {
        let path = api::cache_path(slug);
        let cache = Remote::<Cache>::new(move || Some(path.clone()));
        let told = RwSignal::new(None::<IndexStatus>);
        let index = Memo::new(move |_| told.get().or_else(|| Some(cache.get()?.index.clone())));
        // A memo, so that what asks for it is not drawn anew with every event.
        let partial = Memo::new(move |_| {
            index.with(|index| {
                index.as_ref().is_some_and(|index| {
                    matches!(index.state, IndexState::New | IndexState::Indexing)
                })
            })
        });
        let live = Self {
            slug: StoredValue::new(slug.to_owned()),
            cache,
            index,
            partial,
            renewals: RwSignal::new(0),
        };
        live.renew_while_indexing();
        subscribe(slug, told);
        live
    }

    /// Its slug.
    pub fn slug(self) -> String {
        self.slug.get_value()
    }

    /// The first index is not complete yet: numbers are lower bounds; tracked.
    pub fn is_partial(self) -> bool {
        self.partial.get()
    }

    fn renew_while_indexing(self) {
        let renewed_at = StoredValue::new(0.0_f64);
        let before = StoredValue::new(None::<(bool, String)>);
        Effect::new(move |_| {
            let Some(revision) = self
                .index
                .with(|index| Some(index.as_ref()?.revision.clone()))
            else {
                return;
            };
            let partial = self.is_partial();
            let now = js_sys::Date::now();
            let (was_partial, changed) = before.with_value(|before| match before {
                Some((was_partial, seen)) => (*was_partial, *seen != revision),
                None => (false, false),
            });
            before.set_value(Some((partial, revision)));
            let completed = was_partial && !partial;
            let due = now - renewed_at.get_value() >= RENEW_EVERY;
            if completed || (partial && due) {
                renewed_at.set_value(now);
                self.renewals.update(|count| *count += 1);
                self.cache.reload();
            } else if changed && !partial {
                // The figures of the cache are one small request: always as of now.
                self.cache.reload();
            }
        });
    }
}

/// Writes every index event of the cache into `told`, until the scope goes.
fn subscribe(slug: &str, told: RwSignal<Option<IndexStatus>>) {
    let Some(source) = api::events(slug) else {
        return;
    };
    let closure = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let status = event
            .data()
            .as_string()
            .and_then(|data| serde_json::from_str::<IndexStatus>(&data).ok());
        if let Some(status) = status {
            told.try_set(Some(status));
        }
    });
    let _ = source.add_event_listener_with_callback(INDEX_EVENT, closure.as_ref().unchecked_ref());
    let held = StoredValue::new_local(Some((source, closure)));
    on_cleanup(move || {
        held.try_update_value(|held| {
            if let Some((source, _closure)) = held.take() {
                source.close();
            }
        });
    });
}
