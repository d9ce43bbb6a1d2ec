//! Which caches: the boxes that every page of Connect has, and the address that they are.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::api::connect::{Connect, ConnectCache, TestedCache};
use snowbank_shared::route::{ConnectRoute, Route};

use super::{chosen_slugs, other, unknown_cache};
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::identity::{Identity, identity};
use crate::state::navigation::{Navigation, absolute, navigation};
use crate::state::remote::Remote;
use crate::state::session::{Session, session};

/// The caches that the address names. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct ChosenCaches {
    session: Session,
    identity: Identity,
    navigation: Navigation,
    /// What the server says of its caches for these pages alone.
    facts: Remote<Connect>,
    /// Their slugs.
    pub slugs: Memo<Vec<String>>,
    /// The address of other slugs.
    route: StoredValue<fn(Vec<String>) -> ConnectRoute>,
}

/// A cache of this server, with what these pages need beside.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The cache.
    pub cache: Cache,
    /// Its page, its bucket, its former keys.
    pub facts: ConnectCache,
}

/// Asks the server for what these pages need beside the list of caches.
pub fn facts() -> Remote<Connect> {
    Remote::new(|| Some("/connect".to_owned()))
}

/// Whether the server can sign a path for a live check; yes, where it has not said. Tracked.
pub fn can_sign(facts: Remote<Connect>, slug: &str) -> bool {
    let known = facts.get();
    let known = known.as_ref().map(|known| known.caches.iter());
    known
        .and_then(|mut caches| caches.find(|cache| cache.slug == slug))
        .is_none_or(|cache| cache.signs)
}

/// The caches of a page whose address for some slugs `route` gives.
pub fn caches_of(route: fn(Vec<String>) -> ConnectRoute) -> ChosenCaches {
    ChosenCaches {
        session: session(),
        identity: identity(),
        navigation: navigation(),
        facts: facts(),
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

    /// The same with what is known of them beside; tracked.
    pub fn known(self) -> Vec<Known> {
        let facts = self.facts.get();
        let of = |slug: &str| {
            let mut all = facts.iter().flat_map(|facts| &facts.caches);
            all.find(|cache| cache.slug == slug).cloned()
        };
        self.caches()
            .into_iter()
            .map(|cache| Known {
                facts: of(&cache.slug).unwrap_or_else(|| ConnectCache {
                    slug: cache.slug.clone(),
                    page: absolute(&format!("/c/{}", cache.slug)),
                    bucket: None,
                    former_keys: Vec::new(),
                    signs: true,
                }),
                cache,
            })
            .collect()
    }

    /// Whether what is known beside is still to come; tracked.
    pub fn waits(self) -> bool {
        self.facts.is_waiting() && !self.facts.is_there()
    }

    /// Caches that are not of this server, which this tab was told of; tracked.
    pub fn others(self) -> Vec<TestedCache> {
        other::added(self.identity)
    }

    /// Whether the server has a cache's secret key; tracked.
    pub fn signs(self, slug: &str) -> bool {
        can_sign(self.facts, slug)
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
        view! {
            {failure_of(self.session.caches)}
            {failure_of(self.facts)}
            {changing(unknown)}
            {changing(move || self.elsewhere())}
        }
        .into_any()
    }

    /// The server says that it is elsewhere than where this page was opened; tracked.
    fn elsewhere(self) -> Option<AnyView> {
        let known = self.known();
        let page = known.into_iter().map(|known| known.facts).find(|facts| {
            let here = absolute(&format!("/c/{}", facts.slug));
            facts.page != here
        })?;
        let tail = format!("c/{}", page.slug);
        let public = page
            .page
            .strip_suffix(&tail)
            .unwrap_or(&page.page)
            .to_owned();
        let here = absolute("/");
        Some(banner(
            Tone::Note,
            "These lines name the server's public address",
            view! {
                <p>
                    "The server is configured to be at " <code class="break">{public}</code>
                    ", and you opened it at " <code class="break">{here}</code>
                    ". Markers and links name the first, as the install script does. If that is wrong, set "
                    <code>"public_url"</code> "."
                </p>
            },
            (),
        ))
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
