//! The names in a cache that the search field offers: of its keys and of its pins.

use leptos::prelude::*;
use snowbank_shared::api::{Key, Page};
use snowbank_shared::route::escape;

use crate::api;
use crate::state::derived::memo;
use crate::state::remote::Remote;
use crate::state::session::Session;

/// Names of the keys that are known in the cache; asked for when somebody first types.
pub fn key_names(session: Session, text: RwSignal<String>) -> Memo<Vec<String>> {
    let typed = memo(move || text.with(|text| !text.is_empty()));
    let keys = Remote::<Page<Key>>::new(move || {
        let cache = session.cache()?;
        typed.get().then(|| api::keys_path(&cache))
    });
    memo(move || {
        keys.get().map_or_else(Vec::new, |keys| {
            keys.items.iter().map(|key| key.name.clone()).collect()
        })
    })
}

/// Of a pin its name.
#[derive(serde::Deserialize)]
struct PinName {
    name: String,
}

/// The first pins of the cache by name; asked for when somebody first types.
pub fn pin_names(session: Session, text: RwSignal<String>) -> Memo<Vec<String>> {
    let typed = memo(move || text.with(|text| !text.is_empty()));
    let pins = Remote::<Page<PinName>>::new(move || {
        let cache = session.cache()?;
        typed
            .get()
            .then(|| format!("/caches/{}/pins?limit=200", escape(&cache)))
    });
    memo(move || {
        pins.get().map_or_else(Vec::new, |pins| {
            pins.items.iter().map(|pin| pin.name.clone()).collect()
        })
    })
}
