//! One cache, kept up to date: its resource, and the state of its index as the
//! server tells it by server-sent events.
//!
//! While the first index is built, pages renew themselves every two seconds.
//! Later a change is offered, not forced: nothing moves that is being read.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::{Cache, INDEX_EVENT, IndexState, IndexStatus};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{EventSource, MessageEvent};

use crate::api;
use crate::state::derived::{effect, memo};
use crate::state::remote::Remote;

/// How long after a refusal the stream of events is asked for again.
const REOPEN_AFTER: Duration = Duration::from_secs(15);

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
        let index = memo(move || told.get().or_else(|| Some(cache.get()?.index.clone())));
        // A memo, so that what asks for it is not drawn anew with every event.
        let partial = memo(move || {
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
        effect(move || {
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
///
/// Only while somebody sees the page: over HTTP/1.1 a browser has six
/// connections to a server, and every open stream takes one. A stream that the
/// server refused (it has a limit too) is asked for again after a while.
fn subscribe(slug: &str, told: RwSignal<Option<IndexStatus>>) {
    let slug = slug.to_owned();
    let again = Trigger::new();
    let visible = visibility();
    let open = StoredValue::new_local(None::<Stream>);
    effect(move || {
        again.track();
        // The one before is closed as it is replaced.
        open.set_value(
            visible
                .get()
                .then(|| Stream::open(&slug, told, again))
                .flatten(),
        );
    });
    on_cleanup(move || {
        open.try_update_value(Option::take);
    });
}

/// Whether somebody sees the page.
fn visibility() -> RwSignal<bool> {
    let visible = RwSignal::new(!document().hidden());
    let watch = window_event_listener_untyped("visibilitychange", move |_| {
        visible.try_set(!document().hidden());
    });
    on_cleanup(move || watch.remove());
    visible
}

/// An open stream of events; closed when dropped.
struct Stream {
    source: EventSource,
    _on_index: Closure<dyn Fn(MessageEvent)>,
    _on_error: Closure<dyn Fn()>,
}

impl Stream {
    fn open(slug: &str, told: RwSignal<Option<IndexStatus>>, again: Trigger) -> Option<Self> {
        let source = api::events(slug)?;
        let on_index = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            let status = event
                .data()
                .as_string()
                .and_then(|data| serde_json::from_str::<IndexStatus>(&data).ok());
            if let Some(status) = status {
                told.try_set(Some(status));
            }
        });
        let refused = source.clone();
        let on_error = Closure::<dyn Fn()>::new(move || {
            // Where the browser tries again by itself, it says so.
            if refused.ready_state() != EventSource::CLOSED {
                return;
            }
            // What was told grows old: the cache's own resource is newer.
            told.try_set(None);
            set_timeout(move || again.notify(), REOPEN_AFTER);
        });
        let _ =
            source.add_event_listener_with_callback(INDEX_EVENT, on_index.as_ref().unchecked_ref());
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Some(Self {
            source,
            _on_index: on_index,
            _on_error: on_error,
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.set_onerror(None);
        self.source.close();
    }
}
