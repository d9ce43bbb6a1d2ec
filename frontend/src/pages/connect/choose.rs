//! Which caches: the boxes that every page of Connect has, and the address that they are.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::route::{ConnectRoute, Route};

use super::{chosen_slugs, unknown_cache};
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::navigation::{Navigation, navigation};
use crate::state::session::{Session, session};

/// The caches that the address names. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct ChosenCaches {
    session: Session,
    navigation: Navigation,
    /// Their slugs.
    pub slugs: Memo<Vec<String>>,
    /// The address of other slugs.
    route: StoredValue<fn(Vec<String>) -> ConnectRoute>,
}

/// The caches of a page whose address for some slugs `route` gives.
pub fn caches_of(route: fn(Vec<String>) -> ConnectRoute) -> ChosenCaches {
    ChosenCaches {
        session: session(),
        navigation: navigation(),
        slugs: chosen_slugs(),
        route: StoredValue::new(route),
    }
}

impl ChosenCaches {
    /// Those of them that are here, in the order of the server; tracked.
    pub fn caches(self) -> Vec<Cache> {
        let all = self.session.described.get().unwrap_or_default();
        self.slugs.with(|slugs| {
            all.into_iter()
                .filter(|cache| slugs.contains(&cache.slug))
                .collect()
        })
    }

    /// All caches of the server; tracked.
    pub fn all(self) -> Vec<Cache> {
        self.session.described.get().unwrap_or_default()
    }

    /// What went wrong with the list of caches, and slugs that are not here.
    pub fn failure(self) -> AnyView {
        let unknown = move || {
            let all = self.session.described.get()?;
            self.slugs.with(|slugs| {
                let known = |slug: &&String| !all.iter().any(|cache| cache.slug == **slug);
                slugs.iter().find(known).map(|slug| unknown_cache(slug))
            })
        };
        view! { {failure_of(self.session.caches)} {changing(unknown)} }.into_any()
    }

    fn toggle(self, slug: &str) {
        let mut slugs = self.slugs.get_untracked();
        if slugs.iter().any(|chosen| chosen == slug) {
            slugs.retain(|chosen| chosen != slug);
        } else {
            slugs.push(slug.to_owned());
        }
        let route = self.route.with_value(|route| route(slugs));
        self.navigation.replace(&Route::Connect(route));
    }
}

/// The boxes. They are made once for a list of caches, so that the focus stays.
pub fn cache_boxes(chosen: ChosenCaches) -> AnyView {
    let body = move || {
        let Some(all) = chosen.session.described.get() else {
            return chosen
                .session
                .caches
                .is_waiting()
                .then(|| skeleton(2, "Reading the caches…"));
        };
        if all.is_empty() {
            return Some(empty(
                "No cache to connect to",
                view! { <p>"This server has no public cache. If you were told of one, ask an owner to let you in."</p> },
            ));
        }
        let only = all.len() == 1;
        let boxes = all
            .iter()
            .map(|cache| {
                let (slug, toggled) = (cache.slug.clone(), cache.slug.clone());
                let checked = move || chosen.slugs.with(|slugs| slugs.contains(&slug));
                view! {
                    <label class="choice">
                        <input
                            type="checkbox"
                            name="cache"
                            value=cache.slug.clone()
                            disabled=only
                            prop:checked=checked
                            on:change=move |_| chosen.toggle(&toggled)
                        />
                        <span>{cache.title.clone()}</span>
                        <small class="muted">{format::counted(cache.paths, "path", "paths")}</small>
                    </label>
                }
            })
            .collect_view();
        Some(
            view! {
                <fieldset>
                    <legend>"Caches"</legend>
                    {boxes}
                    <p class="choice muted">
                        {icon(Icon::Tick)} <span>"cache.nixos.org"</span> <small>"stays as it is"</small>
                    </p>
                </fieldset>
            }
            .into_any(),
        )
    };
    changing(body)
}
