//! The places one can go to: one table for the rail, the bar at the bottom of a
//! phone, the suggestions of the search field, and the letters after `g`. A page
//! that is added here can be found in all four.

use snowbank_shared::route::{
    AccessRoute, ConnectQuery, ConnectRoute, ContributeRoute, ExploreRoute, MonitoringRoute,
    PinsRoute, Route, VouchingQuery, VouchingRoute,
};

use crate::components::icon::Icon;

/// Where a place stands in the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Above the cache.
    Top,
    /// Below the name of the cache.
    OfCache,
    /// Below the name of the cache; on a phone under “More”.
    OfCacheAside,
    /// Below that, whatever the cache.
    Below,
    /// Below that, whatever the cache; on a phone under “More”, for its bar has room for five.
    Aside,
    /// At the foot.
    Foot,
    /// Not in the rail, and found by its words.
    Hidden,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub route: Route,
    /// Its word in the rail.
    pub word: &'static str,
    /// What else it is looked for by, in small letters.
    pub also: &'static str,
    /// Its icon.
    pub picture: Icon,
    /// The letter after `g`; a space where it has none.
    pub letter: char,
    /// Where it stands.
    pub shelf: Shelf,
}

/// Every place that can be opened now: those of a cache only where there is one.
pub fn places(cache: Option<&str>) -> Vec<Place> {
    let place = |shelf, letter, picture, word, also, route| Place {
        route,
        word,
        also,
        picture,
        letter,
        shelf,
    };
    let mut places = vec![place(
        Shelf::Top,
        'c',
        Icon::Caches,
        "Caches",
        "all caches start home",
        Route::Caches,
    )];
    if let Some(cache) = cache {
        places.extend([
            place(
                Shelf::OfCache,
                'o',
                Icon::Overview,
                "Overview",
                "figures public keys use this cache",
                Route::of_cache(cache),
            ),
            place(
                Shelf::OfCache,
                'p',
                Icon::Paths,
                "Paths",
                "browse store paths narinfos",
                Route::paths(cache),
            ),
            place(
                Shelf::OfCacheAside,
                'v',
                Icon::Package,
                "Packages",
                "versions names sizes programs",
                Route::Explore(ExploreRoute::packages(cache)),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::Package,
                "Compare closures",
                "diff upgrade two pins versions",
                Route::Explore(ExploreRoute::diff(cache, None, None)),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::Package,
                "Why does it depend",
                "why-depends chain of references",
                Route::Explore(ExploreRoute::why(cache, None, None)),
            ),
            place(
                Shelf::OfCache,
                'h',
                Icon::Health,
                "Health",
                "findings problems errors warnings",
                Route::health(cache),
            ),
            place(
                Shelf::OfCacheAside,
                's',
                Icon::Usage,
                "Usage",
                "statistics size growth cost traffic hit ratio misses clients charts",
                Route::Monitoring(MonitoringRoute::usage(cache)),
            ),
            place(
                Shelf::OfCacheAside,
                'r',
                Icon::Retention,
                "Retention",
                "garbage collection gc simulate plan delete free space",
                Route::Monitoring(MonitoringRoute::gc(cache)),
            ),
            place(
                Shelf::OfCacheAside,
                'i',
                Icon::Pin,
                "Pins",
                "keep stay revisions roll back unpin prod",
                Route::Pins(PinsRoute::Pins {
                    cache: cache.to_owned(),
                }),
            ),
            place(
                Shelf::OfCacheAside,
                'k',
                Icon::Key,
                "Keys",
                "who signed fingerprint rests on alone known upstream",
                Route::Vouching(VouchingRoute::Keys {
                    cache: cache.to_owned(),
                }),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::TickClock,
                "Signature coverage",
                "matrix who vouches what if a key goes drop would a machine accept trust",
                Route::Vouching(VouchingQuery::default().of(cache)),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::Warning,
                "Quarantine",
                "hidden held back lift purged revoked",
                Route::Pins(PinsRoute::Quarantine {
                    cache: cache.to_owned(),
                }),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::Key,
                "Key rotation",
                "counter-sign strip signatures retire revoke new key",
                Route::Vouching(VouchingRoute::Rotation {
                    cache: cache.to_owned(),
                }),
            ),
            place(
                Shelf::OfCacheAside,
                'u',
                Icon::Upload,
                "Upload",
                "publish push send signed paths folder",
                Route::Upload {
                    cache: cache.to_owned(),
                },
            ),
            place(
                Shelf::OfCacheAside,
                'w',
                Icon::TickClock,
                "Approvals",
                "what waits queue approve reject review",
                Route::Contribute(ContributeRoute::approvals(cache)),
            ),
            place(
                Shelf::Hidden,
                ' ',
                Icon::Sliders,
                "Upload policy",
                "rules approval builders refuse",
                Route::Contribute(ContributeRoute::Policy {
                    cache: cache.to_owned(),
                }),
            ),
        ]);
    }
    let chosen: Vec<String> = cache.map(str::to_owned).into_iter().collect();
    places.extend([
        place(
            Shelf::Below,
            'n',
            Icon::Connect,
            "Connect",
            "a machine nix.conf nixos module substituter",
            cache.map_or_else(
                || Route::Connect(ConnectRoute::Generate(ConnectQuery::default())),
                Route::connect,
            ),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Connect,
            "Merge into nix.conf",
            "add edit paste file remove diff",
            Route::Connect(ConnectRoute::Merge {
                caches: chosen.clone(),
            }),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Health,
            "Configuration doctor",
            "nix.conf netrc check lint wrong problems",
            Route::Connect(ConnectRoute::Doctor { caches: chosen }),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Tick,
            "Live check",
            "does my machine use this cache test probe",
            Route::Connect(ConnectRoute::Live {
                cache: cache.map(str::to_owned),
                token: None,
            }),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Help,
            "Explain an error",
            "message of nix decoder why not using cache",
            Route::Connect(ConnectRoute::Explain {
                error: String::new(),
            }),
        ),
        place(
            Shelf::Aside,
            'l',
            Icon::Search,
            "Look up",
            "many paths is it cached dry-run",
            Route::Lookup { paths: Vec::new() },
        ),
        place(
            Shelf::Aside,
            'm',
            Icon::People,
            "Members",
            "people roles owners invite",
            Route::Access(AccessRoute::Members),
        ),
        place(
            Shelf::Aside,
            'a',
            Icon::Record,
            "Audit",
            "log history who did what",
            Route::Access(AccessRoute::audit(None)),
        ),
        place(
            Shelf::Aside,
            ' ',
            Icon::Key,
            "Settings",
            "trust ci oidc github policy server",
            Route::Access(AccessRoute::Settings { cache: None }),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Key,
            "You",
            "tokens netrc my account sign out sessions",
            Route::Access(AccessRoute::Tokens),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Key,
            "Your keys",
            "contributor sign upload register prove key",
            Route::Access(AccessRoute::Keys),
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Key,
            "Sign in",
            "login link",
            Route::Access(AccessRoute::login(None)),
        ),
        place(
            Shelf::Foot,
            ' ',
            Icon::Help,
            "Help",
            "keyboard shortcuts api addresses",
            Route::Help,
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Help,
            "Glossary",
            "words terms sizes meaning",
            Route::Glossary,
        ),
        place(
            Shelf::Hidden,
            ' ',
            Icon::Overview,
            "Parts of the pages",
            "components design system",
            Route::Components,
        ),
        place(
            Shelf::Foot,
            ',',
            Icon::Sliders,
            "Preferences",
            "theme dark light compact density times settings",
            Route::Preferences,
        ),
        place(
            Shelf::Foot,
            ' ',
            Icon::Info,
            "About",
            "version licence privacy",
            Route::About,
        ),
    ]);
    places
}

