//! Two keys with one name: Nix believes only the first that it reads, and says nothing.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, KeyPurpose, KeyState, Page, PathRow, SignatureStatus};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::nix_conf::conflict::{KeyConflict, OnConflict};
use snowbank_shared::route::PathsQuery;
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey};

use crate::api;
use crate::components::banner::banner;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::dialog::dialog;
use crate::components::icon::Icon;
use crate::format;
use crate::state::derived::memo;
use crate::state::remote::Remote;

/// What a key did on a path of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// Nothing to try it on is here yet.
    NotYet,
    /// The cache has no path that is signed validly.
    NothingToTry,
    /// It verifies.
    Verifies,
    /// It does not.
    DoesNot,
}

/// The question, and below it the way back to it where it was closed.
pub fn conflict_dialog(
    conflicts: &[KeyConflict],
    caches: &[Cache],
    choose: impl Fn(OnConflict) + Copy + Send + 'static,
) -> AnyView {
    let open = RwSignal::new(true);
    let conflicts = conflicts.to_vec();
    let cache = conflicts.first().and_then(|conflict| {
        let ours = conflict.ours.to_string();
        let of_ours = |cache: &&Cache| cache.keys.iter().any(|key| key.public_key == ours);
        Some((
            caches.iter().find(of_ours)?.slug.clone(),
            caches.iter().find(of_ours)?.store_dir.clone(),
        ))
    });
    let tries = Tries::of_cache(cache);
    let body = move || {
        let pairs: Vec<AnyView> = conflicts
            .iter()
            .map(|conflict| pair(conflict, tries))
            .collect();
        view! {
            <p>
                "Of two keys with one name Nix uses the first that it reads, and says nothing about the other. Which one is it to be?"
            </p>
            {pairs}
            <div class="dialog-actions">
                {button(Weight::Plain, None, "Keep the one in the file", move || choose(OnConflict::KeepTheirs))}
                {button(Weight::Primary, None, "Use this cache's key", move || choose(OnConflict::UseOurs))}
            </div>
        }
        .into_any()
    };
    let again = button(Weight::Plain, None, "Choose", move || open.set(true));
    view! {
        {dialog("Two keys with one name", open, body)}
        {banner(
            Tone::Warn,
            "Nothing was changed yet",
            view! { <p>"The file has another key with the name of this cache's key. Nix would use only one of them."</p> },
            again,
        )}
    }
    .into_any()
}

/// A narinfo of the cache to try keys on: its bytes and store directory.
#[derive(Debug, Clone, Copy)]
pub struct Tries {
    rows: Option<Remote<Page<PathRow>>>,
    narinfo: Option<Remote<Vec<u8>>>,
    store_dir: StoredValue<String>,
}

impl Tries {
    /// Asks for a validly signed path of the cache with this slug and store directory.
    pub fn of_cache(cache: Option<(String, String)>) -> Self {
        let Some((slug, store_dir)) = cache else {
            return Self {
                rows: None,
                narinfo: None,
                store_dir: StoredValue::new(String::new()),
            };
        };
        let query = PathsQuery {
            sig: Some(SignatureStatus::Valid),
            ..PathsQuery::default()
        };
        let of = slug.clone();
        let rows = Remote::<Page<PathRow>>::new(move || Some(api::paths_path(&of, &query, 1)));
        let narinfo = Remote::of_bytes(move || {
            let rows = rows.get()?;
            let row = rows.items.first()?;
            Some(api::path_path(&slug, &row.hash, "raw"))
        });
        Self {
            rows: Some(rows),
            narinfo: Some(narinfo),
            store_dir: StoredValue::new(store_dir),
        }
    }

    /// Whether this key verifies a path of the cache; tracked.
    pub fn of(self, key: Option<&PublicKey>) -> Tried {
        let (Some(rows), Some(narinfo)) = (self.rows, self.narinfo) else {
            return Tried::NothingToTry;
        };
        if rows.get().is_some_and(|rows| rows.items.is_empty()) {
            return Tried::NothingToTry;
        }
        let Some(bytes) = narinfo.get() else {
            return Tried::NotYet;
        };
        let Ok(store_dir) = self.store_dir.get_value().parse() else {
            return Tried::NothingToTry;
        };
        let Ok(narinfo) = NarInfo::parse(&bytes, &store_dir) else {
            return Tried::NothingToTry;
        };
        let Some(key) = key else {
            return Tried::DoesNot;
        };
        let ring = KeyRing::new([KnownKey {
            key: key.clone(),
            purpose: KeyPurpose::Cache,
            state: KeyState::Active,
        }]);
        if ring.judge(&narinfo).status == SignatureStatus::Valid {
            Tried::Verifies
        } else {
            Tried::DoesNot
        }
    }
}

fn pair(conflict: &KeyConflict, tries: Tries) -> AnyView {
    let theirs: Option<PublicKey> = conflict.theirs.parse().ok();
    let place = format!("In the file, line {}", conflict.origin.line);
    view! {
        <div class="key-pair">
            {one("This cache's".to_owned(), Some(conflict.ours.clone()), conflict.ours.to_string(), tries)}
            {one(place, theirs, conflict.theirs.clone(), tries)}
        </div>
    }
    .into_any()
}

fn one(title: String, key: Option<PublicKey>, text: String, tries: Tries) -> AnyView {
    let print = key.as_ref().map_or_else(
        || "It is no key: not 32 bytes in base64.".to_owned(),
        |key| format!("SHA256 {}", format::hex_groups(&key.fingerprint())),
    );
    let tried = memo(move || tries.of(key.as_ref()));
    let word = move || match tried.get() {
        Tried::NotYet => {
            view! { <span class="muted">"Trying it on a path of the cache…"</span> }.into_any()
        }
        Tried::NothingToTry => {
            view! { <span class="muted">"The cache has no signed path to try it on."</span> }
                .into_any()
        }
        Tried::Verifies => chip((
            Tone::Ok,
            Icon::Tick,
            "Verifies this cache today",
            "A signature of the cache was checked with it in this tab.",
        )),
        Tried::DoesNot => chip((
            Tone::Bad,
            Icon::Cross,
            "Does not verify this cache",
            "A signature of the cache was checked with it in this tab.",
        )),
    };
    view! {
        <section>
            <h3>{title}</h3>
            <p><code class="break">{text}</code></p>
            <p class="fingerprint">{print}</p>
            <p>{changing(word)}</p>
        </section>
    }
    .into_any()
}
