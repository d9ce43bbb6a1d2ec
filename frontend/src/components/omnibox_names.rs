//! The names in a cache that the search field offers: of its keys and of its pins.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::route::escape;

use crate::api;
use crate::state::derived::memo;
use crate::state::remote::Remote;
use crate::state::session::Session;

/// Of a key or a pin its name.
#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

/// What is listed at an address of the cache, by name; asked for when somebody first types.
fn names(session: Session, text: RwSignal<String>, path: fn(&str) -> String) -> Memo<Vec<String>> {
    let typed = memo(move || text.with(|text| !text.is_empty()));
    let listed = Remote::<Page<Named>>::new(move || {
        let cache = session.cache()?;
        typed.get().then(|| path(&cache))
    });
    memo(move || {
        listed.get().map_or_else(Vec::new, |listed| {
            listed.items.iter().map(|one| one.name.clone()).collect()
        })
    })
}

/// Names of the keys that are known in the cache.
pub fn key_names(session: Session, text: RwSignal<String>) -> Memo<Vec<String>> {
    names(session, text, api::keys_path)
}

/// The first pins of the cache by name.
pub fn pin_names(session: Session, text: RwSignal<String>) -> Memo<Vec<String>> {
    names(session, text, |cache| {
        format!("/caches/{}/pins?limit=200", escape(cache))
    })
}