/// The word of the place that a page belongs to.
pub const fn home_of(route: &Route) -> &'static str {
    match route {
        Route::Caches => "Caches",
        Route::Cache { .. } | Route::Upstreams { .. } => "Overview",
        Route::Paths { .. } | Route::Path { .. } | Route::File { .. } | Route::Conflicts { .. } => {
            "Paths"
        }
        Route::Health { .. } => "Health",
        Route::Upload { .. } | Route::Uploads { .. } | Route::UploadSession { .. } => "Upload",
        Route::Pins(PinsRoute::Quarantine { .. }) => "Quarantine",
        Route::Pins(_) => "Pins",
        Route::Explore(ExploreRoute::Why { .. }) => "Paths",
        Route::Explore(_) => "Packages",
        Route::Vouching(VouchingRoute::Signing { .. } | VouchingRoute::Rotation { .. }) => {
            "Key rotation"
        }
        Route::Vouching(_) => "Keys",
        Route::Monitoring(MonitoringRoute::Usage { .. }) => "Usage",
        Route::Monitoring(MonitoringRoute::Alerts { .. }) => "Settings",
        Route::Monitoring(_) => "Retention",
        Route::Lookup { .. } => "Look up",
        Route::Connect(_) => "Connect",
        Route::Help | Route::Glossary | Route::Components => "Help",
        Route::Preferences => "Preferences",
        Route::About => "About",
        Route::Contribute(route) => match route {
            ContributeRoute::Approvals { .. } | ContributeRoute::Approval { .. } => "Approvals",
            ContributeRoute::Policy { .. } => "Settings",
        },
        Route::Access(route) => match route {
            AccessRoute::Members => "Members",
            AccessRoute::Settings { .. } => "Settings",
            AccessRoute::Audit { .. } => "Audit",
            AccessRoute::Me | AccessRoute::Tokens | AccessRoute::Keys => "You",
            AccessRoute::Login { .. } | AccessRoute::Invite { .. } => "Sign in",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_leads_to_two_places_and_every_page_of_the_rail_is_its_own_home() {
        let places = places(Some("main"));
        for (at, place) in places.iter().enumerate() {
            for other in &places[at + 1..] {
                assert!(
                    place.letter == ' ' || place.letter != other.letter,
                    "{other:?}"
                );
                assert_ne!(place.word, other.word);
            }
            if place.shelf != Shelf::Hidden {
                assert_eq!(home_of(&place.route), place.word);
            }
        }
    }

    #[test]
    fn without_a_cache_there_are_only_the_pages_of_the_server() {
        assert!(
            places(None)
                .iter()
                .all(|place| place.route.cache().is_none())
        );
    }
}
